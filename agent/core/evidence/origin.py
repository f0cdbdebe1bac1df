"""Everything that a baseline's row was made by, and whether it is what is here now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Final

__all__ = [
    "COPIED",
    "HELD",
    "MISNAMED",
    "PARTS",
    "Lineage",
    "Provenance",
    "compare",
    "find_move",
    "is_whole",
    "say_doubt",
    "say_given",
    "say_moved",
    "say_remedy",
    "sum_up",
]

# The parts of an origin, in the order in which differences are told. Each is a digest, or readable text.
PARTS: Final = {
    "code": "other code, or other constants",
    "order": "other code",
    "sealed": "other files in sealed/",
    "files": "other files beside the experiment",
    "profile": "another profile",
    "settings": "other commands, packages or variables in template.toml",
    "data": "other data (--data)",
    "training": "other prepared data",
    "evaluation": "other prepared data for evaluation",
    "read": "other data in the places of sandbox.read",
    "packages": "other packages",
    "below": "other packages, which those need",
    "device": "another kind of device",
    "precision": "another NVIDIA_TF32_OVERRIDE",
    "clock": "another machine or load, though the metric is a time or a size of memory",
}
_FOLDER: Final = frozenset({"sealed", "files", "profile", "settings"})
MOST_TOLD: Final = 6
MISNAMED: Final = "another run than the name of their file says"
COPIED: Final = "a run that another file holds too"
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
    # The machine that made it and this one, in words, if they differ.
    moved: str = ""

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
    # Declared rows that differ.
    stale: int = 0
    # Files of rows that differ and that no declared baseline makes.
    stray: tuple[str, ...] = ()
    # Rows that record their code alone.
    incomplete: int = 0
    # Rows that record nothing.
    given: int = 0
    # Rows that record all that made them.
    recorded: int = 0
    # Why the declared rows cannot be named; empty if they can.
    problem: str = ""
    # Rows by each other machine that made them.
    moved: tuple[tuple[str, int], ...] = ()


def compare(recorded: Mapping[str, object], now: Mapping[str, str]) -> tuple[str, ...]:
    """The parts that both know and that differ, in words."""
    return tuple(
        _say(part, str(recorded[part]), now[part])
        for part in PARTS
        if part in recorded and part in now and str(recorded[part]) != now[part]
    )


def is_whole(recorded: object) -> bool:
    """Whether a row records all parts that the template's folder holds."""
    return isinstance(recorded, Mapping) and recorded.keys() >= _FOLDER


def find_move(recorded: Mapping[str, object], now: Mapping[str, str]) -> str:
    """The machine that made a row and this one, in words. Empty if they are alike, or this one is not known.

    A row that names no machine is suspect if a GPU computes.
    """
    there, here = str(recorded.get("machine", "")), now.get("machine", "")
    if not there and now.get("device") == "GPU":
        there = "a machine that they do not name"
    return f"{there}, and this is {here}" if there and here and there != here else ""


def _say(part: str, there: str, here: str) -> str:
    if part in ("data", "training") and not (there and here):
        return "data (--data), where there are none here" if there else "no data (--data), where there are some here"
    if part in ("device", "clock"):
        return f"{PARTS[part]} ({there}; here {here})"
    if part not in ("packages", "below"):
        return PARTS[part]
    before, after = there.split(), here.split()
    gone = [word for word in before if word not in after]
    new = [word for word in after if word not in before]
    return f"{PARTS[part]} ({_say_some(gone)}; here {_say_some(new)})"


def _say_some(words: Sequence[str]) -> str:
    return ", ".join([*words[:MOST_TOLD], *(["..."] if words[MOST_TOLD:] else [])]) or "none"


def sum_up(known: Mapping[str, Provenance], declared: Set[str], folder: str, problem: str = "") -> Lineage:
    """What is known of all rows, by the names of their files, without ".json". declared: those of declared rows."""
    rows = known.values()
    differing = Counter(what for row in rows for what in row.differs)
    stray = () if problem else tuple(n for n, row in known.items() if row.differs and n not in declared)
    return Lineage(
        rows=len(rows),
        missing=len(declared - known.keys()) if rows else 0,
        differing=tuple(differing.items()),
        stale=sum(bool(row.differs) for row in rows) - len(stray),
        stray=tuple(f"{folder}/{name}.json" for name in stray),
        incomplete=sum(row.incomplete and not row.differs for row in rows),
        given=sum(row.given and not row.differs for row in rows),
        recorded=sum(row.is_recorded for row in rows),
        problem=problem if rows else "",
        moved=tuple(Counter(row.moved for row in rows if row.moved).items()),
    )


def say_doubt(lineage: Lineage, *, strict: bool) -> str:
    """Why these baselines judge no run, "" if they may. strict: rows that record their code alone do not count.

    Workspaces that were launched on such rows keep their verdicts, since nothing shows that they are wrong.
    """
    rows = lineage.rows
    told = [f"{count} of {rows} baselines came of {what}" for what, count in lineage.differing]
    if lineage.missing:
        are = "is" if lineage.missing == 1 else "are"
        told.append(f"{lineage.missing} of the declared baselines {are} not made yet")
    if lineage.problem:
        told.append(f"the declared baselines cannot be told: {lineage.problem}")
    if strict and lineage.incomplete:
        told.append(f"{lineage.incomplete} of {rows} baselines record their code alone, as version 0.1 made them")
    return "; ".join(told)


def say_remedy(lineage: Lineage, command: str) -> str:
    """The way to baselines that judge runs. command: `scientist baseline` with all of its options."""
    if lineage.stray:
        more = f" and {len(lineage.stray) - 1} more" if lineage.stray[1:] else ""
        away = f"move away {lineage.stray[0]}{more}, which no declared baseline makes"
        is_all = not (lineage.stale or lineage.incomplete or lineage.missing)
        return away if is_all else f"{away}; then {say_remedy(replace(lineage, stray=()), command)}"
    if lineage.stale:
        return f"make them anew: {command} --redo"
    if lineage.incomplete:
        return f"make them anew: {command} --redo, or if nothing has changed since then: {command} --vouch"
    return f"make them: {command}"


def say_given(lineage: Lineage, vouch: str) -> str:
    """The remark that verdicts rest on somebody's word, or on another machine's numbers. "" if they do not.

    vouch: the command that takes the rows on a person's word.
    """
    unsure, told = lineage.given + lineage.incomplete, list[str]()
    if unsure:
        word = f"if this template made them: {vouch}"
        told.append(f"{unsure} of {lineage.rows} baselines do not record all that made them; {word}")
    return "; ".join([*told, *filter(None, [say_moved(lineage)])])


def say_moved(lineage: Lineage) -> str:
    """The remark that other machines made the rows. "" if this one did, or if nobody knows."""
    told = [f"{count} of {lineage.rows} baselines were made on {where}" for where, count in lineage.moved]
    return "; ".join(told)
