"""Where control groups of version 2 are made, on trees as systemd leaves them to a user.

The kernel says in /proc which tree there is and where in it a process stands. A process in a mount
namespace of its own is shown another /proc here, so these run on machines of either version.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import pytest

pytestmark = pytest.mark.bubblewrap
TAG = "mlgym-test"
ALL = "cpuset cpu io memory pids"

PROGRAM = """
import json, sys
from mlgym_mcp.sandbox.cgroup import find_cgroups
from mlgym_mcp.types.budget import Limits
found = find_cgroups(sys.argv[1])
if found is not None:
    found.create("box", Limits(memory_bytes=256 * 2**20, cpus=1.5, processes=64))
    said = [found.describe(), found.unified, {n: str(f) for n, f in found.folders.items()}]
print(json.dumps(None if found is None else said))
"""

SHELL = """
set -e
mount --bind "$1" /proc
if test -n "$2"; then
    # "$$" stays the number of what is executed last, and so of the group that it tries
    mkdir -p "$2/probe-$$/cgroup.procs"
fi
shift 2
exec "$@"
"""


def level(folder: Path, there: str, handed_down: str) -> Path:
    """A group as the kernel shows it: what it has, and what the groups in it have."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup.controllers").write_text(f"{there}\n")
    (folder / "cgroup.subtree_control").write_text(f"{handed_down}\n")
    return folder


class Find(Protocol):
    """Looks for a place from the group `own` of the tree at `root`; in `shut` none can join."""

    def __call__(self, root: Path, own: str, shut: Path | None = None) -> Any: ...


@pytest.fixture
def find(tmp_path: Path) -> Find:
    def find_from(root: Path, own: str, shut: Path | None = None) -> Any:
        told = tmp_path / "proc"
        (told / "self").mkdir(parents=True)
        (told / "self" / "mounts").write_text(
            f"/dev/root / ext4 rw 0 0\ncgroup2 {root} cgroup2 rw,nosuid 0 0\n"
        )
        (told / "self" / "cgroup").write_text(f"0::{own}\n")
        user = [] if os.getuid() == 0 else ["--map-root-user"]
        inside = ["sh", "-c", SHELL, "sh", str(told), str(shut or "")]
        done = subprocess.run(
            ["unshare", *user, "--mount", *inside, sys.executable, "-c", PROGRAM, TAG],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return find_from


def test_the_nearest_group_that_has_memory_and_processes_is_the_place(
    find: Find, tmp_path: Path
) -> None:
    root = level(tmp_path / "cgroup", ALL, ALL)
    level(root / TAG, ALL, ALL)
    user = level(root / "user.slice", ALL, ALL)
    place = level(user / TAG, ALL, "cpu memory pids")
    # too little is left to the group of the process itself
    level(user / "app.scope", "cpu pids", "")
    said, unified, folders = find(root, "/user.slice/app.scope")
    assert unified
    assert folders == dict.fromkeys(("memory", "pids", "cpu"), str(place))
    assert said == f"version 2, memory, pids, cpu in {user}"
    box = {path.name: path.read_text() for path in (place / "box").iterdir()}
    assert (box["memory.max"], box["memory.swap.max"]) == ("268435456", "0")
    # three more are the sandbox's own
    assert (box["pids.max"], box["cpu.max"]) == ("67", "150000 100000")
    assert not (user / "app.scope" / TAG).exists()
    assert not (root / TAG / "box").exists()


def test_a_process_is_really_moved_before_a_place_is_taken(find: Find, tmp_path: Path) -> None:
    root = level(tmp_path / "cgroup", ALL, ALL)
    place = level(root / TAG, ALL, ALL)
    assert find(root, "/", shut=place) is None


def test_a_process_joins_a_group_of_its_own_on_trial(find: Find, tmp_path: Path) -> None:
    root = level(tmp_path / "cgroup", ALL, ALL)
    place = level(root / TAG, ALL, ALL)
    assert find(root, "/") is not None
    (trial,) = place.glob("probe-*")
    assert (trial / "cgroup.procs").read_text() == "0\n"


def test_a_group_whose_controllers_stay_off_is_passed_over(find: Find, tmp_path: Path) -> None:
    root = level(tmp_path / "cgroup", ALL, ALL)
    place = level(root / TAG, ALL, ALL)
    busy = level(root / "user.slice", ALL, "memory pids")
    # as where processes are in the group above: writing here switches nothing on
    level(busy / TAG, "memory pids", "")
    _said, _unified, folders = find(root, "/user.slice")
    assert set(folders.values()) == {str(place)}


def test_without_cpu_a_place_is_taken_and_said_to_give_whole_processors(
    find: Find, tmp_path: Path
) -> None:
    root = level(tmp_path / "cgroup", "memory pids", "memory pids")
    place = level(root / TAG, "memory pids", "memory pids")
    said, _unified, folders = find(root, "/")
    assert folders == dict.fromkeys(("memory", "pids"), str(place))
    assert said.endswith("; a sandbox has whole processors")
    assert not (place / "box" / "cpu.max").exists()


def test_nothing_is_made_above_the_tree(find: Find, tmp_path: Path) -> None:
    outside = level(tmp_path / "outside", ALL, ALL)
    level(outside / TAG, ALL, ALL)
    root = level(outside / "cgroup", "cpu pids", "cpu pids")
    level(root / "own", "cpu pids", "")
    assert find(root, "/own") is None
    assert sorted(path.name for path in (outside / TAG).iterdir()) == [
        "cgroup.controllers",
        "cgroup.subtree_control",
    ]
