"""The scenarios of `@modelcontextprotocol/conformance` that apply to any server.

The others need tools, resources and prompts of a reference server that exist only there
(`test_simple_text`, `test://static-text`, `test_prompt_with_arguments`, ... : the scenarios
tools-call-*, resources-read-*, resources-templates-read, prompts-get-*, json-schema-2020-12,
elicitation-*), or a feature this server does not have: logging (logging-set-level; deprecated since
2026-07-28) and streams that are closed in the middle of a call to be polled (server-sse-polling).
"""

import os
from collections.abc import AsyncGenerator
from pathlib import Path
from subprocess import PIPE

import anyio
import pytest

from .conftest import Serve
from .play import Served

pytestmark = [pytest.mark.anyio, pytest.mark.node]

APPLICABLE = [
    "server-initialize",
    "ping",
    "completion-complete",
    "tools-list",
    "resources-list",
    "resources-subscribe",
    "resources-unsubscribe",
    "prompts-list",
    "server-sse-multiple-streams",
    "dns-rebinding-protection",
]


@pytest.fixture
async def served(serve: Serve) -> AsyncGenerator[Served]:
    async with serve("fake") as served:
        yield served


@pytest.mark.parametrize("scenario", APPLICABLE)
async def test_the_server_conforms(
    served: Served, node_bin: Path, home: Path, variables: dict[str, str], scenario: str
) -> None:
    command = [str(node_bin / "conformance"), "server", "--url", served.url]
    env = {**variables, "PATH": f"{node_bin}{os.pathsep}{variables['PATH']}"}
    with anyio.fail_after(60):
        done = await anyio.run_process(
            [*command, "--scenario", scenario, "-o", str(home / "conformance")],
            env=env,
            stdout=PIPE,
            stderr=PIPE,
            check=False,
        )
    said = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0, said
    assert "0 failed, 0 warnings" in said
    assert "Passed: 0/0" not in said
