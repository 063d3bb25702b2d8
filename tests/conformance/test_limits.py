"""Limits bite, are named, and leave a sandbox that can be used."""

import anyio
import pytest

from mlgym_mcp.base.errors import SandboxError
from mlgym_mcp.sandbox.contract import Command, Sandbox

from .conftest import Open

pytestmark = pytest.mark.anyio

MEGABYTE = 2**20


async def test_a_memory_hog_is_ended_and_the_limit_named(open_sandbox: Open) -> None:
    sandbox = await open_sandbox(memory_bytes=128 * MEGABYTE)
    hog = "python -c 'x = bytearray(1 << 20)\nwhile True: x += bytes(1 << 24)'"
    with anyio.fail_after(30):
        result = await sandbox.run(Command(script=hog))
    assert not result.ok
    assert "memory" in result.limits_hit
    assert (await sandbox.run(Command(script="echo on"))).output == "on\n"


async def test_memory_in_many_processes_counts_together(open_sandbox: Open) -> None:
    sandbox = await open_sandbox(memory_bytes=128 * MEGABYTE)
    part = "python -c 'import time; x = bytes(b\"x\" * (60 << 20)); time.sleep(3)'"
    with anyio.fail_after(30):
        result = await sandbox.run(Command(script=f"{part} & {part} & {part} & wait; exit 1"))
    assert "memory" in result.limits_hit
    assert (await sandbox.run(Command(script="echo on"))).output == "on\n"


async def test_memory_in_tmp_counts_too(open_sandbox: Open) -> None:
    sandbox = await open_sandbox(memory_bytes=128 * MEGABYTE)
    script = "head -c 400M /dev/zero > /tmp/a; head -c 400M /dev/zero > /dev/shm/b"
    with anyio.fail_after(30):
        result = await sandbox.run(Command(script=script))
    assert not result.ok
    script = "rm -f /tmp/a /dev/shm/b; echo on"
    assert (await sandbox.run(Command(script=script))).output == "on\n"


async def test_a_fork_bomb_is_held_and_ended(open_sandbox: Open) -> None:
    sandbox = await open_sandbox(processes=40)
    bomb = "bomb() { bomb | bomb & }; bomb; sleep 60"
    with anyio.fail_after(30):
        result = await sandbox.run(Command(script=bomb, timeout_seconds=2))
        assert "processes" in result.limits_hit
        assert result.signal is not None
        # What the bomb left is gone: there is room for others again.
        usage = await sandbox.usage()
    assert usage.processes < 20
    assert (await sandbox.run(Command(script="echo on | cat"))).output == "on\n"


async def test_no_command_of_many_escapes_its_limits(open_sandbox: Open) -> None:
    sandbox = await open_sandbox(open_files=64)
    with anyio.fail_after(60):
        said = [await sandbox.run(Command(script="ulimit -Hn; ulimit -Hc")) for _ in range(60)]
    assert {result.output for result in said} == {"64\n0\n"}


async def test_the_processes_limit_bites_and_is_named(open_sandbox: Open) -> None:
    sandbox = await open_sandbox(processes=20)
    script = "for i in $(seq 30); do sleep 5 & done 2>&1 | tail -n 1"
    with anyio.fail_after(30):
        result = await sandbox.run(Command(script=script, timeout_seconds=4))
    assert "processes" in result.limits_hit


async def test_a_fork_bomb_in_the_background_does_not_lock_its_sandbox(
    open_sandbox: Open,
) -> None:
    sandbox = await open_sandbox(processes=40)
    bomb = "bomb() { bomb | bomb & }; bomb; sleep 1"
    with anyio.fail_after(60):
        await sandbox.run(Command(script=bomb))
        outputs: list[str] = []
        while "on\n" not in outputs:
            result = await sandbox.run(Command(script="echo on | cat", timeout_seconds=2))
            outputs.append(result.output)


async def test_a_command_that_kills_all_it_can_leaves_a_sandbox(open_sandbox: Open) -> None:
    sandbox = await open_sandbox()
    await sandbox.run(Command(script="sleep 60 & export A=1"))
    with anyio.fail_after(60):
        for _ in range(20):
            await sandbox.run(Command(script="kill -9 -1"))
            assert (await sandbox.run(Command(script="echo $A | cat"))).output == "1\n"


async def test_files_written_from_outside_count_too(open_sandbox: Open) -> None:
    sandbox = await open_sandbox(disk_bytes=2 * MEGABYTE)
    await sandbox.write_file("one", bytes(MEGABYTE))
    with pytest.raises(SandboxError, match="disk limit"):
        await sandbox.write_file("two", bytes(2 * MEGABYTE))
    await sandbox.run(Command(script="rm one"))
    await sandbox.write_file("three", bytes(MEGABYTE))
    assert [entry.path for entry in (await sandbox.list_files()).entries] == ["three"]


async def test_one_file_cannot_pass_the_disk_limit(open_sandbox: Open) -> None:
    sandbox = await open_sandbox(disk_bytes=8 * MEGABYTE)
    with anyio.fail_after(30):
        result = await sandbox.run(Command(script="head -c 100M /dev/zero > big"))
    assert not result.ok
    assert "disk" in result.limits_hit
    script = "stat -c %s big; rm big"
    assert int((await sandbox.run(Command(script=script))).output) <= 8 * MEGABYTE


async def test_a_command_that_fills_the_disk_with_many_files_is_ended(open_sandbox: Open) -> None:
    sandbox = await open_sandbox(disk_bytes=20 * MEGABYTE)
    script = "for i in $(seq 100000); do head -c 1M /dev/zero > f$i; sleep 0.01; done"
    with anyio.fail_after(60):
        result = await sandbox.run(Command(script=script, timeout_seconds=50))
    assert result.limits_hit == ("disk",)
    assert (await sandbox.run(Command(script="rm -f f*; echo freed"))).output == "freed\n"
    assert (await sandbox.run(Command(script="sleep 0.6; echo on"))).output == "on\n"


async def filled(sandbox: Sandbox, limit: int) -> int:
    """What is on the disk once that is more than the limit and grows no more."""
    before, disk = 0, 0
    with anyio.fail_after(60):
        while disk < limit or disk != before:
            await anyio.sleep(0.5)
            before, disk = disk, (await sandbox.usage()).disk_bytes
    return disk


async def test_what_a_command_left_behind_cannot_fill_the_disk_either(open_sandbox: Open) -> None:
    sandbox = await open_sandbox(disk_bytes=20 * MEGABYTE)
    fill = "for i in $(seq 300); do head -c 1M /dev/zero > f$i; sleep 0.02; done"
    assert (await sandbox.run(Command(script=f"({fill}) > /dev/null 2>&1 &"))).ok
    assert await filled(sandbox, 20 * MEGABYTE) < 60 * MEGABYTE
    assert (await sandbox.run(Command(script="rm -f f*; echo freed"))).output == "freed\n"


@pytest.mark.parametrize("flags", [0, 0x8000, 0x8011], ids=["silent", "adopted", "sibling"])
async def test_nobody_writes_unwatched_as_a_child_that_a_parent_is_not_told_of(
    open_sandbox: Open, flags: int
) -> None:
    """No child is waited for when the supervisor thinks that nobody is left who may write."""
    sandbox = await open_sandbox(disk_bytes=20 * MEGABYTE)
    program = f"""
import ctypes, os, time
number = {{"x86_64": 56, "aarch64": 220}}[os.uname().machine]
if ctypes.CDLL(None).syscall(number, {flags}, 0, 0, 0, 0) == 0:
    os.setsid()
    for name in range(300):
        with open(f"f{{name}}", "wb") as file:
            file.write(bytes(2**20))
        time.sleep(0.02)
os._exit(0)
"""
    await sandbox.write_file("hide.py", program.encode())
    assert (await sandbox.run(Command(script="exec python hide.py"))).ok
    assert await filled(sandbox, 20 * MEGABYTE) < 60 * MEGABYTE


async def test_short_commands_cannot_fill_the_disk_together(open_sandbox: Open) -> None:
    sandbox = await open_sandbox(disk_bytes=20 * MEGABYTE)
    results = [
        await sandbox.run(Command(script=f"head -c 5M /dev/zero > f{number}; sleep 0.03"))
        for number in range(60)
    ]
    assert (await sandbox.usage()).disk_bytes < 100 * MEGABYTE
    assert {result.limits_hit for result in results} == {(), ("disk",)}
    assert (await sandbox.run(Command(script="rm -f f*; echo freed"))).output == "freed\n"


async def test_empty_files_folders_and_links_count_too(open_sandbox: Open) -> None:
    """A disk has only so many, whatever is in them."""
    sandbox = await open_sandbox(disk_bytes=20 * MEGABYTE)
    one = "open(name, 'x').close(), os.symlink('there', name + 'l'), os.mkdir(name + 'd')"
    many = f"import itertools, os; [({one}) for name in map(str, itertools.count())]"
    with anyio.fail_after(60):
        result = await sandbox.run(Command(script=f'python -c "{many}"', timeout_seconds=50))
    assert result.limits_hit == ("disk",)


@pytest.mark.parametrize(
    "place",
    [
        "os.mkdir('closed'); files = [open(f'closed/{n}', 'wb') for n in range(30)]; os.chmod('closed', 0)",
        "[(os.mkdir('d' * 200), os.chdir('d' * 200)) for _ in range(30)]; files = [open(f'f{n}', 'wb') for n in range(30)]",
    ],
    ids=["closed", "deep"],
)
async def test_what_is_in_folders_that_cannot_be_looked_into_counts_too(
    open_sandbox: Open, place: str
) -> None:
    sandbox = await open_sandbox(disk_bytes=20 * MEGABYTE)
    program = f"""
import os, time
{place}
time.sleep(1)
for file in files:
    file.write(bytes(5 * 2**20)); file.flush(); time.sleep(0.1)
"""
    await sandbox.write_file("fill.py", program.encode())
    with anyio.fail_after(60):
        result = await sandbox.run(Command(script="python fill.py", timeout_seconds=50))
    assert result.limits_hit == ("disk",)
    freed = "chmod -f 700 closed; rm -rf d* closed && echo freed"
    with anyio.fail_after(30):
        # what others take from the same disk meanwhile may end it
        while (await sandbox.run(Command(script=freed))).output != "freed\n":
            pass


async def test_a_hundred_thousand_files_do_not_hide_what_grows_beside_them(
    open_sandbox: Open,
) -> None:
    """To count them takes most of a second, which is done a tenth of the time at most."""
    sandbox = await open_sandbox(disk_bytes=450 * MEGABYTE)
    many = "import os; [open(str(number), 'x').close() for number in range(100_000)]"
    made = f'mkdir many; cd many; python -c "{many}"; cd ..'
    assert (await sandbox.run(Command(script=made, timeout_seconds=100))).ok
    fill = "for i in $(seq 3000); do head -c 1M /dev/zero > f$i; done"
    with anyio.fail_after(60):
        result = await sandbox.run(Command(script=fill, timeout_seconds=50))
    assert result.limits_hit == ("disk",)
    assert (await sandbox.usage()).disk_bytes < 2000 * MEGABYTE


async def test_in_a_full_workspace_files_can_be_deleted_and_none_can_grow(
    open_sandbox: Open,
) -> None:
    sandbox = await open_sandbox(disk_bytes=20 * MEGABYTE)
    fill = "for i in $(seq 30); do head -c 1M /dev/zero > f$i; sleep 0.02; done"
    assert "disk" in (await sandbox.run(Command(script=fill))).limits_hit
    for script in ("cat f1 >> f2", "head -c 1M /dev/zero > new", "cp f1 new"):
        assert (await sandbox.run(Command(script=script))).limits_hit == ("disk",), script
    script = "sleep 0.5; rm f*; ls -d f*; echo freed"
    assert (await sandbox.run(Command(script=script))).output.endswith("freed\n")
    assert (await sandbox.run(Command(script="head -c 1M /dev/zero > new"))).ok


@pytest.mark.parametrize(
    "call",
    [
        "os.posix_fallocate(f.fileno(), 0, 20 * 2**20)",
        "libc.fallocate(f.fileno(), 0, c_long(0), c_long(20 * 2**20)) == 0 or 1 / 0",
        "libc.ioctl(f.fileno(), c_ulong(0x4030582A), space) == 0 or 1 / 0",
        "libc.ioctl(f.fileno(), c_ulong(0x40305839), space) == 0 or 1 / 0",
    ],
)
async def test_space_on_the_disk_cannot_be_reserved(open_sandbox: Open, call: str) -> None:
    """In the time between two counts that would be all there is."""
    sandbox = await open_sandbox(disk_bytes=20 * MEGABYTE)
    program = f"""
import os, struct, sys
from ctypes import CDLL, c_long, c_ulong
libc, space = CDLL(None), struct.pack("=hhxxxxqqiI16x", 0, 0, 0, 20 * 2**20, 0, 0)
for number in range(400):
    with open(f"f{{number}}", "wb") as f:
        {call}
"""
    with anyio.fail_after(60):
        result = await sandbox.run(Command(script=f"python -c '{program}'"))
    assert not result.ok
    assert (await sandbox.usage()).disk_bytes < 1000 * MEGABYTE, result.output


async def test_output_without_end_is_stopped_by_the_disk_limit(open_sandbox: Open) -> None:
    sandbox = await open_sandbox(disk_bytes=20 * MEGABYTE)
    with anyio.fail_after(60):
        result = await sandbox.run(Command(script="yes", timeout_seconds=50))
    assert "disk" in result.limits_hit
    assert result.output_bytes <= 20 * MEGABYTE
    assert len(result.output) < 40_000


async def test_open_files_are_limited(open_sandbox: Open) -> None:
    sandbox = await open_sandbox(open_files=64)
    script = "python -c 'x = [open(\"/dev/null\") for _ in range(100)]'"
    result = await sandbox.run(Command(script=script))
    assert "Too many open files" in result.output


async def test_processor_time_is_limited(open_sandbox: Open, whole_processors: bool) -> None:
    sandbox = await open_sandbox(cpus=0.2)
    busy = "python -c 'import time; t = time.time()\nwhile time.time() < t + 2: pass'"
    script = f"TIMEFORMAT='%U %S'; time {{ {busy} & {busy} & {busy} & wait; }}"
    with anyio.fail_after(30):
        result = await sandbox.run(Command(script=script))
    used = sum(float(word) for word in result.output.split())
    assert used < (2.8 if whole_processors else 1.2)


async def test_no_core_is_dumped(open_sandbox: Open) -> None:
    sandbox = await open_sandbox()
    result = await sandbox.run(Command(script="ulimit -c; ulimit -c unlimited; kill -SEGV $$"))
    assert result.output.startswith("0\n")
    assert (await sandbox.list_files()).entries == ()
