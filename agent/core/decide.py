"""The rules that choose the next action from the state alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from agent.core.failure.diagnose import TIMED_OUT
from agent.core.failure.remedy import remedy_for
from agent.core.journal.approval import wait_for_model, wait_for_plan, wait_for_run
from agent.core.journal.budget import Limits
from agent.core.journal.events import Paused
from agent.core.journal.kinds import Purpose, Role, Stage, Step
from agent.core.journal.replications import Replication, folder_of_seed
from agent.core.journal.state import Candidate, State


@dataclass(frozen=True, slots=True)
class AskModel:
    """Send the conversation and wait for the reply."""

    purpose: Purpose


@dataclass(frozen=True, slots=True)
class ApplyReply:
    """Read the reply (a blob), apply its edit and commit, or refuse it."""

    reply: str


@dataclass(frozen=True, slots=True)
class ReadReview:
    """Read the reviewer's reply (a blob), as a judgement to keep, a draft, or a text that cannot be read."""

    reply: str


@dataclass(frozen=True, slots=True)
class Lint:
    """Check the candidate against the last good code."""

    commit: str


@dataclass(frozen=True, slots=True)
class StartStep:
    """Start a supervised process in a new folder."""

    step: Step
    folder: str
    commit: str


@dataclass(frozen=True, slots=True)
class AwaitStep:
    """Wait for a supervised process and read its results."""

    step: Step
    folder: str


@dataclass(frozen=True, slots=True)
class Publish:
    """Copy the candidate's outputs to run_N/, tag it, and write its facts into notes.txt."""

    run: int


@dataclass(frozen=True, slots=True)
class Restore:
    """Commit the last good code again. If `gives_up`, the run number is spent."""

    gives_up: bool


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop here until a resume."""

    pause: Paused


@dataclass(frozen=True, slots=True)
class Finish:
    """The idea is over, with at least one completed run."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The idea is over without a result."""

    reason: str


@dataclass(frozen=True, slots=True)
class PublishSeed:
    """Copy the outputs of a replication beside the others of its run."""

    one: Replication


@dataclass(frozen=True, slots=True)
class RecordSeeds:
    """Write the facts of the replications under a key into notes.txt."""

    run: int
    key: str


Effect = AskModel | ApplyReply | ReadReview | Lint | StartStep | AwaitStep | Publish | Restore
Action = Effect | Pause | Finish | GiveUp
SeedAction = StartStep | AwaitStep | PublishSeed | RecordSeeds


def decide(state: State, limits: Limits) -> Action:
    """The next action. The state must not have ended."""
    if state.pause:
        return Pause(state.pause)
    if state.opened:
        return AwaitStep(state.opened.step, state.opened.folder)
    if state.attempt.candidate:
        return _try(state, state.attempt.candidate)
    if state.reply is not None:
        return ReadReview(state.reply) if state.reviewing else ApplyReply(state.reply)
    if state.reviewing:
        return AskModel(Purpose.REFLECT if state.reviewing.draft else Purpose.REVIEW)
    match state.stage:
        case Stage.BASELINE:
            failure = state.run.failures[-1]
            remedy = remedy_for(failure)
            return GiveUp(f"the template's own experiment fails: {failure.summary}" + (remedy and f"; {remedy}"))
        case Stage.EXPERIMENTS:
            return _experiment(state, limits)
        case Stage.PLOT | Stage.NOTES if not state.completed_runs:
            return GiveUp(f"no run was completed within {limits.max_runs} run numbers{_say_too_short(state)}")
        case Stage.PLOT | Stage.NOTES if not state.code.clean:
            return Restore(gives_up=False)
        case Stage.PLOT:
            return AskModel(Purpose.REPAIR if state.attempt.conversation.answers else Purpose.PLOT)
        case Stage.NOTES:
            purpose = Purpose.REPAIR if state.attempt.conversation.answers else Purpose.NOTES
            return Finish() if state.run.attempts_spent else AskModel(purpose)
        case _:
            assert_never(state.stage)


def _say_too_short(state: State) -> str:
    """The option that helps, if the last attempts of every run ran out of time. Empty if they did not."""
    ends = [row.failures[-1] for row in state.rows if row.failures]
    if not ends or not all(end.startswith(TIMED_OUT) for end in ends):
        return ""
    return f", as each {TIMED_OUT} its limit; launch with a longer --run-s"


def _experiment(state: State, limits: Limits) -> Action:
    if state.given_up_in_row >= limits.give_ups and not state.completed_runs:
        return GiveUp(f"{state.given_up_in_row} run numbers in a row were given up{_say_too_short(state)}")
    if state.run.attempts_spent >= limits.attempts:
        return Restore(gives_up=True)
    if wait := wait_for_model(state):
        return Pause(wait)
    chat = state.attempt.conversation
    if chat.refusals or chat.answers:
        last = chat.refusals > limits.repairs or bool(chat.stuck)
        return AskModel(Purpose.WHOLE if last else Purpose.REPAIR)
    if state.attempt.conversation.role is Role.EDITOR:
        return AskModel(Purpose.EDIT)
    # The same failure for the third time: a new conversation that no longer holds the code that failed.
    if state.run.repeats >= 3 and not state.code.clean:
        return Restore(gives_up=False)
    if state.attempt.set_aside and not state.code.clean:
        return Restore(gives_up=False)
    if state.run.failures:
        return AskModel(Purpose.FIX)
    if wait := wait_for_plan(state):
        return Pause(wait)
    return AskModel(Purpose.NEXT if state.rows else Purpose.PLAN)


def _try(state: State, candidate: Candidate) -> Action:
    """The first check that the candidate has not passed yet."""
    if state.stage is Stage.PLOT:
        return StartStep(Step.PLOT, f"plot.{state.attempt.serial}", candidate.commit)
    if not candidate.linted:
        return Lint(candidate.commit)
    if wait := wait_for_run(state, candidate):
        return Pause(wait)
    for step in steps_of(state):
        if step not in candidate.passed:
            return StartStep(step, folder_of(state.run.number, state.attempt.serial, step), candidate.commit)
    return Publish(state.run.number)


def steps_of(state: State) -> tuple[Step, ...]:
    """The supervised steps that a run consists of, in order."""
    smoke = (Step.SMOKE,) if state.launched.smoke else ()
    evaluate = (Step.EVALUATE,) if state.launched.evaluates else ()
    return (*smoke, Step.RUN, *evaluate)


def folder_of(run: int, serial: int, step: Step) -> str:
    """The step's folder under .agent/attempts: run_3.2 for the run itself, run_3.2.smoke for its smoke test."""
    return f"run_{run}.{serial}" + ("" if step is Step.RUN else f".{step}")


def decide_seed(state: State) -> SeedAction | None:
    """The next action for the replications that a person asked for. None if they are over and recorded.

    The code is the run's own, so that it is neither linted nor tried in a smoke test again.
    """
    one = state.replications.next
    for key, run in state.replications.unrecorded:
        if all(asked.is_over for asked in state.replications.under(key)):
            return RecordSeeds(run, key)
    if one is None:
        return None
    if one.opened:
        return AwaitStep(one.opened.step, one.opened.folder)
    for step in steps_of(state):
        if step not in (*one.passed, Step.SMOKE):
            return StartStep(step, folder_of_seed(one, step), commit_of(state, one.run))
    return PublishSeed(one)


def commit_of(state: State, run: int) -> str:
    """The commit that a completed run's code is in; that of run 0 is the template's."""
    return next((row.commit for row in state.rows if row.run == run and row.completed), state.launched.commit)
