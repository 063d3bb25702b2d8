"""Many sessions at once: opened, stepping, closed; errors, memory, and what is left behind.

Above: the plan. Below: sessions of a place, and /proc.

Agents think between steps. Here every session waits a second between two of its steps, which is
less than any model takes; the same steps at one instant are measured too, and only reported.
"""

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import anyio

from mlgym_mcp.base.errors import MlgymError
from mlgym_mcp.base.settings import EngineName, Settings
from mlgym_mcp.evaluation.bench.place import PRINCIPAL, TASK, run_true, serving, session
from mlgym_mcp.evaluation.bench.processes import descendants, memory_bytes
from mlgym_mcp.evaluation.bench.row import Row
from mlgym_mcp.evaluation.bench.timing import Samples, repeat, since
from mlgym_mcp.sessions import Sessions, StartRequest
from mlgym_mcp.types.session import OPEN_STATES

T = TypeVar("T")

_STEPS = 10
_THINKING_SECONDS = 1.0
_PATIENCE_SECONDS = 600.0
_MB = 1_000_000
_IDLE_MB = 15.0
_SLOWER = 10.0


@dataclass
class _Crowd:
    """What many sessions at once went through."""

    size: int
    ids: list[str] = field(default_factory=list[str])
    openings: list[float] = field(default_factory=list[float])
    steps: list[float] = field(default_factory=list[float])
    instant: list[float] = field(default_factory=list[float])
    closings: list[float] = field(default_factory=list[float])
    errors: list[str] = field(default_factory=list[str])
    alone: float = 0.0
    """Median of a step of one session, nobody else there."""

    memory: float = 0.0
    """MB per idle session."""

    left: int = 0
    """Open sessions and processes after the end."""


async def crowd_rows(settings: Settings, engine: EngineName, size: int) -> list[Row]:
    """`size` sessions at once."""
    changes = {"queue_seconds": _PATIENCE_SECONDS, "max_sessions": size + 10}
    crowd = _Crowd(size)
    before = set(descendants())
    async with serving(settings.model_copy(update=changes), engine) as sessions:
        async with session(sessions) as alone:
            crowd.alone = (await repeat(partial(run_true, sessions, alone), 100, 10)).median
        await _play(sessions, crowd)
        views = await sessions.list_sessions(PRINCIPAL)
        crowd.left = sum(view.state in OPEN_STATES for view in views)
    crowd.left += len(set(descendants()) - before)
    return _rows(engine, crowd)


async def _play(sessions: Sessions, crowd: _Crowd) -> None:
    empty = memory_bytes()
    await _each(crowd, range(crowd.size), partial(_open, sessions, crowd))
    crowd.memory = (memory_bytes() - empty) / max(1, len(crowd.ids)) / _MB
    await _each(crowd, crowd.ids, partial(_think_and_step, sessions, crowd))
    await _each(crowd, crowd.ids, partial(_step, sessions, crowd.instant))
    await _each(crowd, crowd.ids, partial(_close, sessions, crowd))


async def _each(crowd: _Crowd, things: Iterable[T], action: Callable[[T], Awaitable[None]]) -> None:
    """All at once; an error is counted and stops nobody else."""

    async def one(thing: T) -> None:
        try:
            await action(thing)
        except MlgymError as error:
            crowd.errors.append(str(error))

    async with anyio.create_task_group() as group:
        for thing in things:
            group.start_soon(one, thing)


async def _open(sessions: Sessions, crowd: _Crowd, _number: int) -> None:
    start = time.perf_counter()
    opened = await sessions.start(PRINCIPAL, StartRequest(task=TASK, variant="mini"))
    crowd.openings.append(since(start))
    crowd.ids.append(opened.session)


async def _think_and_step(sessions: Sessions, crowd: _Crowd, session_id: str) -> None:
    # agents do not think in step
    await anyio.sleep(_THINKING_SECONDS * crowd.ids.index(session_id) / len(crowd.ids))
    for _ in range(_STEPS):
        await _step(sessions, crowd.steps, session_id)
        await anyio.sleep(_THINKING_SECONDS)


async def _step(sessions: Sessions, durations: list[float], session_id: str) -> None:
    start = time.perf_counter()
    await run_true(sessions, session_id)
    durations.append(since(start))


async def _close(sessions: Sessions, crowd: _Crowd, session_id: str) -> None:
    start = time.perf_counter()
    await sessions.end(PRINCIPAL, session_id)
    crowd.closings.append(since(start))


def _rows(engine: str, crowd: _Crowd) -> list[Row]:
    name = f"{crowd.size} sessions at once"
    timed = partial(_timed, engine, crowd.alone)
    return [
        Row(
            what="idle memory per session",
            engine=engine,
            unit="MB",
            value=crowd.memory,
            runs=len(crowd.ids),
            target=_IDLE_MB,
        ),
        timed(f"{name}, a second of thought: p95 of a step", crowd.steps, tail=True),
        timed(f"{name}, a second of thought: a step", crowd.steps),
        timed(f"{name}, all at one instant: a step", crowd.instant),
        timed(f"{name}: opening one of them", crowd.openings),
        timed(f"{name}: closing one of them", crowd.closings),
        Row(what=name, engine=engine, unit="errors", value=len(crowd.errors), target=0),
        Row(what=name, engine=engine, unit="left over", value=crowd.left, target=0),
    ]


def _timed(engine: str, alone: float, what: str, values: list[float], *, tail: bool = False) -> Row:
    samples = Samples(values or [0.0])
    return Row(
        what=what,
        engine=engine,
        unit="ms",
        value=samples.p95 if tail else samples.median,
        p95=samples.p95,
        runs=samples.runs,
        target=_SLOWER * alone if tail else None,
        rival="a step of one alone",
        rival_value=alone,
    )
