"""Importing one file as a module, wherever it lies."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType


def import_file(path: Path, name: str) -> ModuleType:
    """Run the file as a module of that name; whatever it raises comes through.

    Raises:
        FileNotFoundError: It is not there, or not a file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path.name} is not a file")
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is not a Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
