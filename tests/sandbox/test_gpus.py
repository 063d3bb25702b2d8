"""GPUs in bubblewrap, as far as it goes without one: which nodes a sandbox sees."""

import subprocess
from pathlib import Path

import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.errors import SandboxError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.sandbox.contract import Command, SandboxSpec
from mlgym_mcp.sandbox.gpus import gpu_options, gpus_there
from mlgym_mcp.sandbox.registry import open_backend
from mlgym_mcp.types.budget import Limits

pytestmark = pytest.mark.bubblewrap

NVIDIA = ("nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm", "nvidia-caps/nvidia-cap1")
AMD = ("kfd", "dri/renderD128", "dri/card0")
OTHERS = ("sda", "kmsg", "nvidia-nvswitch0")


def make_nodes(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def seen(devices: Path, *gpus: str) -> set[str]:
    """What a sandbox that got these GPUs has in its own /dev beside the usual."""
    given = [word for option in gpu_options(gpus, devices) for word in option]
    base = ["bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", "--dev", "/dev"]
    base += ["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"]
    find = ["--", "find", "/dev", "-type", "f", "-size", "+0c", "-printf", "%P\\n"]
    done = subprocess.run([*base, *given, *find], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_gpus_of_a_machine_are_counted_by_their_nodes(tmp_path: Path) -> None:
    nvidia = make_nodes(tmp_path / "nvidia", NVIDIA + OTHERS)
    assert gpus_there(nvidia) == ["nvidia0", "nvidia1", "nvidia10"]
    assert gpus_there(make_nodes(tmp_path / "amd", AMD + OTHERS)) == ["dri/renderD128"]
    assert gpus_there(make_nodes(tmp_path / "none", OTHERS)) == []


def test_a_sandbox_sees_the_gpus_that_it_got_and_no_other(tmp_path: Path) -> None:
    nvidia = make_nodes(tmp_path / "nvidia", NVIDIA + OTHERS)
    shared = {"nvidiactl", "nvidia-uvm", "nvidia-caps/nvidia-cap1"}
    assert seen(nvidia, "nvidia1") == {"nvidia1"} | shared
    assert seen(nvidia) == set()
    amd = make_nodes(tmp_path / "amd", AMD + OTHERS)
    assert seen(amd, "dri/renderD128") == {"dri/renderD128", "kfd"}


@pytest.mark.anyio
async def test_more_gpus_than_there_are_is_an_error_that_says_so(
    settings: Settings, home: Path
) -> None:
    limits = Limits(gpus=1000)
    chosen = settings.model_copy(update={"engine": "bubblewrap"})
    async with open_backend(chosen, SystemClock()) as backend:
        with pytest.raises(SandboxError, match="1000 GPUs"):
            await backend.open(SandboxSpec("box", "base", home, home, limits=limits))


@pytest.mark.anyio
async def test_a_sandbox_that_asked_for_no_gpu_has_only_the_usual_devices(
    settings: Settings, home: Path
) -> None:
    chosen = settings.model_copy(update={"engine": "bubblewrap"})
    async with open_backend(chosen, SystemClock()) as backend:
        sandbox = await backend.open(SandboxSpec("box", "base", home, home))
        there = (await sandbox.run(Command(script="ls /dev"))).output.split()
        await sandbox.close()
    links = {"core", "fd", "stderr", "stdin", "stdout", "ptmx", "pts", "shm"}
    assert set(there) <= links | {"console", "full", "null", "random", "tty", "urandom", "zero"}
