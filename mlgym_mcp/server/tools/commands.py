"""Tools that run something: commands, jobs, validation, submission."""

from pydantic import Field

from mlgym_mcp.server.text import commands as text
from mlgym_mcp.server.text import grades
from mlgym_mcp.server.tool import Call, Effect, SessionArguments, Tool
from mlgym_mcp.sessions import JobRequest, RunRequest
from mlgym_mcp.types.command import CommandResult, JobView
from mlgym_mcp.types.grade import Grade


class RunArguments(RunRequest, SessionArguments):
    """What `run` takes."""


class JobArguments(JobRequest, SessionArguments):
    """What `job` takes."""


class SubmitArguments(SessionArguments):
    """What `submit` takes."""

    request_id: str | None = Field(default=None, min_length=1, max_length=200)
    """A second call with the same one grades nothing and gets the first one's grade."""


async def _run(call: Call, given: RunArguments) -> CommandResult | JobView:
    return await call.sessions.run(call.principal, given.session, given, call.progress.line)


async def _job(call: Call, given: JobArguments) -> JobView:
    return await call.sessions.job(call.principal, given.session, given, call.progress.line)


async def _validate(call: Call, given: SessionArguments) -> Grade:
    return await call.sessions.validate(call.principal, given.session, call.progress.report)


async def _submit(call: Call, given: SubmitArguments) -> Grade:
    return await call.sessions.submit(
        call.principal, given.session, given.request_id, call.progress.report
    )


TOOLS = (
    Tool(
        name="run",
        title="Run a command",
        description=(
            "Run a bash command in the sandbox. Working directory, exported variables and "
            "functions last from one command to the next. A command that runs for longer than "
            "`wait_seconds` goes on as a job with a handle: use `job` to wait for it."
        ),
        arguments=RunArguments,
        results=(CommandResult, JobView),
        answer=_run,
        text=text.ran,
        effect=Effect(destroys=True),
    ),
    Tool(
        name="job",
        title="Wait for, read or cancel a job",
        description=(
            "Ask about a command that goes on as a job: `wait` for its end (up to "
            "`wait_seconds`), `tail` its output from `cursor` on, or `cancel` it."
        ),
        arguments=JobArguments,
        results=(JobView,),
        answer=_job,
        text=text.job,
        effect=Effect(destroys=True, repeats=True),
    ),
    Tool(
        name="validate",
        title="Validate",
        description=(
            "Score what is in the workspace now on the public half of the test data, or with other "
            "seeds than the submission's. Validations are counted; `session_status` says how many "
            "are left."
        ),
        arguments=SessionArguments,
        results=(Grade,),
        answer=_validate,
        text=grades.grade,
    ),
    Tool(
        name="submit",
        title="Submit",
        description=(
            "Hand in what is in the workspace to be scored for good. This ends the session and "
            "cannot be undone."
        ),
        arguments=SubmitArguments,
        results=(Grade,),
        answer=_submit,
        text=grades.grade,
        effect=Effect(destroys=True),
    ),
)
