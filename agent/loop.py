"""The only driver. It folds the journal, decides, acts and appends, until the idea pauses or ends."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import astuple
from subprocess import SubprocessError
from types import UnionType
from typing import assert_never

from agent.core.decide import (
    ApplyReply,
    AskModel,
    AwaitStep,
    Effect,
    Finish,
    GiveUp,
    Lint,
    Pause,
    Publish,
    ReadReview,
    RecordSeeds,
    Restore,
    SeedAction,
    StartStep,
    decide,
    decide_seed,
)
from agent.core.journal.events import Ended, Event, Finished, Paused, Resumed, Started
from agent.core.journal.fold import advance, fold
from agent.core.journal.kinds import PauseKind, say_action
from agent.core.journal.replications import Replicate
from agent.core.journal.state import State
from agent.core.prompt.facts import summarise_attempts, summarise_rows
from agent.edges.system.faults import say_fault
from agent.edges.workspace.inbox import take_in
from agent.edges.workspace.journal import Journal
from agent.effects.edges import Edges
from agent.effects.perform import perform, perform_seed
from agent.errors import StopRequested, UsageError

Watcher = Callable[[Event, State], None]


class Loop:
    """Takes one workspace from the end of its journal to a pause or the end of the idea.

    watch: called with every event once it is stored, and with the state after it.
    """

    def __init__(self, edges: Edges, *, watch: Watcher = lambda event, state: None) -> None:
        self._edges = edges
        self.journal: Journal = edges.journal
        self._watch = watch
        self.state = fold(self.journal.events)

    def run(self, resumed: Resumed | None = None) -> State:
        """Go on until the idea pauses or ends. If this is interrupted, a later `run` goes on from the journal.

        A stop file pauses the idea before its next step. Remove it before you go on.

        resumed: the changes that a person made. Words that were told before join the journal before them.
        """
        resumed = resumed or Resumed()
        goes_on = resumed.more_runs or not self.state.ended
        self._listen(ended=resumed.more_runs)
        if goes_on and (resumed != Resumed() or self.journal.count > 1):
            self._append(resumed)
        self._do_seeds(RecordSeeds)  # a crash may have left their commit
        while not self.state.ended:
            self._listen()
            action = decide(self.state, self.state.limits)
            match action:
                case Pause():
                    if self.journal.last is None or self.journal.last.event != action.pause:
                        self._append(action.pause)
                    return self.state
                case Finish():
                    self._append(Ended(True, summarise_rows(self.state), self.state.warnings))
                case GiveUp():
                    self._append(Ended(False, f"{action.reason}\n{summarise_attempts(self.state)}".strip()))
                case (
                    AskModel()
                    | ApplyReply()
                    | ReadReview()
                    | Lint()
                    | StartStep()
                    | AwaitStep()
                    | Publish()
                    | Restore()
                ):
                    self._act(action)
                case _:
                    assert_never(action)
        return self.state

    def replicate(self, asked: Replicate | None = None) -> State:
        """Run the replications that are asked for and not over, until the machine fails one. No model is asked.

        Raises: StopRequested; OSError or UsageError of the machine. A later call goes on.
        """
        if asked:
            self._append(asked)
        self._do_seeds(SeedAction)
        return self.state

    def _do_seeds(self, kinds: type | UnionType) -> None:
        """Carry out actions of these kinds that are due for replications."""
        while (action := decide_seed(self.state)) and isinstance(action, kinds):
            self._append(perform_seed(self._edges, action, self.state))
            if self.state.replications.halt:
                return

    def _act(self, action: Effect) -> None:
        if self._edges.workspace.is_stopped() and not isinstance(action, AwaitStep):
            self._append(Paused(PauseKind.STOP, "stopped by request"))
            return
        key = step_key(action, self.state)
        begun = self.state.pending is not None and self.state.pending.key == key
        if not begun:
            state = self.state
            turn = state.attempt.conversation.refusals
            self._append(Started(key, type(action).__name__, state.run.number, state.attempt.serial, turn))
        try:
            result = perform(self._edges, action, self.state, key, begun=begun)
        except StopRequested as error:
            self._append(Paused(PauseKind.STOP, str(error)))
            return
        except (OSError, MemoryError, SubprocessError, UsageError) as error:  # mended by hand, as a failing disk is
            place = self._edges.workspace.path
            cause = say_fault(error, place) if isinstance(error, OSError | MemoryError) else str(error)
            self._append(Paused(PauseKind.INFRASTRUCTURE, f"could not {say_action(type(action).__name__)}: {cause}"))
            return
        self._append(Finished(key, result))

    def _listen(self, *, ended: bool = False) -> None:
        """Add the words that a person told meanwhile to the journal, once. ended: also to an idea that has ended."""
        if ended or not self.state.ended:
            take_in(self._edges.workspace.agent, {word.id for word in self.state.words}, self._append)

    def _append(self, event: Event) -> None:
        event = self.journal.append(event).event  # as stored: a later fold comes to the same state
        self.state = advance(self.state, event)
        self._watch(event, self.state)


def step_key(action: Effect, state: State) -> str:
    """Names one effect of one workspace for ever: the same after a crash, never the same for two effects."""
    launched = state.launched
    inputs = (launched.workspace, launched.commit, type(action).__name__, astuple(action))
    place = (state.run.number, state.attempt.serial, state.attempt.conversation.refusals, state.steps)
    return hashlib.sha256(repr((inputs, place)).encode()).hexdigest()[:20]
