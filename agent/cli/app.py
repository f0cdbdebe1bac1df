"""Commands, settings, and the boundary where errors become one line and an exit code."""

from __future__ import annotations

import contextlib
import inspect
import os
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import Abort, TyperException

from agent.cli.terminal import clean_streams, read_redactor
from agent.core.text.plain import plain_line
from agent.edges.system.library_warnings import ignore_library_warnings
from agent.errors import ScientistError, UsageError

SETTINGS_FILE = "scientist.toml"
MODELS_SECTION = "models"

app = typer.Typer(
    name="scientist",
    help="Runs research ideas through plan, edit, lint, run, evaluate and feedback, and survives the night.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("ai-scientist-loop"))
        raise typer.Exit


@app.callback()
def settings(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    context.default_map = read_settings(Path(SETTINGS_FILE))


def read_settings(path: Path) -> dict[str, Any]:
    """Options by command as scientist.toml gives them, below the command line and SCIENTIST_*.

    Raises: UsageError naming the file.
    """
    if not path.is_file():
        return {}
    try:
        sections = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(str(path), f"is not TOML: {error}") from error
    commands = {c.callback.__name__: c.callback for c in app.registered_commands if c.callback}
    defaults: dict[str, Any] = {}
    sections.pop(MODELS_SECTION, None)  # rules per model, read when a model is made
    for name, options in sections.items():
        if name not in commands or not isinstance(options, dict):
            raise UsageError(str(path), f"[{name}] is no command", "write [launch] and below it max-runs = 5")
        defaults[name] = {option.replace("-", "_"): value for option, value in options.items()}
        unknown = defaults[name].keys() - inspect.signature(commands[name]).parameters
        if unknown:
            raise UsageError(str(path), f"[{name}] has no option {min(unknown)}", f"see: scientist {name} --help")
    return defaults


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # GitPython raises when it is imported and there is no git
    ignore_library_warnings()
    import agent.cli.commands  # noqa: F401 - registers the commands

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)

    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def end(number: int, _frame: object) -> None:
    """A request to end, or a terminal that closed: locks are given back, runs go on."""
    with contextlib.suppress(OSError):
        name = signal.Signals(number).name
        say(f"scientist: ended by {name}; a run that is going goes on; go on: scientist resume --all")
    sys.exit(128 + number)


def run(arguments: list[str]) -> int:
    """The exit code of one command; what went wrong is one line on standard error."""
    with clean_streams():
        return answer(arguments)


def answer(arguments: list[str]) -> int:
    try:
        code = app(arguments, prog_name="scientist", standalone_mode=False)
    except TyperException as error:
        context = getattr(error, "ctx", None)
        say(f"{context.command_path if context else 'scientist'}: {error.format_message()}")
        return 2
    except ScientistError as error:
        say(f"scientist: {error}")
        return error.exit_code
    except (KeyboardInterrupt, Abort):
        say("scientist: interrupted")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        say(f"scientist: unexpected {describe_surprise(error, Path(tempfile.gettempdir()))}")
        return 1
    return code if isinstance(code, int) else 0


def describe_surprise(error: Exception, folder: Path) -> str:
    """One line for an error that should not be; its traceback is kept in `folder`, without keys."""
    redact = read_redactor()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"scientist-{time.time_ns()}.traceback"
        path.write_text(redact("".join(traceback.format_exception(error))), "utf-8", errors="replace")
        where = f"; traceback in {path}"
    except OSError:
        where = ""
    return f"{type(error).__name__}: {plain_line(redact(str(error)), 300)}{where}"


def say(message: str) -> None:
    """A message for the person at the terminal; data goes to standard output."""
    typer.echo(message, err=True)
