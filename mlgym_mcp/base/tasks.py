"""A task group for context managers: what fails in the body comes out as it is.

A plain task group wraps the body's exception in an `ExceptionGroup`, and nobody above could catch
it by its class.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup


@asynccontextmanager
async def owned_tasks(*, cancel: bool = True) -> AsyncGenerator[TaskGroup]:
    """A task group around a body; its tasks are cancelled when the body ends, or waited for."""
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        except Exception as error:  # noqa: BLE001 - raised again below, outside the group
            failure = error
        if cancel:
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
