"""Private things in the public folder of a prepared dataset."""

import gzip
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mlgym_mcp.base.settings import Settings
from mlgym_mcp.catalog import DatasetFolders, Task, load_catalog
from mlgym_mcp.catalog.separation import card_faults, secrets_of, separation_faults

ROWS = [(i, f"{i * 7 % 31}.5") for i in range(40)]
LABELS = "Id,SalePrice,half\n" + "".join(f"{i},{y},public\n" for i, y in ROWS)
CARD = {"title": "t", "licence": "l", "rows": {"test.csv": 40}}


@pytest.fixture
def task(make_settings: Callable[..., Settings]) -> Task:
    return load_catalog(make_settings()).task("house-prices")


@pytest.fixture
def data(tmp_path: Path) -> DatasetFolders:
    public, private = tmp_path / "public", tmp_path / "private"
    public.mkdir()
    private.mkdir()
    (private / "labels.csv").write_text(LABELS)
    (public / "test.csv").write_text("Id,area\n" + "".join(f"{i},{i}.25\n" for i, _ in ROWS))
    return DatasetFolders(public, private, dict(CARD))


def test_data_that_is_kept_apart_has_no_fault(task: Task, data: DatasetFolders) -> None:
    assert separation_faults(task, data) == []
    assert card_faults(data) == []


def test_a_private_file_under_another_name_is_found(task: Task, data: DatasetFolders) -> None:
    shutil.copy(data.private / "labels.csv", data.public / "readme.txt")
    assert separation_faults(task, data) == [
        "public/readme.txt has the same content as private/labels.csv"
    ]


def test_a_link_and_a_hard_link_are_found(task: Task, data: DatasetFolders) -> None:
    os.link(data.private / "labels.csv", data.public / "a.bin")
    (data.public / "b.bin").symlink_to(data.private / "labels.csv")
    said = separation_faults(task, data)
    assert "public/a.bin is a hard link to a private file" in said
    assert "public/b.bin is a link" in said


def test_a_member_of_a_container_is_found(task: Task, data: DatasetFolders) -> None:
    values = os.urandom(1000)
    with zipfile.ZipFile(data.private / "labels.npz", "w") as private:
        private.writestr("y.npy", values)
    with zipfile.ZipFile(data.public / "test.npz", "w", zipfile.ZIP_DEFLATED) as public:
        public.writestr("x.npy", os.urandom(1000))
        public.writestr("hidden.npy", values)
    assert separation_faults(task, data) == [
        "public/test.npz:hidden.npy has the same content as private/labels.npz:y.npy"
    ]


def test_a_label_column_under_another_name_is_found(task: Task, data: DatasetFolders) -> None:
    rows = "".join(f"{i},{y}\n" for i, y in ROWS)
    (data.public / "test.csv").write_text(f"Id,target\n{rows}")
    assert separation_faults(task, data) == [
        "public/test.csv: column target is private/labels.csv's SalePrice"
    ]


def test_labels_in_another_order_and_compressed_are_found(task: Task, data: DatasetFolders) -> None:
    lines = "".join(f'{{"Id": "{i}", "p": "{y}"}}\n' for i, y in reversed(ROWS))
    (data.public / "extra.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    assert separation_faults(task, data) == [
        "public/extra.jsonl.gz: column p tells the SalePrice of 40 of 40 hidden rows"
    ]


def test_labels_of_most_rows_in_a_column_of_their_name_are_found(
    task: Task, data: DatasetFolders
) -> None:
    rows = "".join(f"{i},{y if i < 30 else 0}\n" for i, y in ROWS)
    (data.public / "train.csv").write_text(f"Id,SalePrice\n{rows}")
    said = separation_faults(task, data)
    assert len(said) == 1
    assert "tells the SalePrice of 30 of 40 hidden rows" in said[0]


def test_a_card_that_lacks_a_title_or_counts_what_is_not_public_is_a_fault(
    data: DatasetFolders,
) -> None:
    data.card.update({"title": "", "rows": {"labels.csv": 40}})
    assert card_faults(data) == [
        "card.json has no `title`",
        "card.json counts rows of labels.csv, which is not public",
    ]


def test_short_private_files_are_no_secrets_to_look_for(data: DatasetFolders) -> None:
    (data.private / "seed").write_text("1")
    assert [name for name, _ in secrets_of(data).values()] == ["labels.csv"]
