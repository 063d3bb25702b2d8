"""Sandboxes opened ahead, for specs like those seen before.

A container's mounts are fixed when it is made, but a bind mount follows its folder, not the
folder's path. So a warm container has a workspace and outputs of its own, and the sandbox that
takes it gets these folders by rename, at the paths its spec names. It never sees another's.
"""

import os
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Generic, TypeVar

from mlgym_mcp.sandbox.contract import SandboxSpec
from mlgym_mcp.sandbox.docker.container import own
from mlgym_mcp.sandbox.docker.slot import Slot

_KEYS = 8
"""Kinds of sandboxes for which some are kept; the least recently opened is forgotten."""

Key = tuple[object, ...]
Spare = TypeVar("Spare")


def key_of(spec: SandboxSpec) -> Key:
    """What is fixed when a container is made and cannot be changed when it is taken."""
    return spec.environment, spec.mounts, spec.limits, spec.survives


def spare_spec(spec: SandboxSpec, slot: Slot) -> SandboxSpec:
    """The spec of a sandbox like `spec` with folders of its own. Blocking, quick."""
    spare = replace(
        spec,
        name=f"warm-{slot.name}",
        workspace=slot.folder / "workspace",
        outputs=slot.folder / "outputs",
    )
    spare.workspace.mkdir()
    spare.outputs.mkdir()
    return spare


def hand_over(spare: SandboxSpec, spec: SandboxSpec, user: tuple[int, int] | None) -> None:
    """Put the folders of a spare sandbox where `spec` wants them, with what is there already.

    Raises:
        OSError: They cannot be moved, as between file systems.
    """
    for ours, theirs in ((spare.workspace, spec.workspace), (spare.outputs, spec.outputs)):
        if theirs.exists():
            ours.chmod(theirs.stat().st_mode & 0o7777)
            for child in list(theirs.iterdir()):
                _move(child, ours / child.name, user if ours == spare.workspace else None)
            theirs.rmdir()
        ours.rename(theirs)


def _move(source: Path, target: Path, user: tuple[int, int] | None) -> None:
    if target.is_dir() and not target.is_symlink():
        # A place to mount at, empty in both.
        source.rmdir()
        return
    if user is not None and os.getuid() == 0:
        own(source, user)
    source.rename(target)


class Shelf(Generic[Spare]):
    """Spare sandboxes by key; it holds them and says how many are wanted, and makes none."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._spares: OrderedDict[Key, list[Spare]] = OrderedDict()
        self._coming: dict[Key, int] = {}

    def take(self, key: Key) -> Spare | None:
        """A spare one, no longer held."""
        spares = self._spares.get(key)
        return spares.pop() if spares else None

    def order(self, key: Key) -> tuple[int, list[Spare]]:
        """How many to make now for `key`, and those that are forgotten for it.

        Each that is made, or could not be, is told by `put` or `give_up`.
        """
        self._spares.setdefault(key, [])
        self._spares.move_to_end(key)
        wanted = self._size - len(self._spares[key]) - self._coming.get(key, 0)
        self._coming[key] = self._coming.get(key, 0) + max(wanted, 0)
        forgotten: list[Spare] = []
        while len(self._spares) > _KEYS:
            forgotten += self._spares.popitem(last=False)[1]
        return max(wanted, 0), forgotten

    def put(self, key: Key, spare: Spare) -> bool:
        """Hold one that was ordered; False when nobody wants it any more."""
        self.give_up(key)
        if key not in self._spares:
            return False
        self._spares[key].append(spare)
        return True

    def give_up(self, key: Key) -> None:
        """One that was ordered does not come."""
        self._coming[key] -= 1
        if not self._coming[key]:
            del self._coming[key]

    def held(self) -> list[Spare]:
        """All of them."""
        return [spare for held in self._spares.values() for spare in held]

    def drain(self) -> list[Spare]:
        """All of them, no longer held; nothing is wanted any more."""
        spares = self.held()
        self._spares.clear()
        return spares
