"""SIGINT and SIGTERM ask a server to stop; a second one ends the process as usual."""

import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager

import anyio

from mlgym_mcp.base.tasks import owned_tasks

_STOPPING = (signal.SIGINT, signal.SIGTERM)


def hold_signals() -> None:
    """Keep signals that ask to stop until `stopped_by_signals` listens; none gets lost or kills."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)


@asynccontextmanager
async def stopped_by_signals(stop: Callable[[], None]) -> AsyncGenerator[None]:
    """Call `stop` at the first signal while the body runs."""
    with ExitStack() as listening:
        # from here on, and not only when the task below first runs
        receiver = anyio.open_signal_receiver(*_STOPPING)
        signals = listening.enter_context(receiver)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)

        async def wait() -> None:
            with listening:
                await anext(signals)
            stop()

        async with owned_tasks() as tasks:
            tasks.start_soon(wait)
            yield
