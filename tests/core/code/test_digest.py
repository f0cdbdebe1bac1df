"""What counts as a change of code, and what code imports."""

from __future__ import annotations

import pytest

from agent.core.code.digest import digest_code, imported_modules

CODE = 'LR = 0.1\n\n\ndef train(lr=LR):\n    """Train."""\n    return lr * 2\n'
FILES = {"experiment.py": CODE, "config.json": '{"k": 6}\n', "notes.txt": "nothing yet\n"}
RUN_FILES = ("experiment.py", "config.json")


def digest(**changes: str) -> str:
    return digest_code(FILES | {name.replace("__", "."): text for name, text in changes.items()}, RUN_FILES)


@pytest.mark.parametrize(
    "text",
    [
        "# a comment\n" + CODE,
        CODE.replace("LR = 0.1", "LR = 0.1  # tuned"),
        CODE.replace("LR = 0.1", "LR   =   0.1"),
        CODE.replace("LR = 0.1", "LR = (\n    0.1\n)"),
        CODE.replace("lr * 2", "(lr * 2)"),
        CODE.replace('"""Train."""', "'''Train.'''"),
        CODE.replace("\n", "\r\n"),
        CODE.replace("\n\n\n", "\n"),
        CODE.rstrip("\n"),
        "\ufeff" + CODE,
        CODE.replace("0.1", "1e-1"),
    ],
)
def test_comments_and_layout_are_no_change(text: str) -> None:
    assert digest(experiment__py=text) == digest()


@pytest.mark.parametrize(
    "text",
    [
        CODE.replace("0.1", "0.2"),
        CODE.replace("lr * 2", "2 * lr"),
        CODE.replace("Train.", "Train it."),
        CODE.replace("0.1", "'0.1'"),
        CODE + "train()\n",
        CODE + "def (\n",
        "",
    ],
)
def test_what_python_reads_otherwise_is_a_change(text: str) -> None:
    assert digest(experiment__py=text) != digest()


def test_other_files_are_compared_by_bytes() -> None:
    assert digest(config__json='{"k":6}\n') != digest()
    assert digest(config__json='{"k": 6}\n') == digest()


def test_files_that_the_command_does_not_use_do_not_count() -> None:
    assert digest(notes__txt="much to say\n", plot__py="x = 1\n") == digest()


def test_a_missing_file_differs_from_an_empty_one() -> None:
    missing = digest_code({"config.json": FILES["config.json"]}, RUN_FILES)
    assert len({missing, digest(experiment__py=""), digest(experiment__py="absent")}) == 3


def test_text_does_not_pass_from_one_file_to_the_next() -> None:
    one = digest_code({"a.txt": "x", "b.txt": ""}, ("a.txt", "b.txt"))
    assert one != digest_code({"a.txt": "", "b.txt": "x"}, ("a.txt", "b.txt"))


def test_the_order_of_names_does_not_matter() -> None:
    assert digest_code(FILES, RUN_FILES) == digest_code(FILES, reversed(RUN_FILES))


def test_code_that_python_warns_about_is_still_compared_by_its_meaning() -> None:
    odd = 'import re\nR = re.compile("\\d+")\n'
    assert digest(experiment__py=odd) == digest(experiment__py=odd + "# why\n")


@pytest.mark.parametrize(
    "text",
    ["x = " + "(" * 5000, "x = " + "+".join("1" * 3000), "x = '\0'", "x = '\ud800'", f"x = 0x{'f' * 5000}"],
    ids=["brackets", "deep", "null", "surrogate", "digits"],
)
def test_code_that_python_cannot_digest_is_compared_as_text(text: str) -> None:
    assert digest(experiment__py=text) != digest(experiment__py=text + "  ")


def test_imports_are_named_by_their_top_package() -> None:
    text = "import numpy as np, os.path\nfrom torch.nn import functional\n\ndef f():\n    import scipy.stats\n"
    assert imported_modules(text) == {"numpy", "os", "torch", "scipy"}


@pytest.mark.parametrize("text", ["from . import own", "from .own import x", "", "import (", "'import numpy'"])
def test_own_modules_and_broken_code_import_nothing(text: str) -> None:
    assert imported_modules(text) == frozenset()


def test_modules_that_a_call_imports_by_name_count() -> None:
    text = 'import importlib\nm = importlib.import_module("toolbox.gears")\nn = __import__("paint")\n'
    assert imported_modules(text) == {"importlib", "toolbox", "paint"}
    assert imported_modules("x = importlib.import_module(name)\ny = import_module('.local')\n") == frozenset()
