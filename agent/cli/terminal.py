"""Printing to a terminal: control characters and keys are taken out of every text, whoever wrote it."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO

import typer

from agent.core.text.plain import plain, plain_line
from agent.core.text.redact import Redactor, collect_secrets
from agent.edges.system.streams import LossyStream, name_faults

ENV_FILE = Path(".env")
STDOUT = "standard output"
LOCK_S = 2.0  # a thread that draws the moving line may wait for another that prints
HELD_CHARS = 8000


class CleanStream:
    """A text stream that removes keys and control characters from written text. Everything else is the stream's own.

    lossy: the same stream for lines that may be lost.
    """

    def __init__(self, stream: TextIO | LossyStream, redact: Redactor, lossy: CleanStream | None = None) -> None:
        self.bare, self.redact, self.lossy = stream, redact, lossy
        self._held = ""  # the begin of a line that is not whole yet, while a line moves below

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        foot = VOICE.foot
        if foot is None or foot.is_hidden or not self.bare.isatty() or not PRINTING.acquire(timeout=LOCK_S):
            self.steer(self.clean(text))
            return len(text)
        try:  # a library prints: its lines stand above the one that moves
            whole, newline, self._held = (self._held + text).rpartition("\n")
            if len(self._held) > HELD_CHARS:
                whole, newline, self._held = whole + newline + self._held, "\n", ""
            if newline:
                with foot.hidden():
                    self.steer(self.clean(whole + newline))
        finally:
            PRINTING.release()
        return len(text)

    def release(self) -> None:
        """Print the line that was not whole, once nothing moves below."""
        held, self._held = self._held, ""
        if held:
            self.write(held + "\n")

    def steer(self, text: str) -> None:
        """Write clean text, or what steers the terminal."""
        encoding = getattr(self.bare, "encoding", None)
        if encoding and not text.isascii():  # a terminal that has no such letter is no reason to die
            text = text.encode(encoding, "backslashreplace").decode(encoding)
        with name_faults(STDOUT):  # standard error loses what it does not take
            self.bare.write(text)

    def flush(self) -> None:
        with name_faults(STDOUT):
            self.bare.flush()

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def clean(self, text: str) -> str:
        return self.redact(plain(text))

    @property
    def encoding(self) -> str:
        """Encoding that `write` takes. If it said ASCII, typer would write to the buffer below, past the redactor."""
        return "utf-8"

    @property
    def rich_proxied_file(self) -> TextIO | LossyStream:
        """The stream that rich writes to. Rich steers the terminal, so its callers clean their own text."""
        return self.bare

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bare, name)


@contextlib.contextmanager
def clean_streams() -> Iterator[None]:
    """Clean everything that is printed meanwhile, also by a library. What standard error does not take is lost."""
    redact = read_redactor()
    out, err = sys.stdout, sys.stderr
    lossy = LossyStream(out), LossyStream(err)
    sys.stdout = CleanStream(out, redact, CleanStream(lossy[0], redact))
    sys.stderr = CleanStream(lossy[1], redact)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err
        for stream in lossy:
            stream.settle()


def clean(text: str) -> str:
    """The text as `clean_streams` prints it."""
    return read_redactor()(plain(text))


def read_redactor() -> Redactor:
    """Knows every key of the environment and of .env."""
    secrets = collect_secrets(os.environ)
    if ENV_FILE.is_file():
        from dotenv import dotenv_values  # loaded if there is a file to read

        with contextlib.suppress(OSError, UnicodeDecodeError):  # the reader of its keys reports a damaged file
            secrets = collect_secrets(dotenv_values(ENV_FILE, encoding="utf-8-sig")) | secrets
    return Redactor(secrets)


class Printable(Protocol):
    """A line that knows how it looks on a terminal."""

    def write_to(self, stream: Any) -> None: ...


class MovingLine(Protocol):
    """A line that changes in place and must not be printed over."""

    @property
    def is_hidden(self) -> bool: ...

    def hidden(self) -> AbstractContextManager[None]: ...

    def update(self, work: Any, read_log: Callable[[], str] | None = None) -> None: ...


@dataclass(slots=True)
class Voice:
    """How much a command prints, and the line that moves below. `agent.cli.app` resets it for each command."""

    quiet: bool = False
    verbose: bool = False
    foot: MovingLine | None = None
    # Which of "quiet" and "verbose" were asked for, and whether each was typed (else it is from scientist.toml).
    asked: dict[str, bool] = field(default_factory=dict)
    # Seconds since the machine was booted.
    began_s: float = 0.0

    def reset(self, age_s: float = 0.0) -> None:
        """age_s: how long the command runs already."""
        self.quiet, self.verbose, self.foot, self.asked = False, False, None, {}
        self.began_s = time.clock_gettime(time.CLOCK_BOOTTIME) - age_s

    def age_s(self) -> float:
        """How long the command runs."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.began_s


VOICE = Voice()
PRINTING = threading.RLock()  # threads print whole lines, and the line that moves is redrawn once for each


def say(message: str | Printable) -> None:
    """Print a message for the person at the terminal, also with --quiet. Data goes to standard output."""
    with PRINTING, VOICE.foot.hidden() if VOICE.foot else contextlib.nullcontext():
        _print(message, sys.stderr)


def note(message: str | Printable) -> None:
    """Print progress, unless --quiet was given."""
    if not VOICE.quiet:
        say(message)


def detail(message: str | Printable) -> None:
    """Print something that only --verbose asks for."""
    if VOICE.verbose:
        say(message)


def show_activity(work: Any, read_log: Callable[[], str] | None = None) -> None:
    """Show the current activity in the moving line, if there is one. read_log: as `Foot.update` has it."""
    with PRINTING:
        if VOICE.foot:
            VOICE.foot.update(work, read_log)


def put(message: str | Printable) -> None:
    """Print a result on standard output while a command goes on, whether or not it can be written."""
    stream: Any = sys.stdout.lossy if isinstance(sys.stdout, CleanStream) else sys.stdout
    with PRINTING, VOICE.foot.hidden() if VOICE.foot else contextlib.nullcontext(), contextlib.suppress(OSError):
        _print(message, stream)


def _print(message: str | Printable, stream: Any) -> None:
    if isinstance(message, str):
        typer.echo(message, file=stream)
    else:
        message.write_to(stream)


def raise_end_behind(error: Exception) -> None:
    """Raise the request to end that Python 3.11 wraps in a RuntimeError, if it comes while a class is made."""
    if isinstance(error.__cause__, SystemExit | KeyboardInterrupt):
        raise error.__cause__


def describe_surprise(error: Exception, folder: Path) -> str:
    """One line for an unexpected error. Its traceback is kept in `folder`, without keys."""
    redact = read_redactor()
    try:
        if not folder.parent.is_dir():  # of a workspace that somebody removed
            folder = Path(tempfile.gettempdir())
        folder.mkdir(exist_ok=True)
        path = folder / f"scientist-{time.time_ns()}.traceback"
        path.write_text(redact("".join(traceback.format_exception(error))), "utf-8", errors="replace")
        where = f"; traceback in {path}"
    except OSError:
        where = ""
    return f"{type(error).__name__}: {plain_line(redact(str(error)), 300)}{where}"
