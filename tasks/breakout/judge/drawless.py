"""Import this before gymnax: it draws with matplotlib and seaborn, which take seconds to import.

A judge draws nothing. In their place are empty modules.
"""

import sys
from collections.abc import Callable
from types import ModuleType


class Drawless(ModuleType):
    """A module in which every name is a function that does nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        """That function."""
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_args, **_options: None


for _name in ("matplotlib", "matplotlib.animation", "matplotlib.pyplot", "seaborn"):
    sys.modules.setdefault(_name, Drawless(_name))
