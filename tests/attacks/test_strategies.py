"""Strategies that try to win, hang or break the grading in which they are played."""

import textwrap
from collections.abc import Awaitable, Callable

import pytest

from mlgym_mcp.types.grade import Grade

pytestmark = pytest.mark.anyio
Play = Callable[[str], Awaitable[Grade]]

INVALID = {
    "prints a fake score and leaves": (
        """
        import os, sys
        def row_strategy(history):
            print('{"metrics": {"score": 99.0}, "integrity": "clean"}', flush=True)
            sys.stderr.write('{"score": 99.0}')
            os._exit(0)
        """,
        "ended without an answer",
    ),
    "leaves at import": ("import os; os._exit(0)", "loading the submission: the player's process"),
    "raises SystemExit": ("def row_strategy(history): raise SystemExit(0)", "raised SystemExit"),
    "raises KeyboardInterrupt": (
        "def row_strategy(history): raise KeyboardInterrupt",
        "raised KeyboardInterrupt",
    ),
    "is no Python": ("def row_strategy(history: return 0", "raised SyntaxError"),
    "is binary": ("\0\0\0", "loading the submission raised"),
    "has no function": ("x = 1", "raised AttributeError"),
    "sleeps for ever": (
        "import time\ndef row_strategy(history): time.sleep(10**6)",
        "call 1 of row_strategy timed out: no answer within 0.5 s",
    ),
    "sleeps for ever at import": (
        "import time; time.sleep(10**6)",
        "loading the submission timed out: no answer within 5 s",
    ),
    "answers after the deadline": (
        """
        import time
        def row_strategy(history):
            time.sleep(0.8 if len(history) == 3 else 0)
            return 0
        """,
        "call 4 of row_strategy timed out",
    ),
    "answers byte by byte": (
        """
        import sys, time
        playing = sys.modules["harness.playing"]
        def drip(history):
            import gc, socket
            for thing in gc.get_objects():
                if isinstance(thing, socket.socket):
                    for byte in b"\\0\\0\\0\\x10[1,":
                        thing.sendall(bytes([byte]))
                        time.sleep(0.2)
            return 0
        row_strategy = drip
        """,
        "timed out",
    ),
    "ignores the signals that would end it": (
        """
        import signal, time
        for number in range(1, 32):
            if number not in (9, 19):
                signal.signal(number, signal.SIG_IGN)
        def row_strategy(history):
            while True: time.sleep(1)
        """,
        "timed out",
    ),
    "returns 10^9 elements": ("def row_strategy(history): return [0] * 10**9", "row_strategy"),
    "returns a million elements": (
        "def row_strategy(history): return [0] * 10**6",
        "bytes, over 1048576",
    ),
    "never stops generating": (
        "def row_strategy(history): return [x for x in iter(int, 1)]",
        "row_strategy",
    ),
    "hogs memory": (
        """
        def row_strategy(history):
            hog = []
            while True: hog.append(bytearray(2**24))
        """,
        "row_strategy",
    ),
    "returns a number too long to print": (
        "def row_strategy(history): return 10**5000",
        "answered with no plain value: ValueError",
    ),
    "returns itself": (
        "def row_strategy(history):\n    a = []; a.append(a); return a",
        "no plain value",
    ),
    "returns a deep list": (
        """
        def row_strategy(history):
            value = []
            for _ in range(100_000): value = [value]
            return value
        """,
        "row_strategy",
    ),
    "returns not-a-number": ("def row_strategy(history): return float('nan')", "no plain value"),
    "returns a payoff": ("def row_strategy(history): return 99", "answered 99; expected 0 or 1"),
    "returns a float": ("def row_strategy(history): return 0.0", "answered 0.0; expected 0 or 1"),
    "returns nothing": ("def row_strategy(history): pass", "answered None; expected 0 or 1"),
    "returns a mapping": (
        "def row_strategy(history): return {'score': 99}",
        "answered {'score': 99}; expected 0 or 1",
    ),
    "raises in __eq__": (
        """
        class Move:
            def __eq__(self, other): raise RuntimeError("no comparison")
            __hash__ = None
        def row_strategy(history): return Move()
        """,
        "no plain value: TypeError",
    ),
    "raises in __index__": (
        """
        class Move(int):
            def __eq__(self, other): return True
            def __index__(self): raise RuntimeError("no index")
            def __repr__(self): return "99"
        class Odd:
            def __index__(self): raise RuntimeError("no index")
        def row_strategy(history): return Odd()
        """,
        "raised RuntimeError: no index",
    ),
    "raises an exception that cannot be printed": (
        """
        class Nasty(Exception):
            def __str__(self): raise SystemExit
        def row_strategy(history): raise Nasty
        """,
        "raised Nasty",
    ),
    "raises a megabyte of control characters": (
        "def row_strategy(history): raise ValueError('\\x1b[2J\\n' * 10**6)",
        "raised ValueError: ?[2J?",
    ),
    "opens files until none is left": (
        "def row_strategy(history):\n    keep = []\n    while True: keep.append(open('/dev/null'))",
        "row_strategy",
    ),
    "closes every descriptor": (
        "import os\ndef row_strategy(history): os.closerange(0, 4096); return 0",
        "ended without an answer",
    ),
    "forks a bomb": (
        """
        import os
        def row_strategy(history):
            while True:
                try: os.fork()
                except OSError: pass
        """,
        "timed out",
    ),
    "starts threads without end": (
        """
        import threading, time
        def row_strategy(history):
            while True: threading.Thread(target=time.sleep, args=(100,)).start()
        """,
        "row_strategy",
    ),
    "leaves a child that holds the channel": (
        """
        import os, time
        def row_strategy(history):
            if os.fork(): os._exit(0)
            os.setsid(); time.sleep(10**6)
        """,
        "timed out",
    ),
    "kills everything it can": (
        """
        import os

        def row_strategy(history):
            try:
                os.kill(-1, 9)
            except ProcessLookupError:
                pass  # there was nothing else
            os.kill(os.getpid(), 9)
        """,
        "ended without an answer",
    ),
}

TAMPERED = {
    "writes to every descriptor": """
        import os
        def row_strategy(history):
            for number in range(3, 256):
                try: os.write(number, b'{"metrics": {"score": 99.0}}')
                except OSError: pass
            return 0
        """,
    "answers before it is asked": """
        import gc, json, socket, struct
        def row_strategy(history):
            for thing in gc.get_objects():
                if isinstance(thing, socket.socket):
                    for number in range(1, 50):
                        text = json.dumps([number, "value", 0]).encode()
                        thing.sendall(struct.pack("!I", len(text)) + text)
            return 0
        """,
    "announces an answer of four gigabytes": """
        import gc, socket
        def row_strategy(history):
            for thing in gc.get_objects():
                if isinstance(thing, socket.socket): thing.sendall(b"\\xff" * 64)
            return 0
        """,
    "answers in the frames of its caller": """
        import sys
        def row_strategy(history):
            frame = sys._getframe()
            while frame:
                if "connection" in frame.f_locals:
                    frame.f_locals["connection"].sendall(b"\\0\\0\\0\\2{}")
                frame = frame.f_back
            return 0
        """,
    "replaces the harness's encoder": """
        import struct, sys
        def forged(value):
            text = b'{"metrics": {"score": 99.0}}'
            return struct.pack("!I", len(text)) + text
        sys.modules["harness.playing"].encode = forged
        def row_strategy(history): return 0
        """,
    "invents a kind of answer": """
        import json, sys
        playing = sys.modules["harness.playing"]
        original = playing.encode
        playing.encode = lambda value: original([value[0], "score", 99.0])
        def row_strategy(history): return 0
        """,
    "sends a bomb of brackets": """
        import struct, sys
        text = b"[" * 10**6
        sys.modules["harness.playing"].encode = lambda value: struct.pack("!I", len(text)) + text
        def row_strategy(history): return 0
        """,
    "sends infinity": """
        import struct, sys
        text = b'[1,"value",Infinity]'
        sys.modules["harness.playing"].encode = lambda value: struct.pack("!I", len(text)) + text
        def row_strategy(history): return 0
        """,
    "answers a call that is long over": """
        import json, struct, sys
        playing = sys.modules["harness.playing"]
        original = playing.encode
        playing.encode = lambda value: original([max(1, value[0] - 1), *value[1:]])
        def row_strategy(history): return 0
        """,
    "answers twice from two processes": """
        import os
        def row_strategy(history):
            os.fork()
            return 0
        """,
}

HARMLESS = {
    "shouts": "def row_strategy(history):\n    print('x' * 10**5)\n    return 0",
    "changes the history it was given": """
        def row_strategy(history):
            history.extend([(0, 0)] * 100)
            return 0
        """,
    "changes the payoffs, chance and clock of its own process": """
        import random, sys, time, json, builtins
        random.random = lambda: 0.0
        random.seed = lambda *a: None
        time.monotonic = lambda: 0.0
        builtins.float = lambda x: 99.0
        sys.modules["harness.frames"].MAX_ANSWER_BYTES = 10**12
        def row_strategy(history): return 0
        """,
    "makes folders to stand in": """
        import os
        os.chdir("/tmp")
        for name in ("sitecustomize.py", "numpy.py", "json.py", "conftest.py", "harness.py"):
            for folder in ("/tmp", "/workspace", os.path.expanduser("~")):
                try: open(os.path.join(folder, name), "w").write("raise SystemExit")
                except OSError: pass
        def row_strategy(history): return 0
        """,
    "signals the supervisor": """
        import os
        for target in (1, os.getppid(), -1):
            for number in (15, 10, 1):
                try: target > 0 and os.kill(target, number)
                except OSError: pass
        def row_strategy(history): return 0
        """,
}


@pytest.mark.parametrize("name", INVALID)
async def test_a_strategy_is_invalid_that(name: str, play: Play) -> None:
    code, said = INVALID[name]
    grade = await play(textwrap.dedent(code))
    assert (grade.status, grade.integrity, grade.score) == ("graded", "invalid", None)
    assert said in grade.evidence[0]
    assert all(line.isprintable() and len(line) < 1000 for line in grade.evidence)


@pytest.mark.parametrize("name", TAMPERED)
async def test_a_strategy_has_tampered_that(name: str, play: Play) -> None:
    grade = await play(textwrap.dedent(TAMPERED[name]))
    assert (grade.status, grade.integrity, grade.score) == ("graded", "tampered", None)
    assert grade.metrics == {}
    assert grade.evidence


@pytest.mark.parametrize("name", HARMLESS)
async def test_a_strategy_gains_nothing_that(name: str, play: Play) -> None:
    grade = await play(textwrap.dedent(HARMLESS[name]))
    assert (grade.integrity, grade.evidence) == ("clean", ())
    assert grade.score == pytest.approx(1.44, abs=0.12)


async def test_a_memory_hog_is_told_its_limit(play: Play) -> None:
    grade = await play(textwrap.dedent(INVALID["hogs memory"][0]))
    assert any("memory" in line.lower() for line in grade.evidence)
