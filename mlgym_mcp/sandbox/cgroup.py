"""Control groups for sandboxes that no daemon makes them for: memory, processes, CPU.

Version 1 or 2, wherever this process may make groups and move processes into them: as root, or in
what systemd delegates to a user. Above: the bubblewrap backend. It does not know what runs in a
group. Everything here is short blocking work on kernel files.
"""

import contextlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from mlgym_mcp.types.budget import Limits

_PERIOD = 100_000
_WANTED = ("memory", "pids", "cpu")
_NEEDED = frozenset({"memory", "pids"})
OWN_PROCESSES = 3
"""Those of the sandbox itself, which the limit of the commands does not count."""


@dataclass(frozen=True)
class Cgroup:
    """The groups of one sandbox: one folder in version 2, one per controller in version 1."""

    folders: dict[str, Path]
    """By controller; in version 2 all are the same folder."""

    unified: bool

    @property
    def doors(self) -> list[str]:
        """The files a process writes itself into."""
        return [str(folder / "cgroup.procs") for folder in dict.fromkeys(self.folders.values())]

    @property
    def views(self) -> list[tuple[Path, str]]:
        """Folders, and where a process in the group expects to see them."""
        if self.unified:
            return [(self.folders["memory"], "/sys/fs/cgroup")]
        return [(folder, f"/sys/fs/cgroup/{name}") for name, folder in self.folders.items()]

    def remove(self) -> bool:
        """Remove it; False while processes are still in it."""
        gone = True
        for folder in dict.fromkeys(self.folders.values()):
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                gone = False
        return gone


@dataclass(frozen=True)
class Cgroups:
    """The place where the groups of one home are made."""

    folders: dict[str, Path]
    unified: bool

    def create(self, name: str, limits: Limits) -> Cgroup:
        """Make the groups of a sandbox, with its limits set.

        Raises:
            OSError: The kernel refused.
        """
        group = self._group(name)
        for folder in dict.fromkeys(group.folders.values()):
            # Another process of the same home may have removed the place when it left.
            folder.parent.mkdir(exist_ok=True)
            if self.unified:
                _enable(folder.parent, list(group.folders))
            folder.mkdir(exist_ok=True)
        try:
            for controller, folder in group.folders.items():
                _set_limits(controller, folder, limits, self.unified)
        except OSError:
            group.remove()
            raise
        return group

    def names(self) -> list[str]:
        """Sandboxes that have groups here, living or left over."""
        return sorted(path.name for path in self.folders["memory"].iterdir() if path.is_dir())

    def remove(self, name: str) -> bool:
        """Remove the groups of a sandbox; False while it lives."""
        return self._group(name).remove()

    def close(self) -> None:
        """Remove the place itself, unless sandboxes of another process are in it."""
        for folder in dict.fromkeys(self.folders.values()):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def describe(self) -> str:
        """What `doctor` says."""
        version = "version 2" if self.unified else "version 1"
        said = f"{version}, {', '.join(self.folders)} in {self.folders['memory'].parent}"
        return said if "cpu" in self.folders else f"{said}; a sandbox has whole processors"

    def _group(self, name: str) -> Cgroup:
        folders = {controller: folder / name for controller, folder in self.folders.items()}
        return Cgroup(folders, self.unified)


def find_cgroups(tag: str) -> Cgroups | None:
    """Where groups named after `tag` can be made here, or None where nowhere."""
    for found in (_version_2(tag), _version_1(tag)):
        if found is not None and _works(found):
            return found
    return None


def _version_1(tag: str) -> Cgroups | None:
    folders: dict[str, Path] = {}
    for controller, places in _own_places().items():
        for place in places:
            folder = place / tag
            with contextlib.suppress(OSError):
                folder.mkdir(exist_ok=True)
                folders[controller] = folder
                break
    if not _NEEDED.issubset(folders):
        return None
    return Cgroups({name: folders[name] for name in _WANTED if name in folders}, unified=False)


def _own_places() -> dict[str, list[Path]]:
    """By controller of version 1: the own group, then the root of the hierarchy."""
    mounts: dict[str, Path] = {}
    for line in _lines("/proc/self/mounts"):
        _source, target, kind, options, *_rest = line.split()
        if kind == "cgroup":
            mounts |= dict.fromkeys(options.split(","), Path(target))
    places: dict[str, list[Path]] = {}
    for line in _lines("/proc/self/cgroup"):
        _number, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            if controller in _WANTED and controller in mounts:
                root = mounts[controller]
                places[controller] = [root / path.lstrip("/"), root]
    return places


def _version_2(tag: str) -> Cgroups | None:
    root = next(
        (line.split()[1] for line in _lines("/proc/self/mounts") if " cgroup2 " in line), ""
    )
    own = next((line[3:] for line in _lines("/proc/self/cgroup") if line.startswith("0::")), "")
    if not root or not own:
        return None
    place = Path(root) / own.lstrip("/")
    # Not in the own group as a rule: one that holds processes may not hold limited groups.
    for parent in (place, *place.parents):
        if not parent.is_relative_to(root):
            break
        folder = _delegated(parent, tag)
        if folder is not None:
            has = (folder / "cgroup.subtree_control").read_text().split()
            return Cgroups({name: folder for name in _WANTED if name in has}, unified=True)
    return None


def _delegated(parent: Path, tag: str) -> Path | None:
    folder = parent / tag
    try:
        available = set((parent / "cgroup.controllers").read_text().split())
        if not available >= _NEEDED:
            return None
        wanted = [name for name in _WANTED if name in available]
        folder.mkdir(exist_ok=True)
        for place in (parent, folder):
            _enable(place, wanted)
        if set((folder / "cgroup.subtree_control").read_text().split()) >= _NEEDED:
            return folder
    except OSError:
        return None
    with contextlib.suppress(OSError):
        folder.rmdir()
    return None


def _enable(place: Path, controllers: list[str]) -> None:
    control = place / "cgroup.subtree_control"
    for name in set(controllers) - set(control.read_text().split()):
        with contextlib.suppress(OSError):
            control.write_text(f"+{name}")


def _works(cgroups: Cgroups) -> bool:
    """Whether a process can really be moved into a new group."""
    try:
        group = cgroups.create(f"probe-{os.getpid()}", Limits())
    except OSError:
        return False
    try:
        argv = [*joining(group), "/bin/true"]
        return subprocess.run(argv, capture_output=True, check=False, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
    finally:
        group.remove()


def joining(group: Cgroup) -> list[str]:
    """The beginning of a command line that puts what follows into the group first."""
    joins = " && ".join(f"echo 0 >{door!r}" for door in group.doors)
    return ["/bin/sh", "-c", f'{joins} && exec "$@"', "sh"]


def _set_limits(controller: str, folder: Path, limits: Limits, unified: bool) -> None:
    memory, processes = str(limits.memory_bytes), str(limits.processes + OWN_PROCESSES)
    quota = int(limits.cpus * _PERIOD)
    if controller == "pids":
        (folder / "pids.max").write_text(processes)
    elif controller == "memory" and unified:
        (folder / "memory.max").write_text(memory)
        _set_optional(folder / "memory.swap.max", "0")
    elif controller == "memory":
        # A group left over may hold the swap limit below the new memory limit.
        _set_optional(folder / "memory.memsw.limit_in_bytes", "-1")
        (folder / "memory.limit_in_bytes").write_text(memory)
        _set_optional(folder / "memory.memsw.limit_in_bytes", memory)
    elif unified:
        (folder / "cpu.max").write_text(f"{quota} {_PERIOD}")
    else:
        (folder / "cpu.cfs_period_us").write_text(str(_PERIOD))
        (folder / "cpu.cfs_quota_us").write_text(str(quota))


def _set_optional(path: Path, value: str) -> None:
    with contextlib.suppress(OSError):
        path.write_text(value)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
