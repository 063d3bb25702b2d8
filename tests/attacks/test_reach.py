"""What submitted code can see and touch from inside the player's sandbox."""

import json
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.shipped import package_folder, shipped
from mlgym_mcp.scoring import Scorer, score_path
from mlgym_mcp.types.grade import Grade

from .honest import GAME, SECONDS

pytestmark = pytest.mark.anyio
Probe = Callable[[str], Awaitable[object]]


@pytest.fixture
def probe(scorer: Scorer, tmp_path: Path) -> Probe:
    """What a piece of code leaves in `found`, when run by a submitted strategy."""

    async def run(code: str) -> object:
        path = tmp_path / "strategy.py"
        report = "\nimport json\ndef row_strategy(history): return json.dumps(found)[:60]\n"
        path.write_text(textwrap.dedent(code) + report)
        with anyio.fail_after(SECONDS):
            grade: Grade = await score_path(scorer, GAME, "mini", path, "validate")
        assert grade.integrity == "invalid"
        said = grade.evidence[0]
        assert "answered '" in said, said
        return json.loads(said.partition("answered '")[2].partition("'; expected")[0])

    return run


async def test_the_judge_its_labels_and_its_report_are_nowhere(probe: Probe) -> None:
    found = await probe(
        """
        import os
        wanted = {"judge.py", "labels.csv", "grade.json", "task.toml"}
        found = [p for p in ("/private", "/judge", "/report", "/schemas") if os.path.exists(p)]
        for top, folders, files in os.walk("/", followlinks=False):
            if top == "/":
                folders[:] = [f for f in folders if f not in ("usr", "sys", "lib", "lib64")]
            if top.startswith("/proc/"):
                folders[:] = [f for f in folders if f in ("root", "cwd")]
            found += [top + "/" + n for n in (*folders, *files) if n in wanted]
        """
    )
    assert found == []


async def test_no_other_process_shows_files_environment_or_memory(probe: Probe) -> None:
    found = await probe(
        """
        import os, re
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != os.getpid():
                for leaf in ("environ", "mem", "cmdline"):
                    try:
                        data = open(f"/proc/{name}/{leaf}", "rb").read(10**5)
                    except OSError:
                        continue
                    if re.search(rb"MLGYM_MCP|seed|COPY_CHANCE|/judge|/private", data):
                        found.append([name, leaf])
                for base in ("root", "cwd"):
                    for path in ("judge/judge.py", "../judge/judge.py", "private"):
                        if os.path.exists(f"/proc/{name}/{base}/{path}"):
                            found.append([name, base])
        """
    )
    assert found == []


async def test_the_environment_tells_nothing_of_the_host_or_the_seed(probe: Probe) -> None:
    found = await probe(
        """
        import os
        found = [k for k, v in os.environ.items() if "MLGYM_MCP" in k or "SEED" in k.upper()
                 and k != "PYTHONHASHSEED" or "TOKEN" in k or "SECRET" in k]
        """
    )
    assert found == []


async def test_parents_of_the_submission_lead_nowhere(probe: Probe) -> None:
    found = await probe(
        """
        import os
        here = os.path.dirname(os.path.abspath(__file__))
        found = []
        for up in range(1, 8):
            base = os.path.normpath(os.path.join(here, *[".."] * up))
            for name in ("judge", "private", "report", "schemas", "grading", "store.sqlite3"):
                if os.path.exists(os.path.join(base, name)):
                    found.append(os.path.join(base, name))
        """
    )
    assert found == []


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file below, and what is in it."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_what_the_judge_and_player_run_cannot_be_changed(
    probe: Probe, scorer: Scorer, attacked_settings: Settings
) -> None:
    before = scorer.catalog.task("battle-of-sexes").digest
    assert await probe("found = []") == []
    programs = contents(attacked_settings.home / "programs")
    assert {path.suffix for path in programs} >= {".py", ".pyc"}
    found = await probe(
        """
        import os
        found = []
        for top in ("/harness", "/harness/harness/__pycache__", "/opt/mlgym/mlgym_mcp/supervisor",
                    "/player", "/submission", "/public", "/channel", "/opt/env", "/usr", "/etc",
                    "/opt"):
            for folder, _, files in os.walk(top):
                for path in [folder + "/forged.py", *(folder + "/" + f for f in files[:20])]:
                    try:
                        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
                        found.append(path)
                    except OSError:
                        pass
                    try:
                        os.rename(path, path + "x")
                        found.append(path)
                    except OSError:
                        pass
                if folder.count("/") > 4:
                    break
        """
    )
    assert found == []
    assert scorer.catalog.task("battle-of-sexes").digest == before
    assert contents(attacked_settings.home / "programs") == programs
    for folder in (package_folder(), shipped("tasks"), attacked_settings.home / "artefacts"):
        assert not list(folder.rglob("forged.py"))


async def test_no_socket_of_the_supervisor_or_the_judge_can_be_reached(probe: Probe) -> None:
    found = await probe(
        """
        import os, socket, stat
        paths = []
        for top, folders, files in os.walk("/"):
            if top == "/":
                folders[:] = [f for f in folders if f not in ("proc", "sys", "usr")]
            for name in files:
                path = os.path.join(top, name)
                try:
                    if stat.S_ISSOCK(os.lstat(path).st_mode): paths.append(path)
                except OSError:
                    pass
        try:
            listed = open("/proc/net/unix").read().split()
            paths += [p for p in listed if p.startswith(("/", "@"))]
        except OSError:
            pass
        found = []
        for path in paths:
            for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_UNIX, kind) as s:
                    s.settimeout(0.2)
                    try:
                        s.connect(path.replace("@", "\\0"))
                        found.append(path)
                    except OSError:
                        pass
        """
    )
    assert found == []


async def test_no_network_is_there(probe: Probe) -> None:
    found = await probe(
        """
        import socket
        found = [name for _, name in socket.if_nameindex() if name not in
                 ("lo", "tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0",
                  "ip6_vti0", "ip6gre0")]
        for address in (("1.1.1.1", 53), ("169.254.169.254", 80), ("172.17.0.1", 80)):
            try:
                socket.create_connection(address, 0.3)
                found.append(address[0])
            except OSError:
                pass
        """
    )
    assert found == []


async def test_no_more_privileges_can_be_had(probe: Probe) -> None:
    found = await probe(
        """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        found = []
        status = dict(l.split(":\\t", 1) for l in open("/proc/self/status") if ":\\t" in l)
        if int(status["CapEff"], 16): found.append("capabilities")
        if status["NoNewPrivs"].strip() != "1": found.append("new privileges")
        if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0: found.append("mount")
        if libc.unshare(0x10000000) == 0: found.append("user namespace")
        if libc.ptrace(16, 1, 0, 0) == 0: found.append("ptrace of 1")
        try:
            os.mknod("/tmp/null", 0o20666, os.makedev(1, 1)); found.append("mknod")
        except OSError:
            pass
        """
    )
    assert found == []


async def test_the_player_s_randomness_does_not_give_the_judge_s_away(
    scorer: Scorer, tmp_path: Path
) -> None:
    """The partner's chance is a stream of its own: copying the player's predicts nothing."""
    path = tmp_path / "strategy.py"
    path.write_text(
        textwrap.dedent(
            """
            import random
            chance = random.Random()
            chance.setstate(random.getstate())
            def row_strategy(history):
                if not history: return 0
                return 0 if chance.random() < 0.8 else 1
            """
        )
    )
    grade = await score_path(scorer, GAME, "mini", path, "submit", seed=1)
    assert grade.score is not None
    assert grade.score < 1.45


async def test_files_beside_a_submission_are_neither_taken_nor_run(
    scorer: Scorer, tmp_path: Path
) -> None:
    trap = "raise SystemExit('ran what nobody asked for')\n"
    for name in ("sitecustomize.py", "usercustomize.py", "conftest.py", "numpy.py", "json.py"):
        (tmp_path / name).write_text(trap)
    (tmp_path / "random.py").write_text(trap)
    (tmp_path / "strategy.py").write_text(
        "import json, random, numpy\ndef row_strategy(history): return int(numpy.int64(0))\n"
    )
    task = scorer.catalog.task(GAME)
    submission = await scorer.take(task, tmp_path)
    assert [file.path for file in submission.files] == ["strategy.py"]
    grade = await scorer.grade(task, "mini", submission, "validate")
    assert (grade.integrity, grade.evidence) == ("clean", ())


async def test_pythonpath_of_the_server_reaches_neither_judge_nor_player(
    scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = tmp_path / "evil"
    evil.mkdir()
    for name in ("sitecustomize.py", "json.py", "random.py"):
        (evil / name).write_text("raise SystemExit('hijacked')\n")
    monkeypatch.setenv("PYTHONPATH", str(evil))
    monkeypatch.setenv("PYTHONSTARTUP", str(evil / "json.py"))
    monkeypatch.setenv("PYTHONHOME", str(evil))
    path = tmp_path / "strategy.py"
    path.write_text("def row_strategy(history): return 0\n")
    grade = await score_path(scorer, GAME, "mini", path, "validate")
    assert grade.integrity == "clean"
