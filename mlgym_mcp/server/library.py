"""Resources over MCP: list them, list their templates, read one.

Above: the server registers the handlers. Below: the table of resources. What goes wrong is a
protocol error whose data is the failure.
"""

import base64
import mimetypes
from collections.abc import Iterable, Iterator
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.uri_template import UriTemplate
from mcp_types import (
    BlobResourceContents,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    ResourceTemplate,
    TextResourceContents,
)
from mcp_types import Resource as ListedResource

from mlgym_mcp.base.errors import MlgymError, NotFound
from mlgym_mcp.server.caller import principal_of
from mlgym_mcp.server.failure import bug, protocol_error
from mlgym_mcp.server.resource import Reader, Resource
from mlgym_mcp.sessions import Sessions

Context = ServerRequestContext[Any, Any]
_LISTED_SESSIONS = 100


class Library:
    """The handlers of `resources/list`, `resources/templates/list` and `resources/read`."""

    def __init__(self, sessions: Sessions, resources: Iterable[Resource]) -> None:
        self._sessions = sessions
        self._routes = [(UriTemplate.parse(entry.template), entry) for entry in resources]
        self._by_name = {entry.name: (template, entry) for template, entry in self._routes}
        self._templates = ListResourceTemplatesResult(
            resource_templates=[
                _template(entry) for template, entry in self._routes if template.variable_names
            ]
        )

    async def templates(
        self, _context: Context, _params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        """Every family of resources."""
        return self._templates

    async def list(
        self, context: Context, _params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        """What there is now: tasks, datasets, leaderboards, and the caller's latest sessions."""
        try:
            views = await self._sessions.list_sessions(principal_of(context))
        except MlgymError as error:
            raise protocol_error(error) from error
        latest = sorted(views, key=lambda view: view.opened_at, reverse=True)[:_LISTED_SESSIONS]
        return ListResourcesResult(
            resources=[
                *self._of_tasks(),
                *(self._listed("session", view.session, session=view.session) for view in latest),
            ]
        )

    async def read(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        """One resource, as its owner sees it."""
        uri = str(params.uri)
        try:
            entry, variables = self._found(uri)
            reader = Reader(self._sessions, principal_of(context))
            content = await entry.read(reader, variables)
        except MlgymError as error:
            raise protocol_error(error) from error
        except Exception as error:
            raise protocol_error(bug(f"resource {uri[:200]}", error)) from error
        return ReadResourceResult(contents=[_contents(uri, entry, content)])

    def _found(self, uri: str) -> tuple[Resource, dict[str, str]]:
        for template, entry in self._routes:
            values = template.match(uri)
            if values is not None:
                return entry, {name: str(value) for name, value in values.items()}
        known = ", ".join(entry.template for _, entry in self._routes)
        raise NotFound(f"There is no resource '{uri[:200]}'.", fix=f"The addresses are {known}.")

    def _of_tasks(self) -> Iterator[ListedResource]:
        yield self._listed("tasks", "Tasks")
        for summary in self._sessions.tasks(None, None):
            yield self._listed("brief", f"{summary.title}: brief", task=summary.id)
            yield self._listed("spec", f"{summary.title}: spec", task=summary.id)
            yield self._listed("leaderboard", f"{summary.title}: leaderboard", task=summary.id)
            dataset = self._sessions.task(summary.id).spec.dataset
            if dataset is not None:
                yield self._listed("dataset", dataset.title, dataset=dataset.id)

    def _listed(self, kind: str, title: str, **variables: str) -> ListedResource:
        template, entry = self._by_name[kind]
        return ListedResource(
            uri=template.expand(variables),
            name="-".join([kind, *variables.values()]),
            title=title,
            description=entry.description,
            mime_type=entry.mime,
        )


def _template(entry: Resource) -> ResourceTemplate:
    return ResourceTemplate(
        uri_template=entry.template,
        name=entry.name,
        title=entry.title,
        description=entry.description,
        mime_type=entry.mime,
    )


def _contents(
    uri: str, entry: Resource, content: str | bytes
) -> TextResourceContents | BlobResourceContents:
    if isinstance(content, str):
        return TextResourceContents(uri=uri, mime_type=entry.mime, text=content)
    guessed, encoding = mimetypes.guess_type(uri)
    mime = guessed if guessed and not encoding else None
    try:
        return TextResourceContents(uri=uri, mime_type=mime or "text/plain", text=content.decode())
    except UnicodeDecodeError:
        blob = base64.b64encode(content).decode("ascii")
        return BlobResourceContents(uri=uri, mime_type=mime or entry.mime, blob=blob)
