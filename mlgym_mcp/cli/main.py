"""The `mlgym-mcp` program: finds the subcommand, loads only that one, and says what went wrong.

Above: a person or a script. Below: one module per subcommand, each with an `app`. An error of
ours becomes two lines on stderr, what happened and what to do, and exit status 1; wrong usage is
2, an interrupt 130. Anything else is a bug and keeps its traceback.
"""

import gc
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from mlgym_mcp.base.errors import MlgymError
from mlgym_mcp.cli.visible import visible

_COMMANDS = {
    "serve": "Serve tasks over MCP: on stdin and stdout, or over HTTP.",
    "tasks": "List the tasks, or check their folders.",
    "data": "Fetch the datasets of tasks.",
    "score": "Grade a file or folder, or many of them, without an agent.",
    "rescore": "Grade a stored submission again and show both grades.",
    "sessions": "List the sessions of this home.",
    "eval": "Play an agent on tasks over MCP and show what it scored.",
    "doctor": "Say what works on this machine, and how to mend what does not.",
    "environments": "Build the virtual environments that bubblewrap uses.",
    "images": "Build the images that Docker uses.",
    "connect": "Print or write the configuration of an MCP client.",
    "tokens": "Add, list and remove the tokens of clients that connect over HTTP.",
    "bench": "Measure the speed of this installation on this machine.",
}
_MODULES = {"eval": "evaluate"}


class _Lazy(TyperCommand):
    """A subcommand whose module is loaded when it is called, not when help lists it."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        command = get_command(_load(_MODULES.get(str(self.name), str(self.name))).app)
        return command.make_context(info_name, args, parent=parent, **extra)


def _load(module: str) -> Any:
    # an interrupt waits until it is loaded: some libraries make an error of their own of it
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    # what is loaded stays: looking for garbage in it would cost time now and ever after
    gc.disable()
    try:
        return import_module(f"mlgym_mcp.cli.{module}")
    finally:
        gc.freeze()
        gc.enable()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


class _Program(TyperGroup):
    """All subcommands, by name."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: _Lazy(name, help=text) for name, text in _COMMANDS.items()}


app = typer.Typer(cls=_Program, no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        metadata = import_module("importlib.metadata")
        typer.echo(f"mlgym-mcp {metadata.version('mlgym-mcp')}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Machine-learning research tasks as sandboxed workspaces, served over MCP."""
    del version


def blamed(error: BaseException) -> MlgymError | None:
    """The error of ours in what escaped; None when anything else is in it too."""
    leaves = list(_leaves(error))
    ours = [leaf for leaf in leaves if isinstance(leaf, MlgymError)]
    return ours[0] if ours and len(ours) == len(leaves) else None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _leaves(part)
    else:
        yield error


def main() -> None:
    """Run the program and exit with its status."""
    try:
        app()
    except (MlgymError, ExceptionGroup) as error:
        ours = blamed(error)
        if ours is None:
            raise
        said = f"{ours.message}\n{ours.fix}" if ours.fix else ours.message
        sys.stderr.write(f"{visible(said)}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
