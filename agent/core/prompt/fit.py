"""Prompts that fit a model's window.

If a prompt is too long, its parts are shortened or left out in this order, each only as far as it must be:

1  reference texts
2  rows of past runs, oldest first (the last stays)
3  baseline settings, first those farthest from the last run on the frontier
4  the background of the brief, from its end
5  notes.txt, except its end
6  plan items that are over, oldest first
7  helps to mend a failure beside its own text: its diff, curves, diagnostics
8  the present files, down to half of their text
9  the brief's task, from its end (it holds the rules)
10 the present files, except the definitions that matter, of which the longest is cut first

The system text, the failure and something of every present file are never left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from agent.core.edit.lines import split_lines
from agent.core.failure.folding import cut_middle
from agent.core.inputs.refs import REFS_TOKENS, shorten_refs
from agent.core.model.messages import Message
from agent.core.model.tokens import count_tokens, estimate_tokens
from agent.core.prompt.excerpt import Focus, choose_lines, render_excerpt
from agent.core.prompt.render import render_opening
from agent.core.prompt.view import Traces, TurnView

__all__ = ["budget_of", "fit", "fit_conversation", "fits", "smaller_budget"]

LEAST_FILE_CHARS: Final = 1_200
REPLY_TOKENS: Final = 8_192
TENTHS: Final = 10
SHORTER: Final = 0.9  # a told window that leaves more than this share of a refused prompt was not its fault

Render = Callable[[TurnView], list[Message]]


def budget_of(window_tokens: int | None, output_tokens: int | None = None) -> int | None:
    """Tokens of a prompt in a window, with room left for the reply, or None if no window is known.

    output_tokens: most tokens of a reply, if they are set. A prompt has half of the window all the same, because fewer
    may be asked for.
    """
    if window_tokens is None:
        return None
    reply = min(REPLY_TOKENS, window_tokens // 4) if output_tokens is None else min(output_tokens, window_tokens // 2)
    return window_tokens - reply


def fits(messages: Sequence[Message], budget_tokens: int | None) -> bool:
    return budget_tokens is None or count_tokens(messages) <= budget_tokens


def smaller_budget(budget_tokens: int | None, used_tokens: int, told_tokens: int | None) -> int:
    """The budget after a prompt of `used_tokens` was too long: that of the window that was told, else half of them."""
    used = min(used_tokens, used_tokens if budget_tokens is None else budget_tokens)
    return told_tokens if told_tokens is not None and told_tokens < SHORTER * used else used // 2


# Parts left out for a window


def fit(view: TurnView, budget_tokens: int | None, render: Render = render_opening) -> TurnView:
    """The view with just enough left out for its prompt to fit, or with every part left out that may be."""
    view = replace(view, refs=shorten_refs(view.refs, REFS_TOKENS))
    if budget_tokens is None:
        return view
    for most, shrink in _steps(view):
        if fits(render(view), budget_tokens):
            return view
        view = shrink(view, _least(view, most, shrink, budget_tokens, render))
    return view


def _least(view: TurnView, most: int, shrink: _Shrink, budget_tokens: int, render: Render) -> int:
    """The smallest amount, 1..most, with which the prompt fits, or `most` if it fits with none."""
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        if fits(render(shrink(view, middle)), budget_tokens):
            high = middle
        else:
            low = middle + 1
    return low


_Shrink = Callable[[TurnView, int], TurnView]


def _steps(view: TurnView) -> list[tuple[int, _Shrink]]:
    """Pairs (largest amount, function that leaves out an amount) in order, for the parts that are there."""
    over = [item for item in view.plan if item.number in view.state.done_items]
    return [
        (most, shrink)
        for most, shrink in (
            (TENTHS if view.refs else 0, _shorten_refs),
            (max(0, len(view.rows) - 1), _drop_rows),
            (max(0, len(view.baselines) - 1), _drop_baselines),
            (TENTHS if view.brief.background else 0, _shorten_background),
            (TENTHS if "notes.txt" in view.files or view.notes else 0, _shorten_notes),
            (len(over), _drop_items),
            (3, _drop_extras),
            (TENTHS // 2 if view.files else 0, _shorten_files),
            (TENTHS if view.brief.task else 0, _shorten_brief),
            (TENTHS if view.files else 0, _shorten_files),
        )
        if most
    ]


def _shorten_refs(view: TurnView, tenths: int) -> TurnView:
    total = sum(estimate_tokens(ref.text) for ref in view.refs)
    return replace(view, refs=shorten_refs(view.refs, total * (TENTHS - tenths) // TENTHS))


def _leave_out(view: TurnView, what: str, count: int) -> dict[str, int]:
    return view.left_out | {what: count}


def _drop_rows(view: TurnView, count: int) -> TurnView:
    return replace(view, rows=view.rows[count:], left_out=_leave_out(view, "rows", count))


def _drop_baselines(view: TurnView, count: int) -> TurnView:
    """The view without `count` baseline rows: first those farthest from the last run on the frontier.

    Without a frontier or a run on it, rows go from the end, because the first baseline is the reference.
    """
    rows = view.baselines
    at = next((v.row.values.get(view.spec.frontier) for v in reversed(view.rows) if v.row.completed), None)
    if view.spec.frontier and at and at > 0:
        far = sorted(range(len(rows)), key=lambda i: _log_distance(rows[i].means.get(view.spec.frontier), at))
    else:
        far = list(range(len(rows)))
    kept = sorted(far[: len(rows) - count])
    return replace(view, baselines=tuple(rows[i] for i in kept), left_out=_leave_out(view, "baselines", count))


def _log_distance(value: float | None, at: float) -> float:
    return abs(math.log(value / at)) if value is not None and value > 0 else math.inf


def _shorten_background(view: TurnView, tenths: int) -> TurnView:
    return replace(view, brief=replace(view.brief, background=_cut_end(view.brief.background, tenths)))


def _shorten_brief(view: TurnView, tenths: int) -> TurnView:
    return replace(view, brief=replace(view.brief, task=_cut_end(view.brief.task, tenths)))


def _cut_end(text: str, tenths: int) -> str:
    kept = text[: len(text) * (TENTHS - tenths) // TENTHS].rpartition("\n")[0]
    return f"{kept}\n\n[The rest is left out.]" if kept else ""


def _shorten_notes(view: TurnView, tenths: int) -> TurnView:
    if "notes.txt" not in view.files:
        return replace(view, notes=view.notes[len(view.notes) * tenths // TENTHS :].partition("\n")[2])
    count = len(split_lines(view.files["notes.txt"]).text)
    first = max(1, count * tenths // TENTHS + 1) if tenths < TENTHS else max(1, count - 4)
    if first == 1:
        return view
    return replace(view, shown=view.shown | {"notes.txt": ((first, count),) if first <= count else ()})


def _drop_items(view: TurnView, count: int) -> TurnView:
    return replace(view, left_out=_leave_out(view, "items", count))


def _drop_extras(view: TurnView, count: int) -> TurnView:
    view = replace(view, traces=Traces(curves=view.traces.curves if count == 1 else ()))
    return replace(view, texts=replace(view.texts, failed_diff="")) if count > 2 else view


def _shorten_files(view: TurnView, tenths: int) -> TurnView:
    shown = dict(view.shown)
    for name, text in view.files.items():
        if name == "notes.txt":
            continue
        now = len(render_excerpt(text, shown.get(name, ())))
        room = max(LEAST_FILE_CHARS, now * (TENTHS - tenths) // TENTHS)
        if room < now:
            shown[name] = choose_lines(name, text, view.focus.get(name, Focus()), room, fill=True)
    return replace(view, shown={name: ranges for name, ranges in shown.items() if ranges})


def fit_conversation(messages: Sequence[Message], budget_tokens: int | None) -> list[Message]:
    """A conversation without its oldest exchanges after the opening, then with the middle of its last reply cut.

    The first message or two (system, user), the last reply and the answer to it stay.
    """
    kept = list(messages)
    opening = next((i for i, m in enumerate(kept) if m.role == "user"), 0) + 1
    while not fits(kept, budget_tokens) and len(kept) - opening > 2:
        del kept[opening : opening + 2]
    if not fits(kept, budget_tokens) and len(kept) - opening == 2:
        reply = kept[opening]
        over = count_tokens(kept) - (budget_tokens or 0)
        room = max(400, len(reply.content) - 3 * over)
        kept[opening] = Message(reply.role, cut_middle(reply.content, room))
    return kept
