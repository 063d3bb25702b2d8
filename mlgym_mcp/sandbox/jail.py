"""What a bubblewrap sandbox sees of its host: as little as a Python needs.

Above: the bubblewrap backend starts what is composed here. Below: the `bwrap` program. Only named
things are mounted, never a whole /etc, home or /opt: for a root server, root's files would be the
sandbox's own.
"""

import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path

from mlgym_mcp.base.shipped import package_folder, shipped
from mlgym_mcp.sandbox.cgroup import Cgroup
from mlgym_mcp.sandbox.contract import OUTPUTS, WORKSPACE, SandboxSpec
from mlgym_mcp.sandbox.environments import ENVIRONMENT_ROOT, Environment
from mlgym_mcp.sandbox.gpus import gpu_options
from mlgym_mcp.sandbox.program import PROGRAM_ROOT
from mlgym_mcp.sandbox.share import Share

Option = tuple[str, ...]
"""An option with its values."""

_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = (
    "alternatives",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "ssl/certs",
    "timezone",
)
_KERNEL = ("acpi", "asound", "bus", "driver", "fs", "irq", "mtrr", "pressure", "scsi", "sys", "tty")
"""Parts of /proc that belong to the whole machine. The root of a root server owns them inside too,
so they are mounted read-only over a fresh /proc."""

_LATER = ("--clearenv", "--disable-userns", "--perms", "--size")
_USER = "1000"
_TMP_SHARE = 4
"""Private /tmp may take one part in this many of the memory, and /dev/shm as much."""


def jail_argv(
    bwrap: Path,
    spec: SandboxSpec,
    environment: Environment,
    program: Path,
    share: Share,
    seccomp: int | None,
) -> list[str]:
    """The command line up to the program to run inside; `seccomp` is the filter's descriptor."""
    options = [
        *_isolation(),
        *((("--seccomp", str(seccomp)),) if seccomp is not None else ()),
        *_fresh(spec, share),
        *_shared(environment, program),
        *_own(spec, share.cgroup),
    ]
    return _known(bwrap, options)


def trial_argv(bwrap: Path) -> list[str]:
    """A command line that isolates as a sandbox does, and runs nothing but `true` inside.

    It does not mount the whole root: where others mount and unmount something meanwhile, as Docker
    does for each container, that fails now and then.
    """
    options = [*_isolation(), ("--proc", "/proc", "--dev", "/dev"), *_host()]
    return [*_known(bwrap, options), "/usr/bin/true"]


def _known(bwrap: Path, options: Iterable[Option]) -> list[str]:
    absent = _absent(bwrap)
    return [str(bwrap), *chain(*(option for option in options if option[0] not in absent)), "--"]


@cache
def _absent(bwrap: Path) -> frozenset[str]:
    """The options of later versions that this one does not know; others stand in for each.

    Without `--disable-userns` the filter of system calls refuses new user namespaces, without
    `--clearenv` it is started with an empty environment, and without `--size` the memory limit
    holds for what lies in memory.
    """
    done = subprocess.run([bwrap, "--help"], capture_output=True, text=True, check=False)
    return frozenset(option for option in _LATER if f"{option} " not in done.stdout + done.stderr)


def supervisor_python(environment: Environment) -> str:
    """The interpreter behind an environment, as it is seen inside."""
    real = environment.python.resolve()
    if real.is_relative_to(environment.base_prefix) or real.is_relative_to("/usr"):
        return str(real)
    return f"{ENVIRONMENT_ROOT}/bin/python"


def _isolation() -> Iterator[Option]:
    for what in ("user", "pid", "ipc", "net", "uts", "cgroup"):
        yield (f"--unshare-{what}",)
    yield ("--disable-userns",)
    yield ("--uid", _USER, "--gid", _USER, "--hostname", "sandbox")
    yield ("--clearenv",)
    yield ("--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL")


def _fresh(spec: SandboxSpec, share: Share) -> Iterator[Option]:
    """File systems of its own; first, for what is mounted later may lie in them."""
    yield ("--proc", "/proc", "--dev", "/dev")
    for path in _kernels():
        yield ("--ro-bind", path, path)
    yield from _in_memory(spec, "/dev/shm")  # noqa: S108 - its own
    yield from gpu_options(share.gpus)
    yield ("--remount-ro", "/dev")
    yield from _in_memory(spec, "/tmp")  # noqa: S108 - its own


@cache
def _kernels() -> tuple[str, ...]:
    paths = (f"/proc/{name}" for name in (*_KERNEL, "sysrq-trigger"))
    return tuple(path for path in paths if Path(path).exists())


def _in_memory(spec: SandboxSpec, target: str) -> Iterator[Option]:
    yield ("--size", str(max(spec.limits.memory_bytes // _TMP_SHARE, 2**20)))
    yield ("--perms", "1777")
    yield ("--tmpfs", target)


@cache
def _shared(environment: Environment, program: Path) -> tuple[Option, ...]:
    """What all sandboxes of an environment see alike; looked for once, for it takes milliseconds."""
    return (*_system(environment, program), *_hidden(environment, program))


def _host() -> Iterator[Option]:
    yield ("--ro-bind", "/usr", "/usr")
    for folder in _SYSTEM:
        path = Path(folder)
        if path.is_symlink():
            yield ("--symlink", str(path.readlink()), folder)
        elif path.is_dir():
            yield ("--ro-bind", folder, folder)


def _system(environment: Environment, program: Path) -> Iterator[Option]:
    yield from _host()
    for name in _ETC:
        yield ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    for file in sorted((program / "etc").iterdir()):
        yield ("--ro-bind", str(file), f"/etc/{file.name}")
    base = environment.base_prefix
    if not base.is_relative_to("/usr"):
        yield ("--ro-bind", str(base), str(base))
    yield ("--ro-bind", str(environment.path), ENVIRONMENT_ROOT)
    yield ("--ro-bind", str(program), PROGRAM_ROOT)


def _hidden(environment: Environment, program: Path) -> Iterator[Option]:
    """Cover what agents may not see where it lies in what is mounted: judges, private data.

    A package that was installed for the system's own Python, or for one below a home, lies there.
    """
    seen: set[Path] = set()
    for mounted in (Path("/usr"), environment.base_prefix, *map(Path, _SYSTEM)):
        for folder in (package_folder(), shipped("tasks"), program.parent.parent):
            real, root = folder.resolve(), mounted.resolve()
            if real.is_dir() and real.is_relative_to(root):
                seen.add(mounted / real.relative_to(root))
    for path in sorted(seen):
        if seen.isdisjoint(path.parents):
            yield ("--tmpfs", str(path), "--remount-ro", str(path))


def _own(spec: SandboxSpec, cgroup: Cgroup | None) -> Iterator[Option]:
    yield ("--bind", str(spec.workspace), WORKSPACE)
    yield ("--bind", str(spec.outputs), OUTPUTS)
    for mount in spec.mounts:
        yield ("--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target)
    for folder, seen in cgroup.views if cgroup else ():
        yield ("--ro-bind", str(folder), seen)
    yield ("--remount-ro", "/", "--chdir", WORKSPACE)
