"""Environments on the host: a virtual environment made once from its lock files.

Above: the bubblewrap backend mounts one at `/opt/env`. Below: `python -m venv` and pip, with the
host's own pip configuration, proxies and certificates. It does not know who mounts what it
builds, nor anything of images: those are built from the same locks by `sandbox.docker`.
"""

import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import anyio
from anyio.abc import ByteReceiveStream
from anyio.streams.text import TextReceiveStream

from mlgym_mcp.base.errors import EngineMissing, SandboxError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.sandbox.contract import Report, silent
from mlgym_mcp.sandbox.locks import BASIC, CPU_BUILD, CUDA, WITH_RAW_PROGRESS, Installing, Locks
from mlgym_mcp.sandbox.turn import turn
from mlgym_mcp.sandbox.wheels import PAGE, local_wheels, page

ENVIRONMENT_ROOT = "/opt/env"
"""Where every sandbox sees its environment."""

_LAYOUT = "2"
"""Changed when environments must be built anew although no lock changed."""

_FORGOTTEN = ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER")
"""Variables that would make pip install elsewhere than into the new environment."""

_KEPT_LINES = 15


@dataclass(frozen=True)
class Environment:
    """A built environment."""

    name: str
    path: Path
    """Its folder on the host, to be seen at `/opt/env`; made for that place only."""

    python: Path
    """Its Python on the host."""

    base_prefix: Path
    """Where the interpreter behind it is installed; it must be seen at the same place."""


class Environments:
    """The environments of one home, from the shipped folder of them or from `sandboxes`."""

    def __init__(self, settings: Settings, sandboxes: Path | None = None) -> None:
        self._folder = settings.home / "environments"
        self._sandboxes = sandboxes or shipped("sandboxes")
        self._gpus = settings.gpus > 0

    def names(self) -> list[str]:
        """The environments that ship with this program."""
        return sorted(path.parent.name for path in self._sandboxes.glob(f"*/{BASIC}"))

    def folder_of(self, name: str) -> Path:
        """The shipped folder of an environment: its locks and its Dockerfile.

        Raises:
            EngineMissing: There is none of that name.
        """
        if name not in self.names():
            known = ", ".join(self.names()) or f"none in {self._sandboxes}"
            raise EngineMissing(f"There is no environment '{name}'.", fix=f"Name one of: {known}.")
        return self._sandboxes / name

    def locks(self, name: str) -> Locks:
        """What an environment is made of here.

        Raises:
            EngineMissing: There is none of that name.
        """
        return Locks(self.folder_of(name), gpus=self._gpus)

    def ready(self, name: str) -> Environment | None:
        """The environment if it is built for this Python and lock, else None."""
        path = self._path_of(name)
        if not (path / "bin" / "python").exists():
            return None
        return Environment(name, path, path / "bin" / "python", Path(sys.base_prefix))

    async def ensure(self, name: str, report: Report = silent) -> Environment:
        """Build the environment unless it is there; safe beside other processes.

        Raises:
            EngineMissing: There is no environment of that name.
            SandboxError: It could not be built; the message ends with pip's last lines.
        """
        built = self.ready(name)
        if built is not None:
            return built
        async with turn(self._folder / f".{name}.lock", name, report):
            built = self.ready(name)
            if built is None:
                await self._build(name, report)
                built = self.ready(name)
        if built is None:
            raise SandboxError(
                f"Environment '{name}' was built but its Python does not start from"
                f" {self._path_of(name)}.",
                fix=_retry(name),
            )
        return built

    def _path_of(self, name: str) -> Path:
        made_for = f"{_LAYOUT} {sys.version} {sys.base_prefix}".encode()
        return self._folder / f"{name}-{self.locks(name).digest(made_for)}"

    async def _build(self, name: str, report: Report) -> None:
        building = await anyio.to_thread.run_sync(_begin, self._folder, name)
        try:
            await self._fill(name, building, report)
            await anyio.to_thread.run_sync(_settle, building, self._path_of(name))
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(shutil.rmtree, building, True)
        report(f"{name}: ready", 1.0)

    async def _fill(self, name: str, building: Path, report: Report) -> None:
        report(f"{name}: creating a virtual environment", 0.0)
        await _run(name, [_base_python(), "-m", "venv", str(building)], _Progress(name, 0, silent))
        locks = self.locks(name)
        progress = _Progress(name, len(locks.pins()), report)
        command = await anyio.to_thread.run_sync(_install, building, locks)
        for path in locks.paths:
            if path.name != CUDA or not _for_cpu(building):
                await _run(name, [*command, "-r", str(path)], progress)
        (building / PAGE).unlink()


class _Progress:
    """Turns pip's lines into a report, and keeps the last ones for an error."""

    def __init__(self, name: str, pins: int, report: Report) -> None:
        self._name = name
        self._installing = Installing(pins)
        self._report = report
        self.last: deque[str] = deque(maxlen=_KEPT_LINES)

    def line(self, text: str) -> None:
        """Take one line of output."""
        self.last.append(text)
        if said := self._installing.line(text):
            what, share = said
            self._report(f"{self._name}: {what}", 0.9 * share)


def _for_cpu(building: Path) -> bool:
    return any(building.glob(CPU_BUILD))


def _install(building: Path, locks: Locks) -> list[str]:
    """Pip in the new environment, for locks that name everything there is to install."""
    links = {wheel.path.as_uri(): wheel.digest for wheel in local_wheels(locks)}
    (building / PAGE).write_text(page(links))
    pip = next(building.glob("lib/python3*/site-packages/pip-*.dist-info"))
    version = tuple(map(int, re.findall(r"\d+", pip.name)[:2]))
    bar = "raw" if version >= WITH_RAW_PROGRESS else "off"
    # Wheels only: nothing of a package runs on the host while it is installed.
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--no-input"]
    command = [str(building / "bin" / "python"), "-m", "pip", "install", *options]
    return [*command, f"--progress-bar={bar}", "--find-links", str(building / PAGE)]


async def _run(name: str, command: list[str], progress: _Progress) -> None:
    variables = {key: value for key, value in os.environ.items() if key not in _FORGOTTEN}
    variables |= {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUNBUFFERED": "1"}
    try:
        process = await anyio.open_process(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, env=variables
        )
    except OSError as error:
        raise SandboxError(f"Cannot start {command[0]}: {error}.", fix=_retry(name)) from error
    async with process:
        assert process.stdout is not None
        async for line in _lines(process.stdout):
            progress.line(line)
        code = await process.wait()
    if code != 0:
        raise SandboxError(_failure(name, code, progress.last), fix=_remedy(name, progress.last))


async def _lines(stream: ByteReceiveStream) -> AsyncGenerator[str]:
    rest = ""
    async for chunk in TextReceiveStream(stream, errors="replace"):
        *lines, rest = (rest + chunk).split("\n")
        for line in lines:
            yield line
    if rest:
        yield rest


def _failure(name: str, code: int, last: Iterable[str]) -> str:
    lines = "\n".join(last)
    return f"Environment '{name}' could not be built (exit status {code}). Last lines:\n{lines}\n"


def _remedy(name: str, last: Iterable[str]) -> str:
    if any("ensurepip" in line for line in last):
        return (
            f"Install your system's venv package (`apt install python3-venv`), then {_retry(name)}"
        )
    return _retry(name)


def _retry(name: str) -> str:
    return f"Try again with `mlgym-mcp environments build {name}`."


def _base_python() -> str:
    """The interpreter itself, so that the new environment does not lean on ours."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def _begin(folder: Path, name: str) -> Path:
    """A fresh folder to build in; those of builds that were killed go."""
    for stale in folder.glob(f".{name}-*"):
        shutil.rmtree(stale, ignore_errors=True)
    building = Path(mkdtemp(prefix=f".{name}-", dir=folder))
    building.chmod(0o755)
    return building


def _settle(building: Path, path: Path) -> None:
    """Make every script name the place where sandboxes see it, then put it in place at once."""
    here = str(building).encode()
    there = ENVIRONMENT_ROOT.encode()
    for script in (building / "bin").iterdir():
        if script.is_symlink() or not script.is_file():
            continue
        text = script.read_bytes()
        if here in text:
            script.write_bytes(text.replace(here, there))
    building.rename(path)
