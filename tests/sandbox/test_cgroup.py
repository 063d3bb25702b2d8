"""Control groups of version 2, in a folder as the kernel lays one out: few machines have both."""

from pathlib import Path

from mlgym_mcp.sandbox.cgroup import Cgroups, joining
from mlgym_mcp.types.budget import Limits

LIMITS = Limits(memory_bytes=256 * 2**20, cpus=1.5, processes=64)


def test_a_group_of_version_2_has_every_limit_and_one_door(tmp_path: Path) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory pids\n")
    groups = Cgroups(dict.fromkeys(("memory", "pids", "cpu"), tmp_path), unified=True)
    group = groups.create("box", LIMITS)
    box = tmp_path / "box"
    written = {path.name: path.read_text() for path in box.iterdir()}
    assert written == {
        "memory.max": "268435456",
        "memory.swap.max": "0",
        # three more are the sandbox's own
        "pids.max": "67",
        "cpu.max": "150000 100000",
    }
    assert group.doors == [str(box / "cgroup.procs")]
    assert group.views == [(box, "/sys/fs/cgroup")]
    assert joining(group)[2].count("echo 0 >") == 1
    assert groups.names() == ["box"]


def test_controllers_that_a_group_of_version_2_hands_down_are_switched_on(tmp_path: Path) -> None:
    control = tmp_path / "cgroup.subtree_control"
    control.write_text("cpu memory\n")
    groups = Cgroups(dict.fromkeys(("memory", "pids", "cpu"), tmp_path), unified=True)
    groups.create("box", LIMITS)
    assert control.read_text() == "+pids"
