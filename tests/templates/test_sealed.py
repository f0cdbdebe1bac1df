"""Tests of the sealed modules, file by file, in the interpreter that has the language-model environment.

An experiment's environment has no pytest. It is lent this one's, by links that its interpreter looks through last, so
that nothing is installed into it and its own packages come first.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
SEALED_TESTS = ROOT / "tests" / "templates" / "sae"
VARIABLE = "SCIENTIST_SAE_LM_PYTHON"
LENT = ("pytest", "hypothesis")
START = "import sys; sys.path.append(sys.argv.pop(1)); import pytest; sys.exit(pytest.main(sys.argv[1:]))"
DEADLINE_S = 1200

# pytestmark = [pytest.mark.sae, pytest.mark.slow]
ALL_SLOW = re.compile(r"^pytestmark = .*mark\.slow", re.MULTILINE)


def files(slow: bool) -> list[str]:
    """Paths below SEALED_TESTS of those that need torch and have tests that are slow, or that are not."""
    paths = sorted(SEALED_TESTS.rglob("test_*.py"))
    texts = {path.relative_to(SEALED_TESTS).as_posix(): path.read_text() for path in paths}
    chosen = {name: text for name, text in texts.items() if "mark.sae" in text}
    return [name for name, text in chosen.items() if ("mark.slow" in text if slow else not ALL_SLOW.search(text))]


def lend(folder: Path) -> None:
    """Links to the packages in LENT and those that they require."""
    folder.mkdir()
    left, known = list(LENT), set()
    while left:
        name = left.pop()
        if name in known:
            continue
        known.add(name)
        package = importlib.metadata.distribution(name)
        asked = (Requirement(line) for line in package.requires or ())
        left += [one.name for one in asked if not one.marker or one.marker.evaluate({"extra": ""})]
        for part in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
            (folder / part).symlink_to(Path(str(package.locate_file(part))))


@pytest.fixture(scope="module")
def lent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lent") / "packages"
    lend(folder)
    return folder


def run_file(path: Path, marks: str, lent: Path) -> None:
    """Run the tests of one file in the language-model environment.

    Raises: AssertionError with pytest's output if a test fails, or if none passes.
    """
    python = os.environ.get(VARIABLE, "")
    if not python:
        pytest.skip(f"{VARIABLE} does not name an interpreter with the language-model environment")
    passed_on = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))}
    environment = passed_on | {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "JAXTYPING_DISABLE": "1"}
    done = subprocess.run(
        # Without addopts: those are about plugins that are not lent.
        [python, "-c", START, lent, "-q", "-o", "addopts=", "-p", "no:cacheprovider", "-m", marks, str(path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    said = f"{done.stdout[-6000:]}{done.stderr[-2000:]}"
    assert done.returncode == 0 and re.search(r"\d+ passed", done.stdout), said  # 14 passed in 3.02s
    assert "skipped" not in done.stdout.splitlines()[-1], said


@pytest.mark.sae
@pytest.mark.parametrize("name", files(slow=False))
def test_sealed_modules(name: str, lent: Path) -> None:
    run_file(SEALED_TESTS / name, "sae and not slow", lent)


@pytest.mark.sae
@pytest.mark.slow
@pytest.mark.parametrize("name", files(slow=True))
def test_sealed_modules_at_length(name: str, lent: Path) -> None:
    run_file(SEALED_TESTS / name, "sae and slow", lent)


@pytest.mark.sae
def test_a_failure_in_that_interpreter_is_one_here(lent: Path, tmp_path: Path) -> None:
    head = "import pytest\ntorch = pytest.importorskip('torch')\npytestmark = pytest.mark.sae\n"
    (tmp_path / "test_good.py").write_text(head + "def test_it():\n    assert torch.ones(1) == 1\n")
    run_file(tmp_path / "test_good.py", "sae", lent)
    for name, text in {
        "test_wrong.py": head + "def test_it():\n    assert torch.ones(1) == 2\n",
        "test_lacking.py": "import pytest\npytest.importorskip('no_such_package')\n",
        "test_none.py": head,
    }.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(AssertionError):
            run_file(tmp_path / name, "sae", lent)
