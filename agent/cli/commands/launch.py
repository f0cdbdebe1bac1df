"""scientist launch: a batch of ideas, one after another."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.drive import announce_model, drive_all, load_keys
from agent.cli.environment import (
    announce_sandbox,
    check_python,
    check_writable,
    choose_interpreter,
    prepare,
    require_git,
)
from agent.cli.models import check_roles, control_of
from agent.cli.options import (
    DEFAULT_WORKSPACES,
    BatchMaxCostUsd,
    BatchMaxTokens,
    Editor,
    IdeasArg,
    MaxCostUsd,
    MaxTokens,
    PauseBefore,
    SandboxChoice,
    WorkspacesDir,
)
from agent.cli.places import find_ideas, ideas_roots, read_ideas, template_roots
from agent.cli.terminal import read_redactor, say
from agent.core.evidence.baseline import primary_metric
from agent.core.inputs.idea import choose_ideas
from agent.core.journal.budget import change_limits
from agent.core.journal.events import Launched
from agent.core.journal.limits import Limits
from agent.edges.model.replay import replay_name
from agent.edges.sandbox.choose import choose_sandbox
from agent.edges.template.data import Prepared
from agent.edges.template.frozen import freeze_template
from agent.edges.template.load import Template, find_template, load_template
from agent.edges.workspace.layout import create_batch, template_store
from agent.edges.workspace.refs import find_refs
from agent.errors import UsageError


def launch(
    ideas: IdeasArg,
    idea: Annotated[
        list[str] | None, typer.Option("--idea", help="Only this one, by name or number; may be repeated.")
    ] = None,
    template: Annotated[
        str, typer.Option("--template", envvar="SCIENTIST_TEMPLATE", help="Name or folder of the template.")
    ] = "sae",
    profile: Annotated[str, typer.Option("--profile", envvar="SCIENTIST_PROFILE", help="Scale to run at.")] = "",
    model: Annotated[
        str, typer.Option("--model", envvar="SCIENTIST_MODEL", help="litellm name, offline/sweep, or replay/WS.")
    ] = "offline/sweep",
    fallback_model: Annotated[
        list[str] | None,
        typer.Option("--fallback-model", help="Asked where the model cannot answer; may be repeated, first first."),
    ] = None,
    editor_model: Annotated[
        str, typer.Option("--editor-model", help="Writes the edits that --model plans in prose.")
    ] = "",
    reviewer_model: Annotated[
        str, typer.Option("--reviewer-model", help="Judges the idea after each completed run, and may revise it.")
    ] = "",
    reflections: Annotated[
        int, typer.Option("--reflections", min=0, max=9, help="How often the reviewer may look at a review again.")
    ] = 0,
    editor: Annotated[
        Editor, typer.Option("--editor", help="What makes edits of a model's words: our engine, or aider.")
    ] = Editor.BLOCKS,
    max_runs: Annotated[int, typer.Option("--max-runs", min=1, max=9999, help="Runs an idea may use.")] = 10,
    python: Annotated[
        Path | None, typer.Option("--python", help="Interpreter of the experiment, instead of the template's own.")
    ] = None,
    patience_s: Annotated[
        float,
        typer.Option("--patience-s", envvar="SCIENTIST_PATIENCE_S", min=0, help="How long to repeat a model call."),
    ] = 6 * 3600.0,
    data: Annotated[Path | None, typer.Option("--data", help="Folder that the experiment finds as ./data.")] = None,
    max_tokens: MaxTokens = None,
    max_cost_usd: MaxCostUsd = None,
    batch_max_tokens: BatchMaxTokens = None,
    batch_max_cost_usd: BatchMaxCostUsd = None,
    pause_before: Annotated[
        PauseBefore, typer.Option("--pause-before", help="Wait for a person before each run, or each run's plan.")
    ] = PauseBefore.NONE,
    sandbox: Annotated[
        SandboxChoice, typer.Option("--sandbox", envvar="SCIENTIST_SANDBOX", help="What runs are held in.")
    ] = SandboxChoice.AUTO,
    workspaces: WorkspacesDir = DEFAULT_WORKSPACES,
) -> None:
    """Launch a batch of ideas."""
    require_git()
    file = find_ideas(ideas, ideas_roots())
    chosen = choose_ideas(read_ideas(file), idea or [], str(file))
    refs = {one.slug: find_refs(file, one.slug, read_redactor()) for one in chosen}
    source = load_template(find_template(template, template_roots()), profile)
    load_keys()
    asked = Launched(
        model=replay_name(model),
        fallbacks=tuple(fallback_model or ()),
        editor=editor.value,
        editor_model=replay_name(editor_model),
        reviewer_model=replay_name(reviewer_model),
        reflections=reflections,
        pause_before=pause_before.setting,
        sandbox=sandbox.value,
        data=str(data.absolute()) if data else "",
        limits=change_limits(
            Limits(max_runs=max_runs, patience_s=patience_s),
            max_tokens=max_tokens,
            max_cost_usd=max_cost_usd,
            batch_max_tokens=batch_max_tokens,
            batch_max_cost_usd=batch_max_cost_usd,
        ),
    )
    check_roles(asked, source)
    if data and not data.is_dir():
        raise UsageError(f"--data {data}", "is not a folder")
    check_writable(workspaces)
    interpreter = check_python(python) if python else None
    announce_model(asked.model)
    announce_sandbox(choose_sandbox(asked.sandbox))
    interpreter = interpreter or choose_interpreter(source)
    frozen = load_template(freeze_template(source.folder, template_store(workspaces.absolute())), source.profile)
    launched = describe_launch(asked, frozen, interpreter, prepare(frozen, interpreter))
    made = create_batch(workspaces.absolute(), batch_name(file, workspaces), chosen, frozen, launched, refs)
    for workspace in made:
        say(f"workspace {workspace.path}")
    raise typer.Exit(drive_all(made))


def describe_launch(asked: Launched, template: Template, python: Path, prepared: Prepared | None) -> Launched:
    """What was asked for, with what the template says of itself."""
    spec = template.spec
    primary = primary_metric(spec)
    return replace(
        asked,
        template=spec.name,
        template_hash=template.hash,
        profile=template.profile,
        control=control_of(asked.model),
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


def batch_name(ideas: Path, workspaces: Path) -> str:
    """Date, time and ideas file, made unique."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", ideas.stem)
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{stem}"
    return name if not (workspaces / name).exists() else f"{name}-{os.getpid()}"
