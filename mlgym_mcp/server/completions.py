"""Completions: the ids that an argument of a prompt or of a resource's address may have."""

from typing import Any

from mcp.server.context import ServerRequestContext
from mcp_types import CompleteRequestParams, CompleteResult, Completion

from mlgym_mcp.base.errors import MlgymError
from mlgym_mcp.server.caller import principal_of
from mlgym_mcp.server.failure import protocol_error
from mlgym_mcp.sessions import Sessions

_SHOWN = 100
"""As many values as the protocol allows in one answer."""


class Completions:
    """The handler of `completion/complete`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def complete(
        self, context: ServerRequestContext[Any, Any], params: CompleteRequestParams
    ) -> CompleteResult:
        """The values that begin with what was typed, then those that have it anywhere."""
        typed = params.argument.value
        try:
            values = await self._values(params.argument.name, principal_of(context))
        except MlgymError as error:
            raise protocol_error(error) from error
        fitting = [value for value in values if typed in value]
        fitting.sort(key=lambda value: not value.startswith(typed))
        shown = fitting[:_SHOWN]
        more = len(fitting) > _SHOWN
        return CompleteResult(
            completion=Completion(values=shown, total=len(fitting), has_more=more)
        )

    async def _values(self, argument: str, principal: str) -> list[str]:
        if argument == "task":
            return [summary.id for summary in self._sessions.tasks(None, None)]
        if argument == "dataset":
            tasks = [self._sessions.task(item.id) for item in self._sessions.tasks(None, None)]
            return sorted({task.spec.dataset.id for task in tasks if task.spec.dataset})
        if argument == "session":
            views = await self._sessions.list_sessions(principal)
            return [view.session for view in sorted(views, key=lambda view: -view.opened_at)]
        return []
