"""What may be asked of any sandbox, checked on the host before anything is sent."""

import re
import secrets

from mlgym_mcp.base.errors import RequestError
from mlgym_mcp.sandbox.contract import Command

MOST_SECONDS = 24 * 3600.0
"""The longest time-out."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def job_id_of(command: Command) -> str:
    """The command's handle, its own or a fresh one, once the command was found sound.

    Raises:
        RequestError: No sandbox can be asked for it.
    """
    job_id = command.job_id or f"j{secrets.token_hex(5)}"
    if not _JOB.fullmatch(job_id):
        raise RequestError(f"{job_id!r} is no name for a job: letters, digits, _ and -.")
    for name, value in command.variables.items():
        if not _NAME.fullmatch(name) or "\0" in value:
            raise RequestError(f"{name!r} cannot be set as a variable.")
    if "\0" in command.script or "\0" in (command.cwd or ""):
        raise RequestError("A command holds no NUL character.")
    if not 0 < command.timeout_seconds <= MOST_SECONDS:
        raise RequestError(f"A time-out is more than 0 and at most {MOST_SECONDS:g} seconds.")
    return job_id
