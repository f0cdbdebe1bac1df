from __future__ import annotations

import pytest

from agent.core.edit.apply import NAMED_FORMATS, EditResult, apply_reply
from agent.core.edit.formats.nameless import NAMELESS
from agent.core.text.lexer import read_lines
from tests.core.timing import is_linear

CODE = """import math

LR = 0.02  # search: log 1e-3..0.4
STEPS = 40


def rate(step):
    return LR


def main():
    x = 1.0
    for step in range(STEPS):
        x -= rate(step) * x
    return x
"""
FILES = {"experiment.py": CODE, "plot.py": "import json\n\n\ndef draw(ax):\n    ax.plot()\n", "notes.txt": "# Notes\n"}
OLD, NEW = (
    "    for step in range(STEPS):\n        x -= rate(step) * x\n",
    "    for step in range(9):\n        x -= rate(step) * x\n",
)


def fence(text: str, info: str = "python") -> str:
    return f"```{info}\n{text}```\n"


def edit(reply: str, **rest: object) -> EditResult:
    return apply_reply(FILES, reply, editable=list(FILES), **rest)  # type: ignore[arg-type]


@pytest.mark.parametrize("between", ["\n", "\nto\n\n", "\nA shorter loop is enough:\n\n", "a\nb\nc\n\nd\n"])
@pytest.mark.parametrize("info", ["", "python", "py"])
def test_two_fences_are_a_change_if_the_first_stands_once_in_one_file(between: str, info: str) -> None:
    result = edit("I shorten the loop.\n\n" + fence(OLD, info) + between + fence(NEW, info))
    assert not result.rejected and result.files["experiment.py"] == CODE.replace(OLD, NEW)


@pytest.mark.parametrize(
    ("part", "after"),
    [
        ("LR = 0.05\n", CODE.replace("LR = 0.02", "LR = 0.05")),
        ("import math\n\nSTEPS = 9\nLR = 0.05\n", CODE.replace("0.02", "0.05").replace("= 40", "= 9")),
        ("def rate(step):\n    return LR / (1 + step)\n", CODE.replace("return LR", "return LR / (1 + step)")),
    ],
)
def test_one_fence_of_constants_and_functions_is_a_change_if_one_file_has_them_all(part: str, after: str) -> None:
    result = edit("PLAN:\n1. Change it\n\n" + fence(part))
    assert not result.rejected and result.files["experiment.py"] == after


@pytest.mark.parametrize(
    "reply",
    [
        fence(OLD) + fence("0.5\n"),  # what it prints
        fence(OLD) + "\nprints\n" + fence("0.5\n", ""),
        fence(OLD) + fence(NEW, "text"),
        fence(OLD, "bash") + fence(NEW, "bash"),
        fence(OLD) + fence(NEW) + fence("y = 1\n"),
        fence(NEW) + fence(OLD),  # the other way round
        fence("    return LR\n" * 2) + fence("    return LR\n    return 2\n"),  # stands nowhere
        fence("\n") + fence("\nz = 1\n"),  # stands in many places
        fence("return LR\n") + fence("return LR * 2\n"),  # a part of a line
        fence(OLD) + "a\n" * 9 + fence(NEW),
        "For example:\n" + fence(OLD) + fence(NEW),
        "I would set LR to 0.05:\n" + fence("LR = 0.05\n"),
        "We could shorten the loop:\n" + fence(OLD) + fence(NEW),
        "A sketch of the idea:\n" + fence("LR = 0.05\n"),
        fence("LR = 0.05\nEPS = 1e-8\n"),  # one of them is new
        fence("EPS = 1e-8\n"),
        fence("LR = 0.05\nprint(LR)\n"),
        fence("LR = 0.05\n", "text"),
        "```python\nLR = 0.05\n",  # cut
        "<think>\n" + fence("LR = 0.05\n") + "</think>\nNo.\n",
        "$ cat x\n" + fence("LR = 0.05\n", "console"),
    ],
)
def test_what_might_be_words_or_might_belong_elsewhere_changes_nothing(reply: str) -> None:
    assert edit(reply).files == FILES


def test_what_two_files_hold_belongs_to_neither() -> None:
    files = FILES | {"plot.py": CODE}
    for reply in (fence(OLD) + fence(NEW), fence("LR = 0.05\n")):
        assert apply_reply(files, reply, editable=list(files)).files == files
        assert apply_reply(files, reply, editable=["plot.py"]).files["plot.py"] != CODE, "the other is not to be edited"


def test_lines_that_stand_twice_and_overlap_are_no_place() -> None:
    files = {"experiment.py": "A = 1\nA = 1\nA = 1\nB = 2\n"}
    for old in ("A = 1\n", "A = 1\nA = 1\n"):
        result = apply_reply(files, fence(old) + fence(old + "C = 3\n"), editable=list(files))
        assert result.files == files and not result.rejected


def test_beside_an_edit_or_in_a_planners_words_for_an_editor_it_is_prose() -> None:
    block = "experiment.py\n<<<<<<< SEARCH\nSTEPS = 40\n=======\nSTEPS = 41\n>>>>>>> REPLACE\n"
    assert "LR = 0.05" not in edit(block + "\n" + fence("LR = 0.05\n")).files["experiment.py"]
    assert edit(fence("LR = 0.05\n"), formats=NAMED_FORMATS).files == FILES


def test_lines_that_were_not_shown_are_refused() -> None:
    result = edit(fence("LR = 0.05\n"), shown={"experiment.py": ((7, 9),)})
    assert not result.changed and result.rejected


@pytest.mark.parametrize("body", ["a = 1\n", "def f():\n    return 1\n", "LR = 0.02\n", "(" * 50 + "\n"])
def test_it_takes_linear_time(body: str) -> None:
    files = {"experiment.py": CODE * 20}
    for reply in (lambda n: fence(body * n), lambda n: fence(body * n) + fence(body * n + "b = 2\n")):
        assert is_linear(
            0.3, lambda n, make=reply: lambda: NAMELESS.find_in(read_lines(make(n)), files, list(files)), 400
        )
