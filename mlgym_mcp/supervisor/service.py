"""Requests of the host, answered: one method per operation, one table of them.

Above: `stdio` and `listen` bring connections. Below: jobs and files. It does not know what a
session, a task or a score is.
"""

from __future__ import annotations

import os

from mlgym_mcp.supervisor.counters import cpu_seconds, memory_bytes
from mlgym_mcp.supervisor.fault import Fault
from mlgym_mcp.supervisor.files import Writing, list_folder, open_to_read, read_chunk
from mlgym_mcp.supervisor.guard import RightsOf
from mlgym_mcp.supervisor.job import Job, Order
from mlgym_mcp.supervisor.jobs import Jobs
from mlgym_mcp.supervisor.lean import TYPE_CHECKING
from mlgym_mcp.supervisor.loop import Loop
from mlgym_mcp.supervisor.options import Options
from mlgym_mcp.supervisor.output import read_part, size_of
from mlgym_mcp.supervisor.peer import Peer
from mlgym_mcp.supervisor.processes import table
from mlgym_mcp.supervisor.wire import MAX_BODY, VERSION, Header

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_OPEN = 64


class Service:
    """What one supervisor offers to every host that connects."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.loop = Loop(self._reap)
        self._jobs = Jobs(self.loop, options)
        self._reading: dict[int, tuple[int, int]] = {}
        self._writing: dict[int, Writing] = {}
        self._received: dict[tuple[Peer, int], bytearray] = {}
        self._handles = 0
        self._operations: dict[str, Callable[[Peer, Header, bytes], None]] = {
            "data": self._data,
            "start": self._start,
            "wait": self._wait,
            "look": self._look,
            "cancel": self._cancel,
            "read": self._read,
            "read_on": self._read_on,
            "write": self._write,
            "write_on": self._write_on,
            "list": self._list,
            "usage": self._usage,
        }

    def greet(self, peer: Peer) -> None:
        """The first frame a host gets."""
        peer.send({"id": 0, "version": VERSION, "pid": os.getpid()})

    def frame(self, peer: Peer, header: Header, body: bytes) -> None:
        """Answer one request."""
        number = header.get("id")
        operation = self._operations.get(str(header.get("op")))
        try:
            if operation is None:
                raise Fault("bad_request", f"no operation {header.get('op')!r}")
            operation(peer, header, body)
        except Fault as fault:
            peer.send({"id": number, "fault": fault.code, "message": fault.message})
        except (KeyError, ValueError, TypeError) as error:
            peer.send({"id": number, "fault": "bad_request", "message": f"{error!r}"[:500]})
        except OSError as error:
            peer.send({"id": number, "fault": "failed", "message": f"{error}"[:500]})

    def _reap(self) -> None:
        self._jobs.reap()

    def hang_up(self, peer: Peer) -> None:
        """Forget what a host that is gone had begun to ask."""
        for key in [key for key in self._received if key[0] is peer]:
            del self._received[key]

    def _data(self, peer: Peer, header: Header, body: bytes) -> None:
        """A piece of a request too long for one frame; unanswered, the request follows."""
        self._received.setdefault((peer, _integer(header, "for")), bytearray()).extend(body)

    def _start(self, peer: Peer, header: Header, body: bytes) -> None:
        body = bytes(self._received.pop((peer, _integer(header, "id")), b"")) + body
        stdin_size = _integer(header, "stdin")
        order = Order(header, body[: len(body) - stdin_size])
        if self._jobs.get(order.job) is not None:
            raise Fault("bad_request", f"A job {order.job!r} was started before.")
        if order.cwd is not None and not os.path.isdir(os.path.join("/workspace", order.cwd)):
            raise Fault("bad_path", f"The directory {order.cwd!r} does not exist.")
        job = self._jobs.start(order, body[len(body) - stdin_size :])
        wait = header.get("wait")
        seconds = None if wait is None else float(str(wait))
        self._answer_when_finished(peer, header, job, seconds)

    def _wait(self, peer: Peer, header: Header, _body: bytes) -> None:
        seconds = float(str(header["seconds"]))
        self._answer_when_finished(peer, header, self._job(header), seconds)

    def _cancel(self, peer: Peer, header: Header, _body: bytes) -> None:
        job = self._job(header)
        self._jobs.end(job, "cancelled")
        self._answer_when_finished(peer, header, job, None)

    def _answer_when_finished(
        self, peer: Peer, header: Header, job: Job, seconds: float | None
    ) -> None:
        number = header["id"]

        def answer() -> None:
            if timer is not None:
                timer.cancel()
            result, output = job.result()
            peer.send({"id": number, "result": result}, output)

        def give_up() -> None:
            job.waiting.remove(answer)
            peer.send({"id": number, "result": None})

        timer = None
        if job.finished is not None:
            answer()
            return
        if seconds is not None:
            timer = self.loop.later(seconds, give_up)
        job.waiting.append(answer)

    def _look(self, peer: Peer, header: Header, _body: bytes) -> None:
        job = self._job(header)
        cursor, most = _integer(header, "cursor"), min(_integer(header, "most"), MAX_BODY // 2)
        size = size_of(job.path)
        start = max(0, size + cursor) if cursor < 0 else min(cursor, size)
        output = read_part(job.path, start, most)
        answer: Header = {
            "id": header["id"],
            "command": job.command,
            "seconds": job.seconds,
            "start": start,
            "output": len(output),
            "size": size,
            "result": None,
        }
        if job.finished is not None:
            answer["result"], rest = job.result()
            output += rest[: MAX_BODY - len(output)]
        peer.send(answer, output)

    def _read(self, peer: Peer, header: Header, _body: bytes) -> None:
        with RightsOf(self._options):
            fd, size = open_to_read(str(header["path"]), _integer(header, "most"))
        data = read_chunk(fd, 0)
        if len(data) >= size:
            os.close(fd)
            peer.send({"id": header["id"], "size": len(data), "handle": None}, data)
            return
        self._handles += 1
        self._reading[self._handles] = fd, len(data)
        peer.send({"id": header["id"], "size": size, "handle": self._handles}, data)
        while len(self._reading) > _MOST_OPEN:
            oldest = next(iter(self._reading))
            os.close(self._reading.pop(oldest)[0])

    def _read_on(self, peer: Peer, header: Header, _body: bytes) -> None:
        handle = _integer(header, "handle")
        if handle not in self._reading:
            raise Fault("failed", "The file is no longer open.")
        fd, start = self._reading[handle]
        data = read_chunk(fd, start)
        self._reading[handle] = fd, start + len(data)
        if header.get("last") or not data:
            del self._reading[handle]
            os.close(fd)
        peer.send({"id": header["id"]}, data)

    def _write(self, peer: Peer, header: Header, body: bytes) -> None:
        self._jobs.disk.claim(len(body))
        with RightsOf(self._options):
            writing = Writing(str(header["path"]))
            writing.add(body)
            if header.get("last"):
                writing.commit()
                peer.send({"id": header["id"], "handle": None})
                return
        self._handles += 1
        self._writing[self._handles] = writing
        peer.send({"id": header["id"], "handle": self._handles})
        while len(self._writing) > _MOST_OPEN:
            self._writing.pop(next(iter(self._writing))).drop()

    def _write_on(self, peer: Peer, header: Header, body: bytes) -> None:
        writing = self._writing.pop(_integer(header, "handle"), None)
        if writing is None:
            raise Fault("failed", "The file is no longer open.")
        with RightsOf(self._options):
            if header.get("drop"):
                writing.drop()
            else:
                self._add(writing, header, body)
        peer.send({"id": header["id"]})

    def _add(self, writing: Writing, header: Header, body: bytes) -> None:
        try:
            self._jobs.disk.claim(len(body))
        except Fault:
            writing.drop()
            raise
        writing.add(body)
        if header.get("last"):
            writing.commit()
        else:
            self._writing[_integer(header, "handle")] = writing

    def _list(self, peer: Peer, header: Header, _body: bytes) -> None:
        depth, limit = _integer(header, "depth"), _integer(header, "limit")
        with RightsOf(self._options):
            entries, total = list_folder(str(header["path"]), depth, limit)
        peer.send({"id": header["id"], "total": total}, entries)

    def _usage(self, peer: Peer, header: Header, _body: bytes) -> None:
        answer: Header = {
            "id": header["id"],
            "memory": memory_bytes(),
            "processes": len(table()),
            "disk": self._jobs.disk.count(),
            "cpu": round(cpu_seconds(), 3),
        }
        peer.send(answer)

    def _job(self, header: Header) -> Job:
        job = self._jobs.get(str(header.get("job")))
        if job is None:
            raise Fault("not_found", f"No job {header.get('job')!r} in this sandbox.")
        return job


def _integer(header: Header, name: str) -> int:
    value = header.get(name)
    if not isinstance(value, int):
        raise Fault("bad_request", f"{name} is not a whole number")
    return value
