"""Opening, closing, dying: what is left is nothing, and what fails says so."""

import anyio
import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.errors import EngineMissing, SandboxDead
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.sandbox.contract import Backend, Command, Sandbox, SandboxSpec
from mlgym_mcp.sandbox.registry import open_backend

from .conftest import Open

pytestmark = pytest.mark.anyio


async def test_a_closed_sandbox_is_dead_and_closing_again_is_nothing(sandbox: Sandbox) -> None:
    assert sandbox.alive
    with anyio.fail_after(15):
        await sandbox.close()
        await sandbox.close()
    assert not sandbox.alive
    with pytest.raises(SandboxDead, match=sandbox.spec.name):
        await sandbox.run(Command(script="true"))
    with pytest.raises(SandboxDead):
        await sandbox.read_file("x")


async def test_closing_ends_what_runs_and_tells_who_waits(sandbox: Sandbox) -> None:
    job = await sandbox.start(Command(script="sleep 60"))
    told: list[str] = []

    async def wait() -> None:
        with pytest.raises(SandboxDead):
            await job.wait(60)
        told.append("dead")

    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await sandbox.close()
    assert told == ["dead"]


async def test_a_new_sandbox_of_the_same_name_finds_workspace_and_outputs(
    open_sandbox: Open,
) -> None:
    first = await open_sandbox()
    result = await first.run(Command(script="echo kept > file; echo said"))
    await first.close()
    second = await open_sandbox()
    assert await second.read_file("file") == b"kept\n"
    assert await second.read_file(result.output_path) == b"said\n"


async def test_the_output_of_a_lost_job_is_in_the_outputs_folder(sandbox: Sandbox) -> None:
    job = await sandbox.start(Command(script="echo so far; sleep 60"))
    with anyio.fail_after(15):
        while not (await job.look()).output:
            await job.wait(0.05)
        await sandbox.close()
    assert (sandbox.spec.outputs / f"{job.job_id}.log").read_text() == "so far\n"


async def test_an_unknown_environment_is_said_to_be_missing(
    backend: Backend, sandbox: Sandbox
) -> None:
    spec = SandboxSpec("other", "nowhere", sandbox.spec.workspace, sandbox.spec.outputs)
    with pytest.raises(EngineMissing, match="nowhere"):
        await backend.open(spec)


async def test_ten_sandboxes_open_work_and_close_at_once(open_sandbox: Open) -> None:
    outputs: set[str] = set()

    async def one(number: int) -> None:
        sandbox = await open_sandbox(f"n{number}")
        outputs.add((await sandbox.run(Command(script=f"echo {number}"))).output)
        await sandbox.close()

    with anyio.fail_after(90):
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(one, number)
    assert outputs == {f"{number}\n" for number in range(10)}


async def test_the_check_says_that_the_engine_works(backend: Backend) -> None:
    findings = await backend.check()
    assert findings
    assert all(finding.state != "failed" for finding in findings)


async def test_a_sweep_spares_what_is_open(backend: Backend, sandbox: Sandbox) -> None:
    await backend.sweep(frozenset({sandbox.spec.name}))
    assert (await sandbox.run(Command(script="echo on"))).output == "on\n"


async def test_a_backend_whose_opening_is_cancelled_has_nothing_open(
    backend_settings: Settings,
) -> None:
    with anyio.fail_after(15):
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with open_backend(backend_settings, SystemClock()):
                await anyio.sleep_forever()
    assert scope.cancelled_caught
