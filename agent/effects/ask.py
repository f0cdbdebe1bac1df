"""Ask a model: fit the prompt to its window, send it within the budgets, and keep the reply or the reason for none."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agent.core.journal.action_results import Asked, AskFailed
from agent.core.journal.approval import say_no_edit
from agent.core.journal.budget import Paid
from agent.core.journal.kinds import Purpose, Role
from agent.core.journal.roles import role_of
from agent.core.journal.state import State
from agent.core.model.messages import without_surrogates
from agent.core.model.tokens import count_tokens
from agent.core.prompt.conversation import Prompt, continue_chat, open_chat, opening_purpose
from agent.core.prompt.fit import budget_of, smaller_budget
from agent.core.prompt.view import TurnView
from agent.core.reply.turn import Turn
from agent.edges.model.ledger import request_chars
from agent.edges.model.protocol import BoundedReply, Model, Request
from agent.effects.edges import Edges
from agent.effects.turn import show_turn, take_turn
from agent.errors import BudgetSpent, ContextTooLong, ProviderError, ProviderRefused

SHORTENINGS = 2  # of a prompt that the model found too long


@dataclass(frozen=True, slots=True)
class _Question:
    """One question to one model, however often its prompt is shortened."""

    # The idea before the question.
    state: State
    # The place in the chat that it belongs to.
    turn: Turn
    # Everything that its prompt may show.
    view: TurnView
    # Who is asked.
    role: Role
    # The model that plays this role.
    model: Model
    # An earlier try may have sent it already.
    begun: bool

    def fail(self, error: BudgetSpent | ProviderError, prompt: Prompt, paid: Paid) -> AskFailed:
        """The event of a question that got no reply, with the tokens and the money that it cost all the same."""
        return AskFailed(
            reason=self._why(error),
            refused=isinstance(error, ProviderRefused),
            remedy=error.remedy if isinstance(error, BudgetSpent) else "",
            role=self.role,
            tokens_in=paid.tokens_in,
            tokens_out=paid.tokens_out,
            tokens_cached=paid.tokens_cached,
            cost_usd=paid.cost_usd if paid.is_counted else None,
            requests=paid.requests,
            chars=sum(len(message.content) for message in prompt.messages),
            repeated=self.begun,
            uncounted=paid.uncounted,
        )

    def _why(self, error: BudgetSpent | ProviderError) -> str:
        """The reason for a person. A budget that replies without an edit used up says so."""
        if not isinstance(error, BudgetSpent):
            return str(error)
        spent_for_nothing = say_no_edit(self.state)
        return f"{error.reason}; {spent_for_nothing}" if spent_for_nothing else error.reason


def ask(edges: Edges, state: State, purpose: Purpose, *, begun: bool) -> Asked | AskFailed:
    """Ask with a prompt that fits the model's window. If the model finds it too long all the same, shorten it twice."""
    turn, role = take_turn(edges, state, purpose), role_of(state, purpose)
    question = _Question(state, turn, show_turn(edges, state, turn), role, edges.models.of(role), begun)
    output = question.model.output_tokens if isinstance(question.model, BoundedReply) else None
    budget = budget_of(question.model.window_tokens, output)
    before = Paid()
    for shortening in range(SHORTENINGS + 1):
        prompt = _prompt(edges, question, budget)
        try:
            return _ask_with(edges, question, prompt, before)
        except ContextTooLong as error:
            before += error.paid or Paid()
            if shortening == SHORTENINGS:
                return question.fail(error, prompt, before)
            told = budget_of(error.window_tokens, output)
            budget = smaller_budget(budget, count_tokens(prompt.messages), told)
    raise AssertionError("the last round returns")


def _prompt(edges: Edges, question: _Question, budget: int | None) -> Prompt:
    """The request within a budget of tokens: a new chat, or the last one after a reply of no use."""
    state, turn = question.state, question.turn

    def reopen(room: int | None) -> Prompt:
        opening = take_turn(edges, state, opening_purpose(state))
        return open_chat(show_turn(edges, state, opening), room)

    return continue_chat(turn, question.view, budget, reopen) if turn.goes_on else open_chat(question.view, budget)


def _store(edges: Edges, question: _Question, prompt: Prompt) -> str:
    """Blob of the request in the form in which the journal keeps it."""
    stored = prompt.to_json(model=question.model.name, purpose=question.turn.purpose.value)
    return edges.journal.put(without_surrogates(stored))


def _ask_with(edges: Edges, question: _Question, prompt: Prompt, before: Paid) -> Asked | AskFailed:
    """One question. before: paid for longer prompts of it.

    Raises: ContextTooLong.
    """
    state, turn, role, model = question.state, question.turn, question.role, question.model
    prompt = prompt.without_keys(edges.journal.redact)
    request = _store(edges, question, prompt)
    texts = {name: text for name in prompt.view.editable if (text := turn.base.get(name)) is not None}
    asking = Request(tuple(prompt.messages), prompt.view, role, state.spent.replies.get(role, 0), texts)
    started = edges.monotonic()
    try:
        answer = edges.ledger.ask(model, asking, edges.workspace, state, role, repeated=question.begun)
    except ContextTooLong:
        raise
    except (BudgetSpent, ProviderError) as error:
        return question.fail(error, prompt, before + (error.paid or Paid()))
    if given_to := answer.request:
        request = _store(edges, question, replace(prompt, shown=given_to.shown, answers=given_to.answers))
    paid = before + answer.paid
    return Asked(
        purpose=turn.purpose,
        request=request,
        reply=edges.journal.put(without_surrogates(answer.text)),
        model=answer.asked or answer.model,
        tokens_in=paid.tokens_in,
        tokens_out=paid.tokens_out,
        cost_usd=paid.cost_usd,
        seconds=edges.monotonic() - started,
        repeated=question.begun,
        role=role,
        tokens_cached=paid.tokens_cached,
        chars=request_chars(asking),
        requests=paid.requests,
        finish_reason=answer.finish_reason,
        reasoning=edges.journal.put(without_surrogates(answer.reasoning)) if answer.reasoning else "",
        uncounted=paid.uncounted,
        served=answer.model if answer.asked not in ("", answer.model) else "",
    )
