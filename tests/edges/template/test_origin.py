"""Parts of what a row was made by that the call and the machine bring."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.core.evidence.origin import compare
from agent.core.inputs.spec import Reach, TemplateSpec
from agent.edges.template.origin import Given, given_origin, modules_of, needed_modules, template_origin
from agent.edges.template.requirements import find_requirements

CODE = {"experiment.py": "import toolbox\nimport json\n"}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter for which `toolbox` is installed as editable, at version 1.0+cu121."""
    place = tmp_path_factory.mktemp("env")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "venv"], check=True)
    packages = next((place / "venv" / "lib").glob("python3*")) / "site-packages"
    info = packages / "toolbox-1.0.dist-info"
    info.mkdir()
    needs = ("Gear_Wheels>=1", "absent", 'paint; extra == "all"')
    lines = "".join(f"Requires-Dist: {need}\n" for need in needs)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: toolbox\nVersion: 1.0+cu121\n{lines}")
    for name, version in (("gear-wheels", "2.1"), ("paint", "3")):
        (packages / f"{name.replace('-', '_')}-{version}.dist-info").mkdir()
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: toolbox\n"
        (packages / f"{name.replace('-', '_')}-{version}.dist-info" / "METADATA").write_text(text)
    (info / "top_level.txt").write_text("toolbox\n")
    (info / "direct_url.json").write_text(json.dumps({"url": "file:///x", "dir_info": {"editable": True}}))
    (packages / "toolbox.pth").write_text(f"{place / 'src'}\n")
    (place / "src" / "toolbox").mkdir(parents=True)
    (place / "src" / "toolbox" / "__init__.py").write_text("RATE = 1\n")
    return place / "venv" / "bin" / "python"


def packages_of(python: Path, tmp_path: Path, part: str = "packages") -> str:
    return given_origin(Given(python), tmp_path, TemplateSpec(name="t"), CODE)[part]


def test_a_module_that_no_package_brought_is_there_all_the_same(python: Path) -> None:
    place = next((python.parents[1] / "lib").glob("python3*")) / "site-packages" / "own_tools.py"
    place.write_text("SIZE = 1\n")
    _, found = find_requirements(["own_tools", "nowhere", "json", "toolbox"], python)
    assert {one.module: (one.version, one.is_there) for one in found} == {
        "own_tools": ("", True), "nowhere": ("", False), "toolbox": ("1.0", True),
    }  # fmt: skip
    place.unlink()


def test_packages_that_those_of_the_code_need_count_too(python: Path, tmp_path: Path) -> None:
    """But none that only an extra asks for. Needs that go in a circle end."""
    assert packages_of(python, tmp_path, "below") == "gear-wheels==2.1 toolbox==1.0+cu121"
    before, now = "gear-wheels==2.0 toolbox==1.0", "gear-wheels==2.1 toolbox==1.0"
    said = "other packages, which those need (gear-wheels==2.0; here gear-wheels==2.1)"
    assert compare({"below": before}, {"below": now}) == (said,)


def test_the_build_of_a_package_and_the_sources_of_an_editable_one_count(python: Path, tmp_path: Path) -> None:
    before = packages_of(python, tmp_path)
    assert " toolbox==1.0+cu121@" in before
    source = python.parents[2] / "src" / "toolbox" / "__init__.py"
    source.write_text("RATE = 2\n")
    assert packages_of(python, tmp_path) != before
    source.write_text("RATE = 1\n")
    assert packages_of(python, tmp_path) == before


def test_a_package_that_may_use_a_gpu_is_told_from_those_that_cannot(python: Path, tmp_path: Path) -> None:
    """Of a package that nobody knows the machine decides."""
    given, spec = Given(python, inherited={"CUDA_VISIBLE_DEVICES": ""}), TemplateSpec(name="t")
    assert given_origin(given, tmp_path, spec, CODE)["device"] == "CPU"


def test_an_interpreter_that_cannot_be_asked_is_another_than_one_that_can(tmp_path: Path) -> None:
    mute = tmp_path / "python"
    mute.write_text("#!/bin/sh\nexit 1\n")
    mute.chmod(0o755)
    assert packages_of(mute, tmp_path) == f"unknown:{mute}"


def test_what_lies_in_the_places_of_sandbox_read_is_data(tmp_path: Path) -> None:
    spec = TemplateSpec(name="t", sandbox=Reach(read=(str(tmp_path / "mnist"),)))

    def read() -> str:
        return given_origin(Given(Path(sys.executable)), tmp_path, spec, {})["read"]

    seen = {read()}
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "images").write_bytes(b"0")
    seen.add(read())
    (tmp_path / "mnist" / "images").write_bytes(b"1")
    seen.add(read())
    assert len(seen) == 3


def test_code_that_moves_from_one_file_to_the_next_is_other_code(tmp_path: Path) -> None:
    """Their hash is that of one text after the other."""
    spec = TemplateSpec(name="t", run_files=("experiment.py", "model.py"))
    one = template_origin(tmp_path, spec, {"experiment.py": "import model\nX = 1\n", "model.py": "Y = 2\n"}, "")
    two = template_origin(tmp_path, spec, {"experiment.py": "import model\n", "model.py": "X = 1\nY = 2\n"}, "")
    assert one["order"] != two["order"]
    assert "order" not in template_origin(tmp_path, TemplateSpec(name="t"), {"experiment.py": ""}, "")


def test_all_that_a_run_finds_beside_its_code_counts_and_nothing_else(tmp_path: Path) -> None:
    files = {
        "experiment.py": "from loader import size\nopen('corpus.md')\n", "loader/__init__.py": "import gear_wheels\n",
        "run_configs/a.yaml": "1", "corpus.md": "c", "sets/a.csv": "1", "README.md": "r", "run_0/out.txt": "1",
        "latex/a.tex": "l", "tools/unused.py": "import paint\n",
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    spec, code = TemplateSpec(name="t"), {"experiment.py": files["experiment.py"]}
    before = template_origin(tmp_path, spec, code, "")["files"]
    counts = {}
    for name in files.keys() - {"experiment.py"}:
        (tmp_path / name).write_text("other")
        counts[name] = template_origin(tmp_path, spec, code, "")["files"] != before
        (tmp_path / name).write_text(files[name])
    assert {name for name, does in counts.items() if not does} == {"README.md", "run_0/out.txt", "latex/a.tex"}
    assert modules_of(tmp_path, spec, code) == needed_modules(tmp_path, spec, code) == ["gear_wheels"]
