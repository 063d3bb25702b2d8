"""The supervisor on a Unix socket: hosts come and go, commands go on."""

import os
import socket
import struct
import sys

from mlgym_mcp.supervisor.guard import protect_self
from mlgym_mcp.supervisor.lean import suppress
from mlgym_mcp.supervisor.loop import READ
from mlgym_mcp.supervisor.options import parse_options
from mlgym_mcp.supervisor.peer import Peer
from mlgym_mcp.supervisor.service import Service

_CREDENTIALS = struct.Struct("3i")


def main() -> None:
    """Serve at the path that is the first argument."""
    protect_self()
    path, options = sys.argv[1], parse_options(sys.argv[2])
    service = Service(options)
    with suppress(FileNotFoundError):
        os.unlink(path)
    door = socket.socket(socket.AF_UNIX)
    # A short name first: whoever sees the final one can connect already.
    door.bind(f"{path}.new")
    os.chmod(f"{path}.new", 0o666)  # noqa: S103 - who may connect is asked of the kernel below
    door.listen(16)
    door.setblocking(False)
    os.rename(f"{path}.new", path)

    def accept(_ready: int) -> None:
        try:
            connection, _address = door.accept()
        except OSError:
            return
        if options.outside_only and not _from_outside(connection):
            connection.close()
            return
        fd = connection.detach()
        service.greet(Peer(service.loop, (fd, fd), service.frame, service.hang_up))

    service.loop.watch(door.fileno(), READ, accept)
    service.loop.run()


def _from_outside(connection: socket.socket) -> bool:
    """Whether the peer's process cannot be seen from here: commands can, the host cannot."""
    text = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(text)[0] == 0
