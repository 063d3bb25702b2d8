"""Reading, writing and listing files; every path that leads out is refused."""

import os
from pathlib import Path

import anyio
import pytest

from mlgym_mcp.base.errors import BadPath, NotFound, SandboxError
from mlgym_mcp.sandbox.contract import Command, Mount, Sandbox

from .conftest import Open, Run

pytestmark = pytest.mark.anyio


@pytest.fixture
def data(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    (tmp_path / "train.csv").write_text("a,b\n")
    return tmp_path


async def test_a_text_file_is_read_as_it_was_written(sandbox: Sandbox) -> None:
    await sandbox.write_file("notes/first.txt", b"one\ntwo\n")
    assert await sandbox.read_file("notes/first.txt") == b"one\ntwo\n"


async def test_bytes_and_names_in_any_script_survive(sandbox: Sandbox) -> None:
    data = bytes(range(256)) * 3
    await sandbox.write_file("日本語 café.bin", data)
    assert await sandbox.read_file("/workspace/日本語 café.bin") == data


async def test_50_megabytes_go_in_and_come_out(sandbox: Sandbox) -> None:
    # with no part like another: a piece in another's place would be seen
    data = os.urandom(50 << 20)
    await sandbox.write_file("big.bin", data)
    assert await sandbox.read_file("big.bin") == data


async def test_a_file_is_replaced_and_keeps_its_mode(sandbox: Sandbox, run: Run) -> None:
    await run("printf old > tool.sh; chmod 750 tool.sh")
    await sandbox.write_file("tool.sh", b"new")
    result = await run("test -x tool.sh && cat tool.sh")
    assert result.output == "new"


async def test_commands_see_what_was_written_and_the_other_way_round(
    sandbox: Sandbox, run: Run
) -> None:
    await sandbox.write_file("a.txt", b"from outside")
    assert (await run("cat a.txt; printf inside > b.txt")).output == "from outside"
    assert await sandbox.read_file("b.txt") == b"inside"


async def test_no_leftovers_lie_beside_a_written_file(sandbox: Sandbox) -> None:
    await sandbox.write_file("only.txt", b"x")
    assert [entry.path for entry in (await sandbox.list_files()).entries] == ["only.txt"]


async def test_a_missing_file_is_not_found(sandbox: Sandbox) -> None:
    with pytest.raises(NotFound, match=r"absent\.txt"):
        await sandbox.read_file("absent.txt")
    with pytest.raises(NotFound):
        await sandbox.read_file("no/such/folder.txt")


async def test_a_folder_is_no_file(sandbox: Sandbox, run: Run) -> None:
    await run("mkdir folder")
    with pytest.raises(BadPath, match="folder"):
        await sandbox.read_file("folder")
    with pytest.raises(BadPath, match="folder"):
        await sandbox.write_file("folder", b"")
    with pytest.raises(BadPath):
        await sandbox.read_file("/workspace")


async def test_a_file_longer_than_asked_for_is_refused(sandbox: Sandbox) -> None:
    await sandbox.write_file("long.txt", b"x" * 1001)
    with pytest.raises(BadPath, match="1000"):
        await sandbox.read_file("long.txt", max_bytes=1000)


async def test_a_file_without_permission_is_refused(sandbox: Sandbox, run: Run) -> None:
    await run("printf secret > closed.txt; chmod 000 closed.txt; mkdir shut; chmod 555 shut")
    with pytest.raises(BadPath, match=r"closed\.txt"):
        await sandbox.read_file("closed.txt")
    with pytest.raises(BadPath, match="shut"):
        await sandbox.write_file("shut/new.txt", b"")


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "a/../../x",
        "/etc/passwd",
        "/",
        "/proc/self/environ",
        "/workspace/../etc/passwd",
        "/outputs/../etc/passwd",
        "",
        "x\0y",
        "x" * 5000,
    ],
)
async def test_a_path_that_leads_out_is_refused(sandbox: Sandbox, path: str) -> None:
    with pytest.raises(BadPath):
        await sandbox.read_file(path)
    with pytest.raises(BadPath):
        await sandbox.write_file(path, b"x")


async def test_a_link_out_is_refused_for_reading_writing_and_listing(
    sandbox: Sandbox, run: Run
) -> None:
    await run("ln -s /etc etc; ln -s /etc/passwd p; ln -s ../../etc/passwd q; ln -s /etc/new n")
    for path in ("etc/passwd", "p", "q"):
        with pytest.raises(BadPath):
            await sandbox.read_file(path)
    for path in ("etc/new", "p", "n"):
        with pytest.raises(BadPath):
            await sandbox.write_file(path, b"x")
    with pytest.raises(BadPath):
        await sandbox.list_files("etc")


async def test_a_link_that_stays_inside_is_followed(sandbox: Sandbox, run: Run) -> None:
    await run("mkdir d; printf x > d/f; ln -s d/f relative; ln -s /workspace/d absolute")
    assert await sandbox.read_file("relative") == b"x"
    assert await sandbox.read_file("absolute/f") == b"x"
    await sandbox.write_file("relative", b"y")
    assert await sandbox.read_file("d/f") == b"y"


async def test_links_in_a_circle_are_refused(sandbox: Sandbox, run: Run) -> None:
    await run("ln -s one two; ln -s two one")
    with pytest.raises(BadPath):
        await sandbox.read_file("one")


async def test_a_pipe_or_device_is_no_file_and_blocks_nobody(sandbox: Sandbox, run: Run) -> None:
    await run("mkfifo pipe")
    with anyio.fail_after(5):
        with pytest.raises(BadPath):
            await sandbox.read_file("pipe")
        with pytest.raises(BadPath):
            await sandbox.write_file("pipe", b"x")


async def test_a_listing_shows_kinds_and_sizes_in_path_order(sandbox: Sandbox, run: Run) -> None:
    await run("mkdir b; printf 12345 > b/inner; printf 1 > a; ln -s /etc c")
    listing = await sandbox.list_files(depth=2)
    shown = [(entry.path, entry.kind, entry.size) for entry in listing.entries]
    expected = [("a", "file", 1), ("b", "directory", 0), ("b/inner", "file", 5), ("c", "link", 0)]
    assert shown == expected
    assert listing.total == 4
    assert [e.path for e in (await sandbox.list_files()).entries] == ["a", "b", "c"]


async def test_a_listing_is_capped_and_says_how_many_there_are(sandbox: Sandbox, run: Run) -> None:
    await run("touch f01 f02 f03 f04 f05 f06 f07 f08 f09 f10 f11 f12")
    listing = await sandbox.list_files(limit=5)
    assert [entry.path for entry in listing.entries] == ["f01", "f02", "f03", "f04", "f05"]
    assert listing.total == 12


async def test_a_listing_of_what_is_no_folder_is_refused(sandbox: Sandbox) -> None:
    await sandbox.write_file("file", b"")
    with pytest.raises(BadPath):
        await sandbox.list_files("file")
    with pytest.raises(NotFound):
        await sandbox.list_files("absent")


async def test_outputs_can_be_read_but_not_written(sandbox: Sandbox, run: Run) -> None:
    result = await run("printf kept")
    assert await sandbox.read_file(result.output_path) == b"kept"
    with pytest.raises(BadPath):
        await sandbox.write_file("/outputs/x", b"")


async def test_mounted_data_can_be_read_by_all_and_written_by_nobody(
    open_sandbox: Open, data: Path
) -> None:
    sandbox = await open_sandbox(mounts=(Mount(data, "/workspace/data"),))
    assert await sandbox.read_file("data/train.csv") == b"a,b\n"
    with pytest.raises((BadPath, SandboxError)):
        await sandbox.write_file("data/train.csv", b"")
    assert (data / "train.csv").read_text() == "a,b\n"


async def test_mounted_data_cannot_be_changed_by_a_command(open_sandbox: Open, data: Path) -> None:
    sandbox = await open_sandbox(mounts=(Mount(data, "/workspace/data"),))
    script = "rm -f data/train.csv; echo x > data/train.csv; mv data elsewhere; chmod 777 data"
    result = await sandbox.run(Command(script=script))
    assert result.exit_code != 0
    assert (data / "train.csv").read_text() == "a,b\n"
