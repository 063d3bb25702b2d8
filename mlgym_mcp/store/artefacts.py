"""Files by the sha256 of what is in them: whatever is here is whole, on the disk, and never changes.

Above: scoring keeps submissions here. It blocks, so it is called in a worker thread. It does not
know what a file means, nor who uses it.
"""

import hashlib
import os
import re
import secrets
from pathlib import Path

from mlgym_mcp.base.errors import NotFound
from mlgym_mcp.store.failure import blamed_on

_CHUNK = 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Artefacts:
    """The files under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, source: Path | int) -> tuple[str, int]:
        """Copy a file in, from its path or an open descriptor; its sha256 and its size.

        When this returns, the file is on the disk. A descriptor is read from where it stands
        and left open. Nothing is checked about the source: the caller opened or made it.

        Raises:
            ServerError: The disk is full, or the source could not be read.
        """
        with blamed_on(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial = self._folder / f".{secrets.token_hex(8)}"
            try:
                sha256, size = _copy(source, partial)
                target = self._place(sha256)
                target.parent.mkdir(exist_ok=True)
                partial.rename(target)
                _sync_folder(target.parent)
                _sync_folder(self._folder)
            finally:
                partial.unlink(missing_ok=True)
            return sha256, size

    def path(self, sha256: str) -> Path:
        """Where the file of that hash is, to be read and not to be changed.

        Raises:
            NotFound: It is not here.
        """
        if not _SHA256.fullmatch(sha256) or not (path := self._place(sha256)).is_file():
            raise NotFound(f"There is no stored file with sha256 {sha256[:64]}.")
        return path

    def _place(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256


def _copy(source: Path | int, target: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with (
        open(source, "rb", closefd=isinstance(source, Path)) as stream,
        target.open("xb") as kept,
    ):
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            kept.write(chunk)
        kept.flush()
        os.fchmod(kept.fileno(), 0o444)
        os.fsync(kept.fileno())
    return digest.hexdigest(), size


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
