"""Which backend isolates here: chosen by name, imported only when it is the one.

Above: sessions and scoring get the backend opened here. Below: one module per engine. It knows
their names and nothing of how they work.
"""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module

from mlgym_mcp.base.clock import Clock, SystemClock
from mlgym_mcp.base.settings import EngineName, Settings
from mlgym_mcp.sandbox.absent import Absent
from mlgym_mcp.sandbox.contract import Backend
from mlgym_mcp.sandbox.environments import Environments
from mlgym_mcp.types.finding import Finding

ENGINES: tuple[EngineName, ...] = ("bubblewrap", "docker")
"""Engines that isolate, in the order in which `auto` tries them."""


_PLACES = {
    "bubblewrap": ("mlgym_mcp.sandbox.bubblewrap", "Bubblewrap"),
    "docker": ("mlgym_mcp.sandbox.docker.backend", "Docker"),
    "fake": ("mlgym_mcp.sandbox.fake.backend", "FakeBackend"),
}


@asynccontextmanager
async def open_backend(settings: Settings, clock: Clock) -> AsyncGenerator[Backend]:
    """The backend that `settings.engine` names, ready to use; its sandboxes end with the block.

    With `auto` and no engine that works here, every opening of a sandbox raises `EngineMissing`,
    and the fix is the one command that installs an engine.
    """
    if settings.engine != "auto":
        async with _make(settings.engine, settings, clock) as backend:
            yield backend
        return
    findings: list[Finding] = []
    for name in ENGINES:
        async with _make(name, settings, clock) as backend:
            found = await backend.check()
            if all(finding.state != "failed" for finding in found):
                yield backend
                return
            findings += found
    yield Absent(findings)


async def check_engines(settings: Settings) -> list[Finding]:
    """What `doctor` says of every engine that isolates."""
    findings: list[Finding] = []
    for name in ENGINES:
        async with _make(name, settings, SystemClock()) as backend:
            findings += await backend.check()
    return findings


def _make(name: str, settings: Settings, clock: Clock) -> AbstractAsyncContextManager[Backend]:
    module, made = _PLACES[name]
    kind = getattr(import_module(module), made)
    if name == "bubblewrap":
        return kind(settings, Environments(settings))
    return kind(settings, clock) if name == "fake" else kind(settings)
