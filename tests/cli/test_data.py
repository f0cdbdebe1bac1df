"""A template that reads a folder of data, from its check to the line that repeats a run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Scientist, only_workspace

EXPERIMENT = """\
import argparse, json, os, random
from pathlib import Path

RATE = 0.5  # search: 0.1..0.9
parser = argparse.ArgumentParser()
parser.add_argument("--out_dir")
out = Path(parser.parse_args().out_dir)
out.mkdir()
random.seed(int(os.environ["SCIENTIST_SEED"]))
numbers = [float(line) for line in Path("data/train.csv").read_text().split()]
fit = RATE * sum(numbers) / len(numbers) + random.gauss(0, 0.01)
(out / "final_info.json").write_text(json.dumps({"fit": fit}))
"""
TOML = """\
name = "lin"
run_files = ["experiment.py"]
editable = ["experiment.py", "notes.txt"]
plot = ""
default_profile = "full"
[[metrics]]
name = "fit"
path = ["fit"]
direction = "higher"
primary = true
[[profiles.full.baselines]]
name = "plain"
seeds = 2
middle_seeds = 2
"""


@pytest.fixture
def lin(folder: Path) -> Path:
    place = folder / "lin"
    (place / "profiles").mkdir(parents=True)
    for name, text in (("experiment.py", EXPERIMENT), ("template.toml", TOML), ("prompt.md", "Fit well.\n")):
        (place / name).write_text(text)
    (place / "profiles" / "full.json").write_text("{}")
    (folder / "my data").mkdir()
    (folder / "my data" / "train.csv").write_text("1.0\n3.0\n")
    return place


@pytest.mark.slow  # quick: the next test, and tests/edges/run/test_baselines.py for rows of other data
def test_data_and_interpreter_go_through_every_command(scientist: Scientist, folder: Path, lin: Path) -> None:
    given = ("--python", sys.executable, "--data", "my data")
    shown = f"--python {sys.executable} --data 'my data'"
    checked = scientist("template", "check", "lin", *given)
    assert checked.returncode == 0, checked.stdout
    assert f"make them: scientist baseline lin {shown}" in checked.stdout
    assert checked.stdout.endswith(f"next: scientist launch IDEAS.json --template lin {shown} --model offline/sweep\n")
    failed = scientist("template", "check", "lin", "--python", sys.executable)
    assert f"then again: scientist template check lin --python {sys.executable}\n" in failed.stdout
    assert scientist("baseline", "lin", "--data", "nowhere").stderr == "scientist: --data nowhere: is not a folder\n"

    made = scientist("baseline", "lin", *given)
    assert made.returncode == 0 and "2 made, 0 failed" in made.stdout, made.stderr
    assert "2 there" in scientist("baseline", "lin", "--dry-run", "--data", folder / "my data").stdout
    without = scientist("baseline", "lin", "--dry-run")
    assert "2 stale" in without.stdout
    refused = scientist("baseline", "lin", "--python", sys.executable)
    assert refused.returncode == 2 and "came of data (--data), where there are none here" in refused.stderr
    (folder / "scientist.toml").write_text(f"[launch]\ntemplate = 'lin'\npython = '{sys.executable}'\n")
    assert f"--template lin --python {sys.executable} --redo" not in scientist("doctor").stdout
    assert "baselines: give no verdicts: 2 of 2 baselines came of data" in scientist("doctor").stdout
    assert "baselines: 2, of what is here" in scientist("doctor", "--data", "my data").stdout

    ran = scientist("launch", "ideas.json", "--idea", "momentum", "--data", "my data", "--max-runs", 1)
    assert ran.returncode == 0 and "no verdicts" not in ran.stderr, ran.stderr
    workspace = only_workspace(folder)
    run = json.loads(scientist("show", workspace, "1", "--json").stdout)
    assert run["verdict"].startswith(("better: ", "worse: ", "no difference: "))
    again = folder / "again"
    again.mkdir()
    subprocess.run(["bash", "-ec", run["repeat"]], cwd=again, check=True, capture_output=True)
    (results,) = again.glob("repeat/run_1/final_info.json")
    assert json.loads(results.read_text())["fit"] == run["metrics"]["fit"]


def test_a_deterministic_program_is_declared_checked_and_judged(scientist: Scientist, folder: Path, lin: Path) -> None:
    given = ("--python", sys.executable, "--data", "my data")
    code = (lin / "experiment.py").read_text().replace(" + random.gauss(0, 0.01)", "")
    (lin / "experiment.py").write_text(code.replace("# search: 0.1..0.9", ""))
    told = scientist("template", "check", "lin", *given)
    assert told.returncode == 1 and "write in template.toml: deterministic = true" in told.stdout
    (lin / "template.toml").write_text(
        "schema_version = 1\ndeterministic = true\n" + (lin / "template.toml").read_text()
    )
    good = scientist("template", "check", "lin", *given)
    assert good.returncode == 0 and "as a deterministic program does" in good.stdout, good.stdout
    assert good.stdout.rstrip().endswith("--model PROVIDER/MODEL")  # a sweep would have nothing to vary
    (lin / "experiment.py").write_text(code)
    assert scientist("baseline", "lin", *given).returncode == 0
    ran = scientist("launch", "ideas.json", "--idea", "momentum", "--template", "lin", *given, "--max-runs", 1)
    assert ran.returncode == 0, ran.stderr
    (idea,) = json.loads(scientist("status", "--json").stdout)["workspaces"]
    assert idea["best"]["verdict"] in ("better", "worse") and "in a deterministic program" in idea["best"]["reason"]
