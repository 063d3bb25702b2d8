"""Budgets, time, and who may ask."""

from typing import Any

import anyio
import pytest

from mlgym_mcp.base.clock import ManualClock
from mlgym_mcp.base.errors import BudgetSpent, NotFound, RequestError, SessionEnded
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.sandbox.contract import Sandbox, SandboxSpec
from mlgym_mcp.sandbox.fake.backend import FakeBackend
from mlgym_mcp.sessions import JobRequest, RunRequest, StartRequest
from mlgym_mcp.store import open_store

pytestmark = pytest.mark.anyio
TRUE = RunRequest(command="true")
CANCELLED = "it could not be opened: it was cancelled"


async def test_the_last_step_is_allowed_and_the_next_one_refused(
    open_fake: Any, start: Any, add_task: Any
) -> None:
    add_task("tiny", steps=2)
    async with open_fake() as sessions:
        session = await start(sessions, "tiny")
        await sessions.run("ann", session, TRUE)
        await sessions.list_files("ann", session)
        with pytest.raises(BudgetSpent, match="all 2 of its `steps`") as caught:
            await sessions.run("ann", session, TRUE)
        assert "submit" in caught.value.fix
        assert (await sessions.status("ann", session)).left.steps == 0


async def test_steps_are_counted_over_a_restart(open_fake: Any, start: Any, add_task: Any) -> None:
    add_task("tiny", steps=2)
    async with open_fake() as sessions:
        session = await start(sessions, "tiny")
        await sessions.run("ann", session, TRUE)
    async with open_fake() as sessions:
        await sessions.run("ann", session, TRUE)
        with pytest.raises(BudgetSpent):
            await sessions.run("ann", session, TRUE)


async def test_a_command_gets_no_more_seconds_than_its_budget(
    open_fake: Any, start: Any, add_task: Any, clock: Any
) -> None:
    add_task("tiny", command_seconds=5)
    async with open_fake() as sessions:
        session = await start(sessions, "tiny")
        request = RunRequest(command="sleep 100", timeout_seconds=60, wait_seconds=0.1)
        handle = await sessions.run("ann", session, request)
        clock.advance(6)
        over = await sessions.job("ann", session, JobRequest(job_id=handle.job_id))
        assert over.result is not None
        assert over.result.limits_hit == ("time",)


async def test_a_session_whose_wall_time_is_over_takes_no_call(
    open_fake: Any, start: Any, clock: Any
) -> None:
    async with open_fake() as sessions:
        session = await start(sessions, wall_seconds=60)
        clock.advance(59)
        await sessions.run("ann", session, TRUE)
        clock.advance(1)
        with pytest.raises(BudgetSpent, match="`wall_seconds` budget of 60 s"):
            await sessions.run("ann", session, TRUE)
        with pytest.raises(BudgetSpent, match="nothing was submitted"):
            await sessions.submit("ann", session)
        view = await sessions.status("ann", session)
        assert (view.state, view.left.wall_seconds) == ("expired", 0.0)
        assert "nothing was submitted" in view.reason


async def test_the_wall_clock_does_not_stop_while_no_server_runs(
    open_fake: Any, start: Any, clock: Any
) -> None:
    async with open_fake() as sessions:
        session = await start(sessions, wall_seconds=60)
    clock.advance(61)
    async with open_fake() as sessions:
        with pytest.raises(BudgetSpent):
            await sessions.run("ann", session, TRUE)


async def test_reaping_expires_a_session_and_ends_what_runs_in_it(
    open_fake: Any, start: Any, clock: Any, survivors: Any
) -> None:
    async with open_fake() as sessions:
        session = await start(sessions, wall_seconds=60)
        handle = await sessions.run(
            "ann", session, RunRequest(command="echo half; sleep 1000", wait_seconds=0.05)
        )
        clock.advance(61)
        await sessions.reap()
        assert (await sessions.status("ann", session)).state == "expired"
        assert not survivors[session].alive
        over = await sessions.job("ann", session, JobRequest(job_id=handle.job_id))
        assert over.result is not None
        assert over.result.limits_hit
        kinds = [e.kind for e in await sessions.trajectory("ann", session)]
        assert kinds == ["opened", "call", "result", "ended"]


async def test_reaping_expires_a_session_that_nobody_calls(
    open_fake: Any, start: Any, clock: Any
) -> None:
    async with open_fake(idle_seconds=100) as sessions:
        session = await start(sessions)
        clock.advance(99)
        await sessions.reap()
        await sessions.run("ann", session, TRUE)
        clock.advance(101)
        await sessions.reap()
        view = await sessions.status("ann", session)
        assert view.state == "expired"
        assert view.reason.startswith("it had no call for 100 s")
        with pytest.raises(SessionEnded, match="no call for 100 s"):
            await sessions.run("ann", session, TRUE)


async def test_a_session_that_nobody_calls_expires_with_nobody_reaping(
    open_fake: Any, start: Any, clock: Any
) -> None:
    async with open_fake(idle_seconds=100) as sessions:
        session = await start(sessions)
        heard = anyio.Event()

        def hear(_session: str) -> None:
            heard.set()

        sessions.watch(hear)
        clock.advance(101)
        with anyio.fail_after(30):
            await heard.wait()
        (ended,) = [e for e in await sessions.trajectory("ann", session) if e.kind == "ended"]
        assert ended.payload["state"] == "expired"


async def test_a_session_whose_command_runs_is_not_idle(
    open_fake: Any, start: Any, clock: Any
) -> None:
    async with open_fake(idle_seconds=100) as sessions:
        session = await start(sessions)
        await sessions.run("ann", session, RunRequest(command="sleep 500", wait_seconds=0.05))
        clock.advance(200)
        await sessions.reap()
        assert (await sessions.status("ann", session)).state == "active"


async def test_what_a_dead_server_served_is_expired_by_the_next_one(
    open_fake: Any, start: Any, clock: Any, survivors: Any
) -> None:
    async with open_fake() as sessions:
        session = await start(sessions, wall_seconds=60)
    assert survivors[session].alive
    clock.advance(61)
    async with open_fake() as sessions:
        await sessions.reap()
        listed = await sessions.list_sessions("ann")
        assert [(view.session, view.state) for view in listed] == [(session, "expired")]
        assert not survivors[session].alive


async def test_a_session_whose_command_outlived_its_server_is_not_idle(
    open_fake: Any, start: Any, clock: Any
) -> None:
    async with open_fake(idle_seconds=100) as sessions:
        session = await start(sessions)
        await sessions.run("ann", session, RunRequest(command="sleep 500", wait_seconds=0.05))
    clock.advance(200)
    async with open_fake(idle_seconds=100) as sessions:
        await sessions.reap()
        (view,) = await sessions.list_sessions("ann")
        assert (view.state, [job.state for job in view.jobs]) == ("active", ["running"])


async def test_an_ended_session_says_who_ended_it(open_fake: Any, start: Any) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
        view = await sessions.end("ann", session)
        assert view.state == "closed"
        assert (await sessions.end("ann", session)).state == "closed"
        with pytest.raises(SessionEnded, match="its owner ended it"):
            await sessions.run("ann", session, TRUE)


async def test_folders_of_sessions_that_ended_long_ago_are_removed(
    open_fake: Any, start: Any, clock: Any, home: Any
) -> None:
    async with open_fake(keep_seconds=1000) as sessions:
        old = await start(sessions)
        await sessions.end("ann", old)
        young = await start(sessions)
        clock.advance(4000)
        await sessions.reap()
        assert not (home / "sessions" / old).exists()
        assert (home / "sessions" / young / "workspace" / "strategy.py").exists()
        assert len(await sessions.trajectory("ann", old)) == 2


async def test_a_wall_budget_can_be_shortened_but_not_stretched(open_fake: Any, start: Any) -> None:
    async with open_fake() as sessions:
        with pytest.raises(RequestError, match="allows 7200"):
            await start(sessions, wall_seconds=8000)
        session = await start(sessions, wall_seconds=70)
        assert (await sessions.status("ann", session)).budget.wall_seconds == 70


async def test_another_callers_session_is_as_unknown_as_none(open_fake: Any, start: Any) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
        said: list[str] = []
        for wanted in (session, "s-none"):
            with pytest.raises(NotFound) as caught:
                await sessions.run("bob", wanted, TRUE)
            said.append(caught.value.message.replace(wanted, "X") + caught.value.fix)
        assert said[0] == said[1]
        assert await sessions.list_sessions("bob") == []
        await sessions.end("ann", session)
        with pytest.raises(NotFound):
            await sessions.trajectory("bob", session)


async def test_an_unnamed_session_is_the_callers_only_open_one(open_fake: Any, start: Any) -> None:
    async with open_fake() as sessions:
        with pytest.raises(RequestError, match="you have none open"):
            await sessions.status("ann", None)
        await sessions.start("bob", StartRequest(task="battle-of-sexes"))
        first = await start(sessions)
        assert (await sessions.status("ann", None)).session == first
        second = await start(sessions)
        with pytest.raises(RequestError) as caught:
            await sessions.run("ann", None, TRUE)
        assert first in caught.value.message
        assert second in caught.value.message


async def test_an_unknown_task_or_variant_is_refused_before_anything_is_made(
    open_fake: Any, home: Any
) -> None:
    async with open_fake() as sessions:
        with pytest.raises(NotFound, match="There is no task 'battle-of-sex'") as caught:
            await sessions.start("ann", StartRequest(task="battle-of-sex"))
        assert "battle-of-sexes" in caught.value.fix
        assert await sessions.list_sessions("ann") == []
        assert not (home / "sessions").exists()


async def test_missing_data_is_told_with_the_command_that_fetches_it(
    open_fake: Any,
) -> None:
    async with open_fake(mirrors=()) as sessions:
        with pytest.raises(Exception, match="house-prices") as caught:
            await sessions.start("ann", StartRequest(task="house-prices"))
        assert "mlgym-mcp data fetch house-prices" in str(caught.value)


class Stuck(FakeBackend):
    """Never done with opening."""

    async def open(self, spec: SandboxSpec) -> Sandbox:
        assert spec.name
        await anyio.sleep_forever()
        raise AssertionError


async def test_a_session_that_is_cancelled_as_it_opens_is_recorded_as_failed(
    open_fake: Any,
) -> None:
    async with open_fake(backend_class=Stuck) as sessions:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sessions.start, "ann", StartRequest(task="battle-of-sexes"))
            while not (listed := await sessions.list_sessions("ann")):
                await anyio.lowlevel.checkpoint()
            assert [view.state for view in listed] == ["opening"]
            tasks.cancel_scope.cancel()
        (view,) = await sessions.list_sessions("ann")
        assert (view.state, view.reason) == ("failed", CANCELLED)


async def die_opening(settings: Settings, clock: ManualClock) -> None:
    """Be a server that dies as it opens a second session: nothing of it but its record is made."""
    async with open_store(settings, clock) as store:
        (known,) = await store.sessions()
        changes = {"id": "s-half", "state": "opening", "last_call_at": clock.now()}
        await store.add_session(known.model_copy(update=changes))


async def test_a_session_whose_server_died_as_it_opened_is_failed_by_the_next_before_any_call(
    open_fake: Any, start: Any, settings: Settings, clock: ManualClock
) -> None:
    async with open_fake() as sessions:
        await start(sessions)
    await die_opening(settings, clock)
    async with open_fake():
        pass
    # its owner's first call would fail it too, so the store is asked
    async with open_store(settings, clock) as store:
        record = await store.session("s-half")
        assert record is not None
        assert (record.state, record.reason) == ("failed", "the server stopped as it opened.")


async def test_a_session_whose_server_died_as_it_opened_is_failed_by_one_that_ran_beside_it(
    open_fake: Any, start: Any, settings: Settings, clock: ManualClock
) -> None:
    async with open_fake() as sessions:
        await start(sessions)
        await die_opening(settings, clock)
        views = {view.session: view for view in await sessions.list_sessions("ann")}
        assert views["s-half"].state == "failed"
        assert views["s-half"].reason == "the server stopped as it opened."
