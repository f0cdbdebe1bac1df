"""Folders of AI-Scientist's kind, launched as they are: their files, their data, their limits, their numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.commands.launch import announce_modules
from agent.edges.template.load import load_template
from agent.edges.workspace.layout import open_workspace, read_state
from tests.cli.conftest import Scientist

# Reads a table and a package of its own folder, data one folder further up in later runs, and nests its means.
EXPERIMENT = """import argparse
import json
import os

from loader import load_points

parser = argparse.ArgumentParser()
parser.add_argument("--out_dir", default="run_0")
out_dir = parser.parse_args().out_dir
RATE = 0.5  # search: log 0.1..0.9
place = "../../data" if out_dir == "run_0" else "../../../data"
with open(os.path.join(place, "words", "train.txt")) as file:
    words = file.read().split()
points = load_points("points.tsv")
with open(os.path.join("sets", "large.txt")) as file:
    assert len(file.read()) == 1 << 20
loss = sum((x - RATE) ** 2 for x in points) / len(points)
os.makedirs(out_dir, exist_ok=True)
means = {"ethanol": {"RMSE_E": loss}, "words": len(words)}
with open(os.path.join(out_dir, "final_info.json"), "w") as file:
    json.dump({"toy": {"means": means, "stderrs": {}}}, file)
"""
LOADER = """def load_points(path):
    with open(path) as file:
        return [float(line) for line in file]
"""


def put_folder(parent: Path, **more: str) -> Path:
    files = {
        "experiment.py": EXPERIMENT,
        "points.tsv": "0.1\n0.4\n",
        "loader/__init__.py": LOADER,
        "sets/large.txt": "a" * (1 << 20),
        "prompt.json": json.dumps({"system": "You study points.", "task_description": "Lower the error."}),
        "ideas.json": json.dumps([{"Name": "rate", "Title": t, "Experiment": "Vary it."} for t in ("Rate", "Again")]),
        "latex/template.tex": "",
        **more,
    }
    folder = parent / "toy"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (parent / "datasets" / "words").mkdir(parents=True, exist_ok=True)
    (parent / "datasets" / "words" / "train.txt").write_text("a b c")
    return folder


def test_a_folder_is_launched_as_it_is(scientist: Scientist, folder: Path) -> None:
    put_folder(folder)
    options = ("--template", "toy", "--data", "datasets", "--max-runs", "1", "--run-s", "77")
    done = scientist("launch", "toy/ideas.json", *options, "--idea", "2")
    assert done.returncode == 0, done.stderr
    assert "limits: run 77 s, memory nine tenths of the machine's" in done.stderr
    (place,) = (folder / "workspaces").glob("*/rate_2")
    state = read_state(open_workspace(place))
    assert state.launched.template == "toy" and state.launched.run_s == 77
    assert [row.completed for row in state.rows] == [True] and state.baseline is not None
    assert state.baseline.values.keys() == {"ethanol.RMSE_E", "words"} and state.rows[0].values["words"] == 3
    work = next((place / ".agent" / "attempts").glob("run_1.*")) / "work"
    assert (work / "points.tsv").read_text() == "0.1\n0.4\n" and not (work / "latex").exists()
    assert (work / "sets" / "large.txt").is_symlink() and not (work / "sets").is_symlink()
    assert json.loads((work.parent / "spec.json").read_text())["deadline_s"] == 77
    assert "points.tsv" not in {path.name for path in place.iterdir()}
    assert "limits: run 77 s" in scientist("show", place).stdout
    shown = scientist("show", place, "1").stdout.splitlines()
    (line,) = [line.removeprefix("repeat: ") for line in shown if line.startswith("repeat: ")]
    copies = line.partition(" && env ")[0]
    subprocess.run(["/bin/sh", "-c", copies], cwd=folder, check=True)
    assert (folder / "repeat" / "points.tsv").read_text() == "0.1\n0.4\n" and (folder / "repeat" / "loader").is_dir()


def test_a_launch_says_which_modules_are_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"experiment.py": "import loader, json\n", "loader/__init__.py": "import nowhere_to_be_found\n"}
    template = load_template(put_folder(folder, **files))
    announce_modules(template, Path(sys.executable))
    said = capsys.readouterr().err
    assert said.startswith("modules: nowhere_to_be_found: imported by the template's code, and not installed for")
    announce_modules(load_template(put_folder(folder, **{"experiment.py": "import json\n"})), Path("none"))
    assert not capsys.readouterr().err
