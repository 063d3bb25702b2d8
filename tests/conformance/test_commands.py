"""Running commands: their status, output, input, and several at once."""

import time
from dataclasses import replace
from typing import Any

import anyio
import pytest

from mlgym_mcp.base.errors import BadPath, RequestError
from mlgym_mcp.sandbox.contract import Command, Sandbox

from .conftest import Open, Run

pytestmark = pytest.mark.anyio


async def test_output_and_status_come_back(run: Run) -> None:
    result = await run("echo hello; exit 3")
    assert (result.exit_code, result.signal, result.output) == (3, None, "hello\n")
    assert result.ok is False
    assert result.output_bytes == 6
    assert result.limits_hit == ()


async def test_a_signal_that_ended_a_command_is_named(run: Run) -> None:
    result = await run("kill -9 $$")
    assert (result.exit_code, result.signal) == (None, 9)


async def test_error_output_is_mixed_in_as_it_came(run: Run) -> None:
    result = await run("echo one; echo two >&2; echo three")
    assert result.output == "one\ntwo\nthree\n"


async def test_an_unknown_command_says_so(run: Run) -> None:
    result = await run("nosuchprogram --now")
    assert result.exit_code == 127
    assert "nosuchprogram: command not found" in result.output


async def test_a_script_that_does_not_parse_is_a_failed_command(run: Run) -> None:
    result = await run("if then")
    assert result.exit_code == 2
    assert "syntax error" in result.output


async def test_text_in_any_script_and_broken_bytes_come_back(run: Run) -> None:
    result = await run(r"echo 日本語; printf '\377x'")
    assert result.output == "日本語\n\ufffdx"


async def test_standard_input_is_empty_unless_given(run: Run) -> None:
    with anyio.fail_after(5):
        assert (await run("cat; echo done")).output == "done\n"
        assert (await run("cat", stdin=b"given\n")).output == "given\n"


async def test_a_large_standard_input_is_read_whole(run: Run) -> None:
    result = await run("wc -c", stdin=b"x" * 3_000_000)
    assert result.output.strip() == "3000000"


async def test_a_script_of_a_megabyte_runs(run: Run) -> None:
    script = "\n".join(f"x={number}" for number in range(130_000)) + "\necho $x"
    assert len(script) > 1_000_000
    assert (await run(script)).output == "129999\n"


async def test_a_here_document_and_many_lines_run(run: Run) -> None:
    result = await run("cat <<END\nfirst\nEND\necho last # comment")
    assert result.output == "first\nlast\n"


async def test_python_is_the_environments_own(run: Run) -> None:
    result = await run("python -c 'import numpy, sys; print(sys.prefix, numpy.arange(3).sum())'")
    assert result.output == "/opt/env 3\n"


async def test_long_output_is_cut_in_the_middle_and_kept_whole(sandbox: Sandbox, run: Run) -> None:
    result = await run("seq 1 100000", output_bytes=1000)
    assert result.output.startswith("1\n2\n3\n")
    assert result.output.endswith("99999\n100000\n")
    assert result.output_bytes == 588_895
    assert result.dropped_bytes == 588_895 - 1000
    assert str(result.dropped_bytes) in result.output
    assert result.limits_hit == ("output",)
    assert result.ok
    whole = await sandbox.read_file(result.output_path)
    assert whole.split() == [str(number).encode() for number in range(1, 100_001)]


async def test_100_megabytes_of_output_are_counted_and_cut(run: Run) -> None:
    with anyio.fail_after(60):
        result = await run("head -c 104857600 /dev/zero | tr '\\0' 'x'")
    assert result.output_bytes == 104_857_600
    assert len(result.output) < 40_000
    assert result.limits_hit == ("output",)


async def test_a_background_child_does_not_hold_the_result_back(run: Run) -> None:
    started = time.monotonic()
    with anyio.fail_after(10):
        result = await run("sleep 30 & echo started")
    assert result.output == "started\n"
    assert time.monotonic() - started < 5


async def test_a_background_child_lives_on_after_its_command(run: Run) -> None:
    await run("(until test -e go; do sleep 0.05; done; echo went > gone) &")
    with anyio.fail_after(10):
        result = await run("touch go; until test -s gone; do sleep 0.05; done; cat gone")
    assert result.output == "went\n"


async def test_commands_run_side_by_side(run: Run) -> None:
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, "until test -e one; do sleep 0.02; done; touch two")
            tasks.start_soon(run, "touch one; until test -e two; do sleep 0.02; done")


async def test_twenty_commands_at_once_each_get_their_own_output(run: Run) -> None:
    outputs: dict[int, str] = {}

    async def one(number: int) -> None:
        outputs[number] = (await run(f"echo {number}; sleep 0.1; echo {number}")).output

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(one, number)
    assert outputs == {number: f"{number}\n{number}\n" for number in range(20)}


async def test_sandboxes_do_not_see_each_other(open_sandbox: Open) -> None:
    one, other = await open_sandbox("one"), await open_sandbox("other")
    await one.write_file("mine.txt", b"x")
    await one.run(Command(script="echo x > /tmp/mine"))
    result = await other.run(Command(script="ls /workspace /tmp"))
    assert "mine" not in result.output


async def test_the_directory_can_be_given(run: Run) -> None:
    await run("mkdir -p sub/deep")
    assert (await run("pwd", cwd="sub/deep")).output == "/workspace/sub/deep\n"
    assert (await run("pwd", cwd="/workspace/sub", keep_state=False)).output == "/workspace/sub\n"
    with pytest.raises(BadPath, match="nowhere"):
        await run("pwd", cwd="nowhere")


@pytest.mark.parametrize(
    "bad",
    [
        {"script": "echo \0"},
        {"timeout_seconds": 0},
        {"job_id": "../../x"},
        {"variables": {"A B": "x"}},
        {"variables": {"A": "x\0"}},
    ],
)
async def test_a_command_that_cannot_be_asked_for_is_a_bad_request(
    sandbox: Sandbox, bad: dict[str, Any]
) -> None:
    with pytest.raises(RequestError):
        await sandbox.run(replace(Command("true"), **bad))
    assert (await sandbox.run(Command(script="echo on"))).output == "on\n"


async def test_a_job_is_waited_for_looked_at_and_found_again(sandbox: Sandbox) -> None:
    job = await sandbox.start(
        Command(script="echo a; until test -e go; do sleep 0.02; done; echo b")
    )
    assert await job.wait(0.05) is None
    with anyio.fail_after(5):
        while (view := await job.look()).output != "a\n":
            await anyio.lowlevel.checkpoint()
    assert (view.state, view.result) == ("running", None)
    await sandbox.write_file("go", b"")
    again = await sandbox.job(job.job_id)
    assert again is not None
    with anyio.fail_after(5):
        result = await again.wait(5)
    assert result is not None
    assert result.output == "a\nb\n"
    rest = await job.look(view.cursor)
    assert (rest.state, rest.output, rest.cursor) == ("finished", "b\n", 4)
    assert rest.result == result
    assert (await job.look(-2)).output == "b\n"
    assert await sandbox.job("unknown") is None


async def test_a_cursor_walks_through_text_without_breaking_characters(sandbox: Sandbox) -> None:
    text = "äöü€日" * 50
    job = await sandbox.start(Command(script=f"printf {text}"))
    await job.wait(5)
    seen, cursor = "", 0
    while len(seen) < len(text):
        view = await job.look(cursor, 7)
        seen, cursor = seen + view.output, view.cursor
    assert seen == text


async def test_a_job_name_is_used_once(sandbox: Sandbox) -> None:
    await sandbox.run(Command(script="true", job_id="mine"))
    with pytest.raises(RequestError, match="mine"):
        await sandbox.run(Command(script="true", job_id="mine"))


async def test_use_is_measured(sandbox: Sandbox, run: Run) -> None:
    before = (await sandbox.usage()).disk_bytes
    await run("head -c 1000000 /dev/zero > f")
    usage = await sandbox.usage()
    assert usage.processes >= 1
    assert usage.disk_bytes - before >= 1_000_000
