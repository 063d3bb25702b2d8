"""What a command cannot see, reach or become."""

import os
import socket
from pathlib import Path

import anyio
import pytest

from mlgym_mcp.sandbox.contract import Sandbox

from .conftest import Run

pytestmark = pytest.mark.anyio

CONNECT = """
import socket, sys
host, port = sys.argv[1], int(sys.argv[2])
try:
    socket.create_connection((host, port), timeout=3)
    print("reached")
except OSError as error:
    print("refused", type(error).__name__)
"""


CALLS = """
import ctypes, platform
libc = ctypes.CDLL(None, use_errno=True)
x86 = dict(bpf=321, perf=298, userfault=323, keyctl=250, add_key=248, mount=165, by_handle=304)
arm = dict(bpf=280, perf=241, userfault=282, keyctl=219, add_key=217, mount=40, by_handle=265)
numbers = x86 if platform.machine() == "x86_64" else arm
errors = []
for number in numbers.values():
    libc.syscall(number, 0, 0, 0, 0, 0, 0)
    errors.append(ctypes.get_errno())
print(*errors)
"""
"""1 is EPERM."""


async def test_the_network_is_not_there(sandbox: Sandbox, run: Run) -> None:
    await sandbox.write_file("connect.py", CONNECT.encode())
    with anyio.fail_after(30):
        for address in ("1.1.1.1 53", "8.8.8.8 443", "example.com 80"):
            assert (await run(f"python connect.py {address}")).output.startswith("refused")


async def test_names_are_not_resolved(run: Run) -> None:
    script = "import socket; socket.getaddrinfo('example.org', 443)"
    with anyio.fail_after(30):
        result = await run(f'python -c "{script}"')
    assert "gaierror" in result.output


async def test_a_service_of_the_host_cannot_be_reached(sandbox: Sandbox, run: Run) -> None:
    await sandbox.write_file("connect.py", CONNECT.encode())
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = await run(f"python connect.py 127.0.0.1 {port}")
    assert result.output.startswith("refused")


async def test_an_abstract_socket_of_the_host_cannot_be_reached(run: Run, home: Path) -> None:
    name = f"mlgym-test-{home.name}"
    script = f"import socket; socket.socket(socket.AF_UNIX).connect(chr(0) + '{name}')"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{name}")
        server.listen()
        result = await run(f'python -c "{script}"')
    assert "ConnectionRefusedError" in result.output


async def test_processes_of_the_host_are_not_seen(run: Run) -> None:
    result = await run("ls /proc | grep -c '^[0-9]'; cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert int(result.output.split()[0]) < 15
    assert "pytest" not in result.output


async def test_files_of_the_host_are_not_seen(run: Run, home: Path) -> None:
    (home / "secret.txt").write_text("the key is 4711")
    result = await run(f"cat {home}/secret.txt; ls -la /home /root /mnt /srv /var/lib /run /boot")
    assert "4711" not in result.output
    found = await run("find / -name secret.txt -not -path '/proc/*' 2>/dev/null")
    assert found.output == ""


async def test_accounts_of_the_host_are_not_seen(run: Run) -> None:
    assert not (await run("cat /etc/shadow")).ok
    listed = (await run("cut -d: -f1 /etc/passwd")).output
    assert "agent" in listed or "root" in listed
    if os.environ.get("USER", "root") != "root":
        assert os.environ["USER"] not in listed


async def test_the_environment_of_the_host_is_not_seen(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLGYM_SECRET", "4711")
    result = await run("env; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'")
    assert "MLGYM_SECRET" not in result.output
    assert "PATH=/opt/env/bin" in result.output


async def test_the_hosts_name_is_not_seen(run: Run) -> None:
    assert socket.gethostname() not in (await run("cat /proc/sys/kernel/hostname")).output


async def test_the_system_is_read_only(run: Run) -> None:
    result = await run("for d in / /usr /etc /opt /opt/env /bin /sys /dev; do touch $d/x; done")
    assert result.output.count("cannot touch") == 8
    assert (await run("touch /tmp/x /workspace/x && echo writable")).output == "writable\n"


async def test_kernel_settings_cannot_be_changed(run: Run) -> None:
    script = "for f in kernel/core_pattern kernel/hostname vm/overcommit_memory; do"
    script += " cat /proc/sys/$f > /proc/sys/$f && echo changed; done"
    result = await run(f"{script}; test -w /proc/sysrq-trigger && echo changed")
    assert "changed" not in result.output


async def test_nothing_of_the_machine_can_be_written_in_proc(run: Run) -> None:
    """The root of a root server owns all of it, whatever number its user has inside."""
    found = "find /proc -maxdepth 4 -path '/proc/[0-9]*' -prune -o -path '/proc/*self' -prune -o"
    # What is masked is /dev/null; the files in pressure are everyone's, and ask for more rights.
    kept = "while read -r f; do test -f $f && echo $f; done | grep -v ^/proc/pressure/"
    result = await run(f"{found} -writable -print 2>/dev/null | {kept}; echo end")
    assert result.output == "end\n"


async def test_the_command_is_nobody_special_and_cannot_become_more(run: Run) -> None:
    status = (await run("cat /proc/self/status; id -u")).output
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert status.splitlines()[-1] != "0"
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(lines[name], 16) == 0
    assert lines["NoNewPrivs"] == "1"


async def test_a_program_with_other_rights_gains_none(run: Run) -> None:
    script = "mount -t tmpfs none /tmp; unshare -Ur id; chroot /tmp; su -c id; mknod n b 8 0"
    result = await run(f"{script}; echo; ls n; cat /proc/self/uid_map")
    assert "uid=0" not in result.output
    assert "cannot access 'n'" in result.output


async def test_no_new_user_namespace_can_be_made(run: Run) -> None:
    script = "import ctypes, os; r = ctypes.CDLL(None, use_errno=True).unshare(0x10000000)"
    result = await run(f'python -c "{script}; print(r)"')
    assert result.output == "-1\n"


async def test_calls_into_the_kernel_that_no_command_needs_are_refused(
    sandbox: Sandbox, run: Run
) -> None:
    await sandbox.write_file("calls.py", CALLS.encode())
    result = await run("python calls.py")
    assert result.output == "1 1 1 1 1 1 1\n"


async def test_io_uring_is_refused(run: Run) -> None:
    script = "import ctypes; print(ctypes.CDLL(None, use_errno=True).syscall(425, 0, 0))"
    result = await run(f'python -c "{script}; print(ctypes.get_errno())"')
    assert result.output == "-1\n1\n"


async def test_the_supervisor_cannot_be_signalled(run: Run) -> None:
    await run("for s in TERM KILL STOP INT HUP QUIT USR1 ALRM SEGV PIPE CHLD; do kill -$s 1; done")
    with anyio.fail_after(10):
        assert (await run("echo on")).output == "on\n"


async def test_the_supervisor_cannot_be_traced_nor_its_files_opened(run: Run) -> None:
    trace = "import ctypes; print(ctypes.CDLL(None).ptrace(16, 1, 0, 0))"
    result = await run(
        f'python -c "{trace}"; ls -1 /proc/1/fd; cat /proc/1/environ /proc/1/mem /proc/1/maps;'
        " echo x > /proc/1/fd/3; echo end"
    )
    # Numbers are names of descriptors: what they lead to is denied.
    lines = [line for line in result.output.splitlines() if not line.isdigit()]
    assert lines[0] == "-1"
    assert lines[-1] == "end"
    assert all("denied" in line or "cannot" in line for line in lines[1:-1]), lines


async def test_a_command_holds_no_descriptor_but_its_own(run: Run) -> None:
    result = await run("python -c 'import os; print(*os.listdir(\"/proc/self/fd\"))'")
    # Input, output, error, the state's private one, and the listing itself.
    assert set(result.output.split()) <= {"0", "1", "2", "3", "60"}


async def test_there_are_no_devices_but_harmless_ones(run: Run) -> None:
    result = await run("find /dev -type b; find /dev -type c")
    harmless = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"}
    names = {Path(line).name for line in result.output.split()}
    assert {name for name in names if not name.isdigit()} <= harmless


async def test_a_setuid_program_gives_nothing(run: Run) -> None:
    await run("cp /usr/bin/id ./myid; chmod 4755 myid")
    assert (await run("./myid -u")).output == (await run("id -u")).output
