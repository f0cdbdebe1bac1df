"""The commands as a user types them, on the two-second template with the offline sweep."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.cli.commands.show import copy_inputs, find_prepared
from agent.core.journal.kinds import Step
from agent.edges.template.load import load_template
from agent.edges.workspace.layout import Workspace
from tests.cli.conftest import Launched, Scientist, only_workspace
from tests.paths import QUADRATIC

CONTROL = "control: hyper-parameter sweep; the idea was not implemented"


@pytest.fixture
def workspace(launched: Launched, folder: Path) -> Path:
    done = launched("--idea", "momentum", "--max-runs", 2)
    assert done.stderr.startswith(CONTROL)
    assert "completed, 2 completed runs" in done.stdout and CONTROL in done.stdout
    return only_workspace(folder)


def test_every_reading_command_reads_what_launch_made(workspace: Path, scientist: Scientist) -> None:
    status = json.loads(scientist("status", "--json").stdout)
    (idea,) = status["workspaces"]
    assert status["schema_version"] == 1
    assert (idea["name"], idea["state"], idea["phase"], idea["run"], idea["max_runs"]) == (
        "momentum", "completed", "ended", 2, 2,
    )  # fmt: skip
    assert idea["best"]["metric"] == "score" and idea["best"]["verified"] is True
    assert idea["control"] == CONTROL
    assert CONTROL in scientist("status").stdout

    history = json.loads(scientist("history", workspace, "--json").stdout)
    runs = [e for e in history["edits"] if e["outcome"] == "completed"]
    assert [e["run"] for e in runs] == [1, 2] and all("score" in e["metrics"] for e in runs)
    assert runs[0]["files"] == ["experiment.py"] and runs[0]["model"] == "offline/sweep"
    assert CONTROL in scientist("history", workspace).stdout

    shown = scientist("show", workspace).stdout
    assert "run 2: " in shown and CONTROL in shown
    run = json.loads(scientist("show", workspace, 2, "--json").stdout)
    assert run["metrics"]["score"] == idea["best"]["value"] or idea["best"]["run"] == 1
    assert "+LR = " in scientist("diff", workspace, "start", 1).stdout
    assert scientist("logs", workspace, 1).returncode == 0
    assert "losses.png" in [p.name for p in (workspace / "plots").iterdir()]


@pytest.mark.slow  # quick: tests/cli/test_interrupts.py
def test_the_installed_command_launches_and_reads(command: Scientist, folder: Path) -> None:
    """The others run in this process; this one and tests/cli/test_interrupts.py start what pip installed."""
    done = command("launch", "ideas.json", "--idea", "momentum", "--template", QUADRATIC, "--max-runs", 1)
    assert done.returncode == 0 and done.stderr.startswith(CONTROL), done.stderr
    workspace = only_workspace(folder)
    assert "run 1: " in command("show", workspace).stdout and CONTROL in command("status").stdout
    refused = command("show", folder)
    assert refused.returncode == 2 and refused.stderr.startswith("scientist: ") and refused.stderr.count("\n") == 1


def test_run_0_is_shown_if_it_was_made(workspace: Path, scientist: Scientist, folder: Path) -> None:
    refused = scientist("show", workspace, 0)
    assert refused.returncode == 2 and "run 0: was not made: the template stores baselines" in refused.stderr
    bare = shutil.copytree(QUADRATIC, folder / "bare", ignore=shutil.ignore_patterns("baselines"))
    options = ("--template", bare, "--idea", "rates", "--pause-before", "run", "--workspaces", "others")
    scientist("launch", "ideas.json", *options)
    (other,) = (folder / "others").glob("*/rates")
    shown = json.loads(scientist("show", other, 0, "--json").stdout)
    assert (shown["run"], shown["subject"]) == (0, "the template as it is") and shown["metrics"]["score"] > 0


def test_a_name_of_many_digits_is_a_commit_and_no_run(workspace: Path, scientist: Scientist) -> None:
    subprocess.run(["git", "-C", workspace, "tag", "0017484713", "run/1^{}"], check=True)
    shown = scientist("diff", workspace, "start", "0017484713")
    assert shown.returncode == 0 and shown.stdout == scientist("diff", workspace, "start", 1).stdout != ""
    assert "is no completed run" in scientist("diff", workspace, "start", 999).stderr


def test_a_damaged_workspace_is_named_and_the_others_are_shown(
    launched: Launched, scientist: Scientist, folder: Path
) -> None:
    launched("--max-runs", 1)
    workspace = only_workspace(folder)
    journal = workspace / ".agent" / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"run":1', '"run":2', 1))
    done = scientist("status", "--json")
    assert done.returncode == 6 and f"{journal}:" in done.stderr
    assert [w["name"] for w in json.loads(done.stdout)["workspaces"]] == ["rates"]
    refused = scientist("resume", workspace)
    assert refused.returncode == 6 and f"{journal}:" in refused.stderr


def test_the_line_that_repeats_a_run_gives_its_numbers(workspace: Path, scientist: Scientist, tmp_path: Path) -> None:
    run = json.loads(scientist("show", workspace, 1, "--json").stdout)
    subprocess.run(["bash", "-ec", run["repeat"]], cwd=tmp_path, check=True, capture_output=True)
    again = json.loads((tmp_path / "repeat/run_1/final_info.json").read_text())
    assert again["final_loss"] == run["metrics"]["final_loss"]
    assert json.loads((tmp_path / "repeat/evaluation.json").read_text())["score"] == run["metrics"]["score"]
    assert json.loads((tmp_path / "repeat/baselines.json").read_text())[0]["name"] == "plain"


def test_a_repeated_run_sees_the_profile_and_data_that_a_run_sees(tmp_path: Path) -> None:
    folder = shutil.copytree(QUADRATIC, tmp_path / "it's a quadratic")
    profile = folder / "profiles" / "small.json"
    profile.write_text(json.dumps({"it's": 1, "hidden": {"target": 3.0}}))
    template, workspace = load_template(folder, "small"), Workspace(tmp_path)
    (run,) = copy_inputs(workspace, template, Step.RUN, 1)
    subprocess.run(["bash", "-ec", run], cwd=tmp_path, check=True)
    assert json.loads((tmp_path / "profile.json").read_text()) == {"it's": 1} and "\n" not in run
    (evaluation,) = copy_inputs(workspace, template, Step.EVALUATE, 1)
    subprocess.run(["bash", "-ec", evaluation], cwd=tmp_path, check=True)
    assert (tmp_path / "profile.json").read_text() == profile.read_text()
    (tmp_path / "store" / "small" / "abc").mkdir(parents=True)
    assert find_prepared(tmp_path / "store", "training", "abc") == tmp_path / "store" / "small" / "abc"
    assert find_prepared(tmp_path / "store", "training", "gone") == tmp_path / "store" / "training" / "gone"


def test_a_batch_runs_one_idea_after_another_and_keeps_an_index(
    scientist: Scientist, launched: Launched, folder: Path
) -> None:
    launched("--max-runs", 1)
    names = [w["name"] for w in json.loads(scientist("status", "--json").stdout)["workspaces"]]
    assert names == ["momentum", "rates"]
    assert "has ended already" in scientist("resume", only_workspace(folder)).stderr
    assert scientist("resume", "--all").returncode == 0
    assert scientist("stop", "--all").stdout == "workspaces: nothing to stop\n"


def test_stop_takes_workspaces_batches_and_all(scientist: Scientist, folder: Path) -> None:
    scientist("launch", "ideas.json", "--template", QUADRATIC, "--pause-before", "run")
    first, second = only_workspace(folder), only_workspace(folder, "rates")
    for arguments in ((first, second), (first.parent,), (first, first.parent), ("--all",)):
        asked = scientist("stop", *arguments)
        assert asked.returncode == 0 and asked.stdout.count("asked to stop, though nothing is at work") == 2, asked
        for workspace in (first, second):
            (workspace / ".agent" / "stop").unlink()
    for arguments in ((), (first, "--all"), (first, "nowhere")):
        refused = scientist("stop", *arguments)
        assert refused.returncode == 2 and "see: scientist status" in refused.stderr
        assert not (first / ".agent" / "stop").exists()
    told = scientist("status").stdout
    assert f"next: scientist resume --all ({2} ideas wait)" in told


def test_setup_templates_and_ideas_list_what_there_is(scientist: Scientist, folder: Path) -> None:
    listed = json.loads(scientist("templates", "--json", SCIENTIST_TEMPLATES=str(QUADRATIC.parent)).stdout)
    assert [t["name"] for t in listed["templates"]] == ["quadratic", "sae"], "the package's own come last"
    assert listed["templates"][0]["profiles"] == ["slow", "small"]
    assert "1. momentum: Momentum helps" in scientist("ideas", "ideas.json").stdout
    assert scientist("setup", QUADRATIC).stdout.strip().rpartition("/")[2].startswith("python")


def test_settings_file_gives_defaults_below_the_command_line(scientist: Scientist, folder: Path) -> None:
    (folder / "scientist.toml").write_text(f'[launch]\ntemplate = "{QUADRATIC}"\nmax-runs = 1\nidea = ["rates"]\n')
    assert scientist("launch", "ideas.json").returncode == 0
    (idea,) = json.loads(scientist("status", "--json").stdout)["workspaces"]
    assert (idea["name"], idea["max_runs"]) == ("rates", 1)
    (folder / "scientist.toml").write_text("[lunch]\n")
    refused = scientist("status")
    assert refused.returncode == 2 and "[lunch] is no command" in refused.stderr


def test_a_real_model_is_warned_of_before_anything_runs(scientist: Scientist, folder: Path, hanging_up: str) -> None:
    """The provider cannot be reached: the idea pauses, and says how to go on."""
    (folder / "scientist.toml").write_text("[launch]\n")
    done = scientist(
        "launch", "ideas.json", "--idea", "1", "--template", QUADRATIC, "--model", "openai/gpt-none",
        OPENAI_API_KEY="sk-canary", OPENAI_API_BASE=hanging_up, SCIENTIST_PATIENCE_S="0",
    )  # fmt: skip
    assert done.stderr.startswith("sandbox: ")
    assert done.returncode == 3 and "scientist resume" in done.stdout
    assert "sk-canary" not in done.stderr + done.stdout
