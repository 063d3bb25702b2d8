"""Inside the server: one command, one opening, one grading.

Above: the plan. Below: sessions of a place, and rivals.
"""

from functools import partial

from mlgym_mcp.base.settings import EngineName, Settings
from mlgym_mcp.evaluation.bench.place import PRINCIPAL, run_true, serving, session
from mlgym_mcp.evaluation.bench.rivals import EXEC_MS, RUN_MS, Rivals
from mlgym_mcp.evaluation.bench.row import Row
from mlgym_mcp.evaluation.bench.timing import Samples, repeat, repeat_opening
from mlgym_mcp.sessions import Sessions
from mlgym_mcp.types.grade import Grade

_COMMANDS = 200
_OPENINGS = 20
_GRADINGS = 8
_ARRIVAL_SECONDS = 1.0
"""Between two openings that find a warm sandbox: what was taken is made anew meanwhile."""

_AT_TARGETS = {"docker exec": EXEC_MS, "docker run": RUN_MS}
_ABOVE_JUDGE_MS = {"bubblewrap": 150.0, "docker": 700.0}


async def command_rows(settings: Settings, engine: EngineName, rivals: Rivals) -> list[Row]:
    """`run true`, called in the server's own process."""
    async with serving(settings, engine) as sessions, session(sessions) as session_id:
        ours = await repeat(partial(run_true, sessions, session_id), _COMMANDS, warm_up=20)
    rival = await rivals.exec_true()
    return [_row("run true, inside the server", engine, ours, 2.5, "docker exec", rival)]


async def opening_rows(settings: Settings, engine: EngineName, rivals: Rivals) -> list[Row]:
    """`start_session`, without and with sandboxes kept warm."""
    rival = await rivals.run_true()
    async with serving(settings, engine) as sessions:
        await _once(sessions)
        cold = await repeat_opening(partial(session, sessions), _OPENINGS)
    target = 60.0 if engine == "bubblewrap" else None
    rows = [_row("open a session, cold", engine, cold, target, "docker run", rival)]
    if engine == "docker":
        warm = await _warm(settings)
        rows.append(_row("open a session, warm", engine, warm, 60.0, "docker run", rival))
    return rows


async def grading_rows(settings: Settings, engine: EngineName, rivals: Rivals) -> list[Row]:
    """`validate` and `submit`, less what the judge's own `grade` took."""
    validates: list[float] = []
    submits: list[float] = []
    async with serving(settings, engine) as sessions:
        for _ in range(_GRADINGS):
            async with session(sessions) as session_id:
                validates.append(_above(await sessions.validate(PRINCIPAL, session_id)))
                submits.append(_above(await sessions.submit(PRINCIPAL, session_id)))
    target, rival = _ABOVE_JUDGE_MS[engine], await rivals.run_true()
    tools = {"validate": validates[1:], "submit": submits[1:]}
    return [
        _row(f"{tool}, above the judge's work", engine, Samples(took), target, "docker run", rival)
        for tool, took in tools.items()
    ]


async def _warm(settings: Settings) -> Samples:
    async with serving(settings, "docker", warm_sandboxes=2) as sessions:
        await _once(sessions)
        return await repeat_opening(partial(session, sessions), _OPENINGS, _ARRIVAL_SECONDS)


async def _once(sessions: Sessions) -> None:
    async with session(sessions):
        pass


def _above(grade: Grade) -> float:
    return (grade.seconds - grade.judge_seconds) * 1000


def _row(
    what: str,
    engine: str,
    ours: Samples,
    target: float | None,
    rival: str,
    rival_samples: Samples | None,
) -> Row:
    return Row(
        what=what,
        engine=engine,
        unit="ms",
        value=ours.median,
        p95=ours.p95,
        runs=ours.runs,
        target=target,
        rival=rival if rival_samples else "",
        rival_value=rival_samples.median if rival_samples else None,
        rival_at_target=_AT_TARGETS[rival],
    )
