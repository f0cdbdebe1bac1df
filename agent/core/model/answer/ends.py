"""How a reply ended, in one word for each of the many that providers have."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["BROKEN", "end_of", "is_whole"]

WORD_CHARS: Final = 60
BROKEN: Final = "broken"
# Words for a reply that is whole, in small letters.
_WHOLE: Final = frozenset(
    {"stop", "end_turn", "stop_sequence", "eos", "eos_token", "complete", "completed", "finished", "done"}
)
# Words that say nothing.
_UNSAID: Final = frozenset({"unspecified", "unknown", "none", "null", "undefined"})
# One that the provider broke off.
_BROKEN: Final = frozenset(
    {"in_progress", "pause_turn", "queued", "insufficient_system_resource", "malformed_response"}
)
# One that was withheld.
_WITHHELD: Final = frozenset(
    {
        "blocklist",
        "error_toxic",
        "guardrail_intervened",
        "image_safety",
        "language",
        "other",
        "prohibited_content",
        "recitation",
        "refusal",
        "safety",
        "sensitive",
        "spii",
    }
)
# "max_new_tokens", "model_context_window_exceeded", "token_limit", "incomplete"
_LENGTH_PARTS: Final = re.compile(r"length|max_|tokens?|limit|exceeded|window|context|truncat|incomplete|repetition")
# "content_filter_error", "policy_violation"
_WITHHELD_PARTS: Final = re.compile(r"filter|policy|moderation|unsafe|toxic")
# "engine_overloaded", "network_error", "ReadTimeout", "user_cancel"
_BROKEN_PARTS: Final = re.compile(
    r"error|abort|cancel|fail|time_?out|interrupt|overload|unavailable|shutdown|preempt|disconnect|killed"
)
# "FINISH_REASON_STOP"
_PREFIX: Final = re.compile(r"^(finish|stop)_?reason_")


def end_of(finish: str) -> str:
    """The end: "stop", "length" if the reply was cut, BROKEN, "content_filter", "" if nobody says, or the word.

    A word that is known decides, then the parts of one that is not: a reply must not pass for whole by a new word.
    """
    word = _PREFIX.sub("", finish.strip().lower().replace(" ", "_"))[:WORD_CHARS]
    if word in _WHOLE:
        return "stop"
    if word in _UNSAID:
        return ""
    if word in _BROKEN:
        return BROKEN
    if word in _WITHHELD or _WITHHELD_PARTS.search(word):
        return "content_filter"
    if _BROKEN_PARTS.search(word) and not word.endswith("limit"):
        return BROKEN
    return "length" if _LENGTH_PARTS.search(word) else word


def is_whole(finish: str) -> bool:
    """Whether the provider's word says that nothing of the reply is missing."""
    return end_of(finish) == "stop"
