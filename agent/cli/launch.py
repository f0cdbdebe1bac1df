"""scientist launch: a batch of ideas, one after another."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.app import app, say
from agent.cli.options import DEFAULT_WORKSPACES, WorkspacesDir, environment_cache, require_git, template_roots
from agent.errors import UsageError

if TYPE_CHECKING:
    from agent.core.events import Launched
    from agent.core.idea import Idea
    from agent.core.limits import Limits
    from agent.edges.prepare import Prepared
    from agent.edges.template import Template


@app.command()
def launch(
    ideas: Annotated[Path, typer.Argument(metavar="IDEAS.json", help="One idea or a list of them.")],
    idea: Annotated[
        list[str] | None, typer.Option("--idea", help="Only this one, by name or number; may be repeated.")
    ] = None,
    template: Annotated[
        str, typer.Option("--template", envvar="SCIENTIST_TEMPLATE", help="Name or folder of the template.")
    ] = "sae",
    profile: Annotated[str, typer.Option("--profile", envvar="SCIENTIST_PROFILE", help="Scale to run at.")] = "",
    model: Annotated[
        str, typer.Option("--model", envvar="SCIENTIST_MODEL", help="litellm name, or offline/sweep.")
    ] = "offline/sweep",
    max_runs: Annotated[int, typer.Option("--max-runs", min=1, max=9999, help="Runs an idea may use.")] = 10,
    python: Annotated[
        Path | None, typer.Option("--python", help="Interpreter of the experiment, instead of the template's own.")
    ] = None,
    patience_s: Annotated[
        float,
        typer.Option("--patience-s", envvar="SCIENTIST_PATIENCE_S", min=0, help="How long to repeat a model call."),
    ] = 6 * 3600.0,
    data: Annotated[Path | None, typer.Option("--data", help="Folder that the experiment finds as ./data.")] = None,
    workspaces: WorkspacesDir = DEFAULT_WORKSPACES,
) -> None:
    """Launch a batch of ideas."""
    require_git()
    from agent.cli.drive import announce_model, drive_all, load_keys
    from agent.cli.environment import check_python, prepare
    from agent.core.idea import choose_ideas
    from agent.core.limits import Limits
    from agent.edges.frozen import freeze_template
    from agent.edges.template import find_template, load_template
    from agent.edges.workspace import create_batch, template_store

    chosen = choose_ideas(read_ideas(ideas), idea or [], str(ideas))
    source = load_template(find_template(template, template_roots()), profile)
    load_keys()
    check_model(model, source)
    if data and not data.is_dir():
        raise UsageError(f"--data {data}", "is not a folder")
    check_writable(workspaces)
    interpreter = check_python(python) if python else None
    announce_model(model)
    interpreter = interpreter or choose_interpreter(source)
    frozen = load_template(freeze_template(source.folder, template_store(workspaces.absolute())), source.profile)
    limits = Limits(max_runs=max_runs, patience_s=patience_s)
    launched = describe_launch(frozen, model, interpreter, limits, data, prepare(frozen, interpreter))
    made = create_batch(workspaces.absolute(), batch_name(ideas, workspaces), chosen, frozen, launched)
    for workspace in made:
        say(f"workspace {workspace.path}")
    raise typer.Exit(drive_all(made))


def read_ideas(path: Path) -> list[Idea]:
    """Raises: UsageError where the file cannot be read or used."""
    from agent.core.idea import parse_ideas

    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise UsageError(
            str(path), f"cannot be read: {error.strerror}", "name an ideas file, as ideas/sae_synth.json"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(str(path), f"is not UTF-8: {error}") from error
    return parse_ideas(text, str(path))


def check_model(name: str, template: Template) -> None:
    """Raises: UsageError where the model cannot be asked."""
    from agent.edges.sweep import SWEEP, ranges_in

    if name == SWEEP:
        if not ranges_in({n: template.files[n] for n in template.spec.run_files if n in template.files}):
            files = ", ".join(template.spec.run_files)
            raise UsageError(
                f"--model {SWEEP}",
                f"{files} of template {template.spec.name} marks no search range",
                "mark one (LR = 1e-3  # search: log 1e-4..1e-2) or name a language model",
            )
        return
    if name.startswith("offline/") or "/" not in name:
        raise UsageError(
            f"--model {name}", "is unknown", "write provider/model, as deepseek/deepseek-reasoner, or offline/sweep"
        )
    from agent.edges.llm import check_model as check_provider

    check_provider(name, os.environ)


def check_writable(folder: Path) -> None:
    """Raises: UsageError where the workspaces folder cannot be made or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            str(folder), f"cannot be written: {error.strerror}", "name another folder with --workspaces"
        ) from error


def choose_interpreter(template: Template) -> Path:
    """The template's environment, built if need be, else our own interpreter.

    Raises: UsageError where the environment cannot be built.
    """
    from agent.cli.environment import build

    if not template.spec.environment.install:
        return Path(sys.executable)
    return build(template.spec.environment, template.folder, environment_cache())


def describe_launch(
    template: Template, model: str, python: Path, limits: Limits, data: Path | None, prepared: Prepared | None = None
) -> Launched:
    from agent.core.baseline import primary_metric
    from agent.core.events import Launched
    from agent.edges.sweep import CONTROL, SWEEP

    spec = template.spec
    primary = primary_metric(spec)
    return Launched(
        template=spec.name,
        template_hash=template.hash,
        profile=template.profile,
        model=model,
        control=CONTROL if model == SWEEP else "",
        python=str(python),
        limits=limits,
        smoke=spec.smoke,
        evaluates=spec.evaluate is not None,
        plots=bool(spec.plot),
        has_baseline=bool(template.baselines),
        primary=primary.name if primary else "",
        verified=spec.evaluate is not None and not spec.evaluate.runs_experiment_code,
        data=str(data.absolute()) if data else "",
        training=prepared.training.name if prepared else "",
        evaluation=prepared.evaluation.name if prepared else "",
    )


def batch_name(ideas: Path, workspaces: Path) -> str:
    """Date, time and ideas file, made unique."""
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", ideas.stem)
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{stem}"
    return name if not (workspaces / name).exists() else f"{name}-{os.getpid()}"
