"""The file system a fake sandbox sees: its spec's folders, at the places they are mounted.

The folders are real, so that whatever copies out of a workspace works. Links are followed in the
sandbox's own view of the world, never the host's.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from mlgym_mcp.base.errors import BadPath
from mlgym_mcp.sandbox.contract import OUTPUTS, WORKSPACE, Mount, SandboxSpec

_MOST_LINKS = 40
_LONGEST = 4096


@dataclass(frozen=True)
class Place:
    """Where a path leads."""

    shown: str
    """The path in the sandbox, absolute and without links."""

    host: Path
    """What it is on the host; a path that exists nowhere when it is in no mount."""

    writable: bool


class Tree:
    """The mounts of one sandbox."""

    def __init__(self, spec: SandboxSpec) -> None:
        own = (Mount(spec.workspace, WORKSPACE, True), Mount(spec.outputs, OUTPUTS, True))
        self._mounts = sorted((*own, *spec.mounts), key=lambda mount: -len(mount.target))
        self._owned = (spec.workspace, spec.outputs)

    def find(self, path: str, cwd: str = WORKSPACE, *, follow_last: bool = True) -> Place:
        """Where a path leads for a command."""
        return self._find(path, cwd, follow_last=follow_last, roots=())

    def find_allowed(self, path: str, *, follow_last: bool = True) -> Place:
        """Where a path leads for a request from outside.

        Raises:
            BadPath: It leaves the workspace and the outputs.
        """
        if "\0" in path or len(path.encode(errors="surrogateescape")) > _LONGEST:
            raise BadPath("A path is at most 4096 bytes and holds no NUL.")
        return self._find(path, WORKSPACE, follow_last=follow_last, roots=(WORKSPACE, OUTPUTS))

    def used(self) -> int:
        """Bytes in the workspace and the outputs together."""
        total = 0
        for root in self._owned:
            for folder, _folders, files in os.walk(root):
                total += sum(Path(folder, name).lstat().st_size for name in files)
        return total

    def _find(self, path: str, cwd: str, *, follow_last: bool, roots: tuple[str, ...]) -> Place:
        todo = _parts(path if path.startswith("/") else f"{cwd}/{path}")
        done: list[str] = []
        links = 0
        while todo:
            part = todo.pop(0)
            if part == "..":
                done = done[:-1]
                if roots and not _below(done, roots):
                    raise BadPath(f"{path!r} leaves {' and '.join(roots)}.")
                continue
            place = self._place([*done, part])
            if place.host.is_symlink() and (todo or follow_last):
                links += 1
                target = str(place.host.readlink())
                done = [] if target.startswith("/") else done
                todo = _parts(target) + todo
                if links > _MOST_LINKS:
                    raise BadPath(f"{path!r} goes through too many links.")
                continue
            done.append(part)
        if roots and not _below(done, roots):
            raise BadPath(f"{path!r} is outside {' and '.join(roots)}.")
        return self._place(done)

    def _place(self, parts: list[str]) -> Place:
        shown = "/" + "/".join(parts)
        for mount in self._mounts:
            if shown == mount.target or shown.startswith(mount.target + "/"):
                host = mount.source / shown[len(mount.target) :].lstrip("/")
                return Place(shown, host if shown != mount.target else mount.source, mount.writable)
        return Place(shown, Path("/nonexistent") / shown.lstrip("/"), writable=False)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _below(parts: list[str], roots: tuple[str, ...]) -> bool:
    return bool(parts) and f"/{parts[0]}" in roots
