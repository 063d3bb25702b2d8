"""Room for sessions, by what the machine has left."""

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from mlgym_mcp.base.errors import NoCapacity
from mlgym_mcp.sessions import StartRequest
from mlgym_mcp.sessions.admission import Admission
from mlgym_mcp.sessions.headroom import Headroom, measure

pytestmark = pytest.mark.anyio

GIB = 2**30
ROOMY = Headroom(memory_bytes=8 * GIB, total_bytes=16 * GIB, load=0.5, cpus=2.0)


def admission(
    found: Callable[[], Headroom], queue_seconds: float = 0.0, **changes: Any
) -> Admission:
    values: dict[str, Any] = {"max_sessions": 1000, "count": lambda: 0}
    return Admission(**(values | changes), queue_seconds=queue_seconds, measure=found)


def silent(_what: str, _share: float | None) -> None:
    pass


async def admit(door: Admission) -> None:
    async with door.admitted(silent):
        pass


async def test_the_kernel_tells_what_is_left() -> None:
    found = await anyio.to_thread.run_sync(measure)
    assert 0 < found.memory_bytes <= found.total_bytes
    assert found.cpus > 0
    assert found.load >= 0


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Headroom(500 * 2**20, 16 * GIB, 0, 2), "500 MiB of memory are free, 608 are needed"),
        (Headroom(8 * GIB, 16 * GIB, 40.0, 2), "the load is 40 on 2 CPUs"),
    ],
)
async def test_without_room_a_session_is_refused_with_the_figure_that_is_short(
    found: Headroom, said: str
) -> None:
    with pytest.raises(NoCapacity, match=said) as caught:
        await admit(admission(lambda: found, 0.1))
    assert caught.value.code == "no_capacity"


async def test_more_sessions_than_allowed_are_refused() -> None:
    with pytest.raises(NoCapacity, match="3 sessions are open, as many as"):
        await admit(admission(lambda: ROOMY, 0.1, max_sessions=3, count=lambda: 3))


async def test_whoever_waits_is_told_the_position_and_let_in_in_order() -> None:
    found = [Headroom(0, 16 * GIB, 0, 2)]
    door = admission(lambda: found[0], 20)
    told: list[str] = []
    entered: list[int] = []

    async def enter(number: int) -> None:
        async with door.admitted(lambda what, _share: told.append(what)):
            entered.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(enter, number)
        while len(told) < 3:
            await anyio.lowlevel.checkpoint()
        assert sum("position 1: 0 MiB of memory are free" in what for what in told) == 1
        assert sum("position 2" in what for what in told) == 1
        assert sum("position 3" in what for what in told) == 1
        assert not entered
        found[0] = ROOMY
        door.look_again()
    assert entered == [0, 1, 2]


async def test_sessions_that_open_at_once_are_counted_before_they_can_be_measured() -> None:
    door = admission(lambda: Headroom(750 * 2**20, 16 * GIB, 0, 8), 0.1)
    async with door.admitted(silent), door.admitted(silent):
        with pytest.raises(NoCapacity, match="750 MiB of memory are free, 800 are needed"):
            await admit(door)
    await admit(door)


async def test_whoever_stops_waiting_leaves_the_line() -> None:
    found = [Headroom(0, 16 * GIB, 0, 2)]
    door = admission(lambda: found[0], 20)
    with anyio.move_on_after(0.05):
        await admit(door)
    found[0] = ROOMY
    with anyio.fail_after(5):
        await admit(door)


async def test_a_session_beyond_the_allowed_number_is_refused_before_it_is_made(
    open_fake: Any, start: Any
) -> None:
    async with open_fake(max_sessions=1, queue_seconds=0.1) as sessions:
        session = await start(sessions)
        with pytest.raises(NoCapacity, match="1 sessions are open, as many as"):
            await start(sessions)
        assert [view.session for view in await sessions.list_sessions("ann")] == [session]


async def test_a_session_waits_for_another_to_end_and_its_caller_knows_its_position(
    open_fake: Any, start: Any
) -> None:
    async with open_fake(max_sessions=1, queue_seconds=60) as sessions:
        session = await start(sessions)
        waiting = anyio.Event()
        told: list[str] = []

        def report(what: str, _share: float | None) -> None:
            told.append(what)
            if "position 1" in what:
                waiting.set()

        async def another() -> None:
            request = StartRequest(task="battle-of-sexes", variant="mini")
            await sessions.start("ann", request, report)

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(another)
                await waiting.wait()
                await sessions.end("ann", session)
        assert any("waiting for room, position 1" in what for what in told)
        states = [view.state for view in await sessions.list_sessions("ann")]
        assert sorted(states) == ["active", "closed"]


async def test_only_sessions_that_can_use_gpus_get_them(
    open_fake: Any, start: Any, add_task: Any
) -> None:
    add_task("wide", environment="torch")
    add_task("long", environment="jax")
    async with open_fake(gpus=2) as sessions:
        given = {
            task: (await sessions.status("ann", await start(sessions, task))).budget.limits.gpus
            for task in ("wide", "long", "battle-of-sexes")
        }
    assert given == {"wide": 2, "long": 2, "battle-of-sexes": 0}
