"""The backend of a machine where no engine can isolate: every opening says what to install.

So a server without an engine still starts, lists tasks, and tells the agent what is missing.
"""

from types import TracebackType
from typing import Self

from mlgym_mcp.base.errors import EngineMissing
from mlgym_mcp.sandbox.contract import Backend, Report, Sandbox, SandboxSpec, silent
from mlgym_mcp.types.finding import Finding


class Absent(Backend):
    """No engine, for the reasons in `findings`; used as `async with`, as every backend is."""

    name = "none"

    def __init__(self, findings: list[Finding]) -> None:
        self._failed = [finding for finding in findings if finding.state == "failed"]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    async def prepare(self, environment: str, report: Report = silent) -> None:
        """Say what is missing."""
        del environment, report
        raise self._missing()

    async def open(self, spec: SandboxSpec) -> Sandbox:
        """Say what is missing."""
        del spec
        raise self._missing()

    async def attach(self, spec: SandboxSpec) -> Sandbox | None:
        """Nothing lives without an engine."""
        del spec
        return None

    async def sweep(self, keep: frozenset[str]) -> int:
        """Nothing is left without an engine."""
        del keep
        return 0

    async def check(self) -> list[Finding]:
        """Why there is none."""
        return self._failed

    async def close(self) -> None:
        """Nothing is open."""

    def _missing(self) -> EngineMissing:
        reasons = "; ".join(f"{one.check}: {one.detail.rstrip('.')}" for one in self._failed)
        fix = next((finding.fix for finding in self._failed if finding.fix), "")
        return EngineMissing(
            f"No engine on this machine can isolate what an agent runs ({reasons}).",
            fix=f"Run `{fix}`, then try again; `mlgym-mcp doctor` says more.",
        )
