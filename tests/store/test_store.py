"""The store through its public door, with real files."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from mlgym_mcp.base.clock import ManualClock
from mlgym_mcp.base.errors import NotFound, ServerError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.store import Entry, open_store
from mlgym_mcp.types.budget import Budget, Limits
from mlgym_mcp.types.grade import Grade, Submission, SubmittedFile
from mlgym_mcp.types.session import SessionRecord

pytestmark = pytest.mark.anyio


def record(session: str, principal: str = "ann", **changes: Any) -> SessionRecord:
    values: dict[str, Any] = {
        "id": session,
        "principal": principal,
        "task": "battle-of-sexes",
        "variant": "mini",
        "seed": 7,
        "label": "first",
        "state": "active",
        "budget": Budget(wall_seconds=60, limits=Limits(cpus=0.5)),
        "opened_at": 1000.0,
        "last_call_at": 1000.0,
    }
    return SessionRecord.model_validate(values | changes)


def grade(grade_id: str, session: str | None = None, **changes: Any) -> Grade:
    values: dict[str, Any] = {
        "id": grade_id,
        "task": "battle-of-sexes",
        "variant": "mini",
        "kind": "validate",
        "submission": "a" * 64,
        "session": session,
        "metric": "score",
        "score": 1.0,
        "metrics": {"score": 1.0},
        "integrity": "clean",
        "seed": 1,
        "seconds": 0.5,
        "graded_at": 1000.0,
    }
    return Grade.model_validate(values | changes)


async def test_a_session_comes_back_as_it_was_kept(settings: Settings) -> None:
    async with open_store(settings, ManualClock()) as store:
        await store.add_session(record("s-1"))
    async with open_store(settings, ManualClock()) as store:
        assert await store.session("s-1") == record("s-1")
        assert await store.session("s-2") is None


async def test_sessions_are_listed_by_principal_and_state_with_the_newest_first(
    settings: Settings,
) -> None:
    async with open_store(settings, ManualClock()) as store:
        await store.add_session(record("s-old", opened_at=1.0))
        await store.add_session(record("s-new", opened_at=2.0, state="closed"))
        await store.add_session(record("s-other", principal="bob"))
        assert [s.id for s in await store.sessions("ann")] == ["s-new", "s-old"]
        assert [s.id for s in await store.sessions("ann", ["active"])] == ["s-old"]
        assert len(await store.sessions()) == 3


async def test_events_are_numbered_in_each_session_without_gaps(settings: Settings) -> None:
    async with open_store(settings, ManualClock(5.0)) as store:
        for session in ("s-1", "s-2"):
            await store.add_session(record(session))

        async def add(session: str) -> None:
            for number in range(20):
                await store.append(session, Entry("result", "run", {"n": number}))

        async with anyio.create_task_group() as tasks:
            for session in ("s-1", "s-1", "s-2"):
                tasks.start_soon(add, session)
        assert [e.seq for e in await store.events("s-1")] == list(range(1, 41))
        assert [e.seq for e in await store.events("s-2", after=18)] == [19, 20]
        assert [e.payload for e in await store.events("s-2", limit=1)] == [{"n": 0}]
        assert (await store.events("s-2"))[0].at == 5.0


async def test_two_events_are_kept_together_and_follow_each_other(settings: Settings) -> None:
    async with open_store(settings, ManualClock(5.0)) as store:
        await store.add_session(record("s-1"))

        async def add(job: str) -> None:
            call = Entry("call", "run", job=job, at=3.0)
            for _ in range(10):
                last = await store.append("s-1", Entry("result", "run", job=job), first=call)
                assert (last.kind, last.at) == ("result", 5.0)

        async with anyio.create_task_group() as tasks:
            for job in ("j1", "j2"):
                tasks.start_soon(add, job)
        events = await store.events("s-1")
        assert [e.seq for e in events] == list(range(1, 41))
        assert [(e.kind, e.at) for e in events] == [("call", 3.0), ("result", 5.0)] * 20
        assert [e.seq for e in await store.job_events("s-1", "j1")][::2] == [
            e.seq - 1 for e in await store.job_events("s-1", "j1") if e.kind == "result"
        ]
        unwritable = Entry("result", name=cast("str", None))
        with pytest.raises(ServerError):
            await store.append("s-1", unwritable, first=Entry("call", "run"))
        assert len(await store.events("s-1")) == 40


async def test_an_event_and_the_changes_of_its_session_are_kept_together(
    settings: Settings,
) -> None:
    async with open_store(settings, ManualClock()) as store:
        await store.add_session(record("s-1"))
        budget = Budget(steps=3)
        changes: dict[str, Any] = {
            "steps_used": 4,
            "state": "closed",
            "budget": budget,
            "ended_at": 9.0,
        }
        await store.append("s-1", Entry("ended"), changes, durable=True)
        found = await store.session("s-1")
        assert found == record("s-1", **changes)


async def test_appending_to_an_unknown_session_hurts_none_of_its_neighbours(
    settings: Settings,
) -> None:
    async with open_store(settings, ManualClock()) as store:
        await store.add_session(record("s-1"))
        failed: list[str] = []

        async def add(session: str) -> None:
            try:
                await store.append(session, Entry("result"))
            except NotFound as error:
                failed.append(error.message)

        async with anyio.create_task_group() as tasks:
            for session in ("s-1", "s-none", "s-1"):
                tasks.start_soon(add, session)
        assert failed == ["There is no session s-none."]
        assert [e.seq for e in await store.events("s-1")] == [1, 2]


async def test_the_answer_to_a_request_is_found_by_its_id(settings: Settings) -> None:
    async with open_store(settings, ManualClock()) as store:
        await store.add_session(record("s-1"))
        await store.append("s-1", Entry("call", "run", request_id="r1", job="j1"))
        assert await store.result_of("s-1", "r1") is None
        await store.append("s-1", Entry("result", "run", {"x": 1}, request_id="r1", job="j1"))
        found = await store.result_of("s-1", "r1")
        assert found is not None
        assert found.payload == {"x": 1}
        assert await store.result_of("s-2", "r1") is None


async def test_calls_without_an_end_are_found_after_a_restart(settings: Settings) -> None:
    async with open_store(settings, ManualClock()) as store:
        await store.add_session(record("s-1"))
        for job in ("j1", "j2"):
            await store.append("s-1", Entry("call", "run", {"job": job}, job=job))
        await store.append("s-1", Entry("result", "run", job="j1"))
    async with open_store(settings, ManualClock()) as store:
        assert [e.payload["job"] for e in await store.unanswered("s-1")] == ["j2"]
        assert [e.kind for e in await store.job_events("s-1", "j1")] == ["call", "result"]


async def test_only_the_first_of_two_servers_claims_the_session_of_a_dead_one(
    settings: Settings,
) -> None:
    async with open_store(settings, ManualClock()) as dead:
        await dead.add_session(record("s-1"))
        owner = dead.instances.own
    async with (
        open_store(settings, ManualClock()) as one,
        open_store(settings, ManualClock()) as two,
    ):
        assert await one.owners(["s-1"]) == {"s-1": owner}
        assert not one.instances.alive(owner)
        assert await one.claim("s-1", owner)
        assert not await two.claim("s-1", owner)
        assert await two.owners(["s-1"]) == {"s-1": one.instances.own}
        assert two.instances.alive(one.instances.own)


async def test_a_store_knows_whether_its_process_is_alone_on_the_home(settings: Settings) -> None:
    async with open_store(settings, ManualClock()) as one:
        async with one.instances.alone() as alone:
            assert alone
        async with open_store(settings, ManualClock()), one.instances.alone() as alone:
            assert not alone
        (settings.home / "servers" / "i-dead.lock").touch()
        async with one.instances.alone() as alone:
            assert alone


async def test_nobody_comes_in_while_leftovers_are_removed(settings: Settings) -> None:
    async with open_store(settings, ManualClock()) as one:
        entered: list[bool] = []

        async def enter() -> None:
            async with open_store(settings, ManualClock()):
                entered.append(True)

        async with anyio.create_task_group() as tasks, one.instances.alone():
            tasks.start_soon(enter)
            with anyio.move_on_after(0.3):
                await anyio.sleep_forever()
            assert not entered
        assert entered


async def test_what_fails_while_the_store_is_open_comes_out_as_it_is(settings: Settings) -> None:
    with pytest.raises(NotFound):
        async with open_store(settings, ManualClock()) as store:
            await store.append("s-none", Entry("result"))


async def test_two_servers_write_to_one_store_at_the_same_time(settings: Settings) -> None:
    async with (
        open_store(settings, ManualClock()) as one,
        open_store(settings, ManualClock()) as two,
    ):
        await one.add_session(record("s-1"))
        async with anyio.create_task_group() as tasks:
            for store in (one, two):
                for _ in range(50):
                    tasks.start_soon(store.append, "s-1", Entry("result"))
        assert [e.seq for e in await one.events("s-1")] == list(range(1, 101))


async def test_a_submission_and_where_it_came_from_are_kept(settings: Settings) -> None:
    file = SubmittedFile(path="submission.csv", sha256="b" * 64, size=3)
    submission = Submission(sha256="a" * 64, files=(file,), size=3)
    async with open_store(settings, ManualClock()) as store:
        await store.add_submission(submission, None, "house-prices", "full")
        await store.add_submission(submission, "s-1", "house-prices", "mini")
        assert await store.submission("a" * 64) == submission
        assert await store.submission("c" * 64) is None
        assert await store.submission_task("a" * 64) == ("house-prices", "mini")


async def test_grades_are_found_by_task_session_submission_and_owner(settings: Settings) -> None:
    async with open_store(settings, ManualClock()) as store:
        await store.add_session(record("s-1"))
        first, second = grade("g1", "s-1"), grade("g2", task="house-prices", graded_at=2000.0)
        await store.add_grade(second)
        await store.add_grade(first)
        assert await store.grades() == [first, second]
        assert await store.grades(task="house-prices") == [second]
        assert await store.grades(session="s-1", submission="a" * 64) == [first]
        assert await store.grades_of("ann") == [first]
        assert await store.grade("g2") == second
        assert await store.grade("g3") is None


async def test_a_submitted_session_without_its_grade_is_found(settings: Settings) -> None:
    async with open_store(settings, ManualClock()) as store:
        await store.add_session(record("s-1", state="submitted"))
        await store.add_session(record("s-2", state="submitted"))
        await store.append("s-2", Entry("grade"))
        assert [s.id for s in await store.ungraded()] == ["s-1"]


async def test_what_was_handed_in_is_written_although_the_server_is_cancelled(
    settings: Settings,
) -> None:
    with anyio.CancelScope() as scope:
        async with open_store(settings, ManualClock()) as store:
            await store.add_session(record("s-1"))
            scope.cancel()
            with anyio.CancelScope(shield=True):
                await store.append("s-1", Entry("result"))
    async with open_store(settings, ManualClock()) as store:
        assert len(await store.events("s-1")) == 1


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database, and long enough to be seen as none " * 40)


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT)")
        connection.execute("INSERT INTO facts VALUES ('schema', '999')")
    connection.close()


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "reason", "fix"),
    [
        (_garbage, "not a database", "move it away"),
        (_newer, "schema version 999", "Install the version"),
        (_folder, "cannot be opened", "MLGYM_MCP_HOME"),
    ],
)
async def test_a_store_that_cannot_be_used_is_named_with_reason_and_fix(
    settings: Settings, spoil: Callable[[Path], None], reason: str, fix: str
) -> None:
    path = settings.home / "store.sqlite3"
    spoil(path)
    with pytest.raises(ServerError) as caught:
        async with open_store(settings, ManualClock()):
            pass
    assert str(path) in caught.value.message
    assert reason in caught.value.message
    assert fix in caught.value.fix


async def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ServerError, match="file/home cannot be used"):
        async with open_store(Settings(home=tmp_path / "file" / "home"), ManualClock()):
            pass
