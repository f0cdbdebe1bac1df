"""Files shown whole, or in part by the definitions that matter.

Files are shown whole as long as prompt and reply fit a quarter of the model's window. Larger ones are shown in part.
So is a file at the first repair of a failure that names its lines. No vital definition (vital.py) is left out for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from agent.core.edit.lines import split_lines
from agent.core.edit.seen import Ranges, lines_of, ranges_of
from agent.core.failure.diagnose import FailureKind
from agent.core.inputs.refs import REFS_TOKENS, shorten_refs
from agent.core.journal.kinds import Purpose
from agent.core.model.tokens import count_tokens, estimate_tokens
from agent.core.prompt.excerpt import Focus, choose_lines, find_focus, needed_chars, quoted_lines, render_excerpt
from agent.core.prompt.fit import REPLY_TOKENS
from agent.core.prompt.render import render_opening
from agent.core.prompt.view import TurnView, shown_files
from agent.core.prompt.vital import find_vital

__all__ = ["FILE_CHARS", "room_of", "show_parts"]

FILE_CHARS: Final = 12_000  # a file of at most so many is always shown whole, but for a first repair
FIX_LINES: Final = 150  # a file with more lines is shown in part if a failure names those that matter
FIX_CHARS: Final = 8_000
WORTH: Final = 0.75  # an excerpt longer than this share of its file saves too little for what it hides
ASKED_CHARS: Final = 24_000  # of a file that is shown because the model asked for it
USUAL_WINDOW: Final = 65_536  # tokens, if a model's own window is unknown
MOST_TOKENS: Final = 32_768  # of prompt and reply, for whole files


def room_of(window_tokens: int | None) -> int:
    """Tokens of a prompt that shows files whole: with a reply they fit a quarter of the window."""
    share = min((window_tokens or USUAL_WINDOW) // 4, MOST_TOKENS)
    return share - min(REPLY_TOKENS, share // 4)


def show_parts(
    view: TurnView, changed: Mapping[str, frozenset[int]] | None = None, window_tokens: int | None = None
) -> TurnView:
    """The view with large files, and in a repair of code the failing file, shown by the definitions that matter.

    changed: lines of the files that the failed edit touched. window_tokens: of the model; None if nobody knows.
    """
    focus = {
        name: _focus(view, name, text, (changed or {}).get(name, frozenset())) for name, text in view.files.items()
    }
    room = _room_for_files(view, window_tokens)
    own = shown_files(view.state.stage, view.spec)
    shown = {
        name: _choose(view, name, text, focus[name], room) if name in own else _only_asked(text, view.asked[name])
        for name, text in view.files.items()
    }
    return replace(view, focus=focus, shown={name: ranges for name, ranges in shown.items() if ranges})


def _room_for_files(view: TurnView, window_tokens: int | None) -> float:
    """The share of each file's characters that may be shown, from the room that the rest of the prompt leaves."""
    wanted = sum(estimate_tokens(text) for text in view.files.values())
    if max(map(len, view.files.values()), default=0) <= FILE_CHARS:
        return 1.0
    rest = replace(view, files={}, shown={}, refs=shorten_refs(view.refs, REFS_TOKENS))
    left = room_of(window_tokens) - count_tokens(render_opening(rest))
    return min(1.0, max(0.0, left / wanted))


def _only_asked(text: str, asked: Ranges) -> Ranges:
    """The lines of a file that is shown because the model asked for them, () for all."""
    found = _first_asked(text, asked)
    return ranges_of(found) if len(found) < len(split_lines(text).text) else ()


def _first_asked(text: str, asked: Ranges) -> frozenset[int]:
    """The first of the lines that the model asked for, as far as there is room."""
    lines = split_lines(text).text
    found, left = set[int](), ASKED_CHARS
    for number in sorted(lines_of(asked)):
        left -= len(lines[number - 1]) + 1 if number <= len(lines) else left
        if left < 0:
            break
        found.add(number)
    return frozenset(found)


def _focus(view: TurnView, name: str, text: str, changed: frozenset[int]) -> Focus:
    changed |= quoted_lines(text, view.texts.instruction)
    item = view.due.text if view.due else ""
    failures = (view.state.run.failure, view.code_failure)
    told = [f"{f.summary}\n{f.detail}" for f in failures if f and f.kind is not FailureKind.EDIT]
    idea = " ".join(str(value) for value in view.idea.details().values())
    about = view.texts.instruction or f"{item}\n{idea}"
    found = find_focus(name, text, told=[*told, view.texts.instruction], changed=changed, about=about)
    asked = _first_asked(text, view.asked.get(name, ()))
    names = found.names | ({view.function} if view.function else set())
    found = replace(found, names=names, asked=asked)
    return replace(found, vital=find_vital(text, found, about)) if name.endswith(".py") else found


def _choose(view: TurnView, name: str, text: str, focus: Focus, share: float) -> Ranges:
    """The lines of a file to show. Those around a failure suffice for its first repair, and then all are shown again.

    A failure that came twice was not understood from a part.
    """
    if _may_be_short(view) and name.endswith(".py") and len(split_lines(text).text) > FIX_LINES and focus.lines:
        room = max(FIX_CHARS, needed_chars(name, text, focus))
        ranges = choose_lines(name, text, focus, room, fill=False)
        if ranges and len(render_excerpt(text, ranges)) <= WORTH * len(text):
            return ranges
    if len(text) <= FILE_CHARS or share >= 1.0 or name == "notes.txt":
        return ()
    room = max(FILE_CHARS, int(share * len(text)), needed_chars(name, text, focus))
    return choose_lines(name, text, focus, room, fill=True)


def _may_be_short(view: TurnView) -> bool:
    """Whether lines in focus suffice: for an editor's instruction, and for the first repair of a failure of code."""
    if view.purpose is Purpose.EDIT:
        return True
    mends = view.purpose is Purpose.FIX and view.state.run.repeats < 2 and not view.restored
    return mends and view.state.run.failure is not None and not view.state.run.failure.is_edit
