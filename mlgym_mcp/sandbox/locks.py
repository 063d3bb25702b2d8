"""What an environment is made of: its lock files, and what pip says while it installs them.

Above: virtual environments and images, which are both built from these. Below: the folder of one
environment. `requirements.lock` is installed always. Two more are there where they are needed:
`cuda.lock` has what a package's CUDA build cannot be imported without, and is installed unless the
build that came is one for CPUs (`+cpu`); `gpus.lock` has what a package runs on GPUs with and does
without elsewhere, and is installed where sessions get GPUs.
"""

import re
from hashlib import sha256
from pathlib import Path

from mlgym_mcp.base.shipped import shipped

BASIC = "requirements.lock"
CUDA = "cuda.lock"
GPUS = "gpus.lock"
CPU_BUILD = "lib/python3*/site-packages/*+cpu.dist-info"
"""Below an environment: there when a package was installed as a build for CPUs."""

WITH_RAW_PROGRESS = (24, 1)
"""The first pip that tells its progress when nobody looks at a terminal."""

_PIN = re.compile(r"^([a-zA-Z0-9][\w.-]*)==([^\s;]+)", re.MULTILINE)


class Locks:
    """The lock files of one environment's folder, in the order in which they are installed."""

    def __init__(self, folder: Path, *, gpus: bool) -> None:
        names = [BASIC, CUDA, GPUS] if gpus else [BASIC, CUDA]
        self.paths = [folder / name for name in names if (folder / name).exists()]
        self._texts = [path.read_text() for path in self.paths]

    def digest(self, *more: bytes) -> str:
        """Twelve digits that are others whenever a lock, or anything in `more`, is another."""
        made_of = (*(text.encode() for text in self._texts), *more)
        return sha256(b"\0".join(made_of)).hexdigest()[:12]

    def pins(self) -> list[tuple[str, str]]:
        """Name and version of every package."""
        return [(found[1], found[2]) for text in self._texts for found in _PIN.finditer(text)]

    def allows(self, digest: str) -> bool:
        """Whether a file of this sha256 may be installed."""
        return any(f"--hash=sha256:{digest}" in text for text in self._texts)


def for_gpus(environment: str) -> bool:
    """Whether a shipped environment has a build that can use a GPU."""
    folder = shipped("sandboxes") / environment
    return any((folder / name).exists() for name in (CUDA, GPUS))


class Installing:
    """Turns pip's lines into what is being done, and the share that is done."""

    def __init__(self, pins: int) -> None:
        self._pins = max(pins, 1)
        self._seen = 0
        self._package = ""

    def line(self, text: str) -> tuple[str, float] | None:
        """What one line of pip's says, if it says anything new."""
        if package := re.match(r"(?:Collecting |Processing \S*/)([A-Za-z0-9_.]+)", text):
            self._seen += 1
            self._package = package[1]
            return f"downloading {self._package}", self._share(1.0)
        if size := re.match(r"\s*Downloading \S+ \(([\d.]+ [kMG]?B)\)", text):
            return f"downloading {self._package} ({size[1]})", self._share(0.0)
        if progress := re.match(r"\s*Progress (\d+) of (\d+)", text):
            done, whole = int(progress[1]), max(int(progress[2]), 1)
            shown = f"{done / 1e6:.0f} of {whole / 1e6:.0f} MB"
            return f"downloading {self._package} ({shown})", self._share(done / whole)
        if text.startswith("Installing"):
            return "installing", 1.0
        return None

    def _share(self, of_this: float) -> float:
        return min((self._seen - 1 + of_this) / self._pins, 1.0)
