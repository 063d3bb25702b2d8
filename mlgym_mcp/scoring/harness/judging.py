"""The judge's program: runs the task's `grade` and writes the report, and nothing else does.

Above: the server, which sends one request on standard input and reads `/report/grade.json`.
Below: the task's `judge.py`: its `grade`, and before any submitted code is loaded its `prepare`,
where it has one. Standard output and error are only logs. An exception that is no
`Verdict` leaves no report: then the judge failed, not the submission.
"""

import gc
import json
import os
import socket
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from .frames import SOCKET
from .loading import import_file
from .player import Listener, Player
from .setting import Setting
from .verdict import Verdict

REPORT = Path("/report/grade.json")
_PRIVATE = Path("/private")
_SUBMITTED = Path("/submission")
_ACCEPT_SECONDS = 60.0


def main() -> None:
    """Grade one submission."""
    request: dict[str, Any] = json.load(sys.stdin)
    listener = Listener(SOCKET) if request["player"] else None
    judge = _judge()
    setting = _setting(request)
    report: dict[str, Any] = {"details": {"python": sys.version.split()[0]}}
    started = time.perf_counter()
    try:
        connection = listener.accept(_ACCEPT_SECONDS) if listener else None
        if prepare := getattr(judge, "prepare", None):
            # both sandboxes are up, and the player waits: no submitted code is loaded yet
            prepare(_PRIVATE, request["seed"], setting)
        player = _meet(connection, request) if connection else None
        started = time.perf_counter()
        metrics, details = _two(_grade(judge, request, setting, player))
        if player:
            player.end()
        report["metrics"] = {name: float(value) for name, value in metrics.items()}
        report["details"].update(details)
    except Verdict as verdict:
        report["integrity"] = verdict.label
        report["evidence"] = verdict.evidence
        report["metrics"] = verdict.metrics
        report["kept"] = verdict.kept
    report["details"]["judge_seconds"] = time.perf_counter() - started
    _write(report)
    sys.stdout.flush()
    sys.stderr.flush()
    # At once: the sandbox ends with it, so that tidying up serves nobody and takes time.
    os._exit(0)


def _judge() -> ModuleType:
    sys.path.append("/judge")
    # what it imports stays: looking for garbage in that takes an eighth of the time
    gc.disable()
    judge = import_file(Path("/judge/judge.py"), "task_judge")
    gc.freeze()
    gc.enable()
    return judge


def _meet(connection: socket.socket, request: dict[str, Any]) -> Player:
    deadline = time.monotonic() + request["seconds"]
    player = Player(connection, request["call_seconds"], deadline, _SUBMITTED)
    player.load(request["player_seed"])
    return player


def _setting(request: dict[str, Any]) -> Setting:
    schema = request["table_schema"]
    return Setting(
        request["kind"],
        request["variant"],
        request["simulations"],
        Path(schema) if schema else None,
    )


def _grade(judge: Any, request: dict[str, Any], setting: Setting, player: Player | None) -> Any:
    submission = Path(request["submission"])
    return judge.grade(submission, _PRIVATE, player, request["seed"], setting)


def _two(result: Any) -> tuple[dict[str, float], dict[str, Any]]:
    """A judge answers its metrics, or its metrics and details."""
    if isinstance(result, dict):
        return cast("dict[str, float]", result), {}
    return result


def _write(report: dict[str, Any]) -> None:
    partial = REPORT.with_suffix(".partial")
    partial.write_text(json.dumps(report, allow_nan=False), encoding="utf-8")
    partial.rename(REPORT)
