"""The judge's end of the channel against players that answer well, badly, late or never."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from mlgym_mcp.scoring.harness.frames import LENGTH, MAX_ANSWER_BYTES, decode, encode
from mlgym_mcp.scoring.harness.player import Listener, Player
from mlgym_mcp.scoring.harness.verdict import Verdict, invalid, printable

Behave = Callable[[socket.socket, bytes], None]


def value(number: int, answer: object) -> bytes:
    return encode([number, "value", answer])


@contextmanager
def player_that(behave: Behave, seconds: float = 0.3, whole: float = 60.0) -> Generator[Player]:
    """A player whose every answer `behave` gives, in a thread at the other end."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        # a judge that has heard enough hangs up
        with theirs, suppress(ConnectionError):
            while head := theirs.recv(LENGTH.size):
                (length,) = LENGTH.unpack(head)
                behave(theirs, head + theirs.recv(length, socket.MSG_WAITALL))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield Player(ours, seconds, time.monotonic() + whole)
    finally:
        ours.close()
        thread.join()


def caught(behave: Behave, whole: float = 60.0) -> Verdict:
    with player_that(behave, whole=whole) as player, pytest.raises(Verdict) as info:
        player.call("move", [1, 2])
    return info.value


def test_a_plain_answer_comes_back_as_it_is() -> None:
    asked: list[object] = []

    def echo(theirs: socket.socket, data: bytes) -> None:
        number, name, args = decode(data[4:])
        asked.append(name)
        theirs.sendall(value(number, args[0]))

    with player_that(echo) as player:
        for answer in (0, None, 1.5, "a", [1, [2]], {"a": True}, "x" * 10**5):
            assert player.call("echo", answer) == answer
        assert player.calls == len(asked) == 7
        player.end()


def test_an_answer_in_pieces_is_put_together() -> None:
    def pieces(theirs: socket.socket, _data: bytes) -> None:
        frame = value(1, "whole")
        for start in range(0, len(frame), 3):
            theirs.sendall(frame[start : start + 3])

    with player_that(pieces) as player:
        assert player.call("move") == "whole"


@pytest.mark.parametrize(
    ("answer", "label", "said"),
    [
        (
            encode([1, "raised", ["ValueError", "", 0, "ValueError: no"]]),
            "invalid",
            "raised ValueError",
        ),
        (encode([1, "raised", "ValueError: no"]), "invalid", "raised an error"),
        (encode([1, "raised", ["Secret", "", 0, ""]]), "invalid", "raised an error"),
        (
            encode([1, "refused", ["too many bytes", "9"]]),
            "invalid",
            "answered with too many bytes",
        ),
        (encode([1, "refused", "with 9 bytes"]), "invalid", "answered with what cannot be sent"),
        (value(2, 0), "tampered", "is no answer to this call"),
        (encode([1, "value"]), "tampered", "is no answer to this call"),
        (encode([1, "score", 99]), "tampered", "is no answer to this call"),
        (encode({"score": 99}), "tampered", "is no answer to this call"),
        (value(1, 0) * 2, "tampered", "more than one answer"),
        (b"\x7f\xff\xff\xff", "tampered", "announced an answer of more than 1048576 bytes"),
        (struct.pack("!I", 2) + b"[1", "tampered", "is not JSON"),
        (struct.pack("!I", 2) + b"\xff\xfe", "tampered", "is not JSON"),
        (struct.pack("!I", 13) + b'[1,"value",NaN]'[:13], "tampered", "is not JSON"),
        (struct.pack("!I", 15) + b'[1,"value",NaN]', "tampered", "is not JSON"),
        (struct.pack("!I", 5012) + b'[1,"value",' + b"9" * 5000 + b"]", "tampered", "is not JSON"),
        (struct.pack("!I", 200_000) + b"[" * 200_000, "tampered", "is not JSON"),
    ],
)
def test_a_bad_answer_is_a_verdict(answer: bytes, label: str, said: str) -> None:
    verdict = caught(lambda theirs, _data: theirs.sendall(answer))
    assert verdict.label == label
    assert said in verdict.evidence[0]


def test_a_late_answer_is_invalid() -> None:
    verdict = caught(lambda _theirs, _data: None)
    assert (verdict.label, verdict.evidence) == (
        "invalid",
        ["call 1 of move timed out: no answer within 0.3 s"],
    )


def test_an_answer_that_drips_is_late_too() -> None:
    def drip(theirs: socket.socket, _data: bytes) -> None:
        over = threading.Event()
        for byte in value(1, "x" * 100):
            try:
                theirs.sendall(bytes([byte]))
            except OSError:
                return
            over.wait(0.05)

    started = time.monotonic()
    assert "timed out" in caught(drip).evidence[0]
    assert time.monotonic() - started < 3


def test_a_player_that_dies_is_invalid() -> None:
    verdict = caught(lambda theirs, _data: theirs.shutdown(socket.SHUT_RDWR))
    assert "process ended without an answer" in verdict.evidence[0]


def test_the_time_for_the_whole_grading_is_bounded() -> None:
    verdict = caught(lambda _theirs, _data: None, whole=-1.0)
    assert "the time for the whole grading was over" in verdict.evidence[0]


def test_a_player_that_reads_nothing_does_not_block_the_judge() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(Verdict, match="timed out"):
        Player(ours, 0.2, time.monotonic() + 60).call("move", "x" * 10**7)


def test_an_answer_that_nobody_asked_for_is_tampered_with() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(value(7, 99))
        with pytest.raises(Verdict, match="nobody asked for"):
            Player(ours, 1.0, time.monotonic() + 60).end()
    ours.close()


def test_a_judge_waits_for_its_player_only_so_long(tmp_path: Path) -> None:
    listener = Listener(str(tmp_path / "s"))
    with pytest.raises(TimeoutError):
        listener.accept(0.05)
    listener.close()


def test_the_door_closes_behind_the_player(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = Listener(str(path))
    with socket.socket(socket.AF_UNIX) as player:
        player.connect(str(path))
        listener.accept(1).close()
        assert not path.exists()
    with socket.socket(socket.AF_UNIX) as second, pytest.raises(FileNotFoundError):
        second.connect(str(path))


def test_an_answer_may_be_as_long_as_the_cap_and_no_longer() -> None:
    fits = "x" * (MAX_ANSWER_BYTES - 20)
    with player_that(lambda theirs, _data: theirs.sendall(value(1, fits))) as player:
        assert player.call("move") == fits
    over = "x" * MAX_ANSWER_BYTES
    assert caught(lambda theirs, _data: theirs.sendall(value(1, over))).label == "tampered"


def test_evidence_is_short_and_printable() -> None:
    verdict = invalid(*[f"\x1b[2J{number}\n" + "y" * 1000 for number in range(50)])
    assert len(verdict.evidence) == 21
    assert verdict.evidence[-1] == "and 30 more"
    assert all(line.isprintable() and len(line) < 600 for line in verdict.evidence)
    assert printable("a\0b") == "a?b"


def test_frames_carry_only_plain_json() -> None:
    assert json.loads(encode({"a": [1, None]})[4:]) == {"a": [1, None]}
    for bad in (float("nan"), float("inf"), object(), {1, 2}, b"x"):
        with pytest.raises((TypeError, ValueError)):
            encode(bad)


SLOW_PLAYER = """
import os, socket, time
from mlgym_mcp.scoring.harness.frames import decode, encode
from mlgym_mcp.scoring.harness.player import Player
ours, theirs = socket.socketpair()
child = os.fork()
if child == 0:
    ours.close()
    while data := theirs.recv(2**20):
        number, _, _ = decode(data[4:])
        time.sleep(0.001)
        theirs.sendall(encode([number, "value", number]))
    os._exit(0)
theirs.close()
player = Player(ours, 0.6, time.monotonic() + 60)
print("judge", os.getpid(), flush=True)
print("player", child, flush=True)
for number in range(500):
    player.call("move")
    if number == 100:
        print("going", flush=True)
print("done", flush=True)
"""


@pytest.mark.parametrize("first", ["judge", "player"])
def test_time_in_which_the_whole_machine_stood_still_is_nobody_s(first: str) -> None:
    command = [sys.executable, "-c", SLOW_PLAYER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as judge:
        assert judge.stdout is not None
        named = dict(judge.stdout.readline().split() for _ in range(2))
        pids = sorted(map(int, named.values()), key=lambda pid: str(pid) != named[first])
        assert judge.stdout.readline() == "going\n"
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        threading.Event().wait(1.5)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        assert judge.stdout.readline() == "done\n"
