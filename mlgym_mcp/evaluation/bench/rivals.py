"""What ours is compared with, measured in the same run: `docker exec` and `docker run`.

Above: the measurements. Below: the docker command line. Where that is missing nothing is compared.
"""

import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

from mlgym_mcp.base.settings import Settings
from mlgym_mcp.evaluation.bench.timing import Samples, repeat

EXEC_MS = 59.0
RUN_MS = 245.0
ECHO_MS = 1.0
"""What `docker exec`, `docker run` and the SDK's echo tool took where the targets were set: the
middle of 46 to 72 and of 200 to 290 ms, and about 1 ms."""

_RUNS = 10


class Rivals:
    """Figures of the docker command line, each measured once and then kept."""

    def __init__(self, settings: Settings) -> None:
        self._image = settings.docker_base
        self._kept: dict[str, Samples | None] = {}

    async def exec_true(self) -> Samples | None:
        """`docker exec CONTAINER true`; None where docker or the image is missing."""
        if "exec" not in self._kept:
            self._kept["exec"] = await self._measure_exec() if await self._usable() else None
        return self._kept["exec"]

    async def run_true(self) -> Samples | None:
        """`docker run --rm IMAGE true`; None where docker or the image is missing."""
        if "run" not in self._kept:
            self._kept["run"] = await self._measure_run() if await self._usable() else None
        return self._kept["run"]

    async def _usable(self) -> bool:
        if shutil.which("docker") is None:
            return False
        command = ["docker", "image", "inspect", self._image]
        return (await anyio.run_process(command, check=False)).returncode == 0

    async def _measure_exec(self) -> Samples:
        async with self._container() as name:
            return await repeat(lambda: anyio.run_process(["docker", "exec", name, "true"]), _RUNS)

    async def _measure_run(self) -> Samples:
        command = ["docker", "run", "--rm", "--network", "none", self._image, "true"]
        return await repeat(lambda: anyio.run_process(command), _RUNS, warm_up=1)

    @asynccontextmanager
    async def _container(self) -> AsyncGenerator[str]:
        started = await anyio.run_process(
            ["docker", "run", "-d", "--rm", "--network", "none", self._image, "sleep", "600"],
            stderr=subprocess.DEVNULL,
        )
        name = started.stdout.decode().strip()
        try:
            yield name
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.run_process(["docker", "kill", name], check=False)
