"""Which server processes live on one home, told by locks that the kernel drops when they die.

Above: the store enters here when it opens. Every process holds `servers/<instance>.lock` for as
long as it lives, so a session's owner is dead exactly when its lock can be taken, whatever became
of its process id. Whoever removes leftovers does it while it holds the door, so that nobody comes
in meanwhile whose sandboxes would look like leftovers.
"""

import fcntl
import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio

from mlgym_mcp.store.failure import blamed_on

_DOOR = "door"
_LOOK_SECONDS = 0.02


class Instances:
    """The processes on one home; `own` is this one, once it has entered."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "servers"
        self.own = f"i-{secrets.token_hex(8)}"

    @asynccontextmanager
    async def entered(self) -> AsyncGenerator[None]:
        """Be one of the living until the block ends."""
        with blamed_on(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        async with self._door():
            with blamed_on(self._folder):
                descriptor = _opened(self._lock(self.own))
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.write(descriptor, f"{os.getpid()}\n".encode())
        try:
            yield
        finally:
            self._lock(self.own).unlink(missing_ok=True)
            os.close(descriptor)

    def alive(self, instance: str) -> bool:
        """Whether that process still lives."""
        if instance == self.own:
            return True
        try:
            descriptor = os.open(self._lock(instance), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return not _taken(descriptor)
        finally:
            os.close(descriptor)

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[bool]:
        """Whether no other process lives on this home; none enters until the block ends."""
        async with self._door():
            others = [path for path in self._folder.glob("*.lock") if path.stem != self.own]
            living = [path for path in others if self.alive(path.stem)]
            for path in set(others) - set(living):
                path.unlink(missing_ok=True)
            yield not living

    @asynccontextmanager
    async def _door(self) -> AsyncGenerator[None]:
        descriptor = _opened(self._folder / _DOOR)
        try:
            taken = _taken(descriptor)
            while not taken:
                # a lock cannot be awaited, and a thread that waits for one cannot be cancelled
                await anyio.sleep(_LOOK_SECONDS)
                taken = _taken(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _lock(self, instance: str) -> Path:
        return self._folder / f"{Path(instance).name}.lock"


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _taken(descriptor: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
