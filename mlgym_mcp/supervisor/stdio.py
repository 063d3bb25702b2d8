"""The supervisor on its standard input and output: it ends when the host hangs up."""

import os
import sys

from mlgym_mcp.supervisor.guard import protect_self
from mlgym_mcp.supervisor.options import parse_options
from mlgym_mcp.supervisor.peer import Peer
from mlgym_mcp.supervisor.service import Service


def main() -> None:
    """Serve the one host there is."""
    protect_self()
    fds = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(null, fd)
    os.close(null)
    service = Service(parse_options(sys.argv[1]))
    peer = Peer(service.loop, fds, service.frame, lambda _peer: service.loop.stop())
    service.greet(peer)
    service.loop.run()
    # At once: closing files one by one serves nobody, and pid 1 takes all others with it.
    os._exit(0)
