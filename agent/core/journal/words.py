"""Words of the researcher to an idea under way. They are data, and the model sees them as such."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from agent.core.text.plain import plain, plain_line

MAX_CHARS = 4000
LINE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Word:
    """One thing told. `shown_in` is the run number of the first turn that showed it to the planner."""

    id: str
    text: str
    shown_in: int | None = None


def clean(text: str) -> str:
    """The text without control characters, lone surrogates and marks that reorder a line. At most MAX_CHARS stay."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return plain(lines).strip()[:MAX_CHARS].rstrip()


def add_word(words: tuple[Word, ...], id: str, text: str) -> tuple[Word, ...]:
    """The words with one more. If its id is there already, nothing is added."""
    return words if any(word.id == id for word in words) else (*words, Word(id, text))


def mark_shown(words: tuple[Word, ...], run: int) -> tuple[Word, ...]:
    """The words, with those that are new marked as shown at this run number."""
    return tuple(replace(word, shown_in=run) if word.shown_in is None else word for word in words)


def fresh_words(words: Iterable[Word]) -> tuple[str, ...]:
    """The words that no request has held yet."""
    return tuple(word.text for word in words if word.shown_in is None)


def earlier_words(words: Iterable[Word], run: int) -> tuple[str, ...]:
    """The words that an earlier request of this run number held, each in one line of at most LINE_CHARS."""
    return tuple(plain_line(word.text, LINE_CHARS) for word in words if word.shown_in == run)


def say_word(word: Word) -> str:
    """The word in one line, with when the model saw it."""
    when = "not shown yet" if word.shown_in is None else f"shown in run {word.shown_in}"
    return f"{' '.join(word.text.split())} ({when})"
