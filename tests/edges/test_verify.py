"""Verifying a real workspace: it agrees, or each kind of damage is named, and verifying changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.evidence.audit import named_blobs
from agent.core.inputs.refs import Reference
from agent.core.journal.action_results import Published
from agent.core.journal.budget import Limits
from agent.core.journal.events import Event, Finished, Started
from agent.core.journal.state import State
from agent.edges.git.repo import BRANCH
from agent.edges.verify import Report, check_agreement, verify
from agent.edges.workspace.journal import Journal
from agent.edges.workspace.layout import Workspace, read_state
from agent.edges.workspace.refs import write_refs
from agent.errors import IntegrityError
from tests.fakes import block
from tests.loop.conftest import Study, new_study
from tests.loop.instant import instant_runner
from tests.loop.lines import DONE, FASTER, MOMENTUM, NO_PLOT_EDIT, NOTES, PLAN

FAULTY = block("experiment.py", "no such line\n", "nothing\n")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, a refused reply, notes: all that a journal names, and reference texts."""
    root = tmp_path_factory.mktemp("finished") / "work spaces"
    made = new_study(root)
    write_refs(made.workspace.agent, [Reference("refs/a.md", "A text.")])
    state = made.loop([FAULTY, PLAN + FASTER, MOMENTUM, DONE, NO_PLOT_EDIT, NOTES], runner=instant_runner()).run()
    assert state.ended and state.ended.completed and state.completed_runs == 2
    return made.workspace.path


@pytest.fixture
def workspace(finished: Path, tmp_path: Path) -> Workspace:
    """A copy of it to damage."""
    root = finished.parent.parent
    shutil.copytree(root, tmp_path / root.name, symlinks=True)
    return Workspace(tmp_path / finished.relative_to(root.parent))


def said(workspace: Workspace) -> list[str]:
    return [str(problem) for problem in verify(workspace).disagreements]


def git(workspace: Workspace, *arguments: str, **extra: str) -> str:
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **identity, **extra}
    command = ["git", "-C", str(workspace.path), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def rewrite(path: Path, text: str) -> None:
    path.chmod(0o644)
    path.write_text(text)


def snapshot(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Mode, mtime and content of everything below a folder."""
    found = {}
    for path in (root, *sorted(root.rglob("*"))):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (status.st_mode, status.st_mtime_ns, content)
    return found


def test_a_workspace_that_agrees_is_counted(workspace: Workspace) -> None:
    events = workspace.journal().events
    commits = len(git(workspace, "rev-list", "main").splitlines())
    expected = Report(workspace.path, len(events), len(named_blobs(events)), commits, 2)
    assert verify(workspace) == expected and commits > 4 and expected.blobs > 10


def test_verifying_changes_nothing(workspace: Workspace) -> None:
    rewrite(workspace.run_folder(1) / "final_info.json", "{}")
    with (workspace.agent / "journal.jsonl").open("ab") as file:
        file.write(b'{"seq":')
    root = workspace.path.parent.parent
    before = snapshot(root)
    assert said(workspace)
    assert snapshot(root) == before


def test_a_torn_tail_is_a_remark(workspace: Workspace) -> None:
    with (workspace.agent / "journal.jsonl").open("ab") as file:
        file.write(b'{"seq":')
    report = verify(workspace)
    assert not report.disagreements
    (remark,) = report.remarks
    assert remark.startswith(".agent/journal.jsonl has a torn tail, 7 B ")


def test_an_altered_byte_of_the_journal_is_named_with_its_line(workspace: Workspace) -> None:
    path = workspace.agent / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[5] = lines[5].replace(b'"turn":1', b'"turn":2', 1)
    path.write_bytes(b"".join(lines))
    (problem,) = said(workspace)
    assert problem.startswith(".agent/journal.jsonl:6: does not match its sha256")


def test_a_journal_that_is_gone_is_named(workspace: Workspace) -> None:
    (workspace.agent / "journal.jsonl").unlink()
    assert said(workspace)[0].startswith(".agent/journal.jsonl:1: the launch is missing")


@pytest.mark.parametrize("damage", ["missing", "altered", "fifo", "folder"])
def test_a_damaged_blob_is_named_with_its_event(workspace: Workspace, damage: str) -> None:
    blob = next(b for b in named_blobs(workspace.journal().events) if b.field == "reply")
    path = workspace.agent / "blobs" / blob.name[:2] / blob.name
    path.rename(path.with_name("elsewhere"))
    if damage == "altered":
        path.write_bytes(path.with_name("elsewhere").read_bytes() + b" ")
    elif damage == "fifo":
        os.mkfifo(path)
    elif damage == "folder":
        path.mkdir()
    problem = "does not match its name" if damage == "altered" else "is missing"
    assert said(workspace) == [
        f".agent/blobs/{blob.name[:2]}/{blob.name}: {problem}, the reply of event {blob.seq}; "
        "restore .agent/blobs from a copy"
    ]


def test_a_moved_tag_is_named(workspace: Workspace) -> None:
    message = git(workspace, "for-each-ref", "--format=%(contents)", "refs/tags/run/2")
    ran = git(workspace, "rev-parse", "run/2^{}")
    git(workspace, "tag", "--force", "--annotate", "run/2", "run/1^{}", "-m", message)
    (problem,) = said(workspace)
    other = git(workspace, "rev-parse", "run/1^{}")
    assert problem.startswith(f"tag run/2: names {other[:10]}, not {ran[:10]} which ran; ")


def test_a_tag_that_is_gone_changed_or_not_ours_is_named(workspace: Workspace) -> None:
    message = git(workspace, "for-each-ref", "--format=%(contents)", "refs/tags/run/2")
    subject, _, stored = message.partition("\n\n")
    changed = json.loads(stored)
    changed["metrics"]["score"] = 2.0
    git(workspace, "tag", "--force", "-a", "run/2", "run/2^{}", "-m", f"{subject}\n\n{json.dumps(changed)}")
    git(workspace, "tag", "run/7", "main")
    git(workspace, "tag", "--delete", "run/1")
    missing, values, extra = said(workspace)
    assert missing.startswith("tag run/1: is missing, though event ")
    assert values.startswith("tag run/2: has metrics that event ")
    assert extra == "tag run/7: was made by no event; remove it: git tag --delete run/7"
    git(workspace, "tag", "--force", "run/2", "run/2^{}")  # no longer annotated
    assert any(problem.startswith("tag run/2: holds no metrics as JSON") for problem in said(workspace))


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("final_info.json", '{"final_loss": 0.2, "steps": 40}', "final_loss is 0.2, the journal recorded 0.1"),
        ("final_info.json", '{"final_loss": NaN, "steps": 40}', "final_loss (run_1/final_info.json"),
        ("final_info.json", "{", "final_info.json is not valid JSON"),
        ("evaluation.json", '{"score": 1.0}', "score is 1.0, the journal recorded 0.91"),
        ("evaluation.json", '{"score": 0.91, "self_reported": "no data"}', "says of being self-reported: no data;"),
    ],
)
def test_altered_results_are_named(workspace: Workspace, file: str, text: str, problem: str) -> None:
    rewrite(workspace.run_folder(1) / file, text)
    (told,) = said(workspace)
    assert told.startswith(f"run_1/{file}: ")
    assert problem.replace("run_1/final_info.json", "final_info.json") in told


@pytest.mark.parametrize("file", ["final_info.json", "evaluation.json"])
def test_results_that_are_a_link_a_fifo_or_gone_are_named(workspace: Workspace, file: str) -> None:
    path = workspace.run_folder(2) / file
    kept = path.rename(workspace.agent / "kept")
    assert said(workspace)[0].startswith(f"run_2/{file}: is missing; put it back")
    path.symlink_to(kept)
    assert "symbolic link" in said(workspace)[0]
    path.unlink()
    os.mkfifo(path)
    assert "is not a regular file" in said(workspace)[0]


def test_run_folders_that_are_gone_or_from_elsewhere_are_named(workspace: Workspace) -> None:
    workspace.run_folder(2).rename(workspace.run_folder(9))
    gone, extra = said(workspace)
    assert gone.startswith("run_2: is missing, though event ")
    assert extra == "run_9: was published by no event; move it out of the workspace"
    workspace.run_folder(9).rename(workspace.path / "mine")
    workspace.run_folder(2).symlink_to(workspace.path / "mine")
    assert any("symbolic link" in problem for problem in said(workspace))


def test_a_persons_commit_is_named_and_going_back_leaves_a_remark(workspace: Workspace) -> None:
    head = git(workspace, "rev-parse", "main")
    git(workspace, "commit", "--allow-empty", "-m", "By hand \x1b[31m")
    (problem,) = said(workspace)
    assert problem.startswith("commit ") and "(By hand" in problem and "is on branch main, and no event" in problem
    assert f"git branch mine main, then git update-ref refs/heads/main {head}" in problem
    git(workspace, "branch", "mine", "main")
    git(workspace, "update-ref", BRANCH, head)
    report = verify(workspace)
    assert not report.disagreements and report.remarks[0].startswith("refs/heads/mine keeps commit ")


def test_a_branch_that_moved_back_is_named(workspace: Workspace) -> None:
    head, before = git(workspace, "rev-parse", "main"), git(workspace, "rev-parse", "main~1")
    git(workspace, "update-ref", BRANCH, before)
    commit, branch = said(workspace)
    assert commit.startswith(f"commit {head[:10]} of event ") and "is not on branch main" in commit
    assert branch.startswith(f"branch main: is at {before[:10]}, the journal at {head[:10]}; ")
    git(workspace, "update-ref", "-d", BRANCH)
    (branch,) = said(workspace)
    assert branch.startswith(f"branch main: is at no commit, the journal at {head[:10]}; ")


def test_a_commit_that_was_written_again_is_named(workspace: Workspace) -> None:
    git(workspace, "commit", "--amend", "-m", "Another message, without its step")
    lost, unknown = said(workspace)
    assert "is not on branch main" in lost and "(Another message, without its step)" in unknown


def test_lost_objects_and_a_lost_repository_are_named(workspace: Workspace) -> None:
    blob = git(workspace, "rev-parse", "main:notes.txt")
    kept = workspace.path / ".git" / "objects" / blob[:2] / blob[2:]
    kept.unlink()
    assert any("notes.txt of commit" in problem and "is missing from .git" in problem for problem in said(workspace))
    shutil.rmtree(workspace.path / ".git")
    assert said(workspace) == [".git: is no git repository any more; put it back from a copy"]


def test_a_file_changed_by_hand_is_named(workspace: Workspace) -> None:
    with (workspace.path / "experiment.py").open("a") as file:
        file.write("# mine\n")
    told = said(workspace)[0]
    assert told.startswith("experiment.py: differs from the newest commit; ")
    assert "resume" not in told, "an idea that has ended is not resumed"


def test_an_altered_template_is_named_and_values_are_not_read_by_it(workspace: Workspace) -> None:
    (copy,) = (workspace.path.parent.parent / ".templates").iterdir()
    rewrite(copy / "prompt.md", "Something else.")
    rewrite(workspace.run_folder(1) / "evaluation.json", "{}")
    report = verify(workspace)
    (problem,) = report.disagreements
    assert str(problem).startswith(f"template {copy}: was changed since launch; ")
    assert report.remarks[0].startswith("values in run outputs were not compared")
    shutil.rmtree(copy)
    assert "no frozen copy above" in said(workspace)[0]


def test_altered_reference_texts_are_named(workspace: Workspace) -> None:
    rewrite(workspace.agent / "refs" / "1.md", "Another text.")
    assert said(workspace) == [".agent/refs/1.md: was changed or is gone; put it back as it was at launch"]


def test_several_disagreements_are_all_named(workspace: Workspace) -> None:
    rewrite(workspace.run_folder(1) / "evaluation.json", '{"score": 1.0}')
    rewrite(workspace.agent / "refs" / "1.md", "Another text.")
    git(workspace, "tag", "--delete", "run/2")
    assert [problem.partition(": ")[0] for problem in said(workspace)] == [
        "tag run/2",
        ".agent/refs/1.md",
        "run_1/evaluation.json",
    ]


def remove_blobs(workspace: Workspace) -> None:
    shutil.rmtree(workspace.agent / "blobs")


def move_tag(workspace: Workspace) -> None:
    git(workspace, "tag", "--force", "run/1", BRANCH)


def delete_tag(workspace: Workspace) -> None:
    git(workspace, "tag", "--delete", "run/2")


def add_run_folder(workspace: Workspace) -> None:
    (workspace.path / "run_0").mkdir()


def add_run_folder_of_a_run_to_come(workspace: Workspace) -> None:
    (workspace.path / "run_9").mkdir()


def alter_results(workspace: Workspace) -> None:
    rewrite(workspace.path / "run_1/final_info.json", '{"final_loss": 0.5, "steps": 40}')


def link_results(workspace: Workspace) -> None:
    (workspace.path / "run_1").rename(workspace.path.parent / "elsewhere")
    (workspace.path / "run_1").symlink_to(workspace.path.parent / "elsewhere")


def forge_journal(workspace: Workspace) -> None:
    """With links that are right."""
    events = workspace.journal().events
    (workspace.agent / "journal.jsonl").unlink()
    forged = Journal(workspace.agent)
    for event in events:
        if isinstance(event, Finished) and isinstance(event.result, Published):
            event = replace(event, result=replace(event.result, values={"score": 1.0}))
        forged.append(event)


@pytest.mark.parametrize("damage", [remove_blobs, move_tag, delete_tag, add_run_folder])
def test_what_nothing_reads_again_is_told_and_the_idea_goes_on(
    workspace: Workspace, damage: Callable[[Workspace], None]
) -> None:
    damage(workspace)
    told: list[str] = []
    check_agreement(workspace, told.append)
    assert told == [f"{problem}. It goes on all the same" for problem in said(workspace)] != []


@pytest.mark.parametrize("damage", [alter_results, link_results, add_run_folder_of_a_run_to_come])
def test_what_is_read_again_is_refused_unless_a_person_wants_it_so(
    workspace: Workspace, damage: Callable[[Workspace], None]
) -> None:
    damage(workspace)
    delete_tag(workspace)
    told: list[str] = []
    with pytest.raises(IntegrityError, match="or go on all the same: scientist resume --discard-edits") as caught:
        check_agreement(workspace, told.append)
    assert caught.value.exit_code == 6 and len(told) == len(said(workspace)) - 1
    check_agreement(workspace, told.append, heeds=False)


def test_a_forged_journal_with_right_links_is_refused(workspace: Workspace) -> None:
    forge_journal(workspace)
    with pytest.raises(IntegrityError, match="has metrics that event"):
        check_agreement(workspace, print)


def test_a_text_that_the_next_turn_reads_is_not_past(study: Study) -> None:
    class Stop(Exception):
        """After the first reply."""

    def watch(event: Event, state: State) -> None:
        if state.reply:
            raise Stop

    with pytest.raises(Stop):
        study.loop([FASTER], watch=watch).run()
    reply = read_state(study.workspace).reply
    assert reply
    (study.workspace.agent / "blobs" / reply[:2] / reply).unlink()
    with pytest.raises(IntegrityError, match="is missing, the reply of event"):
        check_agreement(study.workspace, print)


def test_a_workspace_at_work_agrees_at_every_event(study: Study) -> None:
    """It agrees after each event, and if the process ended before an effect's result was stored."""
    found: list[str] = []

    def watch(event: Event, state: State) -> None:
        found.extend(said(study.workspace))

    replies = [FAULTY, PLAN + FASTER, DONE, NO_PLOT_EDIT, NOTES]
    state = study.loop(replies, runner=instant_runner(), watch=watch).run()
    assert state.ended and found == []


def test_effects_in_flight_are_no_fault(study: Study) -> None:
    """The journal is cut after each event that begins an effect, whose files are on disk already."""
    endings = [FAULTY, PLAN + FASTER, DONE, NO_PLOT_EDIT, NOTES]
    kept: list[tuple[str, Path]] = []
    last = ""

    def watch(event: Event, state: State) -> None:
        nonlocal last
        if isinstance(event, Started):
            last = event.kind
        if isinstance(event, Finished) and last in ("ApplyReply", "Publish", "Restore", "StartStep"):
            copy = study.workspace.path.parent / f"at {state.steps}"
            shutil.copytree(study.workspace.path, copy, symlinks=True)
            journal = copy / ".agent" / "journal.jsonl"
            lines = journal.read_bytes().splitlines(keepends=True)
            journal.write_bytes(b"".join(lines[:-1]))
            kept.append((last, copy))

    study.loop(endings, runner=instant_runner(), watch=watch).run()
    assert {kind for kind, _ in kept} >= {"ApplyReply", "Publish", "StartStep"}
    for kind, copy in kept:
        assert said(Workspace(copy)) == [], kind


def test_what_came_while_it_was_read_is_no_fault(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process stores an event between the first look at the journal and the look at its effects."""
    journal = workspace.agent / "journal.jsonl"
    whole = journal.read_bytes()
    events = workspace.journal().events
    cut = next(n for n, e in enumerate(events) if isinstance(e, Finished) and isinstance(e.result, Published))
    journal.write_bytes(b"".join(whole.splitlines(keepends=True)[: cut - 1]))
    looks = []
    real = Workspace.journal

    def look(self: Workspace) -> object:
        looks.append(1)
        read = real(self)
        journal.write_bytes(whole)
        return read

    monkeypatch.setattr(Workspace, "journal", look)
    assert said(workspace) == [] and len(looks) == 2


def test_a_baseline_run_and_a_run_given_up_agree(make_study: Callable[..., Study]) -> None:
    made = make_study(has_baseline=False, limits=Limits(max_runs=2, attempts=1))
    broken = MOMENTUM.replace("MOMENTUM = 0.3", "MOMENTUM = undefined")
    state = made.loop([PLAN + FASTER, broken, NO_PLOT_EDIT, NOTES], runner=instant_runner()).run()
    assert state.ended and [row.completed for row in state.rows] == [True, False]
    assert verify(made.workspace).disagreements == () and verify(made.workspace).runs == 2


def test_another_idea_than_the_launched_one_is_named(make_study: Callable[..., Study]) -> None:
    made = make_study()
    workspace = made.workspace
    launched = read_state(workspace).launched
    (workspace.agent / "journal.jsonl").unlink()
    Journal(workspace.agent).append(replace(launched, title="Another title"))
    (problem,) = said(workspace)
    assert problem.startswith(f"idea.json of commit {launched.commit[:10]}: is about 'Momentum helps' (momentum), ")


def test_events_that_contradict_one_another_are_named(workspace: Workspace) -> None:
    journal = Journal(workspace.agent)
    journal.append(journal.events[0])
    (problem,) = said(workspace)
    assert problem.startswith(".agent/journal.jsonl: its events contradict one another: launched twice; ")
