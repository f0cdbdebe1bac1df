"""Excerpts of a Python file: whole definitions that matter, and only the signatures of the others.

As far as the room goes, module docstring, imports, constants and all other lines outside definitions are shown. Then
come the vital definitions (vital.py), those in focus, their callers and callees and, with `fill`, those whose words are
nearest to the plan. If not all vital ones have room, the longest is shown by its head. A comment stands for the lines
left out: `# ... 12 lines not shown (30-41) ...`. If both halves of a block hold that comment, it stands for these
lines. Alone in a REPLACE it is refused as a placeholder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.core.code.definitions import Definition, read_definitions
from agent.core.edit.lines import split_lines
from agent.core.edit.seen import Ranges, lines_of, ranges_of

__all__ = [
    "Focus",
    "changed_lines",
    "choose_lines",
    "find_focus",
    "needed_chars",
    "quoted_lines",
    "render_excerpt",
]

_LEAST_TRIED = 20  # definitions that are tried for room, and more of them if they have few lines
_MOST_LINES = 400_000
_SHORTEST_GAP = 3  # a shorter one takes as much room as its marker
_WINDOW = 8  # lines around one in focus, if its definition has no room
_TOP_SHARE = 2
_MARKER_CHARS = 52
_QUOTED_CHARS = 12
_LINES, _NAMED, _NEAR = 1000.0, 800.0, 400.0  # how much a definition matters: it has a line in focus, its name, a call
# "lr_decay", "AdamW"
_WORD = re.compile(r"[A-Za-z_]\w+")
# "Momentum" and "Helps" in "MomentumHelps"
_PART = re.compile(r"[A-Z]?[a-z]{3,}|[A-Z]{3,}")
_COMMON = frozenset(
    ["the", "and", "for", "with", "that", "this", "from", "self", "return", "float", "int", "none", "def"]
)
# "@@ -12,3 +14,7 @@ def train():"
_HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,\d+)? @@")


@dataclass(frozen=True, slots=True)
class Focus:
    """Places of a file that matter at a turn: 1-based lines, names of definitions, and words of a plan or an idea.

    asked: lines that the model asked to see. vital: first lines of the definitions that are shown before all others, in
    that order.
    """

    lines: frozenset[int] = frozenset()
    names: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    asked: frozenset[int] = frozenset()
    vital: tuple[int, ...] = ()


def find_focus(
    name: str, text: str, *, told: Iterable[str] = (), changed: Iterable[int] = (), about: str = ""
) -> Focus:
    """The focus of one file.

    told: tracebacks and findings.
    changed: lines of the failed edit.
    about: words of plan and idea.
    """
    lines, names = set(changed), set()
    # 'File "experiment.py", line 12, in train', "experiment.py:12"
    place = re.compile(rf"(?:^|[\s(\"'/]){re.escape(name)}(?::|\", line )(\d{{1,7}})\b(?:,? in (\w+))?", re.MULTILINE)
    for said in told:
        for found in place.finditer(said):
            lines.add(int(found[1]))
            names |= {found[2]} if found[2] else set()
        # "'momentum'", "train()"
        names |= {*re.findall(r"['\"`](\w+)['\"`]", said), *re.findall(r"\b(\w+)\(\)", said)}
    count = len(split_lines(text).text)
    names |= {word for word in _WORD.findall(about) if "_" in word or not word.islower()}
    names |= {*re.findall(r"`(\w+)(?:\(\))?`", about), *re.findall(r"\b(\w+)\(\)", about)}
    words = {part.lower() for part in _PART.findall(about)} - _COMMON
    return Focus(frozenset(n for n in lines if 0 < n <= count), frozenset(names), frozenset(words))


def changed_lines(diff: str, name: str) -> frozenset[int]:
    """Lines of the new side of a unified diff that it added, or that follow lines it took out."""
    found: set[int] = set()
    number, inside = 0, False
    for line in diff.split("\n"):
        hunk = _HUNK.match(line)
        if line.startswith("diff --git"):
            inside, number = False, 0
        elif line.startswith("+++ ") and not number:
            inside = line.removeprefix("+++ ").strip('"').removeprefix("b/").rstrip("\t") == name
        elif hunk:
            number = int(hunk[1])
        elif inside and number and line.startswith("-"):
            found.add(max(1, number))
        elif inside and number and not line.startswith("\\"):
            found |= {number} if line.startswith("+") else set()
            number += 1
    return frozenset(found)


def quoted_lines(text: str, said: str) -> frozenset[int]:
    """Lines of a text that `said` quotes as lines of its own. Short ones may be there by chance and do not count."""
    quoted = {line.strip() for line in said.split("\n") if len(line.strip()) >= _QUOTED_CHARS}
    return frozenset(n for n, line in enumerate(split_lines(text).text, start=1) if line.strip() in quoted)


def choose_lines(name: str, text: str, focus: Focus, max_chars: int, *, fill: bool) -> Ranges:
    """The lines to show in about `max_chars` characters, or () if all of them are shown.

    fill: show further definitions, the nearest to the focus first, while there is room.
    """
    lines = split_lines(text).text
    units = read_definitions(text) if name.endswith(".py") else None
    if units is None:
        return _windows(lines, focus, max_chars) if len(text) > max_chars else ()
    shown = _outside(units, len(lines))
    vital = _vital_units(units, focus)
    if _cost(lines, shown) > max_chars:
        return _squeeze(lines, shown, vital, focus, max_chars) if vital else _windows(lines, focus, max_chars)
    for unit in vital:
        grown = shown | unit.body
        shown = grown if _cost(lines, grown) <= max_chars else _grow(lines, shown, _in_order(unit, focus), max_chars)
    scores = _score(units, focus, lines)
    for unit in sorted(units, key=lambda u: -scores[u])[: max(_LEAST_TRIED, _MOST_LINES // len(lines))]:
        if scores[unit] < _NEAR and not fill:
            break
        grown = shown | unit.body
        if _cost(lines, grown) <= max_chars:
            shown = grown
        elif scores[unit] >= _LINES:
            near = {j for i in focus.lines for j in range(i - _WINDOW, i + _WINDOW + 1) if j in unit.body}
            shown = shown | near if _cost(lines, shown | near) <= max_chars else shown
    shown = _without_short_gaps(lines, shown)
    return ranges_of(shown) if len(shown) < len(lines) else ()


def needed_chars(name: str, text: str, focus: Focus) -> int:
    """Characters that all vital definitions and all lines outside definitions take."""
    lines = split_lines(text).text
    units = read_definitions(text) if name.endswith(".py") else None
    if not units:
        return 0
    return _cost(lines, _outside(units, len(lines)).union(*(unit.body for unit in _vital_units(units, focus))))


def _outside(units: Sequence[Definition], count: int) -> set[int]:
    """The lines outside bodies of definitions."""
    return set(range(1, count + 1)) - {i for unit in units for i in unit.body}


def _vital_units(units: Sequence[Definition], focus: Focus) -> list[Definition]:
    """In their order, but the longest comes last, because it is the one to be shown in part."""
    at = {unit.first: unit for unit in units}
    found = [at[first] for first in focus.vital if first in at]
    longest = max(found, key=lambda unit: len(unit.body), default=None)
    return sorted(found, key=lambda unit: unit is longest)


def _in_order(unit: Definition, focus: Focus) -> list[int]:
    """The lines of a definition in the order in which they matter: signature, lines around the focus, body."""
    own = unit.signature | unit.body
    near = [
        j for i in sorted((focus.lines | focus.asked) & own) for j in range(i - _WINDOW, i + _WINDOW + 1) if j in own
    ]
    return [*sorted(unit.signature), *near, *sorted(unit.body)]


def _grow(lines: Sequence[str], shown: set[int], order: Iterable[int], max_chars: int) -> set[int]:
    """The lines shown and further ones in order, as far as the room goes."""
    left = max_chars - _cost(lines, shown) - 3 * _MARKER_CHARS
    grown = set(shown)
    for number in order:
        if number not in grown:
            left -= len(lines[number - 1]) + 1
            if left < 0:
                break
            grown.add(number)
    return grown


def _squeeze(
    lines: Sequence[str], outside: set[int], vital: Sequence[Definition], focus: Focus, max_chars: int
) -> Ranges:
    """The lines to show if there is no room for all lines outside definitions.

    Those are the lines in focus, the first lines outside definitions in a part of the room, because constants stand
    there, and the vital definitions.
    """
    shown = _grow(lines, set(), [*sorted(focus.lines), *sorted(outside)], max_chars // _TOP_SHARE)
    order = [i for unit in vital for i in _in_order(unit, focus)]
    order += [j for d in range((len(lines) + 1) // 2) for j in (1 + d, len(lines) - d)]
    shown = _without_short_gaps(lines, _grow(lines, shown, order, max_chars))
    return ranges_of(shown) if shown and len(shown) < len(lines) else _windows(lines, focus, max_chars)


def render_excerpt(text: str, ranges: Ranges) -> str:
    """The lines of the ranges, with a comment for the lines between them. () shows all lines."""
    if not ranges:
        return text
    lines = split_lines(text).text
    parts: list[str] = []
    done = 0
    for first, last in (*ranges, (len(lines) + 1, len(lines))):
        if first > done + 1:
            number = first - done - 1
            said = f"{done + 1}-{first - 1}" if number > 1 else f"{first - 1}"
            indent = _indent_at(lines, done)
            parts.append(f"{indent}# ... {number} line{'s' if number > 1 else ''} not shown ({said}) ...")
        parts += lines[first - 1 : last]
        done = last
    return "\n".join(parts) + "\n"


def _indent_at(lines: Sequence[str], first: int) -> str:
    """The indent of the first line with text from an index on: a marker inside a body looks like a part of it."""
    line = next((line for line in lines[first:] if line.strip()), "")
    return line[: len(line) - len(line.lstrip())]


def _score(units: Sequence[Definition], focus: Focus, lines: Sequence[str]) -> dict[Definition, float]:
    """Weights of definitions: lines or a name in focus count most, then a call from or to one of those, then words."""
    direct: dict[Definition, float] = {}
    for unit in units:
        named = unit.name in focus.names and not unit.name.startswith("__")
        direct[unit] = _LINES if (unit.signature | unit.body) & focus.lines else _NAMED if named else 0.0
    chosen = {u.name for u, score in direct.items() if score}
    owners = {u.owner for u, score in direct.items() if score and u.owner}
    used = {name for u, score in direct.items() if score for name in u.uses}
    scores: dict[Definition, float] = {}
    for unit, score in direct.items():
        is_near = bool(unit.uses & chosen) or (unit.name in used and not unit.name.startswith("__"))
        is_near = is_near or (unit.name == "__init__" and unit.owner in owners)  # its attributes come from there
        scores[unit] = score or (_NEAR if is_near and chosen else 0.0)
        if not scores[unit] and focus.words:
            text = " ".join(lines[unit.first - 1 : unit.last])
            parts = [part.lower() for part in _PART.findall(text)]
            scores[unit] = min(_NEAR - 1, 100.0 * len(focus.words & set(parts)) / (10 + len(set(parts))))
    best: dict[str, float] = {}
    for unit in units:
        best[unit.owner] = max(scores[unit], best.get(unit.owner, 0.0))
    for unit in units:  # a class's methods are read with the attributes that its constructor set
        if unit.name == "__init__" and scores[unit] < _NEAR:
            scores[unit] = min(_NEAR - 1, best[unit.owner])
    return scores


def _cost(lines: Sequence[str], shown: set[int]) -> int:
    """Characters of the lines shown, of those in short gaps, and of a marker for every other gap."""
    chars = gap = gap_chars = 0
    for number, line in enumerate((*lines, ""), start=1):
        if number not in shown and number <= len(lines):
            gap += 1
            gap_chars += len(line) + 1
        else:
            chars += (gap_chars if gap < _SHORTEST_GAP else _MARKER_CHARS) if gap else 0
            chars += len(line) + 1
            gap = gap_chars = 0
    return chars - 1  # the end, which is no line


def _without_short_gaps(lines: Sequence[str], shown: set[int]) -> set[int]:
    hidden = ranges_of(number for number in range(1, len(lines) + 1) if number not in shown)
    return shown | lines_of((a, b) for a, b in hidden if b - a + 1 < _SHORTEST_GAP)


def _windows(lines: Sequence[str], focus: Focus, max_chars: int) -> Ranges:
    """The lines around those in focus, then the top and the end of the file, as far as the room goes."""
    wanted = sorted(focus.lines) or [1]
    order = [j for d in range(_WINDOW + 1) for i in wanted for j in ((i - d, i + d) if d else (i,))]
    half = (len(lines) + 1) // 2
    order += [j for d in range(half) for j in (1 + d, len(lines) - d)]
    shown: set[int] = set()
    left = max_chars - 3 * _MARKER_CHARS
    for number in order:
        if 0 < number <= len(lines) and number not in shown:
            left -= len(lines[number - 1]) + 1
            if left < 0 and shown:
                break
            shown.add(number)
    shown = _without_short_gaps(lines, shown)
    return ranges_of(shown) if len(shown) < len(lines) else ()
