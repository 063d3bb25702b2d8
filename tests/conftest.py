"""What every test may ask for: a home, settings, engines, data, Node.

Environments are costly to build, so every test's home shares one folder of them: a fresh one for
each run, or the one in `MLGYM_MCP_TEST_HOME` when that is set. Everything else in a test's home
is its own. What is missing on this machine is skipped, unless `MLGYM_MCP_REQUIRE`
(names separated by commas: bubblewrap, docker, node, data) says it must be there.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from blockbuster import BlockBuster, blockbuster_ctx

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import EngineName, Settings
from mlgym_mcp.sandbox.jail import trial_argv
from mlgym_mcp.scoring import Scorer, open_scorer

_SHARED = ("environments",)
"""Folders of a home that all tests share; they depend on nothing but the locks."""

HOME_LABEL = "mlgym-mcp.home"
"""The label of containers that says whose home they belong to."""

_HOUSE_PRICES = "house_prices/train.csv"


def _bubblewrap() -> str:
    if (bwrap := shutil.which("bwrap")) is None:
        return "bubblewrap is not installed"
    done = subprocess.run(trial_argv(Path(bwrap)), capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"bubblewrap does not work: {done.stderr.strip()}"


def _docker() -> str:
    if shutil.which("docker") is None:
        return "docker is not installed"
    done = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"no Docker engine answers: {done.stderr.strip()}"


def _node() -> str:
    prefix = os.environ.get("MLGYM_MCP_NODE_PREFIX")
    if not prefix:
        return "MLGYM_MCP_NODE_PREFIX does not say where the MCP Inspector is"
    found = (Path(prefix) / "node_modules" / ".bin" / "mcp-inspector").exists()
    return "" if found else f"there is no MCP Inspector under {prefix}"


def _data() -> str:
    mirrors = Settings().mirrors
    found = any((mirror / _HOUSE_PRICES).is_file() for mirror in mirrors)
    return "" if found else f"no folder of MLGYM_MCP_MIRRORS has {_HOUSE_PRICES}"


_PROBES = {"bubblewrap": _bubblewrap, "docker": _docker, "node": _node, "data": _data}


@cache
def _missing(name: str) -> str:
    """Why something is not usable here; empty when it is."""
    return _PROBES[name]()


def _require(name: str) -> None:
    reason = _missing(name)
    if reason and name in os.environ.get("MLGYM_MCP_REQUIRE", "").split(","):
        pytest.fail(f"{reason}, but MLGYM_MCP_REQUIRE asks for {name}", pytrace=False)
    if reason:
        pytest.skip(reason)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail, a test whose markers name something that is not here."""
    for name in _PROBES:
        if item.get_closest_marker(name) is not None:
            _require(name)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """Fail a test in which our code blocks the event loop.

    Plain file access is let through: a local file is read faster than a thread is asked to.
    """
    with blockbuster_ctx("mlgym_mcp") as blocks:
        for name, function in blocks.functions.items():
            if name.startswith(("os.", "io.", "builtins.")):
                function.deactivate()
            # a thread that starts while coverage writes what it has seen so far
            function.can_block_in("coverage/collector.py", "lock_data")
        yield blocks


@pytest.fixture(scope="session")
def shared_home() -> Iterator[Path]:
    """The folder that holds what all homes of this run share."""
    kept = os.environ.get("MLGYM_MCP_TEST_HOME")
    home = Path(kept) if kept else Path(tempfile.mkdtemp(prefix="mlgym-shared-"))
    for name in _SHARED:
        (home / name).mkdir(parents=True, exist_ok=True)
    yield home
    if not kept:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def open_home(shared_home: Path) -> Callable[[], AbstractContextManager[Path]]:
    """Makes a home with a short path (sockets live in it), and removes it with its containers."""

    @contextmanager
    def fresh() -> Generator[Path]:
        own = Path(tempfile.mkdtemp(prefix="mlgym-"))
        for name in _SHARED:
            (own / name).symlink_to(shared_home / name)
        yield own
        if (own / "docker").exists():
            _remove_containers(own)
        shutil.rmtree(own, ignore_errors=True)

    return fresh


@pytest.fixture
def home(open_home: Callable[[], AbstractContextManager[Path]]) -> Iterator[Path]:
    """A home of this test alone."""
    with open_home() as own:
        yield own


def _remove_containers(home: Path) -> None:
    """Sandboxes of sessions outlive their server; those of a test end with its home."""
    if left := _containers_of(home):
        subprocess.run(["docker", "rm", "--force", *left], capture_output=True, check=False)


def _containers_of(home: Path) -> list[str]:
    if shutil.which("docker") is None:
        return []
    label = f"label={HOME_LABEL}={sha256(str(home).encode()).hexdigest()[:12]}"
    listing = ["docker", "ps", "--all", "--quiet", "--filter", label]
    listed = subprocess.run(listing, capture_output=True, text=True, check=False)
    return listed.stdout.split()


@pytest.fixture
def containers(home: Path) -> Callable[[], Awaitable[list[str]]]:
    """Lists the Docker containers of this test's home, those that ended too."""

    async def listed() -> list[str]:
        return await anyio.to_thread.run_sync(_containers_of, home)

    return listed


@pytest.fixture(scope="session")
def processes_with() -> Callable[[str], list[str]]:
    """Lists the command lines of this machine's processes that have a word, such as a home."""
    return _processes_with


def _processes_with(word: str) -> list[str]:
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [line for line in found if word in line]


@pytest.fixture
def make_settings(home: Path) -> Callable[..., Settings]:
    """Settings of this test's home; arguments replace fields. Mirrors and the Docker base image
    come from the variables."""

    def make(**changes: Any) -> Settings:
        return Settings(home=home, **changes)

    return make


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """Settings that leave the choice of engine to the program."""
    return make_settings()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
        pytest.param("docker", marks=pytest.mark.docker),
    ],
)
def engine(request: pytest.FixtureRequest) -> EngineName:
    """Each real engine in turn: all tests of a module with the one, then with the other."""
    return cast("EngineName", request.param)


@pytest.fixture
def engine_settings(make_settings: Callable[..., Settings], engine: EngineName) -> Settings:
    """Settings for each real engine in turn."""
    return make_settings(engine=engine)


@pytest.fixture(scope="module")
async def quick_scorer(
    open_home: Callable[[], AbstractContextManager[Path]],
) -> AsyncGenerator[Scorer]:
    """A scorer on bubblewrap, for what does not depend on the engine; mark such tests so."""
    with open_home() as home:
        async with open_scorer(Settings(home=home, engine="bubblewrap"), SystemClock()) as opened:
            yield opened


@pytest.fixture(scope="session")
def node_bin() -> Path:
    """The folder with `node`, `mcp-inspector` and `conformance`, to be put first on PATH."""
    _require("node")
    return Path(os.environ["MLGYM_MCP_NODE_PREFIX"]).absolute() / "node_modules" / ".bin"


@pytest.fixture
def variables(home: Path) -> dict[str, str]:
    """The environment for a server or command line run as a program in this test's home."""
    return {**os.environ, "MLGYM_MCP_HOME": str(home)}


@pytest.fixture
def run_program(home: Path) -> Callable[[str], str]:
    """Runs Python text as a process of its own, told this test's home; what it printed."""

    def run(text: str) -> str:
        command = [sys.executable, "-c", text, str(home)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def mlgym() -> list[str]:
    """How to start the command line as a program; the interpreter is the one of this run."""
    return [sys.executable, "-m", "mlgym_mcp.cli.main"]
