"""The engine's API, off the event loop: the SDK blocks, so every call has a thread.

Above: images, containers and the backend. Below: the Docker SDK. It turns what the SDK raises into
our errors and knows nothing of sandboxes.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import docker
import docker.errors
from anyio import CapacityLimiter, Lock, to_thread

from mlgym_mcp.base.errors import EngineMissing, SandboxError

_CALLS = 16
"""Calls to the engine at once; it serialises most of its work anyway."""

_SECONDS = 120
"""Until a call that brings no answer is given up."""

_Result = TypeVar("_Result")
Answer = dict[str, Any]


class Api(Protocol):
    """What is used of the SDK's `APIClient`."""

    def info(self) -> Answer:
        """The engine's state."""
        ...

    def inspect_image(self, image: str) -> Answer:
        """An image."""
        ...

    def build(self, **options: object) -> Iterator[Answer]:
        """Build an image; yields the builder's messages."""
        ...

    def prune_images(self, filters: dict[str, object]) -> Answer:
        """Delete the untagged images that the filters match."""
        ...

    def create_container(self, image: str, **options: object) -> Answer:
        """Create, and do not start."""
        ...

    def start(self, container: str) -> None:
        """Start a created container."""
        ...

    def logs(self, container: str, *, tail: int) -> bytes:
        """The last lines it wrote."""
        ...

    def inspect_container(self, container: str) -> Answer:
        """A container's state."""
        ...

    def remove_container(self, container: str, *, force: bool, v: bool) -> None:
        """Kill and delete."""
        ...

    def containers(self, *, all: bool, filters: dict[str, object]) -> list[Answer]:  # noqa: A002 - the SDK's name
        """Those that the filters match."""
        ...

    def close(self) -> None:
        """Drop all connections."""
        ...


class Absent(SandboxError):
    """What was asked for (an image, a container) is not there."""


class Engine:
    """One connection to the engine, made at its first use."""

    def __init__(self) -> None:
        self._api: Api | None = None
        self._connecting = Lock()
        self._limiter = CapacityLimiter(_CALLS)
        self.address = ""
        """Where it answers, once it did."""

    async def call(self, work: Callable[[Api], _Result], *, abandon: bool = False) -> _Result:
        """Do something with the API, in a thread; with `abandon`, being cancelled leaves it to it.

        Raises:
            EngineMissing: No engine answers.
            Absent: The named thing is not there.
            SandboxError: The engine refused.
        """
        api = await self._connected()
        return await to_thread.run_sync(
            _guarded, work, api, abandon_on_cancel=abandon, limiter=self._limiter
        )

    async def close(self) -> None:
        """Drop the connection."""
        if self._api is not None:
            await to_thread.run_sync(self._api.close)
            self._api = None

    async def _connected(self) -> Api:
        async with self._connecting:
            if self._api is None:
                self._api, self.address = await to_thread.run_sync(_connect)
        return self._api


def _connect() -> tuple[Api, str]:
    refused: list[str] = []
    for address in _addresses():
        path = address.removeprefix("unix://")
        if address.startswith("unix://") and not Path(path).exists():
            refused.append(f"{path} does not exist")
            continue
        try:
            return _client(address), address
        except (docker.errors.DockerException, OSError) as error:
            refused.append(_reason(path, error))
    raise EngineMissing(
        f"No Docker engine answers: {'; '.join(refused)}.", fix=_remedy(" ".join(refused))
    )


def _addresses() -> list[str]:
    chosen = os.environ.get("DOCKER_HOST")
    if chosen:
        return [chosen]
    own = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    places = ["/var/run/docker.sock", f"{own}/docker.sock", f"{own}/podman/podman.sock"]
    return [f"unix://{place}" for place in places]


def _client(address: str) -> Api:
    if not address.startswith("unix://"):
        raise OSError(f"{address} is not on this machine; sandboxes need a local engine")
    make = cast("Callable[..., Api]", docker.APIClient)
    return make(base_url=address, version="auto", timeout=_SECONDS, max_pool_size=_CALLS)


def _reason(path: str, error: Exception) -> str:
    text = str(error)
    if "Permission denied" in text:
        return f"{path} may not be opened by this user (Permission denied)"
    if "Connection refused" in text:
        return f"nothing listens at {path} (Connection refused)"
    return text


def _remedy(reasons: str) -> str:
    if "Permission denied" in reasons:
        return "sudo usermod -aG docker $USER && newgrp docker"
    if "Connection refused" in reasons:
        return "sudo systemctl start docker"
    return "sudo apt-get install docker.io"


def _guarded(work: Callable[[Api], _Result], api: Api) -> _Result:
    try:
        return work(api)
    except docker.errors.NotFound as error:
        raise Absent(f"Docker: {error.explanation or error}.") from error
    except docker.errors.APIError as error:
        raise SandboxError(f"Docker refused: {error.explanation or error}.") from error
    except (docker.errors.DockerException, OSError) as error:
        raise SandboxError(
            f"The Docker engine does not answer: {error}.", fix="See `mlgym-mcp doctor`."
        ) from error
