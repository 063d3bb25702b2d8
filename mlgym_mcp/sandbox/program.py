"""The supervisor as a program: its files for mounting, its command line, its options.

Above: the backends that start it, each in its own kind of sandbox. Below: the `supervisor` package.
"""

import json
import os
from typing import Literal

from mlgym_mcp.base.programs import Program
from mlgym_mcp.base.shipped import package_folder
from mlgym_mcp.sandbox.contract import SandboxSpec

PROGRAM_ROOT = "/opt/mlgym"
"""Where every sandbox sees the supervisor's files, read-only."""

_ETC = {
    "etc/passwd": "agent:x:1000:1000::/tmp:/bin/bash\nnobody:x:65534:65534::/nonexistent:/bin/false\n",
    "etc/group": "agent:x:1000:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


SUPERVISOR = Program(package_folder() / "supervisor", PROGRAM_ROOT, "mlgym_mcp/supervisor", _ETC)
"""What runs first in every sandbox."""


def supervisor_argv(python: str, mode: Literal["stdio", "listen"], *arguments: str) -> list[str]:
    """Its command line in the sandbox; the last argument is the options."""
    start = (
        f"import sys; sys.path.insert(0, {PROGRAM_ROOT!r});"
        f"from mlgym_mcp.supervisor.{mode} import main; main()"
    )
    return [python, "-I", "-S", "-B", "-c", start, *arguments]


def supervisor_options(spec: SandboxSpec, **more: object) -> str:
    """Its options for a sandbox; `more` are further fields of `supervisor.options.Options`."""
    options: dict[str, object] = {
        "variables": base_variables(spec),
        "output_bytes": spec.limits.output_bytes,
        "open_files": spec.limits.open_files,
        "disk_bytes": spec.limits.disk_bytes,
        "not_counted": [mount.target for mount in spec.mounts],
    }
    return json.dumps(options | more)


def base_variables(spec: SandboxSpec) -> dict[str, str]:
    """The environment that commands of a sandbox find."""
    threads = str(max(1, min(int(spec.limits.cpus), os.cpu_count() or 1)))
    return {
        "PATH": "/opt/env/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",  # noqa: S108 - a private one of the sandbox
        "USER": "agent",
        "SHELL": "/bin/bash",
        # Not LANG: of all that it would set only this differs from C, and each file takes time.
        "LC_CTYPE": "C.UTF-8",
        "TERM": "dumb",
        # What was printed before a time-out is kept, not lost in a buffer.
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
    } | dict(spec.variables)
