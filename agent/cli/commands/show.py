"""scientist show: an idea, one of its runs, or a batch."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from agent.cli.display import columns_of, write_lines
from agent.cli.options import Json
from agent.cli.places import data_cache, open_idea, without_lists
from agent.cli.terminal import say
from agent.core.evidence.baseline import primary_metric
from agent.core.journal.kinds import Step
from agent.core.journal.state import RunRow, State, say_trust
from agent.core.prompt.facts import say_replications
from agent.edges.run.prepare_step import command_of
from agent.edges.template.data import store_of
from agent.edges.template.load import Template
from agent.edges.template.variables import resolve_command
from agent.edges.workspace.layout import (
    BATCH_FILE,
    Workspace,
    find_workspaces,
    frozen_template,
    open_workspace,
    read_state,
)
from agent.errors import UsageError
from agent.report.one_idea.idea import describe_idea, judge_row, run_zero
from agent.report.one_idea.metrics import order_metrics, set_apart
from agent.report.one_idea.pages import idea_lines, run_lines
from agent.report.one_idea.steps import read_run
from agent.report.overview import survey
from agent.report.standings import find_standings, nearby, read_standing, read_standings
from agent.report.status import WorkState

__all__ = ["copy_inputs", "describe_idea", "describe_run", "find_prepared", "show"]


def show(
    path: Annotated[Path, typer.Argument(metavar="WS|BATCH", help="Folder of one idea, or of a batch.")],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="RUN", help="Run number; or more ideas, as workspaces/BATCH/*.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show an idea's plan and runs, or one run in full.

    A run is shown with the shell line that repeats it, a batch as a table.
    """
    words = words or []
    if len(words) == 1 and (run := read_run(words[0])) is not None:
        show_run(open_idea(path, "show", words[0]), run, as_json)
        return
    for word in words:
        if not word or not os.path.lexists(word):
            raise UsageError(f"show: RUN {json.dumps(word)}", "is no run number", "see: scientist show --help")
    places = without_lists([path, *map(Path, words)])
    is_batch = len(places) == 1 and (places[0] / BATCH_FILE).is_file()
    found = find_workspaces(places[0]) if is_batch else [open_workspace(place) for place in places]
    if len(found) == 1:
        show_idea(found[0], as_json)
    else:
        show_several(found, places[0] if is_batch else None, as_json)


def show_idea(workspace: Workspace, as_json: bool) -> None:
    found = describe_now(workspace)
    put(found, as_json, idea_lines(found, columns_of(sys.stdout)))


def describe_now(workspace: Workspace) -> dict[str, Any]:
    """Everything that is known of an idea, and whether somebody works on it at this moment."""
    state = read_state(workspace)
    found = describe_idea(workspace, state, frozen_template(workspace, state.launched))
    standing = read_standing(workspace)
    if standing.state is WorkState.RUNNING:
        found["state"] = f"running: run {standing.run} of {standing.max_runs}"
    elif not state.ended:
        found["state"] = f"{standing.state}: {standing.reason}".removesuffix(": ")
    if not standing.next and standing.state is not WorkState.PENDING:
        found["next"] = []  # it would be refused
    return found


def show_run(workspace: Workspace, run: int, as_json: bool) -> None:
    state = read_state(workspace)
    rows = [row for row in (run_zero(workspace.journal().events, state), *state.rows) if row]
    row = next((r for r in rows if r.run == run), None)
    if row is None:
        place = f"{nearby(workspace.path)}: run {run}"
        known = f"finished: {', '.join(str(r.run) for r in rows) or 'none yet'}"
        if run == 0 and state.launched.has_baseline:
            raise UsageError(place, "was not made: the template stores baselines", known)
        raise UsageError(place, "is not finished, or does not exist", known)
    found = describe_run(workspace, state, frozen_template(workspace, state.launched), row)
    put(found, as_json, run_lines(found, columns_of(sys.stdout)))


def show_several(workspaces: list[Workspace], batch: Path | None, as_json: bool) -> None:
    """Ideas as a table, with the command that shows one of them. batch: the folder that lists them all."""
    standings, damaged = find_standings(batch, nearby) if batch else read_standings(workspaces, nearby)
    if as_json:
        ideas = [describe_now(workspace) for workspace in workspaces] if not damaged else []
        typer.echo(json.dumps({"schema_version": 1, "ideas": ideas}, indent=2, ensure_ascii=False))
    elif standings:
        where = shlex.quote(nearby(batch)) if batch else shlex.join(s.path for s in standings)
        lines = survey(standings, columns_of(sys.stdout), where)
        lines += [Text(f"look: scientist show {shlex.quote(s.path)}") for s in standings]
        write_lines(lines, sys.stdout)
    for line in damaged:
        say(f"scientist: {line}")
    if damaged:
        raise typer.Exit(6)


def put(found: dict[str, Any], as_json: bool, lines: Iterable[Text]) -> None:
    if as_json:
        typer.echo(json.dumps({"schema_version": 1} | found, indent=2, ensure_ascii=False))
    else:
        write_lines(list(lines), sys.stdout)


def describe_run(workspace: Workspace, state: State, template: Template, row: RunRow) -> dict[str, Any]:
    """Everything that is known of a run."""
    verdict = judge_row(row, state, template)
    names = order_metrics(row.values, template.spec, primary_metric(template.spec, row.values))
    controls, identities = set_apart(template.spec, names)
    attempts = f"{row.attempts} attempt" + ("" if row.attempts == 1 else "s")
    place = shlex.quote(str(workspace.path))
    return {
        "workspace": str(workspace.path),
        "run": row.run,
        "completed": row.completed,
        "state": f"completed in {row.seconds:.1f} s, {attempts}" if row.completed else f"given up after {attempts}",
        "control": state.launched.remark,
        "subject": row.subject,
        "commit": row.commit,
        "attempts": row.attempts,
        "failures": list(row.failures),
        "seconds": round(row.seconds, 1),
        "metrics": {name: row.values[name] for name in names},
        "controls": controls,
        "identities": identities,
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
        "outputs": str(workspace.run_folder(row.run)) if row.completed else "",
        "log": f"scientist logs {place} {row.run}",
        "changes": f"scientist diff {place} start {row.run}" if row.completed and row.run else "",
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
    known = sorted(workspace.attempts.glob(f"run_{run}.[0-9]*/work/baselines.json"))
    if step is Step.EVALUATE and known:
        copies.append(f"cp {shlex.quote(str(known[-1]))} baselines.json")
    return copies


def find_prepared(store: Path, kind: str, name: str) -> Path:
    """The folder of that name in a template's store, whose layout is the template's own."""
    places = [store / kind / name, store / name, *sorted(store.glob(f"*/{name}")), *sorted(store.glob(f"*/*/{name}"))]
    return next((place for place in places if place.is_dir()), places[0])
