"""A journal event in words, for somebody who watches a launch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.core.evidence.baseline import Baseline, primary_metric, verdict_of
from agent.core.evidence.verdict import Verdict
from agent.core.inputs.spec import TemplateSpec
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
from agent.core.journal.events import Ended, Event, Finished, Launched, Paused, Resumed, Started, Told
from agent.core.journal.kinds import Purpose, Step
from agent.core.journal.replications import Replicate, Replicated, Seeded
from agent.core.journal.state import State
from agent.core.prompt.render import number
from agent.core.prompt.view import reference_of
from agent.core.text.plain import plain_line
from agent.report.table import STYLES

METRICS_SHOWN = 4
NAME_CHARS = 40
# What a model is asked to do, where the purpose's own name does not say it.
_ASKED = {
    Purpose.NEXT: "go on",
    Purpose.REPAIR: "repair its reply",
    Purpose.WHOLE: "write whole functions",
    Purpose.NOTES: "write the notes",
    Purpose.REFLECT: "reconsider the review",
}
# What the end of a step is called.
_ENDED = {
    Step.SMOKE: "smoke test passed after",
    Step.RUN: "ran",
    Step.EVALUATE: "evaluated in",
    Step.PLOT: "figures drawn in",
}


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What the results of an idea are judged by: the template's metrics and baselines."""

    spec: TemplateSpec
    baselines: Sequence[Baseline] = ()


def describe(event: Event, state: State, by: Yardstick | None = None) -> str | None:
    """One line for the event, given the state after it. None if nobody needs to see it. by: for verdicts."""
    match event:
        case Finished():
            return _describe_result(event, state, by)
        case Paused():
            return f"paused: {event.reason}"
        case Resumed(more_runs=True):
            return f"goes on: up to {state.limits.max_runs} runs in all, {len(state.rows)} done so far"
        case Resumed():
            return "resumed"
        case Told():
            return f"told: {' '.join(event.text.split())}"
        case Ended():
            lines = [] if event.completed else [f"failed: {event.summary}"]  # a completed idea is told by its result
            return "\n".join(lines + [f"warning: {warning}" for warning in event.warnings]) or None
        case Replicate(run, seeds):
            return f"run {run} again with {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
        case Seeded(run, seed, Published() as published):
            return f"run {run}, seed {seed}: completed: {_say_values(published, state, by)}"
        case Seeded():
            return _describe_result(Finished("", event.result), state, by)
        case Launched() | Started() | Replicated():
            return None


def style_of(event: Event, state: State, by: Yardstick | None = None) -> str:
    """The colour in which the event's line is shown; empty for most."""
    match event:
        case Finished(result=Published()):
            verdict = _verdict(state, by)
            return f"bold {STYLES.get(verdict.kind.value, '')}".strip() if verdict else "bold"
        case Finished(result=Closed(failure=failure) | Linted(failure=failure)) if failure:
            return "red"
        case Finished(result=Refused() | AskFailed()):
            return "red"
        case Paused():
            return STYLES["paused"]
        case Ended():
            return "bold" if event.completed else STYLES["failed"]
        case _:
            return ""


def _verdict(state: State, by: Yardstick | None) -> Verdict | None:
    """The verdict on the run that was published last; None if nothing can be said."""
    if by is None or not state.rows:
        return None
    row = state.rows[-1]
    return verdict_of(by.spec, primary_metric(by.spec, row.values), row.measured, reference_of(state, by.baselines))


def _describe_run(result: Published, state: State, by: Yardstick | None) -> str:
    what = f"run {result.run} completed" if result.run else "run 0 completed, the code as it is"
    return f"{what}: {_say_values(result, state, by, _verdict(state, by) if result.run else None)}"


def _say_values(result: Published, state: State, by: Yardstick | None, verdict: Verdict | None = None) -> str:
    """The primary metric with its verdict, then a few others, the declared ones first."""
    spec = by.spec if by else None
    primary = primary_metric(spec, result.values) if spec else None
    first = primary.name if primary else state.launched.primary
    declared = [first, *([metric.name for metric in spec.metrics] if spec else ())]
    names = list(dict.fromkeys(name for name in (*declared, *result.values) if name in result.values))
    said = [f"{plain_line(name, NAME_CHARS)}={number(result.values[name])}" for name in names[:METRICS_SHOWN]]
    if verdict and said and names[0] == first:
        bar = verdict.baseline_mean
        against = "" if bar is None else f", {result.values[first] - bar:+.3g} from {number(bar)}"
        said[0] += f" ({verdict.kind.value}{against})"
    more = len(names) - METRICS_SHOWN
    return " ".join(said) + (f" and {more} more" if more > 0 else "")


def _describe_refusal(result: Refused | Answered) -> str:
    if isinstance(result, Refused):
        return f"reply refused: {result.summary}"
    return f"reply asks to see {', '.join(result.wanted) or 'what there is'}, which the next request shows"


def _describe_result(event: Finished, state: State, by: Yardstick | None) -> str | None:
    result = event.result
    match result:
        case Asked():
            cached = f" ({result.tokens_cached} cached)" if result.tokens_cached else ""
            tokens = f", {result.tokens_in}{cached} + {result.tokens_out} tokens" if result.tokens_in else ""
            cut = ", cut at its length limit" if result.finish_reason == "length" else ""
            what = _ASKED.get(result.purpose, result.purpose.value)
            return f"asked {result.model} to {what} ({result.seconds:.1f} s{tokens}{cut})"
        case AskFailed(remedy=remedy) if remedy:
            return None  # the pause that follows says it
        case AskFailed():
            return f"model call failed: {result.reason}"
        case Applied():
            done = f"commit {result.commit[:10]} {result.subject}" if result.commit else f"no edit: {result.subject}"
            return done + (f" (left out: {result.dropped})" if result.dropped else "")
        case Refused() | Answered():
            return _describe_refusal(result)
        case Handed():
            return "the planner's instruction goes to the editor"
        case Reviewed():
            drafted = "" if result.final else " (a draft)"
            return f"run {result.run} reviewed{drafted}: {result.judgement}. {result.reason}"
        case Linted():
            return f"lint failed: {result.failure.summary}" if result.failure else None
        case Opened(step=Step.RUN):
            return f"{result.folder}: started"
        case Opened():
            return None  # it is short, or the line at the foot tells it
        case Voided():
            return f"{result.folder}: closed, {result.reason}"
        case Closed():
            if result.failure:
                return f"{result.folder}: {result.failure.summary}"
            return f"{result.folder}: {_ENDED.get(result.step, 'ended after')} {result.seconds:.1f} s"
        case Published():
            return _describe_run(result, state, by)
        case Restored():
            what = "given up" if result.gives_up else "restored"
            return f"{what}, back to the code of {result.restores[:10]}"
