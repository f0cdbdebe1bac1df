"""Settings: options count before SCIENTIST_*, these before scientist.toml, and each mistake names its origin."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path

import pytest

from agent.cli.app import load_command
from agent.cli.options import LaunchSettings
from tests.cli.conftest import Scientist
from tests.paths import QUADRATIC


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ('[launch]\nmax-runs = "many"', '[launch] max-runs = "many": is not a whole number'),
        ("[launch]\nmax-runs = 5.5", "[launch] max-runs = 5.5: is not a whole number"),
        ("[launch]\nmax-runs = true", "[launch] max-runs = true: is not a whole number"),
        ("[launch]\nmax_runs = 0", "[launch] max_runs = 0: is not 1 or more"),
        ('[launch]\nidea = "rates"', '[launch] idea = "rates": is not a list of texts in quotes'),
        ("[launch]\nidea = [1]", "[launch] idea = [1]: is not a list of texts in quotes"),
        ("[launch]\ntemplate = 5", "[launch] template = 5: is not a text in quotes"),
        ("[launch]\npatience-s = true", "[launch] patience-s = true: is not a number"),
        ('[launch]\neditor = "vi"', "[launch] editor = \"vi\": 'vi' is not one of 'blocks', 'aider'"),
        ("[launch]\nruns = 3", "[launch] has no option runs"),
        ("[template]\ncheck = 3", ""),
        ("launch = 3", "launch = 3: stands in no section"),
        ("[lunch]", "[lunch] is no command"),
        ("[launch", "is not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_that_names_it(
    section: str, problem: str, scientist: Scientist, folder: Path
) -> None:
    (folder / "scientist.toml").write_text(section + "\n")
    done = scientist("launch", "ideas.json", "--template", "nowhere")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and not done.stdout
    line = "" if problem == "is not TOML" else f":{section.count(chr(10)) + 1}"
    assert (f"scientist.toml{line}: {problem}" if problem else "template 'nowhere'") in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("SCIENTIST_PATIENCE_S", "abc", "SCIENTIST_PATIENCE_S=abc: is not a number"),
        ("SCIENTIST_SANDBOX", "x", "SCIENTIST_SANDBOX=x: 'x' is not one of"),
        ("SCIENTIST_MODLE", "m", "SCIENTIST_MODLE=m: is no variable of scientist; write SCIENTIST_MODEL, or unset it"),
        ("SCIENTIST_TEMPLATES", "/nowhere", "SCIENTIST_TEMPLATES=/nowhere: is not a folder"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str, problem: str, scientist: Scientist) -> None:
    done = scientist("launch", "ideas.json", **{name: value})
    assert done.returncode == 2 and problem in done.stderr and done.stderr.count("\n") == 1


def test_a_wrong_option_is_shown_as_it_was_typed(scientist: Scientist) -> None:
    done = scientist("launch", "ideas.json", "--max-runs=0")
    assert done.stderr == ("scientist launch: --max-runs=0: is not 1 or more; see: scientist launch --help\n")


def test_a_cache_that_cannot_be_written_is_named(scientist: Scientist, folder: Path) -> None:
    template = folder / "needy"
    shutil.copytree(QUADRATIC, template)
    spec = template / "template.toml"
    spec.write_text(spec.read_text() + '\n[environment]\ninstall = [["nothing==1"]]\n')
    (folder / "file").write_text("")
    done = scientist("setup", template, SCIENTIST_CACHE=str(folder / "file"))
    assert done.returncode == 2 and "set SCIENTIST_CACHE to a folder of yours" in done.stderr, done.stderr


def test_doctor_has_every_option_of_launch() -> None:
    wanted = {p.name for p in load_command("launch").params} - {"ideas", "help"}
    assert wanted == {field.name for field in fields(LaunchSettings)}
    assert wanted <= {p.name for p in load_command("doctor").params}


def test_doctor_takes_the_section_of_launch_and_its_own_before_it(scientist: Scientist, folder: Path) -> None:
    (folder / "scientist.toml").write_text(f'[launch]\ntemplate = "{QUADRATIC}"\n[doctor]\nprofile = "slow"\n')
    assert "ok    template quadratic, profile slow: " in scientist("doctor").stdout
    (folder / "scientist.toml").write_text('[launch]\ntemplate = "a"\n[doctor]\ntemplate = 1\n')
    assert "[doctor] template = 1: is not a text in quotes" in scientist("doctor").stderr


def test_doctor_examines_ideas_data_and_interpreter(scientist: Scientist, folder: Path) -> None:
    said = scientist("doctor", "ideas.json", "--idea", "momentum", "--template", QUADRATIC, "--data", ".").stdout
    assert "ok    ideas ideas: momentum of ideas.json\n" in said and f"ok    options: {folder}\n" in said
    done = scientist("doctor", "ideas.json", "--idea", "9", "--template", QUADRATIC, "--python", "/bin/true")
    assert done.returncode == 1
    assert "FAIL  ideas: ideas.json: holds no idea '9'" in done.stdout
    assert "FAIL  options: --python /bin/true: is not a Python interpreter" in done.stdout


def test_the_command_line_counts_before_a_variable_and_that_before_the_file(scientist: Scientist, folder: Path) -> None:
    (folder / "scientist.toml").write_text(f'[doctor]\ntemplate = "{QUADRATIC}"\nprofile = "nowhere"\njson = true\n')
    assert json.loads(scientist("doctor", SCIENTIST_PROFILE="slow").stdout)["ok"] is True
    assert json.loads(scientist("doctor", "--profile", "small", SCIENTIST_PROFILE="nowhere").stdout)["ok"] is True
    assert json.loads(scientist("doctor").stdout)["ok"] is False


def test_a_settings_file_that_is_a_folder_or_leads_nowhere_is_not_passed_over(
    scientist: Scientist, folder: Path
) -> None:
    path = folder / "scientist.toml"
    path.mkdir()
    refused = scientist("launch", "ideas.json", "--template", QUADRATIC)
    assert refused.returncode == 2 and "scientist.toml: cannot be read: Is a directory" in refused.stderr
    path.rmdir()
    path.symlink_to("nowhere.toml")
    refused = scientist("launch", "ideas.json", "--template", QUADRATIC)
    assert refused.returncode == 2 and "scientist.toml: cannot be read" in refused.stderr
    assert not (folder / "workspaces").exists()


def test_an_interpreter_that_is_not_there_leaves_no_folder(scientist: Scientist, folder: Path) -> None:
    refused = scientist("launch", "ideas.json", "--template", QUADRATIC, "--python", "/nope")
    assert refused.returncode == 2 and not (folder / "workspaces").exists()
