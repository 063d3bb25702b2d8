"""The supervisor's event loop: descriptors, timers and ended children, in one thread.

A thread pool or asyncio would cost start-up time and memory in every sandbox; epoll is enough.
"""

from __future__ import annotations

import heapq
import itertools
import os
import select
import time

from mlgym_mcp.supervisor.lean import TYPE_CHECKING, signal

if TYPE_CHECKING:
    from collections.abc import Callable

    Callback = Callable[[], None]

READ = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR
WRITE = select.EPOLLOUT


class Timer:
    """Something to be done later, unless cancelled."""

    def __init__(self, when: float, callback: Callback) -> None:
        self.when = when
        self.callback: Callback | None = callback

    def cancel(self) -> None:
        """Never do it."""
        self.callback = None


class Loop:
    """Calls back when a descriptor is ready, a time has come, or a child ended."""

    def __init__(self, on_child: Callback) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Callable[[int], None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._on_child = on_child
        self._stopped = False
        self._wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
        self.watch(self._wake, READ, self._woken)

    def watch(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Call `callback(ready)` whenever one of `events` is there."""
        if fd in self._watched:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._watched[fd] = callback

    def forget(self, fd: int) -> None:
        """Watch a descriptor no longer; before it is closed."""
        if self._watched.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def later(self, seconds: float, callback: Callback) -> Timer:
        """Call `callback` once, after `seconds`."""
        timer = Timer(time.monotonic() + max(seconds, 0), callback)
        heapq.heappush(self._timers, (timer.when, next(self._order), timer))
        return timer

    def stop(self) -> None:
        """Return from `run` after this round."""
        self._stopped = True

    def run(self) -> None:
        """Serve until stopped."""
        while not self._stopped:
            for fd, ready in self._epoll.poll(self._patience()):
                callback = self._watched.get(fd)
                if callback is not None:
                    callback(ready)
            self._fire()

    def _patience(self) -> float:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return -1
        return max(0.0, self._timers[0][0] - time.monotonic())

    def _fire(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            callback = heapq.heappop(self._timers)[2].callback
            if callback is not None:
                callback()

    def _woken(self, _ready: int) -> None:
        try:
            os.read(self._wake, 4096)
        except BlockingIOError:
            return
        self._on_child()
