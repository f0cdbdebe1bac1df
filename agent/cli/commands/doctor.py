"""scientist doctor: would a launch with these options work, and what is to be mended before money is spent."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.drive import load_keys
from agent.cli.models import check_roles, find_aider, read_model_settings
from agent.cli.options import DEFAULT_WORKSPACES, Editor, Json, SandboxChoice
from agent.cli.places import data_cache, environment_cache, template_roots
from agent.cli.settings import SETTINGS_FILE, read_file
from agent.core.inputs.spec import Profile
from agent.core.journal.events import Launched
from agent.edges.doctor.machine import (
    Finding,
    Level,
    check_data,
    check_disk,
    check_env_file,
    check_environment,
    check_flake8,
    check_folder,
    check_git,
    check_gpus,
    check_sandbox,
    kept_gib,
)
from agent.edges.doctor.provider import Probe, check_provider
from agent.edges.template.load import Template, find_template, load_template
from agent.errors import ScientistError, UsageError

SCHEMA_VERSION = 1
STAND_INS = ("offline/", "replay/")
NOT_ASKED = "needs no provider; left out: key, answers, two user turns, price, window"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a launch would be given."""

    model: str
    editor_model: str
    reviewer_model: str
    fallbacks: tuple[str, ...]
    editor: Editor
    template: str
    profile: str
    workspaces: Path
    sandbox: str = "auto"


def doctor(
    model: Annotated[str | None, typer.Option("--model", envvar="SCIENTIST_MODEL", help="As for launch.")] = None,
    editor_model: Annotated[str | None, typer.Option("--editor-model", help="As for launch.")] = None,
    reviewer_model: Annotated[str | None, typer.Option("--reviewer-model", help="As for launch.")] = None,
    fallback_model: Annotated[list[str] | None, typer.Option("--fallback-model", help="As for launch.")] = None,
    editor: Annotated[Editor | None, typer.Option("--editor", help="As for launch.")] = None,
    template: Annotated[
        str | None, typer.Option("--template", envvar="SCIENTIST_TEMPLATE", help="As for launch.")
    ] = None,
    profile: Annotated[str | None, typer.Option("--profile", envvar="SCIENTIST_PROFILE", help="As for launch.")] = None,
    workspaces: Annotated[
        Path | None, typer.Option("--workspaces", envvar="SCIENTIST_WORKSPACES", help="As for launch.")
    ] = None,
    sandbox: Annotated[
        SandboxChoice | None, typer.Option("--sandbox", envvar="SCIENTIST_SANDBOX", help="As for launch.")
    ] = None,
    deadline_s: Annotated[float, typer.Option("--deadline-s", min=0.1, help="For each answer of a model.")] = 30.0,
    as_json: Json = False,
) -> None:
    """Check whether a launch with these options would work.

    Each model is asked up to three tiny questions. An option that is not given is as `launch` would have it, [launch]
    of scientist.toml included. Exit code 1: it would fail.
    """
    given = {
        "model": model,
        "editor_model": editor_model,
        "reviewer_model": reviewer_model,
        "fallback_model": fallback_model,
        "editor": editor,
        "template": template,
        "profile": profile,
        "workspaces": workspaces,
        "sandbox": sandbox,
    }
    findings = []
    for finding in examine(as_launch_has_it(given), deadline_s):
        findings.append(finding)
        if not as_json:
            typer.echo(describe(finding))
    failed = any(finding.level == "FAIL" for finding in findings)
    if as_json:
        rows = [{"level": f.level.value, "what": f.what, "detail": f.detail, "remedy": f.remedy} for f in findings]
        typer.echo(json.dumps({"schema_version": SCHEMA_VERSION, "ok": not failed, "findings": rows}, indent=2))
    raise typer.Exit(1 if failed else 0)


def describe(finding: Finding) -> str:
    """One line, whatever a provider said."""
    detail = " ".join(finding.detail.split())
    if finding.remedy:
        detail = f"{detail.rstrip('.')}; {finding.remedy}"
    return f"{finding.level.value:5} {finding.what}: {detail}"


def as_launch_has_it(given: dict[str, Any]) -> Asked:
    """The options with those of [launch] and launch's own defaults where none is given."""
    launch = {k.replace("-", "_"): v for k, v in read_file().get("launch", {}).items()}
    values = launch | {k: v for k, v in given.items() if v}
    editor = str(values.get("editor", Editor.BLOCKS))
    if editor not in list(Editor):
        raise UsageError(f"{SETTINGS_FILE}: [launch] editor", f"{editor} is none", f"write {' or '.join(Editor)}")
    return Asked(
        model=values.get("model", "offline/sweep"),
        editor_model=values.get("editor_model", ""),
        reviewer_model=values.get("reviewer_model", ""),
        fallbacks=tuple(values.get("fallback_model", ())),
        editor=Editor(editor),
        template=values.get("template", "sae"),
        profile=values.get("profile", ""),
        workspaces=Path(values.get("workspaces", DEFAULT_WORKSPACES)),
        sandbox=str(values.get("sandbox", SandboxChoice.AUTO)),
    )


def examine(asked: Asked, deadline_s: float) -> Iterator[Finding]:
    """Every finding, in the order in which a launch would come upon it."""
    yield check_git()
    yield check_flake8()
    yield check_env_file(Path(".env"))
    yield check_folder(asked.workspaces)
    yield check_sandbox(asked.sandbox)
    template = None
    try:
        template = find(asked)
        title = f"template {template.spec.name}" + (f", profile {template.profile}" if template.profile else "")
        yield Finding(Level.OK, title, str(template.folder))
    except ScientistError as error:
        yield Finding.of("template", error)
    if template:
        yield from examine_template(template, asked)
    with contextlib.suppress(ScientistError, OSError):  # told above; blank keys are dropped all the same
        load_keys()
    yield from examine_models(asked, template, deadline_s)


def find(asked: Asked) -> Template:
    return load_template(find_template(asked.template, template_roots()), asked.profile)


def examine_template(template: Template, asked: Asked) -> Iterator[Finding]:
    """Environment, data, disk and GPU for a template's profile."""
    found, python = check_environment(template, environment_cache())
    yield found
    yield check_data(template, python, data_cache(), os.environ)
    profile = template.spec.profiles.get(template.profile, Profile())
    yield check_disk("disk for runs", asked.workspaces)
    if template.spec.prepare:
        yield check_disk("disk for data", data_cache(), profile.disk_gib, kept_gib(template, data_cache()))
    yield check_gpus(profile.gpus)


def examine_models(asked: Asked, template: Template | None, deadline_s: float) -> Iterator[Finding]:
    """Each language model in turn, and what launch checks of them all."""
    try:
        settings = read_model_settings()
    except ScientistError as error:
        yield Finding.of("settings", error)
        return
    failed = False
    for probe in probes(asked):
        if "/" not in probe.model or probe.model.startswith(STAND_INS):
            yield Finding(Level.OK, probe.model, NOT_ASKED)
            continue
        for finding in check_provider(probe, settings.rules, os.environ, settings.redact, deadline_s):
            failed = failed or finding.level is Level.FAIL
            yield finding
    refusal = refuse_models(asked, template) if template else None
    if refusal and not failed:  # else it was told already, and in more detail
        yield Finding.of("models", refusal)
    if asked.editor is Editor.AIDER and not refusal:
        yield Finding(Level.OK, "aider", str(find_aider()))


def refuse_models(asked: Asked, template: Template) -> ScientistError | None:
    """Why launch would not take these models."""
    named = Launched(
        model=asked.model,
        editor_model=asked.editor_model,
        reviewer_model=asked.reviewer_model,
        fallbacks=tuple(asked.fallbacks),
        editor=asked.editor.value,
    )
    try:
        check_roles(named, template)
    except ScientistError as error:
        return error
    return None


def probes(asked: Asked) -> Sequence[Probe]:
    """Each model once, with the option that named it first."""
    named = [
        Probe("--model", asked.model),
        Probe("--editor-model", asked.editor_model),
        Probe("--reviewer-model", asked.reviewer_model),
        *(Probe("--fallback-model", name, spare=True) for name in asked.fallbacks),
    ]
    return list({probe.model: probe for probe in reversed(named) if probe.model}.values())[::-1]
