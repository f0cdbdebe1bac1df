"""scientist show: an idea, or one of its runs, in full."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.options import Json, WorkspaceArg
from agent.cli.places import data_cache
from agent.core.evidence.baseline import doubt_of, primary_metric, summarise, verdict_of
from agent.core.evidence.verdict import say_luck
from agent.core.journal.action_results import Closed, Published
from agent.core.journal.events import Event, Finished
from agent.core.journal.kinds import Measured, Stage, Step
from agent.core.journal.state import RunRow, State, say_trust
from agent.core.journal.words import say_word
from agent.core.prompt.facts import say_replications
from agent.core.prompt.render import number
from agent.core.prompt.view import reference_of, view_row
from agent.edges.run.prepare_step import command_of, limits_of
from agent.edges.template.data import store_of
from agent.edges.template.load import Template
from agent.edges.template.variables import resolve_command
from agent.edges.workspace.layout import Workspace, frozen_template, open_workspace, read_state
from agent.errors import UsageError
from agent.report.frontier import frontier_lines
from agent.report.pause import ways_on
from agent.report.spending import say_batch_limits, say_cost, say_tokens


def show(
    path: WorkspaceArg,
    run: Annotated[int | None, typer.Argument(metavar="RUN", help="Run number.")] = None,
    as_json: Json = False,
) -> None:
    """Show an idea's plan and runs, or one run in full.

    A run is shown with the shell line that repeats it.
    """
    workspace = open_workspace(path)
    state = read_state(workspace)
    template = frozen_template(workspace, state.launched)
    if run is None:
        found = describe_idea(workspace, state, template)
    else:
        rows = [row for row in (run_zero(workspace.journal().events, state), *state.rows) if row]
        row = next((r for r in rows if r.run == run), None)
        if row is None:
            known = ", ".join(str(r.run) for r in rows) or "none yet"
            if run == 0 and state.launched.has_baseline:
                raise UsageError(f"{path}: run 0", "was not made: the template stores baselines", f"over are: {known}")
            raise UsageError(f"{path}: run {run}", "is not over, or does not exist", f"over are: {known}")
        found = describe_run(workspace, state, template, row)
    if as_json:
        typer.echo(json.dumps({"schema_version": 1} | found, indent=2, ensure_ascii=False))
    else:
        print_fields(found)


def run_zero(events: Sequence[Event], state: State) -> RunRow | None:
    """The run of the template's own code. None if it is not over, or there is none."""
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


def describe_idea(workspace: Workspace, state: State, template: Template) -> dict[str, Any]:
    launched = state.launched
    ended = state.ended
    spent = (say_tokens(state.spent, state.limits), say_cost(state.spent, state.limits), say_batch_limits(state.limits))
    return {
        "workspace": str(workspace.path),
        "title": launched.title,
        "template": f"{launched.template} ({launched.profile})" if launched.profile else launched.template,
        "model": launched.model,
        "editor": launched.editor_model or (launched.editor if launched.separate_editor else ""),
        "reviewer": launched.reviewer_model,
        "begins_at": str(launched.begun) if launched.begun else "",
        "idea": f"version {state.idea_version}, revised by the reviewer" if state.idea_version > 1 else "",
        "control": launched.remark,
        "results": say_trust(launched, Measured()),
        "limits": limits_of(template).describe(smoke=launched.smoke),
        "outcome": ended.summary if ended else (state.pause.reason if state.pause else "not over"),
        "next": [f"{purpose}: {command}" for purpose, command in ways_on(str(workspace.path), state)],
        "spent": ", ".join(part for part in spent if part),
        "told": [say_word(word) for word in state.words],
        "warnings": list(state.warnings),
        "no_verdicts": doubt_of(template.baselines),
        "caveat": launched.caveat,
        "plan": [f"{i.number}. {'[over] ' if i.number in state.done_items else ''}{i.text}" for i in state.plan],
        "baselines": _baseline_lines(state, template),
        "runs": [_row_line(row, state, template) for row in state.rows],
        "replications": _replication_lines(state, template),
        "luck": _luck_line(state, template),
    }


def _replication_lines(state: State, template: Template) -> list[str]:
    """Of each run that was run again with fresh seeds, mean, spread and verdict."""
    runs = sorted({one.run for one in state.replications.all})
    return [
        "\n".join([f"run {run} again:", *say_replications(state, template.spec, template.baselines, run)])
        for run in runs
    ]


def _luck_line(state: State, template: Template) -> str:
    reference = reference_of(state, template.baselines)
    verdicts = [
        verdict_of(template.spec, primary_metric(template.spec, row.values), row.measured, reference)
        for row in state.rows
        if row.completed
    ]
    return say_luck([verdict.kind for verdict in verdicts if verdict])


def _baseline_lines(state: State, template: Template) -> list[str]:
    """The frontier that runs are compared with. It is empty if the first baseline alone counts."""
    axis = template.spec.frontier
    reference = reference_of(state, template.baselines)
    return frontier_lines(summarise(reference, axis), template.spec.metrics, axis) if axis and reference else []


def _row_line(row: RunRow, state: State, template: Template) -> str:
    if not row.completed:
        return f"run {row.run}: given up after {row.attempts} attempts: {row.failures[-1] if row.failures else ''}"
    spec = template.spec
    primary = primary_metric(spec, row.values)
    view = view_row(row, spec, primary, reference_of(state, template.baselines))
    first = [primary.name if primary else "", spec.frontier]
    names = sorted(row.values, key=lambda name: first.index(name) if name in first else len(first))
    values = " ".join(f"{name}={_say_value(row.values[name])}" for name in names)
    verdict = view.verdict.kind.value if view.verdict else "no verdict"
    judged = f"; idea {row.review.judgement}" if row.review else ""
    return f"run {row.run}: {values} ({verdict}; {say_trust(state.launched, row.measured)}{judged})"


def _say_value(value: float) -> str:
    """Four digits, but counts whole: tokens and widths."""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else number(value)


def describe_run(workspace: Workspace, state: State, template: Template, row: RunRow) -> dict[str, Any]:
    baselines = reference_of(state, template.baselines)
    verdict = verdict_of(template.spec, primary_metric(template.spec, row.values), row.measured, baselines)
    return {
        "workspace": str(workspace.path),
        "run": row.run,
        "completed": row.completed,
        "control": state.launched.remark,
        "subject": row.subject,
        "commit": row.commit,
        "attempts": row.attempts,
        "failures": list(row.failures),
        "seconds": round(row.seconds, 1),
        "metrics": row.values,
        "settings": row.settings,
        "verdict": f"{verdict.kind.value}: {verdict.reason}" if verdict else "no verdict",
        "results": say_trust(state.launched, row.measured),
        "replications": say_replications(state, template.spec, template.baselines, row.run),
        "sandbox": row.measured.sandbox,
        "hypothesis": row.item.hypothesis if row.item else "",
        "expected": row.item.expected if row.item else "",
        "refuted_if": row.item.refuted_if if row.item else "",
        "judgement": row.review.judgement if row.review else "",
        "review": row.review.reason if row.review else "",
        "suggestions": list(row.review.suggestions) if row.review else [],
        "repeat": repeat_line(workspace, state, template, row) if row.completed else "",
    }


def repeat_line(workspace: Workspace, state: State, template: Template, row: RunRow) -> str:
    """A shell line that runs and evaluates the same code once more in a new folder."""
    quoted = shlex.quote
    variables = {"SCIENTIST_SEED": str(row.run)} | template.spec.environment.variables
    if template.sealed:
        variables["PYTHONPATH"] = str(template.sealed)
    parts = [
        "mkdir repeat",
        f"git -C {quoted(str(workspace.path))} archive {row.commit[:12]} | tar -x -C repeat",
        "cd repeat",
    ]
    if state.launched.data:
        parts.append(f"ln -s {quoted(state.launched.data)} data")
    if state.launched.training:
        store = store_of(data_cache(), template)
        variables["SCIENTIST_TRAINING_DATA"] = str(find_prepared(store, "training", state.launched.training))
        variables["SCIENTIST_EVALUATION_DATA"] = str(find_prepared(store, "evaluation", state.launched.evaluation))
    setting = " ".join(f"{name}={quoted(value)}" for name, value in variables.items())
    for step in (Step.RUN, Step.EVALUATE) if template.spec.evaluate else (Step.RUN,):
        command = resolve_command(command_of(template, step, row.run), Path(state.launched.python))
        parts += copy_inputs(workspace, template, step, row.run)
        parts.append(f"env {setting} {shlex.join(command)}")
    return " && ".join(parts)


def copy_inputs(workspace: Workspace, template: Template, step: Step, run: int) -> list[str]:
    """Commands that put the files beside the code that the step finds there: other files of the template, its view of
    the profile, the baselines.
    """
    copies = []
    if step is Step.RUN and (tops := sorted({name.partition("/")[0] for name in template.companions})):
        sources = shlex.join(str(template.folder / top) for top in tops)
        copies.append(f"{{ cp -rns {sources} . || true; }}")  # edited files stay, which some versions call an error
    profile = template.folder / "profiles" / f"{template.profile}.json"
    has_hidden = template.public_profile != template.profile_text
    if has_hidden and step is Step.RUN:
        shown = json.dumps(json.loads(template.public_profile))  # in one line
        copies.append(f"printf %s {shlex.quote(shown)} > profile.json")
    elif template.profile_text and (has_hidden or step is Step.RUN):
        copies.append(f"cp -f {shlex.quote(str(profile))} profile.json")
    known = sorted(workspace.attempts.glob(f"run_{run}.*/work/baselines.json"))
    if step is Step.EVALUATE and known:
        copies.append(f"cp {shlex.quote(str(known[-1]))} baselines.json")
    return copies


def find_prepared(store: Path, kind: str, name: str) -> Path:
    """The folder of that name in a template's store, whose layout is the template's own."""
    places = [store / kind / name, store / name, *sorted(store.glob(f"*/{name}")), *sorted(store.glob(f"*/*/{name}"))]
    return next((place for place in places if place.is_dir()), places[0])


def print_fields(found: dict[str, Any]) -> None:
    for name, value in found.items():
        if name == "control":
            typer.echo(value, nl=bool(value))
            continue
        if value in ("", [], {}, None):
            continue
        if isinstance(value, list):
            typer.echo(f"{name}:")
            for item in value:
                typer.echo("  " + str(item).replace("\n", "\n  "))
        elif isinstance(value, dict):
            typer.echo(
                f"{name}: " + " ".join(f"{k}={v:.6g}" if isinstance(v, float) else f"{k}={v}" for k, v in value.items())
            )
        else:
            typer.echo(f"{name}: " + str(value).replace("\n", "\n  "))
