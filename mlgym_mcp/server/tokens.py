"""Bearer tokens: a file of names and hashes, and who a token belongs to.

Above: HTTP asks about each request. Below: a JSON file that `mlgym-mcp tokens add` writes; it is
read again when it changes. A file that can no longer be read lets nobody in.
"""

import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any, cast

import structlog
from mcp.server.auth.provider import AccessToken

from mlgym_mcp.base.errors import ServerError

_HASH = re.compile(r"[0-9a-f]{64}")
_FIX = "Make one with `mlgym-mcp tokens add NAME`."
_log = structlog.get_logger(__name__)


class Tokens:
    """The tokens of one file; what the SDK calls a token verifier."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _stamp(path)
        self._hashes = read_tokens(path)

    async def verify_token(self, token: str) -> AccessToken | None:
        """Whose token it is, or None. Every hash is compared, so that time tells nothing."""
        self._refresh()
        given = hashlib.sha256(token.encode()).hexdigest()
        names = [name for name, kept in self._hashes.items() if hmac.compare_digest(given, kept)]
        return AccessToken(token=token, client_id=names[0], scopes=[]) if names else None

    def _refresh(self) -> None:
        now = _stamp(self._path)
        if now == self._seen:
            return
        self._seen = now
        try:
            self._hashes = read_tokens(self._path)
        except ServerError as error:
            _log.error("no token is accepted", reason=error.message)
            self._hashes = {}


def read_tokens(path: Path) -> dict[str, str]:
    """The hash of each name's token.

    Raises:
        ServerError: The file is missing or is something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ServerError(
            f"The file of tokens {path} cannot be read: {error}.", fix=_FIX
        ) from error
    if not isinstance(content, dict):
        raise ServerError(f"The file of tokens {path} is not a JSON object.", fix=_FIX)
    entries = cast("dict[str, Any]", content)
    for name, kept in entries.items():
        if not isinstance(kept, str) or not _HASH.fullmatch(kept):
            raise ServerError(
                f"The file of tokens {path} has no sha256 in lowercase hex for '{name}'.", fix=_FIX
            )
    return entries


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns
