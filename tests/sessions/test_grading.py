"""Validations and submissions, graded in real sandboxes."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import Engine, event

from mlgym_mcp.base.errors import BudgetSpent, DataMissing, SessionEnded, SubmissionRejected
from mlgym_mcp.sessions import RunRequest, StartRequest
from mlgym_mcp.types.task import Variant

pytestmark = [pytest.mark.anyio, pytest.mark.bubblewrap]


async def test_a_validation_is_counted_and_the_best_one_shown(
    open_real: Any, start: Any, add_task: Any
) -> None:
    add_task("tiny", validations=1)
    async with open_real() as sessions:
        session = await start(sessions, "tiny")
        grade = await sessions.validate("ann", session)
        assert (grade.kind, grade.status, grade.integrity) == ("validate", "graded", "clean")
        view = await sessions.status("ann", session)
        assert view.left.validations == 0
        assert view.best_validation == grade.score
        with pytest.raises(BudgetSpent, match="all 1 of its `validations`"):
            await sessions.validate("ann", session)


async def test_every_validation_and_submission_is_graded_with_a_seed_of_its_own(
    open_real: Any, start: Any
) -> None:
    async with open_real() as sessions:
        session = await start(sessions)
        grades = [await sessions.validate("ann", session) for _ in range(2)]
        grades.append(await sessions.submit("ann", session))
        assert len({grade.seed for grade in grades}) == 3


async def test_what_is_rejected_costs_no_validation_and_ends_no_session(
    open_real: Any, start: Any
) -> None:
    async with open_real() as sessions:
        session = await start(sessions)
        await sessions.run("ann", session, RunRequest(command="rm strategy.py"))
        with pytest.raises(SubmissionRejected, match="is not there"):
            await sessions.validate("ann", session)
        with pytest.raises(SubmissionRejected):
            await sessions.submit("ann", session, "r")
        view = await sessions.status("ann", session)
        assert (view.state, view.left.validations) == ("active", view.budget.validations)
        await sessions.create("ann", session, "strategy.py", "def row_strategy(h):\n    return 0\n")
        assert (await sessions.submit("ann", session, "r")).status == "graded"


async def test_a_validation_that_ends_without_a_score_is_counted_too(
    open_real: Any, start: Any, add_task: Any
) -> None:
    add_task("tiny", validations=2)
    async with open_real() as sessions:
        session = await start(sessions, "tiny")
        for left, code in ((1, "1 / 0"), (0, "import os; os._exit(0)")):
            command = f"echo 'def row_strategy(history): {code}' > strategy.py"
            await sessions.run("ann", session, RunRequest(command=command))
            grade = await sessions.validate("ann", session)
            assert (grade.integrity, grade.score) == ("invalid", None)
            assert (await sessions.status("ann", session)).left.validations == left


async def test_a_validation_whose_caller_leaves_while_its_grade_is_kept_is_counted(
    open_real: Any, start: Any, home: Path
) -> None:
    # a grade that is kept is seen in the session: leaving just then must not save a validation
    async with open_real() as sessions:
        session = await start(sessions)
        grading = anyio.Event()

        def told(_what: str, _share: float | None) -> None:
            grading.set()

        async def validate() -> None:
            await sessions.validate("ann", session, told)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(validate)
            await grading.wait()
            async with written_by_nobody(home / "store.sqlite3"):
                await begun_and_gone(home / "grading", "g-*")
                tasks.cancel_scope.cancel()
        view = await sessions.status("ann", session)
        assert view.best_validation is not None
        assert view.left.validations == view.budget.validations - 1
        kinds = [event.kind for event in await sessions.trajectory("ann", session)]
        assert kinds.count("validation") == 1


@asynccontextmanager
async def written_by_nobody(store: Path) -> AsyncGenerator[None]:
    """Whoever would write there waits until the block is over."""

    def lock() -> sqlite3.Connection:
        connection = sqlite3.connect(store, isolation_level=None, check_same_thread=False)
        connection.execute("BEGIN IMMEDIATE")
        return connection

    locked = await anyio.to_thread.run_sync(lock)
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(locked.close)


async def begun_and_gone(folder: Path, pattern: str) -> None:
    """Wait until something of that name was there and is no more."""
    with anyio.fail_after(60):
        for there in (True, False):
            while there != bool(await anyio.to_thread.run_sync(list, folder.glob(pattern))):
                await anyio.lowlevel.checkpoint()


async def test_a_judge_that_crashes_costs_no_validation_and_is_said(
    open_real: Any, start: Any, add_task: Any, home: Any
) -> None:
    add_task("tiny")
    (home / "tasks" / "tiny" / "judge" / "judge.py").write_text("raise SystemError\n")
    async with open_real() as sessions:
        session = await start(sessions, "tiny")
        grade = await sessions.validate("ann", session)
        assert (grade.status, grade.score) == ("judge_failed", None)
        assert (await sessions.status("ann", session)).left.validations == 10
        grade = await sessions.submit("ann", session)
        assert grade.status == "judge_failed"
        assert (await sessions.status("ann", session)).state == "submitted"
        assert await sessions.grades("tiny") == []


async def test_a_submission_ends_the_session_and_everything_in_it(
    open_real: Any, start: Any
) -> None:
    async with open_real() as sessions:
        session = await start(sessions)
        await sessions.run("ann", session, RunRequest(command="sleep 4321", wait_seconds=0.05))
        grade = await sessions.submit("ann", session)
        view = await sessions.status("ann", session)
        assert (view.state, view.grade, view.ended_at is not None) == ("submitted", grade, True)
        with pytest.raises(SessionEnded, match="its submission was taken"):
            await sessions.run("ann", session, RunRequest(command="true"))
        with pytest.raises(SessionEnded):
            await sessions.submit("ann", session)
        kinds = [e.kind for e in await sessions.trajectory("ann", session)]
        assert kinds[:3] == ["opened", "call", "submission"]
        assert sorted(kinds[3:]) == ["grade", "result"]


async def test_a_submission_is_on_the_disk_before_it_is_acknowledged(
    open_real: Any, start: Any
) -> None:
    said: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        async with open_real() as sessions:
            session = await start(sessions)
            await sessions.run("ann", session, RunRequest(command="true"))
            assert not [one for one in said if one.startswith("PRAGMA synchronous")]
            await sessions.submit("ann", session)
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
    # while this is so, the database waits for the disk at the end of a transaction
    full = said.index("PRAGMA synchronous = FULL")
    taken = next(number for number, one in enumerate(said) if "INTO submissions" in one)
    graded = next(number for number, one in enumerate(said) if "INTO grades" in one)
    assert full < taken < said.index("PRAGMA synchronous = NORMAL") < graded
    # the submission, the end of its session, its grade
    assert said.count("PRAGMA synchronous = FULL") == 3


async def test_submitting_twice_with_one_request_id_is_one_submission(
    open_real: Any, start: Any
) -> None:
    async with open_real() as sessions:
        session = await start(sessions)
        grades: list[Any] = []

        async def submit() -> None:
            grades.append(await sessions.submit("ann", session, "once"))

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(submit)
        await submit()
        assert len({grade.id for grade in grades}) == 1
    async with open_real() as sessions:
        assert await sessions.submit("ann", session, "once") == grades[0]


async def test_a_submission_is_graded_although_its_caller_left(open_real: Any, start: Any) -> None:
    async with open_real() as sessions:
        session = await start(sessions)
        with anyio.CancelScope() as scope:

            def leave(_session: str) -> None:
                scope.cancel()

            sessions.watch(leave)
            await sessions.submit("ann", session, "once")
        assert scope.cancelled_caught
        grade = await sessions.submit("ann", session, "once")
        assert grade.status == "graded"


async def test_the_leaderboard_ranks_submissions_and_names_nobody(
    open_real: Any, start: Any
) -> None:
    async with open_real() as sessions:
        for move in (0, 1):
            session = await start(sessions)
            text = f"def row_strategy(history):\n    return {move}\n"
            await sessions.create("ann", session, "strategy.py", text)
            await sessions.submit("ann", session)
        scores = [grade.score for grade in await sessions.grades("battle-of-sexes")]
        assert len(scores) == 2
        assert scores == sorted(scores, reverse=True)
        assert all(g.session is None for g in await sessions.grades("battle-of-sexes"))


async def test_the_leaderboard_ranks_no_variant_above_another(open_real: Any) -> None:
    async with open_real() as sessions:
        played: tuple[tuple[Variant, int], ...] = (("mini", 1), ("full", 1), ("mini", 0))
        for variant, move in played:
            request = StartRequest(task="battle-of-sexes", variant=variant)
            session = (await sessions.start("ann", request)).session
            text = f"def row_strategy(history):\n    return {move}\n"
            await sessions.create("ann", session, "strategy.py", text)
            await sessions.submit("ann", session)
        full, *mini = await sessions.grades("battle-of-sexes")
        assert [full.variant, *(grade.variant for grade in mini)] == ["full", "mini", "mini"]
        assert mini[0].score > mini[1].score
        assert mini[0].score > full.score


async def test_where_mini_has_no_files_it_is_played_on_generated_data_and_labelled_so(
    open_real: Any,
) -> None:
    request = StartRequest(task="three-sat", variant="mini")
    async with open_real(mirrors=()) as sessions:
        opened = await sessions.start("ann", request)
        assert opened.variant == "generated"
        assert "drawn by a seeded program" in opened.about
        assert (await sessions.card("three-sat"))["variant"] == "generated"
        with pytest.raises(DataMissing):
            await sessions.start("ann", request.model_copy(update={"variant": "full"}))


@pytest.mark.data
async def test_files_that_come_during_a_session_do_not_change_what_it_is_scored_on(
    open_real: Any,
) -> None:
    request = StartRequest(task="three-sat", variant="mini")
    async with open_real(mirrors=()) as sessions:
        session = (await sessions.start("ann", request)).session
    async with open_real() as sessions:
        assert (await sessions.start("bob", request)).variant == "mini"
        grade = await sessions.validate("ann", session)
        assert (grade.variant, grade.integrity) == ("generated", "clean")
        assert grade.details["origin"].startswith("0 from SATLIB")
