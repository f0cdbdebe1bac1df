"""scientist doctor as a user types it; models are asked in this process, since litellm takes seconds to import."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.cli.app import run
from tests.cli.conftest import Scientist
from tests.paths import QUADRATIC
from tests.provider.server import StrictServer

LOCAL = [
    "git",
    "flake8",
    ".env",
    "variables",
    "workspaces",
    "sandbox",
    "template quadratic, profile small",
    "environment of quadratic",
]
Doctor = Callable[..., tuple[int, str]]


@pytest.fixture
def doctor(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Doctor]:
    """Exit code and all that was said; keys that it reads from .env are forgotten again."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("SCIENTIST_", "DEEPSEEK_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(folder)

    def examine(*arguments: object, **environment: str) -> tuple[int, str]:
        os.environ.update(environment)
        code = run(["doctor", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out + said.err

    yield examine
    os.environ.clear()
    os.environ.update(before)


def whats(said: str, level: str = "") -> list[str]:
    return [line[6:].partition(": ")[0] for line in said.splitlines() if line.startswith(level)]


def test_the_sweep_needs_no_provider_and_says_what_is_left_out(scientist: Scientist, folder: Path) -> None:
    done = scientist("doctor", "--template", QUADRATIC)
    assert done.returncode == 0, done.stdout + done.stderr
    assert whats(done.stdout)[: len(LOCAL)] == LOCAL
    assert "ok    offline/sweep: needs no provider; left out: key, answers" in done.stdout
    assert not (folder / "workspaces").exists()


def test_a_model_in_good_order_passes_and_json_says_the_same(doctor: Doctor) -> None:
    with StrictServer("deepseek", ["ready"]) as server:
        code, said = doctor(
            "--template", QUADRATIC, "--model", server.model, "--editor-model", server.model, "--json",
            **server.environment(),
        )  # fmt: skip
        assert len(server.requests) == 3, "a model of two roles is asked once"
    assert code == 0, said
    told = json.loads(said)
    assert told["schema_version"] == 1 and told["ok"] is True
    assert {finding["level"] for finding in told["findings"]} <= {"ok", "warn"}
    assert set(told["findings"][0]) == {"level", "what", "detail", "remedy"}
    assert f"{server.model} two user turns" in [finding["what"] for finding in told["findings"]]


def test_what_would_fail_a_launch_exits_1_and_does_not_hide_the_rest(doctor: Doctor, folder: Path) -> None:
    (folder / ".env").write_bytes(b"\xff")
    code, said = doctor(
        "--template", "nowhere", "--model", "deepseek/x", "--fallback-model", "nobody/y", DEEPSEEK_API_KEY=" "
    )
    assert code == 1
    assert whats(said, "FAIL") == [".env", "template", "deepseek/x key", "nobody/y key"]
    assert "DEEPSEEK_API_KEY not set; export the key or put it into .env" in said


def test_options_of_launch_in_the_settings_file_count(doctor: Doctor, folder: Path) -> None:
    """The key comes from .env, the rest from [launch]; the server refuses the key."""
    with StrictServer("deepseek", ["ready"], ["key_401"]) as server:
        base, key = server.environment()["DEEPSEEK_API_BASE"], server.environment()["DEEPSEEK_API_KEY"]
        (folder / ".env").write_text(f"DEEPSEEK_API_KEY={key}\n")
        (folder / "scientist.toml").write_text(f'[launch]\ntemplate = "{QUADRATIC}"\nmodel = "{server.model}"\n')
        code, said = doctor(DEEPSEEK_API_BASE=base)
    assert code == 1 and key not in said
    assert "ok    .env: sets DEEPSEEK_API_KEY" in said
    (line,) = [line for line in said.splitlines() if line.startswith("FAIL")]
    assert line.startswith(f"FAIL  {server.model} answers: key refused: ") and ".; " not in line


def test_an_editor_that_is_not_built_would_fail_a_launch(doctor: Doctor, tmp_path: Path) -> None:
    with StrictServer("deepseek", ["ready"]) as server:
        code, said = doctor(
            "--template", QUADRATIC, "--model", server.model, "--editor", "aider",
            **server.environment(), SCIENTIST_CACHE=str(tmp_path / "cache"),
        )  # fmt: skip
        assert code == 1
        assert "FAIL  models: --editor aider: its environment is not built; build it" in said
        code, said = doctor(
            "--template", QUADRATIC, "--model", server.model, "--editor", "aider", SCIENTIST_AIDER=sys.executable
        )
    assert code == 0 and f"ok    aider: {sys.executable}" in said


def test_a_damaged_recording_and_missing_rules_are_named(doctor: Doctor, folder: Path) -> None:
    code, said = doctor("--template", QUADRATIC, "--model", "replay/nowhere")
    assert code == 1 and "FAIL  models: --model replay/nowhere: is not a workspace" in said
    (folder / "scientist.toml").write_text('[launch]\neditor = "vi"\n')
    code, said = doctor("--template", QUADRATIC)
    assert code == 2 and "scientist.toml:2: [launch] editor = \"vi\": 'vi' is not one of 'blocks', 'aider'" in said
    (folder / "scientist.toml").write_text('[models."deepseek/"]\nwindow = 5\n')
    code, said = doctor("--template", QUADRATIC)
    assert code == 1 and whats(said, "FAIL") == ["settings"] and "window" in said
