"""Ideas in a table, one line each: those that need a person first, then by their result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from agent.core.journal.state import UNHELD
from agent.core.prompt.render import number
from agent.report.cells import cut, pad, settle
from agent.report.status import Best, Standing, WorkState

__all__ = ["STYLES", "describe_best", "lay_out", "rank", "sort_standings"]

# Of states and verdicts. What has none of its own looks like any text.
STYLES: Final = {
    "better": "green",
    "worse": "red",
    "no verdict": "dim",
    "not comparable": "dim",
    "pending": "dim",
    "running": "cyan",
    "paused": "bold yellow",
    "interrupted": "bold yellow",
    "stalled": "bold red",
    "failed": "bold red",
}
_VERDICTS: Final = ("better", "no difference", "no verdict", "not comparable", "worse")
_WAITING: Final = (WorkState.STALLED, WorkState.INTERRUPTED, WorkState.PAUSED)
_EMPTY: Final = (WorkState.RUNNING, WorkState.PENDING, WorkState.COMPLETED, WorkState.FAILED)
NAME_CELLS: Final = 16
GAP: Final = "  "


def sort_standings(standings: Iterable[Standing]) -> list[Standing]:
    """The standings as they are shown; equal ones as they came."""
    return sorted(standings, key=rank)


def rank(standing: Standing) -> tuple[int, int, float, int]:
    """A key to sort by: what needs a person, then verdicts from better to worse, each with the largest gain first.

    A gain is a difference from the baseline towards better, as a share of the baseline: metrics of several templates
    stand beside each other. Ideas without a result come last, those at work before the others.
    """
    if standing.needs_person:
        return 0, _WAITING.index(standing.state), -_gain(standing.best), 0
    if standing.best:
        return 1, _VERDICTS.index(standing.best.verdict), -_gain(standing.best), 0
    return 2, _EMPTY.index(standing.state), 0.0, 0


def _gain(best: Best | None) -> float:
    if best is None:
        return float("-inf")
    sign = -1.0 if best.direction == "lower" else 1.0
    if best.delta is None or best.baseline is None:
        return sign * best.value
    return sign * best.delta / (abs(best.baseline) or 1.0)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table. style: of a cell, by the standing."""

    title: str
    text: Callable[[Standing], str]
    right: bool = False
    style: Callable[[Standing], str] = lambda standing: ""


def _verdict(s: Standing) -> str:
    if s.best is None:
        return "-"
    return s.best.verdict + (f" (best of {s.best.chosen_from})" if s.best.chosen_from else "")


def _verdict_style(s: Standing) -> str:
    return STYLES.get(s.best.verdict, "") if s.best else ""


def _result(s: Standing) -> str:
    """State and verdict in one: nobody need read that an idea with a verdict was completed."""
    if s.state is WorkState.COMPLETED:
        return s.best.verdict if s.best else "completed"
    return f"{s.state}, {s.best.verdict}" if s.best else s.state


def _result_style(s: Standing) -> str:
    return _verdict_style(s) if s.state is WorkState.COMPLETED else STYLES.get(s.state, "")


def _delta(s: Standing) -> str:
    return f"{s.best.delta:+.3g}" if s.best and s.best.delta is not None else "-"


def _baseline(s: Standing) -> str:
    return _say_baseline(s.best) if s.best and s.best.baseline is not None else "-"


def _say_baseline(best: Best) -> str:
    return " ".join(part for part in (number(best.baseline), best.reference) if part)


def _trust(s: Standing) -> str:
    return _say_trust(s.best) if s.best else "-"


def _say_trust(best: Best) -> str:
    return ("verified" if best.verified else "self-reported") + (f", {UNHELD}" if best.sandbox == "off" else "")


def _best_columns(standings: Sequence[Standing]) -> tuple[Column, Column, Column]:
    """The best run's value, its difference from the baseline, and that. One metric for all is named by the title."""
    named = {(s.best.metric, s.best.direction) for s in standings if s.best}
    one = named.pop() if len(named) == 1 else None
    title = cut(one[0], NAME_CELLS) + (" (min)" if one[1] == "lower" else "") if one else "best"

    def value(s: Standing) -> str:
        if s.best is None:
            return "-"
        return number(s.best.value) if one else f"{cut(s.best.metric, NAME_CELLS)}={number(s.best.value)}"

    delta = Column("delta", _delta, right=True, style=_verdict_style)
    return Column(title, value, right=bool(one)), delta, Column("baseline", _baseline)


def _layouts(standings: Sequence[Standing]) -> Iterator[list[Column]]:
    """The columns before the path, of the most that there is to say first."""
    value, delta, baseline = _best_columns(standings)
    state = Column("state", lambda s: s.state, style=lambda s: STYLES.get(s.state, ""))
    verdict = Column("verdict", _verdict, style=_verdict_style)
    runs = Column("runs", lambda s: f"{s.run if s.state is not WorkState.PENDING else 0}/{s.max_runs}", right=True)
    step = Column("step", lambda s: "-" if s.state in (WorkState.COMPLETED, WorkState.FAILED) else s.phase)
    trust, used = Column("trust", _trust), Column("used", lambda s: s.spent)
    together = Column("result", _result, style=_result_style)
    yield [state, verdict, runs, step, value, delta, baseline, trust, used]
    yield [state, verdict, runs, value, delta, baseline, trust]
    yield [state, verdict, runs, value, delta, baseline]
    yield [state, verdict, runs, value, delta]
    yield [together, runs, value, delta]


def lay_out(standings: Sequence[Standing], width: int | None) -> tuple[list[Text], list[str]]:
    """A head and a line for each standing, and the titles of its columns. No line is wider than `width` columns.

    The path has a line of its own below if there is no room beside it. A path is never cut: it is there to be copied.
    """
    lines: list[list[Text]] = []
    titles: list[str] = []
    for columns in _layouts(standings):
        shown = [c for c in columns if any(c.text(s) not in ("", "-") for s in standings)]
        lines, titles = _draw(shown, standings), [c.title for c in shown]
        if width is None or all(sum(map(cell_len, _plain(line))) <= width for line in lines):
            break
    return [_fold(line, width) for line in lines], titles


def _plain(line: Sequence[Text]) -> list[str]:
    return [part.plain for part in line]


def _draw(columns: Sequence[Column], standings: Sequence[Standing]) -> list[list[Text]]:
    """Lines, each in two parts: the cells and the path."""
    rows = [[settle(column.text(s)) or "-" for column in columns] for s in standings]
    widths = [max(cell_len(cell) for cell in cells) for cells in zip([c.title for c in columns], *rows, strict=True)]
    head = GAP.join(pad(c.title, wide, right=c.right) for c, wide in zip(columns, widths, strict=True))
    lines = [[Text(head + GAP, "bold"), Text("path", "bold")]]
    for row, standing in zip(rows, standings, strict=True):
        line = Text()
        for cell, column, wide in zip(row, columns, widths, strict=True):
            line.append(pad(cell, wide, right=column.right), column.style(standing)).append(GAP)
        lines.append([line, Text(standing.path)])
    return lines


def _fold(line: Sequence[Text], width: int | None) -> Text:
    cells, path = line
    if width is None or cell_len(cells.plain) + cell_len(path.plain) <= width:
        return cells + path
    if path.plain == "path":
        cells.rstrip()
        return cells
    cells.rstrip()
    return cells.append("\n    ").append(path)


def describe_best(best: Best) -> str:
    """A best run in one line: its value, its verdict, the baseline and the trust in it."""
    verdict = best.verdict + (f" as the best of {best.chosen_from}" if best.chosen_from else "")
    against = "" if best.delta is None else f", {best.delta:+.3g} from {_say_baseline(best)}"
    return f"run {best.run} {settle(best.metric)}={number(best.value)} ({verdict}{against}; {_say_trust(best)})"
