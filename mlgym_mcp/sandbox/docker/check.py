"""What `doctor` says of the Docker engine: whether it answers, limits, and which images it has."""

from mlgym_mcp.base.errors import EngineMissing, SandboxError
from mlgym_mcp.base.settings import Settings
from mlgym_mcp.sandbox.docker.engine import Answer, Engine
from mlgym_mcp.sandbox.docker.images import Images
from mlgym_mcp.types.finding import Finding

_LIMITS = (("MemoryLimit", "memory"), ("PidsLimit", "processes"), ("CpuCfsQuota", "CPU"))


async def look(engine: Engine, images: Images, settings: Settings) -> list[Finding]:
    """Every finding; one failed one when the engine does not answer."""
    try:
        said = await engine.call(lambda api: api.info())
    except EngineMissing as error:
        return [Finding(check="docker engine", state="failed", detail=error.message, fix=error.fix)]
    except SandboxError as error:
        detail = error.message
        return [Finding(check="docker engine", state="failed", detail=detail, fix="docker info")]
    findings = [_engine(said, engine.address), *_limits(said)]
    if settings.docker_runtime and settings.docker_runtime not in said.get("Runtimes", {}):
        findings.append(_runtime(said, settings.docker_runtime))
    return findings + [await _image(images, name) for name in images.names()]


def _engine(said: Answer, address: str) -> Finding:
    version = said.get("ServerVersion")
    groups = said.get("CgroupVersion", "1")
    detail = f"{version} at {address}, cgroup v{groups}, {said.get('Driver')}"
    return Finding(check="docker engine", state="ok", detail=detail)


def _limits(said: Answer) -> list[Finding]:
    missing = [shown for key, shown in _LIMITS if not said.get(key, True)]
    if not missing:
        return []
    detail = f"the engine cannot limit {', '.join(missing)}"
    return [Finding(check="docker limits", state="warning", detail=detail, fix="docker info")]


def _runtime(said: Answer, name: str) -> Finding:
    there = ", ".join(sorted(said.get("Runtimes", {})))
    return Finding(
        check="docker runtime",
        state="failed",
        detail=f"the engine has no runtime '{name}', but {there}",
        fix="unset MLGYM_MCP_DOCKER_RUNTIME",
    )


async def _image(images: Images, name: str) -> Finding:
    check, tag = f"docker image {name}", images.tag(name)
    if await images.built(name):
        return Finding(check=check, state="ok", detail=tag)
    fix = f"mlgym-mcp images build {name}"
    return Finding(check=check, state="warning", detail=f"{tag} is not built yet", fix=fix)
