"""Copies of our own programs to mount into sandboxes: readable by any user there, and compiled.

Above: the sandbox engines and the trials. A sandbox cannot write what Python would keep for the next start,
and not every installer compiles what it installs; so each start would read the sources anew.
"""

import py_compile
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import anyio


@dataclass(frozen=True)
class Program:
    """One package of ours, and where it is seen inside."""

    package: Path
    root: str
    """Where the copy is mounted."""

    place: str
    """The package's folder below that."""

    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further files below `root`, and what is in them."""


class ProgramCopy:
    """The copy of a program below one home, made when it is first asked for."""

    def __init__(self, home: Path, program: Program) -> None:
        self._home = home
        self._program = program
        self._folder: Path | None = None
        self._making = anyio.Lock(fast_acquire=True)

    async def folder(self) -> Path:
        """The folder to mount at the program's `root`."""
        # one makes it: many at once would each compile everything
        async with self._making:
            if self._folder is None:
                made = await anyio.to_thread.run_sync(program_copy, self._home, self._program)
                self._folder = made
        return self._folder


def program_copy(home: Path, program: Program) -> Path:
    """The folder to mount at `program.root`; made when it is not there. Blocking, quick."""
    sources = sorted(program.package.glob("*.py"))
    digest = sha256(repr((program.root, program.place, program.files)).encode())
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    folder = home / "programs" / f"{program.package.name}-{digest.hexdigest()[:12]}"
    if not folder.is_dir():
        _make(folder, program, sources)
    return folder


def _make(folder: Path, program: Program, sources: list[Path]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=folder.parent))
    package = making / program.place
    package.mkdir(parents=True)
    for source in sources:
        copy = package / source.name
        shutil.copyfile(source, copy)
        # Unchecked: nothing changes here, and the file's time means nothing in a sandbox.
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        shown = f"{program.root}/{program.place}/{source.name}"
        py_compile.compile(str(copy), dfile=shown, invalidation_mode=mode)
    for name, text in program.files.items():
        path = making / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in (making, *making.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    try:
        making.rename(folder)
    except OSError:
        # Another process was first; its files are the same.
        shutil.rmtree(making)
