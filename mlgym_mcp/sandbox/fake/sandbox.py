"""A sandbox in memory: the whole contract, on the real folders of its spec."""

import os
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path

from anyio import get_cancelled_exc_class, to_thread

from mlgym_mcp.base.clock import Clock
from mlgym_mcp.base.errors import BadPath, NotFound, RequestError, SandboxError
from mlgym_mcp.sandbox.contract import WORKSPACE, Command, Job, Sandbox, SandboxSpec, Usage
from mlgym_mcp.sandbox.fake.job import FakeJob, Leave, dead
from mlgym_mcp.sandbox.fake.shell import Program, State, World
from mlgym_mcp.sandbox.fake.tree import Place, Tree
from mlgym_mcp.sandbox.request import job_id_of
from mlgym_mcp.types.command import CommandResult
from mlgym_mcp.types.files import FileEntry, Listing


class FakeSandbox(Sandbox):
    """A place to run fake commands and keep real files."""

    def __init__(self, spec: SandboxSpec, clock: Clock, programs: Mapping[str, Program]) -> None:
        self.spec = spec
        self._gone = threading.Event()
        self._world = World(Tree(spec), clock, programs, spec.limits.disk_bytes, self._gone)
        self._jobs: dict[str, FakeJob] = {}
        self._left = Leave()
        self._left.state = State(variables=dict(spec.variables))

    @property
    def alive(self) -> bool:
        """Whether it was neither closed nor killed."""
        return not self._gone.is_set()

    def kill(self) -> None:
        """Die as a sandbox does whose supervisor is killed: commands are lost."""
        self._gone.set()

    async def run(self, command: Command) -> CommandResult:
        """Run to the end."""
        job = await self._begin(command)
        try:
            result = await job.wait(float("inf"))
        except get_cancelled_exc_class():
            job.stop()
            raise
        assert result is not None
        return result

    async def start(self, command: Command) -> Job:
        """Start without waiting."""
        return await self._begin(command)

    async def job(self, job_id: str) -> Job | None:
        """A job started earlier."""
        self._require_alive()
        return self._jobs.get(job_id)

    async def read_file(self, path: str, max_bytes: int = 64 * 2**20) -> bytes:
        """The whole file."""
        self._require_alive()
        return await to_thread.run_sync(self._read, path, max_bytes)

    async def write_file(self, path: str, data: bytes) -> None:
        """Create or replace a file, at once or not at all."""
        self._require_alive()
        await to_thread.run_sync(self._write, path, data)

    async def list_files(self, path: str = ".", depth: int = 1, limit: int = 1000) -> Listing:
        """Entries below a folder."""
        self._require_alive()
        return await to_thread.run_sync(self._list, path, depth, limit)

    async def usage(self) -> Usage:
        """What it uses now; memory and CPU are those of nobody."""
        self._require_alive()
        running = sum(job.running for job in self._jobs.values())
        disk = await to_thread.run_sync(self._world.tree.used)
        return Usage(memory_bytes=0, processes=1 + running, disk_bytes=disk, cpu_seconds=0.0)

    async def close(self) -> None:
        """End every command."""
        self._gone.set()

    async def _begin(self, command: Command) -> FakeJob:
        self._require_alive()
        job_id = job_id_of(command)
        if job_id in self._jobs:
            raise RequestError(f"A job {job_id!r} was started before.")
        job = await to_thread.run_sync(self._make_job, job_id, command)
        self._jobs[job_id] = job
        return job

    def _make_job(self, job_id: str, command: Command) -> FakeJob:
        left = (
            self._left.state if command.keep_state else State(variables=dict(self.spec.variables))
        )
        state = State(left.cwd, left.variables | dict(command.variables))
        if command.cwd is not None:
            place = self._world.tree.find(command.cwd)
            if not place.host.is_dir():
                raise BadPath(f"The directory {command.cwd!r} does not exist.")
            state.cwd = place.shown
        job = FakeJob(job_id, command, self.spec, self._world)
        job.begin(state, self._left)
        return job

    def _read(self, path: str, max_bytes: int) -> bytes:
        host = self._existing(path).host
        if not host.is_file():
            raise BadPath(f"{path!r} is no file.")
        if host.stat().st_size > max_bytes:
            raise BadPath(f"{path!r} has more than {max_bytes} bytes.")
        try:
            return host.read_bytes()
        except OSError as error:
            raise BadPath(f"{path!r}: {error.strerror}.") from error

    def _write(self, path: str, data: bytes) -> None:
        place = self._world.tree.find_allowed(path)
        inside = place.shown.startswith(f"{WORKSPACE}/")
        if not (inside and place.writable) or place.host.is_dir():
            raise BadPath(f"{path!r} cannot be written.")
        if self._world.tree.used() + len(data) > self.spec.limits.disk_bytes:
            raise SandboxError(f"{path!r}: No space left on device.")
        temporary = place.host.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            place.host.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            if place.host.exists():
                temporary.chmod(place.host.stat().st_mode & 0o777)
            temporary.replace(place.host)
        except OSError as error:
            raise BadPath(f"{path!r}: {error.strerror}.") from error

    def _list(self, path: str, depth: int, limit: int) -> Listing:
        host = self._existing(path).host
        if not host.is_dir():
            raise BadPath(f"{path!r} is no folder.")
        entries = sorted(_entries(host, "", depth), key=lambda entry: entry.path)
        return Listing(path=path, entries=tuple(entries[:limit]), total=len(entries))

    def _existing(self, path: str) -> Place:
        place = self._world.tree.find_allowed(path)
        if not place.host.exists():
            raise NotFound(f"{path!r} does not exist.")
        return place

    def _require_alive(self) -> None:
        if self._gone.is_set():
            raise dead(self.spec)


def _entries(folder: Path, prefix: str, depth: int) -> list[FileEntry]:
    found: list[FileEntry] = []
    for entry in os.scandir(folder):
        path = prefix + entry.name
        if entry.is_symlink():
            found.append(FileEntry(path=path, kind="link", size=0))
        elif entry.is_dir():
            found.append(FileEntry(path=path, kind="directory", size=0))
            if depth > 1:
                found += _entries(Path(entry.path), f"{path}/", depth - 1)
        else:
            kind = "file" if entry.is_file() else "other"
            size = entry.stat().st_size if kind == "file" else 0
            found.append(FileEntry(path=path, kind=kind, size=size))
    return found
