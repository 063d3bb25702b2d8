"""Floor 3: the database of sessions, events and grades, and the files beside it."""

from mlgym_mcp.store.artefacts import Artefacts
from mlgym_mcp.store.entry import Entry
from mlgym_mcp.store.instances import Instances
from mlgym_mcp.store.store import Store, open_store

__all__ = ["Artefacts", "Entry", "Instances", "Store", "open_store"]
