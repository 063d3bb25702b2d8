"""Floor 3: task folders, and the datasets behind them."""

from mlgym_mcp.catalog.catalog import Catalog, load_catalog
from mlgym_mcp.catalog.check import check_tasks
from mlgym_mcp.catalog.datasets import DatasetFolders, Datasets, Preparation, Prepare
from mlgym_mcp.catalog.summary import data_said, summarize
from mlgym_mcp.catalog.task import Task

__all__ = [
    "Catalog",
    "DatasetFolders",
    "Datasets",
    "Preparation",
    "Prepare",
    "Task",
    "check_tasks",
    "data_said",
    "load_catalog",
    "summarize",
]
