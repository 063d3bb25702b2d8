"""The starter's heuristic, timed over the same kind of channel, before submitted code is loaded.

The far end is a child process with the loader that the player's sandbox runs too, so the time has
in it what every honest heuristic pays: solver, channel and a call.
"""

import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from harness.frames import LENGTH, decode, encode
from harness.player import Player
from player import Board

_SECONDS = 3600.0


def random_true(
    clauses: list[list[int]],
    assignments: dict[int, bool],
    conflict_count: int,
    assignment_history: list[tuple[int, bool]],
    level: int,
) -> tuple[int, bool]:
    """The starter's choice: a random variable without a value, and True."""
    variables = {abs(literal) for clause in clauses for literal in clause}
    return random.choice(sorted(variables - assignments.keys())), True


@contextmanager
def reference_player(seed: int) -> Iterator[Player]:
    """A trusted player of our own, in a child process that ends with the block."""
    near, far = socket.socketpair()
    child = os.fork()
    if child == 0:
        near.close()
        random.seed(seed)
        _serve(far)
        os._exit(0)
    far.close()
    try:
        yield Player(near, _SECONDS, time.monotonic() + _SECONDS)
    finally:
        near.close()
        os.waitpid(child, 0)


def _serve(connection: socket.socket) -> None:
    decide = Board(random_true).decide
    with connection.makefile("rb") as stream:
        while head := stream.read(LENGTH.size):
            number, _, args = decode(stream.read(LENGTH.unpack(head)[0]))
            connection.sendall(encode([number, "value", decide(*args)]))
