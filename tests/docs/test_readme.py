"""The README, followed: every block of it is run as it stands there, in the order of its section."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest

from mlgym_mcp.base.settings import Settings
from mlgym_mcp.server.tools.table import TOOLS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    language: str
    text: str


def section(title: str) -> list[Block]:
    """The blocks between a heading of the second level and the next one."""
    body = README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return [Block(*found.groups()) for found in BLOCK.finditer(body)]


Follow = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def surroundings(home: Path, shared_home: Path, tmp_path: Path) -> dict[str, str]:
    """The variables of a person who has just installed this program, and nothing else of it."""
    state = home / ".local" / "share" / "mlgym-mcp"
    state.mkdir(parents=True)
    (state / "environments").symlink_to(shared_home / "environments")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, start in {"python": "", "mlgym-mcp": "-m mlgym_mcp.cli.main"}.items():
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {start} "$@"\n')
        program.chmod(0o755)
    ours = ("MLGYM_MCP_", "XDG_")
    variables = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
    if mirrors := os.environ.get("MLGYM_MCP_MIRRORS"):
        variables["MLGYM_MCP_MIRRORS"] = mirrors
    return variables | {"HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}"}


@pytest.fixture
def follow(surroundings: dict[str, str], home: Path, tmp_path: Path) -> Follow:
    """Runs one block in this test's folder; one that fails fails the test with what it said."""
    folder = tmp_path / "folder"
    folder.mkdir()

    def run(block: Block, cwd: Path = folder, **extra: str) -> subprocess.CompletedProcess[str]:
        shell = {"bash": ["bash", "-euo", "pipefail"], "python": ["python"]}[block.language]
        done = subprocess.run(
            [*shell, "-c", block.text],
            cwd=cwd,
            env=surroundings | extra,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        logs = [path.read_text() for path in home.glob(".local/share/mlgym-mcp/failures/*")]
        assert done.returncode == 0, "\n".join([block.text, done.stdout, done.stderr, *logs])
        return done

    return run


def test_every_block_is_in_a_section_that_a_test_follows() -> None:
    titles = [
        "Two commands",
        "Connect a client",
        "Score without an agent",
        "Evaluate",
    ]
    followed = [block for title in titles for block in section(title)]
    assert followed == [Block(*found.groups()) for found in BLOCK.finditer(README)]
    assert {block.language for block in followed} == {"bash", "python"}


def test_the_two_commands_are_there_and_can_be_run() -> None:
    for line in section("Two commands")[0].text.splitlines():
        script = ROOT / line.split()[0]
        assert os.access(script, os.X_OK)
        subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.slow
@pytest.mark.bubblewrap
def test_the_program_is_installed_and_works_far_from_this_repository(
    follow: Follow, home: Path
) -> None:
    """As a wheel in a virtual environment of its own, started in a folder with nothing in it."""
    assert "house-prices" in follow(section("Two commands")[1], cwd=ROOT).stdout
    python, program = (home / "mlgym" / "bin" / name for name in ("python", "mlgym-mcp"))
    where = f"{python} -c 'import mlgym_mcp; print(mlgym_mcp.__file__)'"
    assert follow(Block("bash", where)).stdout.startswith(str(home / "mlgym"))
    listed = json.loads(follow(Block("bash", f"{program} tasks --json")).stdout)
    assert {"battle-of-sexes", "house-prices"} <= {task["id"] for task in listed}
    findings = json.loads(follow(Block("bash", f"{program} doctor --json")).stdout)
    states = {finding["check"]: finding["state"] for finding in findings}
    assert states["bubblewrap"] == "ok"
    assert states["task battle-of-sexes"] == "ok"
    strategy = "printf 'def row_strategy(history):\\n    return 0\\n' > strategy.py"
    score = f"{program} score battle-of-sexes strategy.py --variant mini --json"
    grade = json.loads(follow(Block("bash", f"{strategy}\n{score}")).stdout)
    assert grade["integrity"] == "clean"


def test_clients_are_connected_with_json(follow: Follow, home: Path) -> None:
    stdio, written, _token, _serve, remote, *_programs = section("Connect a client")
    printed = follow(stdio).stdout
    entries = [json.loads(text) for text in re.split(r"^(?=\{)", printed, flags=re.MULTILINE)[1:]]
    assert [list(entry) for entry in entries] == [["mcpServers"]] * 3 + [["servers"]]
    follow(written)
    assert "mlgym" in json.loads((home / ".cursor" / "mcp.json").read_text())["mcpServers"]
    address = json.loads(follow(remote).stdout)["mcpServers"]["mlgym"]
    assert address["url"].endswith(":8765/mcp")
    assert "MLGYM_MCP_TOKEN" in address["headers"]["Authorization"]


@pytest.mark.bubblewrap
def test_a_server_over_http_is_started_with_tokens_reached_and_stopped_by_an_interrupt(
    follow: Follow, surroundings: dict[str, str], tmp_path: Path
) -> None:
    token, serving, _connect, program = section("Connect a client")[2:6]
    secret = follow(token).stdout.strip()
    command = [*shlex.split(serving.text), "--port", "0"]
    place = tmp_path / "folder"
    with subprocess.Popen(
        command, cwd=place, env=surroundings, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        url = server.stderr.readline().split()[-1]
        with urlopen(url.replace("/mcp", "/health"), timeout=20) as answer:
            assert json.load(answer)["status"] == "ok"
        there = Block(program.language, program.text.replace("http://127.0.0.1:8765/mcp", url))
        assert "battle-of-sexes score 1.0227 none" in follow(there, MLGYM_MCP_TOKEN=secret).stdout
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 0


@pytest.mark.bubblewrap
def test_the_python_program_plays_a_task(follow: Follow) -> None:
    program = section("Connect a client")[-1]
    assert program.language == "python"
    assert re.search(r"^scored 1\.\d+ clean$", follow(program).stdout, re.MULTILINE)


@pytest.mark.bubblewrap
def test_a_strategy_is_scored_without_an_agent(follow: Follow, tmp_path: Path) -> None:
    strategy, one, batch, again = section("Score without an agent")
    (tmp_path / "folder" / "strategy.py").write_text(strategy.text)
    assert "clean" in follow(one).stdout
    follow(batch)
    lines = (tmp_path / "folder" / "grades.jsonl").read_text().splitlines()
    assert [json.loads(line)["grade"]["integrity"] for line in lines] == ["clean"] * 2
    assert follow(again).stdout.count("battle-of-sexes") == 2


@pytest.mark.bubblewrap
def test_baselines_are_evaluated(follow: Follow) -> None:
    (play,) = section("Evaluate")
    assert "battle-of-sexes" in follow(play).stdout


def test_every_tool_is_named_and_every_variable_is_a_setting() -> None:
    assert {tool.name for tool in TOOLS} <= set(re.findall(r"`(\w+)`", README))
    known = {f"MLGYM_MCP_{name.upper()}" for name in Settings.model_fields} | {"MLGYM_MCP_TOKEN"}
    assert set(re.findall(r"MLGYM_MCP_[A-Z_]*[A-Z]", README)) - {"MLGYM_MCP"} <= known
