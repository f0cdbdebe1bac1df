from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent.core.code.findings import LintFinding, new_findings
from agent.edges.lint import Linter
from agent.errors import ScientistError

PYTHON = Path(sys.executable)
LINTER = Linter()


def codes(text: str, interpreter: Path = PYTHON) -> list[str]:
    return [found.code for found in LINTER.check({"experiment.py": text}, interpreter)]


def test_clean_code_and_style_faults_pass() -> None:
    assert codes("import os,sys\nx=1 ;y = lambda:x\n" + "#" * 300) == []


def test_undefined_name_is_found_with_its_place() -> None:
    files = {"experiment.py": "import os\n\ndef main():\n    return os.getcwd() + lr\n", "notes.txt": "lr"}
    assert LINTER.check(files, PYTHON) == (
        LintFinding("experiment.py", 4, 26, "F821", "undefined name 'lr'", "return os.getcwd() + lr"),
    )


def test_findings_come_by_path_and_line_from_several_files() -> None:
    files = {"b.py": "x\ny\n", "a dir/a'b.py": "def f(): ...\n\f\nz", "-e.py": "w"}
    found = [(f.path, f.line, f.code) for f in LINTER.check(files, PYTHON)]
    assert found == [
        ("-e.py", 1, "F821"),
        ("a dir/a'b.py", 3, "F821"),
        ("b.py", 1, "F821"),
        ("b.py", 2, "F821"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "def f(:\n",
        "return 1\n",
        "x = '\0'\n",
        "def f():\n\tif 1:\n        pass\n",
        "for x in y:\n    pass\n  z\n",
        "f(\n",
    ],
)
def test_syntax_error_is_found_once(text: str) -> None:
    found = LINTER.check({"experiment.py": text}, PYTHON)
    assert [f.code for f in found if f.code == "E999"] == ["E999"]
    assert not [f for f in found if f.code.startswith("E9") and f.code != "E999"]


def test_syntax_is_that_of_the_experiments_interpreter(tmp_path: Path) -> None:
    newer = tmp_path / "python"
    newer.write_text("#!/bin/sh\ncat >/dev/null\necho '[]'\n")
    newer.chmod(0o755)
    assert codes("novel syntax\n") == ["E999"]
    assert codes("novel syntax\n", newer) == []


def test_windows_line_ends_and_a_byte_order_mark_are_fine() -> None:
    assert codes("import os\r\n\r\nprint(os)\r\n") == []
    assert codes("\ufeffimport os\nprint(os)\n") == []


def test_setup_files_of_the_current_folder_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "setup.cfg").write_text("[flake8]\nignore = F821\n")
    (tmp_path / "flake8.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    assert codes("x\n") == ["F821"]


def test_only_what_an_edit_brought_in_counts() -> None:
    before = "print(x)\n"
    after = "import os\n\nprint(x)\nprint(y, os)\n"
    found = [LINTER.check({"experiment.py": text}, PYTHON) for text in (before, after)]
    assert [f.message for f in new_findings(*found)] == ["undefined name 'y'"]


def test_interpreter_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScientistError, match="no-python"):
        codes("x = 1\n", tmp_path / "no-python")
