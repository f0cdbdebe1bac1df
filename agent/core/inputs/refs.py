"""Reference texts that a researcher laid beside an idea: shown within a budget, each from its beginning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.core.model.tokens import estimate_tokens

__all__ = ["REFS_TOKENS", "Reference", "shorten_refs"]

REFS_TOKENS = 2000
LEAST_CHARS = 200  # less of a text says nothing
CUT = "[the rest is left out]"


@dataclass(frozen=True, slots=True)
class Reference:
    """One file, named as it lay."""

    name: str
    text: str


def shorten_refs(refs: Sequence[Reference], budget_tokens: int) -> tuple[Reference, ...]:
    """The texts within a budget for all: short ones whole, the others cut to equal lengths. () if none has room."""
    left, kept = budget_tokens, dict[int, Reference]()
    order = sorted(range(len(refs)), key=lambda i: estimate_tokens(refs[i].text))
    for place, i in enumerate(order):
        share = left // (len(order) - place)
        cut = _cut(refs[i], share)
        if cut:
            kept[i] = cut
            left -= estimate_tokens(cut.text)
    return tuple(kept[i] for i in sorted(kept))


def _cut(ref: Reference, tokens: int) -> Reference | None:
    if estimate_tokens(ref.text) <= tokens:
        return ref
    chars = int(tokens * len(ref.text) / max(1, estimate_tokens(ref.text)))
    text = ref.text[: max(0, chars - len(CUT) - 1)].rpartition("\n")[0]
    return replace(ref, text=f"{text}\n{CUT}") if len(text) >= LEAST_CHARS else None
