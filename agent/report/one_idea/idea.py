"""An idea in full, as values for the terminal and for `show --json`: where it stands, what is best, every run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.core.evidence.baseline import RUN_0, Baseline, doubt_of, primary_metric, summarise, verdict_of
from agent.core.evidence.verdict import Verdict, say_luck
from agent.core.journal.action_results import Closed, Published
from agent.core.journal.events import Event, Finished
from agent.core.journal.kinds import Measured, Stage
from agent.core.journal.state import RunRow, State, say_trust
from agent.core.journal.words import say_word
from agent.core.prompt.facts import say_replications
from agent.core.prompt.render import number
from agent.core.prompt.view import reference_of
from agent.edges.run.prepare_step import limits_of
from agent.edges.template.load import Template
from agent.edges.workspace.layout import Workspace
from agent.report.frontier import frontier_lines
from agent.report.one_idea.metrics import order_metrics, say_metrics, say_value, set_apart
from agent.report.pause import ways_further, ways_on
from agent.report.spending import say_batch_limits, say_cost, say_tokens
from agent.report.status import Best, best_run

__all__ = ["describe_idea", "judge_row", "run_zero"]

MOST_FIGURES = 12
OTHERS_SHOWN = 6


def describe_idea(workspace: Workspace, state: State, template: Template) -> dict[str, Any]:
    """Everything that is known of an idea: first what it came to, then its runs, its plan and how it was launched."""
    launched = state.launched
    zero = run_zero(workspace.journal().events, state)
    rows = [row for row in (zero, *state.rows) if row]
    best = best_run(state, template.spec, template.baselines)
    spent = (say_tokens(state.spent, state.limits), say_cost(state.spent, state.limits), say_batch_limits(state.limits))
    return {
        "workspace": str(workspace.path),
        "title": launched.title,
        "state": _say_state(state),
        "outcome": state.ended.summary if state.ended else (state.pause.reason if state.pause else "not ended"),
        "control": launched.remark,
        "best": say_best(best) if best else "",
        "baseline": say_baseline(state, template, best),
        "verdict": f"{best.verdict}: {best.reason}" if best and best.reason else (best.verdict if best else ""),
        "luck": _luck_line(state, template),
        "results": say_trust(launched, Measured()),
        "next": _say_ways(ways_on(str(workspace.path), state)),
        "further": _say_ways(ways_further(str(workspace.path), state, best.run if best else None)),
        "warnings": list(state.warnings),
        "no_verdicts": doubt_of(template.baselines),
        "caveat": launched.caveat,
        "runs": [row_line(row, state, template) for row in rows],
        "rows": [describe_row(row, state, template) for row in rows],
        "figures": find_figures(workspace.path),
        "notes": str(workspace.path / "notes.txt"),
        "plan": [f"{i.number}. {'(done) ' if i.number in state.done_items else ''}{i.text}" for i in state.plan],
        "baselines": _baseline_lines(state, template),
        "replications": _replication_lines(state, template),
        "begins_at": str(launched.begun) if launched.begun else "",
        "idea": f"version {state.idea_version}, revised by the reviewer" if state.idea_version > 1 else "",
        "template": f"{launched.template} ({launched.profile})" if launched.profile else launched.template,
        "model": launched.model,
        "editor": launched.editor_model or (launched.editor if launched.separate_editor else ""),
        "reviewer": launched.reviewer_model,
        "spent": ", ".join(part for part in spent if part),
        "limits": limits_of(template).describe(smoke=launched.smoke),
        "told": [say_word(word) for word in state.words],
    }


def _say_ways(ways: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{purpose}: {command}" for purpose, command in ways]


def run_zero(events: Sequence[Event], state: State) -> RunRow | None:
    """The run of the template's own code. None if it is not done, or there is none."""
    results = [event.result for event in events if isinstance(event, Finished)]
    published = next((r for r in results if isinstance(r, Published) and r.run == 0), None)
    failures = state.run.failures if state.stage is Stage.BASELINE else ()
    if published is None and not failures:
        return None
    steps = [r for r in results if isinstance(r, Closed) and r.folder.startswith("run_0.")]
    return RunRow(
        run=0,
        completed=published is not None,
        subject="the template as it is",
        commit=state.launched.commit,
        attempts=1,
        measured=published.measured if published else Measured(),
        settings=published.settings if published else {},
        failures=tuple(failure.summary for failure in failures),
        seconds=sum(step.seconds for step in steps if not step.infrastructure),
    )


def judge_row(row: RunRow, state: State, template: Template) -> Verdict | None:
    """The verdict of one run in the primary metric. None if there is none, as of run 0, which is a baseline itself."""
    if not row.completed or row.run == 0:
        return None
    primary = primary_metric(template.spec, row.values)
    return verdict_of(template.spec, primary, row.measured, reference_of(state, template.baselines))


def row_line(row: RunRow, state: State, template: Template) -> str:
    """One run in one line: the primary metric, its verdict, and how far the numbers can be trusted."""
    if not row.completed:
        attempts = f"{row.attempts} attempt" + ("" if row.attempts == 1 else "s")
        return f"run {row.run}: given up after {attempts}: {row.failures[-1] if row.failures else 'no reason is known'}"
    spec, primary = template.spec, primary_metric(template.spec, row.values)
    first = [name for name in dict.fromkeys((primary.name if primary else "", spec.frontier)) if name in row.values]
    verdict = judge_row(row, state, template)
    against = f", baseline {number(verdict.baseline_mean)}" if verdict and verdict.baseline_mean is not None else ""
    judged = f"; idea {row.review.judgement}" if row.review else ""
    said = (verdict.kind.value if verdict else "no verdict") + against
    said = "the template as it is" if row.run == 0 else said
    numbers = say_metrics(row.values, first or list(row.values)[:OTHERS_SHOWN])
    return f"run {row.run}: {numbers} ({said}; {say_trust(state.launched, row.measured)}{judged})"


def describe_row(row: RunRow, state: State, template: Template) -> dict[str, Any]:
    """One run as values. `others`: the metrics beside those of its line, cut to a few, in words."""
    spec, primary = template.spec, primary_metric(template.spec, row.values)
    verdict = judge_row(row, state, template)
    names = order_metrics(row.values, spec, primary)
    first = {primary.name if primary else "", spec.frontier}
    apart = {name for names in set_apart(spec, names) for name in names}
    others = [name for name in names if name not in first | apart]
    return {
        "run": row.run,
        "completed": row.completed,
        "metrics": {name: row.values[name] for name in names},
        "verdict": verdict.kind.value if verdict else "no verdict",
        "baseline": verdict.baseline_mean if verdict else None,
        "others": say_metrics(row.values, others, OTHERS_SHOWN) if first & row.values.keys() else "",
        "subject": row.subject,
    }


def say_best(best: Best) -> str:
    return f"run {best.run}: {best.metric}={say_value(best.value)}"


def say_baseline(state: State, template: Template, best: Best | None) -> str:
    """The number that the best run is compared with; before there is a run, the first baseline's."""
    spec, reference = template.spec, reference_of(state, template.baselines)
    primary = primary_metric(spec, reference[0].values) if reference else None
    if best and best.baseline is not None:
        where = best.reference or (reference[0].name if reference else "")
        return f"{best.metric}={number(best.baseline)}" + (f" ({_say_runs(where, reference)})" if where else "")
    rows = summarise(reference, spec.frontier) if reference and primary else ()
    row = next((row for row in rows if primary and primary.name in row.means), None)
    if row is None or primary is None:
        return ""
    spread = row.deviations.get(primary.name)
    deviation = f" ± {spread:.2g}" if spread is not None else ""
    name = f"{row.name} {row.setting}".strip()
    return f"{primary.name}={number(row.means[primary.name])}{deviation} ({_say_runs(name, reference)})"


def _say_runs(name: str, reference: Sequence[Baseline]) -> str:
    if name == RUN_0:
        return "run 0, the template as it is"
    seeds = sum(f"{b.name} {b.setting}".strip() == name for b in reference)
    return f"{name}, {seeds} runs" if seeds > 1 else name


def find_figures(folder: Path) -> list[str]:
    """Paths of the figures that were drawn, and how many more there are."""
    place = folder / "plots"
    found = sorted(path for path in place.glob("*") if path.is_file()) if place.is_dir() else []
    more = len(found) - MOST_FIGURES
    return [*map(str, found[:MOST_FIGURES]), *([f"and {more} more in {place}"] if more > 0 else [])]


def _say_state(state: State) -> str:
    if state.ended:
        return f"{'completed' if state.ended.completed else 'failed'}: {state.ended.summary}"
    at_work = f"run {state.run.number} of {state.limits.max_runs}"
    return f"paused at {at_work}: {state.pause.reason}" if state.pause else f"not ended, at {at_work}"


def _replication_lines(state: State, template: Template) -> list[str]:
    """Of each run that was run again with fresh seeds, mean, spread and verdict."""
    runs = sorted({one.run for one in state.replications.all})
    return [
        "\n".join([f"run {run} again:", *say_replications(state, template.spec, template.baselines, run)])
        for run in runs
    ]


def _luck_line(state: State, template: Template) -> str:
    verdicts = [judge_row(row, state, template) for row in state.rows if row.completed]
    return say_luck([verdict.kind for verdict in verdicts if verdict])


def _baseline_lines(state: State, template: Template) -> list[str]:
    """The frontier that runs are compared with. It is empty if the first baseline alone counts."""
    axis = template.spec.frontier
    reference = reference_of(state, template.baselines)
    return frontier_lines(summarise(reference, axis), template.spec.metrics, axis) if axis and reference else []
