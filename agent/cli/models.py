"""Which models a workspace asks: checked before anything runs, and made with what they share."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.app import MODELS_SECTION, SETTINGS_FILE, say
from agent.cli.replay import check_aider, check_replay
from agent.cli.terminal import read_redactor
from agent.core.journal.events import Launched
from agent.core.journal.limits import Limits
from agent.core.model.rules import RuleTable, read_model_rules
from agent.core.text.redact import Redactor
from agent.edges.model.protocol import Model, Models, check_model
from agent.edges.model.replay import is_replay
from agent.edges.model.sweep import SWEEP, SweepModel, ranges_in
from agent.edges.model.throttle import Throttle
from agent.errors import UsageError

if TYPE_CHECKING:
    from agent.edges.template.load import Template


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What all models of a process share."""

    rules: RuleTable = field(default_factory=RuleTable)
    throttle: Throttle = field(default_factory=Throttle)
    redact: Redactor = field(default_factory=Redactor)


def read_model_settings(folder: Path = Path()) -> ModelSettings:
    """Rules from scientist.toml, and the values of the environment that no text may show. Make one a process.

    Raises: UsageError naming file and field.
    """
    path = folder / SETTINGS_FILE
    section: object = {}
    if path.is_file():
        try:
            section = tomllib.loads(path.read_text("utf-8")).get(MODELS_SECTION, {})
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(str(path), f"is not TOML: {error}") from error
    if not isinstance(section, dict):
        raise UsageError(str(path), "models is no table", 'write [models."deepseek/"] and below it concurrency = 4')
    return ModelSettings(read_model_rules(section, str(path)), redact=read_redactor())


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
        if not ranges_in({n: template.files[n] for n in template.spec.run_files if n in template.files}):
            files = ", ".join(template.spec.run_files)
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
    if name.startswith("offline/") or "/" not in name:
        raise UsageError(
            f"{option} {name}", "is unknown", "write provider/model, as deepseek/deepseek-reasoner, or offline/sweep"
        )
    check_model(name, os.environ, option)


def make_models(launched: Launched, limits: Limits, stop_file: Path, settings: ModelSettings) -> Models:
    """The models of a workspace. While one waits for its provider, a request to stop ends the wait.

    Raises: UsageError where the aider command is asked for and not there.
    """

    def model_named(name: str) -> Model | None:
        return _make(name, launched.fallbacks, limits, stop_file, settings) if name else None

    editor = model_named(launched.editor_model)
    if launched.editor == "aider":
        editor = _make_aider(launched.editor_model or launched.model, limits, stop_file, settings)
    planner = model_named(launched.model)
    assert planner
    return Models(planner, editor, model_named(launched.reviewer_model))


def _make(name: str, fallbacks: tuple[str, ...], limits: Limits, stop_file: Path, settings: ModelSettings) -> Model:
    if name == SWEEP:
        return SweepModel()
    if is_replay(name):
        from agent.edges.model.replay import ReplayModel

        return ReplayModel(name)
    from agent.edges.model.call import check_stop, sleep_unless_stopped
    from agent.edges.model.client import LiteLLMModel

    return LiteLLMModel(
        name,
        patience_s=limits.patience_s,
        sleep=lambda seconds: sleep_unless_stopped(seconds, stop_file.exists),
        fallbacks=[other for other in fallbacks if other != name],
        table=settings.rules,
        throttle=settings.throttle,
        redact=settings.redact,
        check_stop=lambda: check_stop(stop_file.exists),
        on_wait=say,
    )


def _make_aider(name: str, limits: Limits, stop_file: Path, settings: ModelSettings) -> Model:
    from agent.cli.aider import find_aider
    from agent.edges.model.aider import AiderModel

    return AiderModel(
        name,
        find_aider(),
        dict(os.environ),
        limits.patience_s,
        rules=settings.rules.find(name),
        is_stopped=stop_file.exists,
        throttle=settings.throttle,
        redact=settings.redact,
    )
