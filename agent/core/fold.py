"""The fold: one more event, one more state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from typing import assert_never

from agent.core.events import (
    Applied,
    Asked,
    AskFailed,
    Closed,
    Ended,
    Event,
    Finished,
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
    Stage,
    Started,
    Step,
    Voided,
)
from agent.core.failure import Failure
from agent.core.state import Candidate, Conversation, RunRow, State


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
            return replace(state, pause=None)
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
            return replace(state, pause=Paused(PauseKind.PROVIDER, result.reason))
        case Applied():
            return _applied(state, result)
        case Refused():
            return _refused(state, result)
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
    spent = state.spent
    unknown = (asked.cost_usd is None) + asked.repeated
    return replace(
        state,
        reply=asked.reply,
        conversation=replace(state.conversation, purpose=asked.purpose, request=asked.request, reply=asked.reply),
        spent=replace(
            spent,
            calls=spent.calls + 1,
            tokens_in=spent.tokens_in + asked.tokens_in,
            tokens_out=spent.tokens_out + asked.tokens_out,
            cost_usd=spent.cost_usd + (asked.cost_usd or 0.0),
            unknown_costs=spent.unknown_costs + unknown,
            model_s=spent.model_s + asked.seconds,
        ),
    )


def _applied(state: State, applied: Applied) -> State:
    state = replace(
        state,
        reply=None,
        head=applied.commit or state.head,
        plan=state.plan if applied.plan is None else applied.plan,
        warnings=state.warnings + ((applied.dropped,) if applied.dropped else ()),
    )
    trial = Candidate(state.head, applied.subject, applied.item)
    match applied.intent:
        case Intent.RUN:
            return replace(
                state, tried=applied.code, clean=False, candidate=trial, subject=state.subject or applied.subject
            )
        case Intent.REPLICATE:
            return replace(state, tried=applied.code, candidate=replace(trial, linted=True))
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
    talk = replace(
        state.conversation,
        refusals=state.conversation.refusals + 1,
        feedback=refused.feedback,
        staged=refused.staged,
        summary=refused.summary,
    )
    state = replace(state, reply=None, conversation=talk, plan=state.plan if refused.plan is None else refused.plan)
    # One reply, its repairs, one turn that asks for a whole function or file; the plot and notes turns get one try.
    tries = state.limits.repairs + 2 if state.stage is Stage.EXPERIMENTS else 1
    if talk.refusals < tries:
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
    )
    state = replace(state, candidate=passed)
    return _plotted(state) if closed.step is Step.PLOT else state


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
    return replace(state, serial=state.serial + 1, conversation=Conversation(), reply=None, candidate=None)


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
            _new_attempt(state), stage=Stage.EXPERIMENTS, run=1, serial=1, baseline_values=published.values, failures=()
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
    )
    state = replace(state, good=state.head, good_code=state.tried, clean=True, given_up_in_row=0)
    return _next_run(state, row)


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
    """The run number is spent, and with it the plan item that it was for: the next one, where no candidate is left."""
    of_next = state.next_item.number if state.next_item else None
    due = state.candidate.item if state.candidate else of_next
    last = row.run >= state.limits.max_runs
    return replace(
        _new_attempt(state),
        rows=(*state.rows, row),
        done_items=state.done_items if due is None else (*state.done_items, due),
        run=row.run + (not last),
        serial=1,
        attempts_spent=0,
        failures=(),
        subject="",
        stage=_closing(state) if last else state.stage,
    )
