"""What lasts from one command to the next: directory, variables, functions, shell options.

Bash writes it and bash reads it; here it is text of the agent's own making that is only cut into
its parts, never interpreted, and that nothing outside the sandbox ever sees but the directory.
"""

from __future__ import annotations

import os

from mlgym_mcp.supervisor.lean import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

STATE_FD = 60
RESTORE_FD = 61

_MAX_STATE = 8 * 2**20

_LATE = frozenset({"errexit", "nounset", "verbose", "xtrace"})
"""Options that would disturb the restoring; set where the script begins."""

_NEVER = frozenset({"noexec", "onecmd", "privileged"})
"""Options with which no later command could do its work."""

_DEFAULT = frozenset({"braceexpand", "hashall", "interactive-comments"})

_LOOKED_UP = (b'declare -x HOME="', b'declare -x SHELL="')
"""Variables for which bash looks its user up when it starts without them."""

_SHORT = 4096
"""The kernel starts nothing with a variable of more than 128 KiB, not even the shell to mend it."""

_BASH_OWN = frozenset(
    b"BASH BASHOPTS BASHPID BASH_ARGC BASH_ARGV BASH_ALIASES BASH_ARGV0 BASH_CMDS BASH_COMMAND"
    b" BASH_EXECUTION_STRING BASH_LINENO BASH_LOADABLES_PATH BASH_REMATCH BASH_SOURCE"
    b" BASH_SUBSHELL BASH_VERSINFO BASH_VERSION COMP_WORDBREAKS DIRSTACK EPOCHREALTIME"
    b" EPOCHSECONDS EUID FUNCNAME GROUPS HISTCMD HOSTNAME HOSTTYPE LINENO MACHTYPE MAPFILE OPTERR"
    b" OPTIND OSTYPE PIPESTATUS PPID PWD RANDOM READLINE_ARGUMENT REPLY SECONDS SHELLOPTS SHLVL"
    b" SRANDOM UID _ __mlgym_script".split()
)

# Called at the end of the script, and by the trap where the script exits before or sets its own.
# Variables before functions: of them each takes one line, whatever they hold.
_AT_END = f"""
__mlgym_end() {{
    printf '%s\\0' "$PWD" "$SHELLOPTS" "$BASHOPTS" >&{STATE_FD}
    set +eux
    trap - ERR DEBUG RETURN
    unset -f __mlgym_end
    {{
        declare -p
        printf '\\0'
        declare -f
        declare -Fx
        alias -p
        printf '\\0'
    }} >&{STATE_FD}
    __mlgym_end() {{ :; }}
    return "$1"
}}
trap '{{ __mlgym_end $?; }} 2>/dev/null' EXIT
""".encode()


class State:
    """What one command left for the next."""

    def __init__(self, fields: list[bytes]) -> None:
        undo, cwd, options, shopts, variables, functions = fields
        self.cwd = cwd.decode(errors="surrogateescape")
        set_now = {name.decode(errors="replace") for name in options.split(b":")} - _NEVER
        self.late = "".join(f"set -o {name}; " for name in sorted(set_now & _LATE)).encode()
        early = [f"set -o {name}" for name in sorted(set_now - _LATE - _DEFAULT - {""})]
        early += [f"set +o {name}" for name in sorted(_DEFAULT - set_now)]
        lines = [line for line in variables.splitlines() if not _is_own(line)]
        self.variables = _variables(
            line for line in lines if line.startswith(_LOOKED_UP) and len(line) < _SHORT
        )
        """Those the next bash is started with; restoring says exactly what each of them holds."""

        self.text = b"\n".join(
            (
                b"cd -- " + quote(self.cwd) + b" || cd /workspace",
                *lines,
                undo,
                functions,
                b"[[ $BASHOPTS == %s ]] ||" % shopts,
                b"{ shopt -u ${BASHOPTS//:/ }; shopt -s %s; }" % shopts.replace(b":", b" "),
                "\n".join(early).encode(),
            )
        )

    def place(self) -> tuple[int, int] | None:
        """Which folder its directory is now; None when it is gone."""
        try:
            found = os.stat(self.cwd)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def same(self, other: State | None) -> bool:
        """Whether a bash made for the one serves as well for the other."""
        return other is not None and self.text == other.text and self.late == other.late


def restore_text(state: State | None) -> bytes:
    """A script that puts `state` in place, and sees to it that the next state is left."""
    return (b"cd /workspace" if state is None else state.text) + _AT_END


def script_text(state: State | None, cwd: str | None, variables: dict[str, str]) -> bytes:
    """What comes before the command's own script, on the same line as its beginning.

    Variables for this command alone are noted as they were before, for `read_state` to undo.
    """
    parts: list[bytes] = []
    if cwd is not None:
        parts.append(b"cd -- " + quote(cwd) + b"; ")
    if variables:
        names = " ".join(variables)
        noted = f"printf 'unset -v %s\\n' '{names}'; declare -p {names} 2>/dev/null; printf '\\0'"
        parts.append(f"{{ {noted}; }} >&{STATE_FD}; ".encode())
        parts += [b"export %s=%s; " % (name.encode(), quote(v)) for name, v in variables.items()]
    if state is not None:
        parts.append(state.late)
    return b"".join(parts)


def read_state(fd: int) -> State | None:
    """Cut what a finished bash wrote into its parts; None when it wrote none, or too much."""
    size = os.fstat(fd).st_size
    if not 0 < size <= _MAX_STATE:
        return None
    fields = os.pread(fd, size, 0).split(b"\0")
    if len(fields) == 6:
        fields.insert(0, b"")
    if len(fields) != 7 or fields.pop():
        return None
    return State(fields)


def quote(text: str) -> bytes:
    """Text as one word of bash."""
    return b"'" + text.encode(errors="surrogateescape").replace(b"'", b"'\\''") + b"'"


def _is_own(line: bytes) -> bool:
    words = line.split(b" ", 2)
    return len(words) == 3 and words[2].partition(b"=")[0] in _BASH_OWN


def _variables(lines: Iterable[bytes]) -> dict[bytes, bytes]:
    parts = [line.split(b'"') for line in lines]
    return {head.split()[-1].removesuffix(b"="): value for head, value, *_rest in parts}
