"""scientist status: how every idea stands."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from agent.cli.display import columns_of, is_screen, write_lines
from agent.cli.options import Json
from agent.cli.places import data_cache
from agent.cli.table import DEFAULT_WORKSPACES
from agent.cli.terminal import CleanStream, clean, say
from agent.edges.template.data import store_size
from agent.errors import UsageError
from agent.report.overview import count_states, survey
from agent.report.standings import find_standings, nearby
from agent.report.status import Standing, WorkState

EVERY_S = 2.0
GLANCE_S = 0.2


class Only(StrEnum):
    """Ideas that `--only` can ask for: by state, by verdict, or those that wait for a person."""

    WAITING = "waiting"
    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    STALLED = "stalled"
    COMPLETED = "completed"
    FAILED = "failed"
    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no-difference"
    NO_VERDICT = "no-verdict"

    def fits(self, standing: Standing) -> bool:
        verdict = standing.best.verdict.replace(" ", "-") if standing.best else ""
        return self.value in (standing.state, verdict) or (self is Only.WAITING and standing.needs_person)


def status(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", envvar="SCIENTIST_WORKSPACES", help="Workspace, batch, or folder of batches."),
    ] = DEFAULT_WORKSPACES,
    as_json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Draw it anew every two seconds until nothing is at work any more.")
    ] = False,
    only: Annotated[
        list[Only] | None, typer.Option("--only", help="Only ideas of this state or verdict; may be repeated.")
    ] = None,
) -> None:
    """Show how ideas stand."""
    show = Board(folder, as_json, tuple(only or ()))
    found = show.read()
    if watch and is_screen(sys.stdout) and not as_json:
        found = show.redraw(found)
    elif watch:
        found = show.repeat(found)
    show.put(found)
    raise typer.Exit(6 if found.damaged else 0)


@dataclass(frozen=True, slots=True)
class Sighted:
    """How ideas stand at one time."""

    standings: Sequence[Standing]
    # A line for each workspace that is gone or cannot be read.
    damaged: Sequence[str]


@dataclass(frozen=True, slots=True)
class Board:
    """Reads how ideas stand, and shows it."""

    folder: Path
    as_json: bool
    only: tuple[Only, ...]
    sleep: Callable[[float], None] = time.sleep

    def read(self) -> Sighted:
        """Raises: UsageError if there is no such folder."""
        if self.folder != DEFAULT_WORKSPACES and not self.folder.is_dir():
            remedy = "name a workspace, a batch, or the folder of all batches"
            raise UsageError(str(self.folder), "is no folder", remedy)
        return Sighted(*find_standings(self.folder, str if self.as_json else nearby))

    def lines(self, found: Sighted, width: int | None) -> list[Text]:
        where = "--all" if self.folder == DEFAULT_WORKSPACES else shlex.quote(str(self.folder))
        shown = [s for s in found.standings if not self.only or any(only.fits(s) for only in self.only)]
        if found.standings and not shown:
            return [Text(f"{self.folder}: none of {len(found.standings)} ideas is {' or '.join(self.only)}")]
        return survey(shown, width, where) if shown else []

    def put(self, found: Sighted) -> None:
        """Print it once."""
        for line in found.damaged:
            say(f"scientist: {line}")
        if self.as_json:
            typer.echo(self.dump(found))
        elif not found.standings and not found.damaged:
            say(f"{self.folder}: holds no workspace; begin with: scientist launch sae_synth")
        else:
            write_lines(self.lines(found, columns_of(sys.stdout)), sys.stdout)

    def dump(self, found: Sighted) -> str:
        data = find_data()
        shown = [s for s in found.standings if not self.only or any(only.fits(s) for only in self.only)]
        fields = {
            "workspaces": [asdict(s) for s in shown],
            "data": {"path": str(data) if data else None, "bytes": store_size(data) if data else 0},
        }
        return json.dumps({"schema_version": 1} | fields, indent=2)

    def repeat(self, found: Sighted) -> Sighted:
        """Print it whenever it has changed, for a pipe. Return how ideas stand once nothing is at work any more."""
        said = None
        while not self.is_over(found):
            if found != said:
                said = found
                self.put(found)
                if not self.as_json:
                    typer.echo("")
            self.sleep(EVERY_S)
            found = self.read()
        return found

    def redraw(self, found: Sighted) -> Sighted:
        """Draw it on a screen of its own, anew if it changes. Return how ideas stand once nothing is at work any more.

        Ctrl-C ends the watch, and nothing else.
        """
        try:
            with open_screen() as draw:
                while not self.is_over(found):
                    self.draw(draw, found)
                    found = self.read()
        except KeyboardInterrupt:
            pass
        return found

    def draw(self, draw: Callable[[Group], None], found: Sighted) -> None:
        """Draw what is known, and wait. If the terminal changes its size meanwhile, draw again."""
        drawn, left_s = (0, 0), EVERY_S
        while left_s > 0:
            size = shutil.get_terminal_size()
            if size != drawn:
                drawn = size
                draw(Group(*self.page(found, size.columns, size.lines)))
            self.sleep(GLANCE_S)
            left_s -= GLANCE_S

    def page(self, found: Sighted, columns: int, rows: int) -> list[Text]:
        """As many lines as the screen has, the last of which says what is left out."""
        head = f"{time.strftime('%H:%M:%S')}  {len(found.standings)} ideas: {count_states(found.standings)}"
        texts = [Text(clean(head), "dim"), *(Text(clean(line), "red") for line in found.damaged)]
        for line in self.lines(found, columns):
            texts.append(line if clean(line.plain) == line.plain else Text(clean(line.plain)))
        lines = [part for text in texts for part in text.split("\n", allow_blank=True)]
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        if len(lines) > rows:
            kept = max(rows - 1, 1)
            lines = [*lines[:kept], Text(f"and {len(lines) - kept} lines below; scientist status | less", "dim")]
        return lines[:rows]

    def is_over(self, found: Sighted) -> bool:
        """Whether nothing is at work. Between two ideas of a batch there is a moment in which none is."""
        if found.damaged or any(s.at_work for s in found.standings):
            return bool(found.damaged)
        if all(s.state is not WorkState.PENDING for s in found.standings):
            return True
        self.sleep(1.0)
        return not any(s.at_work for s in self.read().standings)


class _Steered:
    """Standard output for rich: what steers the terminal passes, and letters that it has not are written as escapes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        (self._stream.steer if isinstance(self._stream, CleanStream) else self._stream.write)(text)

    def __getattr__(self, name: str) -> Any:
        if name == "rich_proxied_file":  # rich would write past this
            raise AttributeError(name)
        return getattr(self._stream, name)


@contextmanager
def open_screen() -> Iterator[Callable[[RenderableType], None]]:
    """A screen of its own above the terminal's, for something that is drawn anew. It is gone at the end."""
    stream: Any = _Steered(sys.stdout)
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    with Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        yield lambda drawn: live.update(drawn, refresh=True)


def find_data() -> Path | None:
    """Folder of prepared data. None if nothing says where it is."""
    try:
        return data_cache()
    except UsageError:
        return None
