"""Models of a workspace: checked before anything runs, then made with their shared rules and keys."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.cli.environment import build
from agent.cli.options import Editor, LaunchSettings
from agent.cli.places import environment_cache
from agent.cli.settings import MODELS_SECTION, SETTINGS_FILE, read_file, say_place
from agent.cli.terminal import read_redactor, say
from agent.core.journal.budget import Limits
from agent.core.journal.events import Launched
from agent.core.model.rules import RuleTable, read_model_rules
from agent.core.text.redact import Redactor
from agent.edges.model.aider import AIDER, REQUIREMENTS, AiderModel, aider_executable
from agent.edges.model.call import check_stop, sleep_unless_stopped
from agent.edges.model.client import LiteLLMModel
from agent.edges.model.litellm_table import check_model
from agent.edges.model.patience import ProviderPatience
from agent.edges.model.protocol import Model, Models
from agent.edges.model.replay import ReplayModel, is_replay, read_launch
from agent.edges.model.sweep import CONTROL, SWEEP, SweepModel, ranges_in
from agent.edges.model.throttle import Throttle
from agent.edges.model.wire.own_server import check_server
from agent.edges.template.environment import environment_for
from agent.edges.template.interpreters import python_places
from agent.edges.template.load import Template
from agent.edges.workspace.layout import Workspace
from agent.errors import UsageError


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Settings that all models of a process share."""

    rules: RuleTable = field(default_factory=RuleTable)
    throttle: Throttle = field(default_factory=Throttle)
    redact: Redactor = field(default_factory=Redactor)


def read_model_settings(folder: Path = Path()) -> ModelSettings:
    """Rules from scientist.toml, and the values of the environment that no text may show. Make one a process.

    Raises: UsageError naming file and field.
    """
    path = folder / SETTINGS_FILE
    section = read_file(path).get(MODELS_SECTION, {})
    if not isinstance(section, dict):
        where, remedy = say_place(path, MODELS_SECTION), 'write [models."deepseek/"] and below it concurrency = 4'
        raise UsageError(f"{where}: models = {section!r}", "is no table", remedy)
    rules = read_model_rules(section, str(path), lambda keys: say_place(path, MODELS_SECTION, *keys))
    return ModelSettings(rules, redact=read_redactor())


def check_models(
    template: Template,
    model: str,
    *,
    editor_model: str = "",
    reviewer_model: str = "",
    fallbacks: Sequence[str] = (),
    editor: str = "blocks",
) -> None:
    """Every model that is named, before anything runs.

    Raises: UsageError naming the option, or the field of scientist.toml.
    """
    read_model_settings()
    _check_planner(model, template)
    named = [("--editor-model", editor_model), ("--reviewer-model", reviewer_model)]
    for option, name in [*named, *(("--fallback-model", name) for name in fallbacks)]:
        if name or option == "--fallback-model":
            _check_language_model(option, name)
    for option, name in (("--model", model), *named):
        if is_replay(name):
            check_replay(option, name, editor_model=editor_model, reviewer_model=reviewer_model)
    if editor == "aider":
        check_aider(editor_model or model)
    if fallbacks and (model.startswith("offline/") or is_replay(model)):
        raise UsageError("--fallback-model", f"{model} needs none", "leave it out")


def _check_planner(name: str, template: Template) -> None:
    if name == SWEEP:
        changeable = [name for name in template.spec.run_files if name in template.spec.editable]
        if not ranges_in({n: template.files[n] for n in changeable if n in template.files}):
            files = ", ".join(changeable) or "no file of run_files"
            raise UsageError(
                f"--model {SWEEP}",
                f"{files} of template {template.spec.name} marks no search range",
                "mark one (LR = 1e-3  # search: log 1e-4..1e-2) or name a language model",
            )
        return
    if is_replay(name):
        return
    _check_language_model("--model", name)


def _check_language_model(option: str, name: str) -> None:
    if is_replay(name) and option != "--fallback-model":
        return
    if name.startswith("offline/") or not name.strip():
        remedy = "write provider/model, as deepseek/deepseek-reasoner, or offline/sweep"
        raise UsageError(f"{option} {name or repr(name)}", "is unknown", remedy)
    check_model(name, os.environ, option)
    if option != "--fallback-model":
        check_server(name, os.environ, option)


def make_models(
    launched: Launched,
    limits: Limits,
    workspace: Workspace,
    settings: ModelSettings,
    *,
    on_wait: Callable[[str], None] = say,
) -> Models:
    """The models of a workspace. A request to stop ends the wait of a model for its provider.

    on_wait: prints which provider is waited for, and why.

    Raises: UsageError if the aider command is asked for and not there.
    """

    def model_named(name: str) -> Model | None:
        if name in ("", SWEEP) or is_replay(name):
            return (SweepModel() if name == SWEEP else ReplayModel(name)) if name else None
        patience = ProviderPatience(
            limits.patience_s,
            sleep=lambda seconds: sleep_unless_stopped(seconds, workspace.is_stopped),
            check_stop=lambda: check_stop(workspace.is_stopped),
            on_wait=on_wait,
            environment=dict(os.environ),
        )
        return _make(name, launched.fallbacks, patience, settings)

    editor = model_named(launched.editor_model)
    if launched.editor == "aider":
        editor = _make_aider(launched.editor_model or launched.model, limits, workspace.is_stopped, settings)
    planner = model_named(launched.model)
    assert planner
    return Models(planner, editor, model_named(launched.reviewer_model))


def _make(name: str, fallbacks: tuple[str, ...], patience: ProviderPatience, settings: ModelSettings) -> Model:
    return LiteLLMModel(
        name,
        patience,
        fallbacks=[other for other in fallbacks if other != name],
        table=settings.rules,
        throttle=settings.throttle,
        redact=settings.redact,
    )


def _make_aider(name: str, limits: Limits, is_stopped: Callable[[], bool], settings: ModelSettings) -> Model:
    return AiderModel(
        name,
        find_aider(),
        dict(os.environ),
        limits.patience_s,
        rules=settings.rules.find(name),
        is_stopped=is_stopped,
        throttle=settings.throttle,
        redact=settings.redact,
    )


def check_replay(option: str, model: str, *, editor_model: str, reviewer_model: str) -> None:
    """Raises: UsageError if there is no such recording, or if a planner's recording used roles that are not given."""
    recorded = read_launch(model, option)
    if option != "--model":
        return
    if recorded.separate_editor and not editor_model:
        raise UsageError(f"{option} {model}", "its edits are another model's", f"add --editor-model {model}")
    if recorded.reviewer_model and not reviewer_model:
        more = f" --reflections {recorded.reflections}" if recorded.reflections else ""
        raise UsageError(f"{option} {model}", "its runs were reviewed", f"add --reviewer-model {model}{more}")


def check_aider(model: str) -> None:
    """Raises: UsageError if aider is not there, or if it cannot ask `model`."""
    if is_replay(model):
        raise UsageError("--editor aider", f"{model} cannot be asked by it", "name a model with --editor-model")
    find_aider()


def control_of(model: str) -> str:
    """Remark for results that implement no idea. A replay has the remark of its recording."""
    if model == SWEEP:
        return CONTROL
    return read_launch(model).control if is_replay(model) else ""


VARIABLE = "SCIENTIST_AIDER"


def build_aider() -> Path:
    """The aider command. Its environment is built first if it does not exist.

    Raises: UsageError with pip's last lines if it cannot be built.
    """
    try:
        return aider_executable(build(AIDER, REQUIREMENTS.parent, environment_cache(), "aider"))
    except UsageError as error:
        raise UsageError("environment of aider", error.problem, error.remedy) from error


def find_aider() -> Path:
    """The aider command: that of SCIENTIST_AIDER, or that of the environment built before.

    Raises: UsageError if there is none.
    """
    named = os.environ.get(VARIABLE, "")
    if named:
        if not os.access(named, os.X_OK) or not Path(named).is_file():
            raise UsageError(f"{VARIABLE}={named}", "is no command", "name the aider executable, or unset it")
        return Path(named).absolute()
    python = environment_for(AIDER, REQUIREMENTS.parent, environment_cache(), python_places(os.environ))
    if python is None:
        remedy = "build it (108 packages, 0.7 GB): scientist setup aider"
        raise UsageError("--editor aider", "its environment is not built", remedy)
    return aider_executable(python)


def check_roles(asked: Launched, template: Template) -> None:
    """Check that every named model can be asked. The sweep edits by itself and takes no editor or reviewer.

    Raises: UsageError naming the option.
    """
    aider = "--editor aider" if asked.editor == Editor.AIDER.value else ""
    named = "--editor-model" if asked.editor_model else "--reviewer-model" if asked.reviewer_model else aider
    if asked.model == SWEEP and named:
        option = " ".join(word for word in (named, asked.editor_model or asked.reviewer_model) if word)
        raise UsageError(option, f"{SWEEP} takes no other model's help", "name a language model with --model")
    check_models(
        template,
        asked.model,
        editor_model=asked.editor_model,
        reviewer_model=asked.reviewer_model,
        fallbacks=asked.fallbacks,
        editor=asked.editor,
    )


def titles_of(model: str) -> str:
    """How edits of a replay are titled: as those of its recording. Every other workspace has its own titles."""
    return read_launch(model).titles if is_replay(model) else ""


def to_launched(settings: LaunchSettings) -> Launched:
    """The settings as a journal stores them. The fields that the template fills are still empty."""
    return Launched(
        model=settings.model,
        fallbacks=tuple(settings.fallback_model or ()),
        editor=settings.editor.value,
        editor_model=settings.editor_model,
        reviewer_model=settings.reviewer_model,
        reflections=settings.reflections,
        pause_before=settings.pause_before.setting,
        sandbox=settings.sandbox.value,
        data=str(settings.data.absolute()) if settings.data else "",
        limits=settings.change(Limits(max_runs=settings.max_runs, patience_s=settings.patience_s)),
        run_s=settings.run_s or 0.0,
        smoke_s=settings.smoke_s or 0.0,
        memory_gib=settings.memory_gib or 0.0,
    )
