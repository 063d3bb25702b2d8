"""From pinned sources to prepared folders."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from mlgym_mcp.base.errors import DataCorrupt, DataMissing, SpecInvalid
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.catalog import Datasets, Preparation, Task, load_catalog
from mlgym_mcp.catalog.sources import Report, Sources

pytestmark = pytest.mark.anyio
CONTENT = b"Id,SalePrice\n1,2\n"


def silent(_what: str, _share: float | None) -> None:
    pass


async def prepare(work: Preparation, _report: Report) -> None:
    """Stands in for the sandbox that runs dataset.py."""
    assert work.sources["train.csv"].read_bytes() == CONTENT
    (work.out / "public").mkdir()
    (work.out / "private").mkdir()
    (work.out / "public" / "train.csv").write_bytes(CONTENT)
    (work.out / "card.json").write_text('{"title": "tiny"}')


@pytest.fixture
def task(settings: Settings) -> Task:
    """House prices, with a source of a few bytes."""
    found = load_catalog(settings).task("house-prices")
    dataset = found.spec.dataset
    assert dataset is not None
    pinned = {"sha256": hashlib.sha256(CONTENT).hexdigest(), "size": len(CONTENT)}
    source = dataset.sources[0].model_copy(update=pinned)
    changed = dataset.model_copy(update={"sources": (source,)})
    return Task(found.spec.model_copy(update={"dataset": changed}), found.folder)


def mirrored(folder: Path, content: bytes) -> Path:
    path = folder / "house_prices" / "train.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return folder


def answering(response: httpx2.Response | Exception) -> Callable[[], httpx2.AsyncClient]:
    def handle(_request: httpx2.Request) -> httpx2.Response:
        if isinstance(response, Exception):
            raise response
        return response

    return lambda: httpx2.AsyncClient(transport=httpx2.MockTransport(handle))


async def test_data_in_a_mirror_is_prepared_once(
    make_settings: Callable[..., Settings], task: Task, tmp_path: Path
) -> None:
    datasets = Datasets(make_settings(mirrors=(mirrored(tmp_path, CONTENT),)))
    assert datasets.state(task, "full") == "fetchable"
    first = await datasets.ready(task, "full", prepare, silent)
    assert datasets.state(task, "full") == "ready"
    assert datasets.state(task, "mini") == "fetchable"

    async def never(_work: Preparation, _report: Report) -> None:
        pytest.fail("it was prepared again")

    again = await datasets.ready(task, "full", never, silent)
    assert first == again
    assert first is not None
    assert first.card == {"title": "tiny"}
    assert (first.public / "train.csv").read_bytes() == CONTENT


async def test_a_mirror_with_the_wrong_file_is_named_with_both_hashes(
    make_settings: Callable[..., Settings], task: Task, tmp_path: Path
) -> None:
    wrong = CONTENT.replace(b"2", b"3")
    datasets = Datasets(make_settings(mirrors=(mirrored(tmp_path, wrong),)))
    with pytest.raises(DataCorrupt) as caught:
        await datasets.ready(task, "full", prepare, silent)
    message = caught.value.message
    assert str(tmp_path / "house_prices" / "train.csv") in message
    assert hashlib.sha256(CONTENT).hexdigest() in message
    assert hashlib.sha256(wrong).hexdigest() in message


@pytest.mark.parametrize(
    ("content", "said"),
    [(CONTENT + b"x", "longer than the pinned 17 bytes"), (b"Id\n", "has 3 bytes, expected 17")],
)
async def test_a_mirror_with_a_file_of_another_size_is_refused(
    make_settings: Callable[..., Settings], task: Task, tmp_path: Path, content: bytes, said: str
) -> None:
    datasets = Datasets(make_settings(mirrors=(mirrored(tmp_path, content),)))
    with pytest.raises(DataCorrupt, match=said):
        await datasets.fetch(task, silent)


async def test_missing_data_is_an_error_with_the_command_that_fetches_it(
    make_settings: Callable[..., Settings], task: Task
) -> None:
    datasets = Datasets(make_settings(mirrors=()))
    assert datasets.state(task, "full") == "missing"
    with pytest.raises(DataMissing) as caught:
        await datasets.ready(task, "full", prepare, silent)
    assert "train.csv" in caught.value.message
    assert caught.value.fix == "Run `mlgym-mcp data fetch house-prices`."


async def test_data_is_downloaded_with_progress_and_verified(
    make_settings: Callable[..., Settings], task: Task
) -> None:
    settings = make_settings(mirrors=())
    shares: list[float | None] = []
    sources = Sources(settings, answering(httpx2.Response(200, content=CONTENT)))
    datasets = Datasets(settings, sources)
    await datasets.fetch(task, lambda _what, share: shares.append(share))
    assert shares == [0.0, 1.0]
    assert Datasets(settings).state(task, "full") == "fetchable"


@pytest.mark.parametrize(
    ("response", "error", "said"),
    [
        (httpx2.ConnectError("no route"), DataMissing, "no route"),
        (httpx2.Response(404), DataMissing, "404"),
        (httpx2.Response(200, content=b"<html>"), DataCorrupt, "has 6 bytes, expected 17"),
    ],
)
async def test_a_failed_download_says_why_and_keeps_nothing(
    make_settings: Callable[..., Settings],
    task: Task,
    response: httpx2.Response | Exception,
    error: type[Exception],
    said: str,
) -> None:
    settings = make_settings(mirrors=())
    datasets = Datasets(settings, Sources(settings, answering(response)))
    with pytest.raises(error, match=said):
        await datasets.fetch(task, silent)
    assert datasets.state(task, "full") == "missing"
    assert list((settings.home / "sources").glob("*")) == []


async def test_a_preparation_that_fails_leaves_nothing_behind(
    make_settings: Callable[..., Settings], task: Task, tmp_path: Path
) -> None:
    settings = make_settings(mirrors=(mirrored(tmp_path, CONTENT),))
    datasets = Datasets(settings)

    async def forgets(work: Preparation, _report: Report) -> None:
        (work.out / "public").mkdir()

    with pytest.raises(SpecInvalid, match=r"did not write private, card\.json"):
        await datasets.ready(task, "full", forgets, silent)
    assert list((settings.home / "datasets" / "house-prices").iterdir()) == []
    assert datasets.state(task, "full") == "fetchable"
