"""What is measured, and in which order.

Above: the command line. Below: one module per kind of measurement. An engine that does not work
here is left out, and the caller hears of it.
"""

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import EngineName, Settings
from mlgym_mcp.evaluation.bench.crowd import crowd_rows
from mlgym_mcp.evaluation.bench.inside import command_rows, grading_rows, opening_rows
from mlgym_mcp.evaluation.bench.place import bench_home
from mlgym_mcp.evaluation.bench.rivals import Rivals
from mlgym_mcp.evaluation.bench.row import Row
from mlgym_mcp.evaluation.bench.wire import wire_rows
from mlgym_mcp.sandbox.contract import Report
from mlgym_mcp.sandbox.registry import ENGINES, open_backend

_ENVIRONMENT = "base"


async def measure(settings: Settings, size: int, report: Report) -> list[Row]:
    """Measure everything that works here; `size` sessions make the crowd."""
    rows: list[Row] = []
    with bench_home(settings) as own:
        rivals = Rivals(own)
        asked: list[EngineName] = [engine for engine in ENGINES if own.engine in {"auto", engine}]
        usable: list[EngineName] = [engine for engine in asked if await _ready(own, engine, report)]
        for engine in usable:
            report(f"{engine}: a command", None)
            rows += await command_rows(own, engine, rivals)
            report(f"{engine}: MCP over stdio", None)
            rows += await wire_rows(own, engine)
            report(f"{engine}: opening sessions", None)
            rows += await opening_rows(own, engine, rivals)
            report(f"{engine}: grading", None)
            rows += await grading_rows(own, engine, rivals)
        for engine in usable[:1] if size else ():
            report(f"{engine}: {size} sessions at once", None)
            rows += await crowd_rows(own, engine, size)
    return rows


async def _ready(settings: Settings, engine: EngineName, report: Report) -> bool:
    """Whether the engine works here; its environment is made ready first."""
    chosen = settings.model_copy(update={"engine": engine})
    async with open_backend(chosen, SystemClock()) as backend:
        if any(finding.state == "failed" for finding in await backend.check()):
            return False
        await backend.prepare(_ENVIRONMENT, report)
        return True
