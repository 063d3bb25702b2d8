"""What one bubblewrap sandbox gets of the machine: a control group, or whole processors; GPUs.

Above: the bubblewrap backend takes a share for each sandbox that it opens. Below: `cgroup` and
`gpus`. It knows the other sandboxes of this process only.
"""

import contextlib
import os
import platform
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from random import SystemRandom
from typing import TypeVar

from mlgym_mcp.base.errors import SandboxError
from mlgym_mcp.sandbox.cgroup import OWN_PROCESSES, Cgroup, Cgroups
from mlgym_mcp.sandbox.contract import SandboxSpec
from mlgym_mcp.sandbox.gpus import gpus_there
from mlgym_mcp.types.budget import Limits

_RESERVED = 2
"""A process may reserve this many times the memory that all of them may use together."""

_COUNTED_APART = (5, 14)
"""Since this version the kernel counts a user's processes in each user namespace by itself."""

T = TypeVar("T", int, str)


@dataclass(frozen=True)
class Share:
    """What one sandbox gets."""

    cgroup: Cgroup | None = None
    processors: tuple[int, ...] = ()
    """Those it must stay on; none where a control group shares out their time."""

    gpus: tuple[str, ...] = ()
    """Their nodes, as paths below /dev."""

    def watched(self, limits: Limits) -> dict[str, object]:
        """Options for its supervisor: what to hold where no control group does."""
        if self.cgroup is not None:
            return {}
        most = limits.processes + OWN_PROCESSES
        return {
            "memory_bytes": limits.memory_bytes,
            "data_bytes": _RESERVED * limits.memory_bytes,
            "processes": most,
            "user_processes": most if kernel_counts() else None,
        }


def take_share(spec: SandboxSpec, cgroups: Cgroups | None, others: Iterable[Share]) -> Share:
    """A share for a sandbox beside others. Short blocking work.

    Raises:
        SandboxError: It is to have more GPUs than there are.
    """
    others, limits = list(others), spec.limits
    there = gpus_there() if limits.gpus else []
    if limits.gpus > len(there):
        raise SandboxError(
            f"The sandbox is to have {limits.gpus} GPUs, and {len(there)} can be seen here.",
            fix="See `mlgym-mcp doctor`, or choose a task that needs fewer.",
        )
    gpus = _least_used(there, limits.gpus, (one for other in others for one in other.gpus))
    group = None
    if cgroups is not None:
        # Without a group it opens too, and is watched by its supervisor.
        with contextlib.suppress(OSError):
            group = cgroups.create(spec.name, limits)
    if group is not None and "cpu" in group.folders:
        return Share(group, gpus=gpus)
    taken = (one for other in others for one in other.processors)
    usable = sorted(os.sched_getaffinity(0))
    return Share(group, _least_used(usable, ceil(limits.cpus), taken), gpus)


def _least_used(there: Sequence[T], wanted: int, taken: Iterable[T]) -> tuple[T, ...]:
    """`wanted` of those that are there, or all: first those that others have least of."""
    used = Counter(taken)
    spread = SystemRandom().sample(there, len(there))
    return tuple(sorted(sorted(spread, key=lambda one: used[one])[:wanted]))


def kernel_counts() -> bool:
    """Whether the kernel holds the number of a sandbox's processes without a control group.

    Never root's, and others' in an older kernel only together with all else that they run.
    """
    version = tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2])
    return os.getuid() != 0 and version >= _COUNTED_APART
