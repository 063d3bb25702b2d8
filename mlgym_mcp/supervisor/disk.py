"""What the workspace and the kept outputs take on disk, watched while there is who may write.

Counted in slices between other work, so that a workspace of a million files stops nobody. Of what
cannot be looked into only the disk's free space tells.
"""

from __future__ import annotations

import errno
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

FULL_BYTES = 256 * 2**10
"""What may be written where there is too much: enough to say what was deleted."""

_LEAST_BYTES = 4096
"""What each file, folder or link counts for, empty ones too: a disk has only so many."""

_GONE = (errno.ENOENT, errno.ENOTDIR)
"""Why something that was deleted meanwhile cannot be looked at."""

_YIELD = 64
_SLICE_SECONDS = 0.002
_PAUSE_SECONDS = 0.25
_FULL_PAUSE_SECONDS = 0.01
_SHARE = 10
"""At most one part in this many of the time is spent counting, but in a hurry."""

_UNEXPLAINED = 8
"""One part in this many of the limit may go from the disk's free space before there is a hurry."""


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
        self._due = self._since = 0.0
        self._unseen = 0.0
        """Seconds of short commands that no count has seen."""

        self._free = self._free_seen = _free()
        """What the disk had left when the count began, and when all could last be looked into."""

        self._hidden = False
        self._skipped = frozenset(options.not_counted)
        self._total = 0
        """Of the walk that goes on."""

        self._floor = 0
        """What there was when the command started that may only delete."""

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
        """Somebody may write now: keep counting until nobody may."""
        if self._timer is None:
            pause = _FULL_PAUSE_SECONDS if self.full else _PAUSE_SECONDS - self._unseen
            self._since, self._free = time.monotonic(), _free()
            self._due = self._since + pause
            self._timer = self._loop.later(pause, self._look)

    def rest(self) -> None:
        """Nobody is left who may write. What short commands wrote is counted for many together."""
        if self._timer is None or self._walk is not None or self.full or self._hurried():
            return
        unseen = self._unseen + time.monotonic() - self._since
        if unseen < _PAUSE_SECONDS:
            self._unseen = unseen
            self._timer.cancel()
            self._timer = None

    def settle(self) -> None:
        """Count before a command starts where there is too much: what grew is not its doing."""
        if self.full:
            self._walk = None
            if self._grown(self.count()) and self.full:
                self._on_full()
            self._floor = self.used

    def count(self) -> int:
        """Count all of it now."""
        with RightsOf(self._options):
            *_parts, self.used = self._count()
        return self.used

    def _look(self) -> None:
        started = now = time.monotonic()
        walk = self._walk
        if walk is None:
            if now < self._due and not self._hurried():
                self._look_again()
                return
            walk = self._walk = self._count()
            self._since, self._free = now, _free()
            self._spent = self._unseen = 0.0
        over = False
        with RightsOf(self._options):
            while not over and now - started < _SLICE_SECONDS:
                over = self._step(walk)
                now = time.monotonic()
        self._spent += now - started
        if over:
            self._walk = None
            self._counted(self._total)
        else:
            pause = 0 if self._hurried() else _SLICE_SECONDS * (_SHARE - 1)
            self._timer = self._loop.later(pause, self._look)

    def _step(self, walk: Iterator[int]) -> bool:
        """Count on; whether that was all, or enough to know."""
        try:
            self._total = next(walk)
        except StopIteration:
            return True
        # what grows faster than it is walked has no end
        return self._total >= self._options.disk_bytes and not self.full

    def _counted(self, total: int) -> None:
        # A command that frees space is let go on, and one that says so.
        was_full, self.used = self.full, total
        if self.full and (not was_full or self._grown(total)):
            self._on_full()
        self._floor = min(self._floor, total) if was_full else total
        self._timer = None
        if self._used_by_any():
            pause = _FULL_PAUSE_SECONDS if self.full else _PAUSE_SECONDS
            self._due = time.monotonic() + max(pause, self._spent * _SHARE)
            self._look_again()

    def _grown(self, total: int) -> bool:
        """Whether there is more than a command may write that should only delete."""
        others = self._options.disk_bytes // _UNEXPLAINED if self._hidden else 0
        return total > self._floor + FULL_BYTES + others

    def _look_again(self) -> None:
        pause = min(_PAUSE_SECONDS, max(0.0, self._due - time.monotonic()))
        self._timer = self._loop.later(pause, self._look)

    def _hurried(self) -> bool:
        """Whether so much went from the disk since the count began that it is out of date."""
        return self._free - _free() > self._options.disk_bytes // _UNEXPLAINED

    def _count(self) -> Iterator[int]:
        """Yield the sum so far, now and then, and last the whole."""
        total = 0
        hidden = False
        stack: list[str] = [*FOLDERS]
        while stack:
            try:
                entries = os.scandir(stack.pop())
            except OSError as error:
                hidden = hidden or error.errno not in _GONE
                continue
            with entries:
                for number, entry in enumerate(entries):
                    if number % _YIELD == 0:
                        yield total
                    try:
                        blocks = entry.stat(follow_symlinks=False).st_blocks
                    except OSError as error:
                        hidden = hidden or error.errno not in _GONE
                        continue
                    total += max(blocks * 512, _LEAST_BYTES)
                    if entry.is_dir(follow_symlinks=False) and entry.path not in self._skipped:
                        stack.append(entry.path)
        self._hidden = hidden
        yield total + self._out_of_sight()

    def _out_of_sight(self) -> int:
        """What went from the disk since some folder cannot be looked into: most likely into it."""
        free = _free()
        if not self._hidden:
            self._free_seen = free
        return max(0, self._free_seen - free)


def _free() -> int:
    found = os.statvfs(FOLDERS[0])
    return found.f_bfree * found.f_frsize + found.f_ffree * _LEAST_BYTES
