"""The skeletons of CONTRIBUTING.md, run as they stand: a runner, a format of edits, a command, ideas side by side."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from types import ModuleType

import pytest

from agent.cli import drive
from agent.cli.table import COMMANDS, CommandEntry
from agent.core.edit.apply import FORMATS, apply_reply, has_blocks
from agent.core.edit.formats.found import Format
from agent.core.reply.plan import parse_reply
from agent.edges.run import step_folder as step
from agent.edges.run.runner import Exited, Queued, Runner, Taken, Unclaimed
from agent.edges.run.step_folder import StepSpec
from agent.edges.run.wait import StepPatience, wait
from agent.edges.workspace.layout import Workspace, read_state
from agent.report.spending import say_cost
from tests.cli.conftest import Scientist
from tests.edges.run.fake_slurm import FakeSlurm, put_slurm
from tests.edges.supervisor.made_steps import python_step
from tests.paths import ROOT

# "<!-- a new module: agent/cli/commands/attempts.py -->" and the block below it.
_MODULE = re.compile(r"^<!-- a new module: (?P<path>agent/\S+\.py) -->\n```python\n(?P<code>.*?)^```$", re.M | re.S)


def load(path: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of CONTRIBUTING.md that would stand at that path."""
    code = {match["path"]: match["code"] for match in _MODULE.finditer((ROOT / "CONTRIBUTING.md").read_text("utf-8"))}
    assert not (ROOT / path).exists()
    module = ModuleType(path.removesuffix(".py").replace("/", "."))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code[path], path, "exec"), module.__dict__)
    return module


def assert_keeps(found: object, protocol: type) -> None:
    """Every method of the Protocol is there, with its parameters."""
    names = [name for name, value in vars(protocol).items() if inspect.isfunction(value) and name[0] != "_"]
    for name in names:
        theirs, ours = inspect.signature(getattr(protocol, name)), inspect.signature(getattr(type(found), name))
        assert list(theirs.parameters) == list(ours.parameters), name
    assert len(names) > 1


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    return put_slurm(tmp_path / "slurm", monkeypatch)


@pytest.fixture
def make_runner(slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Runner]:
    """The runner of the recipe, on a machine with something like Slurm."""
    module = load("agent/edges/run/slurm_runner.py", monkeypatch)
    assert_keeps(module.SlurmRunner(), Runner)
    return lambda: module.SlurmRunner(("--gpus=1",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a run's $folder" / step.WORK).mkdir(parents=True)
    return tmp_path / "a run's $folder"


def spec_of(folder: Path) -> StepSpec:
    spec = python_step("import os; print(os.environ.get('CUDA_VISIBLE_DEVICES'), *sorted(os.environ))", folder)
    return replace(spec, env=spec.env | {"CUDA_VISIBLE_DEVICES": "7"})


@pytest.mark.parametrize("granted", [{"CUDA_VISIBLE_DEVICES": "GPU-1,GPU 2"}, {"CUDA_VISIBLE_DEVICES": ""}, {}])
def test_a_step_runs_in_a_job_of_the_recipes_runner_with_the_jobs_gpus(
    make_runner: Callable[[], Runner], slurm: FakeSlurm, folder: Path, granted: dict[str, str]
) -> None:
    runner = make_runner()
    runner.start(folder, spec_of(folder))
    assert "--export=NONE" in slurm.said() and slurm.begin(**granted, API_KEY="hidden") == 0
    end = wait(runner, folder, StepPatience(time.sleep))
    assert isinstance(end, Exited) and end.record.exit_code == 0, end
    said = runner.read_streams(folder, 1000)[0]
    assert said.startswith(f"{granted.get('CUDA_VISIBLE_DEVICES')} ") and "PATH" in said and "API_KEY" not in said


def test_a_job_that_waits_is_queued_and_can_be_cancelled(
    make_runner: Callable[[], Runner], slurm: FakeSlurm, folder: Path
) -> None:
    runner = make_runner()
    runner.start(folder, spec_of(folder))
    assert {runner.poll(folder) for _ in range(3)} == {Queued("job 4711 waits")} and slurm.asked("squeue") == 1
    assert make_runner().poll(folder) == Queued("job 4711 waits")
    runner.kill(folder)
    assert runner.poll(folder) == Taken() and not slurm.is_waiting()


def test_a_job_that_somebody_cancelled_is_nobodys_again(
    make_runner: Callable[[], Runner], slurm: FakeSlurm, folder: Path
) -> None:
    make_runner().start(folder, spec_of(folder))
    (slurm.folder / "job").unlink()
    assert make_runner().poll(folder) == Unclaimed()


def test_a_job_that_is_refused_is_told(make_runner: Callable[[], Runner], slurm: FakeSlurm, folder: Path) -> None:
    slurm.refuse()
    runner = make_runner()
    runner.start(folder, spec_of(folder))
    status = runner.poll(folder)
    assert isinstance(status, Exited) and status.record.error == "sbatch: no partition"


def test_a_cluster_that_does_not_answer_is_an_oserror(
    make_runner: Callable[[], Runner], slurm: FakeSlurm, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = make_runner()
    runner.start(folder, spec_of(folder))
    slurm.fall_silent()
    real = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: real(*args, **kwargs | {"timeout": 0.1}))
    with pytest.raises(TimeoutError, match="does not answer: 'squeue'"):
        runner.poll(folder)


def test_the_format_of_the_recipe_is_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    append: Format = load("agent/core/edit/formats/append.py", monkeypatch).APPEND
    assert_keeps(append, Format)
    words = "It fell.\n```\nALL_COMPLETED\nexperiment.py\n"
    block = "experiment.py\n<<<<<<< SEARCH\na = 1\n=======\na = 2\n>>>>>>> REPLACE\n"
    reply = f"I change notes.txt:\n<<<append notes.txt\n{words}>>>append\n<<<append other.txt\nx\n>>>append\n{block}"
    files = {"notes.txt": "Notes\n", "experiment.py": "a = 1\n"}
    monkeypatch.setattr("agent.core.edit.apply.FORMATS", (*FORMATS, append))
    result = apply_reply(files, reply, editable=list(files), formats=(*FORMATS, append))
    assert result.staged == {"notes.txt": f"Notes\n{words}", "experiment.py": "a = 2\n"}
    assert [rejected.block.path for rejected in result.rejected] == ["other.txt"]
    assert has_blocks(reply) and not parse_reply(reply).all_completed
    torn = apply_reply({"notes.txt": ""}, "<<<append notes.txt\nx\n", editable=["notes.txt"], formats=(append,))
    assert not torn.applied and len(torn.rejected) == 1


def side_by_side(**given: object) -> int:
    """The end of `drive_all` as the recipe has it, with these values in place of drive.py's."""
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    block = page.partition("### Run ideas of a batch in parallel")[2].partition("```python\n")[2].partition("```")[0]
    names = {"threading": threading, "replace": replace, "ThreadPoolExecutor": ThreadPoolExecutor, "parallel": 2}
    space = vars(drive) | names | {"as_completed": as_completed} | given
    exec("def end():\n" + textwrap.indent(block, "    "), space)
    return int(space["end"]())


def test_ideas_beside_each_other_end_with_the_worst_code_of_the_recipe(tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=20)

    def work(number: int, workspace: Workspace) -> int:
        both.wait()
        return {1: 0, 2: 3}[number] if not workspace.is_stopped() else -1

    assert side_by_side(work=work, workspaces=[Workspace(tmp_path)] * 2) == 3


@pytest.mark.parametrize(("end", "code"), [(KeyboardInterrupt, 130), (SystemExit, None)])
def test_an_interrupt_ends_all_ideas_of_the_recipe_before_it_is_told(
    end: type[BaseException], code: int | None, tmp_path: Path
) -> None:
    at_work: list[int] = []
    told: list[list[int]] = []
    left: list[int] = []

    def work(number: int, workspace: Workspace) -> int:
        at_work.append(number)
        try:
            while True:
                workspace.sleep(0.01)
        finally:
            left.append(number)

    def as_completed(jobs: object) -> None:
        while len(at_work) < 2:
            time.sleep(0.01)
        raise end

    def interrupt(ideas: list[int]) -> None:
        told.append(sorted(left))

    given = {"work": work, "at_work": at_work, "interrupt": interrupt, "as_completed": as_completed}
    if code is None:
        with pytest.raises(end):
            side_by_side(workspaces=[Workspace(tmp_path)] * 3, **given)
    else:
        assert side_by_side(workspaces=[Workspace(tmp_path)] * 3, **given) == code
    assert sorted(at_work) == sorted(left) == [1, 2] and told == ([[1, 2]] if code else [])


def test_the_command_of_the_recipe_runs(
    scientist: Scientist, example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load("agent/cli/commands/attempts.py", monkeypatch)
    said = module.attempts.__doc__
    monkeypatch.setitem(COMMANDS, "attempts", CommandEntry(module.__name__, said))
    entry = f'`"attempts": CommandEntry(_AT + "attempts", "{said}"),`'
    assert entry in (ROOT / "CONTRIBUTING.md").read_text("utf-8") and len(said) <= 62
    done = scientist("attempts", example)
    assert done.returncode == 0 and "run_2.1.smoke\n" in done.stdout, done
    found = json.loads(scientist("attempts", example, "--json").stdout)
    assert found["schema_version"] == 1 and found["seconds"] > 1 and "run_2.1.smoke" in found["attempts"]
    assert scientist("attempts", tmp_path).returncode == 2


def test_what_the_recipe_says_that_a_command_may_read_is_there(example: Path) -> None:
    """Names in code of the table, and the figures of the example."""
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    state = read_state(Workspace(example))
    for row, value in (("`state = read_state", state), ("`state.rows`", state.rows[0]), ("`state.spent`", state.spent)):
        told = page.partition(f"\n| {row}")[2].partition(" |\n")[0].partition(" | ")[2]
        names = re.findall(r"`([a-z_.]+)`", told.partition("`by_role")[0])
        parts = [attrgetter(name)(value) for name in names if name not in ("model", "template")]
        assert len(parts) > 4, names
    assert {*state.spent.by_role} == {"planner"} and state.spent.by_role["planner"].cost_usd > 0
    assert say_cost(state.spent, state.limits) == "$0.0018" and state.spent.unknown_costs == 0
    assert state.completed_runs == 2 and state.ended and state.launched.model and state.launched.template
