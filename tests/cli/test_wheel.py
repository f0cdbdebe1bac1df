"""A wheel in an empty folder, as pip installs it: what ships is found by name and launched."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.cli.conftest import LIMIT_S, environment
from tests.paths import QUADRATIC

pytestmark = pytest.mark.slow
pytest.importorskip("hatchling", reason="hatchling, of the test extra, builds the wheel")

CLONE = Path(__file__).parents[2]
MOST_BYTES = 6 << 20


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out], cwd=CLONE, check=True)
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of a fresh environment: the wheel, and the libraries of this environment without this clone."""
    place = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    pip = [sys.executable, "-m", "pip", "--python", place / "bin" / "python", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-index", wheel], check=True)
    (libraries,) = place.glob("lib/python3*/site-packages")
    shared = [path for path in sys.path if Path(path).name == "site-packages"]
    (libraries / "shared.pth").write_text("\n".join(shared) + "\n")
    return place / "bin" / "scientist"


def run(command: Path, folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command, *arguments],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def test_the_wheel_holds_templates_and_ideas_and_is_small(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    data = "agent/data/templates/sae/"
    assert {data + "template.toml", data + "experiment.py", "agent/data/ideas/sae_synth.json"} <= set(names)
    assert sum(name.startswith(data + "baselines/synth/") for name in names) > 50
    assert sum(name.startswith("agent/core/prompt/templates/") for name in names) > 5
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests/", "templates/"))]
    assert wheel.stat().st_size < MOST_BYTES


def test_what_ships_is_launched_by_name_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    template = run(installed, tmp_path, "templates", "--json").stdout
    assert f'"folder": "{installed.parent.parent}/lib/' in template and "agent/data/templates/sae" in template
    assert "1. " in run(installed, tmp_path, "ideas", "sae_synth").stdout
    asked = run(installed, tmp_path, "doctor").stdout
    assert "ok    template sae, profile synth: " in asked
    assert not any(tmp_path.iterdir())
    launched = run(
        installed, tmp_path, "launch", "sae_synth", "--idea", "1", "--template", "quadratic", "--max-runs", "1",
        SCIENTIST_TEMPLATES=str(QUADRATIC.parent),
    )  # fmt: skip
    assert launched.returncode == 0, launched.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["workspaces"]
    assert "completed" in run(installed, tmp_path, "status").stdout


def test_init_copies_what_ships(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "init")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("next: scientist launch sae_synth\n")
    assert (tmp_path / "templates" / "sae" / "template.toml").is_file()
    assert not [*tmp_path.rglob("__pycache__")]
