"""What the pages say is there: files, tests, links, dependencies."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "mlgym_mcp"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changes/*.md")])
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)?(#[^)\s]+)?\)")
KINDS = ("Added", "Changed", "Fixed", "Removed", "Security")


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text())


def named(page: Path) -> list[str]:
    """What stands between backquotes."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def anchor(title: str) -> str:
    """The name that a heading gets on a page."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for place, heading in LINK.findall(prose(page)):
        if "://" in place:
            continue
        target = page.parent / place if place else page
        assert target.exists(), place
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert heading[1:] in {anchor(title) for title in titles}, heading


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_and_folders_that_are_named_are_there(page: Path) -> None:
    starts = "|".join(path.name for path in PACKAGE.iterdir() if path.is_dir())
    modules = [name for name in named(page) if re.fullmatch(rf"({starts})/[\w/]+(\.py)?", name)]
    tops = r"(tests|scripts|mlgym_mcp|changes|schemas|sandboxes)/[\w./-]+"
    files = [name for name in named(page) if re.fullmatch(tops, name)]
    missing = [name for name in modules if not (PACKAGE / name).exists()]
    missing += [name for name in files if not (ROOT / name).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_tests_that_are_named_are_there(page: Path) -> None:
    known = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name for name in named(page) if re.fullmatch(r"test_\w+", name)} - known == set()


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = {re.split(r"[<>=\[]", line)[0] for line in project["dependencies"]}
    reasons = (ROOT / "docs" / "architecture.md").read_text().partition("## Dependencies")[2]
    assert packages <= set(re.findall(r"`([\w-]+)`", reasons))


def test_the_floors_of_the_page_are_those_that_the_linter_keeps() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(one["layers"] for one in linter["contracts"] if one["type"] == "layers")
    kept = [set(re.findall(r"mlgym_mcp\.(\w+)", layer)) for layer in layers]
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| \d \| ([^|]*) \|", page, re.MULTILINE)
    assert [set(re.findall(r"`(\w+)`", row)) for row in rows] == kept


@pytest.mark.parametrize(
    "page", sorted((ROOT / "changes").glob("*.md")), ids=lambda page: page.stem
)
def test_a_change_begins_with_its_kind(page: Path) -> None:
    if page.name != "README.md":
        assert page.read_text().startswith(tuple(f"**{kind}**" for kind in KINDS))
