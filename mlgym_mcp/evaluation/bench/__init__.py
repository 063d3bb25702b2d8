"""How fast this installation is on this machine: each figure beside a rival measured in the run."""

from mlgym_mcp.evaluation.bench.plan import measure
from mlgym_mcp.evaluation.bench.row import Row

__all__ = ["Row", "measure"]
