"""Folders that last as long as one piece of work, and whom to blame when the disk refuses.

Above: taking, preparing and grading. Below: `home/grading`, which nobody else uses.
"""

import shutil
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio

from mlgym_mcp.base.errors import ServerError


@contextmanager
def disk_blamed(folder: Path) -> Generator[None]:
    """Turn what the file system raises into an error that names the folder.

    Raises:
        ServerError: The disk is full, or the folder may not be used.
    """
    try:
        yield
    except OSError as error:
        raise ServerError(
            f"{folder} cannot be used: {error.strerror}.",
            fix="Free space there, or set MLGYM_MCP_HOME to another folder.",
        ) from error


class Scratch:
    """The scratch folders of one home."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "grading"

    def place(self, name: str) -> Path:
        """Where the folder of that name is, while it is."""
        return self._folder / name

    @asynccontextmanager
    async def folder(self, name: str) -> AsyncGenerator[Path]:
        """A new folder, gone after the block.

        Raises:
            ServerError: It cannot be made.
        """
        folder = self.place(name)
        await anyio.to_thread.run_sync(_make, folder)
        try:
            yield folder
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_remove, folder)

    async def sweep(self) -> None:
        """Remove what killed processes left; only for a process that is alone on this home."""
        await anyio.to_thread.run_sync(_remove, self._folder)


def _make(folder: Path) -> None:
    with disk_blamed(folder):
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.mkdir()


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
