"""Who is asked what: the view of a turn, the request that puts it into words, and the reply."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from agent.core.failure.diagnose import DETAIL_CHARS, FailureKind
from agent.core.failure.folding import cut_middle
from agent.core.journal.budget import Paid
from agent.core.journal.events import Asked, AskFailed, Purpose, Role
from agent.core.journal.roles import role_of
from agent.core.journal.state import State
from agent.core.model.messages import without_surrogates
from agent.core.model.tokens import count_tokens
from agent.core.prompt.conversation import Prompt, continue_talk, load_talk, open_talk, opening_purpose
from agent.core.prompt.excerpt import changed_lines
from agent.core.prompt.fit import budget_of, show_parts, smaller_budget
from agent.core.prompt.view import TurnView, view_turn
from agent.edges.git.repo import Repo
from agent.edges.model.ledger import Ledger, request_chars
from agent.edges.model.protocol import Model, Models, Request
from agent.edges.run.feedback import add_feedback
from agent.edges.run.prepare_step import limits_of
from agent.edges.template.load import Template
from agent.edges.workspace.journal import Journal
from agent.edges.workspace.layout import Workspace
from agent.errors import BudgetSpent, ContextTooLong, ProviderError, ProviderRefused

DIFF_CHARS = 1500
SHORTENINGS = 2  # of a prompt that the model found too long


def model_for(models: Models, role: Role) -> Model:
    """Whoever plays the part; the planner where nobody else does."""
    match role:
        case Role.PLANNER:
            return models.planner
        case Role.EDITOR:
            return models.editor or models.planner
        case Role.REVIEWER:
            return models.reviewer or models.planner


@dataclass(frozen=True, slots=True)
class Asker:
    """The models of one workspace, and what their requests are made from."""

    workspace: Workspace
    journal: Journal
    repo: Repo
    template: Template
    models: Models
    ledger: Ledger
    monotonic: Callable[[], float]

    def ask(self, state: State, purpose: Purpose, begun: bool) -> Asked | AskFailed:
        """Ask with a prompt that fits the model's window; one found too long all the same is shortened twice."""
        model = model_for(self.models, role_of(state, purpose))
        budget = budget_of(getattr(model, "window_tokens", None))
        before = Paid()
        for shortening in range(SHORTENINGS + 1):
            prompt = self._prompt(state, purpose, budget)
            try:
                return self._ask_with(state, purpose, prompt, begun, before)
            except ContextTooLong as error:
                before += error.paid or Paid()
                if shortening == SHORTENINGS:
                    return self._fail(error, state, purpose, prompt, begun, before)
                budget = smaller_budget(budget, count_tokens(prompt.messages), error.window_tokens)
        raise AssertionError("the last round returns")

    def view(self, state: State, purpose: Purpose) -> TurnView:
        """What the model is shown at this turn."""
        spec = self.template.spec
        chat, files = self._chat(state, purpose), self.repo.read(state.code.head)
        failed_diff = ""
        changed: dict[str, frozenset[int]] = {}
        if purpose is Purpose.FIX and not state.code.clean and state.run.failed_commit:
            failed_diff = self.repo.diff(f"{state.run.failed_commit}~1", state.run.failed_commit, *spec.run_files)
            changed = {name: changed_lines(failed_diff, name) for name in spec.run_files}
            failed_diff = failed_diff if len(failed_diff) <= DIFF_CHARS else ""
        aside_diff = ""
        if state.attempt.set_aside and state.attempt.set_aside.commit != state.code.good:
            commit = state.attempt.set_aside.commit
            aside_diff = cut_middle(self.repo.diff(f"{commit}~1", commit, *spec.run_files), DIFF_CHARS)
        view = view_turn(
            state,
            spec,
            purpose=purpose,
            idea=self.workspace.idea(self.repo, state.code.head),
            brief=self.template.brief,
            command=spec.command.replace("{out_dir}", "run_N"),
            baselines=self.template.baselines,
            files=files,
            failed_diff=failed_diff,
            feedback=self._text(chat.feedback),
            instruction=self._text(chat.instruction),
            set_aside_diff=aside_diff,
            limits=limits_of(self.template),
        )
        if view.failure and view.failure.kind is FailureKind.EDIT:  # its detail is a blob: what was said of the reply
            detail = cut_middle(self.journal.get(view.failure.detail), DETAIL_CHARS)
            view = replace(view, failure=replace(view.failure, detail=detail))
        view = add_feedback(view, self.workspace, state, spec, files)
        takes_files = getattr(model_for(self.models, role_of(state, purpose)), "takes_files", False)
        return view if takes_files else show_parts(view, changed)

    def _prompt(self, state: State, purpose: Purpose, budget: int | None) -> Prompt:
        """The request within a budget of tokens: a new conversation, or the last one after a reply of no use."""
        view, chat = self.view(state, purpose), self._chat(state, purpose)
        if not chat.goes_on:
            return open_talk(view, budget)
        return continue_talk(
            view,
            load_talk(self.journal.get(chat.request)),
            self.journal.get(chat.reply),
            self.repo.read(state.code.head),
            self._staged(state),
            budget,
            lambda room: open_talk(self.view(state, opening_purpose(state)), room),
        )

    def _ask_with(self, state: State, purpose: Purpose, prompt: Prompt, begun: bool, before: Paid) -> Asked | AskFailed:
        """One question. `before` was paid for longer prompts of it.

        Raises: ContextTooLong.
        """
        role = role_of(state, purpose)
        model = model_for(self.models, role)
        prompt = prompt.without_keys(self.journal.redact)
        request = self.journal.put(without_surrogates(prompt.to_json(model=model.name, purpose=purpose.value)))
        started = self.monotonic()
        asked = state.spent.replies.get(role, 0)
        asking = Request(tuple(prompt.messages), prompt.view, role, asked, self._editable_texts(state, prompt.view))
        try:
            answer = self.ledger.ask(model, asking, self.workspace, state, role, repeated=begun)
        except ContextTooLong:
            raise
        except (BudgetSpent, ProviderError) as error:
            return self._fail(error, state, purpose, prompt, begun, before + (error.paid or Paid()))
        paid = before + answer.paid
        return Asked(
            purpose=purpose,
            request=request,
            reply=self.journal.put(without_surrogates(answer.text)),
            model=answer.model,
            tokens_in=paid.tokens_in,
            tokens_out=paid.tokens_out,
            cost_usd=paid.cost_usd,
            seconds=self.monotonic() - started,
            repeated=begun,
            role=role,
            tokens_cached=paid.tokens_cached,
            chars=request_chars(asking),
            requests=paid.requests,
            finish_reason=answer.finish_reason,
            reasoning=self.journal.put(without_surrogates(answer.reasoning)) if answer.reasoning else "",
        )

    def _fail(
        self,
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

    def _editable_texts(self, state: State, view: TurnView) -> dict[str, str]:
        """Whole texts of the files that may be changed, with the good blocks of an edit that is being repaired."""
        texts = {**self.repo.read(state.code.head), **self._staged(state)}
        return {name: texts[name] for name in view.editable if name in texts}

    def _staged(self, state: State) -> dict[str, str]:
        staged = state.attempt.conversation.staged
        texts: dict[str, str] = json.loads(self.journal.get(staged)) if staged else {}
        return texts

    def _text(self, blob: str) -> str:
        return self.journal.get(blob) if blob else ""

    def _chat(self, state: State, purpose: Purpose) -> _Chat:
        talk = state.attempt.conversation
        if state.reviewing and role_of(state, purpose) is Role.REVIEWER:
            review = state.reviewing
            return _Chat(bool(review.request), review.request, review.reply, review.feedback)
        goes_on = purpose in (Purpose.REPAIR, Purpose.WHOLE)
        return _Chat(goes_on, talk.request, talk.reply, talk.feedback, talk.instruction)


@dataclass(frozen=True, slots=True)
class _Chat:
    """The conversation that a turn belongs to; goes_on: the turn follows a reply in it."""

    goes_on: bool
    request: str
    reply: str
    feedback: str
    instruction: str = ""
