"""scientist doctor: check whether a launch with these options would work, before money is spent."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.commands.launch_from import find_beginning
from agent.cli.display import RemarkPrinter
from agent.cli.drive import load_keys
from agent.cli.environment import check_data as check_data_folder
from agent.cli.environment import check_python, check_variables, weigh_baselines
from agent.cli.models import check_roles, find_aider, read_model_settings, to_launched
from agent.cli.options import Chosen, Editor, Json, LaunchSettings, spread_settings
from agent.cli.places import (
    data_cache,
    digest_store,
    environment_cache,
    find_ideas,
    ideas_roots,
    read_ideas,
    template_roots,
)
from agent.core.inputs.idea import choose_ideas
from agent.core.inputs.judged import say_stand_in
from agent.core.inputs.spec import Profile
from agent.core.text.remark import Remark
from agent.edges.doctor.demands import check_demands
from agent.edges.doctor.machine import (
    check_cache,
    check_data,
    check_disk,
    check_env_file,
    check_environment,
    check_flake8,
    check_folder,
    check_git,
    check_gpus,
    check_modules,
    check_sandbox,
    kept_gib,
)
from agent.edges.doctor.provider import Probe, check_provider
from agent.edges.run.prepare_step import limits_of
from agent.edges.sandbox.choose import choose_sandbox
from agent.edges.template.authoring.inspect import check_given_run
from agent.edges.template.interpreters import python_places
from agent.edges.template.load import Template, find_template, load_template, read_spec
from agent.edges.template.origin import Given
from agent.errors import ScientistError

SCHEMA_VERSION = 1
STAND_INS = ("offline/", "replay/")
NOT_ASKED = "needs no provider; left out: key, answers, two user turns, price, window"


@spread_settings
def doctor(
    context: typer.Context,
    settings: LaunchSettings,
    ideas: Annotated[str, typer.Argument(metavar="IDEAS", help="Ideas to launch: a file or a name.")] = "",
    deadline_s: Annotated[
        float, typer.Option("--deadline-s", min=0.1, help="Seconds to wait for each answer of a model.")
    ] = 30.0,
    as_json: Json = False,
) -> None:
    """Check whether a launch with these options would work.

    The options are those of `launch`, and so is [launch] of scientist.toml. Each model is asked up to three tiny
    questions. Exit code 1: the launch would fail.
    """
    settings, _ = find_beginning(context, settings)
    remarks, printer = examine(settings, ideas, deadline_s), RemarkPrinter()
    if as_json:
        found = list(remarks)
        failed = any(remark.is_fault for remark in found)
        rows = [{"level": r.level, "what": r.what, "detail": r.detail, "remedy": r.remedy} for r in found]
        typer.echo(json.dumps({"schema_version": SCHEMA_VERSION, "ok": not failed, "findings": rows}, indent=2))
    else:
        printer.add(remarks)
        failed = printer.faults > 0
    raise typer.Exit(1 if failed else 0)


def examine(asked: LaunchSettings, ideas: str, deadline_s: float) -> Iterator[Remark]:
    """Every remark, in the order in which a launch would come upon it."""
    yield check_git()
    yield check_flake8()
    yield check_env_file(Path(".env"))
    yield check_settings()
    yield check_folder(asked.workspaces)
    yield check_sandbox(asked.sandbox.value)
    if ideas:
        yield check_ideas(ideas, asked.idea or [])
    if asked.data or asked.python:
        yield check_given(asked)
    template = None
    try:
        template = find(asked)
        title = f"template {template.spec.name}" + (f", profile {template.profile}" if template.profile else "")
        yield Remark("ok", title, str(template.folder))
    except ScientistError as error:
        yield Remark.of("template", error)
    if template:
        yield from examine_template(template, asked)
    with contextlib.suppress(ScientistError, OSError):  # told above; blank keys are dropped all the same
        load_keys()
    yield from examine_models(asked, template, deadline_s)


def check_settings() -> Remark:
    """Whether the variables that commands read late can be used."""
    try:
        check_variables()
    except ScientistError as error:
        return Remark.of("variables", error)
    return Remark("ok", "variables", ", ".join(sorted(n for n in os.environ if n.startswith("SCIENTIST_"))) or "none")


def check_ideas(name: str, chosen: Sequence[str]) -> Remark:
    """Whether the ideas are found and read, and hold those that were chosen."""
    try:
        file = find_ideas(name, ideas_roots())
        found = choose_ideas(read_ideas(file), list(chosen), str(file))
    except ScientistError as error:
        return Remark.of("ideas", error)
    return Remark("ok", f"ideas {file.stem}", f"{', '.join(idea.slug for idea in found)} of {file}")


def check_given(asked: LaunchSettings) -> Remark:
    """Whether --data is a folder and --python an interpreter."""
    try:
        data = check_data_folder(asked.data)
        given = [str(path) for path in (data, asked.python and check_python(asked.python)) if path]
    except ScientistError as error:
        return Remark.of("options", error)
    return Remark("ok", "options", ", ".join(given))


def find(asked: LaunchSettings) -> Template:
    return load_template(find_template(asked.template, template_roots()), asked.profile)


def examine_template(template: Template, asked: LaunchSettings) -> Iterator[Remark]:
    """Environment, data, disk and GPU for a template's profile."""
    if stand_in := say_stand_in(read_spec(template.folder), template.spec, template.profile):
        yield Remark("warn", "metrics", stand_in)
    try:
        cache, data = environment_cache(), data_cache()
    except ScientistError as error:
        yield Remark.of("cache", error)
        return
    if asked.python:
        python: Path | None = asked.python.absolute()
        found = Remark("ok", f"environment of {template.spec.name}", f"--python {asked.python}")
    else:
        found, python = check_environment(template, cache, python_places(os.environ))
    yield found
    made = check_data(template, python, data, os.environ)
    yield made
    yield check_cache(cache, is_needed=found.level != "ok" or made.level != "ok")
    if python:
        yield from examine_runs(template, python, asked)
    profile = template.spec.profiles.get(template.profile, Profile())
    spec = template.spec.with_limits(
        run_s=asked.run_s or 0.0, smoke_s=asked.smoke_s or 0.0, memory_gib=asked.memory_gib or 0.0
    )
    yield Remark("ok", "limits", limits_of(replace(template, spec=spec)).describe(smoke=spec.smoke))
    yield check_disk("disk for runs", asked.workspaces)
    if template.spec.prepare:
        yield check_disk("disk for data", data, profile.disk_gib, kept_gib(template, data))
    wanted = list(examine_code(template, asked))
    if profile.gpus or not any(remark.what == "GPU" for remark in wanted):
        yield check_gpus(profile.gpus)
    yield from wanted


def examine_code(template: Template, asked: LaunchSettings) -> Iterator[Remark]:
    """Whether runs would have what the code asks for, and whether results like those of a given run_0 hold a metric."""
    with contextlib.suppress(ScientistError):  # told already
        kind, data = choose_sandbox(asked.sandbox.value).kind, check_data_folder(asked.data)
        yield from check_demands(template, template.folder, kind, data, os.environ)
    if template.reads_means and not template.baselines:
        for remark in check_given_run(template.folder):
            yield replace(remark, level="warn")


def examine_runs(template: Template, python: Path, asked: LaunchSettings) -> Iterator[Remark]:
    """Whether the interpreter has the modules that runs import, and whether baselines would judge the runs."""
    if asked.python or not template.spec.environment.install:
        yield check_modules(template, python)
    if not template.baselines:
        yield Remark("ok", "baselines", "none stored; the template's own code runs first, as run 0")
        return
    again = Chosen(asked.template, asked.profile, asked.python, asked.data)
    try:
        names = (None, None) if template.spec.prepare else ("", "")  # of prepared data only a launch is sure
        training, evaluation = names
        data = check_data_folder(asked.data)
        given = Given(python, data, training, evaluation, dict(os.environ), digest_store())
        found = weigh_baselines(template, given, again)
    except ScientistError as error:
        yield Remark.of("baselines", error)
        return
    if found.doubt or found.remark:
        yield Remark("warn", "baselines", f"give no verdicts: {found.doubt}" if found.doubt else found.remark)
    else:
        yield Remark("ok", "baselines", f"{len(template.baselines)}, of what is here")


def examine_models(asked: LaunchSettings, template: Template | None, deadline_s: float) -> Iterator[Remark]:
    """Check each language model in turn, then everything that launch checks of them together."""
    try:
        settings = read_model_settings()
    except ScientistError as error:
        yield Remark.of("settings", error)
        return
    failed = False
    for probe in probes(asked):
        if not probe.model or probe.model.startswith(STAND_INS):
            yield Remark("ok", probe.model, NOT_ASKED)
            continue
        for remark in check_provider(probe, settings.rules, os.environ, settings.redact, deadline_s):
            failed = failed or remark.level == "FAIL"
            yield remark
    refusal = refuse_models(asked, template) if template else None
    if refusal and not failed:  # else it was told already, and in more detail
        yield Remark.of("models", refusal)
    if asked.editor is Editor.AIDER and not refusal:
        yield Remark("ok", "aider", str(find_aider()))


def refuse_models(asked: LaunchSettings, template: Template) -> ScientistError | None:
    """Why launch would not take these models."""
    try:
        check_roles(to_launched(asked), template)
    except ScientistError as error:
        return error
    return None


def probes(asked: LaunchSettings) -> Sequence[Probe]:
    """Each model once, with the option that named it first."""
    named = [
        Probe("--model", asked.model),
        Probe("--editor-model", asked.editor_model),
        Probe("--reviewer-model", asked.reviewer_model),
        *(Probe("--fallback-model", name, spare=True) for name in asked.fallback_model or ()),
    ]
    return list({probe.model: probe for probe in reversed(named) if probe.model}.values())[::-1]
