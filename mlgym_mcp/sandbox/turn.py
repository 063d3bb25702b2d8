"""A turn at long work that only one process of a home may do at a time."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

import anyio
from anyio import to_thread

from mlgym_mcp.base.errors import SandboxError
from mlgym_mcp.sandbox.contract import Report

_LOOK_AGAIN_SECONDS = 0.2


@asynccontextmanager
async def turn(path: Path, name: str, report: Report) -> AsyncGenerator[None]:
    """Hold the lock file `path`; it is released with this process, however that ends.

    Raises:
        SandboxError: The lock cannot be made, because its folder cannot be written.
    """
    try:
        await to_thread.run_sync(lambda: path.parent.mkdir(parents=True, exist_ok=True))
        file = await to_thread.run_sync(path.open, "wb")
    except OSError as error:
        raise SandboxError(
            f"Cannot write in the folder {path.parent}: {error.strerror}.",
            fix="Set MLGYM_MCP_HOME to a folder that you may write.",
        ) from error
    with file:
        told = False
        while not _take(file.fileno()):
            if not told:
                report(f"{name}: another process is building it", None)
            told = True
            await anyio.sleep(_LOOK_AGAIN_SECONDS)
        yield


def _take(fd: int) -> bool:
    try:
        flock(fd, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True
