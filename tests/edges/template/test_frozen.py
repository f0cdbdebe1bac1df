from __future__ import annotations

import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.edges.template import frozen
from agent.edges.template.frozen import (
    LARGE_BYTES,
    MOST_GIB,
    check_frozen,
    freeze_template,
    hash_folder,
    unplant,
    walk_template,
)
from agent.edges.template.load import load_template
from agent.errors import IntegrityError, UsageError
from tests.paths import QUADRATIC


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(QUADRATIC, tmp_path / "a template's folder" / "quadratic")


def test_freezing_copies_everything_once(folder: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    copy = freeze_template(folder, store)
    assert copy == store / hash_folder(folder) and hash_folder(copy) == copy.name
    assert (copy / "sealed" / "evaluate.py").read_bytes() == (folder / "sealed" / "evaluate.py").read_bytes()
    stamp = copy.stat()
    assert freeze_template(folder, store) == copy == freeze_template(copy, store)
    assert copy.stat().st_ino == stamp.st_ino and [p.name for p in store.iterdir()] == [copy.name]


def test_changing_the_template_makes_another_copy_and_leaves_the_first(folder: Path, tmp_path: Path) -> None:
    first = freeze_template(folder, tmp_path / "store")
    (folder / "experiment.py").write_text("changed = 1\n")
    second = freeze_template(folder, tmp_path / "store")
    assert first != second
    check_frozen(first)
    check_frozen(second)


def test_every_byte_and_every_path_counts(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    (folder / "sub").mkdir(parents=True)
    (folder / "experiment.py").write_bytes(b"ab")
    (folder / "sub" / "b.py").write_bytes(b"c")
    hashes = {hash_folder(folder)}

    def expect_another() -> None:
        size = len(hashes)
        hashes.add(hash_folder(folder))
        assert len(hashes) == size + 1

    for content in (b"aB", b"\x00b", b"abc", b"a", b"", b"ab\n"):
        (folder / "experiment.py").write_bytes(content)
        expect_another()
    (folder / "sub" / "b.py").rename(folder / "sub" / "B.py")
    expect_another()
    (folder / "sub" / "B.py").rename(folder / "b.py")
    expect_another()
    (folder / "empty").touch()
    expect_another()
    (folder / os.fsdecode(b"not UTF-8 \xff")).touch()
    expect_another()
    (folder / "new\nline").touch()
    expect_another()


def test_the_place_of_the_folder_and_what_python_leaves_do_not_count(folder: Path, tmp_path: Path) -> None:
    before = hash_folder(folder)
    moved = folder.rename(tmp_path / "elsewhere")
    for name in ("__pycache__/a.pyc", "sealed/__pycache__/b.pyc", ".git/config", ".venv/bin/python"):
        (moved / name).parent.mkdir(parents=True, exist_ok=True)
        (moved / name).write_text("x")
    assert hash_folder(moved) == before
    copy = freeze_template(moved, tmp_path / "store")
    assert not list(copy.rglob("__pycache__")) and not (copy / ".git").exists()


def test_links_are_frozen_as_what_they_name(folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "datasets"
    data.mkdir()
    (data / "train.bin").write_bytes(b"1")
    (folder / "data").symlink_to(data)
    (folder / "one").symlink_to(data / "train.bin")
    (folder / ".#experiment.py").symlink_to("user@host.1234")  # an editor's lock
    copy = freeze_template(folder, tmp_path / "store")
    check_frozen(copy)
    assert load_template(copy).hash == copy.name == hash_folder(folder)
    assert (copy / "data" / "train.bin").read_bytes() == b"1" and not (copy / "one").is_symlink()
    (data / "train.bin").write_bytes(b"2")
    assert hash_folder(folder) != copy.name
    check_frozen(copy)


def make_writable(copy: Path) -> None:
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755)


def test_files_of_a_frozen_copy_are_read_only(folder: Path, tmp_path: Path) -> None:
    copy = freeze_template(folder, tmp_path / "store")
    assert {stat.S_IMODE(path.stat().st_mode) for path in copy.rglob("*") if path.is_file()} == {0o444}
    assert stat.S_IMODE((folder / "experiment.py").stat().st_mode) & 0o200


def test_compiled_files_planted_beside_sealed_sources_are_removed(folder: Path, tmp_path: Path) -> None:
    copy = freeze_template(folder, tmp_path / "store")
    make_writable(copy)
    elsewhere = tmp_path / "precious"
    elsewhere.mkdir()
    (elsewhere / "mine").touch()
    (copy / "sealed" / "__pycache__" / "sub").mkdir(parents=True)
    (copy / "sealed" / "__pycache__" / "evaluate.cpython-311.pyc").write_bytes(b"forged")
    (copy / "sealed" / "__pycache__" / "link").symlink_to(elsewhere / "mine")
    (copy / "profiles" / "__pycache__").symlink_to(elsewhere)
    check_frozen(copy)  # the hash passes them over
    unplant(copy)
    assert not [p for p in copy.rglob("*") if p.name == "__pycache__"]
    assert (elsewhere / "mine").exists()
    (copy / "sealed" / "__pycache__").mkdir()
    freeze_template(folder, tmp_path / "store")  # a launch that finds the copy prepares data with it
    assert not (copy / "sealed" / "__pycache__").exists()


def test_compiled_files_that_two_ideas_remove_at_once_are_no_failure(folder: Path, tmp_path: Path) -> None:
    copy = freeze_template(folder, tmp_path / "store")
    for _ in range(20):
        (copy / "sealed" / "__pycache__").mkdir()
        for number in range(100):
            (copy / "sealed" / "__pycache__" / f"{number}.pyc").touch()
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(unplant, [copy] * 4)) == [None] * 4
        assert not (copy / "sealed" / "__pycache__").exists()
    check_frozen(copy)


@pytest.mark.parametrize("change", ["add", "alter", "remove", "link", "all"])
def test_a_frozen_copy_that_changed_is_refused_and_a_launch_makes_it_anew(
    folder: Path, tmp_path: Path, change: str
) -> None:
    copy = freeze_template(folder, tmp_path / "store")
    make_writable(copy)
    match change:
        case "add":
            (copy / "new.txt").touch()
        case "alter":
            (copy / "plot.py").write_text("")
        case "remove":
            (copy / "plot.py").unlink()
        case "link":
            (copy / "plot.py").unlink()
            (copy / "plot.py").symlink_to("plot.py")
        case "all":
            shutil.rmtree(copy)
    with pytest.raises(IntegrityError, match="is missing" if change == "all" else "was changed"):
        check_frozen(copy)
    assert freeze_template(folder, tmp_path / "store") == copy
    check_frozen(copy)
    aside = [p for p in copy.parent.iterdir() if p != copy]
    assert [p.name.rpartition(".")[0] for p in aside] == ([f".{copy.name}.changed"] if change != "all" else [])


@pytest.mark.parametrize("is_whole", [True, False])
def test_two_launches_that_freeze_at_once_agree(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_whole: bool
) -> None:
    store = tmp_path / "store"

    def another_is_faster(source: Path, target: Path) -> object:
        monkeypatch.undo()
        other = shutil.copytree(folder, store / hash_folder(folder))
        if not is_whole:
            (other / "plot.py").unlink()
        return shutil.copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", another_is_faster)
    copy = freeze_template(folder, store)
    assert [p.name for p in store.iterdir() if not p.name.startswith(".")] == [copy.name]
    check_frozen(copy)


def test_a_template_that_changes_while_it_is_copied_gives_no_copy(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(source: Path, target: Path) -> object:
        monkeypatch.undo()
        (folder / "plot.py").write_text("saved = 1\n")
        return shutil.copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", save)
    with pytest.raises(UsageError, match="changed while it was copied; launch again"):
        freeze_template(folder, tmp_path / "store")
    assert list((tmp_path / "store").iterdir()) == []


LINKED = ("experiment.py", "plot.py", "prompt.md", "template.toml", "sealed", "sealed/evaluate.py", "profiles")


def put_links(folder: Path, beside: Path, form: str) -> None:
    """Move the files of LINKED to `beside`, and leave links of that form in their places."""
    beside.mkdir()
    for number, name in enumerate(LINKED):
        place, real = folder / name, beside / str(number)
        place.rename(real)
        chain = beside / f"chain-{number}"
        chain.symlink_to(real.name)
        target = {"relative": os.path.relpath(real, place.parent.resolve()), "absolute": real, "chain": chain}[form]
        place.symlink_to(target)


@pytest.mark.parametrize("form", ["relative", "absolute", "chain"])
def test_links_of_any_form_and_to_any_place_give_the_copy_that_files_give(
    folder: Path, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "again.py").symlink_to("experiment.py")  # within the template
    before = freeze_template(folder, tmp_path / "first")
    put_links(folder, tmp_path / "beside", form)
    monkeypatch.chdir("/")
    copy = freeze_template(folder, tmp_path / "store")
    assert copy.name == before.name == load_template(folder).hash
    assert load_template(copy).files == load_template(before).files
    assert [p for p in copy.rglob("*") if p.is_symlink()] == []
    shutil.rmtree(tmp_path / "beside")
    check_frozen(copy)


def test_a_link_to_the_template_itself_is_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "named").symlink_to(os.path.relpath(folder, tmp_path))
    assert freeze_template(tmp_path / "named", tmp_path / "store") == freeze_template(folder, tmp_path / "store")


BAD_LINKS = {
    "nowhere": ("../gone.py", "is a link to ../gone.py, which is not there"),
    "below-a-file": ("experiment.py/x", "is a link to experiment.py/x, which is not there"),
    "itself": ("itself", "is a link to itself, which leads in a circle"),
    "home": (".", "is a link to a folder in which it lies"),
    "up": ("..", "is a link to a folder in which it lies"),
    "null": ("/dev/null", "is a pipe, socket or device"),
}


@pytest.mark.parametrize("name", BAD_LINKS)
@pytest.mark.parametrize("place", ["", "sealed"])
def test_a_link_that_cannot_be_followed_is_refused_before_anything_is_copied(
    folder: Path, tmp_path: Path, name: str, place: str
) -> None:
    target, problem = BAD_LINKS[name]
    (folder / place / name).symlink_to(target)
    if place and name == "below-a-file":
        problem = "which is not there"
    for read in (load_template, hash_folder, lambda folder: freeze_template(folder, tmp_path / "store")):
        with pytest.raises(UsageError) as refused:
            read(folder)
        assert problem in str(refused.value) and f"/{name}" in refused.value.where
    assert not (tmp_path / "store").exists()


def test_a_folder_without_end_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / Path(*["d"] * 101)).mkdir(parents=True)
    with pytest.raises(UsageError, match="lies deeper than 100 folders"):
        hash_folder(folder)
    shutil.rmtree(folder / "d")
    monkeypatch.setattr(frozen, "MOST_FILES", 3)
    with pytest.raises(UsageError, match="holds more than 3 files"):
        hash_folder(folder)


def test_a_pipe_in_the_template_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(UsageError, match="pipe: is a pipe, socket or device"):
        freeze_template(folder, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_data_of_many_gibibytes_are_refused_before_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "tpl" / "data").mkdir(parents=True)
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate((MOST_GIB << 30) + 1)  # a hole: it takes no room
    (tmp_path / "tpl" / "data" / "train.bin").symlink_to(tmp_path / "large.bin")
    with pytest.raises(UsageError, match=r"holds more than 16 GiB, as data/train\.bin; keep data elsewhere") as raised:
        list(walk_template(tmp_path / "tpl"))
    assert raised.value.where == f"template {tmp_path / 'tpl'}"


@pytest.mark.parametrize("target", ["{}/.ssh/id_rsa", "{}/.config", "/etc/hostname", "/proc/self", "chain"])
def test_a_link_to_keys_or_settings_is_refused(folder: Path, tmp_path: Path, target: str) -> None:
    for name in (".ssh/id_rsa", ".config/hub/token", ".cache/hub/train.bin"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("k")
    (tmp_path / "chain").symlink_to(tmp_path / ".ssh")
    (folder / "datasets").symlink_to(tmp_path / ".cache" / "hub")
    (folder / "notes").mkdir()
    hash_folder(folder)
    (folder / "notes" / "x").symlink_to(tmp_path / "chain" if target == "chain" else target.format(tmp_path))
    with pytest.raises(
        UsageError, match="where keys and settings are kept, and runs would read it; remove it"
    ) as caught:
        freeze_template(folder, tmp_path / "store")
    assert caught.value.where == str(folder / "notes" / "x") and not list((tmp_path / "store").glob("*"))


def test_a_large_file_is_read_once_until_it_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = folder / "large.bin"
    large.write_bytes(b"a" * LARGE_BYTES)
    monkeypatch.setattr(frozen, "SETTLED_NS", -1)
    read: list[str] = []
    digest = frozen._digest
    monkeypatch.setattr(frozen, "_digest", lambda path: read.append(path.name) or digest(path))  # type: ignore[func-returns-value]
    first = hash_folder(folder)
    assert hash_folder(folder) == first and read.count("large.bin") == 1 and read.count("experiment.py") == 2
    stamps = large.stat()
    large.write_bytes(b"b" * LARGE_BYTES)
    os.utime(large, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
    assert hash_folder(folder) != first, "the time of its last change cannot be set back"


def test_copies_that_differ_in_code_alone_share_their_large_files(folder: Path, tmp_path: Path) -> None:
    (folder / "sets").mkdir()
    large = folder / "sets" / "[a] large.bin"
    large.write_bytes(b"a" * LARGE_BYTES)
    copies = [freeze_template(folder, tmp_path / "store")]
    for change in ("code", "data"):
        (folder / "experiment.py").write_text(f"change = {change!r}\n")
        if change == "data":
            large.write_bytes(b"b" * LARGE_BYTES)
        copies.append(freeze_template(folder, tmp_path / "store"))
    files = [(copy / "sets" / large.name).stat() for copy in copies]
    assert files[0].st_ino == files[1].st_ino != files[2].st_ino and not files[0].st_mode & 0o222
    for copy in copies:
        check_frozen(copy)
