"""Datasets: from pinned sources to a public and a private folder, once per task and variant.

Above: sessions mount the public folder, scoring the private one. Below: `sources` has the files.
It does not know how `dataset.py` is run: the caller hands down `prepare`, which runs it in a
sandbox. A prepared folder appears whole or not at all.
"""

import contextlib
import hashlib
import json
import secrets
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import anyio

from mlgym_mcp.base.errors import DataMissing, SpecInvalid
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.catalog.sources import Report, Sources
from mlgym_mcp.catalog.spec import SPEC_NAME, invalid
from mlgym_mcp.catalog.task import Task
from mlgym_mcp.types.task import DatasetSpec, DataState, Source, Variant

_MAX_CARD_BYTES = 2**20


@dataclass(frozen=True)
class DatasetFolders:
    """A prepared dataset."""

    public: Path
    """What the agent sees, at /workspace/data."""

    private: Path
    """What only the judge sees."""

    card: dict[str, Any]
    """Title, licence, columns, sizes and a few rows: what a reader asks first."""


@dataclass(frozen=True)
class Preparation:
    """One run of a `dataset.py`."""

    environment: str
    script: Path
    sources: Mapping[str, Path]
    """Verified files by the name the script knows them by."""

    out: Path
    """An empty folder; the script leaves `public/`, `private/` and `card.json` in it."""

    variant: Variant


Prepare = Callable[[Preparation, Report], Awaitable[None]]


class Datasets:
    """Prepared datasets under `home/datasets`."""

    def __init__(self, settings: Settings, sources: Sources | None = None) -> None:
        self._folder = settings.home / "datasets"
        self._sources = sources or Sources(settings)
        self._locks: dict[Path, anyio.Lock] = {}

    def state(self, task: Task, variant: Variant) -> DataState:
        """How far the data is; only looks whether files are there, and hashes none."""
        if (spec := task.spec.dataset) is None:
            return "none"
        if self._target(task, spec, variant).is_dir():
            return "ready"
        needed = spec.sources_of(variant)
        at_hand = [self._sources.cached(s) or self._sources.mirrored(s) for s in needed]
        return "fetchable" if all(at_hand) else "missing"

    def states(self, task: Task) -> dict[Variant, DataState]:
        """How far the data of each variant is."""
        return {variant: self.state(task, variant) for variant in task.spec.variants}

    def playable(self, task: Task, variant: Variant) -> Variant:
        """The variant itself, or what stands in for it where its files are not here."""
        if self.state(task, variant) != "missing":
            return variant
        return task.spec.without_files(variant) or variant

    def fix(self, task: Task) -> str:
        """What makes missing data ready."""
        return f"Run `mlgym-mcp data fetch {task.id}`."

    async def fetch(self, task: Task, report: Report) -> list[Source]:
        """Bring every source of the task onto this machine, those of mirrors last.

        Returns:
            Files without an address that were left out, for what is made from them can be played
            on generated data.

        Raises:
            DataMissing: A source could not be downloaded.
            DataCorrupt: A source is not the pinned one.
        """
        sources = task.spec.dataset.sources if task.spec.dataset else ()
        left_out: list[Source] = []
        for source in sorted(sources, key=lambda one: one.url is None):
            needed = source.url or not all(map(task.spec.without_files, source.variants))
            if needed or await self._sources.local(source):
                await self._sources.fetch(source, report)
            else:
                left_out.append(source)
        return left_out

    async def ready(
        self, task: Task, variant: Variant, prepare: Prepare, report: Report
    ) -> DatasetFolders | None:
        """The prepared dataset, made now if its sources are here; None for tasks without data.

        Raises:
            DataMissing: A source is neither in the cache nor in a mirror.
            DataCorrupt: A mirror's file is not the pinned one.
            SpecInvalid: `dataset.py` did not leave what it must.
        """
        if (spec := task.spec.dataset) is None:
            return None
        target = await anyio.to_thread.run_sync(self._target, task, spec, variant)
        async with self._locks.setdefault(target, anyio.Lock()):
            if not await anyio.Path(target).is_dir():
                sources = await self._local_sources(task, spec, variant)
                work = Preparation(
                    environment=spec.environment,
                    script=task.folder / "dataset.py",
                    sources=sources,
                    out=target.with_name(f".{target.name}-{secrets.token_hex(4)}"),
                    variant=variant,
                )
                await self._make(task, work, target, prepare, report)
        return await anyio.to_thread.run_sync(_read_folders, target)

    async def _local_sources(
        self, task: Task, spec: DatasetSpec, variant: Variant
    ) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for source in spec.sources_of(variant):
            path = await self._sources.local(source)
            if path is None:
                other = task.spec.without_files(variant)
                instead = f" The variant `{other}` needs no files." if other else ""
                raise DataMissing(
                    f"The data of {task.id} is not on this machine: {source.name} is neither in "
                    f"the cache nor at {source.mirror} in a folder of MLGYM_MCP_MIRRORS.",
                    fix=f"{self.fix(task)}{instead}",
                )
            found[source.name] = path
        return found

    async def _make(
        self, task: Task, work: Preparation, target: Path, prepare: Prepare, report: Report
    ) -> None:
        report(f"preparing {task.id} ({work.variant})", None)
        # closed to other users of this machine; sandboxes get what is below it
        await anyio.Path(self._folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        await anyio.Path(work.out).mkdir(parents=True)
        try:
            await prepare(work, report)
            await anyio.to_thread.run_sync(_settle, task, work.out)
            # when another process was first, its folder is as good as this one
            with contextlib.suppress(OSError):
                await anyio.Path(work.out).rename(target)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_remove, work.out)

    def _target(self, task: Task, spec: DatasetSpec, variant: Variant) -> Path:
        recipe = hashlib.sha256((task.folder / "dataset.py").read_bytes())
        recipe.update(spec.model_dump_json().encode())
        return self._folder / spec.id / f"{variant}-{recipe.hexdigest()[:16]}"


def _settle(task: Task, out: Path) -> None:
    """See that what was made is whole, and make it readable by every sandbox and writable by none.

    Docker's sandboxes run under another user id, so modes matter although the mounts are
    read-only.
    """
    missing = [name for name in ("public", "private") if not (out / name).is_dir()]
    missing += [] if (out / "card.json").is_file() else ["card.json"]
    if missing:
        reason = f"dataset.py did not write {', '.join(missing)}"
        raise invalid(task.folder / SPEC_NAME, [reason])
    for path in (out, *out.rglob("*")):
        if path.is_symlink():
            raise invalid(task.folder / SPEC_NAME, [f"dataset.py left a link: {path.name}"])
        path.chmod(0o755 if path.is_dir() else 0o444)


def _read_folders(target: Path) -> DatasetFolders:
    path = target / "card.json"
    try:
        with path.open("rb") as stream:
            card: object = json.loads(stream.read(_MAX_CARD_BYTES))
    except ValueError as error:
        raise SpecInvalid(f"{path} is not JSON: {error}.") from error
    if not isinstance(card, dict):
        raise SpecInvalid(f"{path} is not a JSON object.")
    return DatasetFolders(target / "public", target / "private", cast("dict[str, Any]", card))


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
