"""What `doctor` and task checks say."""

from typing import Literal

from mlgym_mcp.types.frozen import Frozen


class Finding(Frozen):
    """One thing that was looked at."""

    check: str
    """What was looked at, for example `docker engine`."""

    state: Literal["ok", "warning", "failed"]
    detail: str
    """What was found: a version, a path, a reason."""

    fix: str = ""
    """The command that mends it, when it is not ok."""
