"""How launches and tables look: the line at a terminal's foot, coloured lines, remarks, results."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task
from rich.text import Text

from agent.cli.terminal import VOICE, CleanStream, Printable, clean, note, put, read_redactor, say
from agent.core.journal.events import Event
from agent.core.journal.state import State
from agent.core.text.plain import plain
from agent.core.text.remark import Remark
from agent.edges.run.step_folder import LOG
from agent.edges.workspace.layout import Workspace
from agent.report.cells import wrap
from agent.report.foot import Pace, ShownWork, describe_activity, draw_line, last_words, read_tail
from agent.report.overview import sum_up
from agent.report.pause import ways_on
from agent.report.progress import Yardstick
from agent.report.standings import nearby, read_standings
from agent.report.status import Best, best_run
from agent.report.table import STYLES, describe_best

SPINNER_CELLS = 2
LOG_EVERY_S = 0.5
LOG_CELLS = 160  # of a line about a long step in a log
LEVELS = {"ok": "green", "mend": "bold yellow", "FAIL": "bold red"}  # of remarks
WORDS = {"mend": "fix"}  # for levels that are printed by another word
INTERRUPTED = 130  # exit code after Ctrl-C


@dataclass(frozen=True, slots=True)
class Coloured:
    """A line with colours, for `say`, `note` and `put`."""

    text: Text

    def write_to(self, stream: Any) -> None:
        write_lines([self.text], stream)


class Foot:
    """One line below all others that changes in place, with the time since its text changed."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        # Nothing is redirected: rich would take what `clean_streams` put in place of the streams, and print around it.
        self._progress = Progress(
            SpinnerColumn(choose_spinner()),
            _MovingLine(self),
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._progress.add_task("", total=None)
        self._clock, self._began_s = clock, clock()
        self._work = ShownWork("starting")
        self._read_log: Callable[[], str] | None = None
        self._log, self._log_read_s = "", float("-inf")
        self._hidden = 0
        self._redact = read_redactor()

    @property
    def is_hidden(self) -> bool:
        return self._hidden > 0

    def update(self, work: ShownWork | str, read_log: Callable[[], str] | None = None) -> None:
        """Show another activity. The clock begins anew unless it has the same words.

        read_log: gives the last line of the step's log, and is asked now and then.
        """
        shown = ShownWork(work) if isinstance(work, str) else work
        if (shown.name, shown.run, shown.what) != (self._work.name, self._work.run, self._work.what):
            self._began_s = self._clock()
            self._work, self._read_log = shown, read_log
            self._log, self._log_read_s = "", float("-inf")

    def draw(self) -> Text:
        """The line as it is now."""
        width = self._progress.console.width - SPINNER_CELLS - 1  # the last column makes some terminals go on below
        now = self._clock()
        if self._read_log and now - self._log_read_s >= LOG_EVERY_S:
            self._log_read_s = now
            with contextlib.suppress(OSError):  # it is not there yet
                self._log = self._redact(plain(self._read_log()))
        line = draw_line(self._work, now - self._began_s, self._log, max(width, 10))
        shown = self._redact(plain(line))
        return Text(_in_letters_of(self._progress.console, shown), no_wrap=True, overflow="crop")

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Erase the line while whole lines are printed, then draw it again below."""
        self._hidden += 1
        if self._hidden == 1:
            self.stop()
        try:
            yield
        finally:
            self._hidden -= 1
            if not self._hidden:
                self.start()

    def start(self) -> None:
        with contextlib.suppress(RuntimeError):  # no thread can be started that would move it
            self._progress.start()

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._progress.stop()


class _MovingLine(ProgressColumn):
    """The foot's words, as wide as there is room."""

    def __init__(self, foot: Foot) -> None:
        super().__init__()
        self._foot = foot

    def render(self, task: Task) -> Text:
        return self._foot.draw()


def _in_letters_of(console: Console, line: str) -> str:
    """The line in letters that the terminal has, each in the place of one."""
    encoding = console.encoding or "utf-8"
    return line if line.isascii() else line.encode(encoding, "replace").decode(encoding, "replace")


def choose_spinner() -> str:
    """Name of one that the terminal has letters for."""
    bare = getattr(sys.stderr, "rich_proxied_file", sys.stderr)
    return "dots" if (bare.encoding or "").lower().startswith("utf") else "line"


def is_screen(stream: Any) -> bool:
    """Whether the stream is a terminal that a person watches, and lines on it can be drawn anew."""
    dumb = os.environ.get("TERM", "") in ("", "dumb") or bool(os.environ.get("CI"))
    return bool(stream.isatty()) and not dumb


def is_live() -> bool:
    """Whether a line may move on standard error."""
    return is_screen(sys.stderr) and not VOICE.quiet


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
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, CleanStream):
                stream.release()


@dataclass(slots=True)
class Watch:
    """Prints what happens to one idea, and shows at the foot what it does."""

    # The idea's folder.
    workspace: Workspace
    # Its place among those of the command, from 1.
    number: int = 1
    # What is known of all of them.
    pace: Pace = field(default_factory=lambda: Pace(1))
    # When the command began to work on them, by time.monotonic.
    began_s: float = field(default_factory=time.monotonic)
    # What its results are judged by; None until its template is read.
    by: Yardstick | None = None
    # Seconds between two lines about a long step, where nothing moves at the foot.
    every_s: float = 600.0
    # Seconds, as time.monotonic counts them.
    clock: Callable[[], float] = time.monotonic
    # The activity.
    _work: ShownWork = field(default_factory=lambda: ShownWork(""))
    # Since when it goes on.
    _work_s: float = 0.0
    # Reads its log.
    _read_log: Callable[[], str] | None = None
    # When something was said of it last.
    _said_s: float = field(default_factory=time.monotonic)

    def tell(self, printer: Callable[[str | Printable], None], text: str, style: str = "") -> None:
        """Print a line with the idea's name and the time. On a terminal it is broken between words."""
        head = f"[{self.workspace.path.name}] {time.strftime('%H:%M:%S')} "
        for number, line in enumerate(wrap(text, columns_of(sys.stderr), head, "    ")):
            begun = len(head) if number == 0 else 0
            printer(Coloured(Text(line[:begun], "dim").append(line[begun:], style)))

    def place(self, work: ShownWork) -> ShownWork:
        """The activity with the idea's place in its batch."""
        return replace(work, idea=(self.number, self.pace.ideas) if self.pace.ideas > 1 else None)

    def follow(self, event: Event, state: State) -> ShownWork:
        """The activity after an event, with the times that can be guessed."""
        now = self.clock()
        since_s = now - self.began_s
        self.pace.see(event, state, since_s)
        work = self.place(self.pace.guess(describe_activity(state), state, self.number, since_s))
        self._work, self._work_s, self._said_s, self._read_log = work, now, now, self.read_log(state)
        return work

    def read_log(self, state: State) -> Callable[[], str] | None:
        """Reads the last line that the step at work printed. None if no step is."""
        if not state.going:
            return None
        log = self.workspace.step_folder(state.going.folder) / LOG
        return lambda: last_words(read_tail(log))

    def sleep(self, seconds: float) -> None:
        """Wait within a step. A log that nothing moves in gets a line now and then, so that one sees it goes on.

        Raises: any exception of the workspace's `heed`.
        """
        self.workspace.sleep(seconds)
        now = self.clock()
        if VOICE.foot or now - self._said_s < self.every_s:
            return
        self._said_s = now
        with contextlib.suppress(OSError):
            log = self._read_log() if self._read_log else ""
            self.tell(
                note, draw_line(replace(self._work, name="", idea=None), now - self._work_s, clean(log), LOG_CELLS)
            )

    def best(self, state: State) -> Best | None:
        """The idea's best run."""
        return best_run(state, self.by.spec, self.by.baselines) if self.by else None


def columns_of(stream: Any) -> int | None:
    """Width of the terminal; None for a pipe or a file, whose lines are not broken."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def write_lines(lines: Sequence[Text], stream: Any) -> None:
    """Print lines, in colours on a terminal that has them, unless NO_COLOR is set, or anywhere if FORCE_COLOR is."""
    plain_text = "".join(f"{line.plain}\n" for line in lines)
    wanted = is_screen(stream) or bool(os.environ.get("FORCE_COLOR"))
    console = Console(file=stream, soft_wrap=True, highlight=False, markup=False, emoji=False)
    # Somebody may have put a key or a control character into a line: then nothing is coloured.
    has_colours = wanted and console.color_system is not None and isinstance(stream, CleanStream)
    if not has_colours or clean(plain_text) != plain_text:
        stream.write(plain_text)
    else:
        with console.capture() as captured:
            for line in lines:
                console.print(line)
        stream.steer(captured.get())
    stream.flush()


def report(workspace: Workspace, state: State, watch: Watch) -> None:
    """Print the state of the idea, and the commands to go on with. Of a batch, `say_batch` says the rest."""
    control = f" ({state.launched.remark})" if state.launched.remark and watch.pace.ideas == 1 else ""
    path = nearby(workspace.path)
    if state.ended:
        how = "completed" if state.ended.completed else "failed"
        plural = "" if state.completed_runs == 1 else "s"
        best = watch.best(state)
        result = f"; best: {describe_best(best)}" if best else ""
        words = f"{path}: {how}, {state.completed_runs} completed run{plural}{control}{result}"
        put_prose(words, STYLES.get(best.verdict if best else how, ""))
        if not VOICE.quiet and watch.pace.ideas == 1:
            put(f"  look: scientist show {shlex.quote(path)}\n  edits: scientist history {shlex.quote(path)}")
    else:
        reason = state.pause.reason if state.pause else "interrupted"
        put_prose(f"{path}: paused: {reason}{control}", STYLES["paused"])
        for purpose, command in ways_on(path, state):
            put(f"  {purpose}: {command}")


def put_prose(text: str, style: str) -> None:
    """Print a result, on a terminal broken between words."""
    for line in wrap(text, columns_of(sys.stdout), rest="    "):
        put(Coloured(Text(line, style)))


def say_batch(workspaces: Sequence[Workspace], code: int) -> int:
    """Print how all ideas of a launch stand, the best first, unless it was interrupted or was of one idea.

    code: the exit code of the launch, which is returned.
    """
    if len(workspaces) < 2 or code == INTERRUPTED:
        return code
    standings, damaged = read_standings(workspaces, nearby)
    for line in damaged:
        say(f"scientist: {line}")
    batches = {workspace.path.parent for workspace in workspaces}
    where = shlex.quote(nearby(batches.pop() if len(batches) == 1 else workspaces[0].path.parent.parent))
    for shown in sum_up(standings, columns_of(sys.stdout), where) if standings else ():
        put(Coloured(shown))
    return code


class RemarkPrinter:
    """Prints remarks as they come, and counts the faults among them."""

    def __init__(self) -> None:
        self.faults = 0
        self.blocked = False

    def add(self, remarks: Iterable[Remark]) -> None:
        for remark in remarks:
            self.blocked |= remark.blocks
            self.faults += remark.is_fault
            level = Text(f"{WORDS.get(remark.level, remark.level):<5}", LEVELS.get(remark.level, ""))
            lines = [level.append(f" {remark.text}{':' if remark.lines else ''}", "default not bold")]
            write_lines([*lines, *(Text(f"          {line}") for line in remark.lines)], sys.stdout)
