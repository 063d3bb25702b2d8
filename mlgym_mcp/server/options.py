"""What an operator chooses when serving over HTTP."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class HttpOptions:
    """Where to listen, and whom to let in."""

    host: str = "127.0.0.1"
    """An address of this machine."""

    port: int = 8765
    """0 takes a free one."""

    tokens_file: Path | None = None
    """JSON: each name with the sha256 of its token. Without it only loopback is served."""

    allowed_hosts: tuple[str, ...] = ()
    """Further values of the Host header to accept; `name:*` accepts any port."""

    allowed_origins: tuple[str, ...] = ()
    """Further values of the Origin header to accept, likewise."""

    max_body_bytes: int = 16 * 2**20
    """The largest request."""
