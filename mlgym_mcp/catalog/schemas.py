"""The JSON Schemas of every shape that leaves the process, made from `mlgym_mcp.types`.

`python -m mlgym_mcp.catalog.schemas` writes them into the source tree's `schemas/`; a test sees
that they are current. The tables under `schemas/submissions/` are written by hand.
"""

import json
from collections.abc import Mapping

from pydantic import BaseModel

from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.types.command import CommandResult, JobView
from mlgym_mcp.types.files import FileWindow, Found, Listing, Matches
from mlgym_mcp.types.finding import Finding
from mlgym_mcp.types.grade import Grade, JudgeReport, Submission
from mlgym_mcp.types.session import Event, SessionOpened, SessionView
from mlgym_mcp.types.task import TaskSpec, TaskSummary

SHAPES: Mapping[str, type[BaseModel]] = {
    "task": TaskSpec,
    "task-summary": TaskSummary,
    "session-opened": SessionOpened,
    "session": SessionView,
    "event": Event,
    "command-result": CommandResult,
    "job": JobView,
    "file-window": FileWindow,
    "listing": Listing,
    "found": Found,
    "matches": Matches,
    "submission": Submission,
    "judge-report": JudgeReport,
    "grade": Grade,
    "finding": Finding,
}
"""Every shape by the name of its schema's file."""


def schema_text(name: str) -> str:
    """The text of one schema's file."""
    schema = SHAPES[name].model_json_schema(mode="validation")
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def write_schemas() -> None:
    """Write every schema into the source tree."""
    folder = shipped("schemas")
    folder.mkdir(exist_ok=True)
    for name in SHAPES:
        (folder / f"{name}.schema.json").write_text(schema_text(name), encoding="utf-8")


if __name__ == "__main__":
    write_schemas()
