"""File tools of a session, in a real sandbox."""

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest

from mlgym_mcp.base.errors import BadPath, NotFound, RequestError
from mlgym_mcp.sessions import EditRequest, RunRequest, SearchRequest, Sessions

pytestmark = [pytest.mark.anyio, pytest.mark.bubblewrap]


@pytest.fixture
async def sessions(open_real: Any, start: Any) -> AsyncGenerator[Sessions]:
    """Sessions in which ann has one open."""
    async with open_real() as opened:
        await start(opened)
        yield opened


async def create(sessions: Sessions, path: str, text: str) -> None:
    await sessions.create("ann", None, path, text)


async def text_of(sessions: Sessions, path: str) -> str:
    return (await sessions.read_resource_file("ann", None, path)).decode()


async def test_a_window_shows_numbered_lines_around_the_asked_one(sessions: Sessions) -> None:
    await create(sessions, "a/long.txt", "".join(f"line {n}\n" for n in range(1, 101)))
    window = await sessions.open_file("ann", None, "a/long.txt", 50, 5)
    assert window.text == "48\tline 48\n49\tline 49\n50\tline 50\n51\tline 51\n52\tline 52"
    assert (window.first_line, window.last_line, window.total_lines) == (48, 52, 100)
    last = await sessions.open_file("ann", None, "a/long.txt", 100, 3)
    assert (last.first_line, last.last_line) == (98, 100)
    with pytest.raises(RequestError, match="has 100 lines; there is no line 101"):
        await sessions.open_file("ann", None, "a/long.txt", 101)


async def test_an_empty_file_is_a_window_without_lines(sessions: Sessions) -> None:
    await create(sessions, "empty.txt", "")
    window = await sessions.open_file("ann", None, "empty.txt")
    assert (window.first_line, window.last_line, window.text) == (0, 0, "")


async def test_very_long_lines_are_shortened(sessions: Sessions) -> None:
    await create(sessions, "wide.txt", "x" * 100_000)
    window = await sessions.open_file("ann", None, "wide.txt")
    assert len(window.text) < 3000
    assert "(98000 more characters)" in window.text


async def test_unique_text_is_replaced_exactly(sessions: Sessions) -> None:
    await create(sessions, "a.txt", "one\n\ttwo\nthree")
    window = await sessions.edit("ann", None, EditRequest(path="a.txt", old="\ttwo\n", new="2\n"))
    assert await text_of(sessions, "a.txt") == "one\n2\nthree"
    assert window.text == "1\tone\n2\t2\n3\tthree"


async def test_text_that_is_not_there_once_is_refused_with_where_it_is(sessions: Sessions) -> None:
    await create(sessions, "a.txt", "x\ny\nx\n")
    with pytest.raises(RequestError, match="does not occur"):
        await sessions.edit("ann", None, EditRequest(path="a.txt", old="z", new=""))
    with pytest.raises(RequestError, match=r"occurs 2 times in a\.txt, at lines 1, 3"):
        await sessions.edit("ann", None, EditRequest(path="a.txt", old="x", new=""))
    with pytest.raises(RequestError, match="needs either `old`"):
        await sessions.edit("ann", None, EditRequest(path="a.txt", new=""))
    assert await text_of(sessions, "a.txt") == "x\ny\nx\n"


async def test_lines_are_replaced_and_removed(sessions: Sessions) -> None:
    await create(sessions, "a.txt", "1\n2\n3\n4\n")
    await sessions.edit("ann", None, EditRequest(path="a.txt", start=2, end=3, new="two\nthree"))
    assert await text_of(sessions, "a.txt") == "1\ntwo\nthree\n4\n"
    await sessions.edit("ann", None, EditRequest(path="a.txt", start=1, new=""))
    assert await text_of(sessions, "a.txt") == "two\nthree\n4\n"
    with pytest.raises(RequestError, match="has 3 lines"):
        await sessions.edit("ann", None, EditRequest(path="a.txt", start=3, end=4, new=""))


async def test_lines_that_end_as_on_windows_are_matched_and_kept(sessions: Sessions) -> None:
    await create(sessions, "a.txt", "one\r\ntwo\r\nthree\r\n")
    await sessions.edit("ann", None, EditRequest(path="a.txt", old="one\ntwo", new="1\n2"))
    assert await text_of(sessions, "a.txt") == "1\r\n2\r\nthree\r\n"


async def test_lines_are_inserted_anywhere(sessions: Sessions) -> None:
    await create(sessions, "a.txt", "1\n2")
    await sessions.insert("ann", None, "a.txt", 1, "zero")
    await sessions.insert("ann", None, "a.txt", 4, "three")
    assert await text_of(sessions, "a.txt") == "zero\n1\n2\nthree"
    with pytest.raises(RequestError, match="`line` is 1 to 5"):
        await sessions.insert("ann", None, "a.txt", 9, "x")


async def test_python_that_would_no_longer_parse_is_refused_unless_forced(
    sessions: Sessions,
) -> None:
    await create(sessions, "a.py", "def f():\n    return 1\n")
    broken = EditRequest(path="a.py", old="    return 1", new="return 1")
    with pytest.raises(RequestError, match=r"no longer parse \(line 2: expected an indented"):
        await sessions.edit("ann", None, broken)
    assert "    return 1" in await text_of(sessions, "a.py")
    await sessions.edit("ann", None, broken.model_copy(update={"force": True}))
    assert await text_of(sessions, "a.py") == "def f():\nreturn 1\n"


async def test_python_that_did_not_parse_may_be_mended_step_by_step(sessions: Sessions) -> None:
    await create(sessions, "a.py", "def f(:\n  return ((1)\n")
    await sessions.edit("ann", None, EditRequest(path="a.py", old="(:", new="():"))
    await sessions.edit("ann", None, EditRequest(path="a.py", old="((1)", new="(1)"))
    assert await text_of(sessions, "a.py") == "def f():\n  return (1)\n"


@pytest.mark.parametrize("text", ["(" * 50_000, "-" * 50_000 + "1", "a=" + "[" * 90, "x" * 300_000])
async def test_no_text_can_crash_the_server_by_being_parsed(sessions: Sessions, text: str) -> None:
    await create(sessions, "a.py", "a = 1\n")
    with pytest.raises(RequestError, match="no longer parse"):
        await sessions.edit("ann", None, EditRequest(path="a.py", old="a = 1", new=text + " ?"))


async def test_a_file_that_is_no_text_is_not_edited(sessions: Sessions) -> None:
    await sessions.run("ann", None, RunRequest(command=r"printf 'a\xff\n' > b.bin"))
    with pytest.raises(BadPath, match="not UTF-8"):
        await sessions.edit("ann", None, EditRequest(path="b.bin", old="a", new="b"))
    assert "\ufffd" in (await sessions.open_file("ann", None, "b.bin")).text


async def test_half_a_character_is_not_written(sessions: Sessions) -> None:
    with pytest.raises(RequestError, match="not valid Unicode"):
        await create(sessions, "a.txt", "\ud800")


async def test_paths_out_of_the_workspace_are_refused(sessions: Sessions) -> None:
    await sessions.run("ann", None, RunRequest(command="ln -s /etc/passwd link; ln -s / root"))
    for path in ("link", "../../etc/passwd", "/etc/passwd", "root/etc/passwd"):
        with pytest.raises((BadPath, NotFound)):
            await sessions.open_file("ann", None, path)
        with pytest.raises((BadPath, NotFound)):
            await sessions.search("ann", None, SearchRequest(text="root", path=path))
    with pytest.raises(BadPath):
        await create(sessions, "root/tmp/x", "x")


async def test_files_are_found_by_glob(sessions: Sessions) -> None:
    for path in ("a.csv", "b/c.csv", "b/d/e.csv"):
        await create(sessions, path, "x")
    found = await sessions.find("ann", None, "*.csv")
    assert found.paths == ("a.csv", "b/c.csv", "b/d/e.csv")
    assert (await sessions.find("ann", None, "b/**/*.csv")).paths == ("b/c.csv", "b/d/e.csv")
    assert (await sessions.find("ann", None, "b/*.csv")).paths == ("b/c.csv",)
    assert (await sessions.find("ann", None, "none*")).total == 0


async def test_text_is_searched_as_it_is_or_as_an_expression(sessions: Sessions) -> None:
    await create(sessions, "s/a.txt", "a.c\nabc\nä.c: tab\t!\n")
    await create(sessions, "s/b.log", "a.c\n")
    plain = await sessions.search("ann", None, SearchRequest(text="a.c", path="s"))
    assert [(m.path, m.line) for m in plain.matches] == [("s/a.txt", 1), ("s/b.log", 1)]
    assert (plain.total, plain.files) == (2, 2)
    regex = SearchRequest(text="^a.c$", path="s", regex=True, glob="*.txt")
    assert (await sessions.search("ann", None, regex)).total == 2
    rest = await sessions.search("ann", None, SearchRequest(text="tab", path="s"))
    assert rest.matches[0].text == "ä.c: tab\t!"
    assert (await sessions.search("ann", None, SearchRequest(text="nowhere-to-be"))).total == 0


async def test_many_hits_are_counted_and_capped(sessions: Sessions) -> None:
    await create(sessions, "many.txt", "hit\n" * 5000)
    found = await sessions.search("ann", None, SearchRequest(text="hit", path="many.txt"))
    assert (len(found.matches), found.total, found.files) == (200, 5000, 1)


async def test_a_broken_expression_or_a_missing_folder_is_told(sessions: Sessions) -> None:
    with pytest.raises(RequestError, match="The search failed"):
        await sessions.search("ann", None, SearchRequest(text="a(", regex=True))
    with pytest.raises(NotFound, match="'none' does not exist"):
        await sessions.search("ann", None, SearchRequest(text="a", path="none"))


async def test_a_search_cannot_be_made_a_command(sessions: Sessions) -> None:
    for text in ("'; touch pwned; '", "$(touch pwned)", "`touch pwned`", "--help"):
        request = SearchRequest(text=text, path="$(touch pwned)", glob="'; touch pwned;'")
        with pytest.raises(NotFound):
            await sessions.search("ann", None, request)
        await sessions.search("ann", None, SearchRequest(text=text))
    assert (await sessions.find("ann", None, "pwned")).total == 0


async def test_edits_of_one_file_at_once_lose_nothing(sessions: Sessions) -> None:
    await create(sessions, "a.txt", "end")
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(sessions.insert, "ann", None, "a.txt", 1, f"{number}")
    assert len((await text_of(sessions, "a.txt")).splitlines()) == 21
