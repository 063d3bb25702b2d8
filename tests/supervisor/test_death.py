"""A real sandbox whose processes are killed from outside, or that tries to kill itself."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from mlgym_mcp.base.errors import SandboxDead
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.sandbox.bubblewrap import Bubblewrap
from mlgym_mcp.sandbox.contract import Command, Sandbox, SandboxSpec
from mlgym_mcp.sandbox.environments import Environments
from mlgym_mcp.types.budget import Limits

pytestmark = [pytest.mark.anyio, pytest.mark.bubblewrap]


@pytest.fixture
async def backend(settings: Settings) -> AsyncIterator[Bubblewrap]:
    async with Bubblewrap(settings, Environments(settings)) as opened:
        yield opened


async def open_one(backend: Bubblewrap, home: Path, name: str = "box") -> Sandbox:
    folders = [home / kind for kind in ("workspace", "outputs")]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    limits = Limits(memory_bytes=256 * 2**20)
    return await backend.open(SandboxSpec(name, "base", folders[0], folders[1], limits=limits))


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def jailer() -> int:
    """The `bwrap` process; its only child is the supervisor."""
    found = [
        pid for pid in children(os.getpid()) if "bwrap" in Path(f"/proc/{pid}/comm").read_text()
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("victim", ["supervisor", "jailer"])
async def test_a_killed_sandbox_is_dead_at_once_and_can_be_opened_anew(
    backend: Bubblewrap, home: Path, victim: str
) -> None:
    sandbox = await open_one(backend, home)
    job = await sandbox.start(Command(script="echo kept; sleep 60"))
    with anyio.fail_after(10):
        while not (await job.look()).output:
            await job.wait(0.02)
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                with pytest.raises(SandboxDead):
                    await job.wait(60)

            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            pid = jailer()
            os.kill(children(pid)[0] if victim == "supervisor" else pid, signal.SIGKILL)
        assert not sandbox.alive
        await sandbox.close()
        again = await open_one(backend, home)
        assert (
            await again.run(Command(script=f"cat /outputs/{job.job_id}.log"))
        ).output == "kept\n"
        await again.close()


async def test_every_process_inside_is_gone_after_closing(backend: Bubblewrap, home: Path) -> None:
    sandbox = await open_one(backend, home)
    await sandbox.run(Command(script="setsid sleep 61 & sleep 61 &"))
    inside = children(jailer())[0]
    assert len(Path(f"/proc/{inside}/task/{inside}/children").read_text().split()) >= 2
    with anyio.fail_after(10):
        await sandbox.close()
    assert not Path(f"/proc/{inside}").exists()
    assert children(os.getpid()) == []


async def test_leaving_the_backend_closes_what_was_forgotten(
    settings: Settings, home: Path
) -> None:
    with anyio.fail_after(20):
        async with Bubblewrap(settings, Environments(settings)) as backend:
            sandbox = await open_one(backend, home)
            await sandbox.start(Command(script="sleep 60"))
    assert not sandbox.alive
    assert children(os.getpid()) == []


async def test_opening_fails_with_what_the_engine_said(backend: Bubblewrap, home: Path) -> None:
    (home / "outputs").mkdir()
    spec = SandboxSpec("box", "base", home / "nowhere", home / "outputs")
    with pytest.raises(Exception, match="nowhere") as caught:
        await backend.open(spec)
    assert type(caught.value).__name__ == "SandboxError"
    assert children(os.getpid()) == []


async def test_control_groups_are_removed_with_their_sandbox(
    backend: Bubblewrap, home: Path
) -> None:
    sandbox = await open_one(backend, home)
    # unlike a glob, it minds no group that goes meanwhile: tests beside this one have some
    folders = [Path(folder) for folder, _, _ in os.walk("/sys/fs/cgroup")]
    groups = [path for path in folders if path.match("mlgym-*/box")]
    await sandbox.close()
    assert not any(path.exists() for path in groups)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may look at a supervisor's descriptors")
async def test_a_hundred_commands_leave_no_descriptors_behind(
    backend: Bubblewrap, home: Path
) -> None:
    sandbox = await open_one(backend, home)
    await sandbox.run(Command(script="true"))
    inside = children(jailer())[0]
    before = len(list(Path(f"/proc/{inside}/fd").iterdir()))
    for _ in range(100):
        await sandbox.run(Command(script="true"))
    # of a bash that waits it holds five, of one that it just starts eight; there may be two
    assert abs(len(list(Path(f"/proc/{inside}/fd").iterdir())) - before) <= 20
    logs = [path.name for path in (home / "outputs").iterdir() if path.name.startswith(".next")]
    assert len(logs) <= 2
    await sandbox.close()
