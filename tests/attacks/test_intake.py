"""Submissions that are not what they seem when the host copies them out."""

import os
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest

from mlgym_mcp.base.errors import SubmissionRejected
from mlgym_mcp.scoring.intake import Taken, take_out
from mlgym_mcp.types.task import SubmissionSpec

SECRET = "the hidden answer"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "weights.bin").write_text(SECRET)
    return folder


@pytest.fixture
def take(root: Path, tmp_path: Path) -> Callable[..., list[Taken]]:
    counter = iter(range(10**9))

    def taken(path: str = "submission.csv", wanted: str = "") -> list[Taken]:
        spec = SubmissionSpec(kind="model", path=path, max_bytes=10**6, max_files=10)
        into = tmp_path / f"taken-{next(counter)}"
        into.mkdir()
        return take_out(root, wanted or path, spec, into)

    return taken


Take = Callable[..., list[Taken]]


def test_a_file_is_taken_as_it_is(root: Path, take: Take) -> None:
    (root / "submission.csv").write_bytes(b"a\0b")
    (taken,) = take()
    assert (taken.name, taken.copy.read_bytes()) == ("submission.csv", b"a\0b")


def test_a_folder_is_taken_with_what_is_below_it_and_nothing_else(root: Path, take: Take) -> None:
    (root / "model" / "deep").mkdir(parents=True)
    (root / "model" / "deep" / "weights.bin").write_text("w")
    (root / "model" / "config.json").write_text("{}")
    (root / "sitecustomize.py").write_text("raise SystemExit")
    names = [taken.name for taken in take("model")]
    assert names == ["model/config.json", "model/deep/weights.bin"]


def test_a_file_under_another_name_is_taken_under_the_expected_one(root: Path, take: Take) -> None:
    (root / "mine.csv").write_text("x")
    assert [taken.name for taken in take(wanted="mine.csv")] == ["submission.csv"]


def link(root: Path) -> None:
    (root / "submission.csv").symlink_to(root.parent / "secret")


def dangling_link(root: Path) -> None:
    (root / "submission.csv").symlink_to("nowhere")


def link_to_itself(root: Path) -> None:
    (root / "submission.csv").symlink_to("submission.csv")


def link_into_proc(root: Path) -> None:
    (root / "submission.csv").symlink_to("/proc/self/environ")


def folder(root: Path) -> None:
    (root / "submission.csv").mkdir()


def pipe(root: Path) -> None:
    os.mkfifo(root / "submission.csv")


def unix_socket(root: Path) -> None:
    here = os.open(root, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{here}/submission.csv")
    os.close(here)


def nothing(_root: Path) -> None:
    pass


def sparse(root: Path) -> None:
    with (root / "submission.csv").open("wb") as stream:
        stream.truncate(10 * 2**30)


def just_too_big(root: Path) -> None:
    (root / "submission.csv").write_bytes(b"x" * (10**6 + 1))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (link, "submission.csv is a link; expected a file"),
        (dangling_link, "is a link"),
        (link_to_itself, "is a link"),
        (link_into_proc, "is a link"),
        (folder, "is a folder; expected a file"),
        (pipe, "is a pipe"),
        (unix_socket, "is a socket"),
        (nothing, "is not there"),
        (sparse, "has at least 10737418240 bytes; a submission may have 1000000 in all"),
        (just_too_big, "has at least 1000001 bytes"),
    ],
)
def test_what_is_no_regular_file_of_allowed_size_is_rejected_by_name(
    make: Callable[[Path], None], said: str, root: Path, take: Take
) -> None:
    make(root)
    with pytest.raises(SubmissionRejected, match=said) as caught:
        take()
    assert SECRET not in str(caught.value)
    assert caught.value.fix


def test_a_device_is_rejected_without_being_opened(tmp_path: Path) -> None:
    spec = SubmissionSpec(kind="predictions", path="submission.csv")
    with pytest.raises(SubmissionRejected, match="is a device"):
        take_out(Path("/dev"), "zero", spec, tmp_path)


def test_a_folder_on_the_way_that_is_a_link_is_rejected(root: Path, take: Take) -> None:
    (root / "out").symlink_to(root.parent / "secrets")
    with pytest.raises(SubmissionRejected, match=r"lies in out, which is a link"):
        take("out/weights.bin")


def test_a_link_inside_a_folder_is_rejected(root: Path, take: Take) -> None:
    (root / "model").mkdir()
    (root / "model" / "weights.bin").symlink_to(root.parent / "secret")
    with pytest.raises(SubmissionRejected, match=r"model/weights\.bin is a link"):
        take("model")


def test_a_hundred_thousand_files_are_not_even_listed(root: Path, take: Take) -> None:
    (root / "model").mkdir()
    for number in range(100_000):
        os.close(os.open(root / "model" / str(number), os.O_CREAT | os.O_WRONLY))
    with pytest.raises(SubmissionRejected, match="has more than 10 files"):
        take("model")


def test_too_many_empty_folders_are_rejected(root: Path, take: Take) -> None:
    for number in range(100):
        (root / "model" / str(number)).mkdir(parents=True)
    with pytest.raises(SubmissionRejected, match="has more than 10 files"):
        take("model")


def test_a_folder_too_deep_is_rejected(root: Path, take: Take) -> None:
    (root / "model" / "/".join("d" * 20)).mkdir(parents=True)
    with pytest.raises(SubmissionRejected, match="more than 16 folders deep"):
        take("model")


def test_an_empty_folder_is_rejected(root: Path, take: Take) -> None:
    (root / "model").mkdir()
    with pytest.raises(SubmissionRejected, match="has no files in it"):
        take("model")


@pytest.mark.parametrize("name", [b"two\nlines", b"\xff\xfe", b"\x1b[2J"])
def test_a_name_that_cannot_be_printed_is_rejected(root: Path, take: Take, name: bytes) -> None:
    (root / "model").mkdir()
    (root / "model" / os.fsdecode(name)).write_text("x")
    with pytest.raises(SubmissionRejected, match="not printable") as caught:
        take("model")
    assert str(caught.value).isprintable()


def test_many_files_may_not_be_too_big_together(root: Path, take: Take) -> None:
    (root / "model").mkdir()
    for name in ("a", "b", "c"):
        (root / "model" / name).write_bytes(b"x" * 400_000)
    with pytest.raises(SubmissionRejected, match=r"model/c has at least 400000 bytes"):
        take("model")


@contextmanager
def meanwhile(act: Callable[[], None]) -> Generator[None]:
    """Do something over and over in another thread, as an agent's process would."""
    over = threading.Event()

    def loop() -> None:
        while not over.is_set():
            act()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_file_swapped_for_a_link_during_the_copy_never_gives_what_is_behind_it(
    root: Path, take: Take
) -> None:
    target, spare = root / "submission.csv", root / "spare"
    target.write_text("mine")
    kinds = cycle(["link", "file"])

    def swap() -> None:
        if next(kinds) == "link":
            spare.symlink_to(root.parent / "secret")
        else:
            spare.write_text("mine")
        spare.rename(target)

    seen: set[str] = set()
    with meanwhile(swap):
        for _ in range(500):
            try:
                seen |= {taken.copy.read_text() for taken in take()}
            except SubmissionRejected as error:
                seen.add("link" if "is a link" in str(error) else str(error))
    assert seen <= {"mine", "", "link"}


def test_a_folder_swapped_for_a_link_during_the_copy_never_gives_what_is_behind_it(
    root: Path, take: Take
) -> None:
    model, aside = root / "model", root / "aside"
    model.mkdir()
    (model / "weights.bin").write_text("mine")

    def swap() -> None:
        model.rename(aside)
        model.symlink_to(root.parent / "secrets")
        model.unlink()
        aside.rename(model)

    seen: set[str] = set()
    with meanwhile(swap):
        for _ in range(500):
            try:
                seen |= {taken.copy.read_text() for taken in take("model")}
            except SubmissionRejected:
                seen.add("rejected")
    assert seen <= {"mine", "rejected"}


def test_a_file_that_grows_while_it_is_copied_stays_under_the_cap(root: Path, take: Take) -> None:
    target = root / "submission.csv"
    target.write_bytes(b"x" * 900_000)

    def grow() -> None:
        with target.open("ab") as stream:
            stream.write(b"x" * 10_000)

    def until_rejected() -> None:
        for _ in range(10_000):
            (taken,) = take()
            assert taken.copy.stat().st_size <= 10**6

    with meanwhile(grow), pytest.raises(SubmissionRejected, match="has at least"):
        until_rejected()
