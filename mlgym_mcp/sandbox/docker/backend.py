"""The Docker backend: one container per sandbox, the supervisor as its pid 1.

Above: the registry opens it. Below: `images` builds, `container` starts, `slot` finds again,
`warm` keeps spares, `remote` talks. A sandbox that survives goes on without this process: the next
one attaches to it through the claim that was written when it was opened.
"""

import os
import re
import shlex
from contextlib import AsyncExitStack
from hashlib import sha256
from types import TracebackType
from typing import Self

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from mlgym_mcp.base.errors import SandboxDead, SandboxError
from mlgym_mcp.base.programs import ProgramCopy
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.tasks import owned_tasks
from mlgym_mcp.sandbox.contract import Backend, Command, Report, Sandbox, SandboxSpec, silent
from mlgym_mcp.sandbox.docker.check import look
from mlgym_mcp.sandbox.docker.container import HOME_LABEL, SLOT_LABEL, Container, House, launch
from mlgym_mcp.sandbox.docker.engine import Engine
from mlgym_mcp.sandbox.docker.images import Images
from mlgym_mcp.sandbox.docker.slot import Slot, Slots
from mlgym_mcp.sandbox.docker.warm import Key, Shelf, hand_over, key_of, spare_spec
from mlgym_mcp.sandbox.link import Link
from mlgym_mcp.sandbox.program import SUPERVISOR
from mlgym_mcp.sandbox.remote import RemoteSandbox
from mlgym_mcp.types.finding import Finding

_GREETING_SECONDS = 30.0
_CLOSE_SECONDS = 30.0
_NAME = re.compile(r"[a-z0-9-]{1,100}")


class _Opened:
    """A container and the link to it."""

    def __init__(self, spec: SandboxSpec, container: Container, link: Link, slots: Slots) -> None:
        self.spec = spec
        self.container = container
        self.link = link
        self._slots = slots
        self._ending = anyio.Lock()
        self._ended = False

    async def end(self) -> None:
        """End it and delete what is left of it. Idempotent, bounded, never raises."""
        with anyio.CancelScope(shield=True):
            async with self._ending:
                if not self._ended:
                    self._ended = True
                    self.link.fail("it was closed")
                    await self.container.remove()
                    await to_thread.run_sync(self._unclaim)

    def _unclaim(self) -> None:
        claim = self._slots.claimed(self.spec.name)
        if claim is not None and claim[0] == self.container.identity:
            self._slots.unclaim(self.spec.name)


class Docker(Backend):
    """The backend; used as `async with`."""

    name = "docker"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine = Engine()
        self._images = Images(settings, self._engine)
        self._slots = Slots(settings.home)
        self._shelf: Shelf[_Opened] = Shelf(settings.warm_sandboxes)
        self._open: dict[str, _Opened] = {}
        self._opening = anyio.Semaphore(2 * (os.cpu_count() or 1))
        self._program = ProgramCopy(settings.home, SUPERVISOR)
        self._house: House | None = None
        self._exits = AsyncExitStack()
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = await self._exits.enter_async_context(owned_tasks())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        await self.close()
        done = await self._exits.__aexit__(kind, error, trace)
        await self._engine.close()
        return done

    async def prepare(self, environment: str, report: Report = silent) -> None:
        """Build the environment's image unless it is there."""
        await self._images.ensure(environment, report)

    async def open(self, spec: SandboxSpec) -> Sandbox:
        """Open a sandbox: a spare one where there is one like it, else a new container."""
        if not _NAME.fullmatch(spec.name):
            raise SandboxError(f"{spec.name!r} is no name for a sandbox.")
        await self._forget(spec.name)
        opened = await self._take_spare(spec)
        if opened is None:
            slot = await to_thread.run_sync(self._slots.make)
            opened = await self._launch(spec, slot)
        await to_thread.run_sync(
            self._slots.claim, spec.name, opened.container.identity, opened.container.slot
        )
        self._open[spec.name] = opened
        if spec.survives:
            await self._stock(spec)
        return RemoteSandbox(spec, opened.link, opened.end)

    async def attach(self, spec: SandboxSpec) -> Sandbox | None:
        """The container an earlier process, or a broken link, left running."""
        claim = await to_thread.run_sync(self._slots.claimed, spec.name)
        if claim is None:
            return None
        container = Container(self._engine, *claim)
        if await container.running():
            try:
                opened = await self._link(spec, container)
            except SandboxError:
                # It runs but does not answer, which is as good as dead.
                pass
            else:
                self._open[spec.name] = opened
                return RemoteSandbox(spec, opened.link, opened.end)
        await container.remove()
        await to_thread.run_sync(self._slots.unclaim, spec.name)
        return None

    async def sweep(self, keep: frozenset[str]) -> int:
        """Remove this home's containers that no kept name claims, and what they left."""
        claims = await to_thread.run_sync(self._slots.claims)
        kept = {slot.name for name, (_, slot) in claims.items() if name in keep}
        kept |= {opened.container.slot.name for opened in self._all_open()}
        label = f"{HOME_LABEL}={self._label}"
        there = await self._engine.call(
            lambda api: api.containers(all=True, filters={"label": label})
        )
        gone = [one for one in there if one["Labels"].get(SLOT_LABEL) not in kept]
        for one in gone:
            slot = self._slots.named(str(one["Labels"].get(SLOT_LABEL)))
            await Container(self._engine, str(one["Id"]), slot).remove()
        await to_thread.run_sync(self._sweep_folders, kept)
        return len(gone)

    async def check(self) -> list[Finding]:
        """What `doctor` says of this engine here."""
        return await look(self._engine, self._images, self._settings)

    async def close(self) -> None:
        """Close every sandbox that does not survive, and the links to those that do."""
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            async with anyio.create_task_group() as group:
                for opened in [*self._open.values(), *self._shelf.drain()]:
                    if opened.spec.survives and opened.spec.name in self._open:
                        opened.link.fail("the server is closing")
                    else:
                        group.start_soon(opened.end)
        self._open.clear()

    @property
    def _label(self) -> str:
        return sha256(str(self._settings.home).encode()).hexdigest()[:12]

    def _all_open(self) -> list[_Opened]:
        return [*self._open.values(), *self._shelf.held()]

    async def _known_house(self) -> House:
        if self._house is None:
            said = await self._engine.call(lambda api: api.info())
            security = " ".join(said.get("SecurityOptions") or ())
            self._house = House(
                label=self._label,
                program=await self._program.folder(),
                runtime=self._settings.docker_runtime,
                cpus=int(said.get("NCPU") or os.cpu_count() or 1),
                rootless="name=rootless" in security,
                selinux="name=selinux" in security,
            )
        return self._house

    async def _launch(self, spec: SandboxSpec, slot: Slot) -> _Opened:
        house = await self._known_house()
        image = await self._images.ensure(spec.environment)
        async with self._opening:
            try:
                container = await launch(self._engine, image, spec, slot, house)
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(slot.remove)
                raise
            try:
                return await self._link(spec, container)
            except BaseException:
                await container.remove()
                raise

    async def _link(self, spec: SandboxSpec, container: Container) -> _Opened:
        if self._tasks is None:
            raise SandboxError("The backend is not open.", fix="Use it as `async with`.")
        link = Link(await container.connect(), spec.name)
        opened = _Opened(spec, container, link, self._slots)
        self._tasks.start_soon(self._tend, opened)
        try:
            await link.greeting(_GREETING_SECONDS)
        except SandboxDead as error:
            raise SandboxError(f"Cannot open sandbox '{spec.name}': {error.message}") from error
        return opened

    async def _tend(self, opened: _Opened) -> None:
        """Serve its link; a sandbox that does not survive ends with it."""
        await opened.link.serve()
        if not opened.spec.survives:
            await opened.end()
        name = opened.spec.name
        if self._open.get(name) is opened:
            del self._open[name]

    async def _forget(self, name: str) -> None:
        """Remove what an earlier sandbox of that name left; its link is dead."""
        opened = self._open.pop(name, None)
        if opened is not None:
            await opened.end()
        claim = await to_thread.run_sync(self._slots.claimed, name)
        if claim is not None:
            await Container(self._engine, *claim).remove()
            await to_thread.run_sync(self._slots.unclaim, name)

    async def _take_spare(self, spec: SandboxSpec) -> _Opened | None:
        spare = self._shelf.take(key_of(spec))
        if spare is None:
            return None
        try:
            if spare.link.dead.is_set():
                raise BrokenPipeError
            await to_thread.run_sync(
                hand_over, spare.spec, spec, (await self._known_house()).user()
            )
            if spare.spec.variables != spec.variables:
                exports = [f"{name}={value}" for name, value in spec.variables.items()]
                exporting = Command(shlex.join(["export", *exports]))
                await RemoteSandbox(spec, spare.link, spare.end).run(exporting)
        except (OSError, SandboxError):
            await spare.end()
            return None
        spare.spec = spec
        return spare

    async def _stock(self, spec: SandboxSpec) -> None:
        """See to it that there are spares for the next spec like this one."""
        if self._tasks is None or not self._settings.warm_sandboxes:
            return
        key = key_of(spec)
        count, forgotten = self._shelf.order(key)
        for opened in forgotten:
            self._tasks.start_soon(opened.end)
        for _each in range(count):
            self._tasks.start_soon(self._make_spare, key, spec)

    async def _make_spare(self, key: Key, spec: SandboxSpec) -> None:
        try:
            slot = await to_thread.run_sync(self._slots.make)
            opened = await self._launch(await to_thread.run_sync(spare_spec, spec, slot), slot)
        except (SandboxError, OSError):
            # Only speed is lost; the next opening says what is wrong.
            self._shelf.give_up(key)
            return
        if not self._shelf.put(key, opened):
            await opened.end()

    def _sweep_folders(self, kept: set[str]) -> None:
        for name, (_container, slot) in self._slots.claims().items():
            if slot.name not in kept:
                self._slots.unclaim(name)
        for name in self._slots.names():
            if name not in kept:
                self._slots.named(name).remove()
