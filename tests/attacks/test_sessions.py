"""An agent that attacks through its own session: paths, links, processes, other people's ids."""

from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.errors import BadPath, MlgymError, NotFound, SandboxDead, SubmissionRejected
from mlgym_mcp.base.settings import EngineName, Settings
from mlgym_mcp.sessions import (
    EditRequest,
    RunRequest,
    SearchRequest,
    Sessions,
    StartRequest,
    open_sessions,
)
from mlgym_mcp.types.command import CommandResult

from .honest import GAME, SECONDS

pytestmark = pytest.mark.anyio
ME, OTHER = "mallory", "alice"

OUTSIDE = [
    "../../etc/passwd",
    "/etc/passwd",
    "/workspace/../etc/passwd",
    "data/../../etc/passwd",
    "/proc/1/environ",
    "/proc/self/root/etc/passwd",
    "link",
    "folder-link/passwd",
    "chain",
    "./link",
    "/workspace/link",
    "x\0y",
    "pipe",
    "/dev/zero",
    "/dev/stdin",
]
LINKS = """
ln -s /etc/passwd link
ln -s /etc folder-link
ln -s link chain
mkfifo pipe
"""


@pytest.fixture
def attacked_settings(
    make_settings: Callable[..., Settings], engine: EngineName, tasks: Path
) -> Settings:
    """A home for each test."""
    return make_settings(engine=engine, tasks=(tasks,))


@pytest.fixture
async def sessions(attacked_settings: Settings) -> AsyncGenerator[Sessions]:
    async with open_sessions(attacked_settings, SystemClock()) as opened:
        await opened.start(ME, StartRequest(task=GAME, variant="mini"))
        yield opened


async def run(sessions: Sessions, script: str) -> CommandResult:
    with anyio.fail_after(SECONDS):
        result = await sessions.run(ME, None, RunRequest(command=script, timeout_seconds=20))
    assert isinstance(result, CommandResult)
    return result


async def play_honestly(sessions: Sessions) -> None:
    await sessions.create(ME, None, "strategy.py", "def row_strategy(history):\n    return 0\n")
    grade = await sessions.validate(ME, None)
    assert (grade.integrity, grade.evidence) == ("clean", ())


@pytest.mark.parametrize("path", OUTSIDE)
async def test_no_path_argument_leaves_the_workspace(sessions: Sessions, path: str) -> None:
    await run(sessions, LINKS)
    text = "owned\n"
    calls: list[Any] = [
        lambda: sessions.open_file(ME, None, path),
        lambda: sessions.read_resource_file(ME, None, path),
        lambda: sessions.insert(ME, None, path, 0, text),
        lambda: sessions.edit(ME, None, EditRequest(path=path, old="root", new="toor")),
        lambda: sessions.edit(ME, None, EditRequest(path=path, start=1, end=1, new=text)),
        lambda: sessions.list_files(ME, None, path),
    ]
    for call in calls:
        with anyio.fail_after(SECONDS), pytest.raises(MlgymError) as caught:
            await call()
        assert "root:" not in str(caught.value)
    await play_honestly(sessions)


@pytest.mark.parametrize("path", ["../up.py", "/etc/up.py", "folder-link/up.py", "/outputs/up.py"])
async def test_no_file_is_made_outside_the_workspace(sessions: Sessions, path: str) -> None:
    await run(sessions, LINKS)
    with pytest.raises(BadPath):
        await sessions.create(ME, None, path, "owned\n")
    await play_honestly(sessions)


@pytest.mark.parametrize("path", ["..", "/", "/etc", "folder-link", "link", "data/../.."])
async def test_no_search_finds_what_is_outside(sessions: Sessions, path: str) -> None:
    await run(sessions, LINKS)
    try:
        with anyio.fail_after(SECONDS):
            matches = await sessions.search(ME, None, SearchRequest(text="root:", path=path))
    except MlgymError:
        return
    assert matches.total == 0


@pytest.mark.parametrize(
    "pattern", ["../*", "/etc/*", "folder-link/*", "**/passwd", "data/../../*"]
)
async def test_no_pattern_names_what_is_outside(sessions: Sessions, pattern: str) -> None:
    await run(sessions, LINKS)
    try:
        found = await sessions.find(ME, None, pattern)
    except MlgymError:
        return
    assert not [path for path in found.paths if "passwd" in path or path.startswith(("/", ".."))]


async def test_another_principal_s_session_is_as_unknown_as_none(sessions: Sessions) -> None:
    mine = (await sessions.status(ME, None)).session
    for name in ("status", "validate", "submit", "end", "trajectory"):
        messages: list[str] = []
        for session in (mine, "s" * len(mine)):
            with pytest.raises(NotFound) as caught:
                await getattr(sessions, name)(OTHER, session)
            messages.append(str(caught.value).replace(session, "ID"))
        assert messages[0] == messages[1]
    assert await sessions.list_sessions(OTHER) == []
    assert (await sessions.status(ME, mine)).state == "active"


async def test_a_command_that_prints_a_grade_is_only_output(sessions: Sessions) -> None:
    forged = '{"metrics": {"score": 99.0}, "integrity": "clean", "kind": "submit"}'
    result = await run(sessions, f"echo '{forged}'; echo '{forged}' >&2; mkdir report; exit 0")
    assert "99.0" in result.output
    status = await sessions.status(ME, None)
    assert (status.state, status.best_validation, status.grade) == ("active", None, None)
    await play_honestly(sessions)


@pytest.mark.parametrize(
    "script",
    [
        "kill -9 1",
        "kill -STOP 1",
        "kill -9 -1",
        "kill -9 $$",
        "exec 2>/dev/null; for fd in /proc/1/fd/*; do echo garbage > $fd; done; true",
        (
            "for s in $(find / -type s -not -path '/proc/*' 2>/dev/null); do python -c 'import socket,"
            'sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.send(b"x"*99)\' $s; done'
        ),
        "rm -rf /outputs/* /workspace/* /opt /harness /run /tmp 2>/dev/null; true",
        "cat /dev/zero > /proc/1/mem; true",
        "exec 3<>/dev/tcp/127.0.0.1/80; true",
    ],
)
async def test_the_supervisor_survives(sessions: Sessions, script: str) -> None:
    with suppress(SandboxDead):
        await run(sessions, script)
    result = await run(sessions, "cd /workspace && echo still here")
    assert result.output == "still here\n"
    await play_honestly(sessions)


async def test_a_workspace_full_of_traps_does_not_change_the_grading(sessions: Sessions) -> None:
    await run(
        sessions,
        """
        for name in sitecustomize usercustomize conftest numpy json random operator harness; do
            echo 'raise SystemExit("trap")' > $name.py
        done
        mkdir -p harness judge .local/lib/python3.11/site-packages
        cp sitecustomize.py .local/lib/python3.11/site-packages/
        export PYTHONPATH=/workspace PYTHONSTARTUP=/workspace/json.py PYTHONHOME=/workspace
        export BASH_ENV=/workspace/trap.sh ENV=/workspace/trap.sh
        echo 'exit 77' > trap.sh
        """,
    )
    await play_honestly(sessions)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("rm strategy.py; ln -s try.py strategy.py", "is a link"),
        ("rm strategy.py; mkdir strategy.py", "is a folder"),
        ("rm strategy.py; mkfifo strategy.py", "is a pipe"),
        ("rm strategy.py", "is not there"),
        ("truncate -s 7G strategy.py", "bytes"),
    ],
)
async def test_what_cannot_be_taken_is_said_and_the_session_goes_on(
    sessions: Sessions, script: str, said: str
) -> None:
    await run(sessions, script)
    for call in (sessions.validate, sessions.submit):
        with anyio.fail_after(SECONDS), pytest.raises(SubmissionRejected, match=said):
            await call(ME, None)
    status = await sessions.status(ME, None)
    assert (status.state, status.left.validations) == ("active", 10)
    await run(sessions, "rm -rf strategy.py")
    await play_honestly(sessions)


async def test_no_cache_of_a_dataset_library_and_no_program_that_draws_the_data_can_be_read(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The server's user has both: what datasets were loaded once, and the tasks' `dataset.py`."""
    cache = tmp_path / ".cache" / "huggingface" / "datasets"
    cache.mkdir(parents=True)
    (cache / "known-labels.arrow").write_text("1")
    for name in ("HOME", "HF_HOME", "HF_DATASETS_CACHE", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(cache.parent if name != "HOME" else tmp_path))
    opened = await sessions.start(ME, StartRequest(task="three-sat", variant="generated"))
    script = f"""
        env | grep -E '^(HF_|XDG_|TORCH_)|{tmp_path}'
        ls {cache} 2>/dev/null
        find / -name known-labels.arrow -not -path '/proc/*' 2>/dev/null
        find / -name dataset.py -not -path '/proc/*' 2>/dev/null | xargs -r grep -l 'OUT VARIANT'
        ls data
        """
    result = await sessions.run(ME, opened.session, RunRequest(command=script))
    assert isinstance(result, CommandResult)
    assert result.output.split() == ["instances.jsonl"]


@pytest.mark.data
async def test_the_agent_s_data_holds_no_answers_and_cannot_be_changed(
    sessions: Sessions, attacked_settings: Settings
) -> None:
    opened = await sessions.start(ME, StartRequest(task="house-prices", variant="mini"))
    script = """
        head -1 data/test.csv | grep -c SalePrice
        find / -name labels.csv -not -path '/proc/*' 2>/dev/null
        ls data
        for name in data/x data/train.csv data/../data/test.csv; do echo x >> $name; done 2>/dev/null
        mv data moved 2>/dev/null; rm -rf data 2>/dev/null; chmod -R 777 data 2>/dev/null; true
        """
    result = await sessions.run(ME, opened.session, RunRequest(command=script))
    assert isinstance(result, CommandResult)
    assert result.output.split() == ["0", "test.csv", "train.csv", "validation.csv"]
    datasets = Path(attacked_settings.home) / "datasets" / "house-prices"
    assert not list(datasets.rglob("public/x"))
