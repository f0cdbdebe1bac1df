from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.core.inputs.idea import Idea
from agent.core.journal.events import Launched
from agent.edges.run import figures
from agent.edges.run import publish as module
from agent.edges.run.figures import FIGURE_CAP_BYTES, MOST_LOOKED_AT, find_figures
from agent.edges.run.publish import collect_figures, publish_run
from agent.edges.template.frozen import freeze_template
from agent.edges.template.load import load_template
from agent.edges.workspace.layout import Workspace, create_batch, template_store
from agent.errors import IntegrityError
from tests.edges.system.test_deep_folders import dig
from tests.paths import QUADRATIC


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    template = load_template(freeze_template(QUADRATIC, template_store(tmp_path / "o'brien's work")))
    idea = Idea(Name="momentum", Title="T", Experiment="E")
    return create_batch(tmp_path / "o'brien's work", "batch", [idea], template, Launched())[0]


@pytest.fixture
def steps(workspace: Workspace) -> tuple[Path, Path]:
    """The folders of a run that completed and of its evaluation."""
    run, evaluate = workspace.step_folder("run_3.1"), workspace.step_folder("run_3.1.evaluate")
    (run / "work" / "run_3" / "sub").mkdir(parents=True)
    (run / "work" / "run_3" / "final_info.json").write_text('{"loss": 1}')
    (run / "work" / "run_3" / "sub" / "weights.bin").write_bytes(b"\0")
    (run / "log.txt").write_bytes(b"the log \xff")
    (evaluate / "work").mkdir(parents=True)
    (evaluate / "work" / "evaluation.json").write_text('{"score": 0.5}')
    return run, evaluate


PUBLISHED = {
    "final_info.json": b'{"loss": 1}',
    "sub/weights.bin": b"\0",
    "log.txt": b"the log \xff",
    "evaluation.json": b'{"score": 0.5}',
}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if not p.is_dir()}


def test_a_run_is_published_whole_with_log_and_evaluation(workspace: Workspace, steps: tuple[Path, Path]) -> None:
    assert publish_run(workspace, 3, *steps, "key") == workspace.path / "run_3"
    assert contents(workspace.path / "run_3") == PUBLISHED
    assert list((workspace.agent / "tmp").iterdir()) == []


def test_publishing_again_changes_nothing(workspace: Workspace, steps: tuple[Path, Path]) -> None:
    publish_run(workspace, 3, *steps, "key")
    (steps[0] / "log.txt").write_text("another")
    publish_run(workspace, 3, *steps, "key")
    publish_run(workspace, 3, *steps, "another key")
    assert contents(workspace.path / "run_3") == PUBLISHED


def test_a_run_without_evaluation_is_published_as_it_is(workspace: Workspace, steps: tuple[Path, Path]) -> None:
    publish_run(workspace, 3, steps[0], None, "key")
    assert contents(workspace.path / "run_3") == {k: v for k, v in PUBLISHED.items() if k != "evaluation.json"}


class Crash(BaseException):
    """The orchestrator is gone."""


def test_a_crash_at_any_step_of_publishing_leaves_nothing_half_published(
    workspace: Workspace, steps: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted before and after every change to the disk in turn, and then begun anew."""
    saved = workspace.agent / "saved"
    shutil.copytree(workspace.attempts, saved)
    crashes = 0
    for point in range(100):
        left = point

        def crash_at(function: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: object, **options: object) -> object:
                nonlocal left
                left -= 1
                if left == -1:
                    raise Crash
                result = function(*arguments, **options)
                left -= 1
                if left == -1:
                    raise Crash
                return result

            return call

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", crash_at(Path.rename))
            patch.setattr(module, "_leave_out", crash_at(module._leave_out))
            patch.setattr(module, "_clear", crash_at(module._clear))
            patch.setattr(module, "write_durably", crash_at(module.write_durably))
            patch.setattr(module, "fsync_folder", crash_at(module.fsync_folder))
            try:
                publish_run(workspace, 3, *steps, "key")
            except Crash:
                crashes += 1
            else:
                break
        final = workspace.path / "run_3"
        assert not final.exists() or contents(final) == PUBLISHED
        publish_run(workspace, 3, *steps, "key")
        assert contents(final) == PUBLISHED
        shutil.rmtree(final)
        shutil.rmtree(workspace.attempts)
        shutil.copytree(saved, workspace.attempts)
    assert crashes >= 14


@pytest.mark.parametrize("name", ["log.txt", "evaluation.json"])
@pytest.mark.parametrize("planted", ["link", "dangling link", "folder", "pipe", "file"])
def test_what_an_experiment_planted_under_our_names_is_replaced(
    workspace: Workspace, steps: tuple[Path, Path], tmp_path: Path, name: str, planted: str
) -> None:
    place = steps[0] / "work" / "run_3" / name
    precious = tmp_path / "precious"
    precious.write_text("mine")
    match planted:
        case "link":
            place.symlink_to(precious)
        case "dangling link":
            place.symlink_to(tmp_path / "absent")
        case "folder":
            (place / "sub").mkdir(parents=True)
        case "pipe":
            os.mkfifo(place)
        case "file":
            place.write_text("forged")
    publish_run(workspace, 3, *steps, "key")
    assert contents(workspace.path / "run_3") == PUBLISHED
    assert precious.read_text() == "mine" and not (tmp_path / "absent").exists()


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\x03IDATabcCRC.\0\0\0\0IENDCRC."


def test_figures_are_collected_from_regular_files_alone(workspace: Workspace, tmp_path: Path) -> None:
    step = workspace.step_folder("plot.1")
    work = step / "work"
    work.mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(PNG)
    kept = {"b.png": PNG, "a figure's é.pdf": b"%PDF-1.7 %%EOF", "c.svg": b"<svg/>", "LOUD.PNG": PNG}
    for name, content in kept.items():
        (work / name).write_bytes(content)
    (work / "link.png").symlink_to(tmp_path / "secret.png")
    os.link(tmp_path / "secret.png", work / "hard.png")
    os.mkfifo(work / "pipe.png")
    (work / "folder.png").mkdir()
    (work / "folder.png" / "inner.png").touch()
    (work / "run_1").symlink_to(tmp_path)  # earlier runs are links
    (work / "text.txt").touch()
    with (work / "huge.png").open("wb") as file:
        file.truncate(FIGURE_CAP_BYTES + 1)
    assert collect_figures(workspace, step) == sorted(kept) == collect_figures(workspace, step)
    assert contents(workspace.path / "plots") == kept


def test_figures_of_sub_folders_are_collected_under_names_of_their_own(workspace: Workspace) -> None:
    step = workspace.step_folder("plot.1")
    for name in ("figs/deep/a.png", "figs_deep_a.png", "logo.png"):
        (step / "work" / name).parent.mkdir(parents=True, exist_ok=True)
        (step / "work" / name).write_bytes(PNG + name.encode())
    names = collect_figures(workspace, step, given=("logo.png",))
    assert names == ["figs_deep_a.png", "1_figs_deep_a.png"]
    assert (workspace.path / "plots" / names[0]).read_bytes() == PNG + b"figs/deep/a.png"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.png", b"", "a.png is empty"),
        ("a.svg", b" \n", "a.svg is empty"),
        ("a.png", b"x", "a.png is no PNG"),
        ("a.png", PNG[:-8], "a.png is cut short"),
        ("a.png", PNG[:8] + b"IEND", "a.png is cut short"),
        ("a.svg", b"x", "a.svg is no SVG"),
        ("a.svg", b"<html><body>svg</body></html>", "a.svg is no SVG"),
        ("a.svg", b'<?xml version="1.0"?>\n<svg xmlns="x"><path d="M 0 0', "a.svg is cut short"),
        ("a.pdf", b"hello", "a.pdf is no PDF"),
        ("a.pdf", b"%PDF-1.7", "a.pdf is cut short"),
        ("figs/a.jpeg", b"x", "figs/a.jpeg is none of .png, .pdf, .svg"),
        ("notes.md", b"x", "it left no file of .png, .pdf, .svg"),
    ],
)
def test_files_that_are_no_figure_are_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    found = find_figures(tmp_path)
    assert found.paths == {}
    assert found.say_none("python plot.py") == f"`python plot.py` ended without drawing a figure: {said}"


@pytest.mark.parametrize("count", [3, MOST_LOOKED_AT + 3])
def test_so_many_files_are_looked_at_and_no_more(tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "MOST_BYTES", 2 * len(PNG) if count == 3 else 1 << 30)
    for number in range(count):
        (tmp_path / f"{number:04}.png").write_bytes(PNG if count == 3 else b"")
    found = find_figures(tmp_path)
    left, first = (1, "0002.png") if count == 3 else (3, f"{MOST_LOOKED_AT:04}.png")
    assert len(found.paths) == (2 if count == 3 else 0)
    assert found.problems[-1] == f"{left} more files were not looked at, {first} first: there are too many"


def test_figures_with_the_longest_names_are_kept(workspace: Workspace) -> None:
    step = workspace.step_folder("plot.1")
    folder = step / "work" / ("d" * 255)
    folder.mkdir(parents=True)
    for letter in ("\u00e9", "\u754c"):
        name = letter * ((255 - 4) // len(letter.encode())) + ".png"
        for place in (step / "work", folder):
            (place / name).write_bytes(PNG)
    names = collect_figures(workspace, step)
    assert len(set(names)) == 4 and all((workspace.path / "plots" / name).read_bytes() == PNG for name in names)


def test_a_plot_that_left_no_figure_makes_no_folder(workspace: Workspace) -> None:
    (workspace.step_folder("plot.1") / "work").mkdir(parents=True)
    assert collect_figures(workspace, workspace.step_folder("plot.1")) == []
    assert not (workspace.path / "plots").exists()


# What an experiment may have left among its outputs


@pytest.fixture
def outputs(steps: tuple[Path, Path]) -> Path:
    return steps[0] / "work" / "run_3"


def publish(workspace: Workspace, steps: tuple[Path, Path]) -> tuple[Path, str]:
    """The published folder, and the end of its log."""
    published = publish_run(workspace, 3, *steps, "key")
    assert list((workspace.agent / "tmp").iterdir()) == []
    return published, (published / "log.txt").read_text(errors="replace").removeprefix("the log \ufffd")


def names_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


PLAIN = {"final_info.json", "sub", "sub/weights.bin", "log.txt", "evaluation.json"}


def test_pipes_sockets_and_devices_are_left_out_and_named(
    workspace: Workspace, steps: tuple[Path, Path], outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(outputs / "pipe")
    monkeypatch.chdir(outputs)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    if os.getuid() == 0:
        os.mknod(outputs / "disk", 0o60600, os.makedev(7, 0))
    published, told = publish(workspace, steps)
    assert names_in(published) == PLAIN
    assert "[left out of the published run: pipe is a pipe]\n" in told and "socket is a socket" in told
    assert ("disk is a device" in told) == (os.getuid() == 0)


def test_a_hard_link_is_left_out_and_the_file_elsewhere_keeps_its_mode(
    workspace: Workspace, steps: tuple[Path, Path], outputs: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    precious.chmod(0o640)
    (outputs / "stolen").hardlink_to(precious)
    published, told = publish(workspace, steps)
    assert names_in(published) == PLAIN and "stolen has links elsewhere" in told
    assert precious.stat().st_mode & 0o777 == 0o640 and precious.stat().st_nlink == 1


def test_hard_links_within_a_run_become_files_of_their_own(
    workspace: Workspace, steps: tuple[Path, Path], outputs: Path
) -> None:
    longest = "\u00e9" * 127  # 254 bytes
    for name in ("best.bin", longest):
        (outputs / name).hardlink_to(outputs / "sub" / "weights.bin")
    published, told = publish(workspace, steps)
    assert names_in(published) == PLAIN | {"best.bin", longest} and told == ""
    files = [published / "best.bin", published / longest, published / "sub" / "weights.bin"]
    assert [(path.read_bytes(), path.stat().st_nlink) for path in files] == [(b"\0", 1)] * 3


def test_links_are_kept_where_they_stay_inside(
    workspace: Workspace, steps: tuple[Path, Path], outputs: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("key")
    good = {"latest": "sub/weights.bin", "sub/up": "../final_info.json", "here": "."}
    bad = {
        "absolute": str(outputs / "final_info.json"),
        "outside": "../../../../../..",
        "round": f"../{outputs.name}/final_info.json",
        "trick": "here/../final_info.json",  # `here` is the folder itself, so that this leads out of it
        "dangling": "no/where",
        "loop": "loop",
        "chain": "outside/secret",
    }
    for name, target in (good | bad).items():
        (outputs / name).symlink_to(target)
    published, told = publish(workspace, steps)
    assert names_in(published) == PLAIN | set(good)
    assert all(f"run: {name} is a link that leads" in told for name in bad)


def test_names_that_cannot_be_printed_are_left_out_and_escaped(
    workspace: Workspace, steps: tuple[Path, Path], outputs: Path
) -> None:
    for name in (b"new\nline", b"\x1b[2J", b"not \xff utf-8", "é ü".encode()):
        Path(os.fsdecode(bytes(outputs) + b"/" + name)).touch()
    (outputs / "bell\a").mkdir()
    (outputs / ".git").mkdir()
    published, told = publish(workspace, steps)
    assert names_in(published) == PLAIN | {"é ü"}
    assert told.count("left out") == 5 and told.replace("\n", "").isprintable()
    assert "new\\nline has a name" in told and ".git is a repository's" in told


def test_folders_too_deep_to_be_opened_by_name_are_left_out(
    workspace: Workspace, steps: tuple[Path, Path], outputs: Path
) -> None:
    dig(outputs, 1500)
    published, told = publish(workspace, steps)
    assert "lies too deep" in told
    assert len(names_in(published)) == len(PLAIN) + 100


def test_modes_are_made_plain(workspace: Workspace, steps: tuple[Path, Path], outputs: Path) -> None:
    (outputs / "sub" / "weights.bin").chmod(0o6777)
    (outputs / "final_info.json").chmod(0)
    (outputs / "sub").chmod(0)
    published, told = publish(workspace, steps)
    modes = {name: (published / name).stat().st_mode & 0o7777 for name in PLAIN}
    assert modes == {name: 0o755 if name == "sub" else 0o444 for name in PLAIN} and told == ""


def test_a_run_folder_that_is_a_link_is_not_published(
    workspace: Workspace, steps: tuple[Path, Path], outputs: Path, tmp_path: Path
) -> None:
    outputs.rename(tmp_path / "elsewhere")
    outputs.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match="not the folder that the run left"):
        publish_run(workspace, 3, *steps, "key")
    assert not (tmp_path / "elsewhere" / "log.txt").exists()


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_log_that_is_no_file_is_not_read(
    workspace: Workspace, steps: tuple[Path, Path], tmp_path: Path, kind: str
) -> None:
    (tmp_path / "secret").write_text("key")
    (steps[0] / "log.txt").unlink()
    (steps[0] / "log.txt").symlink_to(tmp_path / "secret") if kind == "link" else os.mkfifo(steps[0] / "log.txt")
    published = publish_run(workspace, 3, *steps, "key")
    assert (published / "log.txt").read_text().startswith("[log.txt is")


def test_what_was_left_out_is_named_after_a_crash_too(
    workspace: Workspace, steps: tuple[Path, Path], outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(outputs / "pipe")

    def crash(path: Path) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(module, "fsync_tree", crash)
        with pytest.raises(Crash):
            publish_run(workspace, 3, *steps, "key")
    _, told = publish(workspace, steps)
    assert told == "\n[left out of the published run: pipe is a pipe]\n"
