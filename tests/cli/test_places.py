"""Templates and ideas found by name: here first, then SCIENTIST_TEMPLATES, then those of the package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from agent.cli import places
from agent.cli.commands.templates import say_ready
from tests.cli.conftest import IDEAS, Scientist
from tests.paths import QUADRATIC


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package as a wheel installs it, with one template and one ideas file; its data folder."""
    data = tmp_path / "site-packages" / "agent" / "data"
    shutil.copytree(QUADRATIC, data / "templates" / "toy")
    (data / "ideas").mkdir()
    (data / "ideas" / "toys.json").write_text(json.dumps(IDEAS))
    monkeypatch.setattr(places, "PACKAGE", data.parent)
    return data


def folder_of(scientist: Scientist, name: str, **variables: str) -> str:
    listed = json.loads(scientist("templates", "--json", **variables).stdout)["templates"]
    (found,) = [t["folder"] for t in listed if t["name"] == name]
    return str(found)


def test_a_name_is_looked_for_here_then_in_the_variable_then_in_the_package(
    package: Path, scientist: Scientist, folder: Path, tmp_path: Path
) -> None:
    assert folder_of(scientist, "toy") == str(package / "templates" / "toy")
    other = tmp_path / "other"
    shutil.copytree(QUADRATIC, other / "toy")
    assert folder_of(scientist, "toy", SCIENTIST_TEMPLATES=str(other)) == str(other / "toy")
    shutil.copytree(QUADRATIC, folder / "templates" / "toy")
    assert folder_of(scientist, "toy", SCIENTIST_TEMPLATES=str(other)) == "templates/toy"


def test_ideas_are_a_path_or_a_name_and_ones_own_come_first(package: Path, scientist: Scientist, folder: Path) -> None:
    assert scientist("ideas").stdout.startswith(f"toys: {package / 'ideas' / 'toys.json'}\n")
    assert "1. momentum" in scientist("ideas", "toys").stdout
    (folder / "ideas").mkdir()
    (folder / "ideas" / "toys.json").write_text(json.dumps(IDEAS[1]))
    for name in ("toys", "toys.json", "ideas/toys.json"):
        assert "1. rates" in scientist("ideas", name).stdout, name


def test_templates_says_for_which_profiles_the_environment_is_built() -> None:
    row = {"profiles": ["big", "small"], "ready_profiles": ["small"], "environment_built": True}
    assert say_ready(row) == "small: ready; big: environment not built"
    assert say_ready(row | {"ready_profiles": []}) == "big, small; environment not built"
    assert say_ready(row | {"ready_profiles": ["big", "small"]}) == "big, small; ready"
    assert say_ready({"profiles": [], "ready_profiles": [], "environment_built": True}) == "no profiles; ready"


def test_version_and_help_have_the_names_that_people_try(scientist: Scientist) -> None:
    assert scientist("-V").stdout == scientist("--version").stdout != ""
    assert scientist("help").stdout == scientist("--help").stdout != ""
    for command in (["show"], ["template", "new"]):
        told = scientist("help", *command)
        assert told.returncode == 0 and told.stdout == scientist(*command, "--help").stdout != ""
    assert "No such command 'nothing'" in scientist("help", "nothing").stderr


def test_an_unknown_name_lists_what_there_is(package: Path, scientist: Scientist) -> None:
    refused = scientist("launch", "nothing")
    assert refused.returncode == 2
    assert refused.stderr == "scientist: ideas nothing: not found; name a file, or one of: toys\n"
    assert scientist("launch", "ideas/toys.json").stderr == (
        "scientist: ideas/toys.json: cannot be read: No such file or directory; name a file, or one of: toys\n"
    )
    assert "template 'sae': not found; there are: toy" in scientist("launch", "toys").stderr


def test_a_name_launches_in_an_empty_folder(package: Path, scientist: Scientist, folder: Path) -> None:
    (folder / "ideas.json").unlink()
    done = scientist("launch", "toys", "--idea", "1", "--template", "toy", "--max-runs", "1")
    assert done.returncode == 0, done.stderr
    assert [p.name for p in folder.iterdir()] == ["workspaces"]


def test_init_copies_once_and_the_copies_count(package: Path, scientist: Scientist, folder: Path) -> None:
    first = scientist("init").stdout
    assert first.splitlines()[0].startswith("copied  templates/toy: ") and "copied  ideas/toys.json\n" in first
    assert first.endswith("next: scientist launch toys --template toy\n")
    assert folder_of(scientist, "toy") == "templates/toy"
    changed = folder / "templates" / "toy" / "experiment.py"
    changed.write_text("# mine\n")
    assert scientist("init").stdout.startswith("kept    templates/toy, which was there already\n")
    assert changed.read_text() == "# mine\n"
    assert not [p for p in folder.rglob(".*") if p.is_file()], "no half of a copy is left"


def test_init_copies_what_was_asked_for(package: Path, scientist: Scientist, folder: Path) -> None:
    said = scientist("init", "my work", "--ideas", "toys").stdout
    assert said == "copied  my work/ideas/toys.json\nnext: cd 'my work' && scientist launch toys\n"
    assert not (folder / "my work" / "templates").exists()
    refused = scientist("init", "--template", "nothing")
    assert refused.returncode == 2 and "there are: toy" in refused.stderr
    (folder / "file").write_text("")
    refused = scientist("init", "file")
    assert refused.returncode == 2 and "cannot be written" in refused.stderr


def test_baselines_are_not_stored_in_an_installed_package(package: Path, scientist: Scientist) -> None:
    with (package / "templates" / "toy" / "template.toml").open("a") as file:
        file.write('\n[[profiles.small.baselines]]\nname = "plain"\nseeds = 1\n')
    refused = scientist("baseline", "toy")
    assert refused.returncode == 2 and "belongs to the installed package; copy the template first" in refused.stderr


def test_a_clone_offers_its_own_from_any_folder(scientist: Scientist) -> None:
    assert (Path(folder_of(scientist, "sae")) / "template.toml").is_file()
    assert "sae_synth: " in scientist("ideas").stdout
