"""Virtual environments: built once from their lock, for the place where sandboxes see them."""

import hashlib
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from mlgym_mcp.base.errors import EngineMissing, SandboxError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.sandbox.environments import Environments
from mlgym_mcp.sandbox.locks import Installing, Locks

LOCKS = sorted(shipped("sandboxes").glob("*/*.lock"))

pytestmark = pytest.mark.anyio


@pytest.fixture
def empty(tmp_path: Path) -> Settings:
    """A home without any environment; other tests share theirs."""
    return Settings(home=tmp_path / "home")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder of environments with one, `small`, whose lock is empty."""
    folder = tmp_path / "sandboxes"
    write_lock(folder, "# nothing\n")
    return folder


def write_lock(folder: Path, text: str, name: str = "requirements.lock") -> None:
    (folder / "small").mkdir(parents=True, exist_ok=True)
    (folder / "small" / name).write_text(text)


def make_wheel(folder: Path, name: str, version: str) -> str:
    """A wheel with nothing in it; its sha256."""
    about = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        tag = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{about}/WHEEL", tag)
        archive.writestr(f"{about}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_base_has_what_judges_need_and_runs_on_this_python(settings: Settings) -> None:
    environment = await Environments(settings).ensure("base")
    script = "import sys, numpy, fastjsonschema; print(sys.prefix)"
    command = [str(environment.python), "-I", "-c", script]
    done = await anyio.run_process(command)
    assert done.stdout.decode().strip() == str(environment.path)


async def test_scripts_name_the_place_where_sandboxes_see_the_environment(
    settings: Settings,
) -> None:
    environment = await Environments(settings).ensure("base")
    first = (environment.path / "bin" / "f2py").read_text().splitlines()[0]
    assert first == "#!/opt/env/bin/python"
    assert str(environment.path.parent) not in (environment.path / "bin" / "activate").read_text()


async def test_an_environment_is_built_once_and_then_found(empty: Settings, small: Path) -> None:
    said: list[tuple[str, float | None]] = []
    environments = Environments(empty, small)
    assert environments.ready("small") is None
    first = await environments.ensure("small", lambda what, share: said.append((what, share)))
    assert said[0] == ("small: creating a virtual environment", 0.0)
    assert said[-1] == ("small: ready", 1.0)
    said.clear()
    assert (
        await environments.ensure("small", lambda what, share: said.append((what, share))) == first
    )
    assert said == []
    assert environments.ready("small") == first


async def test_another_lock_is_another_environment(empty: Settings, small: Path) -> None:
    environments = Environments(empty, small)
    first = await environments.ensure("small")
    write_lock(small, "# nothing else\n")
    assert environments.ready("small") is None
    second = await environments.ensure("small")
    assert first.path != second.path


async def test_two_who_need_it_at_once_build_it_once(empty: Settings, small: Path) -> None:
    said: list[str] = []

    async def need() -> None:
        await Environments(empty, small).ensure("small", lambda what, _share: said.append(what))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(need)
            tasks.start_soon(need)
    assert said.count("small: creating a virtual environment") == 1
    assert "small: another process is building it" in said


async def test_an_unknown_environment_names_the_known_ones(settings: Settings) -> None:
    with pytest.raises(EngineMissing, match="no environment 'torch9'") as caught:
        await Environments(settings).ensure("torch9")
    assert all(path.parent.name in caught.value.fix for path in LOCKS)


async def test_a_failed_build_shows_pips_last_lines_and_leaves_nothing(
    empty: Settings, small: Path
) -> None:
    digest = "0" * 64
    lock = f"there-is-no-such-package-mlgym==1.0 --hash=sha256:{digest}\n"
    write_lock(small, lock)
    with pytest.raises(SandboxError, match="there-is-no-such-package-mlgym") as caught:
        await Environments(empty, small).ensure("small")
    assert "mlgym-mcp environments build small" in caught.value.fix
    left = [path.name for path in (empty.home / "environments").iterdir()]
    assert left == [".small.lock"]


async def test_a_package_that_is_not_the_locked_one_is_refused(
    empty: Settings, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "tiny_mlgym-1.0-py3-none-any.whl"
    wheel.write_bytes(b"not the wheel that was locked")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    write_lock(small, f"tiny-mlgym==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(SandboxError, match="DO NOT MATCH"):
        await Environments(empty, small).ensure("small")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which pip finds links, and no index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return folder


async def installed(settings: Settings, sandboxes: Path) -> set[str]:
    environment = await Environments(settings, sandboxes).ensure("small")
    packages = next(environment.path.glob("lib/python3*/site-packages"))
    return {path.name for path in packages.glob("*mlgym*.dist-info")}


async def test_a_local_build_of_the_pinned_version_is_preferred_where_the_lock_has_its_hash(
    empty: Settings, small: Path, wheels: Path
) -> None:
    plain = make_wheel(wheels, "tiny_mlgym", "1.0")
    build = make_wheel(wheels, "tiny_mlgym", "1.0+cpu")
    make_wheel(wheels, "tiny_mlgym", "1.0+other")
    write_lock(small, f"tiny-mlgym==1.0 --hash=sha256:{plain} --hash=sha256:{build}\n")
    assert await installed(empty, small) == {"tiny_mlgym-1.0+cpu.dist-info"}


@pytest.mark.parametrize("version", ["1.0", "1.0+cpu"])
async def test_what_only_cuda_needs_is_installed_unless_a_build_for_cpus_was(
    empty: Settings, small: Path, wheels: Path, version: str
) -> None:
    main = make_wheel(wheels, "tiny_mlgym", version)
    more = make_wheel(wheels, "mlgym_cuda", "2.0")
    write_lock(small, f"tiny-mlgym==1.0 --hash=sha256:{main}\n")
    write_lock(small, f"mlgym-cuda==2.0 --hash=sha256:{more}\n", "cuda.lock")
    found = await installed(empty, small)
    assert ("mlgym_cuda-2.0.dist-info" in found) == (version == "1.0")


async def test_another_cuda_lock_is_another_environment(empty: Settings, small: Path) -> None:
    environments = Environments(empty, small)
    await environments.ensure("small")
    write_lock(small, "# more\n", "cuda.lock")
    assert environments.ready("small") is None


@pytest.mark.parametrize("gpus", [0, 1])
async def test_what_only_gpus_need_is_installed_where_sessions_get_them(
    empty: Settings, small: Path, wheels: Path, gpus: int
) -> None:
    more = make_wheel(wheels, "mlgym_gpus", "2.0")
    write_lock(small, f"mlgym-gpus==2.0 --hash=sha256:{more}\n", "gpus.lock")
    found = await installed(empty.model_copy(update={"gpus": gpus}), small)
    assert found == ({"mlgym_gpus-2.0.dist-info"} if gpus else set())


async def test_an_environment_for_gpus_is_another_than_the_one_for_processors(
    empty: Settings, small: Path
) -> None:
    write_lock(small, "# more\n", "gpus.lock")
    await Environments(empty, small).ensure("small")
    with_gpus = Environments(empty.model_copy(update={"gpus": 1}), small)
    assert with_gpus.ready("small") is None
    await with_gpus.ensure("small")
    assert len(list((empty.home / "environments").glob("small-*"))) == 2


def test_progress_inside_a_long_download_shows() -> None:
    installing = Installing(4)
    assert installing.line("Looking in links: /somewhere") is None
    assert installing.line("Collecting numpy==2.4.6") == ("downloading numpy", 0.25)
    installing.line("Collecting torch==2.13.0")
    size = installing.line("  Downloading torch-2.13.0-cp313-cp313-linux.whl (526.6 MB)")
    assert size == ("downloading torch (526.6 MB)", 0.25)
    half = installing.line("Progress 263000000 of 526000000")
    assert half == ("downloading torch (263 of 526 MB)", 0.375)
    assert installing.line("Installing collected packages: numpy, torch") == ("installing", 1.0)


async def test_what_a_killed_build_left_is_cleared_away(empty: Settings, small: Path) -> None:
    stale = empty.home / "environments" / ".small-killed"
    stale.mkdir(parents=True)
    (stale / "half").touch()
    await Environments(empty, small).ensure("small")
    assert not stale.exists()


async def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SandboxError, match=str(file)) as caught:
        await Environments(Settings(home=file)).ensure("base")
    assert "MLGYM_MCP_HOME" in caught.value.fix


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: f"{lock.parent.name}-{lock.stem}")
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.skipif(shutil.which("uv") is None, reason="uv reads locks for other Pythons")
def test_a_lock_can_be_installed_on_every_python_we_support(
    lock: Path, python: str, tmp_path: Path
) -> None:
    command = ["uv", "pip", "install", "--dry-run", "--quiet", "--target", str(tmp_path)]
    command += ["--no-deps", "--require-hashes", "--only-binary", ":all:"]
    command += ["--python-version", python, "-r", str(lock)]
    subprocess.run(command, check=True, timeout=120)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: f"{lock.parent.name}-{lock.stem}")
def test_a_lock_names_no_index_and_no_folder_of_its_maker(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert "--find-links" not in text
    assert "--index" not in text


def test_every_environment_has_the_same_dockerfile() -> None:
    assert len({path.read_text() for path in shipped("sandboxes").glob("*/Dockerfile")}) == 1


@pytest.mark.parametrize("name", ["tabular", "torch"])
def test_every_environment_is_base_and_more(
    make_settings: Callable[..., Settings], name: str
) -> None:
    def pins(name: str) -> set[str]:
        lock = Environments(make_settings()).folder_of(name) / "requirements.lock"
        return {line.split()[0] for line in lock.read_text().splitlines() if "==" in line}

    assert pins("base") < pins(name)


def test_what_only_cuda_needs_is_in_a_lock_of_its_own() -> None:
    folder = shipped("sandboxes") / "torch"
    assert "nvidia" not in (folder / "requirements.lock").read_text()
    assert "nvidia-cudnn" in (folder / "cuda.lock").read_text()


def test_jax_gets_what_it_runs_on_gpus_with_only_where_sessions_get_them() -> None:
    folder = shipped("sandboxes") / "jax"
    assert "nvidia" not in (folder / "requirements.lock").read_text()
    assert "jax-cuda12-plugin" in (folder / "gpus.lock").read_text()
    for_processors = dict(Locks(folder, gpus=False).pins())
    for_gpus = dict(Locks(folder, gpus=True).pins())
    assert for_processors.items() < for_gpus.items()
    assert for_gpus["jax-cuda12-plugin"] == for_gpus["jax"]
