"""scientist launch: a batch of ideas, one after another."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import typer

from agent.cli.commands.launch_from import announce_beginning, find_beginning
from agent.cli.display import say_batch
from agent.cli.drive import announce_model, drive_all, load_keys
from agent.cli.environment import (
    Weighed,
    announce_sandbox,
    check_data,
    check_python,
    check_variables,
    check_writable,
    choose_interpreter,
    give,
    prepare,
    refuse_colon,
    require_cache,
    require_git,
    weigh_baselines,
)
from agent.cli.models import check_roles, control_of, titles_of, to_launched
from agent.cli.options import Chosen, IdeasArg, LaunchSettings, spread_settings
from agent.cli.places import environment_cache, find_ideas, ideas_roots, read_ideas, template_roots
from agent.cli.terminal import note, read_redactor, say
from agent.core.authoring.check import numbers_in
from agent.core.evidence.baseline import primary_metric
from agent.core.evidence.numbers import read_number
from agent.core.inputs.idea import NAME_CHARS, Idea, choose_ideas
from agent.core.inputs.judged import say_stand_in
from agent.core.journal.events import STEP_LIMITS, Launched
from agent.edges.doctor.demands import check_demands
from agent.edges.doctor.machine import check_modules
from agent.edges.model.replay import replay_name
from agent.edges.run.prepare_step import limits_of
from agent.edges.sandbox.choose import choose_sandbox
from agent.edges.sandbox.walls import SandboxKind
from agent.edges.template.authoring.inspect import check_given_run, read_given_run
from agent.edges.template.data import Prepared
from agent.edges.template.frozen import freeze_template
from agent.edges.template.load import Template, find_template, load_template, read_spec
from agent.edges.template.origin import needed_modules
from agent.edges.workspace.layout import Extras, Workspace, create_batch, template_store, with_name
from agent.edges.workspace.refs import find_refs
from agent.report.standings import nearby

MOST_NAMED = 5


@spread_settings
def launch(context: typer.Context, ideas: IdeasArg, settings: LaunchSettings) -> None:
    """Launch a batch of ideas."""
    require_git()
    check_variables()
    file = find_ideas(ideas, ideas_roots())
    chosen = choose_ideas(read_ideas(file), settings.idea or [], str(file))
    refs = {one.slug: find_refs(file, one.slug, read_redactor()) for one in chosen}
    settings, start = find_beginning(context, settings)
    source = load_template(find_template(settings.template, template_roots()), settings.profile)
    if start and start.is_copy(source):
        source = with_name(source, start.launched.template)
    load_keys()
    asked = replace(to_launched(settings), begun=start.begun if start else None)
    check_roles(asked, replace(source, files=source.files | start.texts) if start else source)
    data = check_data(settings.data)
    interpreter = check_python(settings.python) if settings.python else None
    require_cache(source, interpreter)
    sandbox = choose_sandbox(asked.sandbox)
    check_writable(settings.workspaces)
    if source.sealed:
        refuse_colon(settings.workspaces)
    announce_model(replay_name(asked.model))
    announce_sandbox(sandbox)
    if start:
        announce_beginning(start)
    interpreter = interpreter or choose_interpreter(source)
    workspaces = settings.workspaces.absolute()
    copy = freeze_template(source.folder, template_store(workspaces))
    frozen = with_name(load_template(copy, source.profile), source.spec.name)
    prepared = prepare(frozen, interpreter)
    is_copy = bool(start and start.is_copy(source))  # whose baselines cannot be vouched for
    again = Chosen(source.spec.name if is_copy else settings.template, settings.profile, settings.python, settings.data)
    found = weigh_baselines(frozen, give(interpreter, data, prepared), again)
    announce_baselines(replace(found, remark="") if is_copy else found)
    announce_template(source, asked, sandbox.kind, data, interpreter)
    launched = under_doubt(describe_launch(asked, frozen, interpreter, prepared), found)
    extras = Extras(refs, start.texts if start else {})
    made = create_batch(workspaces, batch_name(file), chosen, frozen, launched, extras)
    announce_workspaces(chosen, made)
    raise typer.Exit(say_batch(made, drive_all(made)))


def announce_template(source: Template, asked: Launched, sandbox: SandboxKind, data: Path | None, python: Path) -> None:
    """Print what a person should know of the template's metrics, its limits and the wishes of its code."""
    if stand_in := say_stand_in(read_spec(source.folder), source.spec, source.profile):
        say(f"warning: {stand_in}")
    if source.reads_means:
        announce_given_run(source)
    announce_limits(source, asked)
    for remark in check_demands(source, source.folder, sandbox, data, os.environ):
        say(remark.text)
    announce_modules(source, python)


def announce_modules(template: Template, python: Path) -> None:
    """Print which modules the code imports and the interpreter lacks, that was not made for it."""
    is_made_for_it = template.spec.environment.install and python.is_relative_to(environment_cache())
    needed = set(needed_modules(template.folder, template.spec, template.files)) - sys.stdlib_module_names
    if needed and not is_made_for_it and (remark := check_modules(template, python)).level != "ok":
        say(remark.text)


def announce_workspaces(ideas: Sequence[Idea], made: Sequence[Workspace]) -> None:
    """Print the folder of the idea, or of the batch, and which idea does not bear its whole name."""
    if len(made) > 1:
        note(f"batch {nearby(made[0].path.parent)}: {len(made)} ideas")
    for idea, workspace in zip(ideas, made, strict=True):
        cut = f" (its name is cut to {NAME_CHARS} characters)" if idea.is_name_cut else ""
        if cut or len(made) == 1:
            note(f"workspace {nearby(workspace.path)}{cut}")


def announce_baselines(found: Weighed) -> None:
    """Print why runs get no verdict, or what must be believed for theirs."""
    if found.doubt:
        say(f"no verdicts: {found.doubt}")
    elif found.remark:
        note(f"baselines: {found.remark}")


def under_doubt(launched: Launched, found: Weighed) -> Launched:
    """The launch with what is to be said of the baselines. If they judge nothing, the code as it is runs once, as run
    0, since nothing else shows what it gives.
    """
    has_baseline = launched.has_baseline and not found.doubt
    return replace(launched, doubt=found.doubt, caveat=found.caveat, has_baseline=has_baseline)


def announce_given_run(template: Template) -> None:
    """Print what cannot be used of the run_0 that a folder without declared metrics brings."""
    info = read_given_run(template.folder)
    if info and not template.baselines:
        announce_other_numbers(info)
    elif not (template.foreign or info or template.spec.evaluate):
        note("template.toml declares no metric: numbers under `means` of final_info.json are read, and no others")
    instead = "" if template.baselines else "; the code as it is runs as run 0 instead"
    for remark in check_given_run(template.folder):
        if remark.level == "mend":
            say(f"{remark.text}{instead}")


def announce_other_numbers(info: Mapping[str, object]) -> None:
    """Print the numbers of results in which nothing counts as a metric, and how to have them read."""
    names = list(numbers_in(info))
    shown = ", ".join(names[:MOST_NAMED]) + (", ..." if names[MOST_NAMED:] else "")
    paths = [name.split(".") for name in names if read_number(info, name.split(".")) is not None]
    if paths:
        line = f'[[metrics]], name = "{paths[0][-1]}", path = {json.dumps(paths[0])}, direction = "lower"'
        say(f"runs like run_0 report no metric: it holds {shown}; have them read by template.toml: {line}")


def announce_limits(template: Template, asked: Launched) -> None:
    """Print the limits of steps, if no template.toml sets them or an option changes them."""
    given = {name: getattr(asked, name) for name in STEP_LIMITS}
    if template.foreign or any(given.values()):
        limits = limits_of(replace(template, spec=template.spec.with_limits(**given)))
        more = "" if given["run_s"] else "; --run-s N gives a run more"
        note(f"limits: {limits.describe(smoke=template.spec.smoke)}{more}")


def describe_launch(asked: Launched, template: Template, python: Path, prepared: Prepared | None) -> Launched:
    """The request, completed with what the template says about itself."""
    spec = template.spec
    primary = primary_metric(spec)
    return replace(
        asked,
        model=replay_name(asked.model),
        editor_model=replay_name(asked.editor_model),
        reviewer_model=replay_name(asked.reviewer_model),
        template=spec.name,
        template_hash=template.hash,
        profile=template.profile,
        control=control_of(asked.model),
        titles=titles_of(asked.model),
        python=str(python),
        smoke=spec.smoke,
        evaluates=spec.evaluate is not None,
        plots=bool(spec.plot),
        has_baseline=bool(template.baselines),
        primary=primary.name if primary else "",
        verified=spec.evaluate is not None and not spec.evaluate.runs_experiment_code,
        training=prepared.training.name if prepared else "",
        evaluation=prepared.evaluation.name if prepared else "",
    )


def batch_name(ideas: Path) -> str:
    """Date, time and ideas file, whose name is cut: a folder's own may have 255 bytes."""
    # " (1)." of "my ideas (1).v2"
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", ideas.stem)[:NAME_CHARS]
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{stem}"
