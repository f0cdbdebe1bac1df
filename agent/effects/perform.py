"""One action of the loop, done once. Each verb has a module of its own."""

from __future__ import annotations

from typing import assert_never

from agent.core.decide import (
    ApplyReply,
    AskModel,
    AwaitStep,
    Effect,
    Lint,
    Publish,
    PublishSeed,
    ReadReview,
    RecordSeeds,
    Restore,
    SeedAction,
    StartStep,
)
from agent.core.journal.action_results import Closed, Opened, Result, Voided
from agent.core.journal.replications import Replicated, Seeded
from agent.core.journal.state import State
from agent.effects.apply import apply
from agent.effects.ask import ask
from agent.effects.edges import Edges
from agent.effects.lint import lint
from agent.effects.publish import publish, publish_seed, record_seeds
from agent.effects.restore import restore
from agent.effects.review import review
from agent.errors import StopRequested


def perform(edges: Edges, action: Effect, state: State, key: str, *, begun: bool) -> Result:
    """Do the action and return its result.

    key: names this effect for ever. Commits and published runs carry it, so that a second try finds them.
    begun: an earlier try may have done the action, wholly or in part.
    """
    match action:
        case AskModel():
            return ask(edges, state, action.purpose, begun=begun)
        case ApplyReply():
            return apply(edges, state, key)
        case ReadReview():
            return review(edges, state, action.reply, key)
        case Lint():
            return lint(edges, state, action.commit)
        case StartStep():
            return edges.steps.start(state, action, begun)
        case AwaitStep():
            return edges.steps.wait(state, action)
        case Publish():
            return publish(edges, state, key)
        case Restore():
            return restore(edges, state, key, gives_up=action.gives_up)
        case _:
            assert_never(action)


def perform_seed(edges: Edges, action: SeedAction, state: State) -> Seeded | Replicated:
    """Do the action for the replication at work, and return its event. What a crash left of an earlier try is found.

    Raises: StopRequested; OSError, UsageError, IntegrityError.
    """
    match action:
        case RecordSeeds():
            return record_seeds(edges, state, action)
        case PublishSeed():
            return Seeded(action.one.run, action.one.seed, publish_seed(edges, action.one))
        case StartStep():
            if edges.workspace.is_stopped():
                raise StopRequested("stopped by request")
            begun = edges.workspace.step_folder(action.folder).is_dir()
            result = edges.steps.start(state, action, begun)
        case AwaitStep():
            result = edges.steps.wait(state, action)
        case _:
            assert_never(action)
    one = state.replications.next
    assert one and isinstance(result, Opened | Voided | Closed)
    return Seeded(one.run, one.seed, result)
