"""What lasts from one command to the next, and what does not."""

import anyio
import pytest

from mlgym_mcp.sandbox.contract import Command, Sandbox

from .conftest import Run

pytestmark = pytest.mark.anyio


async def test_the_directory_lasts(run: Run) -> None:
    result = await run("mkdir -p 'a b' && cd 'a b'")
    assert result.cwd == "/workspace/a b"
    assert (await run("pwd")).output == "/workspace/a b\n"


async def test_variables_last(run: Run) -> None:
    await run("export SHOWN='it is $HOME'; unset TOLD")
    assert (await run('echo "$SHOWN [$TOLD]"; env | grep -c ^SHOWN')).output == (
        "it is $HOME []\n1\n"
    )


async def test_what_was_told_at_opening_is_there(run: Run) -> None:
    assert (await run("echo $TOLD")).output == "at opening\n"


async def test_a_home_of_ones_own_lasts_and_what_is_not_exported_stays_so(run: Run) -> None:
    await run("""export HOME='/workspace/my "own" $HOME'; declare +x SHELL""")
    shown = 'echo "$HOME"; env | grep -c ^HOME=; env | grep -c ^SHELL=; echo "$SHELL"'
    assert (await run(shown)).output == '/workspace/my "own" $HOME\n1\n0\n/bin/bash\n'


async def test_a_home_too_long_for_any_program_leaves_a_shell_to_mend_it(run: Run) -> None:
    await run("export HOME=$(printf %0300000d 0) SHELL=$(printf %0300000d 0)")
    assert (await run("echo ${#HOME} ${#SHELL}")).output == "300000 300000\n"
    assert (await run("export HOME=/tmp SHELL=/bin/bash; env | grep ^HOME")).output == "HOME=/tmp\n"


async def test_plain_variables_and_arrays_last(run: Run) -> None:
    await run("plain=$'two\\nlines'; list=(a 'b c'); declare -A map=([k]=v); declare -i n=3")
    result = await run('echo "$plain"; echo "${list[1]} ${map[k]}"; n+=2; echo $n')
    assert result.output == "two\nlines\nb c v\n5\n"


async def test_functions_aliases_and_options_last(run: Run) -> None:
    await run("greet() { echo hello $1; }; shopt -s expand_aliases nullglob; alias g=greet")
    await run("set -o pipefail; set -u")
    result = await run("g you\necho *.none; false | true; echo $?; echo $unset")
    assert result.output.startswith("hello you\n\n1\n")
    assert "unbound variable" in result.output
    assert not result.ok


async def test_exported_functions_reach_programs(run: Run) -> None:
    await run("f() { echo from f; }; export -f f")
    assert (await run("bash -c f")).output == "from f\n"


async def test_state_lasts_through_exit_and_failure(run: Run) -> None:
    await run("A=1; cd /tmp; exit 7")
    await run("B=2; false")
    assert (await run("echo $A $B; pwd")).output == "1 2\n/tmp\n"


async def test_errexit_ends_its_command_and_not_the_sandbox(run: Run) -> None:
    assert (await run("set -e; false; echo never")).output == ""
    assert (await run("echo still; false; echo never")).output == "still\n"
    assert (await run("set +e; false; echo on")).output == "on\n"


async def test_a_trap_of_the_commands_own_runs_and_state_lasts(run: Run) -> None:
    assert (await run("trap 'echo bye' EXIT; C=3")).output == "bye\n"
    assert (await run("echo $C")).output == "3\n"


async def test_tracing_shows_the_command_and_nothing_else(run: Run) -> None:
    await run("set -x")
    assert (await run("echo hi; set +x")).output == "++ echo hi\nhi\n++ set +x\n"


async def test_a_virtual_environment_stays_activated_until_it_is_left(run: Run) -> None:
    activated = "VIRTUAL_ENV=/x; export VIRTUAL_ENV; _OLD=$PATH; PATH=/x/bin:$PATH"
    await run(f"{activated}; deactivate() {{ PATH=$_OLD; unset VIRTUAL_ENV _OLD; }}")
    assert (await run("echo ${PATH%%:*}; deactivate")).output == "/x/bin\n"
    assert (await run("echo ${PATH%%:*} $VIRTUAL_ENV")).output == "/opt/env/bin\n"


async def test_variables_of_one_command_are_gone_after_it(run: Run) -> None:
    await run("export SHARED=old")
    told = {"SHARED": "it's new", "ALONE": "1"}
    assert (await run('echo "$SHARED $ALONE"', variables=told)).output == "it's new 1\n"
    assert (await run('echo "$SHARED [$ALONE]"')).output == "old []\n"


async def test_a_command_may_stay_outside_the_state(run: Run) -> None:
    await run("export A=1; cd /tmp")
    result = await run("echo [$A] $PWD; export A=2", keep_state=False)
    assert result.output == "[] /workspace\n"
    assert (await run("echo $A $PWD")).output == "1 /tmp\n"


async def test_a_deleted_directory_leads_back_to_the_workspace(run: Run) -> None:
    await run("mkdir gone; cd gone")
    await run("rmdir /workspace/gone")
    assert (await run("pwd")).output == "/workspace\n"


async def test_an_option_that_would_stop_every_command_does_not_last(run: Run) -> None:
    await run("set -o noexec")
    assert (await run("echo on")).output == "on\n"


async def test_a_timed_out_command_leaves_the_earlier_state(sandbox: Sandbox, run: Run) -> None:
    await run("export A=1; cd /tmp")
    with anyio.fail_after(10):
        await sandbox.run(Command(script="sleep 60", timeout_seconds=0.2))
    assert (await run("echo $A $PWD")).output == "1 /tmp\n"


async def test_garbage_on_the_private_descriptor_spoils_nothing(run: Run) -> None:
    await run("export A=1")
    script = "for fd in /proc/self/fd/*; do echo x\\' > $fd; done 2>/dev/null; printf '\\0\\0' >&60"
    await run(script)
    assert (await run("echo on $A")).output == "on 1\n"
