"""Limits bite, are named, and leave a sandbox that can be used."""

import anyio
import pytest

from mlgym_mcp.base.errors import SandboxError
from mlgym_mcp.sandbox.contract import Command

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


async def test_what_a_command_left_behind_cannot_fill_the_disk_either(open_sandbox: Open) -> None:
    sandbox = await open_sandbox(disk_bytes=20 * MEGABYTE)
    fill = "for i in $(seq 300); do head -c 1M /dev/zero > f$i; sleep 0.02; done"
    assert (await sandbox.run(Command(script=f"({fill}) > /dev/null 2>&1 &"))).ok
    before, disk = 0, 0
    with anyio.fail_after(60):
        while disk < 20 * MEGABYTE or disk != before:
            await anyio.sleep(0.5)
            before, disk = disk, (await sandbox.usage()).disk_bytes
    assert disk < 60 * MEGABYTE
    assert (await sandbox.run(Command(script="rm -f f*; echo freed"))).output == "freed\n"


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
