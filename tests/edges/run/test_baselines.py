"""Rows of a baseline, one at a time."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

import pytest

from agent.core.evidence.origin import find_move, say_given, say_remedy
from agent.edges.run.baselines import Bench, Made, RowState, check_plan, make_row, plan_rows, vouch, weigh
from agent.edges.template.data import Prepared, prepare_data
from agent.edges.template.load import load_template
from agent.edges.template.origin import Given, given_origin
from agent.errors import UsageError
from tests.overlays import prepared_quadratic
from tests.paths import QUADRATIC

VARIANT = '\n[[profiles.small.baselines]]\nname = "plain"\nmiddle_seeds = 2\n'


ALL_ELSE = {"sealed", "files", "profile", "settings"}


def make_all_rows(place: Path, scratch: Path, data: Path | None = None) -> None:
    template = load_template(place, "small")
    given = Given(Path(sys.executable), data)
    rows = plan_rows(template, (), given_origin(given, place, template.spec, template.files))
    bench = Bench(template, given.interpreter, dict(os.environ), scratch, data=data)
    for row in rows:
        made = make_row(bench, row, time.sleep)
        assert made.trial and not made.trial.failure, made


def plain_quadratic(place: Path) -> Path:
    shutil.copytree(QUADRATIC, place, ignore=shutil.ignore_patterns("baselines"))
    with (place / "template.toml").open("a") as file:
        file.write(VARIANT.replace("middle_seeds", "seeds = 3\nmiddle_seeds"))
    (place / "words.txt").write_text("read by nobody so far")
    return place


@pytest.fixture(scope="module")
def rows_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A template with two rows of its own, and data that they were made with."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "data" / "deep").mkdir(parents=True)
    (folder / "data" / "deep" / "train.csv").write_text("1,2,3\n")
    make_all_rows(plain_quadratic(folder / "quadratic"), folder / "scratch", folder / "data")
    return folder


@pytest.fixture
def place(rows_made: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    shutil.copytree(rows_made, tmp_path / "copy")
    return tmp_path / "copy" / "quadratic"


def doubt(place: Path, data: str = "data", python: Path = Path(sys.executable)) -> str:
    given = Given(python, place.parent / data if data else None)
    return weigh(load_template(place, "small"), given)[1]


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_rows_of_what_is_here_judge_runs(place: Path) -> None:
    assert doubt(place) == ""
    template = load_template(place, "small")
    assert {b.doubt for b in template.baselines} == {""} and template.lineage.recorded == 2
    (place / "plot.py").write_text("# other figures\n")
    (place / "prompt.md").write_text("Another task.\n")
    (place / "README.md").write_text("New.\n")
    (place / "profiles" / "slow.json").write_text('{"target": 9.0, "steps": 1}')
    change(place / "template.toml", "run_s = 20", "run_s = 90")
    shutil.move(place.parent / "data", place.parent / "moved")
    profile = place / "profiles" / "small.json"
    profile.write_text(json.dumps(json.loads(profile.read_text()), indent=7, sort_keys=True))
    assert doubt(place, "moved") == ""


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("experiment.py", "LR = 0.02 ", "LR = 0.03 ", "other code"),
        ("sealed/evaluate.py", "import", "# looked at again\nimport", "other files in sealed/"),
        ("profiles/small.json", "40", "400", "another profile"),
        ("words.txt", "nobody", "somebody", "other files beside the experiment"),
        ("template.toml", "python experiment.py", "python -O experiment.py", "other commands, packages or variables"),
        ("template.toml", "[limits]", "[environment.variables]\nSTEPS = '9'\n[limits]", "other commands"),
        ("../data/deep/train.csv", "1,2,3", "1,2,4", "other data (--data)"),
        ("template.toml", 'name = "plain"\nseeds', 'name = "plain"\nconstants = {LR = 0.1}\nseeds', "other code"),
        ("template.toml", "middle_seeds = 2", "middle_seeds = 4", "2 of the declared baselines are not made yet"),
        ("baselines/small/plain-seed1002.json", '"seed": 1002', '"seed": 1001', "another run than the name"),
        ("baselines/small/plain-seed1002.json", '"made_with"', '"made"', "1 of 2 baselines record their code alone"),
        ("baselines/small/plain-seed1002.json", '"sealed"', '"seal"', "1 of 2 baselines record their code alone"),
    ],
)
def test_rows_of_something_else_judge_nothing(place: Path, file: str, old: str, new: str, said: str) -> None:
    change(place / file, old, new)
    assert said in doubt(place)
    if "data" not in said and "alone" not in said:  # what the folder shows is known without a launch, too
        template = load_template(place, "small")
        assert all(said in b.doubt and "scientist baseline quadratic" in b.doubt for b in template.baselines)


def test_a_row_that_no_declared_baseline_makes_is_to_be_moved_away_if_it_differs(place: Path) -> None:
    row = place / "baselines" / "small" / "plain-seed1002.json"
    stray = row.with_name("plain-seed7.json")
    stray.write_text(row.read_text().replace('"seed": 1002', '"seed": 7'))
    assert doubt(place) == ""
    change(stray, '"code": "', '"code": "0')
    lineage = load_template(place, "small").lineage
    told = "move away baselines/small/plain-seed7.json, which no declared baseline makes"
    assert say_remedy(lineage, "COMMAND") == told
    change(place / "profiles" / "small.json", "40", "400")
    lineage = load_template(place, "small").lineage
    assert (lineage.stale, lineage.rows) == (2, 3)
    assert say_remedy(lineage, "COMMAND") == f"{told}; then make them anew: COMMAND --redo"


def test_redo_makes_a_row_anew_that_is_another_run_than_its_file_says(place: Path) -> None:
    template = load_template(place, "small")
    change(place / "baselines" / "small" / "plain-seed1002.json", '"seed": 1002', '"seed": 1001')
    first, second = plan_rows(template)
    assert (first.state(), second.state()) == (RowState.THERE, RowState.STALE)
    assert second.differs() == "another run than the name of their file says"


def test_rows_made_with_data_or_packages_that_a_launch_lacks_judge_nothing(place: Path) -> None:
    assert "came of data (--data), where there are none here" in doubt(place, "")
    for path in (place / "baselines" / "small").glob("*.json"):
        change(path, '"packages": "python==', '"packages": "numpy==1.0 python==')
    assert "came of other packages (numpy==1.0; here none)" in doubt(place)


def test_a_profile_under_another_name_has_the_same_rows_if_it_says_the_same(place: Path) -> None:
    (place / "profiles" / "small.json").rename(place / "profiles" / "little.json")
    (place / "baselines" / "small").rename(place / "baselines" / "little")
    toml = place / "template.toml"
    toml.write_text(toml.read_text().replace("small", "little"))
    template = load_template(place)
    assert len(template.baselines) == 2 and not template.baselines[0].doubt
    for path in (place / "baselines" / "little").glob("*.json"):  # as version 0.1 made them, they say the name alone
        row = json.loads(path.read_text())
        del row["made_with"]
        path.write_text(json.dumps(row))
    assert "another profile" in load_template(place).baselines[0].doubt


def test_a_person_may_vouch_for_rows_that_do_not_say_what_made_them(place: Path) -> None:
    folder = place / "baselines" / "small"
    for path in folder.glob("*.json"):
        row = json.loads(path.read_text())
        del row["made_with"]
        path.write_text(json.dumps(row))
    (folder / "paper.json").write_text('{"name": "paper", "seed": 1, "evaluation": {"score": 0.5}}')
    template = load_template(place, "small")
    assert (template.lineage.incomplete, template.lineage.given) == (2, 1) and not template.baselines[0].doubt
    assert plan_rows(template)[0].state() is RowState.UNRECORDED
    assert len(vouch(template, {})) == 3 and vouch(template, {}) == []
    template = load_template(place, "small")
    assert template.lineage.recorded == 3 and plan_rows(template)[0].state() is RowState.THERE
    assert json.loads((folder / "paper.json").read_text())["made_with"].keys() == ALL_ELSE | {"vouched"}
    change(place / "sealed" / "evaluate.py", "import", "# anew\nimport")
    assert "3 of 3 baselines came of other files in sealed/" in load_template(place, "small").baselines[0].doubt


def test_nobody_can_vouch_for_rows_of_other_code(place: Path) -> None:
    path = place / "baselines" / "small" / "plain-seed1001.json"
    row = json.loads(path.read_text())
    del row["made_with"]
    path.write_text(json.dumps(row))
    change(place / "experiment.py", "LR = 0.02 ", "LR = 0.03 ")
    with pytest.raises(UsageError, match="came of other code"):
        vouch(load_template(place, "small"), {})


def test_data_evicted_between_two_rows_is_made_again(tmp_path: Path) -> None:
    place = prepared_quadratic(tmp_path / "quadratic")
    shutil.rmtree(place / "baselines", ignore_errors=True)
    with (place / "template.toml").open("a") as file:
        file.write(VARIANT)
    template = load_template(place, "small")
    made: list[Prepared] = []

    def prepare() -> Prepared:
        made.append(prepare_data(template, Path(sys.executable), tmp_path / "store", os.environ, lambda _: None))
        return made[-1]

    bench = Bench(template, Path(sys.executable), dict(os.environ), tmp_path / "scratch", prepare)
    for row in plan_rows(template):
        result = make_row(bench, row, time.sleep, redo=False)
        assert isinstance(result, Made) and result.trial and not result.trial.failure, result
        shutil.rmtree(made[-1].training)
    assert [found.made for found in made] == [True, True]
    assert len(list((place / "baselines" / "small").glob("*.json"))) == 2


def test_files_whose_name_begins_with_a_dot_are_part_of_what_made_a_row(place: Path) -> None:
    """A run can read them like any other."""
    (place.parent / "data" / ".labels").write_text("4\n")
    assert "other data (--data)" in doubt(place)
    (place.parent / "data" / ".labels").unlink()
    (place / "sealed" / ".target.json").write_text("3.0")
    assert "other files in sealed/" in doubt(place)


def test_a_run_that_two_files_hold_counts_once(place: Path) -> None:
    """A copy would make the band narrower than the seeds do."""
    row = place / "baselines" / "small" / "plain-seed1002.json"
    copy = row.with_name("plain-seed1002 (copy).json")
    shutil.copy(row, copy)
    assert "1 of 3 baselines came of a run that another file holds too" in doubt(place)
    assert "move away baselines/small/plain-seed1002 (copy).json" in load_template(place, "small").baselines[0].doubt
    given = {"name": "paper", "evaluation": {"score": 0.5}}  # two runs of nobody knows which seeds
    copy.write_text(json.dumps(given))
    row.with_name("other.json").write_text(json.dumps(given))
    assert doubt(place) == ""


def test_a_template_that_is_changed_while_a_row_is_made_makes_none(place: Path, tmp_path: Path) -> None:
    template = load_template(place, "small")
    row = plan_rows(template)[0]
    row.path.unlink()
    (place / "sealed" / "more.txt").write_text("anew")
    bench = Bench(template, Path(sys.executable), dict(os.environ), tmp_path / "scratch")
    with pytest.raises(UsageError, match="was changed while a baseline was made"):
        make_row(bench, row, time.sleep)
    assert not row.path.exists()


def on_machine(place: Path, **machine: str) -> str:
    """The doubt in the rows and the remark on them, if they were made where those words say."""
    for path in (place / "baselines" / "small").glob("*.json"):
        row = json.loads(path.read_text())
        row["made_with"] |= machine
        path.write_text(json.dumps(row))
    given = Given(Path(sys.executable), place.parent / "data", inherited={"OMP_NUM_THREADS": "3"})
    lineage, doubt = weigh(load_template(place, "small"), given)
    return doubt or say_given(lineage, "COMMAND")


def test_rows_say_where_they_were_made_and_another_kind_of_device_judges_nothing(place: Path) -> None:
    here = given_origin(
        Given(Path(sys.executable), inherited={"OMP_NUM_THREADS": "3"}), place, load_template(place).spec, {}
    )
    assert (
        here["device"] == "CPU" and re.search(r"\d CPUs?; OMP_NUM_THREADS=3$", here["machine"]) and "clock" not in here
    )
    assert on_machine(place, device="CPU", machine=here["machine"]) == ""
    moved = on_machine(place, machine="Abacus; 2 CPUs")
    assert moved == f"2 of 2 baselines were made on Abacus; 2 CPUs, and this is {here['machine']}"
    assert "came of another kind of device (GPU; here CPU)" in on_machine(place, device="GPU")
    assert "another NVIDIA_TF32_OVERRIDE" in on_machine(place, device="CPU", precision="NVIDIA_TF32_OVERRIDE=0")


def test_a_row_of_an_unknown_machine_is_suspect_on_a_gpu() -> None:
    here = {"device": "GPU", "machine": "NVIDIA H200; 16 CPUs"}
    said = "a machine that they do not name, and this is NVIDIA H200; 16 CPUs"
    assert find_move({"sealed": "x"}, here) == said
    assert find_move({"sealed": "x"}, here | {"device": "CPU"}) == find_move({"machine": "a"}, {}) == ""


def test_times_compare_on_one_machine_alone(place: Path) -> None:
    change(place / "template.toml", 'direction = "higher"\n', 'direction = "higher"\nunit = "s"\n')
    said = on_machine(place, machine="Abacus", clock="Abacus")
    assert "came of another machine or load, though the metric is a time or a size of memory (Abacus; here " in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (VARIANT, "two baselines would be stored as plain-seed1001.json"),
        (VARIANT.replace("plain", "deep") + "constants = {DEPTH = 3}\n", "assigns no DEPTH at its top level"),
        (VARIANT.replace("plain", "wide"), ""),
    ],
)
def test_baselines_that_cannot_be_made_are_found_before_a_run(place: Path, more: str, said: str) -> None:
    with (place / "template.toml").open("a") as file:
        file.write(more)
    assert [said in remark.what for remark in check_plan(load_template(place, "small"))] == [True] * bool(said)
