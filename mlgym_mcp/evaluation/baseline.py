"""Play a task's own baseline through the tools, as an agent would.

Above: `evaluate` plays many. Below: an MCP client, and the baseline's files in the catalog. It
knows nothing of sessions, sandboxes or scoring but what the tools say.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import anyio
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent

from mlgym_mcp.base.errors import MlgymError
from mlgym_mcp.catalog import Task
from mlgym_mcp.evaluation.record import SCORES_NAME
from mlgym_mcp.evaluation.result import OnProgress, PlayProgress, PlayResult, Stage, unheard
from mlgym_mcp.types.task import Variant

_SHOWN_CHARACTERS = 1500
_COMMAND = "bash baseline/run.sh"
_ABANDON_SECONDS = 5.0


class PlayFailed(MlgymError):
    """A step of a play did not work; the message says which and why."""


async def play_baseline(
    client: Client, task: Task, variant: Variant, on_progress: OnProgress = unheard
) -> PlayResult:
    """Start a session, upload the baseline, run it, validate, submit."""
    return await _Play(client, task, variant, on_progress).played()


class _Play:
    def __init__(
        self, client: Client, task: Task, variant: Variant, on_progress: OnProgress
    ) -> None:
        self._client = client
        self._task = task
        self._tell = on_progress
        metric = task.spec.metric
        self._result = PlayResult(
            task=task.id,
            variant=variant,
            status="failed",
            metric=metric.name,
            direction=metric.direction,
            baseline=task.spec.baseline_of(variant),
        )

    async def played(self) -> PlayResult:
        """Play, and blame what fails on the play instead of raising."""
        started = time.monotonic()
        try:
            await self._play()
        except (MlgymError, MCPError, OSError, RuntimeError, UnicodeError) as error:
            self._note(error=str(error) or type(error).__name__)
            await self._abandon()
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(_ABANDON_SECONDS, shield=True):
                await self._abandon()
            raise
        self._note(seconds=round(time.monotonic() - started, 3))
        self._told("done", self._result.error.partition("\n")[0])
        return self._result

    async def _play(self) -> None:
        start = {"task": self._task.id, "variant": self._result.variant, "label": "baseline"}
        opened = await self._call("starting", "start_session", start)
        variant = opened["variant"]
        baseline = self._task.spec.baseline_of(variant)
        self._note(session=opened["session"], variant=variant, baseline=baseline)
        for name, path in self._files():
            await self._call("uploading", "create", {"path": name, "text": await path.read_text()})
        await self._run()
        validation = await self._call("validating", "validate", {})
        self._note(validation=validation["score"])
        grade = await self._call("submitting", "submit", {"request_id": "baseline"})
        self._note(**{name: grade[name] for name in ("score", "metrics", "integrity", "versions")})
        if grade["status"] != "graded":
            raise PlayFailed("The judge failed on the submission.", fix="See the server's log.")
        self._note(status="played")

    def _files(self) -> Iterator[tuple[str, anyio.Path]]:
        """Each file of the baseline, under the name it gets in the workspace."""
        folder = self._task.baseline
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.name != SCORES_NAME:
                name = Path("baseline") / path.relative_to(folder)
                yield name.as_posix(), anyio.Path(path)

    async def _run(self) -> None:
        answer = await self._call("running", "run", {"command": _COMMAND})
        while answer.get("state") == "running":
            answer = await self._call("running", "job", {"job_id": answer["job_id"]})
        result = answer.get("result", answer)
        if not result or result.get("exit_code") != 0:
            output = str((result or answer).get("output", ""))[-_SHOWN_CHARACTERS:]
            ending = f"exit code {result['exit_code']}" if result else str(answer.get("state"))
            raise PlayFailed(f"`{_COMMAND}` ended with {ending}: {output}")

    async def _call(self, stage: Stage, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self._told(stage)

        async def heard(progress: float, total: float | None, message: str | None) -> None:
            del progress, total
            self._told(stage, message or "")

        if self._result.session is not None:
            arguments = {"session": self._result.session, **arguments}
        result = await self._client.call_tool(tool, arguments, progress_callback=heard)
        if result.is_error:
            raise PlayFailed(f"{tool}: {_text(result)}")
        return cast("dict[str, Any]", result.structured_content)

    async def _abandon(self) -> None:
        """End the session that failed, as well as that still works."""
        if self._result.session is None:
            return
        try:
            await self._client.call_tool("end_session", {"session": self._result.session})
        except (MCPError, OSError, RuntimeError) as error:
            self._note(error=f"{self._result.error}\nThe session could not be ended: {error}")

    def _note(self, **changes: Any) -> None:
        self._result = self._result.model_copy(update=changes)

    def _told(self, stage: Stage, what: str = "") -> None:
        self._tell(PlayProgress(self._task.id, stage, what))


def _text(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))
