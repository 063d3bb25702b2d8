"""Subcommands that build: environments for bubblewrap, images for Docker."""

import re
import subprocess
from collections.abc import Callable

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
def test_environments_are_built_and_then_found(program: Run) -> None:
    done = program("environments", "build", "base")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.startswith("base: ready at ")
    assert program("environments", "build", "base").stderr == done.stderr


@pytest.mark.slow
@pytest.mark.docker
def test_images_are_built_and_then_found(program: Run) -> None:
    done = program("images", "build", "base")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "base: ready\n")


@pytest.mark.docker
@pytest.mark.parametrize("kind", ["environments", "images"])
def test_an_unknown_name_is_answered_with_the_known_ones(program: Run, kind: str) -> None:
    done = program(kind, "build", "quantum")
    assert (done.returncode, done.stdout) == (1, "")
    what, fix = done.stderr.splitlines()
    assert what == "There is no environment 'quantum'."
    assert {"base", "tabular"} <= set(re.findall(r"\w+", fix))


@pytest.mark.docker
def test_a_base_image_that_cannot_be_had_is_named_with_the_way_out(program: Run) -> None:
    """A name that no registry has."""
    nowhere = "127.0.0.1:9/no-such-image"
    done = program("images", "build", "base", MLGYM_MCP_DOCKER_BASE=nowhere)
    assert (done.returncode, done.stdout) == (1, "")
    assert nowhere in done.stderr
    assert "scripts/base-image" in done.stderr
    assert "Traceback" not in done.stderr
