"""Submitted code that has seen what is hidden, and tries to tell the agent in the grade.

Each way to say something here says the same number, which stands for what was seen. It may be in
nothing that the agent gets; the operator has it.
"""

import re
import textwrap
from collections.abc import Awaitable, Callable

import pytest

from mlgym_mcp.base.settings import Settings
from mlgym_mcp.types.grade import Grade

pytestmark = pytest.mark.anyio
Play = Callable[[str], Awaitable[Grade]]

SEEN = 731_946_285
REHEARSED = 10
"""Calls before the first game that counts."""

OURS = re.compile(r"call \d{1,7} |\(line \d{1,4} of |expected 0 or 1|more than (1048576|68157444) ")
"""Where the judge's own sentences have numbers."""

STRATEGY = """
import gc, json, os, socket, struct, sys, time
SEEN = {seen}
calls = 0
class Odd(Exception): pass
def channel():
    return next(one for one in gc.get_objects() if isinstance(one, socket.socket))
def send(value):
    text = json.dumps(value).encode()
    write(struct.pack("!I", len(text)) + text)
def write(data):
    channel().sendall(data)
    time.sleep(100)
def row_strategy(history):
    global calls
    calls += 1
    if calls > {rehearsed}:
{body}
    return 0
"""

TOLD_NOTHING = {
    "in a message": 'raise ValueError(f"the partner played {SEEN}")',
    "in the name of an error": "raise type(f'Seen{SEEN}', (Exception,), {})",
    "in the name of an error's parent": (
        "raise type('E', (type(f'Seen{SEEN}', (Exception,), {'__module__': 'builtins'}),), {})"
    ),
    "in a note": "error = OSError(); error.add_note(str(SEEN)); raise error",
    "in a cause": "raise ValueError from KeyError(SEEN)",
    "in an error number": "raise OSError(SEEN, 'seen')",
    "in the name of a file": (
        'exec(compile("raise Odd", f"/submission/{SEEN}.py", "exec"), {"Odd": Odd})'
    ),
    "in the name of a line": (
        'exec(compile("\\n" * 7318 + "raise Odd", "/submission/strategy.py", "exec"), {"Odd": Odd})'
    ),
    "in a number": "return SEEN",
    "in a number with a point": "return SEEN + 0.5",
    "in a text": "return f'saw {SEEN}'",
    "in a list": "return [SEEN]",
    "in a mapping": "return {str(SEEN): SEEN}",
    "in what is no value": "return type(f'Seen{SEEN}', (), {})()",
    "in the length of what is too long": "return 'x' * (SEEN // 100)",
    "in an exit status": "os._exit(SEEN % 256)",
    "in what it prints": (
        "print(SEEN, flush=True); print(SEEN, file=sys.stderr, flush=True); os._exit(0)"
    ),
    "in a signal": "import signal; os.kill(os.getpid(), 7)",
    "in a forged error": 'send([calls, "raised", ["ValueError", "strategy.py", SEEN, str(SEEN)]])',
    "in a forged kind of error": 'send([calls, "raised", [f"E{SEEN}", "", 0, ""]])',
    "in a forged error of another form": 'send([calls, "raised", str(SEEN)])',
    "in a forged refusal": 'send([calls, "refused", [str(SEEN), str(SEEN)]])',
    "in a forged kind of answer": "send([calls, str(SEEN), 0])",
    "in the number of a forged answer": 'send([SEEN, "value", 0])',
    "in what is not JSON": "write(struct.pack('!I', 9) + str(SEEN).encode())",
    "in an announced length": "write(struct.pack('!I', SEEN))",
    "in an announced length of arrays": "write(struct.pack('!I', 2**31 + SEEN))",
}


def strategy(body: str, rehearsed: int = REHEARSED) -> str:
    indented = textwrap.indent(textwrap.dedent(body).strip(), "        ")
    return STRATEGY.format(seen=SEEN, body=indented, rehearsed=rehearsed)


@pytest.mark.parametrize("how", TOLD_NOTHING)
async def test_what_is_hidden_is_not_carried_out(how: str, play: Play) -> None:
    grade = await play(strategy(TOLD_NOTHING[how]))
    assert grade.integrity in ("invalid", "tampered")
    told = grade.model_dump_json(exclude={"id", "seed", "seconds", "judge_seconds", "graded_at"})
    assert str(SEEN) not in told
    said = OURS.sub("", " ".join(grade.evidence))
    assert not re.search(r"\d", said)


async def test_an_error_after_the_rehearsal_is_told_by_kind_and_line(
    play: Play, attacked_settings: Settings
) -> None:
    grade = await play(strategy("import json; json.loads(str(SEEN) + ',')"))
    (said,) = grade.evidence
    assert said.startswith("call 11 of row_strategy raised ValueError (line 18 of strategy.py); ")
    assert "is not shown" in said
    kept = (attacked_settings.home / grade.details["log"]).read_text()
    assert "JSONDecodeError: Extra data" in kept


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import nowhere",
            "raised ModuleNotFoundError: No module named 'nowhere' (line 1 of strategy.py)",
        ),
        (
            strategy("return history[5]", rehearsed=3),
            "call 4 of row_strategy raised IndexError: list index out of range (line 18",
        ),
        (
            strategy("return {'move': 1}", rehearsed=0),
            "call 1 of row_strategy answered {'move': 1}; expected 0 or 1",
        ),
    ],
)
async def test_what_goes_wrong_before_anything_hidden_was_seen_is_told_in_full(
    code: str, said: str, play: Play
) -> None:
    grade = await play(code)
    assert said in grade.evidence[0]
    assert "log" not in grade.details
