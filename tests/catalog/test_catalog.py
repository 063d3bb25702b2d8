"""Which tasks there are, and what is said of broken ones."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mlgym_mcp.base.errors import NotFound, SpecInvalid
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.catalog import check_tasks, load_catalog

MakeTask = Callable[..., Path]
MakeSettings = Callable[..., Settings]


def broken_message(make_settings: MakeSettings, folder: Path) -> str:
    catalog = load_catalog(make_settings(tasks=(folder.parent,)))
    assert "battle-of-sexes" in catalog.tasks
    return catalog.broken[folder.name].message


def test_shipped_tasks_are_valid_and_complete(settings: Settings) -> None:
    catalog = load_catalog(settings)
    assert {"battle-of-sexes", "house-prices"} <= set(catalog.tasks)
    assert not catalog.broken
    for task in catalog.tasks.values():
        assert task.brief.startswith("#")
        assert set(task.spec.variants) - {"generated"} == {"full", "mini"}
        sources = task.spec.dataset.sources if task.spec.dataset else ()
        in_mirrors_only = any(s.url is None and "mini" in s.variants for s in sources)
        assert ("generated" in task.spec.variants) == in_mirrors_only


def test_a_task_in_a_folder_of_the_operator_is_found(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task()
    catalog = load_catalog(make_settings(tasks=(folder.parent,)))
    assert catalog.task("my-game").folder == folder


def test_an_unknown_task_is_answered_with_near_names(settings: Settings) -> None:
    with pytest.raises(NotFound) as caught:
        load_catalog(settings).task("house-price")
    assert "house-price" in caught.value.message
    assert "house-prices" in caught.value.fix


def test_a_misspelt_key_is_named_with_the_right_one(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task(direction='directon = "max"')
    message = broken_message(make_settings, folder)
    assert str(folder / "task.toml") in message
    assert "`metric.directon` is not a known key; did you mean `direction`?" in message
    assert "`metric.direction` is missing" in message


def test_an_unknown_key_of_a_variant_is_named_with_the_known_ones(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task(submit_simulations="xyz = 3")
    message = broken_message(make_settings, folder)
    assert "`judge.xyz` is not a known key; known here: environment" in message
    folder = make_task("other-game", validate_simulations="", description="descripton = 1")
    message = broken_message(make_settings, folder)
    assert "`variants.full.descripton` is not a known key; did you mean `description`?" in message


@pytest.mark.parametrize(
    ("key", "line", "said"),
    [
        ("area", 'area = "astrology"', "`area`: Input should be 'tabular'"),
        ("spec_version", "spec_version = 9", "`spec_version`: Input should be 1, found 9"),
        ("path", 'path = "../strategy.py"', "`submission.path`: must be a relative path"),
        ("baseline", 'baseline = "high"', "`metric.baseline`: Input should be a valid number"),
        ("call_seconds", "call_seconds = -1.0", "`judge.call_seconds`: Input should be greater"),
        ("title", "title = [", "is not TOML in UTF-8"),
        ("[variants.full]", "[variants.large]", "variants.large"),
    ],
)
def test_every_fault_is_named_with_its_key_and_reason(
    make_settings: MakeSettings, make_task: MakeTask, key: str, line: str, said: str
) -> None:
    assert said in broken_message(make_settings, make_task(**{key: line}))


def test_a_spec_that_is_not_utf_8_is_broken(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task()
    (folder / "task.toml").write_bytes("id = 'x'".encode("utf-16"))
    assert "is not TOML in UTF-8" in broken_message(make_settings, folder)


def test_missing_files_of_a_task_are_named(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task()
    (folder / "judge" / "player.py").unlink()
    (folder / "brief.md").unlink()
    message = broken_message(make_settings, folder)
    assert "the file brief.md is missing" in message
    assert "the file judge/player.py is missing" in message


def test_an_id_that_is_taken_is_broken_and_the_first_one_stays(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task("house-prices")
    catalog = load_catalog(make_settings(tasks=(folder.parent,)))
    assert catalog.task("house-prices").folder != folder
    assert "is taken by" in catalog.broken["house-prices"].message


def test_a_folder_named_otherwise_than_its_id_is_broken(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task(id='id = "another"')
    assert "the folder is named 'my-game'" in broken_message(make_settings, folder)


def test_asking_for_a_broken_task_says_what_is_wrong_with_it(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task(direction="")
    catalog = load_catalog(make_settings(tasks=(folder.parent,)))
    with pytest.raises(SpecInvalid, match=r"metric\.direction") as caught:
        catalog.task("my-game")
    assert "mlgym-mcp tasks check" in caught.value.fix


def test_the_check_reports_broken_tasks_and_missing_data(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task(direction="")
    settings = make_settings(tasks=(folder.parent,), mirrors=())
    findings = {finding.check: finding for finding in check_tasks(settings)}
    assert findings["task my-game"].state == "failed"
    assert findings["task battle-of-sexes"].state == "ok"
    assert findings["task house-prices"].state == "warning"
    assert findings["task house-prices"].fix == "Run `mlgym-mcp data fetch house-prices`."


def test_the_digest_of_a_task_changes_with_its_judge(
    make_settings: MakeSettings, make_task: MakeTask
) -> None:
    folder = make_task()
    settings = make_settings(tasks=(folder.parent,))
    before = load_catalog(settings).task("my-game").digest
    (folder / "judge" / "judge.py").write_text("# another")
    assert load_catalog(settings).task("my-game").digest != before
