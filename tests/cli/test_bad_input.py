"""Bad input costs one clear line and exit 2, and leaves no half-made workspace."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli import app
from agent.errors import UsageError
from tests.cli.conftest import Launched, Scientist
from tests.paths import QUADRATIC

Refuse = Callable[..., str]


@pytest.fixture
def refuse(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Give the arguments to the command, in this process, and return the one line that it prints."""

    def run_refused(*arguments: object, **extra: str) -> str:
        monkeypatch.chdir(folder)
        before = sorted(folder.rglob("*"))
        for name, value in extra.items():
            monkeypatch.setenv(name, value)
        code = app.run([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert code == 2, said.err
        assert said.out == "" and len(said.err.strip().splitlines()) == 1, said
        assert sorted(folder.rglob("*")) == before, "a refusal leaves nothing behind"
        return said.err.strip()

    return run_refused


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "ideas file.json: cannot be read: No such file"),
        ("{", "ideas file.json:1:2: not JSON"),
        ("[]", "holds no idea"),
        ("[1]", "idea 1: is a number, not an object"),
        ('{"Experiment": "x"}', "idea 1: field Title is missing"),
        ('[{"Title": "a", "Experiment": "b"}, {"Title": "c"}]', "idea 2: field Experiment is missing"),
        ('{"Title": "a", "Experiment": "  "}', "field Experiment"),
    ],
)
def test_an_ideas_file_that_cannot_be_used(refuse: Refuse, folder: Path, content: str | None, said: str) -> None:
    if content is not None:
        (folder / "ideas file.json").write_text(content)
    assert said in refuse("launch", "ideas file.json", "--template", QUADRATIC)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--reviewer-model", "x/y"], "--reviewer-model x/y: offline/sweep takes no other model's help"),
        (["--editor-model", "x/y"], "--editor-model x/y: offline/sweep takes no other model's help"),
        (["--template", "nowhere"], "template 'nowhere': not found"),
        (["--profile", "huge"], "has no profile 'huge'; it has: slow, small"),
        (["--model", "nobody/nothing"], "litellm knows no such provider"),
        (["--model", "offline/dream"], "is unknown"),
        (["--model", "deepseek/deepseek-reasoner"], "DEEPSEEK_API_KEY not set"),
        (["--idea", "gravity"], "holds no idea 'gravity'; it has: momentum, rates"),
        (["--max-runs", "0"], "--max-runs 0: is not 1 or more"),
        (["--max-runs", "-3"], "--max-runs -3: is not 1 or more"),
        (["--max-runs", "many"], "--max-runs many: is not a whole number"),
        (["--python", "/bin/true"], "is not a Python interpreter"),
        (["--python", "/nowhere/python"], "cannot be run"),
        (["--data", "/nowhere"], "is not a folder"),
        (["--colour"], "No such option"),
    ],
)
def test_an_option_that_cannot_be_used(refuse: Refuse, folder: Path, options: list[str], said: str) -> None:
    chosen = ["--template", str(QUADRATIC)] if "--template" not in options else []
    assert said in refuse("launch", "ideas.json", *chosen, *options, DEEPSEEK_API_KEY="")


def test_a_template_without_experiment_is_named(refuse: Refuse, folder: Path) -> None:
    (folder / "hollow").mkdir()
    assert "hollow: has no experiment.py" in refuse("launch", "ideas.json", "--template", "hollow")
    shutil.copy(QUADRATIC / "template.toml", folder / "hollow")
    assert "hollow: has no experiment.py" in refuse("launch", "ideas.json", "--template", "hollow")


def test_a_template_field_that_is_wrong_is_named(refuse: Refuse, folder: Path) -> None:
    shutil.copytree(QUADRATIC, folder / "odd")
    toml = folder / "odd" / "template.toml"
    toml.write_text(toml.read_text().replace("run_s = 20", "run_s = -20"))
    line = refuse("launch", "ideas.json", "--template", "odd")
    assert re.search(r"template\.toml:\d+: field limits\.run_s = -20: is not more than 0$", line)
    for old, new, field in [
        ('"plot.py", ', '"../plot.py", ', "editable"),
        ("--out_dir={out_dir}", "--out_dir={folder}", "command"),
        ('path = ["steps"]', "path = []", "controls.0.path"),
    ]:
        toml.write_text((QUADRATIC / "template.toml").read_text().replace(old, new, 1))
        said = refuse("launch", "ideas.json", "--template", "odd")
        assert re.search(rf"template\.toml:\d+: field {re.escape(field)}\b", said), said


@pytest.mark.slow  # quick: test_what_the_real_pip_says_is_told in tests/edges/template/test_environment.py
def test_an_environment_that_cannot_be_built_shows_pips_last_lines(scientist: Scientist, folder: Path) -> None:
    shutil.copytree(QUADRATIC, folder / "needy")
    toml = folder / "needy" / "template.toml"
    toml.write_text(toml.read_text() + '\n[environment]\ninstall = [["--no-index", "no-such-package-at-all"]]\n')
    done = scientist("launch", "ideas.json", "--template", "needy", SCIENTIST_CACHE=str(folder / "cache"))
    assert done.returncode == 2
    assert "no-such-package-at-all" in done.stderr and "No matching distribution" in done.stderr
    assert not list(folder.glob("workspaces/*"))


@pytest.mark.parametrize("name", ["plot.py", "experiment.py", "template.toml", "profiles", "sealed/extra.txt"])
def test_a_link_that_leads_nowhere_is_refused_by_every_command(
    refuse: Refuse, folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(QUADRATIC, folder / "linked")
    place = folder / "linked" / name
    shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    place.symlink_to("../shared/of-yesterday")
    problem = f"{name}: is a link to ../shared/of-yesterday, which is not there"
    assert problem in refuse("launch", "ideas.json", "--template", "linked")
    assert problem in refuse("baseline", "linked")
    assert app.run(["template", "check", "linked"]) == 1
    assert f"fix   linked/{problem}; remove it, or put a file in its place" in capsys.readouterr().out


def test_a_sweep_needs_a_marked_range(refuse: Refuse, folder: Path) -> None:
    shutil.copytree(QUADRATIC, folder / "plain")
    code = folder / "plain" / "experiment.py"
    code.write_text(code.read_text().replace("# search:", "# once:"))
    assert "marks no search range" in refuse("launch", "ideas.json", "--template", "plain")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_named(refuse: Refuse, folder: Path) -> None:
    (folder / "locked").mkdir(mode=0o500)
    arguments = ("launch", "ideas.json", "--template", QUADRATIC, "--workspaces", "locked/w")
    assert "cannot be written" in refuse(*arguments)


def test_a_workspaces_folder_that_is_a_file_is_named(refuse: Refuse, folder: Path) -> None:
    (folder / "taken").write_text("")
    arguments = ("launch", "ideas.json", "--template", QUADRATIC, "--workspaces", "taken")
    assert "taken: cannot be written" in refuse(*arguments)


@pytest.mark.parametrize("options", [[], ["--python", sys.executable]])
def test_a_wrong_size_of_the_data_is_told_before_anything_is_built(refuse: Refuse, options: list[str]) -> None:
    arguments = ("launch", "ideas.json", "--template", QUADRATIC, *options)
    assert "SCIENTIST_DATA_MAX_GIB=2 GB: is no size in GiB" in refuse(*arguments, SCIENTIST_DATA_MAX_GIB="2 GB")


def test_a_sandbox_that_does_not_work_is_told_before_a_folder_is_made(
    refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_sandbox(wanted: str) -> None:
        raise UsageError(f"--sandbox {wanted}", "no sandbox works here")

    monkeypatch.setattr("agent.cli.commands.launch.choose_sandbox", refuse_sandbox)
    assert "no sandbox works here" in refuse("launch", "ideas.json", "--template", QUADRATIC)


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ("idea", 'scientist: idea: is not complete; write scientist idea new "SENTENCE"'),
        ("template", "scientist: template: is not complete; write scientist template new NAME --from SCRIPT, or "),
    ],
)
def test_a_group_of_commands_alone_names_its_commands(refuse: Refuse, group: str, said: str) -> None:
    assert said in refuse(group)


def test_a_machine_without_git_is_told(refuse: Refuse, folder: Path) -> None:
    line = refuse("launch", "ideas.json", "--template", QUADRATIC, PATH="/nowhere")
    assert "git: is not installed" in line


@pytest.mark.parametrize("command", [["show"], ["history"], ["logs"], ["diff"], ["resume"], ["stop"], ["unlock"]])
def test_a_folder_that_is_no_workspace(refuse: Refuse, folder: Path, command: list[str]) -> None:
    more = ["start"] if command == ["diff"] else []
    assert "workspace" in refuse(*command, "ideas.json", *more)


def test_runs_and_commits_that_do_not_exist(scientist: Scientist, launched: Launched, folder: Path) -> None:
    launched("--idea", "momentum", "--max-runs", 2)
    (workspace,) = folder.glob("workspaces/*/momentum")
    for arguments, said in [
        (("show", workspace, 7), "run 7: is not finished"),
        (("logs", workspace, 7), "has no log"),
        (("logs", workspace, "/etc"), "run /etc: has no log"),
        (("logs", workspace, "**x"), "run **x: has no log"),
        (("diff", workspace, ""), "'': is no completed run"),
        (("diff", workspace, "start", "--output=x"), "No such option"),
        (("diff", workspace, "start", "nowhere"), "is no completed run, tag or commit"),
    ]:
        done = scientist(*arguments)
        assert done.returncode == 2 and said in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert json.loads(scientist("status", "--json").stdout)["workspaces"][0]["state"] == "completed"
