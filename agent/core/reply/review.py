"""Read a reviewer's reply: its judgement of an idea, or the line at which it missed the form."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from agent.core.edit.apply import lines_of
from agent.core.model.messages import scrub
from agent.core.reply.misses import CUT, Miss, last_line
from agent.core.text.lexer import Kind, Line, find_unreadable
from agent.core.text.plain import plain_line

__all__ = ["Done", "Judgement", "Review", "read_review"]

REASON_CHARS: Final = 900
SUGGESTION_CHARS: Final = 300
SUGGESTIONS: Final = 5


class Judgement(StrEnum):
    """The judgement of a review about the idea."""

    SUPPORTED = "supported"
    REFUTED = "refuted"
    UNTESTABLE = "untestable here"
    REVISE = "revise"


@dataclass(frozen=True, slots=True)
class Review:
    """A review that could be read. `changes` are the fields of a revised idea, `line` is their place in the reply."""

    judgement: Judgement
    reason: str
    suggestions: tuple[str, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """The reviewer leaves its review as it is."""


_NAMES: Final = r"(?P<name>judge?ment|reason(?:ing)?|suggestions?|revised[ _]idea)"
# "JUDGEMENT: supported", "- **Reason:** it fell", "## 3. SUGGESTIONS:"
_LABEL: Final = re.compile(
    rf"[ \t]*(?:(?:[#>*+-]+|\d[.)])[ \t]+)*[*_#]{{0,3}}{_NAMES}[*_]{{0,3}}[ \t]*[:：][*_]{{0,3}}(?P<rest>.*)",
    re.IGNORECASE,
)
# "## Judgement", "**Reason**". Without a colon a label is a heading, or bold and alone on its line.
_HEADING: Final = re.compile(
    rf"[ \t]*(?:\#{{1,6}}[ \t]+[*_]{{0,3}}|[*_]{{2,3}}){_NAMES}[*_]{{0,3}}[ \t]*(?P<rest>)$", re.IGNORECASE
)
_WORDS: Final = r"(?:supported|refuted|untestable(?: here)?|revised?)"
# "supported"
_JUDGED: Final = re.compile(rf"({_WORDS})\b", re.IGNORECASE)
# ", or refuted" in "supported, or refuted"
_CHOICE: Final = re.compile(rf"[\s*_`]*(?:[,/|]|or\b|and\b)[\s*_`]*(?:(?:or|and)\b[\s*_`]*)?{_WORDS}\b", re.IGNORECASE)
# "?", ", but not really", " (but hardly)"
_DOUBT: Final = re.compile(r"[*_`\"' ,;(]{0,8}(?:\?|but (?:not|hardly|barely)\b)", re.IGNORECASE)
# "I am done.", "**I'm done**"
_DONE: Final = re.compile(r"[\W_]*I(?: am|['’]m) done\b(?:[\W_]*|[.,;:!–—-].*)", re.IGNORECASE)
# "...", "2. …"
_ELIDED: Final = re.compile(r"(?:\d+[.)]|[-*])?\s*(?:\.{3,}|…)\s*")
# "- add momentum", "2) stop"
_POINT: Final = re.compile(r"[ \t]*(?:[-*+•]|\d{1,2}[.)])[ \t]+(?P<text>\S.*)$")


@dataclass(frozen=True, slots=True)
class _Part:
    """The lines under one label. `line` is the label's own, 1-based."""

    line: int
    lines: tuple[str, ...]


def read_review(reply: str, *, cut: bool = False) -> Review | Done | Miss:
    """Read a review. The labels may stand in any order. If a label comes twice, the last one counts."""
    if problem := find_unreadable(reply):
        return Miss(f"your reply {problem}")
    said = lines_of(reply)
    parts = _divide(said)
    if "judgement" not in parts:
        parts = _divide(said, in_fences=True)
    lines = [line.text for line in said]
    if "judgement" not in parts:
        if not cut and any(_DONE.fullmatch(line) for line in lines):
            return Done()
        return Miss(CUT) if cut else last_line(said, "the reply ends here, and no line of it begins with JUDGEMENT:")
    if cut:
        return Miss(CUT)
    judged = _judge(parts["judgement"], lines)
    if isinstance(judged, Miss):
        return judged
    at = parts["judgement"].line
    reason = plain_line(" ".join(parts["reason"].lines)) if "reason" in parts else ""
    if not reason:
        return Miss("the judgement stands without a line that begins with REASON:", at, lines[at - 1])
    suggestions = _read_points(parts["suggestions"].lines) if "suggestions" in parts else ()
    if "revised idea" not in parts or judged is not Judgement.REVISE:
        return Review(judged, reason[:REASON_CHARS], suggestions)
    changes = _read_changes(parts["revised idea"], lines)
    if isinstance(changes, Miss):
        return changes
    return Review(judged, reason[:REASON_CHARS], suggestions, changes, parts["revised idea"].line)


def _divide(lines: Sequence[Line], *, in_fences: bool = False) -> dict[str, _Part]:
    """The parts by their labels, with the fences' own lines blank. in_fences: labels inside fences count."""
    kinds = (Kind.PROSE, Kind.CODE) if in_fences else (Kind.PROSE,)
    texts = ["" if line.kind is Kind.FENCE else line.text for line in lines]
    starts: list[tuple[str, int, str]] = []
    for index, line in enumerate(lines):
        found = _LABEL.match(line.text) or _HEADING.match(line.text) if line.kind in kinds else None
        if found:
            starts.append((_plain_name(found["name"]), index, found["rest"]))
    stops = [start for _, start, _ in starts[1:]] + [len(lines)]
    return {
        name: _Part(start + 1, (rest, *texts[start + 1 : stop]))
        for (name, start, rest), stop in zip(starts, stops, strict=False)
    }


def _plain_name(name: str) -> str:
    name = name.lower().replace("_", " ")
    if name.startswith("reason"):
        return "reason"
    return {"judgment": "judgement", "suggestion": "suggestions"}.get(name, name)


def _judge(part: _Part, lines: Sequence[str]) -> Judgement | Miss:
    said = next((line.strip(" \t*_`'\"") for line in part.lines if line.strip()), "")
    found = _JUDGED.match(said)
    if found is None or _CHOICE.match(said, found.end()) or _DOUBT.match(said, found.end()):
        words = ", ".join(Judgement)
        return Miss(f"the judgement must be one of: {words}", part.line, lines[part.line - 1])
    return next(judgement for judgement in Judgement if judgement.startswith(found[1].lower()[:6]))


def _read_points(lines: Sequence[str]) -> tuple[str, ...]:
    points: list[list[str]] = []
    for line in lines:
        if not line.strip():
            continue
        if (found := _POINT.match(line)) or not points:
            points.append([found["text"] if found else line])
        else:
            points[-1].append(line)
    texts = [plain_line(" ".join(point)) for point in points]
    return tuple(t[:SUGGESTION_CHARS] for t in texts if t.strip(" .*_").lower() not in ("none", ""))[:SUGGESTIONS]


def _read_changes(part: _Part, lines: Sequence[str]) -> Mapping[str, Any] | Miss:
    """The JSON object under REVISED IDEA, fenced or bare."""
    text = "\n".join(part.lines)
    if text.strip().strip("*_.").lower() in ("", "none", "no"):
        return {}
    start = text.find("{")
    if start < 0:
        return Miss("under REVISED IDEA stands no JSON object", part.line, lines[part.line - 1])
    try:
        raw = scrub(json.JSONDecoder(strict=False).raw_decode(text, start)[0])
    except json.JSONDecodeError as error:
        number = part.line + error.lineno - 1
        number = next(n for n in range(number, 0, -1) if lines[n - 1].strip())
        return Miss(f"this is not JSON: {error.msg}", number, lines[number - 1])
    except (ValueError, RecursionError):
        return Miss("this is not JSON that can be read", part.line, lines[part.line - 1])
    if not isinstance(raw, dict):
        return Miss("the fields are no JSON object", part.line, lines[part.line - 1])
    for name, value in raw.items():
        if isinstance(value, str) and any(_ELIDED.fullmatch(line) for line in value.split("\n")):
            return Miss(f"field {name} is abbreviated; give each field that changes whole", part.line, "REVISED IDEA:")
    return raw
