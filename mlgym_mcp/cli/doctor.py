"""`mlgym-mcp doctor`: what works on this machine, and the command that mends what does not."""

import platform
import shutil
import subprocess
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import typer

from mlgym_mcp.base.clock import SystemClock
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.catalog import check_tasks
from mlgym_mcp.cli.findings import show_findings
from mlgym_mcp.cli.launch import read_settings, run
from mlgym_mcp.cli.screen import JsonFlag, bars
from mlgym_mcp.sandbox.environments import Environments
from mlgym_mcp.sandbox.registry import ENGINES, open_backend
from mlgym_mcp.types.finding import Finding

app = typer.Typer(add_completion=False)

_GIB = 2**30
_ROOMY_BYTES = 5 * _GIB


@app.command()
def doctor(as_json: JsonFlag = False) -> None:
    """Say what works here; exit status 1 when something that is needed does not.

    One engine is needed: the one that MLGYM_MCP_ENGINE names, or else any.
    """
    settings = read_settings()
    engines: dict[str, list[Finding]] = {}
    with bars(quiet=as_json) as drawn:
        report = drawn.add("looking at")
        for name in ENGINES:
            report(name, None)
            engines[name] = run(_engine, settings, name)
    machine = [_versions(), _home(settings)]
    rest = [*_environments(settings), *check_tasks(settings), _gpus(settings)]
    show_findings([*machine, *chain(*engines.values()), *rest], as_json=as_json)
    wanted = ENGINES if settings.engine == "auto" else [settings.engine]
    if not (any(_works(engines.get(name, [])) for name in wanted) and _works(machine + rest)):
        raise typer.Exit(1)


def _works(findings: list[Finding]) -> bool:
    return all(finding.state != "failed" for finding in findings)


async def _engine(settings: Settings, name: str) -> list[Finding]:
    chosen = settings.model_copy(update={"engine": name})
    async with open_backend(chosen, SystemClock()) as backend:
        return await backend.check()


def _versions() -> Finding:
    detail = (
        f"mlgym-mcp {version('mlgym-mcp')}, mcp {version('mcp')}, "
        f"Python {platform.python_version()}, {platform.system()} {platform.release()}"
    )
    return Finding(check="versions", state="ok", detail=detail)


def _home(settings: Settings) -> Finding:
    there = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    if not _writable(there):
        return Finding(
            check="home",
            state="failed",
            detail=f"{settings.home} cannot be written",
            fix="export MLGYM_MCP_HOME=$HOME/mlgym-mcp",
        )
    free = shutil.disk_usage(there).free
    detail = f"{settings.home}, {free / _GIB:.1f} GiB free"
    if free < _ROOMY_BYTES:
        fix = "export MLGYM_MCP_HOME=/a/larger/disk, or free space there"
        return Finding(check="home", state="warning", detail=detail, fix=fix)
    return Finding(check="home", state="ok", detail=detail)


def _writable(folder: Path) -> bool:
    probe = folder / f".mlgym-mcp-{id(folder)}"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


def _environments(settings: Settings) -> list[Finding]:
    environments = Environments(settings)
    return [_environment(environments, name) for name in environments.names()]


def _environment(environments: Environments, name: str) -> Finding:
    check = f"environment {name}"
    if (built := environments.ready(name)) is not None:
        return Finding(check=check, state="ok", detail=f"ready at {built.path}")
    return Finding(
        check=check,
        state="warning",
        detail="not built; the first session that needs it builds it",
        fix=f"mlgym-mcp environments build {name}",
    )


def _gpus(settings: Settings) -> Finding:
    given = f"; each session of a task with `torch` or `jax` gets {settings.gpus}"
    if not settings.gpus:
        given = "; no session gets one unless MLGYM_MCP_GPUS says how many"
    devices = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    if (program := shutil.which("nvidia-smi")) is not None:
        query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
        if done.returncode == 0 and done.stdout.strip():
            names = ", ".join(done.stdout.strip().split("\n"))
            return Finding(check="gpu", state="ok", detail=names + given)
    if devices:
        detail = f"{', '.join(devices)} there, but NVIDIA's driver does not answer"
        fix = "nvidia-smi, which says why; most often the driver must be installed anew"
        return Finding(check="gpu", state="warning", detail=detail, fix=fix)
    return Finding(check="gpu", state="ok", detail="none; no task here needs one")
