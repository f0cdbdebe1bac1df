from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.edges.git import locks
from agent.edges.git.repo import BRANCH, Repo, metrics_message
from agent.edges.git.safe import SafeGit
from agent.edges.system.faults import say_fault
from agent.errors import IntegrityError
from tests.edges.git.traps import VICTIM, plant, spring, traps

FIRST = {"experiment.py": "LR = 0.1\n", "notes.txt": "# Notes\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "an idea's \u00e9 folder"
    folder.mkdir()
    return folder


@pytest.fixture
def repo(folder: Path) -> Repo:
    repo = Repo(folder)
    repo.create(FIRST, "Start from template quadratic\n\nMomentum helps")
    return repo


def git(folder: Path, *arguments: str) -> str:
    """Output of a person's git in the folder."""
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True, errors="surrogateescape"
    ).stdout


def assert_clean(folder: Path) -> None:
    """Work tree, index and branch agree, by git's own opinion, and all objects are there."""
    assert git(folder, "status", "--porcelain") == ""
    assert git(folder, "fsck", "--strict", "--no-dangling") == ""
    assert Repo(folder).dirty_files() == []


# Commits


def test_a_new_repository_has_one_commit_and_reads_as_any_other(repo: Repo, folder: Path) -> None:
    (commit,) = repo.log()
    assert commit.sha == repo.head() == git(folder, "rev-parse", "HEAD").strip()
    assert commit.subject == "Start from template quadratic" and commit.files == ("experiment.py", "notes.txt")
    assert git(folder, "log", "-1", "--format=%an %ae %b") == "scientist scientist@localhost Momentum helps\n\n"
    assert git(folder, "branch", "--show-current") == "main\n"
    assert {p.name for p in folder.iterdir()} == {".git", ".agent", *FIRST}
    assert_clean(folder)


def test_outputs_of_runs_and_the_journal_are_not_gits_business(repo: Repo, folder: Path) -> None:
    for name in ("run_1/final_info.json", ".agent/journal.jsonl", "plots/a.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    assert_clean(folder)


def test_a_commit_changes_only_its_files_and_carries_its_trailers(repo: Repo, folder: Path) -> None:
    first = repo.head()
    trailers = {"Run": "1", "Model": "a\nb: c", "Step-Id": "k1"}
    sha = repo.commit({"experiment.py": "LR = 0.2\nNEW = 1\n", "sub/new.py": "x = 1\n"}, "Run 1: faster", trailers)
    commit = repo.log()[-1]
    assert (commit.sha, commit.subject, commit.files) == (sha, "Run 1: faster", ("experiment.py", "sub/new.py"))
    assert (commit.insertions, commit.deletions) == (3, 1)
    assert commit.trailers == {"Run": "1", "Model": "a b: c", "Step-Id": "k1"}
    assert git(folder, "rev-parse", "HEAD~1").strip() == first
    assert repo.read(sha) == {**FIRST, "experiment.py": "LR = 0.2\nNEW = 1\n", "sub/new.py": "x = 1\n"}
    assert repo.read(first) == FIRST
    assert repo.read(sha, ("notes.txt", "absent")) == {"notes.txt": "# Notes\n"}
    assert (folder / "sub/new.py").read_text() == "x = 1\n"
    assert_clean(folder)


def test_a_step_is_found_by_its_whole_id_alone(repo: Repo) -> None:
    assert repo.find_step("k1") is None
    sha = repo.commit({"notes.txt": "a"}, "One", {"Step-Id": "k1"})
    repo.commit({"notes.txt": "b"}, "Step-Id: k2\n\nStep-Id: k3 is mentioned", {"Step-Id": "k11"})
    assert repo.find_step("k1") == sha == Repo(repo.folder).find_step("k1")
    assert [repo.find_step(key) for key in ("k", "k2", "k3")] == [None] * 3


def test_a_step_is_not_found_in_a_repository_without_commits(folder: Path) -> None:
    git(folder, "init", "-q")
    assert Repo(folder).head() == "" and Repo(folder).find_step("k1") is None


@pytest.mark.parametrize(
    "text",
    [
        "a\r\nb\r\n",
        "\ufeffa\n",
        "no newline at the end",
        "",
        "\n",
        "mixed\r\n\n\rend\n\n",
        "\udcff\udcfe not UTF-8 \udce9\n",
        "nul \0 inside\n",
        "$Id$ \u2028 \x01\x1f\x0c\n",
        "é" * 200_000,
    ],
)
def test_texts_are_kept_byte_for_byte(repo: Repo, folder: Path, text: str) -> None:
    sha = repo.commit({"experiment.py": text, "after.txt": "next"}, "Odd bytes")
    content = text.encode("utf-8", "surrogateescape")
    assert (folder / "experiment.py").read_bytes() == content
    assert Repo(folder).read(sha) == {**FIRST, "experiment.py": text, "after.txt": "next"}
    assert_clean(folder)


ODD_NAMES = (
    "with space.py",
    "quote's \" both.py",
    "new\nline.py",
    "tab\there.py",
    "commas,a,b.py",
    "back\\slash.py",
    "umläut \U0001f600.py",
    "-dash.py",
    "{a => b}.py",
    "sub dir/nested's.py",
    "n" * 200,
)


def test_files_of_any_name_are_committed_read_and_listed(repo: Repo, folder: Path) -> None:
    files = {name: f"text of {n}\n" for n, name in enumerate(ODD_NAMES)}
    sha = repo.commit(files, "Odd names", {"Step-Id": "k1"})
    assert Repo(folder).read(sha) == FIRST | files
    commit = repo.log()[-1]
    assert sorted(commit.files) == sorted(ODD_NAMES) and commit.insertions == len(ODD_NAMES)
    assert commit.trailers == {"Step-Id": "k1"}
    assert all((folder / name).read_text() == text for name, text in files.items())
    assert_clean(folder)
    for name in ODD_NAMES:
        (folder / name).write_text("by hand")
    assert sorted(repo.dirty_files()) == sorted(ODD_NAMES)


@pytest.mark.parametrize(
    "subject", ["nul \0", "bell \x07 \x01 \x1f", "half a pair \ud83d", "byte \udcff", "#hash", "-F"]
)
def test_a_subject_that_a_model_wrote_can_hold_anything(repo: Repo, folder: Path, subject: str) -> None:
    sha = repo.commit({"notes.txt": "new"}, f"Run 1: {subject}", {"Model": subject, "Step-Id": "k1"})
    commit = repo.log()[-1]
    assert commit.sha == sha == repo.find_step("k1") and commit.trailers["Step-Id"] == "k1"
    assert commit.subject.startswith("Run 1: " + subject[:4])
    repo.tag("run/1", sha, metrics_message(subject, {"metrics": {}}))
    assert repo.tag_message("run/1").startswith(subject[:4])


def test_a_subject_alone_beginning_with_hash_is_kept(repo: Repo) -> None:
    repo.commit({"notes.txt": "new"}, "# not a comment")
    assert repo.log()[-1].subject == "# not a comment"


# Work tree


def test_changes_by_hand_are_dirty_and_other_files_are_not(repo: Repo, folder: Path) -> None:
    (folder / "mine.txt").write_text("untracked")
    assert repo.dirty_files() == []
    (folder / "experiment.py").write_text("LR = 0.1")
    (folder / "notes.txt").unlink()
    assert repo.dirty_files() == ["experiment.py", "notes.txt"]
    repo.check_out(FIRST)
    assert repo.dirty_files() == []


def test_a_change_that_keeps_size_and_time_is_dirty(repo: Repo, folder: Path) -> None:
    path = folder / "experiment.py"
    stamp = path.stat()
    path.write_text("LR = 0.2\n")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert repo.dirty_files() == ["experiment.py"]


def test_a_link_or_folder_in_place_of_a_file_is_dirty(repo: Repo, folder: Path) -> None:
    (folder / "copy").write_text(FIRST["experiment.py"])
    (folder / "experiment.py").unlink()
    (folder / "experiment.py").symlink_to("copy")
    (folder / "notes.txt").unlink()
    (folder / "notes.txt").mkdir()
    assert repo.dirty_files() == ["experiment.py", "notes.txt"]


def test_a_file_of_any_size_is_dirty_and_one_too_large_is_not_kept(repo: Repo, folder: Path) -> None:
    os.truncate(folder / "experiment.py", 1 << 40)
    assert repo.dirty_files() == ["experiment.py"]
    with pytest.raises(IntegrityError, match="1,099,511,627,776 bytes, too many to be kept; move it away"):
        repo.keep_work_tree(["experiment.py"])


def test_a_commit_leaves_changes_by_hand_in_other_files(repo: Repo, folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    repo.commit({"experiment.py": "LR = 1\n"}, "Run 1")
    assert (folder / "notes.txt").read_text() == "mine" and repo.dirty_files() == ["notes.txt"]


@pytest.mark.parametrize("stands_there", ["link", "file"])
def test_what_stands_in_a_folders_place_is_moved_aside_and_never_written_through(
    repo: Repo, folder: Path, tmp_path: Path, stands_there: str
) -> None:
    repo.commit({"sub/deep/new.py": "x = 1\n"}, "Run 1")
    outside = tmp_path / "outside"
    (folder / "sub").rename(outside)
    (outside / "deep" / "new.py").write_text("somebody's\n")
    if stands_there == "link":
        (folder / "sub").symlink_to(outside)
    else:
        (folder / "sub").write_text("a remark")
    repo.commit({"sub/deep/new.py": "x = 2\n"}, "Run 2")
    assert (outside / "deep" / "new.py").read_text() == "somebody's\n"
    assert (folder / "sub" / "deep" / "new.py").read_text() == "x = 2\n"
    (aside,) = (folder / ".agent" / "rescue").glob("sub.*")
    assert aside.is_symlink() if stands_there == "link" else aside.read_text() == "a remark"
    assert_clean(folder)


# Reading


def test_diff_shows_two_revisions_and_only_the_paths_named(repo: Repo) -> None:
    first = repo.head()
    repo.tag("run/0", first, "Run 0")
    second = repo.commit({"experiment.py": "LR = 0.2\r\n", "notes.txt": "\udcff\n"}, "Both")
    shown = repo.diff("run/0", second, "experiment.py")
    assert "-LR = 0.1\n+LR = 0.2\r\n" in shown and "notes.txt" not in shown
    assert "+\udcff\n" in repo.diff(first, second)
    assert repo.diff(second, second) == ""


def test_revisions_are_resolved_and_options_are_not_taken_for_one(repo: Repo) -> None:
    head = repo.head()
    repo.tag("run/1", head, "Run 1")
    assert [repo.resolve(name) for name in ("run/1", "main", "HEAD", head[:8])] == [head] * 4
    for name in ("refs/tags/run/1", BRANCH, f"{BRANCH}^0", f"{BRANCH}@{{0}}", "refs/tags/run/1^{commit}", f"{head}~0"):
        assert repo.resolve(name) == head, name
    second = repo.commit({"notes.txt": "b"}, "More")
    assert repo.resolve(f"{BRANCH}^") == head == repo.resolve(f"{second}^") and repo.resolve("refs/tags/run/2") is None
    repo.move_branch(head)
    assert [repo.resolve(name) for name in ("run/2", "--all", "-h", "", "a b", "HEAD~1")] == [None] * 6


def test_a_tag_holds_metrics_and_is_made_once(repo: Repo) -> None:
    first = repo.head()
    values = {"metrics": {"score": 0.5, "é": float("1e-12")}, "verdict": None}
    repo.tag("run/1", first, metrics_message("Run 1: faster", values))
    assert json.loads(repo.tag_message("run/1").partition("\n\n")[2]) == values
    repo.tag("run/1", first, "said again")
    assert "said again" not in repo.tag_message("run/1")
    second = repo.commit({"notes.txt": "b"}, "More")
    with pytest.raises(IntegrityError, match="tag run/1: names"):
        repo.tag("run/1", second, "moved")
    assert repo.resolve("run/1") == first


def test_a_broken_repository_is_named_with_gits_own_words(repo: Repo, folder: Path) -> None:
    objects = folder / ".git" / "objects"
    for path in objects.glob("??/*"):
        path.unlink()
    with pytest.raises(IntegrityError, match="git ls-tree failed: ") as caught:
        Repo(folder).read(repo.head())
    assert str(folder) in str(caught.value)


# A hostile or merely lively surrounding


def tell_a_story(repo: Repo, folder: Path) -> None:
    """Do everything that a workspace does with git, and check each result."""
    first = repo.head()
    (folder / "experiment.py").touch()
    sha = repo.commit({"experiment.py": "LR = 0.2\r\n", "notes.txt": "é\n"}, "Run 1: é", {"Step-Id": "k1"})
    assert repo.find_step("k1") == sha == repo.head() and repo.resolve("main") == sha
    repo.tag("run/1", sha, metrics_message("Run 1", {"é": 1}))
    assert "é" in repo.tag_message("run/1")
    assert repo.read(sha) == {"experiment.py": "LR = 0.2\r\n", "notes.txt": "é\n"}
    assert (folder / "experiment.py").read_bytes() == b"LR = 0.2\r\n"
    assert repo.dirty_files() == []
    assert "-LR = 0.1\n+LR = 0.2\r\n" in repo.diff(first, sha)
    commit = repo.log()[-1]
    assert (commit.subject, commit.trailers) == ("Run 1: é", {"Step-Id": "k1"})
    assert commit.files == ("experiment.py", "notes.txt") and commit.insertions == 2
    (folder / "experiment.py").write_text("by hand\n")
    assert repo.dirty_files() == ["experiment.py"]


def test_nothing_that_the_repository_names_is_run_and_its_forged_history_is_not_believed(
    repo: Repo, folder: Path, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    repo.commit({"notes.txt": "# Notes\n\n"}, "Second")
    victim = plant(folder, canary)
    assert [commit.subject for commit in repo.log()] == ["Start from template quadratic", "Second"]
    tell_a_story(repo, folder)
    assert not canary.exists() and victim.read_text() == VICTIM
    spring(folder)
    assert canary.exists(), "a person's git falls into the trap"


def test_no_signature_is_checked_by_a_program_that_the_repository_names(
    repo: Repo, folder: Path, tmp_path: Path
) -> None:
    raw = git(folder, "cat-file", "commit", "HEAD")
    signed = raw.replace("\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\n\n", 1)
    made = subprocess.run(
        ["git", "-C", folder, "hash-object", "-t", "commit", "-w", "--stdin"],
        input=signed, capture_output=True, text=True, check=True,
    )  # fmt: skip
    git(folder, "update-ref", BRANCH, made.stdout.strip())
    plant(folder, tmp_path / "canary")
    assert [commit.subject for commit in repo.log()] == ["Start from template quadratic"]
    assert not (tmp_path / "canary").exists()


def test_a_missing_object_is_fetched_from_nowhere(repo: Repo, folder: Path, tmp_path: Path) -> None:
    blob = git(folder, "rev-parse", "HEAD:notes.txt").strip()
    plant(folder, tmp_path / "canary")
    (folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(IntegrityError, match=r"notes\.txt of commit \w+ is missing"):
        repo.read(repo.head())
    assert not (tmp_path / "canary").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_of_another_user_is_read_and_written(repo: Repo, folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, 12345, 12345)
    tell_a_story(repo, folder)


def test_nothing_that_the_users_configuration_names_is_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary, home = tmp_path / "canary", tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(traps(folder, canary) + "[init]\n    defaultBranch = trunk\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    repo = Repo(folder)
    repo.create(FIRST, "Start")
    tell_a_story(repo, folder)
    assert not canary.exists()
    assert git(folder, "log", "-1", "--format=%an") == "scientist\n"


def test_a_git_that_we_were_started_from_is_not_disturbed_and_disturbs_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a hook, `git rebase --exec`, or a shell with leftovers."""
    canary, other = tmp_path / "canary", tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q", "-b", "main")
    (other / "a").write_text("a")
    git(other, "add", "a")
    before = {p: p.read_bytes() for p in other.rglob("*") if p.is_file()}
    for name, value in {
        "GIT_DIR": str(other / ".git"),
        "GIT_COMMON_DIR": str(other / ".git"),
        "GIT_WORK_TREE": str(other),
        "GIT_INDEX_FILE": str(other / ".git" / "index"),
        "GIT_OBJECT_DIRECTORY": str(other / ".git" / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(other / ".git" / "objects"),
        "GIT_NAMESPACE": "elsewhere",
        "GIT_PREFIX": "sub/",
        "GIT_EXTERNAL_DIFF": f"touch '{canary}'; cat",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.bare",
        "GIT_CONFIG_VALUE_0": "true",
        "GIT_CONFIG_PARAMETERS": "'trailer.separators'='#'",
        "GIT_AUTHOR_NAME": "Mallory",
        "GIT_EDITOR": f"touch '{canary}'",
        "GIT_PAGER": f"touch '{canary}'",
    }.items():
        monkeypatch.setenv(name, value)
    repo = Repo(folder)
    repo.create(FIRST, "Start")
    tell_a_story(repo, folder)
    assert {p: p.read_bytes() for p in other.rglob("*") if p.is_file()} == before
    assert not canary.exists()
    for name in [n for n in os.environ if n.startswith("GIT_")]:
        monkeypatch.delenv(name)
    repo.check_out({"experiment.py": "LR = 0.2\r\n"})
    assert_clean(folder)


def test_objects_and_references_are_asked_to_reach_the_disk(
    repo: Repo, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def fsync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(folder)))

    trace = tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
    monkeypatch.setattr(os, "fsync", fsync)
    before = set(folder.glob(".git/objects/??/*"))
    sha = repo.commit({"notes.txt": "new\n", "sub/a.py": "A = 1\n"}, "Durable")
    made = set(folder.glob(".git/objects/??/*")) - before
    repo.tag("run/1", sha, "Run 1")
    assert len(made) == 5, "two texts, two folders, a commit"
    for path in made:
        written, renamed = (synced.index(name) for name in (scratch_name(path), str(path.parent.relative_to(folder))))
        assert written < renamed
    assert ".git/objects" in synced, "new folders of objects"
    events = [json.loads(line) for line in trace.read_text().splitlines()]
    started = [e["argv"] for e in events if e["event"] == "start"]
    commands = [next(word for word in argv[1:] if "=" not in word and word != "-c") for argv in started]
    assert commands == ["update-ref", "read-tree", "tag"], "no other process"
    assert all("core.fsync=all" in argv for argv in started)


def scratch_name(path: Path) -> str:
    """Of a half-written object, below the work tree."""
    return f".agent/tmp/.{path.name}.{os.getpid()}.tmp"


# Kills


@pytest.mark.parametrize("lock", ["index.lock", "HEAD.lock", f"{BRANCH}.lock", "refs/tags/run/1.lock"])
def test_a_lock_that_a_killed_git_left_is_moved_to_rescue(
    repo: Repo, folder: Path, monkeypatch: pytest.MonkeyPatch, lock: str
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    path = folder / ".git" / lock
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half an index")
    sha = repo.commit({"notes.txt": "after the crash\n"}, "Run 1")
    repo.tag("run/1", sha, "Run 1")
    assert repo.head() == sha == repo.resolve("run/1")
    assert sum(waited) == pytest.approx(1.0)
    assert_clean(folder)
    rescue = folder / ".agent" / "rescue"
    (note,) = (rescue / "moved.txt").read_text().splitlines()
    (moved,) = [p for p in rescue.iterdir() if p.name != "moved.txt"]
    assert moved.read_bytes() == b"half an index" and f"{moved.name} was .git/{lock}, left by a git" in note


def test_a_lock_of_a_git_that_is_still_at_work_is_waited_for(repo: Repo, folder: Path) -> None:
    lock = folder / ".git" / "index.lock"
    lock.touch()
    holder = subprocess.Popen(["sh", "-c", 'sleep 0.2; rm "$1"', "sh", str(lock)])
    repo.commit({"notes.txt": "next\n"}, "Run 1")
    assert holder.wait() == 0
    assert not (folder / ".agent" / "rescue").exists()
    assert_clean(folder)


COMMITTER = """
import sys
from pathlib import Path
from agent.edges.git.repo import Repo
from agent.edges.git.safe import SafeGit
repo = Repo(Path(sys.argv[1]))
for n in range(int(sys.argv[2]), 10**6):
    print(n, flush=True)
    changes = {"experiment.py": f"N = {n}\\n", "notes.txt": f"{n}\\n"}
    if repo.find_step(f"k{n}"):
        repo.check_out(changes)
    else:
        repo.commit(changes, f"Commit {n}", {"Step-Id": f"k{n}"})
    repo.tag(f"run/{n}", repo.find_step(f"k{n}"), f"Run {n}")
"""


def test_a_kill_at_any_moment_of_a_commit_loses_and_doubles_nothing(repo: Repo, folder: Path) -> None:
    """The committer is killed with all its gits, again and again, and goes on after its last announcement."""
    number = 1
    for round_ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", COMMITTER, str(folder), str(number)], stdout=subprocess.PIPE, start_new_session=True
        )
        assert process.stdout
        assert int(process.stdout.readline()) == number
        if round_ == 11:
            number += 1
            assert int(process.stdout.readline()) == number, "a slow machine gets there too"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.011 * round_ + 0.003)
        os.killpg(process.pid, 9)
        number = max([number, *(int(line) for line in process.stdout.read().split())])
        process.stdout.close()
        process.wait()
        kept = repo.log()
        assert [c.subject for c in kept[1:]] == [f"Commit {n}" for n in range(1, len(kept))]
        assert len(kept) - 1 in (number - 1, number)
        assert git(folder, "fsck", "--strict", "--no-dangling", "--connectivity-only") == ""
    changes = {"experiment.py": f"N = {number}\n", "notes.txt": f"{number}\n"}
    if not repo.find_step(f"k{number}"):
        repo.commit(changes, f"Commit {number}", {"Step-Id": f"k{number}"})
    repo.check_out(changes)
    sha = repo.find_step(f"k{number}")
    assert sha == repo.head()
    repo.tag(f"run/{number}", sha, "Run")
    assert_clean(folder)
    assert number > 1
    assert all(repo.resolve(f"run/{n}") == repo.find_step(f"k{n}") for n in range(max(1, number - 5), number + 1))


def test_a_commit_that_fails_leaves_branch_and_work_tree(
    repo: Repo, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = repo.head()
    run: Callable[..., str] = SafeGit(folder).run

    def fail_at_update(*arguments: str, **options: object) -> str:
        if arguments[0] == "update-ref":
            arguments = ("update-ref", BRANCH, arguments[2], "1" * 40)  # somebody moved the branch meanwhile
        return run(*arguments, **options)

    monkeypatch.setattr(repo, "_run", fail_at_update)
    with pytest.raises(IntegrityError, match="git update-ref failed"):
        repo.commit({"experiment.py": "new\n"}, "Run 1")
    assert repo.head() == head and (folder / "experiment.py").read_text() == FIRST["experiment.py"]
    assert list((folder / ".agent" / "tmp").iterdir()) == []
    assert_clean(folder)


def test_a_file_that_git_lost_is_named(repo: Repo, folder: Path) -> None:
    blob = git(folder, "rev-parse", "main:notes.txt").strip()
    (folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(IntegrityError, match=r"notes\.txt of commit .* is missing from \.git; restore"):
        Repo(folder).read(repo.head())


def test_reading_works_where_nothing_can_be_written(repo: Repo, folder: Path) -> None:
    (folder / ".agent" / "tmp").rmdir()
    (folder / ".agent").rmdir()
    assert Repo(folder).read(repo.head()) == FIRST and Repo(folder).dirty_files() == []
    assert not (folder / ".agent").exists()


def test_every_reference_is_told_with_its_commit(repo: Repo, folder: Path) -> None:
    first = repo.head()
    repo.tag("run/1", first, metrics_message("Run 1", {}))
    second = repo.commit({"notes.txt": "more"}, "More")
    git(folder, "update-ref", "refs/rescue/1", first)
    assert repo.refs() == {BRANCH: second, "refs/rescue/1": first, "refs/tags/run/1": first}


SHOT = """#!/bin/sh
case "$*" in
*" {command} "*) [ "$(wc -l < {count})" -lt {times} ] && {{ echo shot >> {count}; {first}; kill -9 $$; }} ;;
esac
exec {git} "$@"
"""


@pytest.mark.parametrize("first", [":", '{git} "$@" > /dev/null', "touch .git/refs/heads/main.lock"])
@pytest.mark.parametrize("command", ["update-ref", "read-tree", "tag"])
def test_a_git_that_is_killed_is_run_again_and_leaves_nothing_behind(
    command: str, first: str, repo: Repo, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its work, after it, and halfway."""
    real = shutil.which("git")
    shoot(tmp_path, monkeypatch, command, first.format(git=real), 1)
    monkeypatch.setattr(locks, "MOMENT_S", 0.1)
    commit = repo.commit({"experiment.py": "LR = 0.7\n"}, "Faster", {"Step-Id": "abc"})
    repo.tag("run/7", commit, "Run 7\n")
    assert repo.read(commit)["experiment.py"] == "LR = 0.7\n" and repo.resolve("run/7") == repo.head() == commit
    assert (tmp_path / "count").read_text() == "shot\n"
    monkeypatch.undo()
    assert not list((folder / ".agent" / "tmp").iterdir()) and not locks.find_locks(folder / ".git")


def test_a_git_that_is_killed_twice_is_named_with_the_signal(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shoot(tmp_path, monkeypatch, "log", ":", 2)
    with pytest.raises(OSError, match="git log was killed by SIGKILL, twice") as caught:
        repo.log()
    assert say_fault(caught.value, tmp_path).endswith("git log was killed by SIGKILL, twice; then resume")


def test_words_of_git_over_several_lines_become_one(folder: Path, repo: Repo) -> None:
    with pytest.raises(IntegrityError) as caught:
        SafeGit(folder).run("rev-parse", "nobody")
    assert "ambiguous argument" in str(caught.value) and "\n" not in str(caught.value)


def shoot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, first: str, times: int) -> None:
    """From now on the first git commands of that name kill themselves."""
    count = tmp_path / "count"
    count.write_text("")
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(SHOT.format(command=command, count=count, first=first, times=times, git=shutil.which("git")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def test_a_message_and_a_reference_of_somebody_else_may_hold_any_character(repo: Repo, folder: Path) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    git(folder, *identity, "commit", "--allow-empty", "-m", "a\x01b\x1fc\x85d: e")
    git(folder, "branch", "a\u2028b\x85c")
    assert repo.log()[-1].subject == "a\x01b\x1fc\x85d: e"
    assert repo.refs()["refs/heads/a\u2028b\x85c"] == repo.head()
