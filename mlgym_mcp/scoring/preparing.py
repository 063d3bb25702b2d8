"""Running a task's `dataset.py` in a sandbox, for the catalog, which may not open one itself."""

import secrets
import shlex
from pathlib import Path

import anyio

from mlgym_mcp.base.errors import SpecInvalid
from mlgym_mcp.catalog import Preparation
from mlgym_mcp.sandbox.contract import Backend, Command, Mount, Report, Sandbox, SandboxSpec

_SECONDS = 3600.0


async def prepare_dataset(
    backend: Backend, scratch: Path, work: Preparation, report: Report
) -> None:
    """Run it on the verified sources; it writes into `work.out`.

    Raises:
        SpecInvalid: It failed; the message ends with its last lines.
        SandboxError: No sandbox could be opened for it.
    """
    await backend.prepare(work.environment, report)
    sources = [Mount(path, f"/sources/{name}") for name, path in work.sources.items()]
    spec = SandboxSpec(
        name=f"prepare-{secrets.token_hex(6)}",
        environment=work.environment,
        workspace=_made(scratch / "workspace"),
        outputs=_made(scratch / "outputs"),
        mounts=(
            Mount(work.script, "/dataset.py"),
            Mount(work.out, "/out", writable=True),
            *sources,
        ),
    )
    sandbox = await backend.open(spec)
    try:
        await _run(sandbox, work)
    finally:
        with anyio.CancelScope(shield=True):
            await sandbox.close()


async def _run(sandbox: Sandbox, work: Preparation) -> None:
    script = f"exec python -I /dataset.py /sources /out {shlex.quote(work.variant)}"
    result = await sandbox.run(Command(script, timeout_seconds=_SECONDS))
    if not result.ok:
        raise SpecInvalid(
            f"{work.script} failed with exit status {result.exit_code}: {result.output[-2000:]}",
            fix="Correct the script, or the source it reads.",
        )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
