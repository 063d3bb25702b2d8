"""Taking a submission out of a folder that an agent may still be writing to.

Above: the scorer keeps what comes out by its hash. Below: the file system, walked from one open
folder to the next without ever following a link. Nothing but regular files is opened, nothing is
read before its size is known, and the walk stops at the first cap it meets.
"""

import errno
import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlgym_mcp.base.errors import SubmissionRejected
from mlgym_mcp.types.task import SubmissionSpec

_CHUNK = 2**20
_MAX_DEPTH = 16
_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def is_file_name(spec: SubmissionSpec) -> bool:
    """Whether the spec asks for one file: its path has a suffix."""
    return bool(Path(spec.path).suffix)


@dataclass(frozen=True)
class Taken:
    """One file that was copied out."""

    name: str
    """Its path, starting with the one in the spec."""

    copy: Path
    """The copy, in a folder no sandbox sees."""


def take_out(root: Path, wanted: str, spec: SubmissionSpec, into: Path) -> list[Taken]:
    """Copy the submission found at `wanted` under `root` into `into`, in path order.

    Raises:
        SubmissionRejected: It is missing, of another kind, or over a cap; the message names the
            path and the reason.
    """
    walk = _Walk(spec, wanted, into)
    *parents, name = Path(wanted).parts or ("",)
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for parent in parents:
            with _seen(folder, parent, wanted) as (handle, mode):
                if not stat.S_ISDIR(mode):
                    raise _rejected(wanted, f"lies in {parent}, which is {_kind(mode)}")
                inner = _reopen(handle, os.O_DIRECTORY, parent)
            os.close(folder)
            folder = inner
        walk.entry(folder, name, wanted, 0)
    finally:
        os.close(folder)
    return sorted(walk.taken, key=lambda taken: taken.name)


class _Walk:
    """One walk over a submission, with what it has used of the caps."""

    def __init__(self, spec: SubmissionSpec, wanted: str, into: Path) -> None:
        self.taken: list[Taken] = []
        self._spec = spec
        self._wanted = wanted
        self._into = into
        self._bytes = 0
        self._entries = 0

    def entry(self, folder: int, name: str, path: str, depth: int) -> None:
        """Take one file, or everything in one folder."""
        with _seen(folder, name, path) as (handle, mode):
            if stat.S_ISREG(mode):
                self._file(handle, path)
            elif stat.S_ISDIR(mode) and self._may_be_folder(depth):
                self._folder(handle, path, depth)
            else:
                expected = "a file or a folder" if self._may_be_folder(0) else "a file"
                raise _rejected(path, f"is {_kind(mode)}; expected {expected}")

    def _may_be_folder(self, depth: int) -> bool:
        return depth > 0 or not is_file_name(self._spec)

    def _folder(self, handle: int, path: str, depth: int) -> None:
        if depth >= _MAX_DEPTH:
            raise _rejected(path, f"lies more than {_MAX_DEPTH} folders deep")
        folder = _reopen(handle, os.O_DIRECTORY, path)
        try:
            for name in self._names(folder):
                self.entry(folder, name, f"{path}/{name}", depth + 1)
        finally:
            os.close(folder)
        if depth == 0 and not self.taken:
            raise _rejected(path, "has no files in it")

    def _names(self, folder: int) -> Iterator[str]:
        names: list[str] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                names.append(entry.name)
                self._entries += 1
                # folders count too, at a lower price: a tree of empty ones is no submission
                if self._entries > 4 * self._spec.max_files:
                    raise _rejected(self._wanted, f"has more than {self._spec.max_files} files")
        yield from sorted(names)

    def _file(self, handle: int, path: str) -> None:
        if not path.isprintable():
            raise _rejected(ascii(path), "has a name that is not printable text")
        if len(self.taken) >= self._spec.max_files:
            raise _rejected(self._wanted, f"has more than {self._spec.max_files} files")
        size, left = os.fstat(handle).st_size, self._spec.max_bytes - self._bytes
        if size > left:
            raise self._too_big(path, size)
        source = _reopen(handle, os.O_NONBLOCK, path)
        try:
            copy = self._into / str(len(self.taken))
            self._bytes += self._copied(source, copy, left, path)
        finally:
            os.close(source)
        name = self._spec.path + path.removeprefix(self._wanted)
        self.taken.append(Taken(name, copy))

    def _copied(self, source: int, copy: Path, most: int, path: str) -> int:
        total = 0
        with copy.open("xb") as target:
            while chunk := os.read(source, _CHUNK):
                total += len(chunk)
                if total > most:
                    raise self._too_big(path, total)
                target.write(chunk)
        return total

    def _too_big(self, path: str, size: int) -> SubmissionRejected:
        most = self._spec.max_bytes
        return _rejected(path, f"has at least {size} bytes; a submission may have {most} in all")


@contextmanager
def _seen(folder: int, name: str, path: str) -> Generator[tuple[int, int]]:
    """An entry's handle and mode, without opening it: opening a device can already do harm."""
    try:
        handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        raise _refused(error, path) from error
    try:
        yield handle, os.fstat(handle).st_mode
    finally:
        os.close(handle)


def _reopen(handle: int, flags: int, path: str) -> int:
    try:
        return os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC | flags)
    except OSError as error:
        raise _refused(error, path) from error


def _refused(error: OSError, path: str) -> SubmissionRejected:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return _rejected(path, "is not there")
    return _rejected(path, f"cannot be read: {error.strerror}")


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "no regular file")


def _rejected(path: str, reason: str) -> SubmissionRejected:
    return SubmissionRejected(
        f"The submission {path} {reason}.",
        fix="Put regular files there, as the task's brief says, and try again.",
    )
