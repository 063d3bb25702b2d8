"""A served program that is killed with -9 while a client works, and the next one on its home."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from mcp import Client, MCPError

from mlgym_mcp.base.settings import EngineName

from .conftest import Serve
from .play import TASK, content

pytestmark = pytest.mark.anyio


async def test_the_next_server_goes_on_with_what_the_killed_one_acknowledged(
    serve: Serve,
    engine: EngineName,
    home: Path,
    containers: Callable[[], Awaitable[list[str]]],
    processes_with: Callable[[str], list[str]],
) -> None:
    session = job = ""
    async with serve(engine) as served:
        # a client whose server is gone may say so when it leaves
        with suppress(MCPError, OSError, ExceptionGroup):
            async with Client(served.url) as client:
                opened = await content(client, "start_session", task=TASK, variant="mini")
                session = opened["session"]
                await content(client, "create", path="kept.txt", text="kept\n")
                slow = "echo half; sleep 98761"
                handle = await content(client, "run", command=slow, wait_seconds=1)
                job = handle["job_id"]
                served.process.kill()
                await served.process.wait()
    async with serve(engine) as served, Client(served.url) as client:
        listed = [one.uri for one in (await client.list_resources()).resources]
        assert [uri for uri in listed if "/sessions/" in uri] == [f"mlgym://sessions/{session}"]
        view = await content(client, "session_status")
        assert (view["session"], view["state"]) == (session, "active")
        assert view["left"]["steps"] == view["budget"]["steps"] - 2
        # a sandbox of Docker outlives its server, one of bubblewrap dies with it
        alive = "running" if engine == "docker" else "lost"
        assert [(one["job_id"], one["state"]) for one in view["jobs"]] == [(job, alive)]
        tail = await content(client, "job", job_id=job, action="tail", cursor=0)
        assert tail["output"] == "half\n"
        assert (await content(client, "run", command="cat kept.txt"))["output"] == "kept\n"
        grade = await content(client, "submit")
        assert (grade["status"], grade["integrity"]) == ("graded", "clean")
    assert not await containers()
    assert not processes_with(str(home))
    assert not processes_with("sleep 98761")
