from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.code.digest import digest_code
from agent.core.inputs.idea import Idea
from agent.core.journal.events import Launched, Started
from agent.edges.template.frozen import freeze_template
from agent.edges.template.load import Template, load_template
from agent.edges.workspace import layout as module
from agent.edges.workspace.hand_edits import check_untouched
from agent.edges.workspace.layout import (
    Workspace,
    create_batch,
    find_workspaces,
    frozen_template,
    mend_folders,
    open_workspace,
    read_state,
    template_store,
    with_name,
    withdraw_stop,
)
from agent.edges.workspace.litter import DAY_S, MAKER, remove_litter, remove_unfinished, write_maker
from agent.errors import IntegrityError, UsageError
from tests.paths import QUADRATIC

IDEAS = [
    Idea(Name="momentum", Title="Momentum hëlps", Experiment="Try momentum.", extra_field=[1, 2]),  # type: ignore[call-arg]
    Idea(Name="rates", Title="Rates help", Experiment="Try rates."),
    Idea(Name="../nasty name; rm -rf 'x'", Title="Nasty", Experiment="Try names."),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "work spaces"


@pytest.fixture
def template(root: Path) -> Template:
    return load_template(freeze_template(QUADRATIC, template_store(root)))


def test_an_ai_scientist_folder_keeps_its_name(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "toy lite"
    folder.mkdir()
    (folder / "experiment.py").write_text("LR = 1\n")
    copy = with_name(load_template(freeze_template(folder, template_store(root))), "toy lite")
    launched = Launched(template=copy.spec.name, template_hash=copy.hash)
    (workspace,) = create_batch(root, "batch", IDEAS[:1], copy, launched)
    assert workspace.repo().log()[0].subject == "Start from template toy lite"
    assert frozen_template(workspace, read_state(workspace).launched).spec.name == "toy lite"


def test_workspaces_title_edits_by_the_plan_and_a_replay_as_its_recording(root: Path, template: Template) -> None:
    launched = launched_from(template)
    (own,) = create_batch(root, "own", IDEAS[:1], template, launched)
    assert read_state(own).launched.titles == "plan"
    (old,) = create_batch(root, "old", IDEAS[:1], template, replace(launched, model="replay/x"))
    assert read_state(old).launched.titles == ""


def launched_from(template: Template) -> Launched:
    return Launched(template="quadratic", template_hash=template.hash, profile=template.profile, has_baseline=True)


@pytest.fixture
def batch(root: Path, template: Template) -> list[Workspace]:
    return create_batch(root, "batch", IDEAS, template, launched_from(template))


# Made whole


def test_a_batch_has_one_workspace_an_idea(batch: list[Workspace], template: Template, root: Path) -> None:
    assert [w.path.name for w in batch] == ["momentum", "rates", "nasty_name_rm_rf_x"]
    for workspace, idea in zip(batch, IDEAS, strict=True):
        state, repo = read_state(workspace), workspace.repo()
        assert state.launched.workspace == workspace.path.name and state.launched.title == idea.Title
        assert state.code.head == state.code.good == repo.head()
        assert state.code.good_digest == digest_code(template.files, ("experiment.py",))
        assert repo.read(state.code.head) == template.files | {"idea.json": idea.to_json()}
        assert workspace.idea(repo, state.code.head) == idea
        check_untouched(workspace, repo, state)
    assert json.loads((root / "batch" / "batch.json").read_text()) == {
        "schema_version": 1,
        "workspaces": ["momentum", "rates", "nasty_name_rm_rf_x"],
    }
    assert sorted(p.name for p in root.iterdir()) == [".templates", "batch"]


def test_a_batch_of_that_name_is_left_as_it_is(batch: list[Workspace], template: Template, root: Path) -> None:
    before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
    (root / "batch-2").touch()
    (root / "batch-3").mkdir()
    (other,) = create_batch(root, "batch", IDEAS[:1], template, launched_from(template))
    assert other.path.parent.name == "batch-4"
    after = {p: p.read_bytes() for p in root.rglob("*") if p.is_file() and not p.is_relative_to(root / "batch-4")}
    assert after == before | {root / "batch-2": b""}


@pytest.mark.parametrize("age_s", [0.0, 2 * DAY_S])
@pytest.mark.parametrize(
    ("maker", "is_dead"),
    [
        ("killed", True),
        ("alive", False),
        ("of an earlier boot", None),
        ("of another pid namespace", None),
        ("not recorded", None),
        ("damaged", None),
    ],
)
def test_what_a_killed_launch_left_is_removed_if_its_maker_is_dead_for_certain(
    maker: str, is_dead: bool | None, age_s: float, tmp_path: Path
) -> None:
    """None: it cannot be told from here, so that only time tells."""
    left = tmp_path / ".20261129-101500-my_ideas.4711"
    (left / "momentum" / ".git").mkdir(parents=True)
    write_maker(left)
    boot, namespace, pid, ticks = json.loads((left / MAKER).read_text())
    changed = {
        "killed": [boot, namespace, pid, ticks + 1],  # the number was given again
        "alive": [boot, namespace, pid, ticks],
        "of an earlier boot": ["0" * 8, namespace, pid, ticks],
        "of another pid namespace": [boot, "pid:[1]", pid, ticks],
    }
    (left / MAKER).write_text("{" if maker == "damaged" else json.dumps(changed.get(maker)))
    if maker == "not recorded":
        (left / MAKER).unlink()
    then_s = time.time() - age_s
    os.utime(left, (then_s, then_s))
    for other in (".templates", ".20261129-101500-notes", "20261129-101500-my_ideas.4711"):
        (tmp_path / other).mkdir()
        os.utime(tmp_path / other, (0.0, 0.0))
    remove_litter(tmp_path)
    assert left.exists() == (not (age_s > 0 if is_dead is None else is_dead))
    assert len(list(tmp_path.iterdir())) == 3 + left.exists()


@pytest.mark.parametrize(
    ("asked_s", "is_withdrawn"), [(-60.0, True), (-5.1, True), (-4.9, False), (0.0, False), (60.0, True)]
)
def test_a_request_to_stop_that_came_after_the_command_began_stays(
    asked_s: float, is_withdrawn: bool, batch: list[Workspace]
) -> None:
    """A time to come: the clock was set back since."""
    withdraw_stop(batch[0], 5.0)
    batch[0].stop_file.touch()
    then_s = time.time() + asked_s
    os.utime(batch[0].stop_file, (then_s, then_s))
    withdraw_stop(batch[0], 5.0)
    assert batch[0].stop_file.exists() != is_withdrawn
    assert not list((batch[0].agent / "tmp").iterdir())


def test_what_an_interrupted_git_still_writes_into_keeps_its_makers_name(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = root / ".20261129-101500-ideas.4711"
    (folder / "momentum" / ".git").mkdir(parents=True)
    (folder / "batch.json").write_text("{}")
    write_maker(folder)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", lambda path, **_: None)
        remove_unfinished(folder)
    assert sorted(path.name for path in folder.iterdir()) == [MAKER, "momentum"]
    remove_unfinished(folder)
    assert not folder.exists()
    remove_unfinished(folder)


@pytest.mark.parametrize("name", ["tmp", "attempts"])
def test_folders_that_somebody_removed_or_replaced_are_made_again(batch: list[Workspace], name: str) -> None:
    agent = batch[0].agent
    shutil.rmtree(agent / name)
    mend_folders(batch[0])
    assert (agent / name).is_dir()
    (agent / name).rename(agent / "elsewhere")
    (agent / name).symlink_to("elsewhere")  # as on a larger disk
    mend_folders(batch[0])
    assert (agent / name).is_symlink()
    (agent / name).unlink()
    (agent / name).write_text("mine")
    mend_folders(batch[0])
    assert (agent / name).is_dir() and [path.read_text() for path in agent.glob(f"{name}.*")] == ["mine"]
    shutil.rmtree(batch[0].path)
    mend_folders(batch[0])
    assert not batch[0].path.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, template: Template) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match=r"cannot be written: .*--workspaces"):
        create_batch(tmp_path / "file" / "workspaces", "batch", IDEAS, template, launched_from(template))


class Crash(BaseException):
    """The launch is interrupted."""


# A kill at any moment, with the same remedy, is tested below.
@pytest.mark.parametrize("step", [0, 3, 6, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 2, 4, 5))])
def test_an_interruption_at_any_step_leaves_no_batch(
    root: Path, template: Template, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Interrupted before each first commit, each first event and the batch's index in turn."""
    steps = iter(range(100))

    def interrupt_at(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            if next(steps) == step:
                raise Crash
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(module.Repo, "create", interrupt_at(module.Repo.create))
    monkeypatch.setattr(module.Journal, "append", interrupt_at(module.Journal.append))
    monkeypatch.setattr(module, "write_durably", interrupt_at(module.write_durably))
    with pytest.raises(Crash):
        create_batch(root, "batch", IDEAS, template, launched_from(template))
    assert find_workspaces(root) == []
    assert [p.name for p in root.iterdir()] == [".templates"]
    monkeypatch.undo()
    assert len(create_batch(root, "batch", IDEAS, template, launched_from(template))) == 3


LAUNCH = """
import sys
from pathlib import Path
from agent.core.journal.events import Launched
from agent.core.inputs.idea import Idea
from agent.edges.template.load import load_template
from agent.edges.workspace.layout import create_batch
template = load_template(Path(sys.argv[2]))
ideas = [Idea(Name=f"idea {n}", Title="T", Experiment="E") for n in range(4)]
print("on", flush=True)
create_batch(Path(sys.argv[1]), "batch", ideas, template, Launched())
"""


def test_launches_of_one_name_at_once_all_get_a_batch(template: Template, root: Path) -> None:
    command = [sys.executable, "-c", LAUNCH, str(root), str(template.folder)]
    launches = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [launch.wait(60) for launch in launches] == [0, 0, 0]
    assert sorted(p.name for p in root.glob("[!.]*")) == ["batch", "batch-2", "batch-3"]
    assert len(find_workspaces(root)) == 12
    assert [p.name for p in root.glob(".*")] == [".templates"] and not list(root.glob(f"*/{MAKER}"))


def test_a_kill_at_any_moment_leaves_no_half_made_batch(root: Path, template: Template) -> None:
    whole = 0
    for delay_s in (0.005, 0.05, 0.1, 0.2, 60.0):
        command = [sys.executable, "-c", LAUNCH, str(root), str(template.folder)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout and process.stdout.readline() == b"on\n"
        try:
            process.wait(delay_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        found = find_workspaces(root)
        assert [w.path.name for w in found] in ([], [f"idea_{n}" for n in range(4)])
        for workspace in found:
            check_untouched(workspace, workspace.repo(), read_state(workspace))
        whole += len(found)
        shutil.rmtree(root / "batch", ignore_errors=True)
    assert whole >= 4, "the last one was given the time"


# Found again


def test_workspaces_are_found_from_above_and_from_within(
    batch: list[Workspace], template: Template, root: Path
) -> None:
    (second,) = create_batch(root, "another", IDEAS[:1], template, launched_from(template))
    (root / "notes").mkdir()
    (root / "file").touch()
    assert find_workspaces(root) == [second, *batch]
    assert find_workspaces(root / "batch") == batch
    assert find_workspaces(batch[1].path) == [batch[1]]
    assert find_workspaces(root / "absent") == find_workspaces(root / "file") == find_workspaces(root / "notes") == []
    shutil.rmtree(batch[0].path)
    assert find_workspaces(root / "batch") == batch[1:]


def test_a_relative_name_is_made_absolute(batch: list[Workspace], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(batch[0].path.parent)
    assert open_workspace(Path("momentum")) == batch[0]
    assert find_workspaces(Path()) == batch


def test_a_batch_that_was_moved_is_found_with_its_template(
    batch: list[Workspace], template: Template, root: Path, tmp_path: Path
) -> None:
    root.rename(tmp_path / "moved")
    (first, *_) = find_workspaces(tmp_path / "moved")
    state = read_state(first)
    check_untouched(first, first.repo(), state)
    assert frozen_template(first, state.launched).hash == template.hash


def test_what_is_no_workspace_is_named(batch: list[Workspace], root: Path) -> None:
    for folder in (root, root / "batch", root / "absent"):
        with pytest.raises(UsageError, match="is not a workspace") as caught:
            open_workspace(folder)
        assert caught.value.where == str(folder)


# Checked


def test_a_branch_that_moved_is_refused(batch: list[Workspace]) -> None:
    workspace = batch[0]
    state, repo = read_state(workspace), workspace.repo()
    repo.commit({"experiment.py": "mine\n"}, "By hand")
    with pytest.raises(IntegrityError, match="branch main is at") as caught:
        check_untouched(workspace, repo, state)
    assert "kept as refs/rescue/head-" in caught.value.remedy
    subprocess.run(["git", "-C", str(workspace.path), "update-ref", "refs/heads/main", state.code.head], check=True)
    with pytest.raises(IntegrityError, match=r"experiment\.py: was changed by hand"):
        check_untouched(workspace, repo, state)
    subprocess.run(["git", "-C", str(workspace.path), "checkout", "-q", "HEAD", "--", "."], check=True)
    check_untouched(workspace, repo, state)


def test_a_deleted_file_is_refused_and_a_new_one_is_not(batch: list[Workspace]) -> None:
    workspace = batch[0]
    state = read_state(workspace)
    (workspace.path / "mine.txt").write_text("untracked")
    check_untouched(workspace, workspace.repo(), state)
    (workspace.path / "plot.py").unlink()
    with pytest.raises(IntegrityError, match=r"plot\.py"):
        check_untouched(workspace, workspace.repo(), state)


def test_the_commit_of_an_effect_in_flight_is_accepted_and_no_other(batch: list[Workspace]) -> None:
    workspace = batch[0]
    repo = workspace.repo()
    state = replace(read_state(workspace), pending=Started("k1", "ApplyReply", 1, 1, 0))
    check_untouched(workspace, repo, state)
    before = (workspace.path / "experiment.py").read_text()
    repo.commit({"experiment.py": "a = 1\n", "new.py": "b = 1\n"}, "Of the effect", {"Step-Id": "k1"})
    check_untouched(workspace, repo, state)
    (workspace.path / "experiment.py").write_text(before)  # killed before the work tree was written
    (workspace.path / "new.py").unlink()
    check_untouched(workspace, repo, state)
    (workspace.path / "experiment.py").write_text("by hand")
    with pytest.raises(IntegrityError, match=r"experiment\.py: was changed by hand"):
        check_untouched(workspace, repo, state)
    (workspace.path / "experiment.py").write_text("a = 1\n")
    repo.commit({"experiment.py": "b = 1\n"}, "Of nobody", {"Step-Id": "k2"})
    with pytest.raises(IntegrityError, match="branch main is at"):
        check_untouched(workspace, repo, state)


def test_a_frozen_template_that_changed_is_refused(batch: list[Workspace], template: Template) -> None:
    launched = read_state(batch[0]).launched
    assert frozen_template(batch[0], launched) == template
    path = template.folder / "sealed" / "evaluate.py"
    text = path.read_text()
    for place in (path, path.parent):
        place.chmod(0o755)
    path.write_text(text + "\n")
    with pytest.raises(IntegrityError, match="was changed since launch"):
        frozen_template(batch[0], launched)
    path.write_text(text)
    assert frozen_template(batch[0], launched) == template
    (template.folder / "sealed" / "extra.py").touch()
    with pytest.raises(IntegrityError, match="was changed since launch"):
        frozen_template(batch[0], launched)


def test_a_frozen_template_that_is_gone_is_refused_though_the_source_is_there(
    batch: list[Workspace], root: Path
) -> None:
    launched = read_state(batch[0]).launched
    (root / ".templates").rename(root / "templates")
    with pytest.raises(IntegrityError, match=r"no frozen copy above .*put \.templates back"):
        frozen_template(batch[0], launched)


def test_a_launch_is_not_disturbed_by_the_umask_or_the_folder_it_is_called_from(
    root: Path, template: Template, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    old = os.umask(0o077)
    try:
        (workspace,) = create_batch(root, "private", IDEAS[:1], template, launched_from(template))
    finally:
        os.umask(old)
    check_untouched(workspace, workspace.repo(), read_state(workspace))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_git_that_outlives_its_killed_orchestrator_is_waited_for(batch: list[Workspace]) -> None:
    workspace = batch[0]
    repo, state = workspace.repo(), read_state(workspace)
    notes = workspace.path / "notes.txt"
    before = notes.read_bytes()
    notes.write_text("half\n")
    later = threading.Timer(0.3, notes.write_bytes, [before])
    later.start()
    check_untouched(workspace, repo, state)
    later.join()
    assert not [name for name in repo.refs() if name.startswith("refs/rescue/")]


def test_a_workspace_whose_work_is_to_end_is_the_same_one(tmp_path: Path) -> None:
    def heed() -> None:
        raise KeyboardInterrupt

    workspace, ending = Workspace(tmp_path), Workspace(tmp_path, heed)
    assert ending == workspace == pickle.loads(pickle.dumps(workspace)) and not workspace.is_stopped()
    for wait in (ending.is_stopped, lambda: ending.sleep(0)):
        with pytest.raises(KeyboardInterrupt):
            wait()
