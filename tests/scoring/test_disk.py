"""A disk that fills up while a submission is taken, made with a limit on the size of files."""

from collections.abc import Callable
from pathlib import Path

_PROGRAM = """
import resource, signal, sys
from pathlib import Path
import anyio
from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.errors import ServerError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.scoring import open_scorer

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def main(home):
    (home / "strategy.py").write_bytes(b"#" * 500_000)
    async with open_scorer(Settings(home=home, engine="fake"), SystemClock()) as scorer:
        task = scorer.catalog.task("battle-of-sexes")
        limit(300_000)
        try:
            await scorer.take(task, home)
        except ServerError as error:
            print(error.message)
            print(error.fix)
        limit(resource.RLIM_INFINITY)
        print((await scorer.take(task, home)).size)
        print(list((home / "grading").iterdir()))

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
anyio.run(main, Path(sys.argv[1]))
"""


def test_a_full_disk_is_named_and_the_submission_can_be_taken_afterwards(
    run_program: Callable[[str], str], home: Path
) -> None:
    message, fix, size, left = run_program(_PROGRAM).splitlines()
    assert message.startswith(f"{home / 'grading'}/taking-")
    assert message.endswith("cannot be used: File too large.")
    assert fix == "Free space there, or set MLGYM_MCP_HOME to another folder."
    assert (size, left) == ("500000", "[]")
