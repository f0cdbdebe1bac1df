"""Who is asked what: the view of a turn, the request that puts it into words, and the reply."""

from __future__ import annotations

import json
from dataclasses import replace

from agent.core.failure.diagnose import DETAIL_CHARS, FailureKind
from agent.core.failure.folding import cut_middle
from agent.core.journal.budget import Paid
from agent.core.journal.events import Asked, AskFailed, Purpose
from agent.core.journal.roles import chat_of, role_of
from agent.core.journal.state import ReviewTalk, State
from agent.core.model.messages import without_surrogates
from agent.core.model.tokens import count_tokens
from agent.core.prompt.conversation import Prompt, continue_talk, load_talk, open_talk, opening_purpose
from agent.core.prompt.excerpt import changed_lines
from agent.core.prompt.fit import budget_of, show_parts, smaller_budget
from agent.core.prompt.view import Study, TurnTexts, TurnView, view_turn
from agent.edges.model.ledger import request_chars
from agent.edges.model.protocol import Request
from agent.edges.run.feedback import add_feedback
from agent.edges.run.prepare_step import limits_of
from agent.effects.edges import Edges
from agent.errors import BudgetSpent, ContextTooLong, ProviderError, ProviderRefused

DIFF_CHARS = 1500
SHORTENINGS = 2  # of a prompt that the model found too long


def ask(edges: Edges, state: State, purpose: Purpose, *, begun: bool) -> Asked | AskFailed:
    """Ask with a prompt that fits the model's window; one found too long all the same is shortened twice."""
    model = edges.models.of(role_of(state, purpose))
    budget = budget_of(model.window_tokens)
    before = Paid()
    for shortening in range(SHORTENINGS + 1):
        prompt = _prompt(edges, state, purpose, budget)
        try:
            return _ask_with(edges, state, purpose, prompt, begun, before)
        except ContextTooLong as error:
            before += error.paid or Paid()
            if shortening == SHORTENINGS:
                return _fail(error, state, purpose, prompt, begun, before)
            budget = smaller_budget(budget, count_tokens(prompt.messages), error.window_tokens)
    raise AssertionError("the last round returns")


def _view(edges: Edges, state: State, purpose: Purpose) -> TurnView:
    """What the model is shown at this turn."""
    spec = edges.template.spec
    chat, files = chat_of(state, purpose), edges.repo.read(state.code.head)
    failed_diff = ""
    changed: dict[str, frozenset[int]] = {}
    if purpose is Purpose.FIX and not state.code.clean and state.run.failed_commit:
        failed_diff = edges.repo.diff(f"{state.run.failed_commit}~1", state.run.failed_commit, *spec.run_files)
        changed = {name: changed_lines(failed_diff, name) for name in spec.run_files}
        failed_diff = failed_diff if len(failed_diff) <= DIFF_CHARS else ""
    aside_diff = ""
    if state.attempt.set_aside and state.attempt.set_aside.commit != state.code.good:
        commit = state.attempt.set_aside.commit
        aside_diff = cut_middle(edges.repo.diff(f"{commit}~1", commit, *spec.run_files), DIFF_CHARS)
    study = Study(
        spec,
        edges.workspace.idea(edges.repo, state.code.head),
        edges.template.brief,
        edges.template.baselines,
        limits_of(edges.template),
    )
    texts = TurnTexts(_text(edges, chat.feedback), _text(edges, chat.instruction), failed_diff, aside_diff)
    view = view_turn(_with_detail(edges, state), study, purpose, files, texts)
    view = add_feedback(view, edges.workspace, files)
    takes_files = edges.models.of(role_of(state, purpose)).takes_files
    return view if takes_files else show_parts(view, changed)


def _with_detail(edges: Edges, state: State) -> State:
    """The state with the text of the last failure, if that was a refused reply: the journal keeps a blob of it."""
    failure = state.run.failure
    if failure is None or failure.kind is not FailureKind.EDIT:
        return state
    told = replace(failure, detail=cut_middle(edges.journal.get(failure.detail), DETAIL_CHARS))
    return replace(state, run=replace(state.run, failures=(*state.run.failures[:-1], told)))


def _prompt(edges: Edges, state: State, purpose: Purpose, budget: int | None) -> Prompt:
    """The request within a budget of tokens: a new conversation, or the last one after a reply of no use."""
    view, chat = _view(edges, state, purpose), chat_of(state, purpose)
    if not (chat.request if isinstance(chat, ReviewTalk) else purpose in (Purpose.REPAIR, Purpose.WHOLE)):
        return open_talk(view, budget)
    return continue_talk(
        view,
        load_talk(edges.journal.get(chat.request)),
        edges.journal.get(chat.reply),
        edges.repo.read(state.code.head),
        _staged(edges, state),
        budget,
        lambda room: open_talk(_view(edges, state, opening_purpose(state)), room),
    )


def _ask_with(
    edges: Edges, state: State, purpose: Purpose, prompt: Prompt, begun: bool, before: Paid
) -> Asked | AskFailed:
    """One question. `before` was paid for longer prompts of it.

    Raises: ContextTooLong.
    """
    role = role_of(state, purpose)
    model = edges.models.of(role)
    prompt = prompt.without_keys(edges.journal.redact)
    request = edges.journal.put(without_surrogates(prompt.to_json(model=model.name, purpose=purpose.value)))
    started = edges.monotonic()
    asked = state.spent.replies.get(role, 0)
    asking = Request(tuple(prompt.messages), prompt.view, role, asked, _editable_texts(edges, state, prompt.view))
    try:
        answer = edges.ledger.ask(model, asking, edges.workspace, state, role, repeated=begun)
    except ContextTooLong:
        raise
    except (BudgetSpent, ProviderError) as error:
        return _fail(error, state, purpose, prompt, begun, before + (error.paid or Paid()))
    paid = before + answer.paid
    return Asked(
        purpose=purpose,
        request=request,
        reply=edges.journal.put(without_surrogates(answer.text)),
        model=answer.model,
        tokens_in=paid.tokens_in,
        tokens_out=paid.tokens_out,
        cost_usd=paid.cost_usd,
        seconds=edges.monotonic() - started,
        repeated=begun,
        role=role,
        tokens_cached=paid.tokens_cached,
        chars=request_chars(asking),
        requests=paid.requests,
        finish_reason=answer.finish_reason,
        reasoning=edges.journal.put(without_surrogates(answer.reasoning)) if answer.reasoning else "",
    )


def _fail(
    error: BudgetSpent | ProviderError,
    state: State,
    purpose: Purpose,
    prompt: Prompt,
    begun: bool,
    paid: Paid,
) -> AskFailed:
    """No reply, and what was paid all the same."""
    return AskFailed(
        reason=error.reason if isinstance(error, BudgetSpent) else str(error),
        refused=isinstance(error, ProviderRefused),
        remedy=error.remedy if isinstance(error, BudgetSpent) else "",
        role=role_of(state, purpose),
        tokens_in=paid.tokens_in,
        tokens_out=paid.tokens_out,
        tokens_cached=paid.tokens_cached,
        cost_usd=paid.cost_usd if paid.tokens_in or paid.tokens_out else None,
        requests=paid.requests,
        chars=sum(len(message.content) for message in prompt.messages),
        repeated=begun,
    )


def _editable_texts(edges: Edges, state: State, view: TurnView) -> dict[str, str]:
    """Whole texts of the files that may be changed, with the good blocks of an edit that is being repaired."""
    texts = {**edges.repo.read(state.code.head), **_staged(edges, state)}
    return {name: texts[name] for name in view.editable if name in texts}


def _staged(edges: Edges, state: State) -> dict[str, str]:
    staged = state.attempt.conversation.staged
    texts: dict[str, str] = json.loads(edges.journal.get(staged)) if staged else {}
    return texts


def _text(edges: Edges, blob: str) -> str:
    return edges.journal.get(blob) if blob else ""
