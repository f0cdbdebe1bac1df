"""A language model behind litellm that waits, changes its request, or turns to another model, until one answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import tenacity

from agent.core.model.cut_reply import ask_for_less, ask_for_rest, ask_for_text, ends_in_loop, has_answer, join_rest
from agent.core.model.faults import Fault, FaultAction, FaultKind, advice
from agent.core.model.messages import Message, normalise, rules_for
from agent.core.model.own_servers import place_of
from agent.core.model.responder import MOST_CHANGES, OF_ORDER, Responder
from agent.core.model.rules import DEFAULT_TIMEOUT_S, RuleTable
from agent.core.text.redact import Redactor
from agent.edges.model.call import Answer, Call, CallFailed
from agent.edges.model.litellm_table import known_window
from agent.edges.model.patience import TELL_EVERY_S, TOLD_WAIT_S, TURN_S, Effort, ProviderPatience
from agent.edges.model.protocol import ModelReply, Request
from agent.edges.model.throttle import Held, Throttle
from agent.edges.model.wire.own_server import look_at
from agent.errors import BudgetSpent, ContextTooLong, ProviderError, ProviderRefused, ProviderUnavailable

SHORTEST_TIMEOUT_S = 10.0
REST_S = 900.0
# Faults that belong to this question alone.
OF_THIS_TEXT = frozenset({FaultKind.LENGTH, FaultKind.CONTENT, FaultKind.CUT})
ROUND_S = 30.0
REASON_CHARS = 200  # of the reason for a wait
# Replies without text that one question is paid for.
MOST_TEXTLESS = 3
# Answers of no use for one question that were billed: a provider that spoils each is not paid all night.
MOST_WASTED = 20
# Requests of one question that a server of one's own does not end in time: what it writes has no end.
MOST_TIMEOUTS = 3
# At a server of one's own that says of no window.
MOST_LOOKS = 5
TEXTLESS = frozenset({FaultKind.GARBLED, FaultKind.NO_TEXT})


class LiteLLMModel:
    """Any model that litellm can reach, with the keys that it finds in the environment, and those to fall back on.

    litellm itself retries nothing. A model that could not answer is asked after the others for REST_S: each idea finds
    that out for itself.
    """

    takes_files = False

    def __init__(
        self,
        name: str,
        patience: ProviderPatience,
        *,
        fallbacks: Sequence[str] = (),
        table: RuleTable | None = None,
        throttle: Throttle | None = None,
        redact: Redactor | None = None,
    ) -> None:
        self.name = name
        table = table or RuleTable()
        self._candidates = [Responder(n, table.find(n), rules_for(n, table)) for n in (name, *fallbacks)]
        for candidate in self._candidates:
            candidate.place = place_of(candidate.name.partition("/")[0], patience.environment)
        self._patience, self._clock = patience, patience.clock
        self._throttle = throttle or Throttle(clock=patience.clock)
        self._call = Call(patience.check_stop, redact or Redactor(), environment=patience.environment)

    @property
    def window_tokens(self) -> int | None:
        """Window of the first model: from its rules, else as its provider named it, else from litellm's table.

        A model to fall back on may have a smaller one.
        """
        first = self._candidates[0]
        self._look_at(first)
        return first.window_tokens or known_window(first.name)

    @property
    def output_tokens(self) -> int | None:
        """Most tokens of a reply of the first model, None if only its provider knows."""
        return self._candidates[0].reply_tokens

    def _look_at(self, candidate: Responder) -> None:
        """Ask a server of one's own what it is, until its window is known: some know it once a model is loaded."""
        if candidate.place is None or candidate.window_tokens or candidate.looks >= MOST_LOOKS:
            return
        sight = look_at(candidate.place, candidate.name, self._patience.environment)
        candidate.facts = sight.facts if sight.is_there else None
        candidate.looks += sight.is_there

    def ask(self, request: Request) -> ModelReply:
        """The first usable answer of the model or of one to fall back on.

        Raises: ProviderUnavailable once patience is spent, ProviderRefused if no model can answer, ContextTooLong,
        and the exception of the request's `check_room`.
        """
        now = self._clock()
        effort = Effort(now, now + self._patience.limit_s, request.check_room)
        try:
            return self._ask(request, effort)
        except (ProviderError, BudgetSpent) as error:
            error.paid = effort.paid
            raise

    def _ask(self, request: Request, effort: Effort) -> ModelReply:
        left = sorted(self._candidates, key=lambda c: c.rests_until > effort.started)  # stable: the order of the user
        while True:
            for candidate in list(left):
                try:
                    answer = self._converse(candidate, request.messages, effort, alone=len(left) == 1)
                except CallFailed as failed:
                    if failed.fault.kind not in OF_THIS_TEXT:
                        candidate.rests_until = self._clock() + REST_S
                    ends = failed.fault.kind.action is not FaultAction.WAIT or _is_hopeless(candidate, effort)
                    self._give_up_on(candidate, failed.fault, effort, ends=ends)
                    if ends:
                        left.remove(candidate)
                else:
                    candidate.rests_until = float("-inf")
                    return _reply_of(answer, candidate, effort)
            if not left:
                raise ProviderRefused(self.name, "; ".join(effort.refusals.values()))
            remains = effort.deadline - self._clock()
            if remains <= 0 or len(self._candidates) == 1 or effort.wasted >= MOST_WASTED:
                raise ProviderUnavailable(self.name, self._describe(effort))
            self._patience.sleep(min(ROUND_S, remains))

    def _give_up_on(self, candidate: Responder, fault: Fault, effort: Effort, *, ends: bool) -> None:
        """Note why the model did not answer. ends: nor will it.

        Raises: ContextTooLong if a shorter prompt may be answered.
        """
        remedy = advice(fault.kind, candidate.name)
        text = fault.text + (f" ({remedy})" if remedy else "")
        if fault.kind is FaultKind.LENGTH:
            candidate.told_window = fault.window_tokens or candidate.told_window
            raise ContextTooLong(candidate.name, text, fault.window_tokens)
        if ends:
            effort.refusals[candidate.name] = text if candidate.name == self.name else f"{candidate.name}: {text}"
        effort.last = f"{fault.kind}: {fault.text}" if candidate.name == self.name else f"{candidate.name}: {text}"

    def _describe(self, effort: Effort) -> str:
        seconds = self._clock() - effort.started
        lasted = f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
        times = "once" if effort.requests == 1 else f"{effort.requests} times"
        asks = f", told to wait {effort.asks_s / 60:.0f} min" if effort.asks_s >= 60 else ""
        paid = f", {effort.wasted} answers were billed" if effort.wasted > 1 else ""
        remedy = f"; {advice(effort.seen, self.name)}" if effort.seen is FaultKind.TIMEOUT else ""
        return f"{effort.last} (asked {times} in {lasted}{asks}{paid}{remedy})"

    def _converse(self, candidate: Responder, messages: Sequence[Message], effort: Effort, *, alone: bool) -> Answer:
        """One model's whole answer. If it was cut, it is joined with its rest, or a shorter one takes its place.

        Raises: CallFailed.
        """
        first = self._ask_for_text(candidate, messages, effort, alone=alone)
        if not candidate.is_cut(first.finish_reason):
            return first
        if has_answer(first.text) and not ends_in_loop(first.text):
            more = [*messages, *ask_for_rest(first.text)]
            try:
                rest = self._persist(candidate, more, effort, alone=alone, brief=FaultKind.GARBLED)
            except CallFailed as failed:
                if failed.fault.kind not in TEXTLESS:  # of some models an empty reply is all that follows
                    raise
                rest = None
            if not first.finish_reason and (rest is None or not rest.finish_reason):
                candidate.names_ends = False
                return first
            if rest and not candidate.is_cut(rest.finish_reason):
                return replace(rest, text=join_rest(first.text, rest.text), reasoning=first.reasoning)
        less = self._ask_for_text(candidate, [*messages, ask_for_less()], effort, alone=alone)
        if not has_answer(less.text):
            raise CallFailed(Fault(FaultKind.CUT, "reached its limit of output tokens before it said anything"))
        return less

    def _ask_for_text(
        self, candidate: Responder, messages: Sequence[Message], effort: Effort, *, alone: bool
    ) -> Answer:
        """One answer with text in it. After one without, the model is told so.

        Raises: CallFailed, also after MOST_TEXTLESS answers without text.
        """
        asked = list(messages)
        while True:
            try:
                return self._persist(candidate, asked, effort, alone=alone)
            except CallFailed as failed:
                if failed.fault.kind is not FaultKind.NO_TEXT:
                    raise
                effort.textless[candidate.name] += 1
                times = effort.textless[candidate.name]
                if times >= MOST_TEXTLESS:
                    told = replace(failed.fault, text=f"answered {times} times, at last with {failed.fault.text}")
                    raise CallFailed(told, failed.limits) from failed
                asked = [*messages, ask_for_text()]

    def _persist(
        self,
        candidate: Responder,
        messages: Sequence[Message],
        effort: Effort,
        *,
        alone: bool,
        brief: FaultKind | None = None,
    ) -> Answer:
        """One answer, after as many tries as the model's turn allows.

        brief: a kind of fault that is waited out only for its turn, even if no other model is left.

        Raises: CallFailed.
        """
        effort.seen = None

        def left_s() -> float:
            return effort.turn_end(alone=alone, brief=brief) - self._clock()

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome and state.outcome.exception()
            assert isinstance(error, CallFailed)
            return self._patience.wait_s(error.fault, state.attempt_number, left_s())

        def stop(state: tenacity.RetryCallState) -> bool:
            left = left_s()
            return left <= 0 or state.upcoming_sleep > left or _is_over(candidate, effort)

        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_waited_out),
            wait=wait,
            stop=stop,
            sleep=self._patience.sleep,
            before_sleep=lambda state: self._tell_wait(candidate, effort, state.upcoming_sleep),
            reraise=True,
        )
        answer = retry(self._send, candidate, messages, effort, alone=alone)
        effort.answers.append(answer)
        return answer

    def _tell_wait(self, candidate: Responder, effort: Effort, wait_s: float) -> None:
        """Tell a long wait now and then, so that nobody wonders about a launch that does nothing for hours."""
        now = self._clock()
        if wait_s >= TOLD_WAIT_S and now - effort.told >= TELL_EVERY_S:
            effort.told = now
            asked = f"asked {effort.requests} times, again in {wait_s:.0f} s"
            self._patience.on_wait(f"waiting for {candidate.name}: {effort.last[:REASON_CHARS]}; {asked}")

    def _send(self, candidate: Responder, messages: Sequence[Message], effort: Effort, *, alone: bool) -> Answer:
        """One request, and for each kind of refusal that a change may lift, changed requests.

        Raises: CallFailed.
        """
        usual = candidate.shape
        while True:
            try:
                return self._send_once(candidate, messages, effort, alone=alone)
            except CallFailed as failed:
                effort.note(failed.fault, self._clock())
                kind = failed.fault.kind
                changes = (candidate.name, kind)
                late = kind is FaultKind.TIMEOUT and self._clock() >= effort.deadline
                spent = late or effort.changed[changes] >= MOST_CHANGES.get(kind, 0)
                if spent or not candidate.change(failed.fault, messages):
                    if kind in OF_ORDER:  # it was not the shape
                        candidate.shape = usual
                    raise
                effort.changed[changes] += 1

    def _send_once(self, candidate: Responder, messages: Sequence[Message], effort: Effort, *, alone: bool) -> Answer:
        if effort.answers:
            effort.check_room(effort.paid)
        sent = normalise(messages, candidate.shape)
        self._look_at(candidate)
        rules, left = candidate.fit_reply(sent), effort.deadline - self._clock()
        timeout_s = rules.timeout_s or DEFAULT_TIMEOUT_S
        deadline_s = min(timeout_s, max(SHORTEST_TIMEOUT_S, left))
        chars = sum(len(message.content) for message in sent)
        patience_s = left if alone else min(left, TURN_S[FaultKind.RATE_LIMIT])
        try:
            with self._throttle.admit(candidate.name, rules, chars, self._patience.sleep, patience_s) as ticket:
                effort.requests += 1
                try:
                    answer = self._call.send(candidate.name, sent, rules, candidate.dropped, deadline_s)
                    if cut := candidate.note_count(chars, answer.paid.tokens_in):
                        raise CallFailed(cut, answer.limits, answer)
                except CallFailed as failed:
                    if failed.answer:
                        effort.answers.append(failed.answer)
                        effort.wasted += failed.answer.paid.is_counted
                        self._throttle.settle(candidate.name, ticket, failed.answer.paid)
                    self._throttle.learn(candidate.name, ticket, failed.limits)
                    if failed.fault.kind is FaultKind.TIMEOUT:
                        effort.timeouts[candidate.name] += deadline_s == timeout_s
                        self._throttle.keep(ticket)
                    self._check_is_there(candidate, failed)
                    if failed.fault.kind is FaultKind.RATE_LIMIT:
                        self._throttle.refuse(
                            candidate.name, ticket, failed.fault, failed.fault.wait_s or self._patience.jitter()
                        )
                    raise
                self._throttle.settle(candidate.name, ticket, answer.paid)
                self._throttle.learn(candidate.name, ticket, answer.limits)
                return answer
        except Held as held:
            raise CallFailed(Fault(FaultKind.RATE_LIMIT, str(held), wait_s=held.seconds)) from held

    def _check_is_there(self, candidate: Responder, failed: CallFailed) -> None:
        """Raises: CallFailed if nobody is at the address of a server that never answered: no wait will mend that."""
        if candidate.place is None or failed.fault.kind is not FaultKind.OUTAGE:
            return
        if self._throttle.has_answered(candidate.name):
            return
        sight = look_at(candidate.place, candidate.name, self._patience.environment)
        if sight.problem:
            fault = Fault(FaultKind.MACHINE, f"{candidate.place}: {sight.problem} ({sight.remedy})")
            raise CallFailed(fault) from failed


def _is_over(candidate: Responder, effort: Effort) -> bool:
    """Whether more requests of the same question would only be paid for."""
    return effort.wasted >= MOST_WASTED or _is_hopeless(candidate, effort)


def _is_hopeless(candidate: Responder, effort: Effort) -> bool:
    """Whether a server of one's own would go on writing, however often it is asked."""
    is_own = candidate.place is not None and candidate.place.needs_bound
    return is_own and effort.timeouts[candidate.name] >= MOST_TIMEOUTS


def _reply_of(answer: Answer, candidate: Responder, effort: Effort) -> ModelReply:
    """The answer, with the tokens and the cost of all requests of the question."""
    text = answer.text
    if candidate.rules.send_reasoning and answer.reasoning:
        text = f"<think>\n{answer.reasoning}\n</think>\n\n{text}"
    return ModelReply(text, answer.model, effort.paid, answer.finish_reason, answer.reasoning, candidate.name)


def _is_waited_out(error: BaseException) -> bool:
    return isinstance(error, CallFailed) and error.fault.kind.action is FaultAction.WAIT
