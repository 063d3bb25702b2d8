"""The host end against a peer that lies, stammers, or falls silent: always a clean SandboxDead."""

import json
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketStream

from mlgym_mcp.base.errors import (
    BadPath,
    MlgymError,
    NotFound,
    RequestError,
    SandboxDead,
    SandboxError,
)
from mlgym_mcp.base.tasks import owned_tasks
from mlgym_mcp.sandbox.contract import Command, SandboxSpec
from mlgym_mcp.sandbox.link import Link
from mlgym_mcp.sandbox.remote import RemoteJob, RemoteSandbox
from mlgym_mcp.supervisor.wire import MAX_BODY, VERSION, Header, Unpacker, pack

pytestmark = pytest.mark.anyio

RESULT: Header = {
    "exit_code": 0,
    "signal": None,
    "size": 3,
    "seconds": 0.1,
    "cwd": "/workspace",
    "limits": [],
    "head": 3,
}


class Peer:
    """A supervisor that says what a test tells it to."""

    def __init__(self, stream: SocketStream) -> None:
        self.stream = stream
        self._unpacker = Unpacker()
        self._asked: list[tuple[Header, bytes]] = []

    async def asked(self) -> Header:
        while not self._asked:
            self._asked += self._unpacker.feed(await self.stream.receive())
        return self._asked.pop(0)[0]

    async def answer(self, header: Mapping[str, object], body: bytes = b"") -> None:
        number = (await self.asked())["id"]
        await self.stream.send(pack({"id": number, **header}, body))


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Peer, Link]]:
    here, there = socket.socketpair()
    stream = await SocketStream.from_socket(there)
    link = Link(await SocketStream.from_socket(here), "box")
    async with owned_tasks() as tasks, stream:
        tasks.start_soon(link.serve)
        with anyio.fail_after(5):
            yield Peer(stream), link


@pytest.fixture
def peer(pair: tuple[Peer, Link]) -> Peer:
    return pair[0]


@pytest.fixture
def link(pair: tuple[Peer, Link]) -> Link:
    return pair[1]


@pytest.fixture
def sandbox(link: Link) -> RemoteSandbox:
    return RemoteSandbox(
        SandboxSpec("box", "base", Path("/w"), Path("/o")), link, anyio.lowlevel.checkpoint
    )


async def test_a_greeting_of_our_version_is_taken(peer: Peer, link: Link) -> None:
    await peer.stream.send(pack({"id": 0, "version": VERSION}))
    await link.greeting(1)


async def test_a_greeting_of_another_version_is_the_end(peer: Peer, link: Link) -> None:
    await peer.stream.send(pack({"id": 0, "version": 99}))
    with pytest.raises(SandboxDead, match="99"):
        await link.greeting(1)


async def test_no_greeting_is_the_end(peer: Peer, link: Link) -> None:
    assert peer.stream
    with pytest.raises(SandboxDead, match="said nothing"):
        await link.greeting(0.01)
    with pytest.raises(SandboxDead):
        await link.request({"op": "usage"})


async def test_answers_find_their_requests_in_any_order(peer: Peer, link: Link) -> None:
    got: dict[str, bytes] = {}

    async def ask(name: str) -> None:
        got[name] = (await link.request({"op": name})).body

    async with anyio.create_task_group() as tasks:
        for name in ("one", "two", "three"):
            tasks.start_soon(ask, name)
        requests = [await peer.asked() for _ in range(3)]
        for request in reversed(requests):
            await peer.stream.send(pack({"id": request["id"]}, str(request["op"]).encode()))
    assert got == {"one": b"one", "two": b"two", "three": b"three"}


@pytest.mark.parametrize(
    "noise",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff" * 100,
        struct.pack("!II", 5, 0) + b"hello",
        struct.pack("!II", 2, 0) + b"[]",
        struct.pack("!II", 2, MAX_BODY + 1) + b"{}",
        struct.pack("!II", 2**31, 0),
        pack({"id": 999}),
        pack({"id": -1}),
        pack({"id": "1"}),
        pack({}),
    ],
)
async def test_nonsense_is_the_end_for_everyone_who_waits(
    peer: Peer, link: Link, noise: bytes
) -> None:
    deaths: list[str] = []

    async def ask() -> None:
        with pytest.raises(SandboxDead) as caught:
            await link.request({"op": "usage"})
        deaths.append(caught.value.message)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        tasks.start_soon(ask)
        await peer.asked()
        await peer.stream.send(noise)
    assert len(deaths) == 2
    assert all("nonsense" in death for death in deaths)
    with pytest.raises(SandboxDead, match="nonsense"):
        await link.request({"op": "usage"})


async def test_a_stream_that_ends_in_a_frame_is_the_end(peer: Peer, sandbox: RemoteSandbox) -> None:
    async with anyio.create_task_group() as tasks:

        async def use() -> None:
            with pytest.raises(SandboxDead, match="ended in a frame"):
                await sandbox.usage()

        tasks.start_soon(use)
        await peer.asked()
        await peer.stream.send(pack({"id": 1}, b"x" * 100)[:50])
        await peer.stream.aclose()
    assert not sandbox.alive


async def test_a_second_or_late_answer_is_nobodys(peer: Peer, link: Link) -> None:
    with anyio.move_on_after(0.01):
        await link.request({"op": "slow"})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(link.request, dict[str, object](op="next"))
        requests = [await peer.asked(), await peer.asked()]
        for request in requests:
            await peer.stream.send(pack({"id": request["id"]}) * 2)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.answer, dict[str, object]())
        await link.request({"op": "on"})


async def test_a_request_beyond_the_caps_is_the_callers_fault(link: Link) -> None:
    with pytest.raises(RequestError, match="too big"):
        await link.request({"op": "start", "variables": "x" * 100_000})
    assert not link.dead.is_set()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("not_found", NotFound),
        ("bad_path", BadPath),
        ("bad_request", RequestError),
        ("failed", SandboxError),
        ("os.system", SandboxDead),
        (["bad_path"], SandboxDead),
        (7, SandboxDead),
    ],
)
async def test_faults_map_through_a_closed_table(
    peer: Peer, sandbox: RemoteSandbox, code: object, kind: type[MlgymError]
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.answer, {"fault": code, "message": "m" * 5000})
        with pytest.raises(kind) as caught:
            await sandbox.read_file("x")
        assert len(caught.value.message) < 1000


@pytest.mark.parametrize(
    "change",
    [
        {"exit_code": None},
        {"exit_code": 999},
        {"exit_code": "0"},
        {"signal": 9},
        {"size": 2},
        {"size": -1},
        {"head": 4},
        {"seconds": -1},
        {"seconds": "soon"},
        {"limits": ["all"]},
        {"limits": "time"},
        {"cwd": 1},
        {"cwd": "x" * 10_000},
        {"module": "os"},
    ],
)
async def test_a_result_that_makes_no_sense_is_a_dead_sandbox(
    peer: Peer, sandbox: RemoteSandbox, change: dict[str, object]
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.answer, {"result": RESULT | change}, b"out")
        with pytest.raises(SandboxDead):
            await sandbox.run(Command(script="true"))


async def test_a_result_that_makes_sense_is_one(peer: Peer, sandbox: RemoteSandbox) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.answer, {"result": RESULT}, b"out")
        assert (await sandbox.run(Command(script="true"))).output == "out"


@pytest.mark.parametrize("result", [None, [], "x", {}])
async def test_a_finished_command_without_a_result_is_a_dead_sandbox(
    peer: Peer, sandbox: RemoteSandbox, result: object
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.answer, {"result": result})
        with pytest.raises(SandboxDead):
            await sandbox.run(Command(script="true"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[1]",
        b'[["a","file"]]',
        b'[["a","socket",1]]',
        b'[["a","file",-1]]',
        b"[" * 100_000,
        json.dumps([["a", "file", "many"]]).encode(),
    ],
)
async def test_a_listing_that_is_none_is_a_dead_sandbox(
    peer: Peer, sandbox: RemoteSandbox, body: bytes
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.answer, {"total": 1}, body)
        with pytest.raises(SandboxDead):
            await sandbox.list_files()


async def test_a_listing_is_capped_on_the_host_too(peer: Peer, sandbox: RemoteSandbox) -> None:
    body = json.dumps([[f"f{number}", "file", 1] for number in range(500)]).encode()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.answer, {"total": 500}, body)
        assert len((await sandbox.list_files(limit=10)).entries) == 10


async def test_a_file_longer_than_announced_is_not_taken(
    peer: Peer, sandbox: RemoteSandbox
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.answer, {"size": 5, "handle": None}, b"x" * 2000)
        with pytest.raises(BadPath):
            await sandbox.read_file("f", max_bytes=1000)


async def test_usage_that_is_no_number_is_a_dead_sandbox(
    peer: Peer, sandbox: RemoteSandbox
) -> None:
    async with anyio.create_task_group() as tasks:
        answer: Header = {"memory": True, "processes": 1, "disk": 0, "cpu": 0.0}
        tasks.start_soon(peer.answer, answer)
        with pytest.raises(SandboxDead):
            await sandbox.usage()


async def test_a_view_is_read_with_its_result(peer: Peer, link: Link) -> None:
    answer: Header = {
        "command": "echo",
        "seconds": 1,
        "start": 0,
        "output": 2,
        "size": 3,
        "result": RESULT,
    }
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.answer, answer, b"\xc3\xa4out")
        view = await RemoteJob("j1", link).look()
        assert (view.output, view.cursor, view.state) == ("ä", 2, "finished")
        assert view.result is not None
        assert view.result.output == "out"


async def test_closing_tells_who_waits_and_happens_once(peer: Peer, link: Link) -> None:
    ended: list[str] = []

    async def end() -> None:
        ended.append("ended")

    sandbox = RemoteSandbox(SandboxSpec("box", "base", Path("/w"), Path("/o")), link, end)
    async with anyio.create_task_group() as tasks:

        async def use() -> None:
            with pytest.raises(SandboxDead, match="closed"):
                await sandbox.usage()

        tasks.start_soon(use)
        await peer.asked()
        tasks.start_soon(sandbox.close)
        tasks.start_soon(sandbox.close)
    assert ended == ["ended"]
