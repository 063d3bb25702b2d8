"""Which backend is taken, and what is said where there is none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.errors import EngineMissing
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.sandbox.contract import SandboxSpec
from mlgym_mcp.sandbox.registry import check_engines, open_backend

pytestmark = pytest.mark.anyio


@pytest.fixture
def no_engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which nothing is installed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")


@pytest.mark.bubblewrap
async def test_bubblewrap_is_taken_where_it_works(settings: Settings) -> None:
    async with open_backend(settings, SystemClock()) as backend:
        assert backend.name == "bubblewrap"


@pytest.mark.docker
async def test_docker_is_taken_where_bubblewrap_is_missing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    async with open_backend(settings, SystemClock()) as backend:
        assert backend.name == "docker"


async def test_an_engine_that_is_named_is_taken(make_settings: Callable[..., Settings]) -> None:
    async with open_backend(make_settings(engine="fake"), SystemClock()) as backend:
        assert backend.name == "fake"


@pytest.mark.usefixtures("no_engines")
async def test_without_any_engine_opening_says_the_one_command(
    settings: Settings, home: Path
) -> None:
    spec = SandboxSpec("none", "base", home, home)
    async with open_backend(settings, SystemClock()) as backend:
        with pytest.raises(EngineMissing, match="No engine on this machine") as caught:
            await backend.open(spec)
        assert "apt-get install bubblewrap" in caught.value.fix
        with pytest.raises(EngineMissing):
            await backend.prepare("base")
        assert await backend.attach(spec) is None
        assert await backend.sweep(frozenset()) == 0
        assert {finding.state for finding in await backend.check()} == {"failed"}


@pytest.mark.usefixtures("no_engines")
async def test_doctor_finds_both_engines_missing_with_a_fix_for_each(settings: Settings) -> None:
    findings = [one for one in await check_engines(settings) if one.state == "failed"]
    assert [finding.check for finding in findings] == ["bubblewrap", "docker engine"]
    assert all(finding.fix for finding in findings)
    assert "no.sock does not exist" in findings[1].detail


@pytest.mark.usefixtures("no_engines")
async def test_a_named_engine_that_is_missing_says_how_to_get_it(
    make_settings: Callable[..., Settings], home: Path
) -> None:
    for engine, fix in (("bubblewrap", "bubblewrap"), ("docker", "docker.io")):
        async with open_backend(make_settings(engine=engine), SystemClock()) as backend:
            with pytest.raises(EngineMissing) as caught:
                await backend.open(SandboxSpec("none", "base", home, home))
            assert fix in caught.value.fix


async def test_an_engine_elsewhere_is_refused(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    async with open_backend(make_settings(engine="docker"), SystemClock()) as backend:
        with pytest.raises(EngineMissing, match="not on this machine"):
            await backend.prepare("base")


async def test_what_fails_inside_comes_out_as_it_is(make_settings: Callable[..., Settings]) -> None:
    for engine in ("bubblewrap", "docker", "fake"):
        with pytest.raises(KeyError, match="as it is"):
            async with open_backend(make_settings(engine=engine), SystemClock()):
                raise KeyError("as it is")
