"""Reading, writing and listing files for the host, with the rights of the commands' user."""

from __future__ import annotations

import os
import stat

from mlgym_mcp.supervisor.fault import Fault
from mlgym_mcp.supervisor.lean import TYPE_CHECKING, dumps, suppress
from mlgym_mcp.supervisor.paths import ROOTS, Place, fault_of, find, kind_of
from mlgym_mcp.supervisor.wire import CHUNK, MAX_BODY

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_COUNTED = 100_000
_LISTING_BYTES = MAX_BODY - 64 * 1024


def open_to_read(path: str, most: int) -> tuple[int, int]:
    """A descriptor of a regular file, and its size."""
    place = find(path)
    try:
        status = place.status()
        if status is None:
            raise Fault("not_found", f"{path!r} does not exist.")
        _require_file(path, status)
        # Not blocking: it may have become a pipe since it was looked at.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        fd = os.open(place.name, flags, dir_fd=place.fd)
    except OSError as error:
        raise fault_of(error, path) from error
    finally:
        place.close()
    try:
        status = os.fstat(fd)
        _require_file(path, status)
        if status.st_size > most:
            raise Fault(
                "bad_path", f"{path!r} has {status.st_size} bytes; at most {most} are read."
            )
    except Fault:
        os.close(fd)
        raise
    return fd, status.st_size


def _require_file(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = kind_of(status.st_mode)
        shown = "a device or pipe" if kind == "other" else f"a {kind}"
        raise Fault("bad_path", f"{path!r} is {shown}, not a file.")


class Writing:
    """A file being written beside its place, put there at once when it is whole."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._place = _place_to_write(path)
        self._temporary = f".mlgym-{os.urandom(8).hex()}.tmp"
        try:
            status = self._place.status()
            mode = stat.S_IMODE(status.st_mode) & 0o777 if status else 0o644
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(self._temporary, flags, mode, dir_fd=self._place.fd)
            if status is not None:
                os.fchmod(self._fd, mode)
        except OSError as error:
            self._place.close()
            raise fault_of(error, path) from error

    def add(self, data: bytes) -> None:
        """Write on."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            self.drop()
            raise fault_of(error, self._path) from error

    def commit(self) -> None:
        """Put it in its place."""
        fds = {"src_dir_fd": self._place.fd, "dst_dir_fd": self._place.fd}
        try:
            os.rename(self._temporary, self._place.name, **fds)
        except OSError as error:
            self.drop()
            raise fault_of(error, self._path) from error
        os.close(self._fd)
        self._place.close()

    def drop(self) -> None:
        """Give it up."""
        with suppress(OSError):
            os.unlink(self._temporary, dir_fd=self._place.fd)
        os.close(self._fd)
        self._place.close()


def _place_to_write(path: str) -> Place:
    place = find(path, make_folders=True)
    status = place.status()
    fault = None
    if place.root != ROOTS[0]:
        fault = f"{path!r} is not under {ROOTS[0]}."
    elif not place.name or path.endswith("/"):
        fault = f"{path!r} is a directory."
    elif status is not None and not stat.S_ISREG(status.st_mode):
        fault = f"{path!r} is a {kind_of(status.st_mode)}, not a file."
    if fault:
        place.close()
        raise Fault("bad_path", fault)
    return place


def list_folder(path: str, depth: int, limit: int) -> tuple[bytes, int]:
    """Entries as JSON lists of path, kind and size; and how many there are in all."""
    place = find(path)
    try:
        if place.name:
            if place.status() is None:
                raise Fault("not_found", f"{path!r} does not exist.")
            raise Fault("bad_path", f"{path!r} is not a directory.")
        shown: list[str] = []
        size = total = 0
        for entry in _entries(place.fd, "", depth):
            total += 1
            if len(shown) < limit and size < _LISTING_BYTES:
                shown.append(dumps(entry))
                size += len(shown[-1]) + 1
            if total >= _MOST_COUNTED:
                break
        return f"[{','.join(shown)}]".encode(), total
    except OSError as error:
        raise fault_of(error, path) from error
    finally:
        place.close()


def _entries(parent: int, prefix: str, depth: int) -> Iterator[tuple[str, str, int]]:
    try:
        fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
    except PermissionError:
        return
    try:
        for name in sorted(os.listdir(fd)):
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except OSError:
                continue
            kind = kind_of(status.st_mode)
            path = prefix + name.encode(errors="surrogateescape").decode(errors="replace")
            yield path, kind, status.st_size if kind == "file" else 0
            if kind == "directory" and depth > 1:
                yield from _below(fd, name, f"{path}/", depth - 1)
    finally:
        os.close(fd)


def _below(parent: int, name: str, prefix: str, depth: int) -> Iterator[tuple[str, str, int]]:
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, dir_fd=parent)
    except OSError:
        return
    try:
        yield from _entries(fd, prefix, depth)
    finally:
        os.close(fd)


def read_chunk(fd: int, start: int) -> bytes:
    """Up to one frame's worth of an opened file."""
    return os.pread(fd, CHUNK, start)
