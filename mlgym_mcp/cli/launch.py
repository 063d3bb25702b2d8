"""What every subcommand does first: read the operator's settings, set up logs, start the loop.

Above: the subcommands. Below: the settings and anyio. It knows no subcommand.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
from pydantic import ValidationError

from mlgym_mcp.base.errors import RequestError
from mlgym_mcp.base.logs import configure_logs
from mlgym_mcp.base.settings import Settings

T = TypeVar("T")


def read_settings(**changes: Any) -> Settings:
    """The settings from the environment, with `changes` that are not None; sets up logs too.

    Raises:
        RequestError: A `MLGYM_MCP_*` variable has a value that cannot be.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        fault = error.errors()[0]
        name = f"MLGYM_MCP_{'_'.join(map(str, fault['loc'])).upper()}"
        raise RequestError(
            f"{name} is {fault['input']!r}: {fault['msg']}.", fix=f"Set {name} anew, or unset it."
        ) from error
    configure_logs(settings.log_level)
    return settings


def run(function: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run an async function to its end; an interrupt cancels it and lets it clean up."""
    return anyio.run(function, *args)
