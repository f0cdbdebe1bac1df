"""A model that may answer, the facts learnt about it, and the form that its requests take."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from agent.core.model.faults import Fault, FaultKind
from agent.core.model.messages import Message, Rules, normalise, stricter
from agent.core.model.own_servers import Place, ServerFacts
from agent.core.model.rules import ModelRules
from agent.core.model.tokens import LEAST_REPLY_TOKENS, count_tokens, drops_front, own_reply_tokens, room_for_reply

__all__ = ["MOST_CHANGES", "OF_ORDER", "Responder"]

# How often the request of one question is changed for a fault of one kind: for the order of its messages as often as
# there are stricter forms.
MOST_CHANGES: Final = {
    FaultKind.SEQUENCE: 2,
    FaultKind.REFUSED: 2,
    FaultKind.PARAMETER: 4,
    FaultKind.LENGTH: 1,
    FaultKind.TIMEOUT: 2,
}
# Refusals that another order of the messages may lift.
OF_ORDER: Final = (FaultKind.SEQUENCE, FaultKind.REFUSED)
# "The `reasoning_content` in the thinking mode must be passed back", "Expected `thinking` or `redacted_thinking`":
# only a request without turns of the model can pass.
_OF_REPLIES: Final = re.compile(r"reasoning_content|redacted_thinking|reasoning.{0,40}passed back", re.I)


@dataclass(slots=True)
class Responder:
    """One of the models that may answer, and the facts learnt about it."""

    # litellm's name of it.
    name: str
    # Limits, prices and parameters from settings.
    rules: ModelRules
    # The form of its message sequence. It becomes stricter if the provider refuses one.
    shape: Rules
    # Parameters that the provider refused.
    dropped: set[str] = field(default_factory=set)
    # Until then the others are asked first.
    rests_until: float = float("-inf")
    # Window that an error of the provider named.
    told_window: int | None = None
    # Tokens by which the provider's count of a prompt was above the estimate.
    surplus: int = 0
    # Characters of the last prompt, and its tokens as the provider counted them.
    counted: tuple[int, int] | None = None
    # Where it is, if it is a server of one's own.
    place: Place | None = None
    # What that server says of itself, None before it was asked.
    facts: ServerFacts | None = None
    # How often it said anything of itself.
    looks: int = 0
    # Fewest tokens of a reply that were asked for after replies took too long.
    lowered: int | None = None
    # False after a reply whose end had no reason, and neither had its rest: this provider gives none.
    names_ends: bool = True

    @property
    def window_tokens(self) -> int | None:
        """From its rules, or as its provider named it."""
        said = self.facts.window_tokens if self.facts else None
        return self.rules.window_tokens or self.told_window or said

    @property
    def reply_tokens(self) -> int | None:
        """Most tokens of a reply. A server of one's own that is told none may write to the end of its window."""
        most = self.rules.max_output_tokens
        if most is None and self.place and self.place.needs_bound:
            most = own_reply_tokens(self.window_tokens)
        return most if most is None or self.lowered is None else min(most, self.lowered)

    def is_cut(self, finish_reason: str) -> bool:
        """Whether a part of a reply with this end is missing."""
        return finish_reason == "length" or (not finish_reason and self.names_ends)

    def fit_reply(self, sent: Sequence[Message]) -> ModelRules:
        """The rules, with no longer reply asked for than the messages leave room for."""
        tokens = count_tokens(sent) + self.surplus
        most = room_for_reply(self.window_tokens, tokens, self.reply_tokens)
        return self.rules.model_copy(update={"max_output_tokens": most})

    def change(self, fault: Fault, messages: Sequence[Message]) -> bool:
        """Change the form or the parameters that were refused, and return whether the next request differs."""
        if fault.kind in OF_ORDER:
            known = Rules(system=False) if _OF_REPLIES.search(fault.text) else self.shape
            harder = stricter(known, messages)
            self.shape = harder or self.shape
            return harder is not None
        if fault.kind is FaultKind.PARAMETER:
            if self._ask_for_most(fault):
                return True
            new = {fault.parameter or "max_tokens"} - self.dropped - set(self.rules.drop_params or ())
            self.dropped |= new | ({"max_tokens"} if new else set())
            return bool(new)
        if fault.kind is FaultKind.TIMEOUT:
            return self._ask_for_half(normalise(messages, self.shape))
        return fault.kind is FaultKind.LENGTH and self._ask_for_fewer(fault, normalise(messages, self.shape))

    def _ask_for_most(self, fault: Fault) -> bool:
        """Ask for no longer replies than the provider allows, and return whether it named a length that holds one."""
        most, asked = fault.reply_tokens, self.reply_tokens
        if most is None or asked is None or not LEAST_REPLY_TOKENS <= most < asked:
            return False
        self.rules = self.rules.model_copy(update={"max_output_tokens": most})
        return True

    def _ask_for_half(self, sent: Sequence[Message]) -> bool:
        """Ask for half as long a reply as took too long, unless somebody set its length."""
        asked = self.fit_reply(sent).max_output_tokens
        if asked is None or self.rules.max_output_tokens or asked < 2 * LEAST_REPLY_TOKENS:
            return False
        self.lowered = asked // 2
        return True

    def _ask_for_fewer(self, fault: Fault, sent: Sequence[Message]) -> bool:
        """Note the window that was told, and return whether the prompt fits it with a shorter reply."""
        before = self.fit_reply(sent).max_output_tokens
        self.told_window = fault.window_tokens or self.told_window
        window = fault.window_tokens or self.window_tokens
        if before is None or window is None or "max_tokens" in self.dropped:
            return False
        if self.rules.window_tokens and window < self.rules.window_tokens:
            self.rules = self.rules.model_copy(update={"window_tokens": window})
        estimate = count_tokens(sent)
        prompt = estimate if fault.prompt_tokens is None else fault.prompt_tokens
        self.surplus = max(self.surplus, prompt - estimate)
        after = self.fit_reply(sent).max_output_tokens
        return window - prompt >= LEAST_REPLY_TOKENS and after is not None and after < before

    def note_count(self, chars: int, counted: int) -> Fault | None:
        """The fault of a server that counted so few tokens of a prompt that it must have left out its beginning."""
        if drops_front(chars, counted, self.counted):
            told = f"the server read {counted:,} of about {round(chars / 4):,} tokens of the prompt: not its beginning"
            return Fault(FaultKind.DROPPED, told)
        self.counted = (chars, counted) if counted else self.counted
        return None
