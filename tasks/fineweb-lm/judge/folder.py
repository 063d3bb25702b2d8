"""What may lie in a model folder: code, notes, and weights as safetensors.

Weights are looked at, never loaded: a header is eight bytes of length and as many bytes of JSON,
which gives each tensor's dtype, shape and place behind it.
"""

import json
import math
import struct
from pathlib import Path
from typing import Any

from harness.verdict import invalid

SUFFIXES = (".py", ".json", ".txt", ".md", ".safetensors")
MAX_HEADER = 8 * 2**20
BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64"), 64),
}
LENGTH = struct.Struct("<Q")


def check(folder: Path) -> None:
    """See that the folder is what the brief asks for.

    Raises:
        Verdict: It is not; the evidence names each file and what is wrong with it.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    faults = [] if (folder / "model.py").is_file() else ["model.py is missing"]
    for path in files:
        name = path.relative_to(folder).as_posix()
        if path.suffix not in SUFFIXES:
            faults.append(f"{name}: expected one of {', '.join(SUFFIXES)}; weights are safetensors")
        elif path.suffix == ".safetensors" and (fault := broken(path)):
            faults.append(f"{name} is not safetensors: {fault}")
    if faults:
        raise invalid(*faults)


def broken(path: Path) -> str:
    """What is wrong with one file of weights; empty when nothing is."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(LENGTH.size)
        if len(start) < LENGTH.size:
            return f"it has {size} bytes, too few for a header"
        (length,) = LENGTH.unpack(start)
        if length > min(MAX_HEADER, size - LENGTH.size):
            return (
                f"its header claims {length} bytes, of {size} in the file and {MAX_HEADER} allowed"
            )
        text = stream.read(length)
    try:
        header: Any = json.loads(text)
    except (ValueError, RecursionError):
        return "its header is not JSON"
    if not isinstance(header, dict):
        return "its header is no object"
    header.pop("__metadata__", None)
    return misplaced(header, size - LENGTH.size - length)


def misplaced(header: dict[str, Any], room: int) -> str:
    """The first tensor that is not where its header says; they fill the room without gaps."""
    end = 0
    try:
        tensors = sorted(header.items(), key=lambda item: tuple(item[1]["data_offsets"]))
        for name, tensor in tensors:
            first, last = tensor["data_offsets"]
            bits = BITS[tensor["dtype"]] * math.prod(tensor["shape"])
            if first != end or 8 * (last - first) != bits or last > room:
                return f"tensor {name!r:.60} does not lie where its shape says"
            end = last
    except (KeyError, TypeError, ValueError, AttributeError):
        return "its header does not describe tensors"
    return "" if end == room else f"{room - end} bytes belong to no tensor"
