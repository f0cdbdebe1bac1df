from __future__ import annotations

import errno
import os
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.edges.git import objects
from agent.edges.git.objects import Objects, bytes_of, make_commit
from agent.edges.git.repo import Repo
from agent.errors import IntegrityError

FILES = {"a.py": "A = 1\n", "a/b.py": "B = 1\n", "a-c": "", "ab": "x"}


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = Repo(tmp_path, clock=lambda: 1_700_000_000.7)
    repo.create(FILES, "Begin")
    return repo


@pytest.fixture
def loose(repo: Repo) -> Objects:
    return Objects(repo.folder / ".git", repo.folder)


def git(repo: Repo, *arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["git", "-C", repo.folder, *arguments], input=stdin, capture_output=True, check=True)
    return done.stdout.decode("utf-8", "surrogateescape").strip()


def place(repo: Repo, sha: str) -> Path:
    return repo.folder / ".git" / "objects" / sha[:2] / sha[2:]


def test_git_makes_the_same_objects_of_the_same_content(
    repo: Repo, loose: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loose.write("blob", b"text\0\xff") == git(repo, "hash-object", "-w", "--stdin", stdin=b"text\0\xff")
    tree = git(repo, "rev-parse", "HEAD^{tree}")
    assert tree == git(repo, "mktree", "-z", stdin=bytes_of(git(repo, "ls-tree", "-z", "HEAD")))
    for zone in ("UTC", "Asia/Kathmandu", "America/St_Johns"):
        monkeypatch.setenv("TZ", zone)
        objects.time.tzset()
        now = "1700000000"
        monkeypatch.setenv("GIT_AUTHOR_DATE", now)
        monkeypatch.setenv("GIT_COMMITTER_DATE", now)
        names = ("-c", "user.name=A B", "-c", "user.email=a@b")
        theirs = git(repo, *names, "commit-tree", tree, "-p", repo.head(), "-m", "Umläut")
        assert loose.write("commit", make_commit(tree, repo.head(), "Umläut\n", "A B <a@b>", float(now))) == theirs
    monkeypatch.undo()
    objects.time.tzset()
    git(repo, "fsck", "--strict")


@given(names=st.sets(st.text(st.sampled_from("ab.-/0\udcff"), min_size=1, max_size=7), max_size=8))
def test_a_tree_is_read_as_it_was_written_or_refused(names: set[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "trees"
    (folder / "objects").mkdir(parents=True, exist_ok=True)
    loose = Objects(folder, folder)
    files = {name: ("100644", loose.write("blob", bytes_of(name))) for name in names}
    parts = [name.split("/") for name in names]
    odd = any(part in ("", ".", "..") for path in parts for part in path)
    both = any(other.startswith(f"{name}/") for name in names for other in names)
    if odd or both:
        with pytest.raises(ValueError, match=r"git keeps no file|is a file and a folder"):
            loose.write_tree(files)
    else:
        commit = loose.write("commit", make_commit(loose.write_tree(files), "", "m", "a <b>", 0.0))
        assert loose.files(commit) == files
        assert list(loose.files(commit) or ()) == sorted(files, key=bytes_of)


@pytest.mark.parametrize("name", ["sub/.git/config", ".GIT", "../up", "/root", "a.py/below"])
def test_a_name_that_git_would_not_keep_is_refused(repo: Repo, name: str) -> None:
    head = repo.head()
    with pytest.raises(IntegrityError, match="cannot be committed"):
        repo.commit({name: "x"}, "No")
    assert repo.head() == head


def test_packed_objects_are_read_by_git(repo: Repo, loose: Objects) -> None:
    second = repo.commit({"a.py": "A = 2\n"}, "Two", {"Step-Id": "k2"})
    repo.tag("run/1", second, "Run 1\n")
    git(repo, "gc", "-q")
    assert loose.read(second, "commit") is None and loose.files(second) is None
    again = Repo(repo.folder)
    assert again.read(second) == {**FILES, "a.py": "A = 2\n"} and again.find_step("k2") == second
    assert again.resolve("refs/tags/run/1") == second and again.tag_message("run/1") == "Run 1\n"
    third = again.commit({"a/b.py": "B = 3\n"}, "Three", {"Step-Id": "k3"})
    assert Repo(repo.folder).read(third) == {**FILES, "a.py": "A = 2\n", "a/b.py": "B = 3\n"}
    assert [again.find_step(key) for key in ("k3", "k2", "k1")] == [third, second, None]
    git(repo, "fsck", "--strict")


def test_what_is_not_as_git_writes_it_is_left_to_git(repo: Repo, loose: Objects) -> None:
    sha = git(repo, "rev-parse", "HEAD:a.py")
    path, sound = place(repo, sha), place(repo, sha).read_bytes()
    other = zlib.compress(b"blob 6\0A = 2\n")
    for content in (sound[:-4], b"", b"blob 6\0A = 1\n", other, zlib.compress(b"blob 99\0A = 1\n")):
        path.unlink()
        path.write_bytes(content)
        assert loose.read(sha, "blob") is None
    path.unlink()
    os.mkfifo(path)
    assert loose.read(sha, "blob") is None
    path.unlink()
    (repo.folder / "elsewhere").write_bytes(sound)
    path.symlink_to(repo.folder / "elsewhere")
    assert loose.read(sha, "blob") is None
    assert [loose.read(name, "blob") for name in ("", "..", "../../../etc/passwd", sha[:39], sha.upper())] == [None] * 5
    path.unlink()
    path.write_bytes(sound)
    assert loose.read(sha, "blob") == b"A = 1\n" and loose.read(sha, "tree") is None


def test_an_object_that_grows_without_end_is_left_to_git(
    repo: Repo, loose: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = loose.write("blob", b"\0" * 100_000)
    assert loose.read(sha, "blob") == b"\0" * 100_000
    monkeypatch.setattr(objects, "MOST_BYTES", 50_000)
    assert loose.read(sha, "blob") is None


def test_a_link_to_another_repository_in_a_tree_is_left_to_git(repo: Repo, loose: Objects) -> None:
    tree = git(repo, "mktree", stdin=f"160000 commit {repo.head()}\tsub\n".encode())
    commit = loose.write("commit", make_commit(tree, "", "m", "a <b>", 0.0))
    assert loose.files(commit) is None


def test_objects_on_another_disk_are_written_there(repo: Repo, loose: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def across(self: Path, target: Path) -> Path:
        if self.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", across)
    sha = loose.write("blob", b"far away")
    assert loose.read(sha, "blob") == b"far away"


def test_a_merge_of_a_person_is_searched_by_git(repo: Repo) -> None:
    first = repo.commit({"ab": "1"}, "One", {"Step-Id": "k1"})
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    git(repo, "checkout", "-q", "-b", "side", f"{first}~1")
    git(repo, *identity, "commit", "-q", "--allow-empty", "-m", "Aside\n\nStep-Id: k5")
    git(repo, "checkout", "-q", "main")
    git(repo, *identity, "merge", "-q", "--no-edit", "side")
    assert repo.find_step("k1") == first and repo.find_step("k5") == git(repo, "rev-parse", "side")
