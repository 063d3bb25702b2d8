"""The pinned files that datasets are made from: taken from a mirror, else downloaded.

Above: datasets ask for whole, verified files. Below: the mirrors, the network, and a cache by
sha256 under `home/sources`. A file in the cache is always the pinned one; nothing else gets in.
"""

import hashlib
import os
import secrets
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import anyio
import httpx2

from mlgym_mcp.base.errors import DataCorrupt, DataMissing, ServerError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.types.task import Source

Report = Callable[[str, float | None], None]
ClientFactory = Callable[[], httpx2.AsyncClient]
_CHUNK = 2**20


def _default_client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(follow_redirects=True, timeout=httpx2.Timeout(60.0))


class Sources:
    """The cache of verified source files."""

    def __init__(self, settings: Settings, client: ClientFactory = _default_client) -> None:
        self._folder = settings.home / "sources"
        self._mirrors = settings.mirrors
        self._client = client

    def cached(self, source: Source) -> Path | None:
        """The verified file, if it is here."""
        path = self._folder / source.sha256
        return path if path.is_file() and path.stat().st_size == source.size else None

    def mirrored(self, source: Source) -> Path | None:
        """The first mirror's file of that path, whatever it holds."""
        candidates = (mirror / source.mirror for mirror in self._mirrors)
        return next((path for path in candidates if path.is_file()), None)

    async def local(self, source: Source) -> Path | None:
        """The verified file from the cache or a mirror; None when neither has it.

        Raises:
            DataCorrupt: The mirror's file is not the pinned one.
        """
        if path := self.cached(source):
            return path
        if mirror := self.mirrored(source):
            return await anyio.to_thread.run_sync(self._take_mirrored, source, mirror)
        return None

    async def fetch(self, source: Source, report: Report) -> Path:
        """The verified file, from the network if need be.

        Raises:
            DataMissing: It could not be downloaded.
            DataCorrupt: What came is not the pinned file.
        """
        if path := await self.local(source):
            return path
        put = f"put the file at {source.mirror} in a folder and name that folder in"
        if source.url is None:
            made = f"{' and '.join(source.variants)} {'is' if len(source.variants) == 1 else 'are'}"
            said = f"{source.name}, which {made} made from, has no public address"
            raise DataMissing(
                f"{said}: it comes from a mirror. {source.origin}".rstrip(),
                fix=f"{put[0].upper()}{put[1:]} MLGYM_MCP_MIRRORS.",
            )
        try:
            return await self._download(source, source.url, report)
        except httpx2.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise DataMissing(
                f"{source.name} could not be downloaded from {source.url}: {reason}.",
                fix=f"Try again, or {put} MLGYM_MCP_MIRRORS.",
            ) from error

    def _take_mirrored(self, source: Source, mirror: Path) -> Path:
        with mirror.open("rb") as stream, self._staged(source, str(mirror)) as staged:
            while chunk := stream.read(_CHUNK):
                staged.add(chunk)
        return self._folder / source.sha256

    async def _download(self, source: Source, url: str, report: Report) -> Path:
        what = f"downloading {source.name}"
        report(what, 0.0)
        async with self._client() as client, client.stream("GET", url) as response:
            response.raise_for_status()
            with self._staged(source, url) as staged:
                async for chunk in response.aiter_bytes(_CHUNK):
                    await anyio.to_thread.run_sync(staged.add, chunk)
                    report(what, min(1.0, staged.size / source.size))
        return self._folder / source.sha256

    @contextmanager
    def _staged(self, source: Source, origin: str) -> Generator["_Staged"]:
        target = self._folder / source.sha256
        partial = target.with_name(f".{source.sha256}-{secrets.token_hex(4)}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with partial.open("wb") as stream:
                staged = _Staged(source, origin, stream)
                yield staged
                staged.verify()
                os.fsync(stream.fileno())
            partial.chmod(0o444)
            partial.rename(target)
        except OSError as error:
            raise ServerError(
                f"{source.name} could not be kept in {self._folder}: {error.strerror}.",
                fix="Free space there, or set MLGYM_MCP_HOME to another folder.",
            ) from error
        finally:
            partial.unlink(missing_ok=True)


class _Staged:
    """A file on its way into the cache: hashed as it comes, never longer than pinned."""

    def __init__(self, source: Source, origin: str, stream: BinaryIO) -> None:
        self.size = 0
        self._source = source
        self._origin = origin
        self._stream = stream
        self._hash = hashlib.sha256()

    def add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self._source.size:
            raise self._corrupt(f"is longer than the pinned {self._source.size} bytes")
        self._hash.update(chunk)
        self._stream.write(chunk)

    def verify(self) -> None:
        if self.size != self._source.size:
            raise self._corrupt(f"has {self.size} bytes, expected {self._source.size}")
        if (found := self._hash.hexdigest()) != self._source.sha256:
            raise self._corrupt(f"has sha256 {found}, expected {self._source.sha256}")
        self._stream.flush()

    def _corrupt(self, what: str) -> DataCorrupt:
        return DataCorrupt(
            f"{self._origin} is not the pinned {self._source.name}: it {what}.",
            fix="Replace it with the pinned file, or take it out of MLGYM_MCP_MIRRORS so that it "
            "is downloaded.",
        )
