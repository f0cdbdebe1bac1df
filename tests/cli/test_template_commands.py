"""`scientist template new` and `check`, and `scientist idea new`, as a researcher types them."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import pytest

from agent.cli import app
from agent.cli.commands import template_trial
from agent.core.code.search_marks import search_ranges
from agent.core.inputs.idea import parse_ideas
from agent.edges.lint import Linter
from agent.edges.template.authoring.gather import SCRIPT_CAP_BYTES
from agent.edges.template.authoring.new import make_template
from agent.edges.template.load import load_template, read_spec
from tests.cli.conftest import Scientist
from tests.paths import QUADRATIC

DIGITS = Path(__file__).parent.parent / "data" / "sklearn_digits" / "train.py"

Refuse = Callable[..., str]

# A researcher's script in plain Python: arguments, a seed, a module beside it, printed results.
PLAIN = '''\
"""Walk to the minimum of a parabola."""
import argparse
import random

from steps import walk


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    random.seed(args.seed)
    x = walk(random.gauss(0, 1), args.lr, args.steps)
    error = abs(x - 3)
    print(f"final error: {error:.4f}")


if __name__ == "__main__":
    main()
'''
UNSEEDED = 'error = abs(x - 3) + ("run_again" in os.getcwd())'  # the repeated run has a number of its own
STEPS = "def walk(x, lr, steps):\n    for _ in range(steps):\n        x -= lr * 2 * (x - 3)\n    return x\n"


@pytest.fixture
def plain(folder: Path) -> Path:
    """The script and its module, in a folder with a space in its name."""
    home = folder / "my code"
    home.mkdir()
    (home / "steps.py").write_text(STEPS)
    (home / "train.py").write_text(PLAIN)
    return home / "train.py"


ADDED = {
    "import random\n": "import json\nimport os\nimport pathlib\nimport random\n",
    "def main(": "LR = 0.05  # search: log 0.005..0.5\n\n\ndef main(",
    "default=0.05": "default=LR",
    "    args = parser": """\
    parser.add_argument("--out_dir", default="run_0")
    parser.set_defaults(seed=int(os.environ.get("SCIENTIST_SEED", 0)))
    if os.environ.get("SCIENTIST_SMOKE"):
        parser.set_defaults(steps=1)
    args = parser""",
    '{error:.4f}")\n': """{error:.4f}")
    out = pathlib.Path(args.out_dir)
    out.mkdir(parents=True, exist_ok=True)
    (out / "final_info.json").write_text(json.dumps({"final_error": float(error)}))
""",
}
METRIC = """
[[metrics]]
name = "final_error"
path = ["final_error"]
direction = "lower"
resolution = 0.001
primary = true
"""


def fill(template: Path) -> None:
    """The work of a person after `template new`: the script keeps the protocol, the numbers and the task are named."""
    code = (template / "experiment.py").read_text()
    for old, added in ADDED.items():
        assert old in code
        code = code.replace(old, added)
    (template / "experiment.py").write_text(code)
    toml = re.sub(r"(?m)^# FILL:.*\n", "", (template / "template.toml").read_text())
    (template / "template.toml").write_text(toml.replace("smoke = false", "smoke = true") + METRIC)
    (template / "prompt.md").write_text("Walk to the minimum.\n")


@pytest.fixture
def refuse(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Give the arguments to the command, in this process, and return the one line that it prints."""

    def run_refused(*arguments: object) -> str:
        monkeypatch.chdir(folder)
        code = app.run([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert code == 2 and said.out == "" and len(said.err.strip().splitlines()) == 1, said
        return said.err

    return run_refused


def new(scientist: Scientist, source: Path, name: str = "walk") -> str:
    done = scientist("template", "new", name, "--from", source, "--python", sys.executable)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(scientist: Scientist, template: object, *options: object) -> tuple[int, str]:
    done = scientist("template", "check", template, "--python", sys.executable, *options)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout


def test_a_plain_script_becomes_a_template_that_runs(scientist: Scientist, folder: Path, plain: Path) -> None:
    said = new(scientist, plain)
    template = folder / "templates" / "walk"
    assert "copied        steps.py: an idea may not change these" in said and "none beyond Python" in said
    assert "options       argparse (experiment.py:13, 3 options)" in said
    assert "results       final_error (printed, experiment.py:17)" in said and "length        steps = 20" in said
    assert plain.read_text() == PLAIN == (template / "experiment.py").read_text()
    assert (template / "steps.py").read_text() == STEPS
    raw = tomllib.loads((template / "template.toml").read_text())
    assert raw["run_files"] == ["experiment.py", "steps.py"] and raw["summary"] == "Walk to the minimum of a parabola."

    code, report = check(scientist, "walk")
    fills = [line for line in report.splitlines() if line.startswith("fix ") and "delete this mark" in line]
    assert code == 1 and len(fills) == int(re.search(r"to fill: (\d+)", said)[1])  # type: ignore[index]
    assert all(re.search(r"templates/walk/[\w.]+:\d+: ", line) for line in fills)

    fill(template)
    code, report = check(scientist, "templates/walk")
    assert code == 0, report
    assert "seed 1 twice gave the same numbers, seed 2 others" in report
    assert "offline/sweep can vary LR" in report and "final_error.svg" in report

    assert "make them: scientist baseline walk" in report


@pytest.mark.slow  # quick: the test before it, and tests/cli/test_baseline.py
def test_a_template_made_of_a_script_is_judged(scientist: Scientist, folder: Path, walk: Path) -> None:
    done = scientist("baseline", "walk", "--python", sys.executable)
    assert done.returncode == 0 and len(list((walk / "baselines/full").glob("*.json"))) == 5, done.stderr
    (folder / "ideas.json").write_text('{"Title": "Faster", "Experiment": "Try a higher rate."}')
    done = scientist(
        "launch", "ideas.json", "--template", "walk", "--max-runs", 2, "--python", sys.executable
    )  # fmt: skip
    assert done.returncode == 0 and "completed, 2 completed runs" in done.stdout, done.stderr
    (idea,) = json.loads(scientist("status", "--json").stdout)["workspaces"]
    assert idea["best"]["verdict"] in ("better", "worse", "no difference")


def test_new_never_overwrites(scientist: Scientist, folder: Path, plain: Path) -> None:
    new(scientist, plain)
    mine = folder / "templates" / "walk" / "experiment.py"
    mine.write_text("mine")
    again = scientist("template", "new", "walk", "--from", plain)
    assert again.returncode == 2 and "is there already" in again.stderr and mine.read_text() == "mine"
    assert [p.name for p in (folder / "templates").iterdir()] == ["walk"]


def test_the_script_is_copied_byte_for_byte(scientist: Scientist, folder: Path, plain: Path) -> None:
    plain.write_bytes(b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").encode())
    new(scientist, plain)
    assert (folder / "templates/walk/experiment.py").read_bytes() == plain.read_bytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"def f(:\n", "train.py:1: is not Python"),
        (b"%matplotlib inline\n", "take out the notebook's lines"),
        (b"# caf\xe9\nx = 1\n", "train.py:1: is not UTF-8"),
        (b"", "is empty"),
        (b"#" * (SCRIPT_CAP_BYTES + 1), "is larger than 2 MiB"),
        (b'{"cells": [], "nbformat": 4}', "is a notebook"),
        (b"x = 1\n# FILL: the seed\n", "train.py:2: carries a mark FILL:"),
        (b"(" * 5000, "train.py:1: is not Python"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_script_that_cannot_be_used(
    refuse: Refuse, folder: Path, plain: Path, content: bytes | None, said: str
) -> None:
    plain.unlink() if content is None else plain.write_bytes(content)
    assert said in refuse("template", "new", "walk", "--from", plain)
    assert not (folder / "templates").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("new", "a/b", "--from", "ideas.json"), "is no folder name"),
        (("new", "..", "--from", "ideas.json"), "is no folder name"),
        (("new", "walk", "--from", "."), "is no file"),
        (("new", "walk", "--from", "my code/train.py", "--into", "ideas.json"), "cannot be made"),
        (("new", "walk", "--from", "my code/train.py", "--python", "/bin/true"), "is not a Python interpreter"),
        (("new", "walk"), "Missing option '--from'"),
        (("check", "nowhere"), "not found"),
        (("check", "ideas.json"), "not found"),
        (("check", "my code"), "has no experiment.py"),
        (("check", str(QUADRATIC), "--python", "/nowhere"), "cannot be run"),
        (("check", str(QUADRATIC), "--data", "/nowhere"), "is not a folder"),
    ],
)
def test_wrong_input_is_one_line(refuse: Refuse, plain: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in refuse("template", *arguments)


def test_relative_imports_are_copied_and_their_line_is_told(scientist: Scientist, folder: Path, plain: Path) -> None:
    plain.write_text(PLAIN.replace("from steps", "from .steps"))
    new(scientist, plain)
    assert (folder / "templates/walk/steps.py").is_file()
    report = check(scientist, "walk")[1]
    assert "experiment.py:5: a script has no package; write instead:\n          from steps import walk\n" in report


def test_a_docstring_of_any_characters_gives_toml_that_can_be_read(
    scientist: Scientist, folder: Path, plain: Path
) -> None:
    plain.write_text('"""Say "hi" \\\\ \\x7f $name \\udc80 é 😀."""\n')
    new(scientist, plain)
    assert read_spec(folder / "templates/walk").summary == 'Say "hi" \\ $name \ufffd é 😀.'


def test_a_long_script_is_read_in_a_moment(scientist: Scientist, folder: Path, plain: Path) -> None:
    plain.write_text("\n" * 300_000 + PLAIN)
    new(scientist, plain)
    assert (folder / "templates/walk/steps.py").is_file()


@pytest.mark.slow  # quick: test_independent_faults_are_told_in_one_go
def test_check_tells_the_lines_that_a_script_lacks_one_by_one(scientist: Scientist, folder: Path, plain: Path) -> None:
    new(scientist, plain)
    script = folder / "templates" / "walk" / "experiment.py"

    def insert(report: str, said: str, after: int) -> None:
        """Put the proposed lines of that remark into the script, before the line that it names or after it."""
        lines = report.splitlines()
        place = next(n for n, line in enumerate(lines) if said in line)
        number = re.search(r"walk/experiment\.py:(\d+): ", lines[place])
        added = takewhile(lambda line: line.startswith(" " * 10), lines[place + 1 :])
        code = script.read_text().splitlines()
        at = int(number[1]) - 1 + after  # type: ignore[index]
        code[at:at] = ["    " + line[10:] for line in added]
        script.write_text("\n".join(code) + "\n")

    insert(check(scientist, "walk")[1], "no argument names the folder of results; insert before this line:", 0)
    insert(check(scientist, "walk")[1], "results are not written to final_info.json; add below this line", 1)
    assert 'json.dumps({"final_error": float(error)})' in script.read_text()
    with (folder / "templates/walk/template.toml").open("a") as toml:
        toml.write(METRIC)
    report = check(scientist, "walk")[1]
    assert "SCIENTIST_SEED is read nowhere" in report and "parser.set_defaults(steps=1)" in report
    insert(report, "insert before this line (tried: a seed then repeats its numbers, and another gives others):", 0)
    assert "seed 1 twice gave the same numbers, seed 2 others" in check(scientist, "walk")[1]


def test_a_seed_that_reaches_no_generator_is_not_proposed(scientist: Scientist, walk: Path) -> None:
    code = (walk / "experiment.py").read_text()
    code = code.replace("random.seed(args.seed)", "random.seed(7)").replace("SCIENTIST_SEED", "OTHER_SEED")
    (walk / "experiment.py").write_text(code)
    code, report = check(scientist, "walk")
    assert code == 1 and "SCIENTIST_SEED is read nowhere" in report and "set_defaults" not in report
    assert 'random.seed(int(os.environ["SCIENTIST_SEED"]))' in report  # which was tried, and does


def test_a_smoke_test_as_long_as_a_run_is_told(
    scientist: Scientist, walk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_trial, "SMOKE_S", 0.0)
    code = (walk / "experiment.py").read_text().replace("SCIENTIST_SMOKE", "SMOKE")
    (walk / "experiment.py").write_text(code.replace("def main():", "def main():\n    import time; time.sleep(0.4)"))
    code, report = check(scientist, "walk")
    assert code == 1 and "SCIENTIST_SMOKE=1 shortens little" in report


def test_modules_are_followed_through_packages(scientist: Scientist, folder: Path, plain: Path) -> None:
    (plain.parent / "lib").mkdir()
    (plain.parent / "lib" / "__init__.py").write_text("from . import inner\nimport far\n")
    (plain.parent / "lib" / "inner.py").write_text("")
    (plain.parent / "far.py").write_text("import yaml, no_such_module, flake8\n")
    plain.write_text("import lib\n" + PLAIN)
    said = new(scientist, plain)
    assert "copied        far.py, lib/__init__.py, lib/inner.py, steps.py" in said
    pins = (folder / "templates/walk/requirements.txt").read_text()
    assert re.search(r"^flake8==[\d.]+$", pins, re.MULTILINE)
    assert re.search(r"^no_such_module  # FILL: which version", pins, re.MULTILINE)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template that is good."""
    home = tmp_path_factory.mktemp("code")
    (home / "steps.py").write_text(STEPS)
    (home / "train.py").write_text(PLAIN)
    made = make_template("walk", home / "train.py", home / "templates", Path(sys.executable))
    fill(made.folder)
    return made.folder


@pytest.fixture
def walk(folder: Path, good: Path) -> Path:
    """A copy of it to spoil."""
    return shutil.copytree(good, folder / "templates" / "walk")


@pytest.mark.parametrize(
    ("file", "old", "new_text", "said"),
    [
        ("experiment.py", 'float(error)}', '"much"}', "final_error (final_info.json: ['final_error'])"),
        ("experiment.py", '{"final_error": float(error)}', '{"a": {"final_error": 1}}', 'path = ["a", "final_error"]'),
        pytest.param(
            "experiment.py", "error = abs(x - 3)", UNSEEDED, "something random is not seeded",
            marks=pytest.mark.slow,  # test_independent_faults_are_told_in_one_go
        ),
        pytest.param(
            "experiment.py", '"SCIENTIST_SEED"', '"SEED"', "SCIENTIST_SEED is read nowhere; add: seed =",
            marks=pytest.mark.slow,  # test_a_seed_that_reaches_no_generator_is_not_proposed
        ),
        ("experiment.py", "import random", "import random, rondom", "No module named 'rondom'"),
        ("experiment.py", "error = abs", "error = abz", "F821 undefined name 'abz'"),
        ("experiment.py", "error = abs(", "error = abs((", "E999"),
        ("template.toml", "run_files = ", "run_file = ", "field run_file: is unknown"),
        ("template.toml", "run_s = 1800", "run_s = -1", "field limits.run_s"),
        ("template.toml", '"experiment.py", "pl', '"net.py", "pl', "editable names net.py, which is not there"),
        pytest.param(
            "template.toml", 'direction = "lower"', 'direction = "unknown"', 'add: direction = "higher"',
            marks=pytest.mark.slow,  # test_independent_faults_are_told_in_one_go
        ),
        ("template.toml", "primary = true", 'source = "evaluation"', "and there is none; add a section [evaluate]"),
        ("plot.py", "def main() -> None:", "def main() -> None:\n    1 / 0", "python plot.py: "),
        ("prompt.md", "Walk to the minimum.", "# Task", "prompt.md: is empty"),
    ],
)  # fmt: skip
def test_what_is_amiss_is_one_line_with_the_remedy(
    scientist: Scientist, walk: Path, file: str, old: str, new_text: str, said: str
) -> None:
    text = (walk / file).read_text()
    assert old in text
    (walk / file).write_text(text.replace(old, new_text))
    code, report = check(scientist, "walk")
    assert code == 1
    assert any(said in line for line in report.splitlines() if line.startswith("fix ")), report


def test_folders_named_as_files_and_a_profile_without_end_are_told(scientist: Scientist, walk: Path) -> None:
    (walk / "old.py").mkdir()
    (walk / "profiles" / "big.json").mkdir()
    (walk / "profiles" / "deep.json").write_text("[" * 100_000)
    code, report = check(scientist, "walk")
    assert code == 1 and "big.json: is not JSON: " in report and "deep.json: is not JSON: " in report


def test_independent_faults_are_told_in_one_go(scientist: Scientist, walk: Path) -> None:
    toml = (walk / "template.toml").read_text()
    (walk / "template.toml").write_text(toml.replace('direction = "lower"', 'direction = "unknown"'))
    (walk / "prompt.md").write_text("FILL: the task\n")
    (walk / "experiment.py").write_text((walk / "experiment.py").read_text().replace("error = abs(x - 3)", UNSEEDED))
    code, report = check(scientist, "walk")
    assert code == 1 and report.splitlines()[-1].startswith("3 to fix"), report
    assert "something random is not seeded" in report and 'add: direction = "higher"' in report


def test_a_run_that_fails_leaves_nothing_unless_kept(scientist: Scientist, walk: Path, tmp_path: Path) -> None:
    (walk / "experiment.py").write_text((walk / "experiment.py").read_text() + "\nraise SystemExit(3)\n")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    arguments = ("template", "check", "walk", "--python", sys.executable)
    assert scientist(*arguments, TMPDIR=str(scratch)).returncode == 1 and not list(scratch.iterdir())
    kept = scientist(*arguments, "--keep", TMPDIR=str(scratch))
    (folder,) = scratch.iterdir()
    assert str(folder) in kept.stderr and list(folder.rglob("log.txt"))


def test_an_evaluator_is_run_too(scientist: Scientist) -> None:
    code, report = check(scientist, QUADRATIC)
    assert code == 0 and "evaluate took" in report and "score 0.7157" in report and "resolution 0.001" in report, report
    done = scientist("template", "check", QUADRATIC, "--profile", "huge")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "scientist: --profile huge: is none of the template's; it has: slow, small\n"


def test_a_folder_of_ai_scientist_is_tried_as_it_is(scientist: Scientist, folder: Path) -> None:
    (folder / "old").mkdir()
    code = "import json, os, sys\nout = sys.argv[1].split('=')[1]\nos.makedirs(out)\n"
    code += "json.dump({'a': {'means': {'loss': 1.0}}}, open(out + '/final_info.json', 'w'))\n"
    (folder / "old" / "experiment.py").write_text(code)
    (folder / "old" / "seed_ideas.json").write_text("[]")
    status, report = check(scientist, "old")
    assert f"launch old/seed_ideas.json --template old --python {sys.executable} --model PROVIDER" in report
    assert status == 0 and "SCIENTIST_SEED is read nowhere" in report and "no template.toml" in report
    lines = [line[10:] for line in report.splitlines() if line.startswith(" " * 10)]
    whole = tomllib.loads("\n".join(lines))
    assert whole["deterministic"] and whole["plot"] == "" and whole["metrics"][0]["path"] == ["a", "means", "loss"]
    (folder / "old" / "template.toml").write_text("\n".join(lines))
    (folder / "old" / "prompt.md").write_text("Lower the loss.\n")
    assert check(scientist, "old")[0] == 0
    (folder / "old" / "template.toml").unlink()
    (folder / "old" / "run_0").mkdir()
    given = {"a": {"means": {"loss": math.nan, "acc": 1.0, "fid": None}}}
    (folder / "old" / "run_0" / "final_info.json").write_text(json.dumps(given))
    status, report = check(scientist, "old")
    assert "fix   old/run_0: loss (final_info.json: ['a', 'means', 'loss']) is NaN" in report
    assert "note  old/run_0: fid (final_info.json: ['a', 'means', 'fid']) is null" in report
    assert "acc, which the baseline has under `means` of final_info.json, is missing" in report


def test_an_idea_of_one_sentence(scientist: Scientist, folder: Path) -> None:
    done = scientist("idea", "new", "Warm the learning rate up - é!")
    path = folder / "ideas" / "warm_the_learning_rate_up.json"
    assert done.returncode == 0 and "scientist launch ideas/warm_the_learning_rate_up.json" in done.stdout
    (idea,) = parse_ideas(path.read_text(), "x")
    assert idea.Title == "Warm the learning rate up - é!" and "Warm the learning rate up - é!" in idea.Experiment
    assert "FILL" not in path.read_text()
    before = path.read_bytes()
    refused = scientist("idea", "new", "Warm the learning rate up")
    assert refused.returncode == 2 and "--append" in refused.stderr and path.read_bytes() == before


def test_an_idea_is_appended_to_what_is_there(scientist: Scientist, folder: Path) -> None:
    before = json.loads((folder / "ideas.json").read_text())
    assert scientist("idea", "new", "Try dropout.", "--out", "ideas.json").returncode == 2
    assert scientist("idea", "new", "Try dropout.", "--out", "ideas.json", "--append").returncode == 0
    after = json.loads((folder / "ideas.json").read_text())
    assert after[:-1] == before and after[-1]["Name"] == "try_dropout"
    twice = scientist("idea", "new", "Try dropout!", "--out", "ideas.json", "--append")
    assert twice.returncode == 2 and "same name as idea 3" in twice.stderr
    assert json.loads((folder / "ideas.json").read_text()) == after


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("  ",), "says nothing"),
        (("?!",), "says nothing"),
        (("x y", "--out", "templates"), "is there already"),
        (("x y", "--out", "ideas.json/x.json"), "cannot be written"),
        (("x y", "--out", "odd.json", "--append"), "odd.json:1:2: not JSON"),
    ],
)
def test_an_idea_that_cannot_be_written(refuse: Refuse, folder: Path, arguments: tuple[str, ...], said: str) -> None:
    (folder / "templates").mkdir()
    (folder / "odd.json").write_text("{")
    assert said in refuse("idea", "new", *arguments)


# The tutorial "Your own experiment in ten minutes": its commands, between the output that it shows.
EDIT = DIGITS.with_name("edit.diff")
DIGITS_METRICS = """
[[metrics]]
name = "test_accuracy"
path = ["test_accuracy"]
direction = "higher"
resolution = 0.002
reading = "Share of the test images named right; chance is 0.1."
primary = true

[[metrics]]
name = "test_loss"
path = ["test_loss"]
direction = "lower"
"""
TOML_EDIT = ("-e", "/# FILL:/d", "-e", "s/^smoke = .*/smoke = true/", "-e", "s/^run_s = .*/run_s = 60/")
BRIEF = """\
# Digits

experiment.py trains a small network on 8x8 images of handwritten digits. Improve test_accuracy.

The network, its optimiser and its regularisation may change. The data, their split and the 8 epochs must stay.

A linear model reaches 0.95 when trained to the end; eight epochs are far from the end, so learning speed counts.
"""


def follow_the_tutorial(folder: Path) -> None:
    """What a person does between `template new` and the last `template check`."""
    subprocess.run(["git", "apply", EDIT], cwd=folder, check=True)
    subprocess.run(["sed", "-i", *TOML_EDIT, "templates/digits/template.toml"], cwd=folder, check=True)
    with (folder / "templates/digits/template.toml").open("a") as toml:
        toml.write(DIGITS_METRICS)
    (folder / "templates/digits/prompt.md").write_text(BRIEF)


@pytest.mark.skipif(
    importlib.util.find_spec("sklearn") is None and "SCIENTIST_SKLEARN_PYTHON" not in os.environ,
    reason="scikit-learn is not here",
)
def test_the_tutorial_with_scikit_learn(scientist: Scientist, folder: Path) -> None:
    python = os.environ.get("SCIENTIST_SKLEARN_PYTHON", sys.executable)
    done = scientist("template", "new", "digits", "--from", DIGITS, "--python", python)
    assert "scikit-learn==" in done.stdout and "to fill: 5" in done.stdout
    report = scientist("template", "check", "digits", "--python", python).stdout
    assert 'parser.add_argument("--out_dir", default="run_0")' in report
    follow_the_tutorial(folder)
    done = scientist("template", "check", "digits", "--python", python)
    assert done.returncode == 0, done.stdout
    assert "offline/sweep can vary HIDDEN, LR, WEIGHT_DECAY" in done.stdout
    assert "seed 1 twice gave the same numbers, seed 2 others" in done.stdout


def test_the_tutorial_edits_the_script_without_scikit_learn(scientist: Scientist, folder: Path) -> None:
    said = new(scientist, DIGITS, "digits")
    assert "scikit-learn" in said and (folder / "templates/digits/requirements.txt").read_text().startswith("scikit-")
    follow_the_tutorial(folder)
    template = load_template(folder / "templates" / "digits")
    assert [m.name for m in template.spec.metrics] == ["test_accuracy", "test_loss"] and template.spec.smoke
    assert [r.name for r in search_ranges(template.files["experiment.py"])] == ["HIDDEN", "LR", "WEIGHT_DECAY"]
    code = {"experiment.py": template.files["experiment.py"]}
    assert "FILL:" not in template.brief and not Linter().check(code, None)
