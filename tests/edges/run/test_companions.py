"""Other files of a template's folder, in the folder of a step."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.journal.kinds import Step
from agent.edges.run import companions
from agent.edges.run.prepare_step import Equipment, StepRequest, prepare_step
from agent.edges.run.step_folder import StepSpec
from agent.edges.template.load import Template, load_template
from agent.edges.workspace.layout import Workspace

LARGE = companions.LARGE_BYTES


def template_of(folder: Path, files: dict[str, str | bytes]) -> Template:
    for name, content in {"experiment.py": 'read("photo.png")\n', **files}.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_template(folder)


def prepare(
    template: Template, scratch: Path, step: Step = Step.RUN, data: Path | None = None
) -> tuple[StepSpec, Path]:
    request = StepRequest(step, f"run_1.1.{step}", 1, dict(template.files))
    spec = prepare_step(Workspace(scratch), template, request, Equipment(Path(sys.executable), {}, "bwrap", data))
    return spec, Workspace(scratch).step_folder(request.folder) / "work"


def test_small_files_are_copies_that_cannot_be_written_and_large_ones_links(tmp_path: Path) -> None:
    folder = tmp_path / "points"
    files = {"points.tsv": "1\t2\n", "loader/__init__.py": "SIZE = 3\n", "sets/a/cat.npz": b"0" * LARGE}
    template = template_of(folder, {**files, "run_0/final_info.json": "{}", "latex/x.tex": "", "sealed/key.json": "7"})
    spec, work = prepare(template, tmp_path / "ws")
    for name, content in files.items():
        assert (work / name).read_bytes() == (content if isinstance(content, bytes) else content.encode())
        assert (work / name).is_symlink() == (name == "sets/a/cat.npz")
        assert (work / name).is_symlink() or (work / name).stat().st_mode & 0o777 == 0o444
    assert not (work / "sets" / "a").is_symlink(), "a run may write a file of its own beside one that it is given"
    assert not any((work / name).exists() for name in ("latex", "sealed"))
    assert str(folder / "sets/a/cat.npz") in spec.walls.read and str(folder) not in spec.walls.read


def test_a_folder_of_many_files_is_one_link_unless_code_lies_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(companions, "MOST_IN_FOLDER", 3)
    many = {f"{place}/{n}.txt": str(n) for place in ("images/train", "images/test", "model/parts") for n in range(4)}
    toml = 'name = "m"\neditable = ["model/net.py", "notes.txt"]\nplot = ""\n'
    template = template_of(tmp_path / "m", {**many, "model/net.py": "N = 1\n", "template.toml": toml})
    spec, work = prepare(template, tmp_path / "ws")
    assert all((work / name).read_text() == text for name, text in many.items())
    links = {str(path.relative_to(work)) for path in work.rglob("*") if path.is_symlink()}
    assert links == {"images", "model/parts"} and not (work / "model/net.py").is_symlink()
    assert {str(template.folder / name) for name in links} <= set(spec.walls.read)


def test_what_would_be_copied_many_times_is_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(companions, "MOST_COPIED_BYTES", 10)
    template = template_of(tmp_path / "t", {"a.txt": "123456", "b.txt": "123456", "c.txt": "1234"})
    _, work = prepare(template, tmp_path / "ws")
    assert [name for name in "abc" if (work / f"{name}.txt").is_symlink()] == ["b"]
    assert (work / "b.txt").read_text() == "123456"


def test_data_of_the_option_and_edited_files_come_before_companions(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    template = template_of(tmp_path / "t", {"data/train.csv": "own", "deep/data/x.csv": "x"})
    _, work = prepare(template, tmp_path / "ws", data=tmp_path / "given")
    assert (work / "data").readlink() == tmp_path / "given" and (work / "deep/data/x.csv").read_text() == "x"
    edited = replace(template, companions=(*template.companions, "experiment.py"))
    _, work = prepare(edited, tmp_path / "other")
    assert (work / "data/train.csv").read_text() == "own"
    assert (work / "experiment.py").stat().st_mode & 0o200, "not the template's own, which is read-only"


def test_a_figure_that_code_reads_may_be_drawn_anew_and_a_plot_begins_without(tmp_path: Path) -> None:
    template = template_of(tmp_path / "t", {"photo.png": "p", "loss.png": "l", "faces/a.png": "a", "plot.py": ""})
    _, work = prepare(template, tmp_path / "ws")
    assert not (work / "loss.png").exists() and (work / "photo.png").stat().st_mode & 0o200
    _, work = prepare(template, tmp_path / "ws", Step.PLOT)
    assert not (work / "photo.png").exists() and (work / "faces/a.png").read_text() == "a"
