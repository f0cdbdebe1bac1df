"""Changes by a person between a crash and a resume are kept in git, then refused, and given up only if asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.journal.events import Event, Started
from agent.core.journal.state import State
from agent.edges.git.repo import BRANCH
from agent.edges.verify import verify
from agent.edges.workspace.hand_edits import check_untouched, discard_edits
from agent.edges.workspace.layout import Workspace, read_state
from agent.errors import IntegrityError
from tests.cli.conftest import Scientist, only_workspace
from tests.faults.conftest import SmallDisk
from tests.faults.fault_idea import tale_of, tell, whole_runner
from tests.loop.conftest import Study
from tests.loop.instant import Crash
from tests.paths import QUADRATIC

Check = Callable[[], IntegrityError]


def git(workspace: Workspace, *arguments: str) -> str:
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", "-C", workspace.path, *arguments], check=True, capture_output=True, text=True, env=os.environ | identity
    )
    return done.stdout.strip()


def rescued(workspace: Workspace) -> dict[str, str]:
    return {name: sha for name, sha in workspace.repo().refs().items() if name.startswith("refs/rescue/")}


def discard(workspace: Workspace) -> list[str]:
    return discard_edits(workspace, workspace.repo(), read_state(workspace))


_CRASHED: list[Path] = []


@pytest.fixture
def crashed(make_study: Callable[..., Study], tmp_path: Path) -> Workspace:
    """A copy of an idea that stopped after its first run was published."""

    def crash(event: Event, state: State) -> None:
        if state.run.number == 2:
            raise Crash

    if not _CRASHED:
        study = make_study()
        with pytest.raises(Crash):
            tell(study, whole_runner(), crash)
        _CRASHED.append(study.workspace.path.parent.parent)
    copy = Path(shutil.copytree(_CRASHED[0], tmp_path / "copied workspaces", symlinks=True))
    return Workspace(next(copy.glob("*/momentum")))


@pytest.fixture
def refuse(crashed: Workspace) -> Check:
    """Look at the workspace as a resume does, and return why it is refused. Branch and work tree stay."""

    def look() -> IntegrityError:
        before = (crashed.repo().head(), crashed.repo().dirty_files(), git(crashed, "status", "--porcelain"))
        with pytest.raises(IntegrityError) as caught:
            check_untouched(crashed, crashed.repo(), read_state(crashed))
        assert caught.value.exit_code == 6 and "\n" not in str(caught.value)
        assert before == (crashed.repo().head(), crashed.repo().dirty_files(), git(crashed, "status", "--porcelain"))
        return caught.value

    return look


FILES = ("experiment.py", "plot.py", "notes.txt", "idea.json")


def test_edits_are_kept_once_and_named_with_both_ways_on(crashed: Workspace, refuse: Check) -> None:
    texts = {name: (crashed.path / name).read_text() for name in FILES}
    for name in FILES:
        with (crashed.path / name).open("a") as file:
            file.write("# mine\n")
    (crashed.path / "mine.txt").write_text("not git's business")
    told = str(refuse())
    ((ref, kept),) = rescued(crashed).items()
    assert all(name in told for name in FILES) and "was changed by hand" in told
    assert f"kept as {ref}" in told and f"diff main {ref}" in told and "scientist resume --discard-edits" in told
    assert crashed.repo().read(kept, FILES) == {name: text + "# mine\n" for name, text in texts.items()}
    assert git(crashed, "diff", "--stat", "main", ref).count("|") == 4, "as the message says it can be seen"
    assert str(refuse()) == told and rescued(crashed) == {ref: kept}
    assert verify(crashed).disagreements, "it is not yet as the journal says"

    assert discard(crashed) == [ref] and rescued(crashed) == {ref: kept}
    check_untouched(crashed, crashed.repo(), read_state(crashed))
    assert {name: (crashed.path / name).read_text() for name in FILES} == texts
    assert (crashed.path / "mine.txt").read_text() == "not git's business"
    assert git(crashed, "status", "--porcelain") == "?? mine.txt"
    report = verify(crashed)
    assert not report.disagreements and any(ref in remark for remark in report.remarks)
    assert discard(crashed) == []


def test_what_stands_in_the_way_of_a_run_to_come_is_moved_aside(crashed: Workspace) -> None:
    (crashed.path / "run_2").mkdir()
    (crashed.path / "run_2" / "mine").write_text("mine")
    (crashed.path / "run_3").symlink_to("nowhere")
    (crashed.path / "run_0x").mkdir()
    kept = discard(crashed)
    assert kept == ["run_2, in .agent/rescue", "run_3, in .agent/rescue"]
    assert not verify(crashed).disagreements
    assert [path.read_text() for path in (crashed.agent / "rescue").glob("run_2.*/mine")] == ["mine"]
    assert "was run_3, which no event published" in (crashed.agent / "rescue" / "moved.txt").read_text()


def test_an_index_that_is_a_folder_is_moved_aside(crashed: Workspace) -> None:
    index = crashed.path / ".git" / "index"
    index.unlink()
    index.mkdir()
    crashed.repo().write_back()
    assert index.is_file() and list((crashed.agent / "rescue").glob("index.*"))


@pytest.mark.slow  # quick: the tests around it
def test_another_edit_is_kept_beside_the_first(crashed: Workspace, refuse: Check) -> None:
    for text in ("first", "second", "first"):
        (crashed.path / "notes.txt").write_text(text)
        refuse()
    assert sorted(crashed.repo().read(sha)["notes.txt"] for sha in rescued(crashed).values()) == ["first", "second"]


@pytest.mark.parametrize(
    "kind",
    [
        "deleted",
        "link",
        "folder",
        # Read in the same way: tests/edges/git/test_repo.py
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("binary", "executable", "fifo")),
    ],
)
def test_whatever_stands_in_a_files_place_is_kept(crashed: Workspace, refuse: Check, kind: str) -> None:
    path = crashed.path / "plot.py"
    text = path.read_text()
    path.unlink()
    match kind:
        case "link":
            path.symlink_to("/nowhere/at all")
        case "folder":
            path.mkdir()
            (path / "inside").write_text("kept aside")
        case "binary" | "executable":
            path.write_bytes(b"\xff\x00\r\n")
            path.chmod(0o755 if kind == "executable" else 0o644)
        case "fifo":
            os.mkfifo(path)
    assert "plot.py" in str(refuse())
    (kept,) = rescued(crashed)
    shown = git(crashed, "ls-tree", kept, "plot.py").split()
    expected = {"link": "120000", "binary": "100644", "executable": "100755"}.get(kind)
    assert shown[:1] == ([expected] if expected else [])
    assert discard(crashed) == [kept]
    assert path.read_text() == text and not path.is_symlink()
    aside = (crashed.agent / "rescue").glob("plot.py.*")
    assert [(p / "inside").read_text() for p in aside] == (["kept aside"] if kind == "folder" else [])


def test_a_branch_moved_by_hand_is_kept_and_brought_back(crashed: Workspace, refuse: Check) -> None:
    head = git(crashed, "rev-parse", "main")
    (crashed.path / "experiment.py").write_text("mine = 1\n")
    (crashed.path / "more.py").write_text("mine = 2\n")
    git(crashed, "add", "more.py")
    git(crashed, "commit", "-aqm", "By hand")
    (crashed.path / "experiment.py").write_text("mine = 3\n")
    foreign = git(crashed, "rev-parse", "main")
    told = str(refuse())
    assert f"branch main is at {foreign[:10]}, the journal at {head[:10]}" in told
    assert f"refs/rescue/head-{foreign[:10]}" in told and "refs/rescue/edits-" in told
    kept = rescued(crashed)
    assert kept[f"refs/rescue/head-{foreign[:10]}"] == foreign and len(kept) == 2
    texts = [crashed.repo().read(sha)["experiment.py"] for sha in kept.values()]
    assert sorted(texts) == ["mine = 1\n", "mine = 3\n"]
    discard(crashed)
    check_untouched(crashed, crashed.repo(), read_state(crashed))
    assert git(crashed, "rev-parse", "main") == head and (crashed.path / "more.py").read_text() == "mine = 2\n"
    assert rescued(crashed) == kept and not verify(crashed).disagreements


@pytest.mark.parametrize(
    "place",
    [
        "detached",
        "no branch",
        # Each is a branch at another commit, as above.
        *(pytest.param(place, marks=pytest.mark.slow) for place in ("reset", "another branch")),
    ],
)
def test_a_branch_is_brought_back_from_wherever_git_was_led(crashed: Workspace, place: str) -> None:
    head = git(crashed, "rev-parse", "main")
    if place == "reset":
        git(crashed, "reset", "-q", "--hard", "main~1")
    elif place == "no branch":
        git(crashed, "update-ref", "-d", BRANCH)
        (crashed.path / "plot.py").write_text("mine")
    else:
        git(crashed, "checkout", "-q", *(["--detach"] if place == "detached" else ["-b", "mine"]))
        (crashed.path / "notes.txt").write_text("mine")
        git(crashed, "commit", "-aqm", "By hand")
    mine = git(crashed, "rev-parse", "HEAD") if place in ("detached", "another branch") else ""
    with pytest.raises(IntegrityError):
        check_untouched(crashed, crashed.repo(), read_state(crashed))
    discard(crashed)
    check_untouched(crashed, crashed.repo(), read_state(crashed))
    assert git(crashed, "symbolic-ref", "HEAD") == BRANCH and git(crashed, "rev-parse", "main") == head
    assert git(crashed, "status", "--porcelain") == ""
    assert not mine or mine in rescued(crashed).values()
    if place == "no branch":
        (kept,) = rescued(crashed).values()
        assert crashed.repo().read(kept)["plot.py"] == "mine"


def test_an_edit_while_the_idea_is_at_work_is_kept_before_it_is_overwritten(study: Study) -> None:
    """A remark in notes.txt, just before the results of a run are written there."""
    seen = []

    def write(event: Event, state: State) -> None:
        if isinstance(event, Started) and event.kind == "Publish" and not seen:
            seen.append(event)
            with (study.workspace.path / "notes.txt").open("a") as notes:
                notes.write("a remark of mine\n")

    state = tell(study, whole_runner(), write)
    assert state.ended and state.ended.completed and seen
    (kept,) = rescued(study.workspace).values()
    assert study.workspace.repo().read(kept)["notes.txt"].endswith("a remark of mine\n")
    assert not verify(study.workspace).disagreements


def test_an_edit_in_the_middle_of_an_effect_is_kept(study: Study) -> None:
    """Killed between a commit and its record, and then edited: the effect would write over it."""

    def crash(event: Event, state: State) -> None:
        if isinstance(event, Started) and event.kind == "Publish":
            raise Crash

    with pytest.raises(Crash):
        tell(study, whole_runner(), crash)
    workspace = study.workspace
    (workspace.path / "notes.txt").write_text("mine")
    with pytest.raises(IntegrityError, match=r"notes\.txt: was changed by hand"):
        tell(study, whole_runner())
    (kept,) = discard(workspace)
    assert workspace.repo().read(kept)["notes.txt"] == "mine"


@pytest.mark.slow
def test_discarding_comes_to_the_end_of_an_untouched_idea(study: Study, expected: dict[str, object]) -> None:
    """Crashed before each commit, edited by hand, and resumed without the edit."""
    runner, touched = whole_runner(), 0
    crashed: set[str] = set()

    def crash(event: Event, state: State) -> None:
        if isinstance(event, Started) and event.kind in ("ApplyReply", "Publish") and event.key not in crashed:
            crashed.add(event.key)
            raise Crash

    while True:
        try:
            state = tell(study, runner, crash)
            break
        except Crash:
            touched += 1
            (study.workspace.path / "experiment.py").write_text(f"edit = {touched}\n")
            with pytest.raises(IntegrityError):
                tell(study, runner)
            discard(study.workspace)
    assert state.ended and touched == len(rescued(study.workspace)) > 5
    assert tale_of(study.workspace) == expected


def test_nothing_is_given_up_that_a_full_disk_cannot_keep(
    small_disk: SmallDisk, make_study: Callable[..., Study]
) -> None:
    workspace = make_study().workspace
    (workspace.path / "experiment.py").write_text("mine = 1\n" * 2000)
    small_disk.fill()
    for look in (
        lambda: check_untouched(workspace, workspace.repo(), read_state(workspace)),
        lambda: discard(workspace),
    ):
        with pytest.raises(OSError, match="No space left on device"):
            look()
        assert (workspace.path / "experiment.py").read_text() == "mine = 1\n" * 2000
    small_disk.clear()
    (kept,) = discard(workspace)
    assert workspace.repo().read(kept)["experiment.py"] == "mine = 1\n" * 2000


# As a user meets it


def test_resume_refuses_with_exit_6_and_goes_on_without_the_edit(scientist: Scientist, folder: Path) -> None:
    launch = ("launch", "ideas.json", "--idea", 1, "--template", QUADRATIC, "--max-runs", 1, "--pause-before", "run")
    assert scientist(*launch).returncode == 3
    path = only_workspace(folder)
    (path / "experiment.py").write_text("mine = 1\n")
    refused = scientist("resume", path)
    assert refused.returncode == 6 and refused.stderr.count("\n") <= 3, refused.stderr
    (ref,) = rescued(Workspace(path))
    line = refused.stderr.strip().splitlines()[-1]
    assert f"kept as {ref}" in line and f"scientist resume --discard-edits '{path}'" in line
    assert (path / "experiment.py").read_text() == "mine = 1\n"
    done = scientist("resume", "--discard-edits", path)
    assert done.returncode == 0 and f"kept as {ref}" in done.stderr, done.stderr
    assert scientist("verify", path).returncode == 0
    assert "+mine = 1" in git(Workspace(path), "diff", "main", ref)


def test_a_frozen_template_changed_by_hand_is_refused_naming_the_file(scientist: Scientist, folder: Path) -> None:
    launch = ("launch", "ideas.json", "--idea", 1, "--template", QUADRATIC, "--max-runs", 1, "--pause-before", "run")
    assert scientist(*launch).returncode == 3
    path = only_workspace(folder)
    (frozen,) = path.parent.parent.glob(".templates/*")
    target = frozen / "sealed" / "evaluate.py"
    target.chmod(0o644)
    target.write_text(target.read_text() + "# mine\n")
    refused = scientist("resume", path)
    assert refused.returncode == 6 and "sealed/evaluate.py" in refused.stderr, refused.stderr
