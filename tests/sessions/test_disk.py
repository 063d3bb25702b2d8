"""A disk that fills up under a session, made with a limit on the size of files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

_PROGRAM = """
import json, resource, signal, sys
from pathlib import Path
import anyio
from mlgym_mcp.base.errors import MlgymError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.sessions import StartRequest, open_sessions

GAME = StartRequest(task="battle-of-sexes", variant="mini")

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def refused(call):
    try:
        await call
    except MlgymError as error:
        return [error.code, error.message, error.fix]

async def main(home):
    said = {}
    async with open_sessions(Settings(home=home, engine="bubblewrap")) as sessions:
        session = (await sessions.start("ann", GAME)).session
        acknowledged = 0
        limit(900_000)
        while acknowledged < 100:
            text = "# " + "x" * 50_000
            said["step"] = await refused(sessions.create("ann", session, "notes.py", text))
            if said["step"]:
                break
            acknowledged += 1
        limit(1)
        said["start"] = await refused(sessions.start("ann", GAME))
        said["submit"] = await refused(sessions.submit("ann", session, "once"))
        said["state"] = (await sessions.status("ann", session)).state
        limit(resource.RLIM_INFINITY)
        said["grade"] = (await sessions.submit("ann", session, "once")).status
        events = await sessions.trajectory("ann", session)
        said["kept"] = sum(event.name == "create" for event in events) == acknowledged > 3
        said["listed"] = [view.state for view in await sessions.list_sessions("ann")]
    print(json.dumps(said))

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
anyio.run(main, Path(sys.argv[1]))
"""


@pytest.mark.bubblewrap
def test_a_full_disk_is_named_by_every_call_and_the_session_goes_on_afterwards(
    run_program: Callable[[str], str], home: Path
) -> None:
    said = json.loads(run_program(_PROGRAM))
    for call in ("step", "start", "submit"):
        code, message, fix = said[call]
        assert code == "server_failed", said
        assert str(home) in message
        assert "Free space there" in fix
    assert (said["state"], said["grade"], said["kept"]) == ("active", "graded", True)
    assert said["listed"] == ["submitted"]
