"""Everything an operator can set, read once from `MLGYM_MCP_*` variables.

Only entry points (the command line, a test) build a `Settings`; every other floor is given one.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

EngineName = Literal["auto", "bubblewrap", "docker", "fake"]


def default_home() -> Path:
    """The platform's folder for data of this program."""
    return user_data_path("mlgym-mcp")


class Settings(BaseSettings):
    """An operator's choices; `MLGYM_MCP_HOME=/srv/mlgym` sets `home`, and so on."""

    model_config = SettingsConfigDict(env_prefix="MLGYM_MCP_", frozen=True, extra="ignore")

    home: Path = Field(default_factory=default_home)
    """Where state lives: store, artefacts, datasets, environments, session folders."""

    mirrors: Annotated[tuple[Path, ...], NoDecode] = ()
    """Local folders tried before the network for dataset sources, separated as in PATH."""

    tasks: Annotated[tuple[Path, ...], NoDecode] = ()
    """Further folders of task folders, beside the shipped ones, separated as in PATH."""

    engine: EngineName = "auto"
    """Which backend isolates; `auto` takes bubblewrap, then Docker."""

    docker_base: str = "python:3.12-slim"
    """The base image that environments are built on."""

    docker_runtime: str = ""
    """A runtime other than the engine's default, for example `runsc`."""

    warm_sandboxes: int = Field(default=0, ge=0, le=64)
    """How many Docker sandboxes are kept warm per environment."""

    gpus: int = Field(default=0, ge=0)
    """How many GPUs each session gets whose task's environment has a build for them; none is opened
    without. A task may ask for more."""

    max_sessions: int = Field(default=1000, ge=1)
    """An upper bound on open sessions, whatever the headroom."""

    queue_seconds: float = Field(default=20.0, ge=0)
    """How long `start_session` may wait for headroom before it is refused."""

    idle_seconds: float = Field(default=3600.0, gt=0)
    """A session without any call for this long is expired."""

    keep_seconds: float = Field(default=7 * 86400.0, ge=0)
    """How long the workspace and outputs of an ended session are kept; its events, submissions
    and grades are kept for ever."""

    log_level: Literal["debug", "info", "warning", "error"] = "warning"

    @field_validator("mirrors", "tasks", mode="before")
    @classmethod
    def _split_path_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(Path(part).expanduser() for part in value.split(os.pathsep) if part)
        return value

    @field_validator("home")
    @classmethod
    def _absolute_home(cls, value: Path) -> Path:
        return value.expanduser().absolute()
