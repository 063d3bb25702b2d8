"""One container: what it may do and see, its start, its connection, its end.

Above: the backend and its warm pool. Below: the engine's API and a slot. The supervisor in it is
root with four capabilities; what it starts is an ordinary user with none, on a read-only root.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from anyio.abc import SocketStream

from mlgym_mcp.base.errors import SandboxError
from mlgym_mcp.sandbox.contract import OUTPUTS, WORKSPACE, SandboxSpec
from mlgym_mcp.sandbox.docker.engine import Engine
from mlgym_mcp.sandbox.docker.slot import DOOR_ROOT, Slot
from mlgym_mcp.sandbox.environments import ENVIRONMENT_ROOT
from mlgym_mcp.sandbox.program import PROGRAM_ROOT, supervisor_argv, supervisor_options

HOME_LABEL = "mlgym-mcp.home"
NAME_LABEL = "mlgym-mcp.name"
SLOT_LABEL = "mlgym-mcp.slot"

_CAPABILITIES = ("DAC_OVERRIDE", "KILL", "SETGID", "SETUID")
"""DAC_OVERRIDE: to its door and the kept outputs, whoever owns them. KILL: commands that run as
another user. SETGID, SETUID: to become that user."""

_UNPRIVILEGED = 10001
_TMP_SHARE = 4
"""The private /tmp may take one part in this many of the memory, and /dev/shm as much."""

_SUPERVISOR_PROCESSES = 2
_LOOK_AGAIN_SECONDS = 0.003
_LOOK_AT_STATE_EVERY = 50
_START_SECONDS = 60.0
_REMOVE_SECONDS = 20.0


@dataclass(frozen=True)
class House:
    """What all containers of one backend have in common."""

    label: str
    """Tells the containers of this home from those of others."""

    program: Path
    """The supervisor's folder."""

    runtime: str
    """Instead of the engine's own runtime, when not empty."""

    cpus: int
    """Cores the engine has."""

    rootless: bool
    """Whether root in a container is the engine's unprivileged user on the host."""

    selinux: bool

    def user(self) -> tuple[int, int] | None:
        """Who runs commands; None: whoever runs the supervisor, as root there is nobody special."""
        if self.rootless:
            return None
        return (os.getuid(), os.getgid()) if os.getuid() else (_UNPRIVILEGED, _UNPRIVILEGED)


class Container:
    """A started container."""

    def __init__(self, engine: Engine, identity: str, slot: Slot) -> None:
        self.identity = identity
        self.slot = slot
        self._engine = engine

    async def connect(self) -> SocketStream:
        """A connection to its supervisor, which may still be starting.

        Raises:
            SandboxError: The container ended, or nobody listens.
        """
        looks = 0
        with anyio.move_on_after(_START_SECONDS):
            while True:
                connection = await to_thread.run_sync(self.slot.connect)
                if connection is not None:
                    return await SocketStream.from_socket(connection)
                looks += 1
                if looks % _LOOK_AT_STATE_EVERY == 0:
                    await self._require_running()
                await anyio.sleep(_LOOK_AGAIN_SECONDS)
        raise SandboxError(
            f"The supervisor in container {self.identity[:12]} does not listen.",
            fix="See `mlgym-mcp doctor`; the engine must run on this machine.",
        )

    async def running(self) -> bool:
        """Whether it is there and runs."""
        try:
            said = await self._engine.call(lambda api: api.inspect_container(self.identity))
        except SandboxError:
            return False
        return bool(said["State"]["Running"])

    async def remove(self) -> None:
        """End and delete it, with its slot. Bounded; never raises."""
        with anyio.move_on_after(_REMOVE_SECONDS, shield=True):
            # Gone already, or the engine is: the next sweep looks again.
            with contextlib.suppress(SandboxError):
                await self._engine.call(
                    lambda api: api.remove_container(self.identity, force=True, v=True),
                    abandon=True,
                )
            await to_thread.run_sync(self.slot.remove)

    async def _require_running(self) -> None:
        if not await self.running():
            said = await self._engine.call(lambda api: api.logs(self.identity, tail=20))
            raise SandboxError(
                f"The container ended as it started: {said.decode(errors='replace').strip()}",
                fix="See `mlgym-mcp doctor`.",
            )


async def launch(
    engine: Engine, image: str, spec: SandboxSpec, slot: Slot, house: House
) -> Container:
    """Create and start a container for a sandbox."""
    await to_thread.run_sync(prepare_folders, spec, house)
    options = _options(spec, slot, house)
    created = await engine.call(lambda api: api.create_container(image, **options))
    container = Container(engine, str(created["Id"]), slot)
    try:
        await engine.call(lambda api: api.start(container.identity))
    except BaseException:
        await container.remove()
        raise
    return container


def prepare_folders(spec: SandboxSpec, house: House) -> None:
    """Give the writable folders to the commands' user, and make the places to mount at."""
    for mount in spec.mounts:
        inside = mount.target.removeprefix(f"{WORKSPACE}/")
        if inside != mount.target and "/" not in inside and mount.source.is_dir():
            (spec.workspace / inside).mkdir(exist_ok=True)
    user = house.user()
    if user is None or os.getuid() != 0:
        return
    own(spec.workspace, user)
    for mount in spec.mounts:
        if mount.writable:
            own(mount.source, user)


def own(path: Path, user: tuple[int, int]) -> None:
    """Give a tree to `user`, unless it is that user's already. Links are not followed."""
    if path.lstat().st_uid == user[0]:
        return
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            os.lchown(Path(folder, name), *user)
    os.lchown(path, *user)


def _options(spec: SandboxSpec, slot: Slot, house: House) -> dict[str, Any]:
    user = house.user()
    identity = {} if user is None else {"uid": user[0], "gid": user[1]}
    supervisor = supervisor_options(spec, outside_only=True, **identity)
    python = f"{ENVIRONMENT_ROOT}/bin/python"
    return {
        "command": supervisor_argv(python, "listen", slot.socket_inside, supervisor),
        "entrypoint": [],
        "name": f"mlgym-mcp-{slot.name}",
        "hostname": "sandbox",
        "user": "0:0",
        "working_dir": "/",
        "labels": {HOME_LABEL: house.label, NAME_LABEL: spec.name, SLOT_LABEL: slot.name},
        "use_config_proxy": False,
        "host_config": _host_config(spec, slot, house),
    }


def _host_config(spec: SandboxSpec, slot: Slot, house: House) -> dict[str, Any]:
    limits = spec.limits
    scratch = max(limits.memory_bytes // _TMP_SHARE, 2**20)
    open_files = max(limits.open_files, 1024)
    security = ["no-new-privileges:true", *(["label=disable"] if house.selinux else [])]
    config: dict[str, Any] = {
        "NetworkMode": "none",
        "IpcMode": "private",
        "CapDrop": ["ALL"],
        "CapAdd": list(_CAPABILITIES),
        "SecurityOpt": security,
        "ReadonlyRootfs": True,
        "Memory": limits.memory_bytes,
        "MemorySwap": limits.memory_bytes,
        "NanoCpus": int(min(limits.cpus, house.cpus) * 1e9),
        "PidsLimit": limits.processes + _SUPERVISOR_PROCESSES,
        # The supervisor's own; it gives commands the limit of the spec.
        "Ulimits": [{"Name": "nofile", "Soft": open_files, "Hard": open_files}],
        "ShmSize": scratch,
        "Tmpfs": {"/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={scratch}"},  # noqa: S108 - its own
        "Mounts": _mounts(spec, slot, house),
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "64k", "max-file": "1"}},
    }
    if house.runtime:
        config["Runtime"] = house.runtime
    if limits.gpus:
        gpus = {"Driver": "", "Count": limits.gpus, "Capabilities": [["gpu"]]}
        config["DeviceRequests"] = [gpus]
    return config


def _mounts(spec: SandboxSpec, slot: Slot, house: House) -> list[dict[str, Any]]:
    rows = [
        (slot.door, DOOR_ROOT, True),
        (house.program, PROGRAM_ROOT, False),
        (spec.workspace, WORKSPACE, True),
        (spec.outputs, OUTPUTS, True),
        *((mount.source, mount.target, mount.writable) for mount in spec.mounts),
    ]
    return [
        {"Type": "bind", "Source": str(source), "Target": target, "ReadOnly": not writable}
        for source, target, writable in rows
    ]
