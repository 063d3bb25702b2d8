"""Opens this floor: everything below it, recovery, the reaper."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio

from mlgym_mcp.base.clock import Clock, SystemClock
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.tasks import owned_tasks
from mlgym_mcp.catalog import Datasets, load_catalog
from mlgym_mcp.sandbox.contract import Backend
from mlgym_mcp.sandbox.registry import open_backend
from mlgym_mcp.scoring import Scorer
from mlgym_mcp.sessions.admission import Admission, Measure
from mlgym_mcp.sessions.commands import Commands
from mlgym_mcp.sessions.desk import Desk
from mlgym_mcp.sessions.editing import Editing
from mlgym_mcp.sessions.grading import Grading
from mlgym_mcp.sessions.headroom import measure
from mlgym_mcp.sessions.opening import Opening
from mlgym_mcp.sessions.parts import Parts
from mlgym_mcp.sessions.reaping import Reaping
from mlgym_mcp.sessions.recovery import Recovery
from mlgym_mcp.sessions.registry import Registry
from mlgym_mcp.sessions.sandboxes import Sandboxes
from mlgym_mcp.sessions.searching import Searching
from mlgym_mcp.sessions.sessions import Floor, Sessions
from mlgym_mcp.sessions.steps import Steps
from mlgym_mcp.sessions.stopping import Stopping
from mlgym_mcp.sessions.watching import Watching
from mlgym_mcp.store import open_store


@asynccontextmanager
async def open_sessions(
    settings: Settings,
    clock: Clock | None = None,
    backend: Backend | None = None,
    measure: Measure = measure,
) -> AsyncGenerator[Sessions]:
    """Sessions on `home`, those of dead server processes included.

    A given backend is used and left open. Sessions stay open when the block ends: the next
    process on the same home continues them.

    Raises:
        ServerError: The store cannot be used.
        EngineMissing: No engine that can isolate is here.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings, clock))
        catalog = await anyio.to_thread.run_sync(load_catalog, settings)
        if backend is None:
            backend = await stack.enter_async_context(open_backend(settings, clock))
        datasets = Datasets(settings)
        scorer = Scorer(settings, clock, store, catalog, datasets, backend)
        await stack.enter_async_context(scorer.running())
        tasks = await stack.enter_async_context(owned_tasks())
        parts = Parts(settings, clock, store, catalog, datasets, backend, scorer, tasks)
        yield await _composed(parts, measure)


async def _composed(parts: Parts, measure: Measure) -> Sessions:
    registry = Registry(parts)
    admission = Admission(
        max_sessions=parts.settings.max_sessions,
        queue_seconds=parts.settings.queue_seconds,
        count=lambda: sum(s.record.state == "active" for s in registry.all()),
        measure=measure,
    )
    sandboxes = Sandboxes(parts, registry)
    stopping = Stopping(parts, registry, sandboxes)
    stopping.after.append(admission.look_again)
    steps = Steps(registry, sandboxes, stopping)
    watching = Watching(parts, registry, sandboxes)
    commands = Commands(parts, sandboxes, steps, watching)
    recovery = Recovery(parts, registry, sandboxes, stopping, watching)
    grading = Grading(parts, registry, stopping)
    reaping = Reaping(parts, registry, stopping, recovery)
    await recovery.start(grading)
    parts.tasks.start_soon(reaping.run)
    floor = Floor(
        parts=parts,
        registry=registry,
        desk=Desk(parts, registry, recovery),
        opening=Opening(parts, registry, sandboxes, stopping, admission),
        stopping=stopping,
        commands=commands,
        editing=Editing(steps),
        searching=Searching(steps),
        grading=grading,
        reaping=reaping,
    )
    return Sessions(floor)
