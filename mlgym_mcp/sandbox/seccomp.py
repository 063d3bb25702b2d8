"""A filter of system calls for bubblewrap sandboxes: what no command needs is not offered.

Namespaces and lost capabilities already refuse most of these; the filter keeps them from the
kernel's code altogether, as Docker's own does for its containers. Written as the bytes of a classic
BPF program, so no library is needed. On a processor that is not in the table there is no filter.
"""

import os
import platform
import struct

_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_REFUSE = 0x00050001
"""EPERM."""

_IGNORE = 0x00050000
"""As if it were done."""

_UNKNOWN = 0x00050026
"""ENOSYS: the C library falls back to an older call, whose flags the filter can read."""

_LOAD, _EQUAL, _AT_LEAST, _HAS_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FLAGS_AT = 0, 4, 16
_X32_CALLS = 0x40000000
_NEW_USER_NAMESPACE = 0x10000000
_CLONE3 = 435

_REFUSED_EVERYWHERE = (*range(425, 434), 438, 442, 443)
"""io_uring, the new mount calls, pidfd_getfd, mount_setattr, quotactl_fd: alike on all."""

_PINNING = {"x86_64": 203, "aarch64": 122}
"""sched_setaffinity, without effect where it is all that limits the processors of a sandbox. It is
not refused: OpenMP ends a program whose threads cannot be bound as it asked."""

_PROCESSORS: dict[str, tuple[int, int, tuple[int, ...]]] = {
    "x86_64": (
        0xC000003E,
        56,
        (
            *(153, 154, 155, 156, 159, 161, 163, 164, 165, 166, 167, 168, 169, 172, 173, 174),
            *(175, 176, 177, 178, 179, 180, 212, 227, 246, 248, 249, 250, 272, 298, 303, 304),
            *(103, 305, 308, 313, 320, 321, 323),
        ),
    ),
    "aarch64": (
        0xC00000B7,
        220,
        (
            *(18, 39, 40, 41, 42, 51, 58, 60, 89, 97, 104, 105, 106, 112, 116, 142, 170, 171),
            *(217, 218, 219, 224, 225, 241, 264, 265, 266, 268, 273, 280, 282, 294),
        ),
    ),
}
"""By processor: its name for seccomp, the number of clone, and what is refused: clocks, chroot,
kernel modules, keys, kexec, mounts, namespaces, BPF, perf, userfaultfd, swap, quotas, reboot, ports,
opening files by handle."""


def seccomp_program(machine: str = "", *, pinned: bool = False) -> bytes | None:
    """The filter for a processor, this machine's by default; None where none is known.

    With `pinned` commands stay on the processors on which they were started.
    """
    machine = machine or platform.machine()
    known = _PROCESSORS.get(machine)
    if known is None:
        return None
    architecture, clone, refused = known
    steps = [
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_EQUAL, architecture, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER_AT),
        _step(_AT_LEAST, _X32_CALLS, 0, 1),
        _step(_RETURN, _UNKNOWN),
        _step(_EQUAL, _CLONE3, 0, 1),
        _step(_RETURN, _UNKNOWN),
    ]
    for number in (*refused, *_REFUSED_EVERYWHERE):
        steps += [_step(_EQUAL, number, 0, 1), _step(_RETURN, _REFUSE)]
    if pinned:
        steps += [_step(_EQUAL, _PINNING[machine], 0, 1), _step(_RETURN, _IGNORE)]
    steps += [
        _step(_EQUAL, clone, 0, 3),
        _step(_LOAD, _FLAGS_AT),
        _step(_HAS_BITS, _NEW_USER_NAMESPACE, 0, 1),
        _step(_RETURN, _REFUSE),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(steps)


def seccomp_file(program: bytes) -> int:
    """A descriptor from which `bwrap` reads the program; for the caller to close."""
    fd = os.memfd_create("seccomp")
    os.write(fd, program)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
