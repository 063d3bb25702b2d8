"""Serving over streamable HTTP at /mcp, and /health beside it.

Above: the command line. Below: the SDK's session manager, which speaks every protocol revision,
checks Host and Origin and limits bodies; uvicorn. A request's principal is the name of its token;
without a file of tokens only this machine may connect.
"""

import ipaddress
import socket
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from typing import Any

import anyio
import uvicorn
from anyio.abc import TaskStatus
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from mlgym_mcp.base.errors import RequestError, ServerError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.server.drain import Drain
from mlgym_mcp.server.options import HttpOptions
from mlgym_mcp.server.signals import stopped_by_signals
from mlgym_mcp.server.surface import NAME, open_server
from mlgym_mcp.server.tokens import Tokens
from mlgym_mcp.sessions import open_sessions

_GRACE_SECONDS = 3
_WAITING_CONNECTIONS = 1024


async def serve_http(
    settings: Settings,
    options: HttpOptions,
    *,
    task_status: TaskStatus[str] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until a signal comes; `task_status` is given the URL once requests are accepted.

    Raises:
        RequestError: Off loopback without a file of tokens.
        ServerError: The port is in use, or the file of tokens cannot be read.
    """
    tokens = Tokens(options.tokens_file) if options.tokens_file else None
    if tokens is None and not _is_loopback(options.host):
        raise RequestError(
            f"Without tokens the server listens on this machine alone, not on {options.host}.",
            fix="Make a token with `mlgym-mcp tokens add NAME`, then serve with `--tokens FILE`.",
        )
    listener = await _listening(options)
    with listener:
        async with open_sessions(settings) as sessions, open_server(sessions) as server:
            drain = Drain(_application(server, options, tokens))
            await _serve(drain, listener, options.host, task_status)


def _application(server: Server[Any], options: HttpOptions, tokens: Tokens | None) -> Starlette:
    manager = StreamableHTTPSessionManager(
        server,
        security_settings=_security(options),
        max_request_body_size=options.max_body_bytes,
    )
    endpoint: Any = StreamableHTTPASGIApp(manager)
    middleware: list[Middleware] = []
    if tokens is not None:
        endpoint = RequireAuthMiddleware(endpoint, [])
        middleware = [
            Middleware(AuthenticationMiddleware, backend=BearerAuthBackend(tokens)),
            Middleware(AuthContextMiddleware),
        ]

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        async with manager.run():
            yield

    routes = [Route("/mcp", endpoint), Route("/health", _health, methods=["GET"])]
    return Starlette(routes=routes, middleware=middleware, lifespan=lifespan)


async def _health(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok", "name": NAME, "version": version(NAME)})


def _security(options: HttpOptions) -> TransportSecuritySettings:
    """The Host and Origin headers to accept: this machine's names, and what the operator adds."""
    names = ["127.0.0.1", "localhost", "[::1]"]
    if not _is_loopback(options.host):
        names += [options.host, socket.gethostname()]
    hosts = [pattern for name in names for pattern in (name, f"{name}:*")]
    origins = [f"http://{pattern}" for pattern in hosts]
    return TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[*hosts, *options.allowed_hosts],
        allowed_origins=[*origins, *options.allowed_origins],
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


async def _listening(options: HttpOptions) -> socket.socket:
    host, port = options.host.strip("[]"), options.port
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise RequestError(
            f"'{options.host}' is no address of this machine: {error}.",
            fix="Give one with `--host`, for example 127.0.0.1.",
        ) from error
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_WAITING_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise ServerError(
            f"The port {port} on {options.host} cannot be listened on: {error.strerror}.",
            fix="Stop what uses it, or take another with `--port`; 0 takes a free one.",
        ) from error
    return listener


class _Uvicorn(uvicorn.Server):
    """Uvicorn without its signal handlers, which end the process before sessions are closed."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to `stopped_by_signals`."""
        yield


async def _serve(
    drain: Drain, listener: socket.socket, host: str, task_status: TaskStatus[str]
) -> None:
    port = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    url = f"http://{shown}:{port}/mcp"

    config = uvicorn.Config(
        drain,
        log_config=None,
        access_log=False,
        ws="none",
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Uvicorn(config)

    def stop() -> None:
        server.should_exit = True
        drain.end()

    async with stopped_by_signals(stop):
        sys.stderr.write(f"{NAME} serves {url}\n")
        task_status.started(url)
        await server.serve(sockets=[listener])
