"""Programs and builtins the fake's shell can call; a test may add its own."""

import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial

from mlgym_mcp.sandbox.fake.shell import Call, Ended, Program, host_of

_SIGNALS = {"HUP": 1, "INT": 2, "KILL": 9, "SEGV": 11, "TERM": 15}
_ESCAPES = (("\\\\", "\0"), ("\\n", "\n"), ("\\t", "\t"), ("\\0", "\0"), ("\0", "\\"))


def _escaped(text: str) -> str:
    for written, meant in _ESCAPES:
        text = text.replace(written, meant)
    return text


def _echo(call: Call) -> int:
    words = call.words[1:]
    end, escapes = "\n", False
    while words and words[0] in ("-n", "-e", "-ne", "-en"):
        option = words.pop(0)
        end = "" if "n" in option else end
        escapes = escapes or "e" in option
    text = " ".join(words)
    call.out.write(((_escaped(text) if escapes else text) + end).encode(errors="surrogateescape"))
    return 0


def _printf(call: Call) -> int:
    pattern, *values = call.words[1:] or [""]
    text = _escaped(pattern)
    count = text.count("%s") + text.count("%d")
    if count == 0:
        call.out.write(text.encode(errors="surrogateescape"))
        return 0
    while True:
        line, values = _filled(text, values, count)
        call.out.write(line.encode(errors="surrogateescape"))
        if not values:
            return 0


def _filled(text: str, values: list[str], count: int) -> tuple[str, list[str]]:
    for value in (values + [""] * count)[:count]:
        place = min(at for at in (text.find("%s"), text.find("%d")) if at >= 0)
        text = text[:place] + value + text[place + 2 :]
    return text, values[count:]


def _cat(call: Call) -> int:
    if not call.words[1:]:
        call.out.write(call.stdin)
    for path in call.words[1:]:
        try:
            call.out.write(host_of(call, path).read_bytes())
        except OSError as error:
            return call.complain(f"{path}: {error.strerror}")
    return 0


def _head(call: Call) -> int:
    options, paths = call.words[1:3], call.words[3:]
    if len(options) < 2 or options[0] not in ("-c", "-n"):
        return call.complain("give -c BYTES or -n LINES", 2)
    count = int(options[1])
    if paths and paths[0] == "/dev/zero":
        data = bytes(count)
    else:
        data = host_of(call, paths[0]).read_bytes() if paths else call.stdin
    if options[0] == "-n":
        data = b"".join(data.splitlines(keepends=True)[:count])
    call.out.write(data[:count] if options[0] == "-c" else data)
    return 0


def _wc(call: Call) -> int:
    paths = [word for word in call.words[1:] if not word.startswith("-")]
    data = host_of(call, paths[0]).read_bytes() if paths else call.stdin
    shown = len(data) if "-c" in call.words else data.count(b"\n")
    call.out.write(f"{shown}\n".encode())
    return 0


def _cd(call: Call) -> int:
    place = call.shell.find(call.words[1] if call.words[1:] else "/workspace")
    if not place.host.is_dir():
        return call.complain(f"{call.words[-1]}: No such file or directory")
    call.shell.state.cwd = place.shown
    return 0


def _pwd(call: Call) -> int:
    call.out.write(f"{call.shell.state.cwd}\n".encode())
    return 0


def _export(call: Call) -> int:
    for word in call.words[1:]:
        name, equals, value = word.partition("=")
        if equals:
            call.shell.state.variables[name] = value
    return 0


def _unset(call: Call) -> int:
    for name in call.words[1:]:
        call.shell.state.variables.pop(name, None)
    return 0


def _env(call: Call) -> int:
    for name, value in sorted(call.shell.state.variables.items()):
        call.out.write(f"{name}={value}\n".encode())
    return 0


def _sleep(call: Call) -> int:
    try:
        seconds = float(call.words[1])
    except (IndexError, ValueError):
        return call.complain("give seconds")
    call.shell.sleep(seconds)
    return 0


def _exit(call: Call) -> int:
    raise Ended(int(call.words[1]) % 256 if call.words[1:] else 0)


def _kill(call: Call) -> int:
    option = call.words[1].lstrip("-").removeprefix("SIG") if len(call.words) == 3 else "TERM"
    if call.words[-1] != "2":
        return call.complain(f"({call.words[-1]}) - No such process")
    raise Ended(None, int(option) if option.isdigit() else _SIGNALS.get(option, 15))


def _mkdir(call: Call) -> int:
    for path in call.words[1:]:
        if not path.startswith("-"):
            place = call.shell.find(path)
            if not place.writable:
                raise OSError(30, "Read-only file system")
            place.host.mkdir(parents="-p" in call.words, exist_ok="-p" in call.words)
    return 0


def _touch(call: Call) -> int:
    for path in call.words[1:]:
        call.shell.write(call.shell.find(path), b"", append=True)
    return 0


def _rm(call: Call) -> int:
    for path in call.words[1:]:
        if path.startswith("-"):
            continue
        place = call.shell.world.tree.find(path, call.shell.state.cwd, follow_last=False)
        if not place.writable:
            raise OSError(30, "Read-only file system")
        if place.host.is_dir() and not place.host.is_symlink():
            shutil.rmtree(place.host)
        else:
            place.host.unlink(missing_ok="-f" in call.words or "-rf" in call.words)
    return 0


def _ln(call: Call) -> int:
    target, name = call.words[-2:]
    place = call.shell.world.tree.find(name, call.shell.state.cwd, follow_last=False)
    if not place.writable:
        raise OSError(30, "Read-only file system")
    place.host.symlink_to(target)
    return 0


def _chmod(call: Call) -> int:
    host_of(call, call.words[2]).chmod(int(call.words[1], 8))
    return 0


def _copy(call: Call, *, move: bool) -> int:
    source, target = (call.shell.find(path) for path in call.words[-2:])
    into = target.host / source.host.name if target.host.is_dir() else target.host
    if not target.writable:
        raise OSError(30, "Read-only file system")
    if move:
        source.host.rename(into)
    elif source.host.is_dir():
        shutil.copytree(source.host, into)
    else:
        shutil.copyfile(source.host, into)
    return 0


def _ls(call: Call) -> int:
    paths = [word for word in call.words[1:] if not word.startswith("-")]
    folder = host_of(call, paths[0] if paths else ".")
    if not folder.exists():
        return call.complain(f"cannot access '{paths[0]}': No such file or directory", 2)
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else paths[:1]
    call.out.write("".join(f"{name}\n" for name in names if not name.startswith(".")).encode())
    return 0


def _test(call: Call) -> int:
    words = [word for word in call.words[1:] if word != "]"]
    if words and words[0] == "!":
        return 1 - _test(Call(call.shell, ["test", *words[1:]], b"", call.out, call.err))
    holds: bool
    match words:
        case ["-f" | "-d" | "-e" | "-s" | "-x" as option, path]:
            host = host_of(call, path)
            kinds = {"-f": host.is_file, "-d": host.is_dir, "-e": host.exists, "-s": host.is_file}
            kinds["-x"] = lambda: os.access(host, os.X_OK)
            holds = kinds[option]() and (option != "-s" or host.stat().st_size > 0)
        case ["-n", text] | [text]:
            holds = bool(text)
        case ["-z", text]:
            holds = not text
        case [left, "=" | "==", right]:
            holds = left == right
        case [left, "!=", right]:
            holds = left != right
        case _:
            return call.complain("not supported here", 2)
    return int(not holds)


def _constant(_call: Call, *, status: int) -> int:
    return status


def all_programs(more: Mapping[str, Program]) -> dict[str, Program]:
    """The programs there are, with a test's own."""
    own: dict[str, Callable[[Call], int]] = {
        "[": _test,
        ":": partial(_constant, status=0),
        "cat": _cat,
        "cd": _cd,
        "chmod": _chmod,
        "cp": partial(_copy, move=False),
        "echo": _echo,
        "env": _env,
        "exit": _exit,
        "export": _export,
        "false": partial(_constant, status=1),
        "head": _head,
        "kill": _kill,
        "ln": _ln,
        "ls": _ls,
        "mkdir": _mkdir,
        "mv": partial(_copy, move=True),
        "printf": _printf,
        "pwd": _pwd,
        "rm": _rm,
        "set": partial(_constant, status=0),
        "sleep": _sleep,
        "sync": partial(_constant, status=0),
        "test": _test,
        "touch": _touch,
        "true": partial(_constant, status=0),
        "unset": _unset,
        "wc": _wc,
    }
    return own | dict(more)
