"""Scoring by path and by manifest, without an agent or a server."""

import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.errors import NotFound, RequestError, SubmissionRejected
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.scoring import BatchResult, Scorer, open_scorer, score_batch, score_path

pytestmark = [pytest.mark.anyio, pytest.mark.bubblewrap]
GAME = "battle-of-sexes"


@pytest.fixture
async def scorer(make_settings: Callable[..., Settings]) -> AsyncGenerator[Scorer]:
    async with open_scorer(make_settings(engine="bubblewrap"), SystemClock()) as opened:
        yield opened


def manifest_of(folder: Path, lines: list[str | dict[str, object]]) -> Path:
    path = folder / "manifest.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n")
    return path


async def test_a_path_may_be_the_file_itself_or_the_workspace_around_it(
    scorer: Scorer, tmp_path: Path
) -> None:
    path = tmp_path / "strategy.py"
    path.write_text("def row_strategy(history): return 0\n")
    grades = [await score_path(scorer, GAME, "mini", p, seed=3) for p in (path, tmp_path)]
    assert grades[0].submission == grades[1].submission
    assert grades[0].score == grades[1].score


async def test_an_unknown_task_or_variant_is_named(
    make_settings: Callable[..., Settings], scorer: Scorer, always_zero: Path
) -> None:
    assert make_settings
    with pytest.raises(NotFound, match="There is no task 'chess'"):
        await score_path(scorer, "chess", "mini", always_zero)


async def test_a_link_given_as_path_is_rejected(scorer: Scorer, tmp_path: Path) -> None:
    (tmp_path / "mine.py").symlink_to("/etc/passwd")
    with pytest.raises(SubmissionRejected, match=r"mine\.py is a link"):
        await score_path(scorer, GAME, "mini", tmp_path / "mine.py")


async def test_a_batch_grades_every_line_it_can_and_names_every_line_it_cannot(
    scorer: Scorer, always_zero: Path, tmp_path: Path
) -> None:
    always_zero.with_name("bad.py").write_text("def row_strategy(history): return 7\n")
    manifest = manifest_of(
        tmp_path,
        [
            {"task": GAME, "path": "always_zero.py", "variant": "mini", "kind": "validate"},
            {"task": GAME, "path": "bad.py", "variant": "mini", "seed": 3},
            "",
            "this is no JSON",
            {"task": GAME, "path": "nowhere.py"},
            {"task": "chess", "path": "always_zero.py"},
            {"task": GAME, "path": "always_zero.py", "wariant": "mini"},
            {"task": GAME, "path": str(always_zero), "variant": "mini", "seed": 3},
        ],
    )
    heard: list[BatchResult] = []
    results = await score_batch(scorer, manifest, 3, heard.append)
    assert sorted(heard, key=lambda r: r.line) == results
    assert [result.line for result in results] == [1, 2, 4, 5, 6, 7, 8]
    assert [result.ok for result in results] == [True, True, False, False, False, False, True]
    codes = [result.code for result in results]
    assert codes[2:6] == ["bad_request", "submission_rejected", "not_found", "bad_request"]
    assert "Line 4 of the manifest is not valid" in results[2].message
    assert "`wariant`" in results[5].message
    assert results[1].grade is not None
    assert results[1].grade.integrity == "invalid"


async def test_a_manifest_that_cannot_be_read_is_an_error(scorer: Scorer, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be read"):
        await score_batch(scorer, tmp_path / "none.jsonl", 2, lambda _result: None)
