"""A server that is killed, and the next one on its home."""

import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.errors import RequestError
from mlgym_mcp.base.settings import EngineName, Settings
from mlgym_mcp.sandbox.fake.sandbox import FakeSandbox
from mlgym_mcp.sessions import JobRequest, RunRequest, open_sessions

pytestmark = pytest.mark.anyio
_SERVER = Path(__file__).with_name("server.py")


@pytest.fixture
def killed(variables: dict[str, str], engine: EngineName) -> Iterator[Callable[[str], str]]:
    """Runs a server until it is in the midst of something, kills it with -9; its session."""
    processes: list[subprocess.Popen[str]] = []

    def run(mode: str) -> str:
        process = subprocess.Popen(
            [sys.executable, str(_SERVER), mode],
            env={**variables, "MLGYM_MCP_ENGINE": engine},
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        session = process.stdout.readline().strip()
        assert process.stdout.readline().strip() == "there"
        process.kill()
        process.wait()
        return session

    yield run
    for process in processes:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def cgroups_of(name: str) -> list[Path]:
    """Control groups of a session's or a grading's sandboxes."""
    # unlike a glob, it minds no group that goes meanwhile: tests beside this one have some
    return [Path(folder) for folder, _, _ in os.walk("/sys/fs/cgroup") if name in folder]


async def test_a_server_killed_in_the_midst_of_a_command_loses_nothing_acknowledged(
    killed: Callable[[str], str],
    engine: EngineName,
    engine_settings: Settings,
    containers: Callable[[], Awaitable[list[str]]],
    processes_with: Callable[[str], list[str]],
) -> None:
    session = await anyio.to_thread.run_sync(killed, "run")
    async with open_sessions(engine_settings) as sessions:
        (view,) = await sessions.list_sessions("ann")
        assert (view.session, view.state) == (session, "active")
        assert view.left.steps == view.budget.steps - 1
        (job,) = view.jobs
        # a sandbox of Docker outlives its server, one of bubblewrap dies with it
        assert job.state == ("running" if engine == "docker" else "lost")
        request = JobRequest(job_id=job.job_id, action="tail", cursor=0)
        assert (await sessions.job("ann", session, request)).output == "half\n"
        result = await sessions.run("ann", session, RunRequest(command="cat file"))
        assert result.output == "kept\n"
        repeated = RunRequest(command="not run", request_id="long", wait_seconds=1)
        assert (await sessions.run("ann", session, repeated)).job_id == job.job_id
        kinds = [event.kind for event in await sessions.trajectory("ann", session)]
        lost = [] if engine == "docker" else ["lost", "reopened"]
        assert kinds == ["opened", "call", *lost, "call", "result"]
        seqs = [event.seq for event in await sessions.trajectory("ann", session)]
        assert seqs == list(range(1, len(seqs) + 1))
        await sessions.end("ann", session)
    assert not processes_with(session)
    assert not processes_with("98765")
    assert not cgroups_of(session)
    # a container's processes and groups do not have the session's name
    assert not await containers()


@pytest.mark.parametrize("moment", ["submit", "grade"])
async def test_a_server_killed_after_a_submission_was_taken_has_it_graded_by_the_next(
    killed: Callable[[str], str],
    engine: EngineName,
    engine_settings: Settings,
    containers: Callable[[], Awaitable[list[str]]],
    processes_with: Callable[[str], list[str]],
    moment: str,
) -> None:
    home = engine_settings.home
    session = await anyio.to_thread.run_sync(killed, moment)
    begun = [path.name for path in await anyio.to_thread.run_sync(list, home.glob("grading/g-*"))]
    if moment == "grade":
        assert len(begun) == 1
    if moment == "grade" and engine == "docker":
        # the judge's and the player's, which outlive the server; the session's may still be closing
        assert len(await containers()) >= 2
    async with open_sessions(engine_settings) as sessions:
        with anyio.fail_after(90):
            grade = await sessions.submit("ann", session, "once")
        assert (grade.kind, grade.status, grade.session) == ("submit", "graded", session)
        view = await sessions.status("ann", session)
        assert (view.state, view.grade) == ("submitted", grade)
        kinds = [event.kind for event in await sessions.trajectory("ann", session)]
        assert kinds.count("grade") == 1
    # those of judges and players have the home's
    assert not processes_with(session)
    assert not processes_with(str(home))
    assert not [group for name in (session, *begun) for group in cgroups_of(name)]
    assert not await containers()
    assert not await anyio.to_thread.run_sync(list, home.glob("grading/*"))


async def test_a_server_that_stopped_is_continued_by_the_next(
    open_fake: Any, start: Any, survivors: dict[str, FakeSandbox], clock: Any
) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
        request = RunRequest(command="echo one; sleep 50; echo two", wait_seconds=1)
        handle = await sessions.run("ann", session, request)
    assert survivors[session].alive
    async with open_fake() as sessions:
        (view,) = await sessions.list_sessions("ann")
        assert [job.state for job in view.jobs] == ["running"]
        clock.advance(51)
        over = await sessions.job("ann", session, JobRequest(job_id=handle.job_id))
        assert over.result is not None
        assert over.result.output == "one\ntwo\n"
        kinds = [e.kind for e in await sessions.trajectory("ann", session)]
        assert kinds == ["opened", "call", "result"]


async def test_a_job_is_lost_with_its_output_when_its_sandbox_died_with_the_server(
    open_fake: Any, start: Any, survivors: dict[str, FakeSandbox]
) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
        request = RunRequest(command="echo half; sleep 50", wait_seconds=1)
        handle = await sessions.run("ann", session, request)
    survivors[session].kill()
    async with open_fake() as sessions:
        job = await sessions.job("ann", None, JobRequest(job_id=handle.job_id))
        assert (job.state, job.output) == ("lost", "half\n")
    async with open_fake() as sessions:
        job = await sessions.job("ann", None, JobRequest(job_id=handle.job_id))
        assert (job.state, job.output) == ("lost", "half\n")


async def test_a_planted_link_is_not_read_as_the_output_of_a_lost_job(
    open_fake: Any, start: Any, survivors: dict[str, FakeSandbox], home: Path
) -> None:
    (home / "secret").write_text("secret")
    async with open_fake() as sessions:
        session = await start(sessions)
        request = RunRequest(command="echo half; sleep 50", wait_seconds=1)
        handle = await sessions.run("ann", session, request)
    survivors[session].kill()
    log = home / "sessions" / session / "outputs" / f"{handle.job_id}.log"
    log.unlink()
    log.symlink_to(home / "secret")
    async with open_fake() as sessions:
        job = await sessions.job("ann", session, JobRequest(job_id=handle.job_id, cursor=0))
        assert (job.state, job.output) == ("lost", "")


async def test_a_session_served_by_a_living_process_is_left_to_it(
    open_fake: Any, start: Any
) -> None:
    async with open_fake(SystemClock()) as one, open_fake(SystemClock()) as two:
        session = await start(one)
        assert [view.session for view in await two.list_sessions("ann")] == [session]
        with pytest.raises(RequestError, match="served by another mlgym-mcp process"):
            await two.run("ann", session, RunRequest(command="true"))
        assert (await one.run("ann", session, RunRequest(command="true"))).exit_code == 0


async def test_a_second_server_removes_no_sandbox_of_the_first(
    open_fake: Any, start: Any, survivors: dict[str, FakeSandbox]
) -> None:
    async with open_fake() as one:
        session = await start(one)
        async with open_fake() as two:
            assert await two.list_sessions("bob") == []
        assert survivors[session].alive
        assert (await one.run("ann", session, RunRequest(command="true"))).exit_code == 0


async def test_leftovers_that_nobody_claims_are_removed_at_the_start(
    open_fake: Any, start: Any, survivors: dict[str, FakeSandbox]
) -> None:
    async with open_fake() as sessions:
        session = await start(sessions)
    survivors["g-left"] = survivors[session]
    async with open_fake() as sessions:
        assert set(survivors) == {session}


async def test_sigterm_leaves_sessions_for_the_next_server(
    variables: dict[str, str],
    engine_settings: Settings,
    engine: EngineName,
    containers: Callable[[], Awaitable[list[str]]],
    processes_with: Callable[[str], list[str]],
) -> None:
    process = await anyio.open_process(
        [sys.executable, str(_SERVER), "idle"],
        env={**variables, "MLGYM_MCP_ENGINE": engine},
        stderr=None,
    )
    async with process:
        assert process.stdout is not None
        said = b""
        while b"there" not in said:
            said += await process.stdout.receive()
        process.send_signal(signal.SIGTERM)
        await process.wait()
    session = said.decode().split()[0]
    async with open_sessions(engine_settings) as sessions:
        result = await sessions.run("ann", session, RunRequest(command="echo on"))
        assert result.output == "on\n"
        await sessions.end("ann", session)
    assert not processes_with(session)
    assert not await containers()
