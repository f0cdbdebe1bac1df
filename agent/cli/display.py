"""The line at the foot of a terminal that says what a command is doing. A pipe and CI get plain lines alone."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from agent.cli.terminal import VOICE, clean
from agent.core.text.plain import plain_line

LINE_CHARS = 100


class Foot:
    """One line below all others that changes in place, with the time since its text changed."""

    def __init__(self, console: Console) -> None:
        columns = (SpinnerColumn(choose_spinner()), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        # Nothing is redirected: rich would take what `clean_streams` put in place of the streams, and print around it.
        self._progress = Progress(
            *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._task = self._progress.add_task("", total=None)
        self._text = ""

    def update(self, text: str) -> None:
        """Show another text. The clock begins anew unless the text is the same."""
        width = min(LINE_CHARS, max(self._progress.console.width - 12, 10))
        shown = plain_line(clean(text), width)
        if shown != self._text:
            self._text = shown
            self._progress.reset(self._task, description=shown)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Erase the line while a whole line is printed, then draw it again below."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def start(self) -> None:
        with contextlib.suppress(RuntimeError):  # no thread can be started that would move it
            self._progress.start()

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._progress.stop()


def choose_spinner() -> str:
    """Name of one that the terminal has letters for."""
    bare = getattr(sys.stderr, "rich_proxied_file", sys.stderr)
    return "dots" if (bare.encoding or "").lower().startswith("utf") else "line"


def is_live() -> bool:
    """Whether standard error is a terminal that a person watches."""
    dumb = os.environ.get("TERM", "") in ("", "dumb") or bool(os.environ.get("CI"))
    return sys.stderr.isatty() and not dumb and not VOICE.quiet


@contextmanager
def open_foot() -> Iterator[Foot | None]:
    """The foot of this command, which may be open already. None if nobody watches."""
    if VOICE.foot or not is_live():
        yield VOICE.foot if isinstance(VOICE.foot, Foot) else None
        return
    foot = Foot(Console(stderr=True))
    foot.start()
    VOICE.foot = foot
    try:
        yield foot
    finally:
        VOICE.foot = None
        foot.stop()
