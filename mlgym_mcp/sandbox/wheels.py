"""Wheels in the host's `find-links` folders that a lock names by their hash.

Above: builds of environments. Below: pip's own settings. Pip, asked for hashes, prefers a file
whose hash an index told it, so that a wheel that merely lies in a folder would never be taken.
Builds therefore get such wheels as a page of links with hashes.
"""

import ast
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlgym_mcp.sandbox.locks import Locks

PAGE = "links.html"


@dataclass(frozen=True)
class Wheel:
    """A local file that a lock allows."""

    path: Path
    digest: str
    """Its sha256."""


def local_wheels(locks: Locks) -> list[Wheel]:
    """Wheels that the locks pin, from the folders in pip's `find-links`; often there are none."""
    pins = set(locks.pins())
    found: dict[str, Wheel] = {}
    for folder in _find_links():
        for path in sorted(folder.glob("*.whl")):
            if _pin(path) in pins and path.name not in found:
                wheel = Wheel(path, _sha256(path))
                if locks.allows(wheel.digest):
                    found[path.name] = wheel
    return list(found.values())


def page(links: Mapping[str, str]) -> str:
    """A page for `--find-links`: the address of each wheel, as a link with its sha256."""
    lines = [f'<a href="{address}#sha256={digest}"></a>' for address, digest in links.items()]
    return "\n".join(["<!DOCTYPE html><html><body>", *lines, "</body></html>\n"])


def _pin(wheel: Path) -> tuple[str, str]:
    """Name and version a lock would have for the wheel: `torch-2.13.0+cpu-...` is torch 2.13.0."""
    name, _, rest = wheel.name.partition("-")
    version = rest.partition("-")[0].partition("+")[0]
    return re.sub(r"[-_.]+", "-", name).lower(), version


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _find_links() -> list[Path]:
    """The folders, from pip's variables and configuration files; without pip, its variables."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    values = [ast.literal_eval(text) for text in re.findall(r"\.find-links=('.*'|\".*\")", shown)]
    named = " ".join([os.environ.get("PIP_FIND_LINKS", ""), *values]).split()
    folders = [Path(name.removeprefix("file://")).expanduser() for name in dict.fromkeys(named)]
    return [folder.absolute() for folder in folders if folder.is_dir()]
