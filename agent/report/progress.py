"""A journal event in words, for somebody who watches a launch."""

from __future__ import annotations

from agent.core.journal.action_results import (
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
from agent.core.journal.events import Ended, Event, Finished, Launched, Paused, Resumed, Started, Told
from agent.core.journal.replications import Replicate, Replicated, Seeded
from agent.core.journal.state import State
from agent.core.prompt.render import number

METRICS_SHOWN = 5


def describe(event: Event, state: State) -> str | None:
    """One line for the event, given the state after it. None if nobody needs to see it."""
    match event:
        case Finished():
            return _describe_result(event, state)
        case Paused():
            return f"paused: {event.reason}"
        case Resumed(more_runs=True):
            return f"goes on: up to {state.limits.max_runs} runs in all, {len(state.rows)} of them over"
        case Resumed():
            return "resumed"
        case Told():
            return f"told: {' '.join(event.text.split())}"
        case Ended():
            control = f" ({state.launched.remark})" if state.launched.remark else ""
            lines = [("completed: " if event.completed else "failed: ") + event.summary + control]
            return "\n".join(lines + [f"warning: {warning}" for warning in event.warnings])
        case Replicate(run, seeds):
            return f"run {run} again with {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
        case Seeded(run, seed, Published() as published):
            return f"run {run}, seed {seed}: completed: {_say_values(published, state)}"
        case Seeded():
            return _describe_result(Finished("", event.result), state)
        case Launched() | Started() | Replicated():
            return None


def _describe_result(event: Finished, state: State) -> str | None:
    result = event.result
    match result:
        case Asked():
            cached = f" ({result.tokens_cached} cached)" if result.tokens_cached else ""
            tokens = f", {result.tokens_in}{cached} + {result.tokens_out} tokens" if result.tokens_in else ""
            cut = ", cut at its length limit" if result.finish_reason == "length" else ""
            return f"asked {result.model} to {result.purpose.value} ({result.seconds:.1f} s{tokens}{cut})"
        case AskFailed(remedy=remedy) if remedy:
            return None  # the pause that follows says it
        case AskFailed():
            return f"model call failed: {result.reason}"
        case Applied():
            done = f"commit {result.commit[:10]} {result.subject}" if result.commit else f"no edit: {result.subject}"
            return done + (f" (left out: {result.dropped})" if result.dropped else "")
        case Refused():
            return f"reply refused: {result.summary}"
        case Handed():
            return "the planner's instruction goes to the editor"
        case Reviewed():
            drafted = "" if result.final else " (a draft)"
            return f"run {result.run} reviewed{drafted}: {result.judgement}. {result.reason}"
        case Linted():
            return f"lint failed: {result.failure.summary}" if result.failure else None
        case Opened():
            return f"{result.folder}: started"
        case Voided():
            return f"{result.folder}: closed, {result.reason}"
        case Closed():
            if result.failure:
                return f"{result.folder}: {result.failure.summary}"
            return f"{result.folder}: {result.step.value} ended well in {result.seconds:.1f} s"
        case Published():
            return f"run {result.run} completed: {_say_values(result, state)}"
        case Restored():
            what = "given up" if result.gives_up else "restored"
            return f"{what}, back to the code of {result.restores[:10]}"


def _say_values(published: Published, state: State) -> str:
    names = sorted(published.values, key=lambda name: name != state.launched.primary)[:METRICS_SHOWN]
    return " ".join(f"{name}={number(published.values[name])}" for name in names)
