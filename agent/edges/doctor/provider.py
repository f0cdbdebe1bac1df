"""Checks of a model before money is spent, with up to three requests of a few tokens each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.core.model.faults import FaultAction, FaultKind, advice
from agent.core.model.messages import Message, normalise, rules_for
from agent.core.model.own_servers import ServerFacts, place_of
from agent.core.model.rules import RuleTable
from agent.core.model.variables import provider_prefixes
from agent.core.text.plain import plain_line
from agent.core.text.redact import Redactor, names_a_secret
from agent.core.text.remark import Level, Remark
from agent.edges.model.call import Answer, Call, CallFailed
from agent.edges.model.litellm_table import check_model, full_name, known_window, price_of
from agent.edges.model.wire.own_server import Sight, look_at
from agent.errors import UsageError

__all__ = ["Probe", "check_provider"]

MOST_TOKENS = 16
OLLAMA = ("ollama/", "ollama_chat/")
TOLD_CHARS = 300  # of a provider's error
SYSTEM = Message("system", "You are asked whether you are there.")
QUESTION = Message("user", "Reply with the one word: ready")


@dataclass(frozen=True, slots=True)
class Probe:
    """One model and the option that names it."""

    option: str
    model: str
    spare: bool = False  # others are asked before it, so that its silence is only a warning


def check_provider(
    probe: Probe,
    rules: RuleTable,
    environment: Mapping[str, str],
    redact: Redactor,
    deadline_s: float,
    check_stop: Callable[[], None] = lambda: None,
) -> list[Remark]:
    """Check key, server, answer, two turns of one role, price and window, in this order.

    Nothing is sent without a key, or to a server that is not there.
    """
    what = probe.model
    try:
        check_model(probe.model, environment, probe.option)
    except UsageError as error:
        return [Remark("FAIL", f"{what} key", error.problem, error.remedy)]
    named = [name for name in environment if environment[name].strip() and _is_key_of(name, probe.model)]
    told = f"{', '.join(sorted(named))} set" if named else "litellm asks for none"
    findings = [Remark("ok", f"{what} key", told)]
    place = place_of(what.partition("/")[0], environment)
    sight = look_at(place, what, environment) if place else Sight()
    if place and sight.problem:
        level: Level = "warn" if probe.spare else "FAIL"
        return [*findings, Remark(level, f"{what} server", f"{place}: {sight.problem}", sight.remedy)]
    if place:
        models = f"; it has {plain_line(', '.join(sight.facts.models), TOLD_CHARS)}" if sight.facts.models else ""
        findings.append(Remark("ok", f"{what} server", f"{place}{models}"))
    call = Call(check_stop, redact, environment=environment)
    asker = _Asker(probe, rules, call, deadline_s)
    answered = asker.ask(f"{what} answers", [SYSTEM, QUESTION])
    findings.append(answered)
    if answered.level == "ok":
        findings += asker.ask_twice()
    return [*findings, _check_price(probe.model, rules), _check_window(probe.model, rules, sight.facts)]


@dataclass(frozen=True, slots=True)
class _Asker:
    """Sends tiny requests to one model."""

    probe: Probe
    rules: RuleTable
    call: Call
    deadline_s: float

    def ask(self, what: str, messages: Sequence[Message]) -> Remark:
        """Send messages in the form that the model takes, and remark on its answer."""
        shaped = normalise(messages, rules_for(self.probe.model, self.rules))
        try:
            answer = self._send(shaped)
        except CallFailed as failed:
            return self._explain(what, failed)
        shown = f", {answer.text.strip()[:20]!r}" if answer.text.strip() else ""
        return Remark("ok", what, f"{answer.paid.tokens_in} tokens in, {answer.paid.tokens_out} out{shown}")

    def ask_twice(self) -> list[Remark]:
        """Send two user turns in a row: merged, as a launch would, and unmerged, for information."""
        turns = [SYSTEM, QUESTION, Message("user", "Nothing else.")]
        what = f"{self.probe.model} two user turns"
        merged = self.ask(what, turns)
        try:
            self._send(turns)
            raw = "taken unmerged too"
        except CallFailed as failed:
            raw = f"unmerged the provider says: {failed.fault.kind}"
        return [Remark(merged.level, what, f"{merged.detail}; {raw}", merged.remedy)]

    def _send(self, messages: Sequence[Message]) -> Answer:
        """Send one request.

        Raises: CallFailed, after a second try without the parameter that was refused.
        """
        found = self.rules.find(self.probe.model)
        short = found.model_copy(update={"max_output_tokens": min(MOST_TOKENS, found.max_output_tokens or MOST_TOKENS)})
        try:
            return self.call.send(self.probe.model, messages, short, (), self.deadline_s)
        except CallFailed as failed:
            if failed.fault.kind is not FaultKind.PARAMETER:
                raise
            return self.call.send(self.probe.model, messages, short, ("max_tokens",), self.deadline_s)

    def _explain(self, what: str, failed: CallFailed) -> Remark:
        fault = failed.fault
        waits = fault.kind is FaultKind.RATE_LIMIT
        level: Level = "warn" if self.probe.spare or waits else "FAIL"
        longer = "name a longer --deadline-s" if fault.kind is FaultKind.TIMEOUT else ""
        remedy = longer or advice(fault.kind, self.probe.model) or ("launch waits for its turn" if waits else "")
        if not remedy and fault.kind.action is FaultAction.WAIT:
            remedy = "see the provider's status page and the address it is reached at; a launch would wait for it"
        return Remark(level, what, f"{fault.kind}: {plain_line(fault.text, TOLD_CHARS)}", remedy)


def _is_key_of(variable: str, model: str) -> bool:
    return variable.startswith(provider_prefixes(full_name(model))) and names_a_secret(variable)


def _check_price(model: str, rules: RuleTable) -> Remark:
    price = price_of(model, rules)
    if price is None:
        detail = "unknown: budgets in USD cannot be kept, tokens are counted"
        remedy = f'give input_usd_per_mtok and output_usd_per_mtok of [models."{model}"] in scientist.toml'
        return Remark("warn", f"{model} price", detail, remedy)
    sent, received = price.input_usd * 1e6, price.output_usd * 1e6
    return Remark("ok", f"{model} price", f"${sent:g} in, ${received:g} out per million tokens")


def _check_window(model: str, rules: RuleTable, said: ServerFacts) -> Remark:
    """Compare the window of the settings with the server's own, or take the server's, or that of litellm's table."""
    what, field = f"{model} window", f'window_tokens of [models."{model}"] in scientist.toml'
    given, is_ollama = rules.find(model).window_tokens, model.startswith(OLLAMA)
    if given and said.window_tokens and given > said.window_tokens and not is_ollama:
        detail = f"{given:,} tokens by scientist.toml, and the server says {said.window_tokens:,}"
        return Remark("warn", what, detail, f"correct {field}, or start the server with a larger window")
    if window := given or said.window_tokens or known_window(model):
        is_said = not given and said.window_tokens
        return Remark("ok", what, f"{window:,} tokens" + (", as the server says" if is_said else ""))
    if is_ollama and said.trained_tokens:
        detail = f"unknown: Ollama's own default, perhaps 4,096 tokens of the model's {said.trained_tokens:,}"
        return Remark("warn", what, detail, f"give {field}: Ollama is asked for it")
    return Remark("warn", what, "unknown: prompts are not cut to it", f"give {field}")
