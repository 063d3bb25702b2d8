"""A filter of system calls for all that the supervisor starts: the disk is not taken without writing.

What is on the disk is counted a few times a second. Whoever writes for so long writes a gigabyte or
two; whoever reserves space takes the whole disk. Programs that ask for it are told that this file
system cannot, and write. `io_uring`, which does the same unseen, is not there.
"""

import os
import struct

from mlgym_mcp.supervisor.lean import address_of, prctl

_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_FILTER = 2
_LOAD, _EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _SECOND_AT = 0, 4, 24
_ALLOW = 0x7FFF0000
_UNSUPPORTED = 0x00050000 | 95
_REFUSED = 0x00050000 | 1
_X32_CALLS = 0x40000000

_IO_URING_SETUP = 425
_RESERVING = (
    *(0x40305828, 0x4030582A, 0x40305839, 0x402C5828, 0x402C582A, 0x402C5839),
    *(0x4030580A, 0x40305824),
)
"""FS_IOC_RESVSP, FS_IOC_RESVSP64 and FS_IOC_ZERO_RANGE, and their 32-bit shapes; XFS_IOC_ALLOCSP and
XFS_IOC_ALLOCSP64, which older kernels have."""

_PROCESSORS = {
    "x86_64": ((0xC000003E, 285, 16), (0x40000003, 324, 54)),
    "aarch64": ((0xC00000B7, 47, 29), (0x40000028, 352, 54)),
}
"""By machine, for each kind of program that it runs: its name for seccomp, fallocate, ioctl."""


def refuse_reserving() -> None:
    """From now on, here and in what is started; without effect on processors not in the table.

    Raises:
        OSError: The kernel refused.
    """
    kinds = _PROCESSORS.get(os.uname().machine)
    if kinds is None:
        return
    filters = b"".join(_part(*kind) for kind in kinds) + _step(_RETURN, _ALLOW)
    program = struct.pack("=HxxxxxxQ", len(filters) // 8, address_of(filters))
    # without new privileges anybody may have a filter; sandboxes have none in any case
    if prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(_PR_SET_SECCOMP, _FILTER, program, 0, 0):
        raise OSError("the kernel took no filter of system calls")


def _part(architecture: int, fallocate: int, ioctl: int) -> bytes:
    """For one kind of program: what it may not do; it ends at what follows for others."""
    requests = b"".join(
        _step(_EQUAL, request, 0, 1) + _step(_RETURN, _UNSUPPORTED) for request in _RESERVING
    )
    steps = (
        _step(_LOAD, _NUMBER_AT),
        _step(_AND, ~_X32_CALLS & 0xFFFFFFFF),
        _step(_EQUAL, fallocate, 0, 1),
        _step(_RETURN, _UNSUPPORTED),
        _step(_EQUAL, _IO_URING_SETUP, 0, 1),
        _step(_RETURN, _REFUSED),
        _step(_EQUAL, ioctl, 1, 0),
        _step(_RETURN, _ALLOW),
        _step(_LOAD, _SECOND_AT),
        requests,
        _step(_RETURN, _ALLOW),
    )
    body = b"".join(steps)
    head = _step(_LOAD, _ARCHITECTURE_AT) + _step(_EQUAL, architecture, 0, len(body) // 8)
    return head + body


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
