"""Finding a file by a path an agent gave, without ever leaving the allowed folders.

Each component is opened by itself, without following links; a link is followed by reading it and
walking on, from the folder it lies in. So what is checked is what is opened, whatever is renamed
meanwhile.
"""

import os
import stat

from mlgym_mcp.supervisor.fault import Fault
from mlgym_mcp.supervisor.lean import suppress

ROOTS = ("/workspace", "/outputs")

_FOLDER = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS = 40
_LONGEST = 4096


class Place:
    """A folder held open, and a name in it ("" for an allowed folder itself)."""

    def __init__(self, fd: int, name: str, shown: str, root: str) -> None:
        self.fd = fd
        self.name = name
        self.shown = shown
        self.root = root

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self.fd)

    def status(self) -> os.stat_result | None:
        """What is there now, not following links; None when nothing is."""
        try:
            if not self.name:
                return os.fstat(self.fd)
            return os.stat(self.name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None


class _Walk:
    """One walk from an allowed folder down, and up again no further than there."""

    def __init__(self, path: str, make_folders: bool) -> None:
        self.shown = path
        self._make_folders = make_folders
        self._links = 0
        self._root = ""
        self._fds: list[int] = []
        self._todo: list[str] = []
        self._begin(path)

    def _begin(self, path: str) -> None:
        """Start, or start again where an absolute link points."""
        if not path.startswith("/"):
            path = f"{ROOTS[0]}/{path}"
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if not parts or f"/{parts[0]}" not in ROOTS:
            raise Fault("bad_path", f"{self.shown!r} is outside {' and '.join(ROOTS)}.")
        self.release()
        self._root = f"/{parts[0]}"
        self._fds = [os.open(self._root, _FOLDER | os.O_DIRECTORY)]
        self._todo = parts[1:] + self._todo

    def release(self) -> None:
        """Close every folder on the way."""
        for fd in self._fds:
            os.close(fd)
        self._fds = []

    def find(self) -> Place:
        """Walk to the end."""
        while self._todo:
            part = self._todo.pop(0)
            if part == "..":
                self._up()
            elif self._link(part) or self._down(part):
                continue
            else:
                return Place(os.dup(self._fds[-1]), part, self.shown, self._root)
        return Place(os.dup(self._fds[-1]), "", self.shown, self._root)

    def _up(self) -> None:
        if len(self._fds) == 1:
            raise Fault("bad_path", f"{self.shown!r} leaves {self._root}.")
        os.close(self._fds.pop())

    def _link(self, part: str) -> bool:
        try:
            target = os.readlink(part, dir_fd=self._fds[-1])
        except OSError:
            return False
        self._links += 1
        if self._links > _MOST_LINKS:
            raise Fault("bad_path", f"{self.shown!r} goes through too many links.")
        if target.startswith("/"):
            self._begin(target)
        else:
            parts = [one for one in target.split("/") if one not in ("", ".")]
            self._todo = parts + self._todo
        return True

    def _down(self, part: str) -> bool:
        """Enter a folder; False when `part` is the last and no folder."""
        try:
            fd = os.open(part, _FOLDER | os.O_DIRECTORY, dir_fd=self._fds[-1])
        except FileNotFoundError:
            if not self._todo or not self._make_folders:
                if self._todo:
                    raise
                return False
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=self._fds[-1])
            self._todo.insert(0, part)
            return True
        except NotADirectoryError:
            if self._todo:
                raise
            return False
        self._fds.append(fd)
        return True


def find(path: str, make_folders: bool = False) -> Place:
    """Where `path` leads; relative paths start in the workspace.

    Raises:
        Fault: It leads out, or through what is no folder.
    """
    if "\0" in path or len(path.encode(errors="surrogateescape")) > _LONGEST:
        raise Fault("bad_path", "A path is at most 4096 bytes and holds no NUL.")
    _require_inside(path)
    walk: _Walk | None = None
    try:
        walk = _Walk(path, make_folders)
        return walk.find()
    except OSError as error:
        raise fault_of(error, path) from error
    finally:
        if walk is not None:
            walk.release()


def _require_inside(path: str) -> None:
    """Refuse what leads out by its text alone, whatever of it exists."""
    depth = -1 if path.startswith("/") else 0
    for part in path.split("/"):
        depth += (part not in ("", ".", "..")) - (part == "..")
        if part == ".." and depth < 0:
            raise Fault("bad_path", f"{path!r} leads out of {' and '.join(ROOTS)}.")


def fault_of(error: OSError, path: str) -> Fault:
    """What the agent is told of a system error at a path."""
    if isinstance(error, FileNotFoundError):
        return Fault("not_found", f"{path!r} does not exist.")
    reason = error.strerror or "it cannot be used"
    if isinstance(error, PermissionError | NotADirectoryError | IsADirectoryError):
        return Fault("bad_path", f"{path!r}: {reason}.")
    if reason in ("Read-only file system", "File name too long"):
        return Fault("bad_path", f"{path!r}: {reason}.")
    return Fault("failed", f"{path!r}: {reason}.")


def kind_of(mode: int) -> str:
    """The kind of a directory entry."""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "link" if stat.S_ISLNK(mode) else "other"
