"""Facts of a run that the orchestrator writes into notes.txt, apart from the model's own words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from agent.core.evidence.baseline import RUN_0, Baseline, primary_metric, summarise, verdict_of
from agent.core.evidence.draws import summarise_draws
from agent.core.evidence.verdict import Verdict
from agent.core.inputs.spec import TemplateSpec
from agent.core.journal.action_results import Reviewed
from agent.core.journal.kinds import Begun, Measured
from agent.core.journal.state import State, say_trust
from agent.core.prompt.render import number
from agent.core.prompt.view import reference_of
from agent.core.text.plain import plain_line


def run_facts(
    state: State,
    spec: TemplateSpec,
    baselines: Sequence[Baseline],
    verdict: Verdict | None,
    settings: dict[str, float | int | str | bool],
) -> str:
    """The section of a completed run."""
    assert state.attempt.candidate
    candidate, run = state.attempt.candidate, state.run.number
    values = candidate.measured.values
    lines = [f"## Run {run}", ""]
    if state.launched.control:
        lines += [state.launched.control, ""]
    # The tag, not the commit it is on: the same study told again shall give the same text.
    lines += [f"Tag run/{run}, seed {run}, attempt {state.run.attempt}."]
    lines += [f"Results are {say_trust(state.launched, candidate.measured)}.", ""]
    for name in [m.name for m in spec.metrics] or sorted(values):
        if name in values:
            at_axis = bool(spec.frontier)
            against = _against_frontier(spec, baselines, values, name) if at_axis else _against_first(baselines, name)
            lines.append(f"- {name} = {number(values[name])}{against}")
    if verdict:
        lines += ["", f"Verdict: {verdict.kind.value}. {verdict.reason}"]
    if settings:
        lines += ["", "Settings: " + plain_line(", ".join(f"{k}={v}" for k, v in settings.items()))]
    lines += [f"Failed before: {failure.summary}" for failure in state.run.failures]
    return "\n".join(lines) + "\n"


def _against_frontier(spec: TemplateSpec, baselines: Sequence[Baseline], values: Mapping[str, float], name: str) -> str:
    """The baseline at the run's own place. Empty if the frontier does not have the metric."""
    verdict = verdict_of(spec, spec.metric(name), Measured(dict(values)), baselines)
    if verdict is None or verdict.baseline_mean is None:
        return ""
    band = f", band {number(verdict.low)} to {number(verdict.high)}" if verdict.low is not None else ""
    return f" (baseline {verdict.reference}: {number(verdict.baseline_mean)}{band})"


def _against_first(baselines: Sequence[Baseline], name: str) -> str:
    reference = next(iter(summarise(baselines)), None)
    if not reference or name not in reference.means:
        return ""
    deviation = reference.deviations[name]
    spread = f" ± {number(deviation)}" if deviation is not None else ""
    seeds = f"{reference.seeds} seeds" if reference.seeds > 1 else "1 seed"
    return f" (baseline {reference.name}: {number(reference.means[name])}{spread}, {seeds})"


def seed_facts(state: State, spec: TemplateSpec, stored: Sequence[Baseline], run: int) -> str:
    """The section of a run's replications."""
    control = [state.launched.control, ""] if state.launched.control else []
    lines = [f"## Run {run} again", "", *control, *say_replications(state, spec, stored, run)]
    return "\n".join(lines) + "\n"


def say_replications(state: State, spec: TemplateSpec, stored: Sequence[Baseline], run: int) -> list[str]:
    """A run's replications in words: mean and spread, each seed, and the verdict. Empty if nobody asked for any.

    stored: the template's baselines. Run 0 is not held against its own replications, if those are the baseline.
    """
    asked, results = state.replications.of(run), state.replications.results_of(run)
    reference = reference_of(state, stored)
    reference = () if run == 0 and any(b.name == RUN_0 for b in reference) else reference
    metric = primary_metric(spec, next((measured.values for measured in results.values()), None))
    draws = summarise_draws(spec, metric, results, reference) if metric else None
    lines = []
    if draws and metric:
        spread = f" ± {number(draws.deviation)}" if draws.deviation is not None else ""
        of = f"mean and standard deviation over {len(draws.verdicts)} fresh seeds" if spread else "one fresh seed"
        lines.append(f"{metric.name} = {number(draws.mean)}{spread} ({of} of the code of run {run})")
    for one in asked:
        verdict = draws.verdicts.get(one.seed) if draws else None
        value = one.measured.values.get(metric.name) if metric else None
        said = f"{metric.name} = {number(value)}" if metric and value is not None else "its results lie in the folder"
        judged = f" ({verdict.kind.value})" if verdict else ""
        told = f"failed: {one.failure}" if one.failure else f"{said}{judged}" if one.published else "is not finished"
        lines.append(f"- seed {one.seed}: {plain_line(told)}")
    if draws and draws.verdict:
        lines.append(f"Verdict of the mean: {draws.verdict.kind.value}. {draws.verdict.reason}")
    return lines


def begun_facts(begun: Begun) -> str:
    """The section about the run of another workspace at whose code the idea begins."""
    lines = ["## Beginning", "", f"The code begins as that of {begun}", "", "What it measured there:", ""]
    lines += [f"- {name} = {number(value)}" for name, value in begun.values.items()]
    return "\n".join(lines) + "\n"


def review_facts(review: Reviewed, *, revised: bool) -> str:
    """The section of a review of the idea."""
    lines = [f"## Review after run {review.run}: {review.judgement}", "", review.reason]
    lines += ["", *(f"- {suggestion}" for suggestion in review.suggestions)] if review.suggestions else []
    lines += ["", f"The idea was revised: idea.json is version {review.version}."] if revised else []
    return "\n".join(lines) + "\n"


def failure_facts(state: State) -> str:
    """The section of a run number that was given up."""
    lines = [f"## Run {state.run.number}: given up", "", f"Failed attempts: {state.run.attempts_spent}.", ""]
    return "\n".join(lines + [f"- {told}" for told in _counted([f.summary for f in state.run.failures])]) + "\n"


def summarise_rows(state: State) -> str:
    """How many run numbers came to which end."""
    given_up = len(state.rows) - state.completed_runs
    runs = "run" if state.completed_runs == 1 else "runs"
    return f"{state.completed_runs} {runs} completed" + (f", {given_up} given up" if given_up else "")


def summarise_attempts(state: State) -> str:
    """The attempts so far, one line for each run number."""
    lines = []
    for row in state.rows:
        what = "completed" if row.completed else "given up"
        lines.append(f"run {row.run} ({what}): " + ("; ".join(_counted(row.failures)) or row.subject))
    if state.run.failures:
        lines.append(f"run {state.run.number}: " + "; ".join(_counted([f.summary for f in state.run.failures])))
    return "\n".join(lines)


def _counted(texts: Sequence[str]) -> list[str]:
    """Each text once, with how often it came."""
    return [text if count == 1 else f"{text} ({count} times)" for text, count in Counter(texts).items()]
