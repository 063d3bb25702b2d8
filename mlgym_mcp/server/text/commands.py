"""Commands and jobs as text: the output first, then one line of facts in brackets."""

from mlgym_mcp.server.text.units import duration, size
from mlgym_mcp.types.command import CommandResult, JobView


def ran(result: CommandResult | JobView) -> str:
    """What `run` gave: the result, or the handle of what still runs."""
    return job(result) if isinstance(result, JobView) else command(result)


def command(result: CommandResult) -> str:
    """The output, how it ended, and every limit that bit."""
    facts = [_ending(result), duration(result.seconds)]
    if result.cwd:
        facts.append(f"cwd {result.cwd}")
    if result.limits_hit:
        facts.append(f"limits hit: {', '.join(result.limits_hit)}")
    if result.dropped_bytes:
        facts.append(f"{size(result.dropped_bytes)} left out, all of it in {result.output_path}")
    return _bracketed(result.output, facts)


def job(view: JobView) -> str:
    """The output asked for, and how the job stands."""
    if view.state == "finished" and view.result is not None:
        facts = [f"job {view.job_id} finished", _ending(view.result), duration(view.seconds)]
        if view.result.limits_hit:
            facts.append(f"limits hit: {', '.join(view.result.limits_hit)}")
        return _bracketed(view.output or view.result.output, facts)
    if view.state == "lost":
        lost = f"job {view.job_id} was lost with its sandbox after {duration(view.seconds)}"
        return _bracketed(view.output, [lost, "run the command again"])
    running = f"job {view.job_id} is running, {duration(view.seconds)} so far"
    after = f'`job` with job_id="{view.job_id}" waits for it; cursor={view.cursor} reads on'
    return _bracketed(view.output, [running, after])


def _ending(result: CommandResult) -> str:
    if result.signal is not None:
        return f"ended by signal {result.signal}"
    return f"exit {result.exit_code}"


def _bracketed(output: str, facts: list[str]) -> str:
    body = output.rstrip("\n")
    line = f"[{' | '.join(facts)}]"
    return f"{body}\n{line}" if body else line
