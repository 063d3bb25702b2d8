"""Finding files and text in a workspace.

Above: `find`, `search`, `list_files`. Below: the sandbox lists files and runs `grep`; a pattern of
the agent's is never matched as a regular expression on the host, and has limited time in there.
"""

import shlex

import anyio

from mlgym_mcp.base.errors import BadPath, NotFound, RequestError
from mlgym_mcp.sandbox.contract import OUTPUTS, WORKSPACE, Command, Sandbox
from mlgym_mcp.sessions.globs import matches
from mlgym_mcp.sessions.requests import SearchRequest
from mlgym_mcp.sessions.session import Session
from mlgym_mcp.sessions.steps import Steps
from mlgym_mcp.types.command import CommandResult
from mlgym_mcp.types.files import Found, Listing, Match, Matches

_MOST_PATHS = 200
_MOST_MATCHES = 200
_MOST_LISTED = 1000
_MOST_LOOKED_AT = 20_000
_DEPTH = 20
_LINE_CHARS = 500
_SECONDS = 20.0
_GONE, _OUTSIDE = 3, 4


class Searching:
    """Looks for files and text."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    async def list_files(self, session: Session, path: str, depth: int) -> Listing:
        """Entries below a folder."""
        if not 1 <= depth <= _DEPTH:
            raise RequestError(f"`depth` is 1 to {_DEPTH}.")

        async def work(sandbox: Sandbox) -> Listing:
            return await sandbox.list_files(path, depth, _MOST_LISTED)

        return await self._steps.take(session, "list_files", {"path": path, "depth": depth}, work)

    async def find(self, session: Session, pattern: str) -> Found:
        """Paths in the workspace that match a glob."""
        if not pattern or len(pattern) > 200 or pattern.count("**") > 8:
            raise RequestError("A pattern has 1 to 200 characters and at most 8 `**`.")

        async def work(sandbox: Sandbox) -> Found:
            listing = await sandbox.list_files(".", _DEPTH, _MOST_LOOKED_AT)
            return await anyio.to_thread.run_sync(_found, pattern, listing)

        return await self._steps.take(session, "find", {"pattern": pattern}, work)

    async def search(self, session: Session, request: SearchRequest) -> Matches:
        """Lines that have a text or match a regular expression.

        Raises:
            RequestError: The expression is no expression, or takes too long.
        """

        async def work(sandbox: Sandbox) -> Matches:
            command = Command(
                script=_script(request),
                timeout_seconds=_SECONDS,
                cwd=WORKSPACE,
                variables={"LC_ALL": "C.UTF-8"},
                keep_state=False,
                output_bytes=2**19,
            )
            return _read_matches(request, await sandbox.run(command))

        arguments = request.model_dump(mode="json")
        return await self._steps.take(session, "search", arguments, work)


def _found(pattern: str, listing: Listing) -> Found:
    paths = [entry.path for entry in listing.entries if matches(pattern, entry.path)]
    return Found(pattern=pattern, paths=tuple(paths[:_MOST_PATHS]), total=len(paths))


def _script(request: SearchRequest) -> str:
    if "\0" in request.text + request.path + (request.glob or ""):
        raise RequestError("A search holds no NUL character.")
    grep = ["grep", "-rnsIHZ", "-E" if request.regex else "-F"]
    if request.glob:
        grep.append(f"--include={request.glob}")
    lines = shlex.join([*grep, "-e", request.text])
    files = shlex.join([*grep, "-l", "-e", request.text])
    shortened = f"s/^\\(.\\{{1,{_LINE_CHARS}\\}}\\).*$/\\1/p"
    return (
        # grep follows a link that it is given, so it is given none
        f"place=$(realpath -e -- {shlex.quote(request.path)} 2>/dev/null) || exit {_GONE}\n"
        f'case "$place/" in {WORKSPACE}/*|{OUTPUTS}/*) ;; *) exit {_OUTSIDE};; esac\n'
        f"{lines} -- \"$place\" | LC_ALL=C sed -n '1,{_MOST_MATCHES}{shortened};$='\n"
        f"{files} -- \"$place\" 2>/dev/null | tr -dc '\\0' | wc -c\n"
    )


def _read_matches(request: SearchRequest, result: CommandResult) -> Matches:
    if "time" in result.limits_hit:
        raise RequestError(
            f"The search took more than {_SECONDS:g} s and was ended.",
            fix="Search a smaller folder, or for simpler text.",
        )
    if result.exit_code == _GONE:
        raise NotFound(f"{request.path!r} does not exist in the workspace.")
    if result.exit_code == _OUTSIDE:
        raise BadPath(f"{request.path!r} leaves the workspace.", fix="Search below it.")
    # matches, then how many there are unless none, then in how many files
    *lines, files = result.output.removesuffix("\n").split("\n")
    found = sorted((m for line in lines if (m := _match(line))), key=lambda m: (m.path, m.line))
    if not found and lines:
        raise RequestError(f"The search failed: {lines[0][:300]}.", fix="Mend `text` or `glob`.")
    return Matches(
        pattern=request.text,
        matches=tuple(found),
        total=max(_number(lines[-1]) if lines else 0, len(found)),
        files=_number(files),
    )


def _match(line: str) -> Match | None:
    path, nul, rest = line.partition("\0")
    number, colon, text = rest.partition(":")
    if not nul or not colon or not number.isdecimal() or int(number) < 1:
        return None
    return Match(path=path.removeprefix(f"{WORKSPACE}/"), line=int(number), text=text)


def _number(text: str) -> int:
    text = text.strip()
    return int(text) if text.isdecimal() and len(text) < 10 else 0
