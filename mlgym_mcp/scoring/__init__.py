"""Floor 4: submissions, judges, players and grades."""

from mlgym_mcp.scoring.headless import (
    BatchEntry,
    BatchResult,
    open_scorer,
    score_batch,
    score_path,
)
from mlgym_mcp.scoring.scorer import Scorer

__all__ = ["BatchEntry", "BatchResult", "Scorer", "open_scorer", "score_batch", "score_path"]
