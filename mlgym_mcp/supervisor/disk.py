"""What the workspace and the kept outputs take on disk, watched while there is who may write.

Counted in slices between other work, so that a workspace of a million files stops nobody.
"""

from __future__ import annotations

import os
import time

from mlgym_mcp.supervisor.fault import Fault
from mlgym_mcp.supervisor.guard import RightsOf
from mlgym_mcp.supervisor.lean import TYPE_CHECKING
from mlgym_mcp.supervisor.loop import Loop, Timer
from mlgym_mcp.supervisor.options import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOLDERS = ("/workspace", "/outputs")

_SLICE_SECONDS = 0.002
_PAUSE_SECONDS = 0.25
_SHARE = 10
"""At most one part in this many of the time is spent counting."""


class Disk:
    """Counts, and says when it is too much."""

    def __init__(
        self,
        loop: Loop,
        options: Options,
        used_by_any: Callable[[], bool],
        on_full: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._options = options
        self._used_by_any = used_by_any
        self._on_full = on_full
        self._walk: Iterator[int] | None = None
        self._spent = 0.0
        self._timer: Timer | None = None
        self.used = 0
        """Bytes, as last counted."""

    @property
    def full(self) -> bool:
        """Whether the last count was over the limit."""
        return self.used >= self._options.disk_bytes

    def claim(self, size: int) -> None:
        """Make sure that `size` more bytes may be written.

        Raises:
            Fault: They may not.
        """
        limit = self._options.disk_bytes
        self.used += size
        if self.used > limit and self.count() + size > limit:
            raise Fault("failed", f"The disk limit of {limit} bytes is reached: delete something.")

    def watch(self) -> None:
        """Keep counting until nobody is left who may write."""
        if self._timer is None:
            self._timer = self._loop.later(_PAUSE_SECONDS, self._slice)

    def count(self) -> int:
        """Count all of it now."""
        with RightsOf(self._options):
            *_parts, self.used = self._count()
        return self.used

    def _slice(self) -> None:
        if self._walk is None:
            if not self._used_by_any():
                self._timer = None
                return
            self._walk = self._count()
            self._spent = 0.0
        started = time.monotonic()
        total = 0
        with RightsOf(self._options):
            while (now := time.monotonic()) - started < _SLICE_SECONDS:
                try:
                    total = next(self._walk)
                except StopIteration:
                    self._walk = None
                    break
        self._spent += now - started
        if self._walk is not None:
            self._timer = self._loop.later(_SLICE_SECONDS * (_SHARE - 1), self._slice)
            return
        self._timer = self._loop.later(max(_PAUSE_SECONDS, self._spent * _SHARE), self._slice)
        # A command that frees space is let go on.
        growing, self.used = total >= self.used, total
        if self.full and growing:
            self._on_full()

    def _count(self) -> Iterator[int]:
        """Yield the sum so far, now and then, and last the whole."""
        total = 0
        stack: list[str] = list(FOLDERS)
        while stack:
            folder = stack.pop()
            try:
                entries = os.scandir(folder)
            except OSError:
                continue
            with entries:
                for entry in entries:
                    try:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            stack.append(entry.path)
                    except OSError:
                        continue
            stack = [path for path in stack if path not in self._options.not_counted]
            yield total
        yield total
