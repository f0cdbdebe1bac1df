"""The fold of a journal: the state after one more event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from typing import assert_never

from agent.core.failure.diagnose import Failure, FailureKind
from agent.core.journal.action_results import (
    Answered,
    Applied,
    Asked,
    AskFailed,
    Closed,
    Handed,
    Linted,
    Opened,
    Published,
    Refused,
    Restored,
    Reviewed,
    Voided,
)
from agent.core.journal.approval import go_on, open_again
from agent.core.journal.events import Ended, Event, Finished, Launched, Paused, Resumed, Started, Told
from agent.core.journal.kinds import Intent, PauseKind, Role, Stage, Step
from agent.core.journal.replications import Replicate, Replicated, Seeded, advance_replications
from agent.core.journal.roles import answer_reply, begin_review, hand_over, hear, miss_review, refuse_reply, take_review
from agent.core.journal.spending import spend_call, spend_failure
from agent.core.journal.state import Attempt, Candidate, CodeState, RunAtWork, RunRow, State
from agent.core.journal.words import add_word, mark_shown


def fold(events: Iterable[Event]) -> State:
    """The state after all events, of which the first must be Launched."""
    rest = iter(events)
    first = next(rest)
    assert isinstance(first, Launched), "a journal begins with its launch"
    return reduce(advance, rest, begin(first))


def begin(launched: Launched) -> State:
    template, begun = Candidate(launched.commit, "the template as it is", linted=True), launched.begun
    head, digest = (begun.commit, begun.code) if begun else (launched.commit, launched.code)
    return State(
        launched=launched,
        stage=Stage.EXPERIMENTS if launched.has_baseline else Stage.BASELINE,
        code=CodeState(head, head, digest, digest),
        run=RunAtWork(1 if launched.has_baseline else 0),
        attempt=Attempt(candidate=None if launched.has_baseline else template),
    )


def advance(state: State, event: Event) -> State:
    """The state after one more event."""
    match event:
        case Launched():
            raise ValueError("launched twice")
        case Started():
            return replace(state, pending=event)
        case Finished():
            return open_again(_after(replace(state, pending=None, steps=state.steps + 1), event))
        case Paused():
            return replace(state, pause=event, lost_in_row=0)
        case Resumed():
            return open_again(go_on(state, event))
        case Told():
            return _told(state, event)
        case Ended():
            return replace(state, ended=event)
        case Replicate() | Seeded() | Replicated():
            head = event.commit if isinstance(event, Replicated) and event.commit else state.code.head
            replications = advance_replications(state.replications, event, state.limits.lost_steps)
            return replace(state, replications=replications, code=replace(state.code, head=head))
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
            return miss_review(state, result) if state.reviewing else _refused(state.want(result.wanted), result)
        case Answered():
            return answer_reply(state, result)
        case Handed():
            return hand_over(state, result)
        case Reviewed():
            return take_review(state, result)
        case Linted(failure=None):
            assert state.attempt.candidate
            return try_code(state, replace(state.attempt.candidate, linted=True))
        case Linted(failure=failure):
            assert failure
            return spend_attempt(state, failure)
        case Opened():
            plots = state.attempt.serial if result.step is Step.PLOT else state.plots
            return replace(state, opened=result, plots=plots)
        case Voided():
            return _next_serial(state)
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
        words=mark_shown(state.words, state.run.number) if seen else state.words,
        spent=spend_call(state.spent, asked),
    )


def _told(state: State, told: Told) -> State:
    words = add_word(state.words, told.id, told.text)
    if words == state.words:
        return state
    waits = state.pause is not None and state.pause.kind is PauseKind.APPROVAL and state.attempt.candidate is not None
    approval = replace(state.approval, objected=state.approval.objected or waits)
    return replace(state, words=words, approval=approval)


def _applied(state: State, applied: Applied) -> State:
    tried_before = state.code.tried
    run = state.want(applied.wanted).run
    state = replace(
        state,
        run=replace(run, noted=applied.wanted),
        reply=None,
        refused_in_row=0,
        code=replace(state.code, head=applied.commit or state.code.head),
        attempt=replace(state.attempt, set_aside=None),
        plan=state.plan if applied.plan is None else applied.plan,
        warnings=state.warnings + ((applied.dropped,) if applied.dropped else ()),
        notes_left_out=applied.left_out,
    )
    trial = Candidate(state.code.head, applied.subject, applied.item, tried_before=tried_before)
    code = replace(state.code, tried=applied.code)
    match applied.intent:
        case Intent.RUN:
            run = replace(state.run, subject=state.run.subject or applied.subject, replicates=False)
            return try_code(replace(state, code=replace(code, clean=False), run=run), trial)
        case Intent.REPLICATE:
            run = replace(state.run, replicates=applied.item is None)
            return try_code(replace(state, code=code, run=run), replace(trial, linted=True))
        case Intent.FINISH:
            return _finish(replace(state, last_words=state.attempt.conversation.reply))
        case Intent.PLOT:
            return try_code(state, replace(trial, linted=True))
        case Intent.NOTES:
            state = replace(state, last_words=state.attempt.conversation.reply)
            return replace(new_attempt(state), stage=Stage.NOTES, run=replace(state.run, attempts_spent=1))
        case _:
            assert_never(applied.intent)


def _finish(state: State) -> State:
    """The state once the model is done. A run number left in the middle is named, with its last failure."""
    left = f"run {state.run.number} was left after {state.run.attempts_spent} failed attempts"
    warnings = (*state.warnings, f"{left}: {state.run.failures[-1].summary}") if state.run.failures else state.warnings
    serial = max(state.attempt.serial, state.plots) + 1
    return replace(_end_attempts(state), stage=_closing(state), attempt=Attempt(serial), warnings=warnings)


def _closing(state: State) -> Stage:
    """The stage after the last experiment: figures, if the template draws any."""
    return Stage.PLOT if state.launched.plots else Stage.NOTES


def _refused(state: State, refused: Refused) -> State:
    chat = refuse_reply(state.attempt.conversation, refused, state.tries)
    attempt = replace(state.attempt, conversation=chat)
    state = replace(state, reply=None, attempt=attempt, plan=state.plan if refused.plan is None else refused.plan)
    state = replace(state, refused_in_row=state.refused_in_row + 1)
    if chat.refusals < state.tries:
        return state
    return spend_attempt(state, Failure.of_edit(refused.summary, refused.feedback))


def _closed(state: State, closed: Closed) -> State:
    candidate = state.attempt.candidate
    assert candidate
    killed = closed.exit is not None and closed.infrastructure and closed.exit.was_killed
    lost = closed.exit is None or killed
    candidate = replace(
        candidate,
        folders=candidate.folders | {closed.step: closed.folder},
        step_s=candidate.step_s + (0.0 if lost else closed.seconds),
        kills=candidate.kills + killed,
    )
    state = replace(
        try_code(state, candidate),
        opened=None,
        lost_in_row=state.lost_in_row + 1 if lost else 0,
        spent=replace(state.spent, step_s=state.spent.step_s + closed.seconds),
    )
    if closed.infrastructure:
        return _set_back(state, closed, lost)
    if closed.failure:
        return spend_attempt(state, closed.failure)
    measured = candidate.measured.join(closed.measured)
    passed = replace(candidate, passed=(*candidate.passed, closed.step), measured=measured)
    return _plotted(state) if closed.step is Step.PLOT else try_code(state, passed)


def _set_back(state: State, closed: Closed, lost: bool) -> State:
    """The state after the machine failed, not the code: the same step again in a new folder.

    A pause comes first, unless the step was only lost or killed, and not too often in a row. If the same code is killed
    as often again after a person let it go on, the kills are its own failure.
    """
    candidate = state.attempt.candidate
    state = _next_serial(state)
    if lost and state.lost_in_row < state.limits.lost_steps:
        return state
    assert closed.failure and candidate
    if candidate.kills >= 2 * state.limits.lost_steps:
        return spend_attempt(replace(state, lost_in_row=0), replace(closed.failure, kind=FailureKind.KILLED))
    kind = PauseKind.STOP if closed.exit and closed.exit.stopped else PauseKind.INFRASTRUCTURE
    often = f" ({state.lost_in_row} times in a row)" if lost else ""
    return replace(state, pause=Paused(kind, f"{closed.failure.summary}{often}"))


def _plotted(state: State) -> State:
    return replace(_end_attempts(state), stage=Stage.NOTES)


def try_code(state: State, candidate: Candidate) -> State:
    """The state with this candidate on trial."""
    return replace(state, attempt=replace(state.attempt, candidate=candidate))


def new_attempt(state: State) -> State:
    return replace(state, attempt=Attempt(state.attempt.serial + 1), reply=None)


def _next_serial(state: State) -> State:
    """The same attempt with a new folder."""
    return replace(state, attempt=replace(state.attempt, serial=state.attempt.serial + 1))


def _end_attempts(state: State) -> State:
    """The state with a new attempt, for which earlier failures do not count."""
    return replace(new_attempt(state), run=replace(state.run, failures=(), attempts_spent=0, wanted=()))


def spend_attempt(state: State, failure: Failure) -> State:
    """The state with one attempt of the run number used up, by code that failed."""
    run, candidate = state.run, state.attempt.candidate
    run = replace(
        run,
        attempts_spent=run.attempts_spent + 1,
        failures=(*run.failures, failure),
        failed_commit=candidate.commit if candidate else "",
    )
    state = replace(new_attempt(state), run=run)
    if state.stage is Stage.NOTES:
        return replace(state, warnings=(*state.warnings, f"no closing notes: {failure.summary}"))
    if state.stage is Stage.PLOT and state.run.attempts_spent >= state.limits.plot_attempts:
        warning = f"no figures: {failure.summary}"
        return replace(_plotted(state), warnings=(*state.warnings, warning))
    return state


def _published(state: State, published: Published) -> State:
    candidate = state.attempt.candidate
    assert candidate
    code = replace(state.code, head=published.commit or state.code.head)
    state = replace(state, code=code, lost_in_row=0)
    if published.run == 0:
        return replace(
            state,
            stage=Stage.EXPERIMENTS,
            run=RunAtWork(),
            attempt=Attempt(),
            reply=None,
            baseline=published.measured,
        )
    row = RunRow(
        run=published.run,
        completed=True,
        subject=state.run.subject or candidate.subject,
        commit=candidate.commit,
        attempts=state.run.attempt,
        measured=published.measured,
        settings=published.settings,
        failures=tuple(f.summary for f in state.run.failures),
        seconds=candidate.step_s,
    )
    code = replace(code, good=code.head, good_digest=code.tried, clean=True)
    state = replace(state, code=code, given_up_in_row=0)
    return begin_review(_next_run(state, row), row.run)


def _restored(state: State, restored: Restored) -> State:
    state = replace(state, code=replace(state.code, head=restored.commit or state.code.head, clean=True))
    if not restored.gives_up:
        return state
    row = RunRow(
        run=state.run.number,
        completed=False,
        subject=state.run.subject,
        commit="",
        attempts=state.run.attempts_spent,
        failures=tuple(f.summary for f in state.run.failures),
    )
    return _next_run(replace(state, given_up_in_row=state.given_up_in_row + 1), row)


def _next_run(state: State, row: RunRow) -> State:
    """The state with the run number spent, and with it the plan item that it was for.

    Without a candidate that is the next item. If enough run numbers in a row were given up and one was completed, the
    experiments end, as they do after the last run number.
    """
    of_next = state.next_item.number if state.next_item else None
    due = state.attempt.candidate.item if state.attempt.candidate else None if state.run.replicates else of_next
    row = replace(row, item=next((item for item in state.plan if item.number == due), None))
    hopeless = state.given_up_in_row >= state.limits.give_ups and state.completed_runs > 0
    warning = f"the experiments ended early: {state.given_up_in_row} run numbers in a row were given up"
    last = hopeless or row.run >= state.limits.max_runs
    return replace(
        state,
        rows=(*state.rows, row),
        warnings=(*state.warnings, warning) if hopeless else state.warnings,
        done_items=state.done_items if due is None else (*state.done_items, due),
        run=RunAtWork(row.run + (not last), wanted=() if last else state.run.noted),
        attempt=Attempt(state.plots + 1 if last else 1),
        reply=None,
        stage=_closing(state) if last else state.stage,
    )
