"""A disk that fills up, made with a limit on the size of files, in a process of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

_PROGRAM = """
import resource, signal, sys
from pathlib import Path
import anyio
from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.errors import ServerError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.store import Entry, open_store
from mlgym_mcp.types.budget import Budget
from mlgym_mcp.types.session import SessionRecord

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def main(home):
    async with open_store(Settings(home=home), SystemClock()) as store:
        await store.add_session(SessionRecord(
            id="s-1", principal="p", task="t", variant="full", seed=1, state="active",
            budget=Budget(), opened_at=1, last_call_at=1))
        acknowledged = 0
        limit(900_000)
        try:
            for number in range(1000):
                await store.append("s-1", Entry("result", payload={"text": "x" * 10_000}))
                acknowledged += 1
        except ServerError as error:
            print(error.message)
            print(error.fix)
        big = home / "big"
        limit(resource.RLIM_INFINITY)
        big.write_bytes(b"y" * 1_000_000)
        limit(900_000)
        try:
            store.artefacts.put(big)
        except ServerError as error:
            print(error.message)
        print([path.name for path in (home / "artefacts").rglob("*")])
        limit(resource.RLIM_INFINITY)
        await store.append("s-1", Entry("result", payload={"text": "after"}))
        kept = await store.events("s-1", limit=2000)
        print(len(kept) == acknowledged + 1, acknowledged > 5, kept[-1].payload)

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
anyio.run(main, Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_full_disk_is_named_and_nothing_acknowledged_is_lost(
    run_program: Callable[[str], str], home: Path
) -> None:
    message, fix, artefact, left, kept = run_program(_PROGRAM).splitlines()
    assert str(home / "store.sqlite3") in message
    assert "full" in message
    assert "Free space" in fix
    assert artefact == f"{home / 'artefacts'} cannot be used: the disk is full."
    assert left == "[]"
    assert kept == "True True {'text': 'after'}"
