"""The embedded engine: a sandbox is one `bwrap` process, with the supervisor as pid 1 inside.

Above: the registry opens it. Below: `jail` says what is seen, `share` limits, `remote` talks. No
daemon, no image; a sandbox dies with this process, so nothing can be attached to.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from mlgym_mcp.base.errors import EngineMissing, SandboxDead, SandboxError
from mlgym_mcp.base.programs import ProgramCopy
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.tasks import owned_tasks
from mlgym_mcp.sandbox.cell import Cell
from mlgym_mcp.sandbox.cgroup import Cgroups, find_cgroups, joining
from mlgym_mcp.sandbox.contract import Backend, Report, Sandbox, SandboxSpec, silent
from mlgym_mcp.sandbox.environments import Environment
from mlgym_mcp.sandbox.jail import jail_argv, supervisor_python, trial_argv
from mlgym_mcp.sandbox.link import Link
from mlgym_mcp.sandbox.program import SUPERVISOR, supervisor_argv, supervisor_options
from mlgym_mcp.sandbox.remote import RemoteSandbox
from mlgym_mcp.sandbox.share import kernel_counts, take_share
from mlgym_mcp.types.finding import Finding

_GREETING_SECONDS = 30.0
_CLOSE_SECONDS = 10.0
_NAME = re.compile(r"[a-z0-9-]{1,100}")


class EnvironmentSource(Protocol):
    """Where environments come from; `environments.Environments` in earnest."""

    async def ensure(self, name: str, report: Report = silent) -> Environment:
        """The environment, built when it is not there."""
        ...


class Bubblewrap(Backend):
    """The backend; used as `async with`."""

    name = "bubblewrap"

    def __init__(self, settings: Settings, environments: EnvironmentSource) -> None:
        self._settings = settings
        self._environments = environments
        self._ready: dict[str, Environment] = {}
        self._bwrap = shutil.which("bwrap")
        self._cgroups: Cgroups | None = None
        self._program = ProgramCopy(settings.home, SUPERVISOR)
        self._open: dict[str, Cell] = {}
        self._opening = anyio.Semaphore(2 * (os.cpu_count() or 1))
        self._exits = AsyncExitStack()
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._cgroups = await to_thread.run_sync(find_cgroups, self._tag)
        # last, for what is cancelled before this has nothing to leave
        self._tasks = await self._exits.enter_async_context(owned_tasks())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        await self.close()
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()
        if self._cgroups is not None:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self._cgroups.close)
        return await self._exits.__aexit__(kind, error, trace)

    @property
    def _tag(self) -> str:
        return f"mlgym-{sha256(str(self._settings.home).encode()).hexdigest()[:10]}"

    async def prepare(self, environment: str, report: Report = silent) -> None:
        """Make an environment ready, once."""
        await self._prepared(environment, report)

    async def open(self, spec: SandboxSpec) -> Sandbox:
        """Open a sandbox."""
        if self._bwrap is None:
            raise missing()
        if not _NAME.fullmatch(spec.name):
            raise SandboxError(f"{spec.name!r} is no name for a sandbox.")
        if self._tasks is None:
            raise SandboxError("The backend is not open.", fix="Use it as `async with`.")
        environment = await self._prepared(spec.environment, silent)
        program = await self._program.folder()
        async with self._opening:
            others = [cell.share for cell in self._open.values()]
            share = await to_thread.run_sync(take_share, spec, self._cgroups, others)
            cell = Cell(spec, share)
            try:
                cell.launch(_argv(self._bwrap, cell, environment, program))
                link = await cell.link()
                self._tasks.start_soon(self._tend, cell, link)
                await link.greeting(_GREETING_SECONDS)
            except (SandboxDead, OSError) as error:
                await cell.end()
                reason = cell.said() or str(error)
                raise SandboxError(
                    f"Cannot open sandbox '{spec.name}': {reason}", fix="See `mlgym-mcp doctor`."
                ) from error
            except BaseException:
                await cell.end()
                raise
        return RemoteSandbox(spec, link, cell.end)

    async def attach(self, spec: SandboxSpec) -> Sandbox | None:  # noqa: ARG002 - see the module
        """Nothing: its sandboxes die with their server."""
        return None

    async def sweep(self, keep: frozenset[str]) -> int:
        """Remove what is left of sandboxes whose server was killed: their control groups."""
        return await to_thread.run_sync(self._sweep, keep)

    async def check(self) -> list[Finding]:
        """What `doctor` says of this engine here."""
        return await to_thread.run_sync(_findings, self._bwrap, self._cgroups)

    async def close(self) -> None:
        """End every sandbox."""
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            async with anyio.create_task_group() as group:
                for cell in list(self._open.values()):
                    group.start_soon(cell.end)

    async def _prepared(self, name: str, report: Report) -> Environment:
        if name not in self._ready:
            self._ready[name] = await self._environments.ensure(name, report)
        return self._ready[name]

    async def _tend(self, cell: Cell, link: Link) -> None:
        self._open[cell.spec.name] = cell
        try:
            await link.serve()
        finally:
            await cell.end()
            if self._open.get(cell.spec.name) is cell:
                del self._open[cell.spec.name]

    def _sweep(self, keep: frozenset[str]) -> int:
        if self._cgroups is None:
            return 0
        names = set(self._cgroups.names()) - keep - set(self._open)
        return sum(self._cgroups.remove(name) for name in names)


def missing() -> EngineMissing:
    """The error where the `bwrap` program is not there."""
    return EngineMissing(
        "The program `bwrap` is not installed.", fix=f"Install it: `{_install_command()}`."
    )


def _argv(bwrap: str, cell: Cell, environment: Environment, program: Path) -> list[str]:
    spec, share = cell.spec, cell.share
    jail = jail_argv(Path(bwrap), spec, environment, program, share, cell.filter)
    options = supervisor_options(spec, **share.watched(spec.limits))
    supervisor = supervisor_argv(supervisor_python(environment), "stdio", options)
    return [*(joining(share.cgroup) if share.cgroup else ()), *jail, *supervisor]


def _install_command() -> str:
    packages: Mapping[str, str] = {
        "apt-get": "sudo apt-get install bubblewrap",
        "dnf": "sudo dnf install bubblewrap",
        "apk": "sudo apk add bubblewrap",
        "pacman": "sudo pacman -S bubblewrap",
        "zypper": "sudo zypper install bubblewrap",
    }
    return next(
        (text for tool, text in packages.items() if shutil.which(tool)), packages["apt-get"]
    )


def _findings(bwrap: str | None, cgroups: Cgroups | None) -> list[Finding]:
    if bwrap is None:
        detail, fix = missing().message, _install_command()
        return [Finding(check="bubblewrap", state="failed", detail=detail, fix=fix)]
    version = subprocess.run([bwrap, "--version"], capture_output=True, text=True, check=False)
    done = subprocess.run(
        trial_argv(Path(bwrap)), capture_output=True, text=True, check=False, timeout=20
    )
    if done.returncode != 0:
        detail = f"{version.stdout.strip()} cannot isolate: {done.stderr.strip()[:300]}"
        fix = "sudo sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000"
        return [Finding(check="bubblewrap", state="failed", detail=detail, fix=fix)]
    return [
        Finding(check="bubblewrap", state="ok", detail=f"{version.stdout.strip()} at {bwrap}"),
        _cgroup_finding(cgroups),
    ]


def _cgroup_finding(cgroups: Cgroups | None) -> Finding:
    if cgroups is not None:
        return Finding(check="control groups", state="ok", detail=cgroups.describe())
    processes = "held by the kernel" if kernel_counts() else "counted with it"
    return Finding(
        check="control groups",
        state="warning",
        detail=(
            "none can be made here: a sandbox has whole processors, its memory is added up ten"
            f" times a second, its processes are {processes}"
        ),
        fix="systemd-run --user --scope -p Delegate=yes mlgym-mcp serve",
    )
