"""Environments as images, built from `sandboxes/<environment>` on the base that is set.

Above: the backend asks for an image's tag. Below: the engine's classic builder. What the host's pip
needs to find its packages (proxies, certificates, index addresses, the locked wheels of its
find-links folders) is lent to the build's first stage, and is not in the image.
"""

import contextlib
import io
import os
import re
import tarfile
import tempfile
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from secrets import token_hex
from typing import IO
from urllib.parse import quote, urlsplit

from anyio import from_thread

from mlgym_mcp.base.errors import SandboxError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.sandbox.contract import Report, silent
from mlgym_mcp.sandbox.docker.engine import Absent, Answer, Api, Engine
from mlgym_mcp.sandbox.environments import Environments
from mlgym_mcp.sandbox.locks import Installing, Locks
from mlgym_mcp.sandbox.turn import turn
from mlgym_mcp.sandbox.wheels import PAGE, local_wheels, page

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
_CERTIFICATES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_INDEXES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS")
_PIP = ("PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT")
_KEPT_LINES = 15
_BUILD_LABEL = "mlgym-mcp.build"


class Images:
    """The images of this home's engine."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._engine = engine
        self._base = settings.docker_base
        self._environments = Environments(settings)
        self._turns = settings.home / "docker"
        self._known: set[str] = set()

    def names(self) -> list[str]:
        """The environments that ship."""
        return self._environments.names()

    def tag(self, name: str) -> str:
        """The image's tag: another one whenever a lock, the Dockerfile or the base is another.

        Raises:
            EngineMissing: There is no environment of that name.
        """
        dockerfile = (self._environments.folder_of(name) / "Dockerfile").read_bytes()
        digest = self._environments.locks(name).digest(dockerfile, self._base.encode())
        return f"mlgym-mcp/{name}:{digest}"

    async def built(self, name: str) -> bool:
        """Whether the engine has the image."""
        tag = self.tag(name)
        if tag not in self._known:
            try:
                await self._engine.call(lambda api: api.inspect_image(tag))
            except Absent:
                return False
            self._known.add(tag)
        return True

    async def ensure(self, name: str, report: Report = silent) -> str:
        """Build the image unless it is there; its tag.

        Raises:
            EngineMissing: No engine answers, or there is no environment of that name.
            SandboxError: It could not be built; the message ends with the last lines.
        """
        tag = self.tag(name)
        if await self.built(name):
            return tag
        async with turn(self._turns / f".{name}.lock", name, report):
            if not await self.built(name):
                await self._engine.call(lambda api: self._build(api, name, report))
                self._known.add(tag)
        report(f"{name}: ready", 1.0)
        return tag

    def _build(self, api: Api, name: str, report: Report) -> None:
        folder = self._environments.folder_of(name)
        locks = self._environments.locks(name)
        told = _Progress(name, len(locks.pins()), report)
        told.say(f"building on {self._base}", 0.0)
        build = token_hex(8)
        with tempfile.TemporaryFile() as context:
            _pack(context, folder, locks)
            stream = api.build(
                fileobj=context,
                custom_context=True,
                tag=self.tag(name),
                buildargs={"BASE": self._base, "BUILD": build, **_borrowed()},
                network_mode="host",
                rm=True,
                forcerm=True,
                decode=True,
            )
            self._follow(api, stream, told, build)

    def _follow(self, api: Api, stream: Iterable[Answer], told: "_Progress", build: str) -> None:
        failure: SandboxError | None = None
        try:
            for message in stream:
                # Leaving the stream is what stops a classic build.
                from_thread.check_cancelled()
                told.take(message)
                if "error" in message:
                    # Raised at the end of the stream: then its connection is free again.
                    failure = _failure(told.name, self._base, str(message["error"]), [*told.last])
            if failure is not None:
                raise failure
        finally:
            # What the first stage was lent is not kept on the engine either.
            with contextlib.suppress(OSError):
                api.prune_images({"dangling": True, "label": f"{_BUILD_LABEL}={build}"})


class _Progress:
    """Turns the builder's messages into a report, and keeps the last lines for an error."""

    def __init__(self, name: str, pins: int, report: Report) -> None:
        self.name = name
        self._report = report
        self._installing = Installing(pins)
        self.last: deque[str] = deque(maxlen=_KEPT_LINES)

    def say(self, what: str, share: float | None) -> None:
        """Report, on the event loop."""
        from_thread.run_sync(self._report, f"{self.name}: {what}", share)

    def take(self, message: Answer) -> None:
        """Take one message of the builder."""
        text = str(message.get("stream") or message.get("status") or "")
        for line in text.splitlines():
            self._line(line.strip())

    def _line(self, line: str) -> None:
        if not line:
            return
        self.last.append(line)
        step = re.match(r"Step \d+/\d+ : (.*)", line)
        said = self._installing.line(line)
        if said:
            what, share = said
            self.say(what, 0.1 + 0.6 * share)
        elif step and step[1].startswith("COPY --from"):
            self.say("writing the image", 0.9)
        elif step and step[1].startswith("RUN") and "venv" in step[1]:
            self.say("creating a virtual environment", 0.1)


def _pack(context: IO[bytes], folder: Path, locks: Locks) -> None:
    """The files the Dockerfile may copy, as the builder wants them."""
    with tarfile.open(fileobj=context, mode="w") as archive:
        archive.add(folder / "Dockerfile", "Dockerfile")
        for path in locks.paths:
            archive.add(path, f"build/{path.name}")
        wheels = local_wheels(locks)
        links = {quote(wheel.path.name): wheel.digest for wheel in wheels}
        for wheel in wheels:
            archive.add(wheel.path, f"build/wheels/{wheel.path.name}")
        _add(archive, f"build/wheels/{PAGE}", page(links).encode())
        _add(archive, "build/certificates.pem", _certificates())
    context.seek(0)


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def _certificates() -> bytes:
    for variable in _CERTIFICATES:
        path = Path(os.environ.get(variable, ""))
        if path.is_file():
            return path.read_bytes()
    return b""


def _borrowed() -> dict[str, str]:
    """Settings of the host's pip that also hold inside the build."""
    lent = {name: os.environ[name] for name in _PIP if os.environ.get(name)}
    for name in _PROXIES:
        for spelled in (name, name.lower()):
            if os.environ.get(spelled):
                lent[spelled] = os.environ[spelled]
    for name in _INDEXES:
        addresses = os.environ.get(name, "").split()
        remote = [one for one in addresses if urlsplit(one).scheme in ("http", "https")]
        if remote:
            lent[name] = " ".join(remote)
    return lent


def _failure(name: str, base: str, error: str, last: list[str]) -> SandboxError:
    lines = "\n".join([*last, error])
    fix = f"Try again with `mlgym-mcp images build {name}`."
    if any(word in error for word in ("pull access denied", "not found", "dial tcp", "lookup")):
        fix = (
            f"The base image {base} cannot be had. Make one with `scripts/base-image TAG`, set"
            f" MLGYM_MCP_DOCKER_BASE=TAG, and try again with `mlgym-mcp images build {name}`."
        )
    return SandboxError(
        f"The image of environment '{name}' could not be built. Last lines:\n{lines}\n", fix=fix
    )
