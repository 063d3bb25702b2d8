"""What is Docker's own: images, attaching, sweeping, spares. The contract is tested elsewhere."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.errors import EngineMissing, SandboxDead, SandboxError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.sandbox.contract import Backend, Command, Mount, Sandbox, SandboxSpec
from mlgym_mcp.sandbox.registry import open_backend
from mlgym_mcp.types.budget import Limits

pytestmark = [pytest.mark.anyio, pytest.mark.docker]


@pytest.fixture
def docker_settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(engine="docker")


@pytest.fixture
async def backend(docker_settings: Settings) -> AsyncIterator[Backend]:
    async with open_backend(docker_settings, SystemClock()) as opened:
        yield opened
    # what is still open is kept by the backend that opened it, and swept by the next
    async with open_backend(docker_settings, SystemClock()) as after:
        await after.sweep(frozenset())


@pytest.fixture
def spec(home: Path) -> SandboxSpec:
    """A sandbox that outlives its server."""
    folders = home / "box" / "workspace", home / "box" / "outputs"
    for folder in folders:
        folder.mkdir(parents=True)
    limits = Limits(memory_bytes=256 * 2**20, processes=64)
    return SandboxSpec("box", "base", *folders, limits=limits, survives=True)


async def containers(home: Path) -> list[dict[str, Any]]:
    """Every container of this home, as the engine's own command line tells of them."""
    command = ["docker", "ps", "--all", "--no-trunc", "--format", "{{json .}}"]
    done = await anyio.run_process(command)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [row for row in rows if str(home) in await _mounts(str(row["ID"]))]


async def _mounts(container: str) -> str:
    command = ["docker", "inspect", "--format", "{{json .Mounts}}", container]
    return (await anyio.run_process(command, check=False)).stdout.decode()


async def until(condition: Callable[[], Any]) -> None:
    """Wait for something another process does."""
    with anyio.fail_after(30):
        while not await condition():  # noqa: ASYNC110 - the engine sets no event of ours
            await anyio.sleep(0.05)


async def test_a_second_prepare_finds_the_image(backend: Backend) -> None:
    await backend.prepare("base")
    said: list[str] = []
    with anyio.fail_after(2):
        await backend.prepare("base", lambda what, _share: said.append(what))
    assert said == []


async def test_the_image_has_no_certificate_and_no_index_of_its_builder(backend: Backend) -> None:
    await backend.prepare("base")
    (found,) = [one for one in await backend.check() if one.check == "docker image base"]
    assert found.state == "ok"
    command = ["docker", "run", "--rm", "--network=none", "--entrypoint=bash", found.detail, "-c"]
    script = "ls /build 2>&1; env; cat /etc/pip.conf /opt/env/pip.conf 2>&1; true"
    shown = (await anyio.run_process([*command, script])).stdout.decode()
    assert "No such file or directory" in shown.splitlines()[0]
    history = ["docker", "history", "--no-trunc", "--format", "{{.CreatedBy}}", found.detail]
    shown += (await anyio.run_process(history)).stdout.decode()
    for word in ("certificates", "PIP_", "proxy", "PROXY"):
        assert word not in shown


async def test_a_base_image_that_cannot_be_had_is_named_with_the_way_out(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(engine="docker", docker_base="localhost:1/nothing:here")
    async with open_backend(settings, SystemClock()) as backend:
        with pytest.raises(SandboxError, match="localhost:1/nothing:here") as caught:
            await backend.prepare("base")
    assert "Last lines" in caught.value.message
    assert "scripts/base-image" in caught.value.fix


async def test_an_unknown_environment_names_the_known_ones(backend: Backend) -> None:
    with pytest.raises(EngineMissing, match="no environment 'torch9'") as caught:
        await backend.prepare("torch9")
    assert "base, jax, tabular, torch" in caught.value.fix


async def test_a_runtime_the_engine_has_not_is_found_by_doctor(
    make_settings: Callable[..., Settings], spec: SandboxSpec
) -> None:
    settings = make_settings(engine="docker", docker_runtime="no-such-runtime")
    async with open_backend(settings, SystemClock()) as backend:
        failed = [one.check for one in await backend.check() if one.state == "failed"]
        assert failed == ["docker runtime"]
        with pytest.raises(SandboxError, match="no-such-runtime"):
            await backend.open(spec)


async def test_a_container_is_confined(backend: Backend, spec: SandboxSpec, home: Path) -> None:
    await backend.open(spec)
    (one,) = await containers(home)
    done = await anyio.run_process(["docker", "inspect", one["ID"]])
    (said,) = json.loads(done.stdout)
    host = said["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["CapDrop"] == ["ALL"]
    assert sorted(host["CapAdd"]) == ["DAC_OVERRIDE", "KILL", "SETGID", "SETUID"]
    assert host["ReadonlyRootfs"]
    assert not host["Privileged"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] == host["MemorySwap"] == spec.limits.memory_bytes
    assert host["PidsLimit"] == spec.limits.processes + 2
    assert not any(name in " ".join(said["Config"]["Env"]) for name in ("PROXY", "proxy"))


async def test_a_job_goes_on_while_the_server_is_away_and_is_found_again(
    docker_settings: Settings, spec: SandboxSpec, home: Path
) -> None:
    script = "export A=kept; until test -e go; do sleep 0.05; done; echo went"
    async with open_backend(docker_settings, SystemClock()) as first:
        sandbox = await first.open(spec)
        await sandbox.start(Command(script, job_id="long"))
    assert not sandbox.alive
    assert len(await containers(home)) == 1
    async with open_backend(docker_settings, SystemClock()) as second:
        assert await second.sweep(frozenset({"box"})) == 0
        again = await second.attach(spec)
        assert again is not None
        job = await again.job("long")
        assert job is not None
        assert await job.wait(0.01) is None
        await again.write_file("go", b"")
        with anyio.fail_after(10):
            result = await job.wait(10)
        assert result is not None
        assert result.output == "went\n"
        assert (await again.run(Command("echo $A"))).output == "kept\n"
        await again.close()
    assert await containers(home) == []


async def test_a_sandbox_of_a_killed_server_is_attached_to(
    docker_settings: Settings, spec: SandboxSpec, home: Path
) -> None:
    program = """
import sys, anyio
from pathlib import Path
from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.sandbox.contract import Command, SandboxSpec
from mlgym_mcp.sandbox.registry import open_backend
async def main():
    home = Path(sys.argv[1])
    async with open_backend(Settings(home=home, engine="docker"), SystemClock()) as backend:
        spec = SandboxSpec("box", "base", home / "box/workspace", home / "box/outputs", survives=True)
        sandbox = await backend.open(spec)
        await sandbox.run(Command("echo 1 > file"))
        print("ready", flush=True)
        await anyio.sleep_forever()
anyio.run(main)
"""
    async with await anyio.open_process([sys.executable, "-c", program, str(home)]) as server:
        assert server.stdout is not None
        with anyio.fail_after(60):
            await BufferedByteReceiveStream(server.stdout).receive_until(b"ready\n", 100)
        server.kill()
        assert await server.wait() == -9
    async with open_backend(docker_settings, SystemClock()) as backend:
        sandbox = await backend.attach(spec)
        assert sandbox is not None
        assert (await sandbox.run(Command("cat file"))).output == "1\n"
        await sandbox.close()


async def test_a_cut_link_is_a_dead_sandbox_that_can_be_attached_to(
    backend: Backend, spec: SandboxSpec
) -> None:
    sandbox = await backend.open(spec)
    await sandbox.run(Command("export A=kept"))
    cast("Any", sandbox)._link.fail("it was cut")
    with pytest.raises(SandboxDead):
        await sandbox.run(Command("true"))
    again = await backend.attach(spec)
    assert again is not None
    assert (await again.run(Command("echo $A"))).output == "kept\n"


async def test_whoever_waits_in_a_container_that_is_killed_is_told_at_once(
    backend: Backend, spec: SandboxSpec, home: Path
) -> None:
    sandbox = await backend.open(spec)
    job = await sandbox.start(Command("echo kept; sleep 60"))
    with anyio.fail_after(20):
        while not (await job.look()).output:
            await job.wait(0.02)
        (one,) = await containers(home)
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                with pytest.raises(SandboxDead):
                    await job.wait(60)

            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await anyio.run_process(["docker", "kill", one["ID"]])
        assert not sandbox.alive
        await sandbox.close()
    fresh = await backend.open(spec)
    assert (await fresh.run(Command(f"cat /outputs/{job.job_id}.log"))).output == "kept\n"


async def test_nothing_is_attached_to_where_the_container_died(
    backend: Backend, spec: SandboxSpec, home: Path
) -> None:
    assert await backend.attach(spec) is None
    sandbox = await backend.open(spec)
    await sandbox.run(Command("echo 1 > file"))
    (one,) = await containers(home)
    await anyio.run_process(["docker", "kill", one["ID"]])
    with pytest.raises(SandboxDead):
        await sandbox.run(Command("true"))
    assert await backend.attach(spec) is None
    assert await containers(home) == []
    fresh = await backend.open(spec)
    assert (await fresh.run(Command("cat file"))).output == "1\n"


async def test_a_claim_that_cannot_be_read_is_no_claim(
    backend: Backend, spec: SandboxSpec, home: Path
) -> None:
    await backend.open(spec)
    claim = home / "docker" / "claims" / "box.json"
    for text in ("{", "[]", '{"container": 1}', '{"container": "x", "slot": "../../.."}'):
        claim.write_text(text)
        assert await backend.attach(spec) is None
    assert home.is_dir()


async def test_leftovers_are_swept_and_what_is_kept_is_not(
    docker_settings: Settings, spec: SandboxSpec, home: Path
) -> None:
    other = replace(spec, name="other")
    async with open_backend(docker_settings, SystemClock()) as first:
        await first.open(spec)
        await first.open(other)
    async with open_backend(docker_settings, SystemClock()) as second:
        assert await second.sweep(frozenset({"box"})) == 1
        assert len(await containers(home)) == 1
        assert await second.attach(other) is None
        assert await second.attach(spec) is not None
        assert await second.sweep(frozenset()) == 0, "what this process has open is not left over"
    async with open_backend(docker_settings, SystemClock()) as third:
        assert await third.sweep(frozenset()) == 1
    assert await containers(home) == []
    assert list((home / "docker" / "slots").iterdir()) == []


async def test_another_homes_sandboxes_are_not_swept(
    backend: Backend, spec: SandboxSpec, tmp_path: Path
) -> None:
    sandbox = await backend.open(spec)
    async with open_backend(Settings(home=tmp_path, engine="docker"), SystemClock()) as other:
        assert await other.sweep(frozenset()) == 0
    assert (await sandbox.run(Command("echo here"))).output == "here\n"


async def test_sandboxes_that_do_not_survive_end_with_their_backend(
    docker_settings: Settings, spec: SandboxSpec, home: Path
) -> None:
    async with open_backend(docker_settings, SystemClock()) as backend:
        await backend.open(replace(spec, survives=False))
        assert len(await containers(home)) == 1
    assert await containers(home) == []


def _two_alike(spec: SandboxSpec, home: Path) -> tuple[SandboxSpec, SandboxSpec]:
    """Two sandboxes with the same data; the second has a file in its workspace from the start."""
    data = home / "data"
    data.mkdir()
    (data / "train.csv").write_text("a,b\n")
    first = replace(spec, mounts=(Mount(data, "/workspace/data"),), variables={"SEED": "1"})
    folders = home / "second" / "workspace", home / "second" / "outputs"
    for folder in folders:
        folder.mkdir(parents=True)
    (folders[0] / "starter").mkdir()
    (folders[0] / "starter" / "main.py").write_text("print(1)\n")
    workspace, outputs = folders
    own = {"name": "second", "variables": {"SEED": "a b"}}
    return first, replace(first, workspace=workspace, outputs=outputs, **cast("Any", own))


async def test_a_spare_sandbox_is_taken_with_what_lies_in_the_workspace(
    make_settings: Callable[..., Settings], spec: SandboxSpec, home: Path
) -> None:
    spec, second = _two_alike(spec, home)
    async with open_backend(
        make_settings(engine="docker", warm_sandboxes=1), SystemClock()
    ) as warm:
        first = await warm.open(spec)
        await first.run(Command("echo mine > secret"))

        async def two_are_there() -> bool:
            return len(await containers(home)) == 2

        await until(two_are_there)
        spares = set[str]()

        async def spare_is_ready() -> bool:
            spares.update(row["ID"] for row in await containers(home))
            listed = (home / "docker" / "slots").glob("*/outputs/.next-*")
            return any(listed)

        await until(spare_is_ready)
        opened: list[Sandbox] = []

        async def spare_is_taken() -> bool:
            opened.append(await warm.open(second))
            (_, claimed) = sorted((home / "docker" / "claims").iterdir())
            if json.loads(claimed.read_text())["container"] in spares:
                return True
            # it runs, but has not greeted yet
            await opened.pop().close()
            return False

        await until(spare_is_taken)
        (taken,) = opened
        result = await taken.run(Command("cat starter/main.py data/train.csv; ls; touch starter/x"))
        assert result.output == "print(1)\na,b\ndata\nstarter\n"
        assert result.exit_code == 0
        assert (second.workspace / "starter" / "x").exists()
        assert (second.outputs / f"{result.job_id}.log").read_text() == result.output
        assert (await taken.run(Command("cat /workspace/secret"))).exit_code == 1
        assert (await taken.run(Command("echo $SEED"))).output == "a b\n"
        await first.close()
        await taken.close()
        await warm.sweep(frozenset())
    assert await containers(home) == []


async def test_an_ordinary_users_commands_run_as_that_user(
    backend: Backend, spec: SandboxSpec
) -> None:
    sandbox = await backend.open(spec)
    expected = 10001 if os.getuid() == 0 else os.getuid()
    assert (await sandbox.run(Command("id -u"))).output == f"{expected}\n"
    await sandbox.run(Command("touch file"))
    assert (spec.workspace / "file").stat().st_uid == expected


async def test_a_workspace_with_links_is_given_away_without_following_them(
    backend: Backend, spec: SandboxSpec, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.touch()
    (spec.workspace / "link").symlink_to(outside)
    await backend.open(spec)
    assert outside.stat().st_uid == os.getuid()


def test_docker_is_imported_only_when_it_is_the_engine() -> None:
    program = "import sys, mlgym_mcp.sandbox.registry; sys.exit('docker' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
