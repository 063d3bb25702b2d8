"""The host end of the stream to a supervisor: many requests in flight over one byte stream.

Above: `remote` asks and gets answers. Below: `supervisor.wire` cuts frames. Nothing that comes over
the stream is believed: sizes are capped here again, answers nobody asked for are dropped, and the
first frame that is no frame ends the link for everyone with `SandboxDead`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio
from anyio.abc import ByteStream

from mlgym_mcp.base.errors import RequestError, SandboxDead
from mlgym_mcp.supervisor.wire import MAX_BODY, VERSION, BadFrame, Header, Unpacker, pack

_RECEIVE = 256 * 1024
_SEND_SECONDS = 30.0
"""A supervisor that does not read for this long is dead."""


@dataclass
class Reply:
    """The answer to one request."""

    header: Header = field(default_factory=dict[str, object])
    body: bytes = b""


class _Waiting:
    def __init__(self) -> None:
        self.done = anyio.Event()
        self.reply: Reply | None = None


class Link:
    """One connection to one supervisor. Its owner runs `serve` in a task group."""

    def __init__(self, stream: ByteStream, name: str) -> None:
        self._stream = stream
        self._name = name
        self._waiting: dict[int, _Waiting] = {0: _Waiting()}
        self._number = 0
        self._sending = anyio.Lock(fast_acquire=True)
        self._reason = ""
        self.dead = anyio.Event()

    async def serve(self) -> None:
        """Take in answers until the stream ends; never raises but when cancelled."""
        unpacker = Unpacker()
        try:
            while not self.dead.is_set():
                for header, body in unpacker.feed(await self._stream.receive(_RECEIVE)):
                    self._settle(header, body)
        except BadFrame as error:
            self.fail(f"it spoke nonsense ({error})")
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            self.fail("its stream ended in a frame" if unpacker.partial else "its stream ended")
        finally:
            self.fail("the connection was closed")
            with anyio.move_on_after(1, shield=True):
                await self._stream.aclose()

    async def greeting(self, seconds: float) -> None:
        """Wait for the supervisor's first frame.

        Raises:
            SandboxDead: It did not come, or is of another version.
        """
        with anyio.move_on_after(seconds):
            reply = await self._answer(self._waiting[0], 0)
            if reply.header.get("version") != VERSION:
                self.fail(f"it speaks version {reply.header.get('version')!r}, not {VERSION}")
                raise self.death()
            return
        self.fail(f"it said nothing within {seconds:g} seconds")
        raise self.death()

    async def request(self, header: Mapping[str, object], body: bytes = b"") -> Reply:
        """Ask, and wait for the answer. Cancelling forgets the answer, not the request.

        Raises:
            SandboxDead: The link broke before the answer came.
            RequestError: The request is too big.
        """
        self._number += 1
        number = self._number
        waiting = self._waiting[number] = _Waiting()
        try:
            await self._send(number, header, body)
            return await self._answer(waiting, number)
        finally:
            self._waiting.pop(number, None)

    def fail(self, reason: str) -> None:
        """End the link: everyone who waits, or will ask, gets `SandboxDead`."""
        if self.dead.is_set():
            return
        self._reason = reason
        self.dead.set()
        for waiting in self._waiting.values():
            waiting.done.set()

    def death(self) -> SandboxDead:
        """The error that says why the link is dead."""
        return SandboxDead(
            f"Sandbox '{self._name}' is dead: {self._reason}.",
            fix="The workspace is kept; the next call opens a new sandbox on it.",
        )

    async def _answer(self, waiting: _Waiting, number: int) -> Reply:
        if not self.dead.is_set():
            await waiting.done.wait()
        self._waiting.pop(number, None)
        if waiting.reply is None:
            raise self.death()
        return waiting.reply

    def _settle(self, header: Header, body: bytes) -> None:
        number = header.get("id")
        if not isinstance(number, int) or not 0 <= number <= self._number:
            raise BadFrame("an answer to nothing that was asked")
        # An answer to a request that was given up, or a second one, is nobody's.
        waiting = self._waiting.get(number)
        if waiting is not None and waiting.reply is None:
            waiting.reply = Reply(header, body)
            waiting.done.set()

    async def _send(self, number: int, header: Mapping[str, object], body: bytes) -> None:
        try:
            frames: list[bytes] = []
            while len(body) > MAX_BODY:
                frames.append(pack({"op": "data", "for": number}, body[:MAX_BODY]))
                body = body[MAX_BODY:]
            frames.append(pack({**header, "id": number}, body))
        except BadFrame as error:
            raise RequestError(f"The request is too big: {error}.") from error
        async with self._sending:
            # Half a frame would make nonsense of all that follow: whole, or the link ends.
            with anyio.move_on_after(_SEND_SECONDS, shield=True) as scope:
                await self._send_frames(frames)
            if scope.cancelled_caught:
                self.fail(f"it read nothing for {_SEND_SECONDS:g} seconds")
        if self.dead.is_set():
            raise self.death()

    async def _send_frames(self, frames: list[bytes]) -> None:
        try:
            for frame in frames:
                if not self.dead.is_set():
                    await self._stream.send(frame)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            self.fail("its stream broke")
