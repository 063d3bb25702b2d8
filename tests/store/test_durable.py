"""What is durable is committed while the database waits for the disk, and nothing else is.

SQLite waits for the disk at the end of a transaction only where `PRAGMA synchronous` is FULL at
that moment. So it is asked then, on the connection that commits.
"""

from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from sqlalchemy import Connection, Engine, event

from mlgym_mcp.base.clock import ManualClock
from mlgym_mcp.base.errors import NotFound
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.store import Entry, Store, open_store
from mlgym_mcp.types.budget import Budget
from mlgym_mcp.types.grade import Grade, Submission, SubmittedFile
from mlgym_mcp.types.session import SessionRecord

pytestmark = pytest.mark.anyio

NORMAL, FULL = 1, 2

SESSION = SessionRecord(
    id="s-1",
    principal="ann",
    task="battle-of-sexes",
    variant="mini",
    seed=7,
    state="active",
    budget=Budget(),
    opened_at=1.0,
    last_call_at=1.0,
)
GRADE = Grade(
    id="g1",
    task="battle-of-sexes",
    variant="mini",
    kind="validate",
    submission="a" * 64,
    session="s-1",
    metric="score",
    score=1.0,
    metrics={"score": 1.0},
    integrity="clean",
    seed=1,
    seconds=0.5,
    graded_at=1.0,
)
SUBMISSION = Submission(
    sha256="a" * 64, files=(SubmittedFile(path="x.csv", sha256="b" * 64, size=3),), size=3
)


class Commits:
    """How the database was set at each commit that wrote, and how many events it then had."""

    def __init__(self) -> None:
        self.levels: list[int] = []
        self.named: list[int] = []

    def hear(self, connection: Connection) -> None:
        driver: Any = connection.connection.driver_connection
        if not driver.in_transaction:
            return
        self.levels.append(driver.execute("PRAGMA synchronous").fetchone()[0])
        counted = "SELECT count(*) FROM events WHERE name = 'durable'"
        self.named.append(driver.execute(counted).fetchone()[0])


@pytest.fixture
async def store(settings: Settings) -> Any:
    async with open_store(settings, ManualClock()) as opened:
        await opened.add_session(SESSION)
        yield opened


@pytest.fixture
def commits(store: Store) -> Iterator[Commits]:
    del store  # what was committed while it opened is of no interest
    heard = Commits()
    event.listen(Engine, "commit", heard.hear)
    yield heard
    event.remove(Engine, "commit", heard.hear)


async def test_a_durable_event_is_on_the_disk_when_it_is_acknowledged(
    store: Store, commits: Commits
) -> None:
    await store.append("s-1", Entry("ended"), {"state": "closed"}, durable=True)
    assert commits.levels == [FULL]


async def test_submissions_and_grades_are_on_the_disk_when_they_are_acknowledged(
    store: Store, commits: Commits
) -> None:
    await store.add_submission(SUBMISSION, "s-1", "battle-of-sexes", "mini")
    assert commits.levels == [FULL]
    await store.add_grade(GRADE)
    assert commits.levels == [FULL, FULL]


async def test_other_events_do_not_wait_for_the_disk_not_even_after_one_that_did(
    store: Store, commits: Commits
) -> None:
    await store.append("s-1", Entry("result"))
    await store.append("s-1", Entry("result", "durable"), durable=True)
    await store.append("s-1", Entry("result"))
    assert commits.levels == [NORMAL, FULL, NORMAL]


async def test_a_durable_event_among_many_others_is_on_the_disk_too(
    store: Store, commits: Commits
) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon(store.append, "s-1", Entry("result"))
            if number == 20:
                tasks.start_soon(_durable, store)
    # the transactions are put together by chance; one of them is the first that had it
    first = commits.named.index(1)
    assert commits.levels[first] == FULL


async def test_a_durable_event_is_on_the_disk_although_its_neighbours_fail(
    store: Store, commits: Commits
) -> None:
    async def unknown() -> None:
        with pytest.raises(NotFound):
            await store.append("s-none", Entry("result"))

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(unknown)
        tasks.start_soon(_durable, store)
        for _ in range(10):
            tasks.start_soon(unknown)
    assert (commits.levels, commits.named) == ([FULL], [1])


async def _durable(store: Store) -> None:
    await store.append("s-1", Entry("result", "durable"), durable=True)
