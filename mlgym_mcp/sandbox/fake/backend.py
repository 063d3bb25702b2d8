"""The backend in memory: opens sandboxes that interpret a small part of bash in this process.

Above: tests of sessions, scoring and servers. Below: `job` runs commands, `tree` finds files. It
isolates nothing and must never run what an agent wrote outside a test.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from anyio import CancelScope, to_thread

from mlgym_mcp.base.clock import Clock
from mlgym_mcp.base.errors import SandboxError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.sandbox.contract import Backend, Report, Sandbox, SandboxSpec, silent
from mlgym_mcp.sandbox.environments import Environments
from mlgym_mcp.sandbox.fake.programs import all_programs
from mlgym_mcp.sandbox.fake.sandbox import FakeSandbox
from mlgym_mcp.sandbox.fake.shell import Program
from mlgym_mcp.types.finding import Finding


class FakeBackend(Backend):
    """Opens fake sandboxes; used as `async with`.

    `programs` are what scripts can call beside the built-in ones, by name. `open_sandboxes` may
    be handed from one backend to the next, as an engine outlives a server.
    """

    name = "fake"

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        programs: Mapping[str, Program] | None = None,
        open_sandboxes: dict[str, FakeSandbox] | None = None,
    ) -> None:
        self.open_sandboxes: dict[str, FakeSandbox] = (
            {} if open_sandboxes is None else open_sandboxes
        )
        """Those that live now, by name."""

        self._environments = Environments(settings)
        self._clock = clock
        self._programs = all_programs(programs or {})

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def prepare(self, environment: str, report: Report = silent) -> None:
        """Nothing is built; only the name must be known."""
        self._environments.folder_of(environment)
        report(f"{environment}: ready", 1.0)

    async def open(self, spec: SandboxSpec) -> Sandbox:
        """Open a sandbox."""
        await self.prepare(spec.environment)
        before = self.open_sandboxes.get(spec.name)
        if before is not None and before.alive:
            raise SandboxError(f"A sandbox '{spec.name}' is open already.")
        await to_thread.run_sync(_require_folders, spec)
        sandbox = FakeSandbox(spec, self._clock, self._programs)
        self.open_sandboxes[spec.name] = sandbox
        return sandbox

    async def attach(self, spec: SandboxSpec) -> Sandbox | None:
        """The living sandbox of that name."""
        sandbox = self.open_sandboxes.get(spec.name)
        return sandbox if sandbox is not None and sandbox.alive else None

    async def sweep(self, keep: frozenset[str]) -> int:
        """Close those that no name in `keep` claims."""
        gone = [name for name in self.open_sandboxes if name not in keep]
        for name in gone:
            await self.open_sandboxes.pop(name).close()
        return len(gone)

    async def check(self) -> list[Finding]:
        """It is always there, and says what it is."""
        detail = "in memory, isolates nothing: for tests only"
        return [Finding(check="fake engine", state="ok", detail=detail)]

    async def close(self) -> None:
        """Close every sandbox that does not survive."""
        with CancelScope(shield=True):
            for name, sandbox in list(self.open_sandboxes.items()):
                if not (sandbox.spec.survives and sandbox.alive):
                    await sandbox.close()
                    del self.open_sandboxes[name]


def _require_folders(spec: SandboxSpec) -> None:
    for path in (spec.workspace, spec.outputs, *(mount.source for mount in spec.mounts)):
        if not path.exists():
            raise SandboxError(f"The folder {path} to be mounted does not exist.")
