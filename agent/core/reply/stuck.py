"""Whether a refused reply shows that the same request, sent again and grown longer, would get the same reply."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from agent.core.edit.apply import lines_of
from agent.core.model.cut_reply import ends_in_loop
from agent.core.model.messages import Message
from agent.core.text.lexer import Kind
from agent.core.text.reasoning import strip_reasoning

__all__ = ["ECHO", "EXAMPLE", "LOOP", "REPEAT", "find_stuck"]

EXAMPLE: Final = "example"  # it is the example of the rules
REPEAT: Final = "repeat"  # it is the reply that was refused before
ECHO: Final = "echo"  # it says the refusal over again
LOOP: Final = "loop"  # it ends in one passage, again and again
SHORTEST: Final = 30  # characters of a line that two texts hardly share by chance
# "Line 3 of your reply, "
_QUOTED: Final = re.compile(r"\bline \d{1,6} of your reply\b", re.IGNORECASE)


def find_stuck(reply: str, past: Sequence[Message]) -> str:
    """One of these words, or "". past: the messages of the request that it answers."""
    own = strip_reasoning(reply)
    if ends_in_loop(reply):
        return LOOP
    before = [message.content for message in past if message.role == "assistant"]
    if any(_gist(reply) == _gist(text) for text in before[-2:]):
        return REPEAT
    if not before:
        return ""
    told = {line.strip() for line in past[-1].content.split("\n")}
    long = [line.strip() for line in own.split("\n") if len(line.strip()) >= SHORTEST]
    said = [line for line in long if line in told]
    is_echo = len(said) > 1 and 2 * len(said) >= len(long) and not any(line.block for line in lines_of(reply))
    return ECHO if is_echo or _QUOTED.search(own) else ""


def _gist(reply: str) -> str:
    """What a reply asks for: its code and its edits, or, if it has none, its words."""
    lines = lines_of(reply)
    code = [line.text for line in lines if line.kind not in (Kind.PROSE, Kind.REASONING)]
    return " ".join(" ".join(code).split()) or " ".join(strip_reasoning(reply).split())
