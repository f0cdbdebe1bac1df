"""The models of a workspace: settings that they share, names that are checked, what is made of them."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from agent.cli.app import load_command
from agent.cli.models import ModelSettings, check_models, make_models, read_model_settings
from agent.cli.settings import read_settings
from agent.core.journal.budget import Limits
from agent.core.journal.events import Launched
from agent.core.model.messages import Message
from agent.edges.model.client import LiteLLMModel
from agent.edges.model.protocol import Request
from agent.edges.model.sweep import SWEEP, SweepModel
from agent.edges.template.load import load_template
from agent.edges.workspace.layout import Workspace
from agent.errors import StopRequested, UsageError
from tests.paths import QUADRATIC
from tests.provider.cells import VIEW, environment
from tests.provider.server import Fault, StrictServer

MODEL = "deepseek/deepseek-chat"


def write(folder: Path, text: str) -> Path:
    path = folder / "scientist.toml"
    path.write_text(text, "utf-8")
    return path


def test_rules_per_model_are_no_command(tmp_path: Path) -> None:
    path = write(tmp_path, '[models."deepseek/"]\nconcurrency = 3\n')
    assert read_settings("launch", load_command("launch"), path) == {}
    assert read_model_settings(tmp_path).rules.find(MODEL).concurrency == 3
    assert read_model_settings(tmp_path / "nowhere").rules.find(MODEL).concurrency is None


@pytest.mark.parametrize("text", ['[models."deepseek/"]\nconcurency = 3\n', "models = 3\n", "[models\n"])
def test_a_mistake_in_the_rules_names_the_file(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    with pytest.raises(UsageError, match=r"scientist\.toml"):
        read_model_settings(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        '[models]\n"deepseek/" = 3\n',
        "[[models]]\nconcurrency = 3\n",
        '[models."a\\nb"]\nconcurrency = 0\n',
        '[models."deepseek/"]\nconcurrency = true\n',
        '[models."deepseek/"]\ntimeout_s = inf\n',
        '[models."deepseek/"]\ndrop_params = "temperature"\n',
        '[models." "]\nconcurrency = 1\n',
    ],
)
def test_a_wrong_table_of_rules_is_one_line(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        read_model_settings(tmp_path)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 2


def test_keys_are_those_of_the_environment_and_of_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text('A_API_KEY="in-the-file-1"\nB_TOKEN=both-file-1\nPLAIN=nothing-secret\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("B_TOKEN", "both-shell-1")
    redact = read_model_settings(tmp_path).redact
    assert redact("in-the-file-1 both-file-1 both-shell-1 nothing-secret") == (
        "[redacted: A_API_KEY] [redacted: B_TOKEN] [redacted: B_TOKEN] nothing-secret"
    )


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"model": MODEL, "fallbacks": ["nobody/x"]}, "--fallback-model nobody/x"),
        ({"model": MODEL, "editor_model": "gpt"}, "--editor-model gpt"),
        ({"model": MODEL, "reviewer_model": "offline/sweep"}, "--reviewer-model offline/sweep"),
        ({"model": SWEEP, "fallbacks": [MODEL]}, "--fallback-model"),
        ({"model": MODEL, "fallbacks": [""]}, "--fallback-model"),
    ],
)
def test_every_named_model_is_checked(names: dict[str, object], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-0123456789")
    template = load_template(QUADRATIC, "")
    with pytest.raises(UsageError, match=said):
        check_models(template, **names)  # type: ignore[arg-type]
    check_models(template, MODEL, editor_model=MODEL, fallbacks=["deepseek/deepseek-reasoner"])


def test_roles_without_a_model_are_nobodys(tmp_path: Path) -> None:
    models = make_models(Launched(model=SWEEP), Limits(), Workspace(tmp_path), ModelSettings())
    assert isinstance(models.planner, SweepModel) and models.editor is None and models.reviewer is None


def test_three_roles_are_three_models(tmp_path: Path) -> None:
    launched = Launched(model=MODEL, editor_model="openai/gpt-4o", reviewer_model="anthropic/claude-sonnet-4-5")
    models = make_models(launched, Limits(), Workspace(tmp_path), ModelSettings())
    found = [models.planner, models.editor, models.reviewer]
    assert all(isinstance(model, LiteLLMModel) for model in found)
    assert [model.name for model in found if model] == [MODEL, "openai/gpt-4o", "anthropic/claude-sonnet-4-5"]


@pytest.mark.parametrize("fault", ["hang", "server_500"])
def test_a_stop_file_ends_a_call_at_once(tmp_path: Path, fault: str) -> None:
    workspace = Workspace(tmp_path)
    workspace.agent.mkdir()
    with StrictServer("deepseek", faults=[fault] * 50) as server, environment(server.environment()):
        model = make_models(Launched(model=MODEL), Limits(), workspace, ModelSettings()).planner
        timer = threading.Timer(0.3, workspace.stop_file.touch)
        timer.start()
        began = time.monotonic()
        with pytest.raises(StopRequested):
            model.ask(Request((Message("user", "Go."),), VIEW))
        assert time.monotonic() - began < 2
        timer.join()


def test_a_wait_is_told_to_whoever_asked(tmp_path: Path) -> None:
    workspace, told = Workspace(tmp_path), list[str]()
    workspace.agent.mkdir()

    def tell(line: str) -> None:
        told.append(line)
        workspace.stop_file.touch()

    slow = Fault("rate_limit_retry_after", retry_after_s=60)
    with StrictServer("deepseek", faults=[slow]) as server, environment(server.environment()):
        model = make_models(Launched(model=MODEL), Limits(), workspace, ModelSettings(), on_wait=tell).planner
        with pytest.raises(StopRequested):
            model.ask(Request((Message("user", "Go."),), VIEW))
    assert len(told) == 1 and told[0].startswith(f"waiting for {MODEL}: rate limit: ")
