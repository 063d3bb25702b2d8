"""An agent against the limits of a sandbox for which no control group can be made."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import anyio
import pytest

from mlgym_mcp.base.settings import Settings
from mlgym_mcp.sandbox.bubblewrap import Bubblewrap
from mlgym_mcp.sandbox.contract import Command, Sandbox, SandboxSpec
from mlgym_mcp.sandbox.environments import Environments
from mlgym_mcp.types.budget import Limits

pytestmark = [pytest.mark.anyio, pytest.mark.bubblewrap]

MEGABYTE = 2**20
LIMITS = Limits(memory_bytes=128 * MEGABYTE, processes=40, cpus=1)

HOLD = "\nimport time\ntime.sleep(5)\n"
"""What has taken too much keeps it for a while."""

MEMFD = """
import os
fd = os.memfd_create("some")
for _ in range(300):
    os.write(fd, bytes(1 << 20))
"""

WAYS = {
    "in one process": "x = bytes(b'x' * (200 << 20))",
    "in many small processes": """
import os
for _ in range(25):
    if os.fork() == 0:
        os.setsid()
        x = bytes(b"x" * (8 << 20))
        break
""",
    "in a daemon": """
import os
if os.fork():
    import time
    time.sleep(5)
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
x = bytes(b"x" * (200 << 20))
""",
    "in a file that has no name": MEMFD,
    "in such a file, open in one thread alone": f"""
import ctypes
{MEMFD}
libc = ctypes.CDLL(None)
stack = ctypes.create_string_buffer(1 << 16)
top = (ctypes.addressof(stack) + len(stack)) & ~63
thread = libc.clone(libc.pause, ctypes.c_void_p(top), 0x10900, None)
assert thread > 0
os.close(fd)
""",
    "in such a file, by a process that cannot be looked into": f"""
import ctypes
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
{MEMFD}
""",
    "in a shared mapping": """
import mmap
x = mmap.mmap(-1, 300 << 20)
for at in range(0, len(x), 4096):
    x[at] = 1
""",
    "in a shared mapping that is let go": """
import mmap
x = mmap.mmap(-1, 300 << 20)
for part in range(0, len(x), 1 << 20):
    x[part : part + (1 << 20)] = bytes(1 << 20)
    x.madvise(mmap.MADV_DONTNEED, part, 1 << 20)
""",
    "behind a first thread that has ended": """
import ctypes, platform, threading, time
x = bytes(b"x" * (200 << 20))
threading.Thread(target=time.sleep, args=(5,)).start()
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)
""",
}


class Open(Protocol):
    """Opens a sandbox without a control group."""

    async def __call__(self, name: str = "box", **limits: Any) -> Sandbox: ...


@pytest.fixture
async def open_one(
    settings: Settings, home: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Open]:
    async with Bubblewrap(settings, Environments(settings)) as backend:
        monkeypatch.setattr(backend, "_cgroups", None)

        async def open_box(name: str = "box", **limits: Any) -> Sandbox:
            folders = [home / name / kind for kind in ("workspace", "outputs")]
            for folder in folders:
                folder.mkdir(parents=True)
            chosen = LIMITS.model_copy(update=limits)
            spec = SandboxSpec(name, "base", folders[0], folders[1], limits=chosen)
            return await backend.open(spec)

        yield open_box


@pytest.mark.parametrize("way", WAYS)
async def test_too_much_memory_is_ended_and_named_when_it_is(open_one: Open, way: str) -> None:
    sandbox = await open_one()
    await sandbox.write_file("hog.py", (WAYS[way] + HOLD).encode())
    with anyio.fail_after(50):
        result = await sandbox.run(Command(script="python hog.py", timeout_seconds=40))
        while (await sandbox.usage()).memory_bytes > LIMITS.memory_bytes:
            await sandbox.run(Command(script="sleep 0.1"))
        again = await sandbox.run(Command(script="echo on"))
    assert "memory" in result.limits_hit
    assert again.output == "on\n"


async def test_memory_that_a_finished_command_left_growing_is_ended(open_one: Open) -> None:
    sandbox = await open_one()
    hog = "import time; time.sleep(1); x = bytes(b'x' * (200 << 20)); time.sleep(60)"
    started = await sandbox.run(Command(script=f'setsid python -c "{hog}" & echo $!'))
    with anyio.fail_after(50):
        look = Command(script=f"sleep 0.2; kill -0 {started.output.strip()}")
        while (await sandbox.run(look)).ok:
            pass


async def test_memory_that_children_share_is_counted_once(open_one: Open) -> None:
    sandbox = await open_one()
    script = """
import os, time
x = bytes(b"x" * (80 << 20))
for _ in range(4):
    if os.fork() == 0:
        break
time.sleep(1)
"""
    with anyio.fail_after(50):
        result = await sandbox.run(Command(script=f"python -c '{script}'"))
    assert (result.ok, result.limits_hit) == (True, ())


async def test_more_address_space_than_memory_may_be_had(open_one: Open) -> None:
    """Libraries reserve much that they never use, and data on disk is mapped whole."""
    sandbox = await open_one()
    script = """
import mmap
open("data", "wb").truncate(1 << 30)
file = open("data", "rb")
x = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
print(sum(x[at] for at in range(0, len(x), 1 << 24)))
"""
    with anyio.fail_after(50):
        result = await sandbox.run(Command(script=f"python -c '{script}'"))
    assert (result.output, result.limits_hit) == ("0\n", ())


async def test_processors_cannot_be_widened(open_one: Open) -> None:
    sandbox = await open_one()
    script = """
import os, threading
def widen():
    os.sched_setaffinity(0, range(os.cpu_count()))
    print(len(os.sched_getaffinity(0)))
widen()
thread = threading.Thread(target=widen)
thread.start()
thread.join()
"""
    result = await sandbox.run(Command(script=f"python -c '{script}'; nproc"))
    assert result.output == "1\n1\n1\n"


async def test_sandboxes_are_spread_over_the_processors(open_one: Open) -> None:
    count = len(os.sched_getaffinity(0))
    boxes = [await open_one(f"box{number}") for number in range(min(count, 4))]
    ask = Command(script="grep Cpus_allowed_list /proc/self/status")
    assert len({(await box.run(ask)).output for box in boxes}) == len(boxes)
    assert len(os.sched_getaffinity(0)) == count


async def test_a_command_that_has_taken_all_processes_can_be_ended(open_one: Open) -> None:
    sandbox = await open_one()
    script = "for i in $(seq 60); do sleep 60 & done; wait"
    with anyio.fail_after(60):
        job = await sandbox.start(Command(script=script))
        await job.wait(3)
        result = await job.cancel()
        assert "processes" in result.limits_hit
        assert (await sandbox.run(Command(script="echo on | cat"))).output == "on\n"


async def test_threads_count_as_processes_and_are_named(open_one: Open) -> None:
    sandbox = await open_one()
    script = """
import threading, time
for _ in range(60):
    threading.Thread(target=time.sleep, args=(2,)).start()
"""
    with anyio.fail_after(50):
        result = await sandbox.run(Command(script=f"python -c '{script}'"))
    assert not result.ok
    assert "processes" in result.limits_hit
