"""Repeating and summing up: medians, since a busy machine spoils means.

Above: every measurement. Below: the clock of the machine.
"""

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio


class Samples:
    """Durations in milliseconds."""

    def __init__(self, values: Sequence[float]) -> None:
        self.values = sorted(values)

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    @property
    def p95(self) -> float:
        """The one that 95 % are not above."""
        return self.values[min(len(self.values) - 1, int(0.95 * len(self.values)))]

    @property
    def runs(self) -> int:
        """How many there are."""
        return len(self.values)


def since(start: float) -> float:
    """Milliseconds since a `time.perf_counter()`."""
    return (time.perf_counter() - start) * 1000


async def repeat(action: Callable[[], Awaitable[Any]], runs: int, warm_up: int = 3) -> Samples:
    """Time an action again and again, after a few untimed ones."""
    for _ in range(warm_up):
        await action()
    values: list[float] = []
    for _ in range(runs):
        start = time.perf_counter()
        await action()
        values.append(since(start))
    return Samples(values)


async def repeat_beside(
    action: Callable[[], Awaitable[Any]],
    rival: Callable[[], Awaitable[Any]],
    runs: int,
    warm_up: int = 3,
) -> tuple[Samples, Samples]:
    """Time two actions in turns: a machine that is slow for a while is so for both."""
    values: dict[Callable[[], Awaitable[Any]], list[float]] = {action: [], rival: []}
    for number in range(warm_up + runs):
        for one, durations in values.items():
            start = time.perf_counter()
            await one()
            if number >= warm_up:
                durations.append(since(start))
    return Samples(values[action]), Samples(values[rival])


async def repeat_opening(
    opened: Callable[[], AbstractAsyncContextManager[Any]], runs: int, pause: float = 0.0
) -> Samples:
    """Time how long something takes to open; closing it is not counted.

    `pause` is how many seconds lie between two openings, for what goes on in the background.
    """
    values: list[float] = []
    for _ in range(runs):
        start = time.perf_counter()
        async with opened():
            values.append(since(start))
        await anyio.sleep(pause)
    return Samples(values)
