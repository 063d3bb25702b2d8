"""Merging our entry into the files of MCP clients."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mlgym_mcp.cli.jsonc import BrokenJson, parse, put

Run = Callable[..., subprocess.CompletedProcess[str]]

PLACES = {
    "claude-desktop": (".config/Claude/claude_desktop_config.json", "mcpServers"),
    "claude-code": (".mcp.json", "mcpServers"),
    "cursor": (".cursor/mcp.json", "mcpServers"),
    "vscode": (".config/Code/User/mcp.json", "servers"),
}

COMMENTED = """{
  // my servers
  "inputs": [],
  "servers": {
    "other": {"command": "other", "args": ["//not a comment"]}, /* keep */
  },
}
"""


@pytest.fixture
def client_program(program: Run) -> Run:
    def run(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return program("connect", *arguments, **extra, XDG_CONFIG_HOME="")

    return run


@pytest.mark.parametrize("client", PLACES)
def test_the_printed_configuration_starts_this_program(client_program: Run, client: str) -> None:
    printed = json.loads(client_program(client).stdout)
    entry = printed[PLACES[client][1]]["mlgym"]
    assert entry["args"][-1] == "serve"
    assert Path(entry["command"]).is_absolute()
    assert "MLGYM_MCP_HOME" in entry["env"]


@pytest.mark.parametrize("client", ["claude-code", "cursor", "vscode"])
def test_a_server_at_a_url_is_named_with_the_variable_of_its_token(
    client_program: Run, client: str
) -> None:
    url = "https://mlgym.example.org/mcp"
    printed = client_program(client, "--url", url, MLGYM_MCP_TOKEN="secret").stdout
    entry = json.loads(printed)[PLACES[client][1]]["mlgym"]
    assert entry["url"] == url
    assert "MLGYM_MCP_TOKEN" in entry["headers"]["Authorization"]
    assert "secret" not in printed


def test_a_client_that_knows_no_urls_is_said_to(client_program: Run) -> None:
    done = client_program("claude-desktop", "--url", "https://mlgym.example.org/mcp")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Claude Desktop" in done.stderr
    assert client_program("cursor", "--url", "mlgym.example.org").returncode == 2


def test_settings_are_passed_on_and_no_other_variable_is(client_program: Run) -> None:
    extra = {"MLGYM_MCP_TOKEN": "secret", "MLGYM_MCP_ENGINE": "docker", "OTHER": "x"}
    printed = client_program("claude-code", **extra).stdout
    passed = json.loads(printed)["mcpServers"]["mlgym"]["env"]
    assert passed["MLGYM_MCP_ENGINE"] == "docker"
    assert not {"MLGYM_MCP_TOKEN", "OTHER"} & passed.keys()


def test_folders_are_passed_on_as_they_are_seen_from_here(
    client_program: Run, tmp_path: Path
) -> None:
    printed = client_program("cursor", MLGYM_MCP_MIRRORS="data:/srv/data").stdout
    passed = json.loads(printed)["mcpServers"]["mlgym"]["env"]
    assert passed["MLGYM_MCP_MIRRORS"] == f"{tmp_path}/data:/srv/data"


@pytest.mark.parametrize("client", PLACES)
def test_writing_makes_the_file_where_there_is_none(
    client_program: Run, client: str, tmp_path: Path
) -> None:
    done = client_program(client, "--write")
    assert done.returncode == 0, done.stderr
    place, container = PLACES[client]
    assert "mlgym" in json.loads((tmp_path / place).read_text())[container]


def test_writing_keeps_what_is_there_and_a_backup(client_program: Run, tmp_path: Path) -> None:
    path = tmp_path / ".cursor" / "mcp.json"
    path.parent.mkdir()
    before = '{"mcpServers": {"other": {"command": "x"}}, "theme": "dark"}'
    path.write_text(before)
    client_program("cursor", "--write")
    after = json.loads(path.read_text())
    assert after["theme"] == "dark"
    assert set(after["mcpServers"]) == {"other", "mlgym"}
    assert (path.parent / "mcp.json.backup-1").read_text() == before


def test_writing_twice_changes_nothing_more(client_program: Run, tmp_path: Path) -> None:
    client_program("cursor", "--write")
    path = tmp_path / ".cursor" / "mcp.json"
    first = path.read_text()
    client_program("cursor", "--write")
    assert path.read_text() == first
    assert [entry.name for entry in path.parent.iterdir()] == ["mcp.json"]


def test_a_link_to_a_file_kept_elsewhere_stays_a_link(client_program: Run, tmp_path: Path) -> None:
    kept = tmp_path / "dotfiles.json"
    kept.write_text("{}")
    link = tmp_path / ".mcp.json"
    link.symlink_to(kept)
    client_program("claude-code", "--write")
    assert link.is_symlink()
    assert "mlgym" in kept.read_text()


@pytest.mark.parametrize("text", ["{", "[]", '{"mcpServers": 3}', "nonsense", '{"a": 1} x'])
def test_a_broken_file_is_named_and_left_alone(
    client_program: Run, tmp_path: Path, text: str
) -> None:
    path = tmp_path / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text(text)
    done = client_program("cursor", "--write")
    assert done.returncode == 1
    assert str(path) in done.stderr
    assert path.read_text() == text
    assert len(list(path.parent.iterdir())) == 1


def test_comments_and_trailing_commas_survive(client_program: Run, tmp_path: Path) -> None:
    path = tmp_path / ".config" / "Code" / "User" / "mcp.json"
    path.parent.mkdir(parents=True)
    path.write_text(COMMENTED)
    assert client_program("vscode", "--write").returncode == 0
    text = path.read_text()
    assert "// my servers" in text
    assert "/* keep */" in text
    assert set(parse(text).members["servers"].members) == {"other", "mlgym"}


def test_an_unknown_client_is_wrong_usage(client_program: Run) -> None:
    assert client_program("emacs").returncode == 2


@pytest.mark.parametrize(
    "text", ["", "{}", '{"s": {}}', '{"s": {"m": 1}}', '{"s": {"a": [1, {}]}}']
)
def test_what_was_put_is_there_and_the_text_is_still_json(text: str) -> None:
    merged = json.loads(put(text, "s", "m", {"k": [1, 2]}))
    assert merged["s"]["m"] == {"k": [1, 2]}


@pytest.mark.parametrize(
    "text", ['{"a" 1}', '{"a": }', "{a: 1}", '{"a": 1 "b": 2}', "[1 2]", '{"a": 1', "/* open"]
)
def test_what_is_not_json_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(BrokenJson, match="line 1"):
        parse(text)
