"""What is said of a task folder by reading it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mlgym_mcp.base.errors import NotFound
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.base.shipped import shipped
from mlgym_mcp.catalog import check_tasks
from mlgym_mcp.types.finding import Finding

MakeTask = Callable[..., Path]
MakeSettings = Callable[..., Settings]


def found(make_settings: MakeSettings, folder: Path) -> list[Finding]:
    return check_tasks(make_settings(tasks=(folder.parent,)), [folder.name])


def faults(make_settings: MakeSettings, folder: Path) -> str:
    failed = [f for f in found(make_settings, folder) if f.state == "failed"]
    assert failed[0].check == f"task {folder.name}"
    return "\n".join(f"{finding.check}: {finding.detail}" for finding in failed)


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    folder = tmp_path / "own" / "house-copy"
    shutil.copytree(shipped("templates") / "predictions", folder)
    spec = folder / "task.toml"
    spec.write_text(spec.read_text().replace('"my-task"', '"house-copy"'))
    return folder


def test_a_sound_folder_is_one_finding(make_settings: MakeSettings, make_task: MakeTask) -> None:
    assert [f.state for f in found(make_settings, make_task())] == ["ok"]


def test_only_the_wanted_tasks_are_checked(make_settings: MakeSettings) -> None:
    findings = check_tasks(make_settings(), ["battle-of-sexes"])
    assert [f.check for f in findings] == ["task battle-of-sexes"]


def test_a_wanted_task_that_is_none_is_an_error(make_settings: MakeSettings) -> None:
    with pytest.raises(NotFound, match="battle-of-sex"):
        check_tasks(make_settings(), ["battle-of-sex"])


def test_an_unknown_environment_is_named_with_the_known(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task(environment='environment = "quantum"')
    assert "`environment` is 'quantum'; the environments are base" in faults(make_settings, folder)


def test_a_brief_that_does_not_say_what_to_hand_in_is_a_fault(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task()
    (folder / "brief.md").write_text("Play well. " * 20)
    said = faults(make_settings, folder)
    assert "brief.md does not start with a title" in said
    assert "never names what is handed in, `strategy.py`" in said


def test_a_brief_in_another_encoding_is_a_fault(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task()
    (folder / "brief.md").write_bytes("# Größe".encode("latin-1"))
    assert "cannot be read as UTF-8" in faults(make_settings, folder)


def test_a_program_that_is_no_python_is_a_fault(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task()
    (folder / "starter" / "strategy.py").write_text("def row_strategy(:\n")
    assert "starter/strategy.py is not Python" in faults(make_settings, folder)


def test_a_judge_without_grade_or_with_other_arguments_is_a_fault(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task()
    (folder / "judge" / "judge.py").write_text("def grade(submission): return {}\n")
    (folder / "judge" / "player.py").write_text("x = 1\n")
    said = faults(make_settings, folder)
    assert "`grade` must take 5 arguments" in said
    assert "player.py has no function `load`" in said


def test_the_judge_must_not_lie_in_the_starter(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task()
    shutil.copy(folder / "judge" / "judge.py", folder / "starter" / "notes.py")
    assert "notes.py is the judge's judge.py" in faults(make_settings, folder)


def test_a_link_in_a_task_folder_is_a_fault(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task()
    (folder / "starter" / "judge").symlink_to(folder / "judge")
    assert "is a link" in faults(make_settings, folder)


def test_a_column_without_bounds_is_a_fault(make_settings: MakeSettings, predictions: Path) -> None:
    path = predictions / "table.schema.json"
    schema = json.loads(path.read_text())
    del schema["maxItems"]
    schema["items"]["properties"] |= {"y": {"type": "number"}, "z": {"type": "boolean"}}
    schema["items"]["required"] = ["id", "y", "w"]
    path.write_text(json.dumps(schema))
    said = faults(make_settings, predictions)
    assert "a `maxItems`" in said
    assert "column y has no minimum and maximum" in said
    assert "column z needs a type of integer, number, string" in said
    assert "requires unknown columns: w" in said


def test_a_table_schema_of_another_shape_is_a_fault(
    make_settings: MakeSettings, predictions: Path
) -> None:
    (predictions / "table.schema.json").write_text("[]")
    assert "is no array of row objects" in faults(make_settings, predictions)


def test_a_mini_that_nobody_measured_is_a_warning_and_no_fault(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task()
    spec = folder / "task.toml"
    spec.write_text(spec.read_text().replace("baseline = 1.02\n", ""))
    findings = found(make_settings, folder)
    assert [f.state for f in findings] == ["ok", "warning"]
    assert "tasks check my-game --run" in findings[1].fix
