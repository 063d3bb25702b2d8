"""Floor 6: agents that play tasks over MCP."""

from mlgym_mcp.evaluation.baseline import play_baseline
from mlgym_mcp.evaluation.connection import Place, connected, server_program
from mlgym_mcp.evaluation.evaluate import evaluate
from mlgym_mcp.evaluation.record import read_scores, record
from mlgym_mcp.evaluation.rehearsal import rehearse
from mlgym_mcp.evaluation.result import OnProgress, PlayProgress, PlayResult

__all__ = [
    "OnProgress",
    "Place",
    "PlayProgress",
    "PlayResult",
    "connected",
    "evaluate",
    "play_baseline",
    "read_scores",
    "record",
    "rehearse",
    "server_program",
]
