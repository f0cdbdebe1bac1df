"""Pauses that ask a person first, and the state after a resume."""

from __future__ import annotations

from dataclasses import replace

from agent.core.failure.diagnose import Failure
from agent.core.journal.events import STEP_LIMITS, Launched, Paused, Resumed
from agent.core.journal.kinds import PauseKind, Stage
from agent.core.journal.state import Approval, Attempt, Candidate, RunAtWork, State
from agent.core.text.plain import plain_line

MOST_REFUSED = 16  # replies in a row: those of one run number without an edit, or of several
FEWEST_REFUSED = 4  # of which a pause for another reason speaks
REASON_CHARS = 160
RUN = "run"
PLAN = "plan"


def wait_for_run(state: State, candidate: Candidate) -> Paused | None:
    """The pause before the first supervised step of an attempt. None if no approval is needed."""
    if state.launched.pause_before != RUN or state.stage is not Stage.EXPERIMENTS:
        return None
    if candidate.approved or candidate.passed:
        return None
    return Paused(
        PauseKind.APPROVAL,
        f"run {state.run.number}, attempt {state.run.attempt} waits for approval: {candidate.subject} "
        f"(commit {candidate.commit[:10]})",
    )


def wait_for_plan(state: State) -> Paused | None:
    """The pause before the planner is first asked about a new run number. None if no approval is needed."""
    if state.launched.pause_before != PLAN or state.approval.run == state.run.number:
        return None
    item = f": {state.next_item.text.splitlines()[0]}" if state.next_item else ""
    return Paused(PauseKind.APPROVAL, f"the planner's turn for run {state.run.number} waits for approval{item}")


def wait_for_model(state: State) -> Paused | None:
    """The pause after many replies in a row of which none led to an edit. None before that.

    A replay has no other replies, so it goes on to their end.
    """
    most = MOST_REFUSED * (state.tries if state.launched.separate_editor else 1)
    if state.refused_in_row < most or state.launched.model.startswith("replay/"):
        return None
    advice = "launch the idea with a larger model, or with --editor-model; a resume asks the same model again"
    return Paused(PauseKind.MODEL, f"{say_no_edit(state)}; {advice}")


def say_no_edit(state: State) -> str:
    """That no reply led to an edit for long, with the last reason, "" if that is not so."""
    if state.refused_in_row < FEWEST_REFUSED:
        return ""
    failures = state.run.failures or tuple(Failure.of_edit(row.failures[-1], "") for row in state.rows if row.failures)
    why = state.attempt.conversation.summary or (failures[-1].summary if failures else "")
    last = f" (the last one: {plain_line(why, REASON_CHARS)})" if why else ""
    return f"no reply held an edit that could be applied: {state.refused_in_row} in a row were refused{last}"


def change_step_limits(launched: Launched, resumed: Resumed) -> Launched:
    """The launch with the limits of steps that a resume sets."""
    given = {name: value for name in STEP_LIMITS if (value := getattr(resumed, name)) is not None}
    return replace(launched, **given)


def go_on(state: State, resumed: Resumed) -> State:
    """The state after a resume: new settings count, and the candidate that waited is approved.

    If the researcher told something while it waited, it is set aside instead. Runs that were added open an idea again.
    """
    launched = state.launched
    state = replace(state, reopens=state.reopens or (resumed.more_runs and is_closing(state)))
    if resumed.limits is not None:
        launched = replace(launched, limits=resumed.limits)
    if resumed.pause_before is not None:
        launched = replace(launched, pause_before=resumed.pause_before)
    if resumed.sandbox is not None:
        launched = replace(launched, sandbox=resumed.sandbox)
    launched = change_step_limits(launched, resumed)
    waited = state.pause is not None and state.pause.kind is PauseKind.APPROVAL
    objected = state.approval.objected
    state = replace(state, launched=launched, pause=None, refused_in_row=0)
    state = replace(state, approval=replace(state.approval, objected=False))
    if not waited:
        return state
    candidate = state.attempt.candidate
    if candidate is None:
        return replace(state, approval=Approval(state.run.number))
    if objected:
        return _set_aside(state, candidate)
    return replace(state, attempt=replace(state.attempt, candidate=replace(candidate, approved=True)))


def is_closing(state: State) -> bool:
    """Whether the experiments are over: the idea has ended, or its figures and notes are made."""
    return state.ended is not None or state.stage in (Stage.PLOT, Stage.NOTES)


def refuse_runs(state: State, max_runs: int) -> str:
    """Why the idea cannot have this total of runs, with what to do; empty if it can."""
    spent = len(state.rows)
    if state.ended and state.stage is Stage.BASELINE:
        return "the template's own code fails, so runs cannot be added; mend the template, then launch the idea again"
    if is_closing(state) and max_runs < spent + (state.ended is not None):
        return f"{max_runs} is the total of all runs, and it has {spent} already; name more than {spent}"
    if not is_closing(state) and max_runs < state.run.number:
        return f"{max_runs} is the total of all runs, and it is at run {state.run.number}; name at least that"
    return ""


def open_again(state: State) -> State:
    """The state in which experiments go on at the next run number, if runs were added and nothing of the end is open.

    A figure that is being drawn, an unread reply, a commit under way and code that is to be restored come first.
    """
    writes = state.pending is not None and state.pending.kind != "AskModel"
    is_open = state.opened is not None or state.reply is not None or writes
    if not state.reopens or is_open or not (state.code.clean or state.ended):
        return state
    number = len(state.rows) + 1
    return replace(
        state,
        reopens=False,
        ended=None,
        stage=Stage.EXPERIMENTS,
        code=replace(state.code, good=state.code.head),  # with plot.py as the end left it
        run=RunAtWork(number),
        attempt=Attempt(state.attempt.serial + 1 if state.run.number == number else 1),
        pending=None,
        approval=Approval(),
        given_up_in_row=0,
        lost_in_row=0,
        warnings=tuple(text for text in state.warnings if not text.startswith(("no figures:", "no closing notes:"))),
        went_on_at=number,
    )


def _set_aside(state: State, candidate: Candidate) -> State:
    """The state without the candidate, which spends nothing. The planner is asked anew, from the last good code."""
    return replace(
        state,
        code=replace(state.code, tried=candidate.tried_before),
        run=replace(state.run, subject=state.run.subject if state.run.attempts_spent else "", replicates=False),
        attempt=Attempt(state.attempt.serial + 1, set_aside=candidate),
    )
