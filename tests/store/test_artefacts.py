"""Files kept by what is in them."""

import hashlib
import os
from pathlib import Path

import pytest

from mlgym_mcp.base.errors import NotFound, ServerError
from mlgym_mcp.store import Artefacts


def test_a_file_is_found_by_its_hash(tmp_path: Path) -> None:
    artefacts = Artefacts(tmp_path / "artefacts")
    (tmp_path / "a").write_bytes(b"hello")
    sha256, size = artefacts.put(tmp_path / "a")
    assert (sha256, size) == (hashlib.sha256(b"hello").hexdigest(), 5)
    assert artefacts.path(sha256).read_bytes() == b"hello"


def test_an_open_descriptor_is_read_and_left_open(tmp_path: Path) -> None:
    artefacts = Artefacts(tmp_path / "artefacts")
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    descriptor = os.open(tmp_path / "a", os.O_RDONLY)
    try:
        sha256, size = artefacts.put(descriptor)
        os.fstat(descriptor)
    finally:
        os.close(descriptor)
    assert size == 3_000_000
    assert artefacts.path(sha256).stat().st_size == 3_000_000


def test_the_same_file_twice_is_kept_once_and_leaves_nothing_else(tmp_path: Path) -> None:
    artefacts = Artefacts(tmp_path / "artefacts")
    (tmp_path / "a").write_bytes(b"hello")
    assert artefacts.put(tmp_path / "a") == artefacts.put(tmp_path / "a")
    assert sum(path.is_file() for path in (tmp_path / "artefacts").rglob("*")) == 1


def test_a_missing_source_leaves_nothing_behind(tmp_path: Path) -> None:
    artefacts = Artefacts(tmp_path / "artefacts")
    with pytest.raises(ServerError):
        artefacts.put(tmp_path / "none")
    assert list((tmp_path / "artefacts").rglob("*")) == []


@pytest.mark.parametrize("sha256", ["0" * 64, "../../etc/passwd", "", "A" * 64])
def test_an_unknown_hash_is_not_found(tmp_path: Path, sha256: str) -> None:
    with pytest.raises(NotFound):
        Artefacts(tmp_path).path(sha256)
