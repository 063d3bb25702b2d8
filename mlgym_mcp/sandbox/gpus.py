"""The GPUs of this machine as files: which there are, and what a program needs to use one.

Above: `jail` shows them to a sandbox that asked for GPUs, and to no other. Below: the nodes that the
drivers of NVIDIA and AMD make. The libraries that go with them lie under /usr.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

DEVICES = Path("/dev")

_WHOLE = re.compile(r"nvidia\d+|dri/renderD\d+")
_SHARED = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "nvidia-caps", "kfd")
_TOPOLOGY = ("/sys/devices", "/sys/bus/pci", "/sys/class/drm", "/sys/class/kfd")


def gpus_there(devices: Path = DEVICES) -> list[str]:
    """The node of each GPU, as a path below `devices`: NVIDIA's, else those of AMD's driver."""
    nvidia = _named(devices, "nvidia[0-9]*")
    if nvidia or not (devices / "kfd").exists():
        return nvidia
    return _named(devices, "dri/renderD[0-9]*")


def gpu_options(gpus: Iterable[str], devices: Path = DEVICES) -> Iterator[tuple[str, ...]]:
    """Options of `bwrap` that show these GPUs, and no others, in the sandbox's own /dev."""
    chosen = list(gpus)
    for name in (*chosen, *_SHARED):
        if chosen and (devices / name).exists():
            yield ("--dev-bind", str(devices / name), f"/dev/{name}")
    for folder in _TOPOLOGY:
        if chosen and Path(folder).is_dir():
            yield ("--ro-bind", folder, folder)


def _named(devices: Path, pattern: str) -> list[str]:
    found = (str(path.relative_to(devices)) for path in devices.glob(pattern))
    return sorted(name for name in found if _WHOLE.fullmatch(name))
