"""Slots: a container's folder on the host, and the claims that say which sandbox has which slot.

A slot holds the door (the folder of the supervisor's socket) and, for a sandbox kept warm, a
workspace and outputs of its own. A claim is a small file, so that a later process finds the
container of a sandbox again; a container cannot be given another label once it runs.
"""

import json
import os
import secrets
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkstemp
from typing import Any

DOOR_ROOT = "/run/mlgym"
"""Where the container sees its door."""

_SOCKET = "s"


@dataclass(frozen=True)
class Slot:
    """One container's folder."""

    name: str
    folder: Path

    @property
    def door(self) -> Path:
        """The folder mounted at `DOOR_ROOT`."""
        return self.folder / "door"

    @property
    def socket_inside(self) -> str:
        """The socket as the supervisor names it."""
        return f"{DOOR_ROOT}/{_SOCKET}"

    def connect(self) -> socket.socket | None:
        """A connection to the supervisor, or None while it does not listen yet."""
        try:
            door = os.open(self.door, os.O_PATH | os.O_DIRECTORY)
        except OSError:
            return None
        connection = socket.socket(socket.AF_UNIX)
        try:
            # Through the descriptor: a socket's path may have 107 bytes, a home may have more.
            connection.connect(f"/proc/self/fd/{door}/{_SOCKET}")
        except OSError:
            connection.close()
            return None
        finally:
            os.close(door)
        return connection

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Slots:
    """The slots and claims of one home. Every method blocks, briefly."""

    def __init__(self, home: Path) -> None:
        self._slots = home / "docker" / "slots"
        self._claims = home / "docker" / "claims"

    def make(self) -> Slot:
        """A fresh slot."""
        self._slots.mkdir(parents=True, exist_ok=True)
        self._claims.mkdir(parents=True, exist_ok=True)
        slot = self.named(secrets.token_hex(6))
        slot.folder.mkdir()
        # Only root in the container, which may enter any folder, gets at the socket.
        slot.door.mkdir(mode=0o700)
        return slot

    def named(self, name: str) -> Slot:
        """The slot of that name, there or not."""
        return Slot(name, self._slots / name)

    def claim(self, sandbox: str, container: str, slot: Slot) -> None:
        """Note which container a sandbox is."""
        fd, temporary = mkstemp(dir=self._claims)
        with os.fdopen(fd, "w") as file:
            json.dump({"version": 1, "container": container, "slot": slot.name}, file)
        Path(temporary).rename(self._claims / f"{sandbox}.json")

    def claimed(self, sandbox: str) -> tuple[str, Slot] | None:
        """The container and slot of a sandbox, when there is a claim that can be read."""
        try:
            said: Any = json.loads((self._claims / f"{sandbox}.json").read_text())
            return str(said["container"]), self.named(Path(str(said["slot"])).name)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def unclaim(self, sandbox: str) -> None:
        """Forget a claim."""
        (self._claims / f"{sandbox}.json").unlink(missing_ok=True)

    def claims(self) -> dict[str, tuple[str, Slot]]:
        """Every claim, by sandbox."""
        found = {path.stem: self.claimed(path.stem) for path in self._claims.glob("*.json")}
        return {name: claim for name, claim in found.items() if claim is not None}

    def names(self) -> list[str]:
        """The slots that have folders."""
        return [path.name for path in self._slots.iterdir()] if self._slots.is_dir() else []
