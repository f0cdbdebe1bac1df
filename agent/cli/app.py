"""The command line: finds a command in the table, and turns errors into one line and an exit code."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import Abort, TyperException

from agent.cli.settings import CALL, read_settings, say_misuse, say_refusal, say_unusable, watch
from agent.cli.table import COMMANDS, DEFAULT_WORKSPACES, make_typer
from agent.cli.terminal import STDOUT, VOICE, clean_streams, describe_surprise, raise_end_behind, say
from agent.edges.system.faults import is_machine_fault, say_fault
from agent.edges.system.git_variables import forget_git_variables, without_git_settings
from agent.edges.system.large_imports import import_large
from agent.edges.system.library_warnings import ignore_library_warnings
from agent.edges.system.processes import read_process, running_s, undo_odd_start
from agent.edges.system.streams import open_closed_streams, settle_streams
from agent.edges.template.cache.claim import release_claims
from agent.errors import ScientistError, UsageError

# Each would end this process anyway, without a word.
ENDING = (
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGXCPU,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGIO,
    signal.SIGPWR,
)

END_S = 10  # after a request to end, until this process is ended as it stands


class LazyGroup(TyperGroup):
    """The commands of the table: lists need a name and a sentence, and a module is imported if its command runs.

    Source: the pattern "lazily loading subcommands" of click's documentation.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name=name, help=entry.help) for name, entry in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that `args` begins with, imported, with its section of scientist.toml as defaults."""
        name, found, rest = super().resolve_command(ctx, args)
        if name is None or found is None:
            return name, found, rest
        command = load_command(name)
        if not ctx.resilient_parsing:
            ctx.default_map = {name: read_settings(name, command)}
        return name, command, rest


def load_command(name: str) -> Any:
    """Import the command: a function of its name, or a group of commands."""
    with without_git_settings(os.environ):
        found = getattr(import_large(COMMANDS[name].module), name)
    if isinstance(found, typer.Typer):
        group = typer.main.get_command(found)
        group.name = name
        return watch(group)
    single = make_typer()
    single.command(name)(found)
    return watch(typer.main.get_command(single))


app = make_typer(
    add_completion=True,
    name="scientist",
    cls=LazyGroup,
    help="Runs research ideas through plan, edit, lint, run, evaluate and feedback, and survives the night.",
    invoke_without_command=True,
)


def show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # loads the reader of e-mail, which nothing else needs

        typer.echo(version("ai-scientist-loop"))
        raise typer.Exit


@app.callback()
def begin(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", "-V", callback=show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before the command. Without a command, say what to do next."""
    if context.invoked_subcommand is None:
        from agent.cli.next_step import say_next  # its lock is needed by no other start of the program

        folder = os.environ.get("SCIENTIST_WORKSPACES", "")
        for line in say_next(Path(folder or DEFAULT_WORKSPACES), not folder):
            typer.echo(line)


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    forget_git_variables(os.environ)
    os.environ.pop("PYTHONINSPECT", None)  # children would wait for input at their end
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # GitPython raises when it is imported and there is no git
    ignore_library_warnings()
    open_closed_streams()
    undo_odd_start()
    heed_signals()
    try:
        own = read_process(os.getpid())
        sys.exit(run(sys.argv[1:] if arguments is None else arguments, running_s(own) if own else 0.0))
    except SystemExit as ended:
        if not sys.flags.inspect:
            raise
        settle_streams()
        os._exit(ended.code if isinstance(ended.code, int) else 1)  # else Python shows a traceback and asks for more
    finally:
        settle_streams()


def heed_signals() -> None:
    """Let a request to end, or the end of the terminal, end this process, unless it was started to ignore that.

    nohup ignores SIGHUP, and a script's `&` ignores SIGINT, which Python itself leaves ignored. A terminal with
    `stty tostop` stops whoever prints to it in the background with SIGTTOU.
    """
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end)


def end(number: int, _frame: object) -> None:
    """Exit after a request to end, or if the terminal closed: locks are given back, runs go on."""
    if number != signal.SIGALRM:  # if what is raised here is swallowed, as in a destructor, or an end of work hangs
        signal.signal(signal.SIGALRM, lambda *_: os._exit(128 + number))
        signal.alarm(END_S)
    with contextlib.suppress(OSError, RuntimeError):  # the second: it came while another line was printed
        name = signal.Signals(number).name
        has_runs = {"launch", "resume", "replicate"} & set(sys.argv[1:])
        more = f"; a run at work goes on by itself; to go on: {say_resume()}" if has_runs else ""
        say(f"scientist: ended by {name}{more}")
    sys.exit(128 + number)


def say_resume() -> str:
    """The command that goes on with what this call began."""
    given = CALL.context.params.get("workspaces") if CALL.context else None
    folder = given if given and given != DEFAULT_WORKSPACES else ""
    return "scientist resume --all" + (f" --workspaces {shlex.quote(str(folder))}" if folder else "")


def require_folder(arguments: list[str]) -> None:
    """Raises: UsageError if the folder in which the call stands was removed. Help is given all the same."""
    if {"--help", "-h", "--version", "-V"}.isdisjoint(arguments):
        try:
            Path.cwd().stat()
        except OSError as error:
            where, problem = "the folder in which you stand", f"cannot be used: {error.strerror}"
            raise UsageError(where, problem, "cd into another one, or into it again") from error


def run(arguments: list[str], age_s: float = 0.0) -> int:
    """Run one command and return its exit code. An error is one line on standard error.

    age_s: how long its process runs already.
    """
    VOICE.reset(age_s)
    with clean_streams():
        try:
            return answer(arguments)
        finally:
            release_claims()


def run_app(arguments: list[str]) -> object:
    """Run one command of the app and return its result."""
    try:
        return app(arguments, prog_name="scientist", standalone_mode=False)
    except Exception as error:
        raise_end_behind(error)
        raise


def answer(arguments: list[str]) -> int:
    if arguments[:1] == ["help"]:
        arguments = [*(word for word in arguments[1:] if not word.startswith("-")), "--help"]
    CALL.context, CALL.arguments = None, arguments
    try:
        require_folder(arguments)
        code = run_app(arguments)
    except TyperException as error:
        say(say_misuse(error, arguments))
        return 2
    except ScientistError as error:
        say(f"scientist: {say_refusal(error)}")
        return error.exit_code
    except (KeyboardInterrupt, Abort):
        say("scientist: interrupted")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if "--install-completion" in arguments and isinstance(error, OSError):
            say(f"scientist: HOME={os.environ.get('HOME', '')}: {error.filename} cannot be written: {error.strerror}")
            return UsageError.exit_code
        if refusal := say_unusable(error):
            say(f"scientist: {refusal}")
            return UsageError.exit_code
        if isinstance(error, OSError) and error.filename == STDOUT:
            say(f"scientist: {STDOUT}: cannot be written: {error.strerror}")
            return 1
        if is_machine_fault(error):
            say(f"scientist: {say_fault(error, Path.cwd())}")  # type: ignore[arg-type]
            return 3
        say(f"scientist: unexpected {describe_surprise(error, Path(tempfile.gettempdir()))}")
        return 1
    return code if isinstance(code, int) else 0
