"""Expectations of a plan item: its labelled parts, the comparison in them, and whether a run met it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["Comparison", "Labels", "Reading", "begins_label", "headline", "measure", "read_comparison", "read_labels"]

FIELD_CHARS: Final = 400

_MARKS: Final = r"[*_`]{0,3}"
_WORDS: Final = {
    "hypothesis": r"hypothes[ei]s",
    "expected": r"expect(?:s|ed|ation|ations)?(?:[ ](?:metric|effect|result|outcome|size|change))*",
    "refuted_if": r"(?:refuted|refutation|falsified)(?:[ ](?:if|by|when))?",
}
# "Hypothesis: ", "- **Expected:** ", ", refuted if ". A label ends in a colon. "expect" and "refuted" also stand
# without one if they begin a clause.
_LABEL: Final = re.compile(
    rf"(?:(?P<clause>^|[;|\n])|(?<![\w]))[ \t]{{0,40}}(?:[-*+•][ \t]{{1,40}})?{_MARKS}"
    rf"(?:{'|'.join(f'(?P<{name}>{words})' for name, words in _WORDS.items())})"
    rf"(?![\w]){_MARKS}[ \t]*(?P<colon>[:：])?{_MARKS}[ \t]*",
    re.IGNORECASE,
)
# "\n- ", "\n2. ", an empty line
_NEXT_POINT: Final = re.compile(r"\n[ \t]*(?:[-*+•]|\d+[.)])[ \t]|\n[ \t]*\n")


@dataclass(frozen=True, slots=True)
class Labels:
    """The labelled parts of a plan item in its own words, "" for one that it lacks."""

    hypothesis: str = ""
    expected: str = ""
    refuted_if: str = ""


def read_labels(text: str) -> Labels:
    """Find "Hypothesis:", "Expected:" and "Refuted if:", on lines and sub-points of their own or in one line."""
    text = _BLANKS.sub(" ", text)
    found = [m for m in _LABEL.finditer(text) if _is_label(m)]
    parts: dict[str, str] = {}
    for index, label in enumerate(found):
        stop = found[index + 1].start() if index + 1 < len(found) else len(text)
        body = text[label.end() : stop]
        point = _NEXT_POINT.search(body)
        value = " ".join(body[: point.start() if point else None].split()).strip(" *_`;|-").removesuffix(".")
        name = next(name for name in _WORDS if label[name])
        parts.setdefault(name, value[:FIELD_CHARS])
    return Labels(**parts)


def headline(text: str) -> str:
    """The change that a plan item asks for: its words before the first label, in one line."""
    text = _BLANKS.sub(" ", text)
    first = next((m.start() for m in _LABEL.finditer(text) if _is_label(m)), len(text))
    words = " ".join(text[:first].replace("*", "").split()).rstrip(" ;|-,").removesuffix(".")
    return words or " ".join(text.split())


def begins_label(line: str) -> bool:
    """Whether a line opens with one of the labels and its colon."""
    found = _LABEL.match(line)
    return found is not None and bool(found["colon"])


def _is_label(found: re.Match[str]) -> bool:
    return bool(found["colon"]) or (found["clause"] is not None and not found["hypothesis"])


@dataclass(frozen=True, slots=True)
class Comparison:
    """A claim `metric` `sign` `value`. relative: the value is a change of a reference, not a place on the scale."""

    metric: str
    sign: str
    value: float
    relative: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """Whether a run met a comparison. `bound` is the value it was held against, `margin` >= 0 by how much.

    reference: the name of the value that the change is measured from, "" if the comparison is no change.
    """

    comparison: Comparison
    measured: float
    bound: float
    met: bool
    reference: str = ""

    @property
    def margin(self) -> float:
        return abs(self.measured - self.bound)


_NUMBER: Final = r"(?:\d+(?:\.\d+)?|\.\d+)(?:e[-+]?\d+)?"
_SIGNS: Final = {
    ">=": r">=|=>|≥|≧|(?:of[ ])?at[ ]least|not?[ ](?:less|lower)[ ]than|not[ ]below",
    "<=": r"<=|=<|≤|≦|(?:of[ ])?at[ ]most|not?[ ](?:more|higher|greater)[ ]than|not[ ]above|up[ ]to",
    ">": r">|above|over|exceed(?:s|ing)?|(?:more|greater|higher|larger)[ ]than",
    "<": r"<|below|under|(?:less|lower|fewer|smaller)[ ]than",
}
_BARE_WORDS: Final = r"(?:(?:is|are|be|stays?|remains?|ends?|rises?|falls?|changes?|improves?|drops?|by|to|of|at)[ ])*"
# " >= 0.6", ": at least 40", " +0.02 over the baseline", " rises by 0.1 or more"
_COMPARISON: Final = re.compile(
    rf"[ ]{{0,2}}(?::|=(?!=|<|>))?[ ]{{0,2}}{_BARE_WORDS}"
    rf"(?:(?:{'|'.join(f'(?P<s{n}>{words})' for n, words in enumerate(_SIGNS.values()))})[ ]{{0,2}})?"
    rf"(?P<change>[+±−-])?[ ]?(?P<number>{_NUMBER})(?P<unit>[ ]?(?:%|percent|pp\b|x\b|×|times))?"
    rf"(?P<tail>[ ]or[ ](?:more|less|better|higher|lower|fewer))?"
    r"(?:[ ](?:(?P<over>above|over|higher|better|more)|(?P<under>below|under|lower|less))(?:[ ]than)?"
    r"[ ](?:(?:the|a|its|our)[ ])?(?:best[ ])?(?:baseline|bar\b|frontier|reference|last|previous|run\b))?",
    re.IGNORECASE,
)
# "**", "`"
_EMPHASIS: Final = re.compile(r"[*`_]{2,}|[*`]")
# Runs are cut short, so that no pattern tries them from each of their places.
# "  "
_BLANKS: Final = re.compile(r"[ \t]{2,}")
# "   "
_SPACES: Final = re.compile(r" {3,}")
_TAILS: Final = {"more": ">=", "higher": ">=", "less": "<=", "lower": "<=", "fewer": "<="}


def read_comparison(text: str, metrics: Collection[str], default: str = "") -> Comparison | None:
    """The first comparison of a known metric with a number: "f1 >= 0.6", "f1 +0.02", "L0 below 40".

    default: the metric that is meant if the text begins with the comparison. None if nothing can be read for certain,
    as from percentages, factors and values without a relation.
    """
    plain = _SPACES.sub("  ", _EMPHASIS.sub("", text))
    for name in sorted(metrics, key=len, reverse=True):
        # "val_loss", read as "val loss" and "val-loss" too
        words = r"[ _-]".join(map(re.escape, re.split(r"[ _-]", name)))
        for place in re.finditer(rf"(?<![\w.]){words}(?![\w])", plain, re.IGNORECASE):
            found = _COMPARISON.match(plain, place.end())
            if comparison := found and _to_comparison(name, found):
                return comparison
    found = _COMPARISON.match(plain) if default else None
    return _to_comparison(default, found) if found else None


def _to_comparison(metric: str, found: re.Match[str]) -> Comparison | None:
    if found["unit"] or found["change"] == "±" or (found["under"] and not found["change"]):
        return None
    sign = next((s for n, s in enumerate(_SIGNS) if found[f"s{n}"]), "")
    tail = found["tail"].split()[-1].lower() if found["tail"] else ""
    change = found["change"] or ""
    value = float(found["number"]) * (-1 if change in ("-", "−") else 1)
    relative = change == "+" or (change != "" and not sign) or found["over"] is not None
    sign = sign or _TAILS.get(tail, "") or ((">=" if value > 0 else "<=") if relative else "")
    return Comparison(metric, sign, value, relative) if sign else None


def measure(
    comparison: Comparison, values: Mapping[str, float], reference: float | None, name: str = ""
) -> Reading | None:
    """Compare a run with an expectation. A change is measured from the value `reference`, called `name`.

    None if the run lacks the metric, or the reference is not known.
    """
    value = values.get(comparison.metric)
    if value is None or (comparison.relative and reference is None):
        return None
    bound = comparison.value + (reference or 0.0 if comparison.relative else 0.0)
    slack = 1e-9 * max(abs(bound), abs(value))
    match comparison.sign:
        case ">=":
            met = value >= bound - slack
        case ">":
            met = value > bound + slack
        case "<=":
            met = value <= bound + slack
        case _:
            met = value < bound - slack
    return Reading(comparison, value, bound, met, name if comparison.relative else "")
