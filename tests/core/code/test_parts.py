"""Constants, functions and classes of a text, put in the place of those that a file has."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.code.parts import replace_parts
from tests.core.timing import takes_at_most

FILE = '''"""Docstring."""

import os
import json as js

RATE = 0.3  # search: log 1e-4..1
DEPTH: int = 4\t# layers
SIZES = [
    1,  # one
    2,
]  # by layer
NAME = "a = b # c"  # not a comment = within
TWICE = 1
if os.environ.get("TWICE"):
    TWICE = 2
A = 1; B = 2
GROUP = (1 +
         2)
KÉY = {"é": 1}  # ünïcode


def train(x, rate=RATE):
    SIZES = [3]
    return x


print(train(1))
'''
TRAIN = "def train(x, rate=RATE):\n    SIZES = [3]\n    return x"


def put(text: str, file: str = FILE) -> str:
    lines = file.split("\n")
    changes = replace_parts(lines, text.split("\n"))
    assert not isinstance(changes, str), changes
    for change in reversed(changes):
        lines[change.start : change.stop] = change.new
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("RATE = 1.0", "RATE = 0.3  #", "RATE = 1.0  #"),
        ("RATE=1.0", "RATE = 0.3  #", "RATE=1.0  #"),
        ("RATE = 1.0  # mine", "RATE = 0.3  # search: log 1e-4..1", "RATE = 1.0  # mine"),
        ("RATE: float = 1.0", "RATE = 0.3  #", "RATE: float = 1.0  #"),
        ("DEPTH = 5", "DEPTH: int = 4\t#", "DEPTH: int = 5\t#"),
        ("SIZES = [\n    3,\n]", "    1,  # one\n    2,\n]", "    3,\n]"),
        ("SIZES = [7]", "SIZES = [\n    1,  # one\n    2,\n]  #", "SIZES = [7]  #"),
        ('NAME = "x"', 'NAME = "a = b # c"  #', 'NAME = "x"  #'),
        ('NAME = "# = #"', 'NAME = "a = b # c"  #', 'NAME = "# = #"  #'),
        ("GROUP = 3", "GROUP = (1 +\n         2)", "GROUP = 3"),
        ("GROUP = (5 +\n 6)", "(1 +\n         2)", "(5 +\n 6)"),
        ('KÉY = {"ö": f"{1} # é"}', '{"é": 1}', '{"ö": f"{1} # é"}'),
        ("import os\nRATE = 1.0\nDEPTH = 4", "RATE = 0.3  #", "RATE = 1.0  #"),
        ("import math\nfrom os import path\nRATE = 0.3", "as js\n", "as js\nimport math\nfrom os import path\n"),
        ("def train(x):\n    return 2 * x", TRAIN, "def train(x):\n    return 2 * x"),
    ],
)
def test_a_part_takes_the_place_of_its_own_alone(text: str, old: str, new: str) -> None:
    assert FILE.count(old) == 1 and put(text) == FILE.replace(old, new)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("TWICE = 3", "given a value at 2 places"),
        ("A = 3", "shares its line with another statement"),
        ("RATE = 1; DEPTH = 2", "shares its line with another statement"),
        ("BETA = 3", "No line of the file gives BETA a value"),
        ("os = 3", "No line of the file|given a value at 1 places"),
        ("train = 3", "No line of the file|given a value at 1 places"),
        ("RATE = 1\nRATE = 2", "the same name twice"),
        ("def other():\n    pass", "other is not in the file"),
        ("from __future__ import annotations\nRATE = 1", "__future__"),
        ("RATE \\\n= 1", "not written in one line"),
    ],
)
def test_a_part_without_one_place_has_none(text: str, why: str) -> None:
    found = replace_parts(FILE.split("\n"), text.split("\n"))
    assert isinstance(found, str) and any(part in found for part in why.split("|")), found


def test_imports_go_below_those_that_the_file_begins_with() -> None:
    assert put("import b\nX = 2", "X = 1\nimport a\n") == "import b\nX = 2\nimport a\n"
    assert put("import b\nX = 2", "'''Doc.'''\nX = 1\n") == "'''Doc.'''\nimport b\nX = 2\n"
    file = "try:\n    import a.b\nexcept ImportError:\n    pass\nX = 1\n"
    assert put("import a.b\nX = 2", file) == file.replace("X = 1", "X = 2")


VALUE = st.sampled_from(
    ["1", "'#'", '"a = b"', "[1,\n 2]", "(3)", "f'{1}'", "lambda x: x", "{'a': 1}  ", "'''x\n# y'''"]
)
COMMENT = st.sampled_from(["", "  # search: 1..2", "# tight"])


@given(st.lists(st.tuples(VALUE, COMMENT), min_size=1, max_size=4), st.data())
def test_the_file_means_what_the_text_says_and_keeps_its_comments(
    held: list[tuple[str, str]], data: st.DataObject
) -> None:
    file = "\n".join(f"N{n} = {value}{said}" for n, (value, said) in enumerate(held))
    chosen = data.draw(st.dictionaries(st.integers(0, len(held) - 1), VALUE, min_size=1))
    after = put("\n".join(f"N{n} = {value}" for n, value in chosen.items()), file)
    wanted = "\n".join(f"N{n} = {chosen.get(n, value)}" for n, (value, _) in enumerate(held))
    assert ast.dump(ast.parse(after)) == ast.dump(ast.parse(wanted))
    assert all(after.count(said) >= [s for _, s in held].count(said) for _, said in held if said)


def test_a_large_file_takes_linear_time() -> None:
    file = "".join(f"N{n} = {n}  # {n}\n" for n in range(1_000))
    text = "".join(f"N{n} = {n + 1}\n" for n in range(1_000))
    assert takes_at_most(1.0, lambda: put(text, file))
