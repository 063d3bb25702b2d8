"""The house's limits that no linter knows, and the package as others install it."""

import ast
import io
import json
import os
import re
import subprocess
import sys
import tokenize
import zipfile
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "mlgym_mcp"
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MODULE_LINES = 400
FUNCTION_LINES = 50
DEPTH = 3
SUPPRESSIONS_PER_1000_LINES = 1
MOCKS_PER_100_TESTS = 3

SUPPRESSION = re.compile(r"#\s*(?:noqa|type:\s*ignore|pyright:\s*ignore|pragma)\b")
REASONED = re.compile(r"(?::\s*[A-Z]+\d+|\[[\w,\s]+\]|pragma: no \w+).* - \S")
MOCK = re.compile(r"\b(?:MagicMock|AsyncMock|Mock|mocker|patch)\(|monkeypatch\.setattr")

# Written in pieces, so that this file does not break its own rule.
FOREIGN = [
    re.compile("/wo" + "rk/"),
    re.compile("/tmp" + "/w/"),
    re.compile(r"(?<![\w-])" + "pypi" + r"\.org"),
    re.compile("registry.npm" + "js"),
    re.compile("deb.debi" + "an.org"),
]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring."""
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


def comments(path: Path) -> Iterator[str]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def lines_of_code(paths: list[Path]) -> int:
    lines = (line.strip() for path in paths for line in path.read_text().splitlines())
    return sum(1 for line in lines if line and not line.startswith("#"))


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("this is not a git checkout")
    return [path for name in listed.stdout.split("\0") if (path := ROOT / name).is_file()]


def test_no_module_is_longer_than_the_limit() -> None:
    lengths = {relative(path): len(path.read_text().splitlines()) for path in MODULES + TESTS}
    assert {name: n for name, n in lengths.items() if n > MODULE_LINES} == {}


def test_no_function_is_longer_than_the_limit() -> None:
    long = [
        f"{relative(path)}:{node.lineno} {node.name} has {body_lines(node)} lines"
        for path in MODULES
        for node in functions(path)
        if body_lines(node) > FUNCTION_LINES
    ]
    assert long == []


def test_no_module_lies_deeper_than_the_limit() -> None:
    assert [relative(p) for p in MODULES if len(p.relative_to(PACKAGE).parts) > DEPTH] == []


def test_module_names_are_one_word_and_say_something() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    names = {path.stem for path in MODULES if path.stem != "__init__"}
    assert {name for name in names if "_" in name or name in vague} == set()


def test_no_module_takes_part_in_an_import_cycle() -> None:
    graph = grimp.build_graph("mlgym_mcp", cache_dir=None)
    below = {name: graph.find_downstream_modules(name) for name in graph.modules}
    assert {name for name, importers in below.items() if name in importers} == set()


def test_suppressions_are_few_and_each_has_its_code_and_reason() -> None:
    found = [
        (relative(path), comment)
        for path in MODULES + TESTS
        for comment in comments(path)
        if SUPPRESSION.search(comment)
    ]
    assert [where for where in found if not REASONED.search(where[1])] == []
    allowed = SUPPRESSIONS_PER_1000_LINES * lines_of_code(MODULES + TESTS) / 1000
    assert len(found) <= allowed, found


def test_mocks_are_few() -> None:
    tests = sum(node.name.startswith("test_") for path in TESTS for node in functions(path))
    this = Path(__file__).resolve()
    mocks = sum(len(MOCK.findall(path.read_text())) for path in TESTS if path != this)
    assert mocks <= MOCKS_PER_100_TESTS * tests / 100


def test_nothing_tracked_names_the_machine_it_was_written_on() -> None:
    named: list[str] = []
    for path in tracked():
        text = path.read_bytes().decode("utf-8", errors="replace")
        named += [f"{relative(path)}: {p.pattern}" for p in FOREIGN if p.search(text)]
    assert named == []


def test_importing_anything_is_silent_and_writes_nothing(tmp_path: Path) -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in MODULES
        if path.name != "__init__.py"
    ]
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
    done = subprocess.run(
        [sys.executable, "-c", code, *names],
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path), "MLGYM_MCP_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder), "."]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_tasks_sandboxes_schemas_and_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    needed = {
        "mlgym_mcp/cli/main.py",
        "mlgym_mcp/_data/tasks/battle-of-sexes/task.toml",
        "mlgym_mcp/_data/tasks/house-prices/judge/judge.py",
        "mlgym_mcp/_data/sandboxes/base/requirements.lock",
        "mlgym_mcp/_data/sandboxes/tabular/Dockerfile",
        "mlgym_mcp/_data/schemas/grade.schema.json",
        "mlgym_mcp/_data/docs/tasks.md",
    }
    assert needed - names == set()
    assert not [name for name in names if name.startswith("tests/") or "__pycache__" in name]


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    install = [sys.executable, "-m", "pip", "install", *options, "--target", str(target)]
    subprocess.run([*install, str(wheel)], check=True, timeout=120)
    return target


def start(target: Path, empty: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run what is installed there from an empty folder."""
    variables = os.environ | {"PYTHONPATH": str(target), "MLGYM_MCP_HOME": str(empty / "home")}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=empty, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_an_installed_wheel_works_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    program = str(installed / "bin" / "mlgym-mcp")
    done = start(installed, tmp_path, program, "tasks", "--json")
    assert {"battle-of-sexes", "house-prices"} <= {task["id"] for task in json.loads(done.stdout)}
    code = "from mlgym_mcp.base.shipped import shipped; print(shipped('tasks'))"
    assert start(installed, tmp_path, "-c", code).stdout.startswith(str(installed))


def test_a_task_is_begun_with_an_installed_wheel_in_an_empty_folder(
    installed: Path, tmp_path: Path
) -> None:
    program = str(installed / "bin" / "mlgym-mcp")
    told = start(installed, tmp_path, program, "tasks", "new", "my-own", "--kind", "code").stderr
    guide = re.search(r"What goes where: (.*)", told)
    assert guide is not None
    assert "# Write your own task" in Path(guide[1]).read_text()
    checked = start(installed, tmp_path, program, "tasks", "check", "my-own", "--json")
    assert [one["state"] for one in json.loads(checked.stdout)] == ["ok"]
