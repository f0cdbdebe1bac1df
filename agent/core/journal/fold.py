"""The fold: one more event, one more state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from typing import assert_never

from agent.core.failure.diagnose import Failure
from agent.core.journal.approval import go_on
from agent.core.journal.events import (
    Applied,
    Asked,
    AskFailed,
    Closed,
    Ended,
    Event,
    Finished,
    Handed,
    Intent,
    Launched,
    Linted,
    Opened,
    Paused,
    PauseKind,
    Published,
    Refused,
    Restored,
    Resumed,
    Reviewed,
    Role,
    Stage,
    Started,
    Step,
    Told,
    Voided,
)
from agent.core.journal.roles import begin_review, hand_over, hear, miss_review, refuse_reply, take_review
from agent.core.journal.spending import spend_call, spend_failure
from agent.core.journal.state import Candidate, Conversation, RunRow, State
from agent.core.journal.words import add_word, mark_shown


def fold(events: Iterable[Event]) -> State:
    """The state after all events; the first must be Launched."""
    rest = iter(events)
    first = next(rest)
    assert isinstance(first, Launched), "a journal begins with its launch"
    return reduce(advance, rest, begin(first))


def begin(launched: Launched) -> State:
    return State(
        launched=launched,
        stage=Stage.EXPERIMENTS if launched.has_baseline else Stage.BASELINE,
        run=1 if launched.has_baseline else 0,
        head=launched.commit,
        good=launched.commit,
        good_code=launched.code,
        tried=launched.code,
        candidate=None if launched.has_baseline else Candidate(launched.commit, "the template as it is", linted=True),
    )


def advance(state: State, event: Event) -> State:
    """The state after one more event."""
    match event:
        case Launched():
            raise ValueError("launched twice")
        case Started():
            return replace(state, pending=event)
        case Finished():
            return _after(replace(state, pending=None, steps=state.steps + 1), event)
        case Paused():
            return replace(state, pause=event, lost_in_row=0)
        case Resumed():
            return go_on(state, event)
        case Told():
            return _told(state, event)
        case Ended():
            return replace(state, ended=event)
        case _:
            assert_never(event)


def _after(state: State, event: Finished) -> State:
    result = event.result
    match result:
        case Asked():
            return _asked(state, result)
        case AskFailed():
            kind = PauseKind.BUDGET if result.remedy else PauseKind.PROVIDER
            spent = spend_failure(state.spent, result)
            return replace(state, pause=Paused(kind, result.reason, result.remedy), spent=spent)
        case Applied():
            return _applied(state, result)
        case Refused():
            return miss_review(state, result) if state.reviewing else _refused(state, result)
        case Handed():
            return hand_over(state, result)
        case Reviewed():
            return take_review(state, result)
        case Linted(failure=None):
            assert state.candidate
            return replace(state, candidate=replace(state.candidate, linted=True))
        case Linted(failure=failure):
            assert failure
            return spend_attempt(state, failure)
        case Opened():
            return replace(state, open_step=result.step, open_folder=result.folder)
        case Voided():
            return replace(state, serial=state.serial + 1)
        case Closed():
            return _closed(state, result)
        case Published():
            return _published(state, result)
        case Restored():
            return _restored(state, result)
        case _:
            assert_never(result)


def _asked(state: State, asked: Asked) -> State:
    seen = asked.role is Role.PLANNER
    return replace(
        hear(state, asked),
        words=mark_shown(state.words, state.run) if seen else state.words,
        spent=spend_call(state.spent, asked),
    )


def _told(state: State, told: Told) -> State:
    words = add_word(state.words, told.id, told.text)
    if words == state.words:
        return state
    waits = state.pause is not None and state.pause.kind is PauseKind.APPROVAL and state.candidate is not None
    return replace(state, words=words, objected=state.objected or waits)


def _applied(state: State, applied: Applied) -> State:
    tried_before = state.tried
    state = replace(
        state,
        reply=None,
        head=applied.commit or state.head,
        plan=state.plan if applied.plan is None else applied.plan,
        warnings=state.warnings + ((applied.dropped,) if applied.dropped else ()),
        set_aside=None,
    )
    trial = Candidate(state.head, applied.subject, applied.item, tried_before=tried_before)
    match applied.intent:
        case Intent.RUN:
            return replace(
                state,
                tried=applied.code,
                clean=False,
                candidate=trial,
                subject=state.subject or applied.subject,
                replicates=False,
            )
        case Intent.REPLICATE:
            trial = replace(trial, linted=True)
            return replace(state, tried=applied.code, candidate=trial, replicates=applied.item is None)
        case Intent.FINISH:
            return _finish(state)
        case Intent.PLOT:
            return replace(state, candidate=replace(trial, linted=True))
        case Intent.NOTES:
            return replace(_new_attempt(state), stage=Stage.NOTES, attempts_spent=1)
        case _:
            assert_never(applied.intent)


def _finish(state: State) -> State:
    """The model is done; a run number that it leaves in the middle is named, so that its failures are not forgotten."""
    left = f"run {state.run} was left after {state.attempts_spent} failed attempts"
    warnings = (*state.warnings, f"{left}: {state.failures[-1].summary}") if state.failures else state.warnings
    return replace(_new_attempt(state), stage=_closing(state), failures=(), attempts_spent=0, warnings=warnings)


def _closing(state: State) -> Stage:
    """What follows the last experiment: figures, where the template draws any."""
    return Stage.PLOT if state.launched.plots else Stage.NOTES


def _refused(state: State, refused: Refused) -> State:
    chat = refuse_reply(state.conversation, refused, state.tries)
    state = replace(state, reply=None, conversation=chat, plan=state.plan if refused.plan is None else refused.plan)
    if chat.refusals < state.tries:
        return state
    return spend_attempt(state, Failure.of_edit(refused.summary, refused.feedback))


def _closed(state: State, closed: Closed) -> State:
    assert state.candidate
    lost = closed.exit is None
    folders = state.candidate.folders | {closed.step: closed.folder}
    state = replace(
        state,
        open_step=None,
        open_folder="",
        lost_in_row=state.lost_in_row + 1 if lost else 0,
        spent=replace(state.spent, step_s=state.spent.step_s + closed.seconds),
        candidate=replace(state.candidate, folders=folders, step_s=state.candidate.step_s + closed.seconds),
    )
    if closed.infrastructure:
        return _set_back(state, closed, lost)
    if closed.failure:
        return spend_attempt(state, closed.failure)
    assert state.candidate
    passed = replace(
        state.candidate,
        passed=(*state.candidate.passed, closed.step),
        values=state.candidate.values | closed.values,
        self_reported=closed.self_reported or state.candidate.self_reported,
        sandbox=_weaker(state.candidate.sandbox, closed.exit.sandbox if closed.exit else ""),
    )
    state = replace(state, candidate=passed)
    return _plotted(state) if closed.step is Step.PLOT else state


_STRENGTH = ("off", "landlock", "bwrap")


def _weaker(before: str, now: str) -> str:
    """Of the sandboxes of two steps the one that held less; empty where it is not recorded of any."""
    return next((kind for kind in _STRENGTH if kind in (before, now)), "")


def _set_back(state: State, closed: Closed, lost: bool) -> State:
    """The machine failed, not the code: the same step again in a new folder, after a pause unless it was only lost."""
    state = replace(state, serial=state.serial + 1)
    if lost and state.lost_in_row < state.limits.lost_steps:
        return state
    assert closed.failure
    kind = PauseKind.STOP if closed.exit and closed.exit.stopped else PauseKind.INFRASTRUCTURE
    return replace(state, pause=Paused(kind, closed.failure.summary))


def _plotted(state: State) -> State:
    return replace(_new_attempt(state), stage=Stage.NOTES, attempts_spent=0, failures=())


def _new_attempt(state: State) -> State:
    return replace(
        state, serial=state.serial + 1, conversation=Conversation(), reply=None, candidate=None, set_aside=None
    )


def spend_attempt(state: State, failure: Failure) -> State:
    """One attempt of the run number at work is used up by code that failed."""
    state = replace(
        _new_attempt(state),
        attempts_spent=state.attempts_spent + 1,
        failures=(*state.failures, failure),
        failed_commit=state.candidate.commit if state.candidate else "",
    )
    if state.stage is Stage.NOTES:
        return replace(state, warnings=(*state.warnings, f"no closing notes: {failure.summary}"))
    if state.stage is Stage.PLOT and state.attempts_spent >= state.limits.plot_attempts:
        warning = f"no figures: {failure.summary}"
        return replace(_plotted(state), warnings=(*state.warnings, warning))
    return state


def _published(state: State, published: Published) -> State:
    candidate = state.candidate
    assert candidate
    state = replace(state, head=published.commit or state.head, lost_in_row=0)
    if published.run == 0:
        return replace(
            _new_attempt(state),
            stage=Stage.EXPERIMENTS,
            run=1,
            serial=1,
            baseline_values=published.values,
            baseline_self_reported=published.self_reported,
            failures=(),
        )
    row = RunRow(
        run=published.run,
        completed=True,
        subject=state.subject or candidate.subject,
        commit=candidate.commit,
        attempts=state.attempts_spent + 1,
        values=published.values,
        settings=published.settings,
        failures=tuple(f.summary for f in state.failures),
        seconds=candidate.step_s,
        self_reported=published.self_reported,
        sandbox=published.sandbox,
    )
    state = replace(state, good=state.head, good_code=state.tried, clean=True, given_up_in_row=0)
    return begin_review(_next_run(state, row), row.run)


def _restored(state: State, restored: Restored) -> State:
    state = replace(state, head=restored.commit or state.head, clean=True)
    if not restored.gives_up:
        return state
    row = RunRow(
        run=state.run,
        completed=False,
        subject=state.subject,
        commit="",
        attempts=state.attempts_spent,
        failures=tuple(f.summary for f in state.failures),
    )
    return _next_run(replace(state, given_up_in_row=state.given_up_in_row + 1), row)


def _next_run(state: State, row: RunRow) -> State:
    """The run number is spent, and with it the plan item that it was for: the next one, where no candidate is left.

    A row of run numbers given up ends the experiments as the last run number does, where a run was completed.
    """
    of_next = state.next_item.number if state.next_item else None
    due = state.candidate.item if state.candidate else None if state.replicates else of_next
    row = replace(row, item=next((item for item in state.plan if item.number == due), None))
    hopeless = state.given_up_in_row >= state.limits.give_ups and state.completed_runs > 0
    warning = f"the experiments ended early: {state.given_up_in_row} run numbers in a row were given up"
    last = hopeless or row.run >= state.limits.max_runs
    return replace(
        _new_attempt(state),
        rows=(*state.rows, row),
        warnings=(*state.warnings, warning) if hopeless else state.warnings,
        replicates=False,
        done_items=state.done_items if due is None else (*state.done_items, due),
        run=row.run + (not last),
        serial=1,
        attempts_spent=0,
        failures=(),
        subject="",
        stage=_closing(state) if last else state.stage,
    )
