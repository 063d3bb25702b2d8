"""Commands of a session: results, handles, cancelling, repeating, dying sandboxes."""

from typing import Any

import anyio
import anyio.lowlevel
import pytest

from mlgym_mcp.base.errors import NotFound, RequestError, SandboxDead
from mlgym_mcp.sandbox.fake.sandbox import FakeSandbox
from mlgym_mcp.sessions import JobRequest, RunRequest
from mlgym_mcp.types.command import CommandResult, JobView

pytestmark = pytest.mark.anyio


async def test_a_command_is_answered_with_its_result(open_fake: Any, start: Any) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
        result = await sessions.run("ann", session, RunRequest(command="echo hi; exit 3"))
        assert isinstance(result, CommandResult)
        assert (result.output, result.exit_code) == ("hi\n", 3)


async def test_every_step_is_recorded_before_it_is_answered(open_fake: Any, start: Any) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
        await sessions.run("ann", session, RunRequest(command="echo hi"))
        await sessions.list_files("ann", session)
        events = await sessions.trajectory("ann", session)
        assert [(e.seq, e.kind, e.name) for e in events] == [
            (1, "opened", ""),
            (2, "call", "run"),
            (3, "result", "run"),
            (4, "result", "list_files"),
        ]
        assert events[1].payload["arguments"]["command"] == "echo hi"
        assert events[2].payload["result"]["output"] == "hi\n"
        assert [e.seq for e in await sessions.trajectory("ann", session, after=2, limit=1)] == [3]


async def test_a_long_command_becomes_a_handle_with_its_output_so_far(
    open_fake: Any, start: Any, clock: Any
) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
        request = RunRequest(command="echo one; sleep 100; echo two", wait_seconds=1)
        handle = await sessions.run("ann", session, request)
        assert isinstance(handle, JobView)
        assert (handle.state, handle.output, handle.cursor) == ("running", "one\n", 4)
        listed = (await sessions.status("ann", session)).jobs
        assert [(job.job_id, job.state) for job in listed] == [(handle.job_id, "running")]
        clock.advance(101)
        over = await sessions.job("ann", session, JobRequest(job_id=handle.job_id, cursor=4))
        assert (over.state, over.output) == ("finished", "two\n")
        assert over.result is not None
        assert over.result.output == "one\ntwo\n"


async def test_a_handle_is_given_only_for_a_command_whose_call_is_recorded(
    open_fake: Any, start: Any
) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
        request = RunRequest(command="sleep 100", wait_seconds=0)
        handle = await sessions.run("ann", session, request)
        assert isinstance(handle, JobView)
        last = (await sessions.trajectory("ann", session))[-1]
        assert (last.kind, last.payload["job_id"]) == ("call", handle.job_id)


async def test_a_call_is_recorded_once_whenever_its_caller_leaves(
    open_fake: Any, start: Any
) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)

        async def run(scope: anyio.CancelScope) -> None:
            with scope:
                request = RunRequest(command="sleep 100", wait_seconds=0.001)
                await sessions.run("ann", session, request)

        for turns in range(60):
            scope = anyio.CancelScope()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run, scope)
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                scope.cancel()
        events = await sessions.trajectory("ann", session)
    calls = [event.payload["job_id"] for event in events if event.kind == "call"]
    assert len(calls) > 30
    assert len(set(calls)) == len(calls)


async def test_a_handle_can_be_looked_at_and_cancelled(open_fake: Any, start: Any) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
        request = RunRequest(command="echo one; sleep 100", wait_seconds=1)
        handle = await sessions.run("ann", session, request)
        assert isinstance(handle, JobView)
        tail = await sessions.job("ann", session, JobRequest(job_id=handle.job_id, action="tail"))
        assert (tail.state, tail.output) == ("running", "one\n")
        ended = await sessions.job(
            "ann", session, JobRequest(job_id=handle.job_id, action="cancel")
        )
        assert ended.result is not None
        assert ended.result.limits_hit == ("cancelled",)


async def test_a_job_that_ended_long_ago_is_still_known(open_fake: Any, start: Any) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
        result = await sessions.run("ann", session, RunRequest(command="echo hi"))
        seen = await sessions.job("ann", session, JobRequest(job_id=result.job_id, cursor=0))
        assert (seen.state, seen.command, seen.output) == ("finished", "echo hi", "hi\n")
        assert seen.result == result


async def test_an_unknown_job_is_not_found(open_fake: Any, start: Any) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
        for job in ("j-none", "../../store.sqlite3", "", "j" * 1000):
            with pytest.raises(NotFound, match="has no job"):
                await sessions.job("ann", session, JobRequest(job_id=job, action="tail", cursor=0))


async def test_progress_tells_the_seconds_and_the_last_line(open_fake: Any, start: Any) -> None:
    told: list[tuple[float, str]] = []
    heard = anyio.Event()

    async def progress(seconds: float, line: str) -> None:
        told.append((seconds, line))
        heard.set()

    async with open_fake() as sessions, anyio.create_task_group() as tasks:
        session = await start(sessions)
        request = RunRequest(command="echo one; echo two; sleep 100")
        tasks.start_soon(sessions.run, "ann", session, request, progress)
        with anyio.fail_after(10):
            await heard.wait()
        assert told[0][1] == "two"
        tasks.cancel_scope.cancel()


async def test_cancelling_a_run_ends_its_command_and_records_that(
    open_fake: Any, start: Any
) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
        request = RunRequest(command="sleep 100", request_id="r")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sessions.run, "ann", session, request)
            with anyio.fail_after(10):
                while (await sessions.trajectory("ann", session))[-1].kind != "call":
                    await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        last = (await sessions.trajectory("ann", session))[-1]
        assert last.payload["result"]["limits_hit"] == ["cancelled"]
        assert (await sessions.status("ann", session)).jobs == ()


async def test_a_command_with_a_handle_outlives_the_call_that_waits_for_it(
    open_fake: Any, start: Any, clock: Any
) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
        request = RunRequest(command="sleep 50; echo done", wait_seconds=0.05)
        handle = await sessions.run("ann", session, request)
        with anyio.move_on_after(0.1):
            await sessions.job("ann", session, JobRequest(job_id=handle.job_id))
        clock.advance(51)
        over = await sessions.job("ann", session, JobRequest(job_id=handle.job_id))
        assert over.result is not None
        assert over.result.output == "done\n"


async def test_a_repeated_request_gets_the_recorded_result_and_runs_nothing(
    open_fake: Any, start: Any
) -> None:
    request = RunRequest(command="echo x >> log; cat log", request_id="once")
    async with open_fake() as sessions:
        session = await start(sessions)
        first = await sessions.run("ann", session, request)
        assert await sessions.run("ann", session, request) == first
        assert first.output == "x\n"
        assert (await sessions.status("ann", session)).left.steps == 999
    async with open_fake() as sessions:
        assert await sessions.run("ann", session, request) == first


async def test_a_request_that_is_repeated_while_it_runs_joins_the_first(
    open_fake: Any, start: Any, clock: Any
) -> None:
    request = RunRequest(command="echo x >> log; cat log; sleep 30", request_id="once")
    results: list[CommandResult | JobView] = []
    async with open_fake() as sessions:
        session = await start(sessions)

        async def run() -> None:
            results.append(await sessions.run("ann", session, request))

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(run)
            # the command must have begun before its clock moves on
            with anyio.fail_after(10):
                while not (jobs := (await sessions.status("ann", session)).jobs):
                    await anyio.lowlevel.checkpoint()
                look = JobRequest(job_id=jobs[0].job_id, action="tail")
                while not (await sessions.job("ann", session, look)).output:
                    await anyio.lowlevel.checkpoint()
            clock.advance(31)
        assert len(results) == 5
        assert all(result == results[0] for result in results)
        assert isinstance(results[0], CommandResult)
        assert results[0].output == "x\n"


async def test_a_request_id_is_not_taken_for_another_kind_of_call(
    open_fake: Any, start: Any
) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
        await sessions.run("ann", session, RunRequest(command="true", request_id="r"))
        with pytest.raises(RequestError, match="request_id 'r' was used for another"):
            await sessions.submit("ann", session, "r")


async def test_a_sandbox_that_dies_under_a_command_is_told_and_opened_anew(
    open_fake: Any, start: Any, survivors: dict[str, FakeSandbox]
) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
        await sessions.run("ann", session, RunRequest(command="echo kept > file"))
        request = RunRequest(command="echo half; sleep 100", wait_seconds=1, request_id="r")
        handle = await sessions.run("ann", session, request)
        survivors[session].kill()
        lost = await sessions.job("ann", session, JobRequest(job_id=handle.job_id))
        assert (lost.state, lost.output, lost.result) == ("lost", "half\n", None)
        result = await sessions.run("ann", session, RunRequest(command="cat file"))
        assert result.output == "kept\n"
        kinds = [e.kind for e in await sessions.trajectory("ann", session)]
        assert kinds[3:] == ["call", "lost", "reopened", "call", "result"]
        again = await sessions.run("ann", session, request)
        assert isinstance(again, JobView)
        assert again.state == "lost"


async def test_the_call_that_sees_the_sandbox_die_gets_an_error_that_says_so(
    open_fake: Any, start: Any, survivors: dict[str, FakeSandbox]
) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)

        async def kill() -> None:
            while not (await sessions.status("ann", session)).jobs:
                await anyio.lowlevel.checkpoint()
            survivors[session].kill()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kill)
            with pytest.raises(SandboxDead):
                await sessions.run("ann", session, RunRequest(command="sleep 100"))
        assert (await sessions.status("ann", session)).state == "active"


async def test_a_sandbox_that_died_while_idle_is_opened_anew_without_an_error(
    open_fake: Any, start: Any, survivors: dict[str, FakeSandbox]
) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
        survivors[session].kill()
        result = await sessions.run("ann", session, RunRequest(command="echo hi"))
        assert result.output == "hi\n"


async def test_commands_run_side_by_side(open_fake: Any, start: Any) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
        slow = await sessions.run("ann", session, RunRequest(command="sleep 60", wait_seconds=0.05))
        fast = await sessions.run("ann", session, RunRequest(command="echo hi"))
        assert isinstance(slow, JobView)
        assert fast.output == "hi\n"


async def test_watchers_hear_of_every_event_until_they_leave(open_fake: Any, start: Any) -> None:
    heard: list[str] = []
    async with open_fake() as sessions:
        leave = sessions.watch(heard.append)
        session = await start(sessions)
        await sessions.run("ann", session, RunRequest(command="true"))
        assert heard == [session] * 3
        leave()
        await sessions.run("ann", session, RunRequest(command="true"))
        assert len(heard) == 3
