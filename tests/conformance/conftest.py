"""One list of checks for every backend, and the differences that are known."""

from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pytest

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.sandbox.cgroup import find_cgroups
from mlgym_mcp.sandbox.contract import Backend, Command, Mount, Sandbox, SandboxSpec
from mlgym_mcp.sandbox.registry import open_backend
from mlgym_mcp.types.budget import Limits
from mlgym_mcp.types.command import CommandResult

_NO_KERNEL = "no kernel runs its commands"
_NO_BASH = "its shell is a small one of its own"
_NO_PYTHON = "no Python runs in it"

DIFFERENCES: dict[str, dict[str, str]] = {
    "bubblewrap": {},
    "docker": {},
    "fake": {
        "test_isolation": _NO_KERNEL,
        "test_limits": _NO_KERNEL,
        "test_a_file_without_permission_is_refused": _NO_KERNEL,
        "test_a_pipe_or_device_is_no_file_and_blocks_nobody": _NO_KERNEL,
        "test_mounted_data_cannot_be_changed_by_a_command": _NO_KERNEL,
        "test_a_stopped_command_ends_as_well": _NO_KERNEL,
        "test_a_script_that_does_not_parse_is_a_failed_command": _NO_BASH,
        "test_text_in_any_script_and_broken_bytes_come_back": _NO_BASH,
        "test_long_output_is_cut_in_the_middle_and_kept_whole": _NO_BASH,
        "test_100_megabytes_of_output_are_counted_and_cut": _NO_BASH,
        "test_a_background_child_lives_on_after_its_command": _NO_BASH,
        "test_a_job_is_waited_for_looked_at_and_found_again": _NO_BASH,
        "test_a_script_of_a_megabyte_runs": _NO_BASH,
        "test_a_home_of_ones_own_lasts_and_what_is_not_exported_stays_so": _NO_BASH,
        "test_a_home_too_long_for_any_program_leaves_a_shell_to_mend_it": _NO_BASH,
        "test_plain_variables_and_arrays_last": _NO_BASH,
        "test_functions_aliases_and_options_last": _NO_BASH,
        "test_exported_functions_reach_programs": _NO_BASH,
        "test_errexit_ends_its_command_and_not_the_sandbox": _NO_BASH,
        "test_a_trap_of_the_commands_own_runs_and_state_lasts": _NO_BASH,
        "test_tracing_shows_the_command_and_nothing_else": _NO_BASH,
        "test_a_virtual_environment_stays_activated_until_it_is_left": _NO_BASH,
        "test_variables_of_one_command_are_gone_after_it": _NO_BASH,
        "test_a_command_that_ignores_the_signal_is_killed_after_two_seconds": _NO_BASH,
        "test_the_children_of_another_command_live_on": _NO_BASH,
        "test_no_shell_goes_on_when_a_time_out_ends_what_it_waits_for": _NO_BASH,
        "test_a_cancelled_run_is_ended_in_the_sandbox_too": _NO_BASH,
        "test_a_cursor_walks_through_text_without_breaking_characters": _NO_BASH,
        "test_variables_last": _NO_BASH,
        "test_state_lasts_through_exit_and_failure": _NO_BASH,
        "test_a_command_may_stay_outside_the_state": _NO_BASH,
        "test_a_deleted_directory_leads_back_to_the_workspace": _NO_BASH,
        "test_a_timed_out_command_leaves_the_earlier_state": _NO_BASH,
        "test_python_is_the_environments_own": _NO_PYTHON,
        "test_pythons_output_before_a_time_out_is_kept": _NO_PYTHON,
        "test_a_command_may_clean_up_when_its_time_is_over": _NO_PYTHON,
        "test_a_daemon_that_left_its_session_dies_too": _NO_PYTHON,
        "test_a_daemon_whose_bash_died_first_dies_too": _NO_PYTHON,
        "test_a_process_whose_first_thread_ended_dies_too": _NO_PYTHON,
        "test_of_two_daemons_only_that_of_the_ended_command_dies": _NO_PYTHON,
        "test_cancelling_a_job_ends_its_tree": _NO_PYTHON,
    },
}
"""By backend: tests that cannot hold there, each with its reason."""


@pytest.fixture(
    params=[
        pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
        pytest.param("docker", marks=pytest.mark.docker),
        "fake",
    ]
)
def engine_name(request: pytest.FixtureRequest) -> str:
    """Each backend in turn, but where a difference is known."""
    name = str(request.param)
    test = str(getattr(request.node, "originalname", request.node.name))
    module = Path(str(request.node.path)).stem
    reason = DIFFERENCES[name].get(test) or DIFFERENCES[name].get(module)
    if reason is not None:
        pytest.skip(f"known difference of {name}: {reason}")
    return name


@cache
def _time_is_shared_out() -> bool:
    found = find_cgroups("mlgym-tests")
    if found is not None:
        found.close()
    return found is not None and "cpu" in found.folders


@pytest.fixture
def whole_processors(engine_name: str) -> bool:
    """Whether a part of a processor is rounded up to a whole one here."""
    return engine_name == "bubblewrap" and not _time_is_shared_out()


@pytest.fixture
def backend_settings(engine_name: str, make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(engine=engine_name)


@pytest.fixture
async def backend(backend_settings: Settings) -> AsyncIterator[Backend]:
    async with open_backend(backend_settings, SystemClock()) as opened:
        yield opened


class Open(Protocol):
    """Opens a further sandbox on its own folders, or on those of the same name."""

    async def __call__(
        self, name: str = "box", mounts: tuple[Mount, ...] = (), **limits: Any
    ) -> Sandbox: ...


@pytest.fixture
async def open_sandbox(backend: Backend, home: Path) -> AsyncIterator[Open]:
    opened: list[Sandbox] = []

    async def open_one(name: str = "box", mounts: tuple[Mount, ...] = (), **limits: Any) -> Sandbox:
        folders = [home / "boxes" / name / kind for kind in ("workspace", "outputs")]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        spec = SandboxSpec(
            name=f"{home.name.lower().replace('_', '-')}-{name}",
            environment="base",
            workspace=folders[0],
            outputs=folders[1],
            mounts=mounts,
            limits=Limits(**{"memory_bytes": 512 * 2**20, "processes": 64} | limits),
            variables={"TOLD": "at opening"},
        )
        opened.append(await backend.open(spec))
        return opened[-1]

    yield open_one
    for sandbox in opened:
        await sandbox.close()


@pytest.fixture
async def sandbox(open_sandbox: Open) -> Sandbox:
    return await open_sandbox()


class Run(Protocol):
    """Runs a script in the sandbox of the test."""

    async def __call__(self, script: str, **options: Any) -> CommandResult: ...


@pytest.fixture
def run(sandbox: Sandbox) -> Run:
    async def run_one(script: str, **options: Any) -> CommandResult:
        return await sandbox.run(Command(script=script, **options))

    return run_one
