"""Time-outs and cancelling: the whole tree ends, and the sandbox goes on."""

import time

import anyio
import pytest

from mlgym_mcp.sandbox.contract import Command, Sandbox

from .conftest import Run

pytestmark = pytest.mark.anyio

DAEMON = """
import os, signal, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
os.environ.clear()
print(os.getpid(), flush=True)
while True:
    with open('/workspace/beat', 'a') as file:
        file.write('.')
    time.sleep(0.02)
"""
"""Leaves its parent, its session and its group, and ignores what it can."""

HEADLESS = """
import ctypes, os, platform, signal, threading, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
threading.Thread(target=lambda: time.sleep(60)).start()
print(os.getpid(), flush=True)
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)
"""
"""Ends its first thread alone."""

STILL = "a=$(stat -c %s beat); sleep 0.3; b=$(stat -c %s beat); test $a = $b && echo still"


async def test_a_time_out_is_named_and_keeps_the_output_so_far(run: Run) -> None:
    with anyio.fail_after(10):
        result = await run("echo begun; sleep 60; echo never", timeout_seconds=1)
    assert result.output == "begun\n"
    assert result.limits_hit == ("time",)
    assert (result.exit_code, result.signal) == (None, 15)
    assert 1 <= result.seconds < 3.7
    assert (await run("echo on")).output == "on\n"


NESTED = """
while [ $(bash -c 'echo $$') -lt 240 ]; do :; done
nest() { if [ $1 = 0 ]; then sleep 60; else (nest $(($1 - 1)); echo never); fi; }
nest 30
echo never
"""
"""Thirty shells, each waiting for the next, with process numbers around 256 in a sandbox's count."""


async def test_no_shell_goes_on_when_a_time_out_ends_what_it_waits_for(run: Run) -> None:
    with anyio.fail_after(20):
        result = await run(NESTED, timeout_seconds=3)
    assert (result.output, result.limits_hit) == ("", ("time",))


async def test_pythons_output_before_a_time_out_is_kept(run: Run) -> None:
    with anyio.fail_after(20):
        result = await run("python -c 'import time; print(1); time.sleep(60)'", timeout_seconds=2)
    assert result.output == "1\n"


async def test_a_command_that_ignores_the_signal_is_killed_after_two_seconds(run: Run) -> None:
    started = time.monotonic()
    with anyio.fail_after(10):
        result = await run("trap '' TERM; while true; do sleep 60; done", timeout_seconds=1)
    assert result.signal == 9
    assert 3 <= time.monotonic() - started < 5.8
    assert (await run("echo on")).output == "on\n"


async def test_a_command_may_clean_up_when_its_time_is_over(run: Run) -> None:
    script = (
        "python -c \"import signal, time, sys\nsignal.signal(15, lambda *a: sys.exit('clean'))\n"
    )
    with anyio.fail_after(20):
        result = await run(script + 'print(1)\ntime.sleep(60)"', timeout_seconds=2)
    assert "clean" in result.output


async def test_a_daemon_that_left_its_session_dies_too(sandbox: Sandbox, run: Run) -> None:
    await sandbox.write_file("daemon.py", DAEMON.encode())
    with anyio.fail_after(20):
        result = await run("python daemon.py; sleep 60", timeout_seconds=2)
        assert result.limits_hit == ("time",)
        assert (await run(STILL)).output == "still\n"
        left = (await run(f"kill -0 {result.output.split()[0]}")).output
    assert "No such process" in left


async def test_a_daemon_whose_bash_died_first_dies_too(sandbox: Sandbox, run: Run) -> None:
    await sandbox.write_file("daemon.py", DAEMON.encode())
    script = "python daemon.py; exec python -c 'import time; time.sleep(60)'"
    with anyio.fail_after(20):
        result = await run(script, timeout_seconds=2)
        assert result.limits_hit == ("time",)
        assert (await run(STILL)).output == "still\n"


async def test_a_process_whose_first_thread_ended_dies_too(sandbox: Sandbox, run: Run) -> None:
    """It looks like a zombie in the table, and works on in its other thread."""
    await sandbox.write_file("headless.py", HEADLESS.encode())
    with anyio.fail_after(20):
        result = await run("python headless.py; sleep 60", timeout_seconds=2)
        assert result.limits_hit == ("time",)
        left = (await run(f"kill -0 {result.output.split()[0]}")).output
    assert "No such process" in left


async def test_the_children_of_another_command_live_on(run: Run) -> None:
    await run("(while true; do echo . >> alive; sleep 0.02; done) & sleep 0.1")
    with anyio.fail_after(20):
        await run("sleep 60", timeout_seconds=0.2)
        result = await run("a=$(stat -c %s alive); sleep 0.3; test $a != $(stat -c %s alive)")
    assert result.ok


async def test_a_side_by_side_command_is_not_touched_by_anothers_time_out(run: Run) -> None:
    outputs: list[str] = []

    async def patient() -> None:
        outputs.append((await run("sleep 1; echo finished")).output)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(patient)
            tasks.start_soon(lambda: run("sleep 60 & sleep 60", timeout_seconds=0.2))
    assert outputs == ["finished\n"]


async def test_of_two_daemons_only_that_of_the_ended_command_dies(
    sandbox: Sandbox, run: Run
) -> None:
    """Both have left their parents and sessions, so only what they inherited tells them apart."""
    await sandbox.write_file("daemon.py", DAEMON.encode())
    for folder in ("mine", "other"):
        await run(f"mkdir {folder}; sed s,workspace/,workspace/{folder}/, daemon.py > {folder}.py")
    with anyio.fail_after(30):
        other = await sandbox.start(Command(script="python other.py; sleep 60"))
        mine = await sandbox.start(Command(script="python mine.py; sleep 60"))
        for job in (other, mine):
            while not (await job.look()).output:
                await job.wait(0.05)
        await mine.cancel()
        assert (await run(f"cd /workspace/mine; {STILL}")).output == "still\n"
        assert (await run(f"cd /workspace/other; {STILL}")).output == ""
        await other.cancel()
        assert (await run(f"cd /workspace/other; {STILL}")).output == "still\n"


async def test_cancelling_a_job_ends_its_tree(sandbox: Sandbox, run: Run) -> None:
    await sandbox.write_file("daemon.py", DAEMON.encode())
    job = await sandbox.start(Command(script="python daemon.py; sleep 60"))
    with anyio.fail_after(20):
        while not (await job.look()).output:
            await job.wait(0.05)
        result = await job.cancel()
        assert result.limits_hit == ("cancelled",)
        assert (await job.cancel()) == result
        assert (await run(STILL)).output == "still\n"


async def test_cancelling_a_finished_job_returns_its_result(sandbox: Sandbox) -> None:
    job = await sandbox.start(Command(script="echo done"))
    await job.wait(5)
    assert (await job.cancel()).output == "done\n"


async def test_a_cancelled_run_is_ended_in_the_sandbox_too(sandbox: Sandbox, run: Run) -> None:
    script = "while true; do echo . >> beat; sleep 0.02; done"
    with anyio.fail_after(20):
        with anyio.move_on_after(0.3) as scope:
            await sandbox.run(Command(script=script))
        assert scope.cancelled_caught
        assert (await run(STILL)).output == "still\n"


async def test_a_stopped_command_ends_as_well(run: Run) -> None:
    with anyio.fail_after(10):
        result = await run("kill -STOP $$", timeout_seconds=0.2)
    assert result.limits_hit == ("time",)
