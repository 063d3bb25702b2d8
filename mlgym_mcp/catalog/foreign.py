"""Task folders from MLGym's task configurations, with a list of what needs a hand.

Above: `tasks import`. Below: one YAML file, the template of the kind it asks for, and nothing of
what the file points at: code and data of another project are its own, so they are named in the
list and never copied. What cannot be known (judge, data, private labels) is left as a program that
fails and says so, never as the template's example.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from mlgym_mcp.base.errors import RequestError
from mlgym_mcp.catalog.template import OPEN_POINT, TODO_NAME, Kind, new_task

_KINDS: Mapping[str, Kind] = {
    "CSVSubmissionTasks": "predictions",
    "PythonSubmissionTasks": "code",
    "ModelSubmissionTasks": "model",
    "LMSubmissionTasks": "model",
}
_LOWER_IS_BETTER = re.compile(r"loss|error|rmse|mse|mae|time|seconds|perplexity", re.IGNORECASE)
_MAX_BYTES = 2**20
_STUB = (
    '"""Not written yet: see {todo}."""\n\nraise NotImplementedError("{name} of {id}: {todo}")\n'
)
_KNOWN = frozenset(
    [
        "id",
        "name",
        "description",
        "dataset_configs",
        "task_entrypoint",
        "training_timeout",
        "requirements_path",
        "benchmark_name",
        "use_generic_conda",
        "starter_code",
        "baseline_paths",
        "baseline_scores",
        "sample_submission",
        "evaluation_paths",
        "evaluation_read_only",
        "secret_files",
        "memory_path",
    ]
)


def import_task(configuration: Path, into: Path) -> tuple[Path, list[str]]:
    """The new folder, and what still needs a hand.

    Raises:
        RequestError: The file cannot be read, is no such configuration, or the folder is there.
    """
    given = _read(configuration)
    task_id, kind = _slug(str(given["id"])), _kind(given)
    folder = new_task(task_id, kind, into)
    points = list(_points(given, kind))
    (folder / "task.toml").write_text(_spec(given, folder), encoding="utf-8")
    (folder / "brief.md").write_text(_brief(given, folder), encoding="utf-8")
    _stub(folder)
    lines = [f"# What {task_id} still needs", "", *(f"{OPEN_POINT} {point}" for point in points)]
    (folder / TODO_NAME).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder, points


def _read(path: Path) -> dict[str, Any]:
    fix = "Give a task configuration of MLGym, such as configs/tasks/titanic.yaml."
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise RequestError(f"{path} is longer than {_MAX_BYTES} bytes.", fix=fix)
        given: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RequestError(f"{path} cannot be read as YAML: {error}", fix=fix) from error
    if not isinstance(given, dict):
        raise RequestError(f"{path} is YAML, but no mapping.", fix=fix)
    values = cast("dict[str, Any]", given)
    if missing := [key for key in ("id", "name", "description") if not values.get(key)]:
        raise RequestError(f"{path} has no `{'`, `'.join(missing)}`.", fix=fix)
    return values


def _slug(name: str) -> str:
    """`regressionKaggleHousePrice` becomes `regression-kaggle-house-price`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name)
    words = re.sub(r"[^a-z0-9]+", "-", spaced.lower()).strip("-")
    return words if words[:1].isalpha() else f"task-{words}"


def _kind(given: Mapping[str, Any]) -> Kind:
    entry = str(given.get("task_entrypoint", "CSVSubmissionTasks"))
    if entry not in _KINDS:
        raise RequestError(
            f"`task_entrypoint` is {entry!r:.100}, which is not known.",
            fix=f"Known are {', '.join(_KINDS)}.",
        )
    return _KINDS[entry]


def _scores(given: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Names and values of the first dataset's baseline."""
    lists: object = given.get("baseline_scores")
    first: object = cast("list[Any]", lists)[0] if isinstance(lists, list) and lists else None
    if not isinstance(first, dict):
        return []
    pairs = cast("dict[str, Any]", first).items()
    return [(str(name), float(value)) for name, value in pairs if isinstance(value, int | float)]


def _direction(name: str) -> str:
    return "min" if _LOWER_IS_BETTER.search(name) else "max"


def _metric_name(name: str) -> str:
    return _slug(name).replace("-", "_")


def _spec(given: Mapping[str, Any], folder: Path) -> str:
    """The template's `task.toml` with what the configuration says in its place."""
    scores = _scores(given) or [("score", 0.0)]
    name, baseline = scores[0]
    others = ", ".join(f'"{_metric_name(other)}"' for other, _ in scores[1:])
    timeout: object = given.get("training_timeout")
    summary = " ".join(str(given["description"]).split())[:120].rsplit(" ", 1)[0]
    replaced = {
        "title": _text(str(given["name"])),
        "summary": _text(f"{summary} ..."),
        "name": _text(_metric_name(name)),
        "direction": _text(_direction(name)),
        "others": f"[{others}]",
        "baseline": repr(baseline),
        "source": _text("the imported configuration"),
    }
    lines: list[str] = []
    part = ""
    for line in (folder / "task.toml").read_text(encoding="utf-8").splitlines():
        part = line if line.startswith("[") else part
        key = line.partition(" = ")[0]
        if part.startswith("[variants") and key in ("baseline", "description"):
            if key == "description":
                lines.append('description = "To be described."')
        elif part == "[dataset]" and key in ("title", "licence"):
            lines.append(f'{key} = "To be described."')
        elif key in replaced and part in ("", "[metric]"):
            lines.append(f"{key} = {replaced[key]}")
        else:
            lines.append(line)
        if key == "id" and part == "":
            lines.append(f"mlgym_id = {_text(str(given['id']))}")
        if part == "[budget]" and key == "[budget]" and isinstance(timeout, int | float):
            lines.append(f"command_seconds = {float(timeout)}")
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A TOML string."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else " " for c in escaped) + '"'


def _brief(given: Mapping[str, Any], folder: Path) -> str:
    path = re.search(r'^path = "(.*)"', (folder / "task.toml").read_text(), re.MULTILINE)
    handed = path[1] if path else "submission.csv"
    return (
        f"# {given['name']}\n\nTo be written. The imported configuration describes it so:\n\n"
        + "".join(f"> {line}".rstrip() + "\n" for line in str(given["description"]).splitlines())
        + f"\n## What to hand in\n\n`{handed}` in the workspace.\n"
    )


def _stub(folder: Path) -> None:
    """Replace every program of the template's example by one that says it is not written."""
    for path in folder.rglob("*.py"):
        name = path.relative_to(folder).as_posix()
        text = _STUB.format(name=name, id=folder.name, todo=TODO_NAME)
        if name == "judge/judge.py":
            text = (
                '"""Not written yet."""\n\n\ndef grade(submission, private, player, seed, setting):\n'
                f'    """The metrics of one submission."""\n    raise NotImplementedError("{TODO_NAME}")\n'
            )
        if name == "judge/player.py":
            text = (
                '"""Not written yet."""\n\n\ndef load(submission, public):\n'
                f'    """The functions the judge may call."""\n    raise NotImplementedError("{TODO_NAME}")\n'
            )
        path.write_text(text, encoding="utf-8")


def _points(given: Mapping[str, Any], kind: Kind) -> Iterator[str]:
    """What a person must do, most important first."""
    evaluation = _listed(given, "evaluation_paths")
    yield (
        f"judge/judge.py: write `grade`, which does what {evaluation or 'the evaluation'} does; it "
        "never imports or unpickles what was submitted"
    )
    if kind != "predictions":
        yield "judge/player.py: name the functions of the submission that the judge may call"
    yield f"dataset.py: make public/, private/ and card.json from {_datasets(given)}"
    yield "dataset.py: see that no test label stays in public/; there they came with the data"
    yield "task.toml: pin the dataset's sources by sha256, and say its title and licence"
    yield "task.toml: choose the `area`"
    yield from _metric_points(given)
    sample = given.get("sample_submission")
    if kind == "predictions":
        like = f", like {sample}" if sample else ""
        yield f"table.schema.json: name the columns of the csv{like}, the id first"
    else:
        yield "task.toml: set `submission.path`, `max_bytes` and `max_files`"
    yield "brief.md: say in your own words what to do, with which data, and how it is scored"
    if starter := _listed(given, "starter_code"):
        hidden = " (not what tells the answers or the evaluation)" if evaluation else ""
        yield f"starter/: write what an agent starts from; there it is {starter}{hidden}"
    if baseline := _listed(given, "baseline_paths"):
        yield f"baseline/: write a plain solution; there it is {baseline}"
    yield from _environment_points(given)
    yield "variants: say what mini is, and measure its baseline"
    if unknown := sorted(set(given) - _KNOWN):
        yield f"these keys are not known and were left out: {', '.join(unknown)}"


def _metric_points(given: Mapping[str, Any]) -> Iterator[str]:
    scores = _scores(given)
    if not scores:
        yield "task.toml: name the metric and its baseline; the configuration has no score"
        return
    name = scores[0][0]
    yield f"task.toml: see that {name} is the metric and that `{_direction(name)}` is its direction"
    if len(cast("list[Any]", given["baseline_scores"])) > 1:
        yield "there are several datasets: make a task of each, or one judge for all"


def _environment_points(given: Mapping[str, Any]) -> Iterator[str]:
    if given.get("requirements_path"):
        yield f"environment: choose one that has what {given['requirements_path']} lists"
    else:
        yield "environment: `base` has numpy only; choose another if the task needs more"
    if secret := _listed(given, "secret_files"):
        yield f"judge/ or private/: keep {secret} there, out of the agent's reach"
    if given.get("memory_path"):
        yield f"{given['memory_path']} was a memory file; agents have `remember` and `recall` here"


def _datasets(given: Mapping[str, Any]) -> str:
    return _listed(given, "dataset_configs") or "nothing: take [dataset] out if there is no data"


def _listed(given: Mapping[str, Any], key: str) -> str:
    values: object = given.get(key)
    names = cast("list[Any]", values) if isinstance(values, list) else []
    return ", ".join(str(name) for name in names)
