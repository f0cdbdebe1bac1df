"""Everything that status says of ideas: the table, what needs a person, remarks, and the commands to go on with."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rich.text import Text

from agent.core.journal.state import UNHELD
from agent.core.text.plain import plain_line
from agent.report.cells import wrap
from agent.report.status import Standing, WorkState
from agent.report.table import STYLES, lay_out, sort_standings

__all__ = ["count_states", "say_next", "sum_up", "survey"]

MOST_NAMES: Final = 4
MOST_REASONS: Final = 12
REASON_CHARS: Final = 600


def survey(standings: Sequence[Standing], width: int | None, where: str) -> list[Text]:
    """Lines for a terminal of `width` columns, or for a pipe (None).

    where: what a command takes for all of them, as "--all" or a folder.
    """
    table, titles = lay_out(sort_standings(standings), width)
    return [*table, *_reasons(standings, width), *_remarks(standings, width, titles), *say_next(standings, where)]


def sum_up(standings: Sequence[Standing], width: int | None, batch: str) -> list[Text]:
    """The end of a batch: how many ideas came to what, all of them, the best first, and where to look."""
    best = next((s for s in sort_standings(standings) if s.best and not s.needs_person), None)
    lines = [Text(""), Text(f"{len(standings)} ideas: {count_states(standings)}", "bold")]
    lines += survey(standings, width, batch)
    lines += [Text(f"look: scientist show {shlex.quote(best.path)}")] if best else []
    return [*lines, Text(f"{'      ' if best else 'look: '}scientist status {batch}")]


def count_states(standings: Iterable[Standing]) -> str:
    """As "2 completed, 1 paused"."""
    counts = Counter(s.state for s in standings)
    order = sorted(WorkState, key=lambda state: state not in (WorkState.COMPLETED, WorkState.FAILED))
    return ", ".join(f"{counts[state]} {state}" for state in order if counts[state])


def _reasons(standings: Sequence[Standing], width: int | None) -> Iterator[Text]:
    """Why ideas wait for a person, or have failed."""
    told = [s for s in sort_standings(standings) if s.reason and (s.needs_person or s.state is WorkState.FAILED)]
    names = Counter(s.name for s in standings)
    for s in told[:MOST_REASONS]:
        name = s.name if names[s.name] == 1 else s.path
        head = f"{name} is {s.state}: " if s.state is not WorkState.FAILED else f"{name} failed: "
        for line in wrap(head + plain_line(s.reason, REASON_CHARS), width, rest="    "):
            yield Text(line, STYLES.get(s.state, ""))
    if len(told) > MOST_REASONS:
        yield Text(f"and {len(told) - MOST_REASONS} more wait or failed")


def _remarks(standings: Sequence[Standing], width: int | None, titles: Sequence[str]) -> Iterator[Text]:
    """Each remark once, with the ideas that it is about."""
    remarks: list[tuple[str, str, Sequence[Standing]]] = []
    for doubt in sorted({s.no_verdicts for s in standings if s.no_verdicts}):
        remarks.append(("no verdicts: ", doubt, [s for s in standings if s.no_verdicts == doubt]))
    for caveat in sorted({s.caveat for s in standings if s.caveat}):
        remarks.append(("", caveat, [s for s in standings if s.caveat == caveat]))
    for control in sorted({s.control for s in standings if s.control}):
        remarks.append(("", control, [s for s in standings if s.control == control]))
    remarks += [("", s.again, [s]) for s in standings if s.again][:MOST_REASONS]
    if "trust" not in titles:
        remarks.append(("", f"run {UNHELD}", [s for s in standings if s.best and s.best.sandbox == "off"]))
        own = [s for s in standings if s.best and not s.best.verified]
        remarks.append(("", "self-reported: the run's own code measured its results", own))
    if "used" not in titles:
        remarks += [("used: ", s.spent, [s]) for s in standings if s.spent][:MOST_NAMES]
    for kind, words, about in remarks:
        if about:
            yield from map(Text, wrap(f"{_name(about, standings)}: {kind}{words}", width, rest="    "))


def _name(about: Sequence[Standing], standings: Sequence[Standing]) -> str:
    """The names of the ideas, each once, if they are few."""
    names = list(dict.fromkeys(s.name for s in about))
    if len(about) == len(standings) > MOST_NAMES:
        return f"all {len(standings)} ideas"
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def say_next(standings: Sequence[Standing], where: str) -> list[Text]:
    """The commands that go on with the ideas that nobody works on. They are not broken: they are there to be copied."""
    waiting = [s for s in standings if s.next and s.state not in (WorkState.COMPLETED, WorkState.FAILED)]
    if len(waiting) == 1:
        first, *others = waiting[0].next
        return [Text(f"next: {first}"), *(Text(f"  or: {command}") for command in others)]
    if waiting:
        return [Text(f"next: scientist resume {where} ({len(waiting)} ideas wait), or one by its path")]
    return []
