"""Who sent a request: the name of its token over HTTP, else the person at this machine."""

from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.context import ServerRequestContext

LOCAL = "local"
"""The principal of stdio, and of HTTP on loopback without tokens."""


def principal_of(context: ServerRequestContext[Any, Any]) -> str:
    """The principal of one request.

    The user is read off the request itself and not off the connection: one connection may carry
    requests of several tokens.
    """
    user = context.request.scope.get("user") if context.request is not None else None
    return user.access_token.client_id if isinstance(user, AuthenticatedUser) else LOCAL
