"""Whether a text is Python.

Above: edits ask before they write. Small texts are parsed here, in a thread; what fails here, or is
too long, is parsed again by the environment's own Python in the sandbox, whose word is final: it
may be of another version, and a long text must not hold up the server.
"""

import ast
import json
import threading
import warnings

import anyio

from mlgym_mcp.sandbox.contract import Command, Sandbox

_LOCAL_BYTES = 128 * 1024
_SECONDS = 20.0
_PROGRAM = """
import ast, json, sys, warnings
warnings.simplefilter("ignore")
try:
    ast.parse(sys.stdin.buffer.read())
except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
    line = getattr(error, "lineno", None) or 0
    print(json.dumps([line, str(getattr(error, "msg", error))[:300]]))
else:
    print("[]")
"""
_one_at_a_time = threading.Lock()


async def syntax_fault(sandbox: Sandbox, text: bytes) -> tuple[int, str] | None:
    """The line and the reason why `text` does not parse; None when it does.

    Raises:
        SandboxDead: The sandbox died.
    """
    if len(text) <= _LOCAL_BYTES and await anyio.to_thread.run_sync(_parses, text):
        return None
    command = Command(
        script=f"exec python -I -c '{_PROGRAM}'",
        timeout_seconds=_SECONDS,
        cwd="/",
        stdin=text,
        keep_state=False,
        output_bytes=4096,
    )
    return _said((await sandbox.run(command)).output)


def _parses(text: bytes) -> bool:
    # the filters are the process's: two threads that both change them may put back the wrong ones
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
        return True


def _said(output: str) -> tuple[int, str] | None:
    """What the sandbox's Python said; the agent could have made it say anything, so only text."""
    try:
        match json.loads(output):
            case [int(line), str(reason)]:
                return max(line, 0), reason[:300]
            case _:
                return None
    except ValueError:
        # no Python there, or it was too slow: then nothing is known against the text
        return None
