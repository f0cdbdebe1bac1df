"""Definitions that a prompt shows before all others: what was asked for, where a program begins and where it trains."""

from __future__ import annotations

import re
from collections.abc import Callable

from agent.core.code.definitions import Definition, read_definitions
from agent.core.code.entry import entry_names, takes_steps
from agent.core.prompt.excerpt import Focus

__all__ = ["find_vital"]

_MOST = 40  # definitions
# "evaluate"
_WORD = re.compile(r"[A-Za-z_]\w+")


def find_vital(text: str, focus: Focus, about: str = "") -> tuple[int, ...]:
    """First lines of the vital definitions of a Python text, the most important first.

    Those are: definitions with a line in focus, the entry functions, the longest function, definitions with a name in
    focus, those that take steps of training, and those that the words of plan and idea name.

    about: these words.
    """
    known = read_definitions(text)
    if not known:
        return ()
    said, entries, near = frozenset(_WORD.findall(about)), entry_names(text), focus.asked | focus.lines
    functions = [each for each in known if not each.is_class]
    longest = max(functions, key=lambda each: len(each.body), default=None)
    ranks: tuple[Callable[[Definition], bool], ...] = (
        lambda each: bool((each.signature | each.body) & near),
        lambda each: each.name in entries,
        lambda each: each is longest,
        lambda each: each.name in focus.names and not each.name.startswith("__"),
        takes_steps,
        lambda each: each.name in said,
    )
    ordered = dict.fromkeys(each.first for holds in ranks for each in known if holds(each))
    return tuple(ordered)[:_MOST]
