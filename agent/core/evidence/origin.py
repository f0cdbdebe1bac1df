"""Everything that a baseline's row was made by, and whether it is what is here now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["HELD", "PARTS", "Lineage", "Provenance", "compare", "say_doubt", "say_given", "say_remedy", "sum_up"]

# The parts of an origin, in the order in which differences are told. Each is a digest, or readable text.
PARTS: Final = {
    "code": "other code, or other constants",
    "sealed": "other files in sealed/",
    "files": "other files beside the experiment",
    "profile": "another profile",
    "settings": "other commands, packages or variables in template.toml",
    "data": "other data (--data)",
    "training": "other prepared data",
    "evaluation": "other prepared data for evaluation",
    "packages": "other packages",
}
# Key of a row under which its origin stands.
HELD: Final = "made_with"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is known of the making of one row."""

    # The parts that differ from what is here now, in words; empty if none does.
    differs: tuple[str, ...] = ()
    # `scientist baseline` made it and recorded its code alone, as version 0.1 did.
    incomplete: bool = False
    # It records nothing: a person put it there.
    given: bool = False

    @property
    def is_recorded(self) -> bool:
        """Whether it records all that made it."""
        return not (self.incomplete or self.given)


@dataclass(frozen=True, slots=True)
class Lineage:
    """What is known of the making of all rows of a profile."""

    # How many there are.
    rows: int = 0
    # Declared rows that are not there.
    missing: int = 0
    # Rows by each way in which they differ.
    differing: tuple[tuple[str, int], ...] = ()
    # Rows that record their code alone.
    incomplete: int = 0
    # Rows that record nothing.
    given: int = 0
    # Rows that record all that made them.
    recorded: int = 0
    # Why the declared rows cannot be named; empty if they can.
    problem: str = ""


def compare(recorded: Mapping[str, object], now: Mapping[str, str]) -> tuple[str, ...]:
    """The parts that both know and that differ, in words."""
    return tuple(
        _say(part, str(recorded[part]), now[part])
        for part in PARTS
        if part in recorded and part in now and str(recorded[part]) != now[part]
    )


def _say(part: str, there: str, here: str) -> str:
    if part in ("data", "training") and not (there and here):
        return "data (--data), where there are none here" if there else "no data (--data), where there are some here"
    if part != "packages":
        return PARTS[part]
    before, after = there.split(), here.split()
    gone = [word for word in before if word not in after] or ["none"]
    new = [word for word in after if word not in before] or ["none"]
    return f"{PARTS[part]} ({', '.join(gone)}; here {', '.join(new)})"


def sum_up(rows: Sequence[Provenance], missing: int = 0, problem: str = "") -> Lineage:
    differing = Counter(what for row in rows for what in row.differs)
    return Lineage(
        len(rows),
        missing if rows else 0,
        tuple(differing.items()),
        sum(row.incomplete and not row.differs for row in rows),
        sum(row.given and not row.differs for row in rows),
        sum(row.is_recorded for row in rows),
        problem if rows else "",
    )


def say_doubt(lineage: Lineage, *, strict: bool) -> str:
    """Why these baselines judge no run, "" if they may. strict: rows that record their code alone do not count.

    Workspaces that were launched on such rows keep their verdicts, since nothing shows that they are wrong.
    """
    rows = lineage.rows
    told = [f"{count} of {rows} baselines came of {what}" for what, count in lineage.differing]
    if lineage.missing:
        told.append(f"{lineage.missing} of the declared baselines are not made yet")
    if lineage.problem:
        told.append(f"the declared baselines cannot be told: {lineage.problem}")
    if strict and lineage.incomplete:
        told.append(f"{lineage.incomplete} of {rows} baselines record their code alone, as version 0.1 made them")
    return "; ".join(told)


def say_remedy(lineage: Lineage, command: str) -> str:
    """The way to baselines that judge runs. command: `scientist baseline` with all of its options."""
    if lineage.differing:
        return f"make them anew: {command} --redo"
    if lineage.incomplete:
        return f"make them anew: {command} --redo, or if nothing has changed since then: {command} --vouch"
    return f"make them: {command}"


def say_given(lineage: Lineage) -> str:
    """The remark that baselines must be taken on somebody's word, "" if they record what made them."""
    unsure = lineage.given + lineage.incomplete
    return f"{unsure} of {lineage.rows} baselines do not record all that made them" if unsure else ""
