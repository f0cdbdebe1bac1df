"""What each action does, on the edges. Every effect first looks for what an earlier try of the same key left behind."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

from agent.core.baseline import judge_run, primary_metric
from agent.core.decide import ApplyReply, AskModel, AwaitStep, Effect, Lint, Publish, Restore, StartStep
from agent.core.events import (
    Applied,
    Asked,
    AskFailed,
    Linted,
    Published,
    Purpose,
    Refused,
    Restored,
    Result,
    Stage,
    Step,
)
from agent.core.facts import failure_facts, run_facts
from agent.core.failure import (
    DETAIL_CHARS,
    FailureKind,
    lint_failure,
)
from agent.core.failure_text import cut_middle
from agent.core.idea import Idea
from agent.core.lint import Finding, check_calls, new_findings
from agent.core.messages import Message, normalise, rules_for, to_dicts, without_surrogates
from agent.core.prompts import render_opening, render_refusal, render_repair
from agent.core.search import settings_of
from agent.core.state import State
from agent.core.turn import Refusal, read_reply
from agent.core.view import TurnView, reference_of, shown_files, view_turn
from agent.edges.attempt import limits_of, publish_run
from agent.edges.journal import Journal
from agent.edges.lint import Linter
from agent.edges.llm import Model, Request
from agent.edges.repo import Repo, metrics_message
from agent.edges.template import Template
from agent.edges.workspace import Workspace
from agent.errors import ProviderError, ProviderRefused
from agent.steps import Steps

DIFF_CHARS = 1500


@dataclass(frozen=True, slots=True)
class Effects:
    """The edges that a loop acts on."""

    workspace: Workspace
    journal: Journal
    repo: Repo
    template: Template
    idea: Idea
    model: Model
    linter: Linter
    steps: Steps
    monotonic: Callable[[], float] = time.monotonic

    def perform(self, action: Effect, state: State, key: str, *, begun: bool) -> Result:
        """Do the action once; `begun` says that an earlier try may have done it already."""
        match action:
            case AskModel():
                return self._ask(state, action.purpose, begun)
            case ApplyReply():
                return self._apply(state, action, key)
            case Lint():
                return self._lint(state, action)
            case StartStep():
                return self.steps.start(state, action, begun)
            case AwaitStep():
                return self.steps.wait(state, action)
            case Publish():
                return self._publish(state, key)
            case Restore():
                return self._restore(state, action, key)
            case _:
                assert_never(action)

    # The model

    def view(self, state: State, purpose: Purpose) -> TurnView:
        """What the model is shown at this turn."""
        spec = self.template.spec
        files = self.repo.read(state.head)
        talk = state.conversation
        feedback = self.journal.get(talk.feedback) if talk.feedback else ""
        failed_diff = ""
        if purpose is Purpose.FIX and not state.clean and state.failed_commit:
            failed_diff = self.repo.diff(f"{state.failed_commit}~1", state.failed_commit, *spec.run_files)
            failed_diff = failed_diff if len(failed_diff) <= DIFF_CHARS else ""
        view = view_turn(
            state,
            spec,
            purpose=purpose,
            idea=self.idea,
            brief=self.template.brief,
            command=spec.command.replace("{out_dir}", "run_N"),
            baselines=self.template.baselines,
            files=files,
            failed_diff=failed_diff,
            feedback=feedback,
            limits=limits_of(self.template),
        )
        if view.failure and view.failure.kind is FailureKind.EDIT:  # its detail is a blob: what was said of the reply
            detail = cut_middle(self.journal.get(view.failure.detail), DETAIL_CHARS)
            view = replace(view, failure=replace(view.failure, detail=detail))
        return view

    def _ask(self, state: State, purpose: Purpose, begun: bool) -> Result:
        view = self.view(state, purpose)
        talk = state.conversation
        if purpose in (Purpose.REPAIR, Purpose.WHOLE):
            past = [Message(**m) for m in json.loads(self.journal.get(talk.request))["messages"]]
            reply = Message("assistant", self.journal.get(talk.reply))
            messages = [*past, reply, Message("user", render_repair(view))]
        else:
            messages = render_opening(view)
        messages = normalise(messages, rules_for(self.model.name))
        stored = {"model": self.model.name, "purpose": purpose.value, "messages": to_dicts(messages)}
        request = self.journal.put(json.dumps(stored, ensure_ascii=False, indent=1))
        started = self.monotonic()
        try:
            answer = self.model.ask(Request(tuple(messages), view))
        except ProviderError as error:
            return AskFailed(reason=str(error), refused=isinstance(error, ProviderRefused))
        return Asked(
            purpose=purpose,
            request=request,
            reply=self.journal.put(without_surrogates(answer.text)),
            model=answer.model,
            tokens_in=answer.tokens_in,
            tokens_out=answer.tokens_out,
            cost_usd=answer.cost_usd,
            seconds=self.monotonic() - started,
            repeated=begun,
        )

    # The code

    def _apply(self, state: State, action: ApplyReply, key: str) -> Result:
        spec = self.template.spec
        files = self.repo.read(state.head)
        talk = state.conversation
        staged = json.loads(self.journal.get(talk.staged)) if talk.staged else {}
        outcome = read_reply(
            state,
            self.journal.get(action.reply),
            files,
            staged,
            purpose=talk.purpose,
            editable=spec.editable,
            run_files=spec.run_files,
        )
        if isinstance(outcome, Refusal):
            shown = {name: staged.get(name, files[name]) for name in shown_files(state.stage, spec) if name in files}
            return Refused(
                summary=outcome.summary,
                feedback=self.journal.put(render_refusal(outcome, shown)),
                staged=self.journal.put(json.dumps(outcome.staged)) if outcome.staged else None,
                plan=outcome.plan,
            )
        trailers = self._trailers(state, key) | {"Model": self.model.name}
        if outcome.item is not None:
            trailers["Plan-Item"] = str(outcome.item)
        return Applied(
            intent=outcome.intent,
            commit=self._commit(outcome.changes, outcome.subject, trailers, key),
            changed=tuple(sorted(outcome.changes)),
            subject=outcome.subject,
            code=outcome.code,
            plan=outcome.plan,
            item=outcome.item,
            dropped=outcome.dropped,
        )

    def _trailers(self, state: State, key: str) -> dict[str, str]:
        where = {"Run": str(state.run), "Attempt": str(state.attempts_spent + 1)}
        if state.stage in (Stage.PLOT, Stage.NOTES):
            where = {"Stage": state.stage.value}
        if state.launched.control:
            where["Control"] = state.launched.control.removeprefix("control: ")
        return where | {"Step-Id": key}

    def _commit(self, changes: Mapping[str, str], subject: str, trailers: Mapping[str, str], key: str) -> str:
        """The commit of this key, made now or found; empty where nothing changes."""
        if not changes:
            return ""
        found = self.repo.find_step(key)
        if found:
            self.repo.check_out(changes)
            return found
        return self.repo.commit(changes, subject, trailers)

    def _lint(self, state: State, action: Lint) -> Result:
        before, after = self.repo.read(state.good), self.repo.read(action.commit)
        changed = {n: t for n, t in after.items() if n.endswith(".py") and before.get(n) != t}
        known = {n: before[n] for n in changed if n in before}
        interpreter = Path(state.launched.python)
        found = (*self.linter.check(changed, interpreter), *check_calls(changed))
        old = (*self.linter.check(known, interpreter), *check_calls(known)) if found else ()
        fresh = new_findings(old, found)
        return Linted(failure=lint_failure([_show_finding(f, changed) for f in fresh]) if fresh else None)

    def _restore(self, state: State, action: Restore, key: str) -> Result:
        spec = self.template.spec
        head = self.repo.read(state.head)
        names = tuple(n for n in {*spec.editable, *spec.run_files} if n != "notes.txt")
        good = self.repo.read(state.good, names)
        changes = {n: t for n, t in good.items() if head.get(n) != t}
        subject = f"Run {state.run}: restore the last good code"
        if action.gives_up:
            changes["notes.txt"] = _append(head.get("notes.txt", ""), failure_facts(state))
            subject = f"Run {state.run}: give up after {state.attempts_spent} attempts"
        trailers = self._trailers(state, key) | {"Restores": state.good}
        return Restored(
            commit=self._commit(changes, subject, trailers, key), restores=state.good, gives_up=action.gives_up
        )

    # The runs

    def _publish(self, state: State, key: str) -> Result:
        assert state.candidate
        candidate = state.candidate
        folders = {step: self.workspace.step_folder(name) for step, name in candidate.folders.items()}
        publish_run(self.workspace, state.run, folders[Step.RUN], folders.get(Step.EVALUATE), key)
        spec = self.template.spec
        code = self.repo.read(candidate.commit, spec.run_files)
        settings = {k: v for text in code.values() for k, v in settings_of(text).items()}
        baselines = reference_of(state, self.template.baselines)
        primary = primary_metric(spec, candidate.values)
        trust = candidate.self_reported
        verdict = (
            judge_run(spec, primary, candidate.values, baselines, self_reported=trust)
            if primary and baselines
            else None
        )
        facts = run_facts(state, spec, baselines, verdict, settings)
        notes = _append(self.repo.read(state.head, ("notes.txt",)).get("notes.txt", ""), facts)
        subject = f"Run {state.run}: record the results in notes.txt"
        commit = self._commit({"notes.txt": notes}, subject, self._trailers(state, key), key)
        tag = f"run/{state.run}"
        stored = {
            "metrics": candidate.values,
            "settings": settings,
            "seed": state.run,
            "verified": state.launched.verified and not candidate.self_reported,
            "self_reported": candidate.self_reported or None,
            "verdict": verdict.kind.value if verdict else None,
            "control": state.launched.control or None,
        }
        self.repo.tag(tag, candidate.commit, metrics_message(candidate.subject, stored))
        return Published(
            run=state.run,
            tag=tag,
            commit=commit,
            values=candidate.values,
            settings=settings,
            seed=state.run,
            self_reported=candidate.self_reported,
        )


def _append(text: str, section: str) -> str:
    return text.rstrip("\n") + ("\n\n" if text.strip() else "") + section


def _show_finding(finding: Finding, files: Mapping[str, str]) -> str:
    """The finding with the lines around it."""
    lines = files[finding.path].splitlines()
    first = max(0, finding.line - 4)
    around = "\n".join(
        f"{'>' if n == finding.line else ' '} {n:4d} {lines[n - 1]}"
        for n in range(first + 1, min(len(lines), finding.line + 3) + 1)
    )
    return f"{finding.path}:{finding.line}:{finding.column}: {finding.code} {finding.message}\n{around}"
