"""What each action does, on the edges. Every effect first looks for what an earlier try of the same key left behind."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, assert_never

from agent.core.code.findings import Finding, check_calls, new_findings
from agent.core.code.search_marks import settings_of
from agent.core.decide import (
    ApplyReply,
    AskModel,
    AwaitStep,
    Effect,
    Lint,
    Publish,
    ReadReview,
    Restore,
    StartStep,
)
from agent.core.edit.apply import has_blocks
from agent.core.evidence.baseline import judge_run, primary_metric
from agent.core.failure.diagnose import lint_failure
from agent.core.inputs.idea import revise_idea
from agent.core.journal.events import (
    Applied,
    Handed,
    Linted,
    Published,
    Refused,
    Restored,
    Result,
    Reviewed,
    Role,
    Stage,
    Step,
)
from agent.core.journal.roles import REVIEW_MISSES
from agent.core.journal.state import State
from agent.core.prompt.conversation import excerpt_staged, load_talk
from agent.core.prompt.facts import failure_facts, review_facts, run_facts
from agent.core.prompt.render import capitalise, render_no_change, render_refusal
from agent.core.prompt.view import reference_of, shown_files
from agent.core.reply.misses import Miss
from agent.core.reply.outcome import Edit, Handover, Refusal, read_reply
from agent.core.reply.review import Done, Review, read_review
from agent.core.text.reasoning import strip_reasoning
from agent.edges.git.repo import Repo, metrics_message
from agent.edges.lint import Linter
from agent.edges.model.ledger import Ledger
from agent.edges.model.protocol import Models
from agent.edges.run.publish import publish_run
from agent.edges.template.load import Template
from agent.edges.workspace.journal import Journal
from agent.edges.workspace.layout import Workspace
from agent.effects.ask import Asker, model_for
from agent.effects.run_step import Steps
from agent.errors import IntegrityError, UsageError


@dataclass(frozen=True, slots=True)
class Effects:
    """The edges that a loop acts on."""

    workspace: Workspace
    journal: Journal
    repo: Repo
    template: Template
    models: Models
    linter: Linter
    steps: Steps
    ledger: Ledger = field(default_factory=Ledger)
    monotonic: Callable[[], float] = time.monotonic

    def perform(self, action: Effect, state: State, key: str, *, begun: bool) -> Result:
        """Do the action once; `begun` says that an earlier try may have done it already."""
        match action:
            case AskModel():
                return self.asker.ask(state, action.purpose, begun)
            case ApplyReply():
                return self._apply(state, action, key)
            case ReadReview():
                return self._read_review(state, action, key)
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

    @property
    def asker(self) -> Asker:
        """Who asks the models."""
        return Asker(self.workspace, self.journal, self.repo, self.template, self.models, self.ledger, self.monotonic)

    # The code

    def _apply(self, state: State, action: ApplyReply, key: str) -> Result:
        spec = self.template.spec
        files = self.repo.read(state.code.head)
        talk = state.attempt.conversation
        stored = json.loads(self.journal.get(talk.staged)) if talk.staged else {}
        with_keys = self.journal.redact.undo_in(files.values())
        staged = {name: with_keys(text) for name, text in stored.items()}
        seen = load_talk(self.journal.get(talk.request)).shown if talk.request else {}
        outcome = read_reply(
            state,
            with_keys(self.journal.get(action.reply)),
            files,
            staged,
            purpose=talk.purpose,
            editable=spec.editable,
            run_files=spec.run_files,
            shown=seen,
            instruction=self.journal.get(talk.instruction) if talk.instruction else "",
        )
        match outcome:
            case Refusal():
                base = {**files, **staged}
                told = excerpt_staged(outcome, files, base, seen)
                refused = self._refuse(state, action.reply, told, base)
                return replace(refused, staged=self._keep_staged(outcome))
            case Handover():
                kept = self.journal.put(json.dumps(outcome.staged)) if outcome.staged else None
                words = self.journal.put(outcome.instruction)
                return Handed(instruction=words, staged=kept, plan=outcome.plan, item=outcome.item)
            case Edit():
                return self._carry_out(state, outcome, key)
            case _:
                assert_never(outcome)

    def _refuse(self, state: State, reply: str, refusal: Refusal, files: Mapping[str, str]) -> Refused:
        """What was wrong, for whoever repairs it: the planner, once the editor's own repairs are spent."""
        talk = state.attempt.conversation
        if talk.asked_by and talk.refusals + 1 >= state.tries:
            words = strip_reasoning(self.journal.get(reply))
            feedback = render_no_change(refusal.summary, "" if has_blocks(words) else words)
        else:
            shown = shown_files(state.stage, self.template.spec)
            feedback = render_refusal(refusal, {name: files[name] for name in shown if name in files})
        return Refused(
            summary=refusal.summary,
            feedback=self.journal.put(feedback),
            plan=refusal.plan,
        )

    def _keep_staged(self, refusal: Refusal) -> str | None:
        return self.journal.put(json.dumps(refusal.staged)) if refusal.staged else None

    def _carry_out(self, state: State, outcome: Edit, key: str) -> Applied:
        role = state.attempt.conversation.role
        trailers = self._trailers(state, key) | {"Model": model_for(self.models, role).name}
        if role is Role.EDITOR:
            trailers["Planner"] = self.models.planner.name
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
        where = {"Run": str(state.run.number), "Attempt": str(state.run.attempt)}
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
        if not found:
            try:
                return self.repo.commit(changes, subject, trailers)
            except IntegrityError:  # the git of an earlier try, whose orchestrator was killed, may have come first
                found = self.repo.find_step(key)
                if not found:
                    raise
        self.repo.check_out(changes)
        return found

    def _lint(self, state: State, action: Lint) -> Result:
        before, after = self.repo.read(state.code.good), self.repo.read(action.commit)
        changed = {n: t for n, t in after.items() if n.endswith(".py") and before.get(n) != t}
        known = {n: before[n] for n in changed if n in before}
        interpreter = Path(state.launched.python)
        found = (*self.linter.check(changed, interpreter), *check_calls(changed))
        old = (*self.linter.check(known, interpreter), *check_calls(known)) if found else ()
        fresh = new_findings(old, found)
        return Linted(failure=lint_failure([_show_finding(f, changed) for f in fresh]) if fresh else None)

    def _restore(self, state: State, action: Restore, key: str) -> Result:
        spec = self.template.spec
        head = self.repo.read(state.code.head)
        names = tuple(n for n in {*spec.editable, *spec.run_files} if n != "notes.txt")
        good = self.repo.read(state.code.good, names)
        changes = {n: t for n, t in good.items() if head.get(n) != t}
        subject = f"Run {state.run.number}: restore the last good code"
        if action.gives_up:
            changes["notes.txt"] = _append(head.get("notes.txt", ""), failure_facts(state))
            subject = f"Run {state.run.number}: give up after {state.run.attempts_spent} attempts"
        trailers = self._trailers(state, key) | {"Restores": state.code.good}
        return Restored(
            commit=self._commit(changes, subject, trailers, key), restores=state.code.good, gives_up=action.gives_up
        )

    def _read_review(self, state: State, action: ReadReview, key: str) -> Result:
        """A judgement to keep in notes.txt and, where it revises the idea, in idea.json; or what could not be read."""
        talk = state.reviewing
        assert talk
        found = read_review(self.journal.get(action.reply), cut=talk.cut)
        if isinstance(found, Done) and talk.draft:
            found, settled = read_review(self.journal.get(talk.draft)), True
        else:
            settled = talk.rounds >= state.launched.reflections
        if isinstance(found, Done):
            found = Miss("there is no review yet that could be done with")
        refused = ""
        if isinstance(found, Review) and found.changes:
            refused = self._check_revision(state, found)
            if refused and talk.misses < REVIEW_MISSES:
                found = Miss(f"the revised idea is refused: {refused}", found.line, "REVISED IDEA:")
        if isinstance(found, Miss):
            return Refused(summary=f"review: {found.problem}", feedback=self.journal.put(f"{capitalise(str(found))}."))
        reviewed = Reviewed(
            run=talk.run,
            judgement=found.judgement.value,
            reason=found.reason,
            suggestions=found.suggestions,
            version=state.idea_version,
            refused=refused,
            final=settled,
        )
        return self._keep_review(state, reviewed, {} if refused else found.changes, key) if settled else reviewed

    def _check_revision(self, state: State, review: Review) -> str:
        """Why the fields cannot be the idea's; empty where they can."""
        idea = self.workspace.idea(self.repo, state.code.head)
        try:
            revise_idea(idea, review.changes, state.launched.primary)
        except UsageError as error:
            return f"{error.where} {error.problem}"
        return ""

    def _keep_review(self, state: State, reviewed: Reviewed, changed: Mapping[str, Any], key: str) -> Reviewed:
        files = self.repo.read(state.code.head, ("idea.json", "notes.txt"))
        idea = self.workspace.idea(self.repo, state.code.head)
        revised = revise_idea(idea, changed, state.launched.primary) if changed else idea
        changes, subject = {}, f"Run {reviewed.run}: the reviewer judges the idea {reviewed.judgement}"
        if revised != idea:
            changes = {f"idea.v{reviewed.version}.json": files["idea.json"], "idea.json": revised.to_json()}
            reviewed = replace(reviewed, version=reviewed.version + 1)
            subject = f"Run {reviewed.run}: the reviewer revises the idea, version {reviewed.version}"
        changes["notes.txt"] = _append(files.get("notes.txt", ""), review_facts(reviewed, revised=bool(changes)))
        trailers = {
            "Run": str(reviewed.run),
            "Model": model_for(self.models, Role.REVIEWER).name,
            "Idea-Version": str(reviewed.version),
            "Step-Id": key,
        }
        return replace(reviewed, commit=self._commit(changes, subject, trailers, key))

    # The runs

    def _publish(self, state: State, key: str) -> Result:
        assert state.attempt.candidate
        candidate = state.attempt.candidate
        folders = {step: self.workspace.step_folder(name) for step, name in candidate.folders.items()}
        publish_run(self.workspace, state.run.number, folders[Step.RUN], folders.get(Step.EVALUATE), key)
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
        notes = _append(self.repo.read(state.code.head, ("notes.txt",)).get("notes.txt", ""), facts)
        subject = f"Run {state.run.number}: record the results in notes.txt"
        commit = self._commit({"notes.txt": notes}, subject, self._trailers(state, key), key)
        tag = f"run/{state.run.number}"
        stored = {
            "metrics": candidate.values,
            "settings": settings,
            "seed": state.run.number,
            "verified": state.launched.verified and not candidate.self_reported,
            "self_reported": candidate.self_reported or None,
            "sandbox": candidate.sandbox or None,
            "verdict": verdict.kind.value if verdict else None,
            "control": state.launched.control or None,
        }
        self.repo.tag(tag, candidate.commit, metrics_message(candidate.subject, stored))
        return Published(
            run=state.run.number,
            tag=tag,
            commit=commit,
            values=candidate.values,
            settings=settings,
            seed=state.run.number,
            self_reported=candidate.self_reported,
            sandbox=candidate.sandbox,
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
