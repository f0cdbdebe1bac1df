"""Comments at the ends of lines: SEARCH may lack them, and REPLACE keeps those that it does not speak of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.code.comments import line_ends, without_comment
from agent.core.code.trailing import pair_lines, target_of
from agent.core.edit.apply import Reason, apply_reply
from agent.core.edit.lines import splice, split_body, split_lines
from agent.core.edit.match import Ambiguous, Match, Missing, Outcome, match_block

FILE = """import math

RATE = 0.3  # search: log 1e-4..1
STEPS = 40 # of the optimiser
NAME = "a # b"   # search: one of "a # b", "c"
DEEP = {  # by depth
    1: "x",  # one
    2: "y",
}
TEXT = \"\"\"
BIAS = 5
SIZE = 7
\"\"\"  # the banner


def train(x, y):  # the loop
    for i in range(STEPS):  # from zero
        x = x - RATE * y  # descent
        y = y / 2  # again
    return x  # done
"""


def match(search: str, replace: str, text: str = FILE, path: str = "x.py") -> Outcome:
    return match_block(path, split_lines(text).text, split_body(search), split_body(replace))


def applied(search: str, replace: str, text: str = FILE) -> str:
    found = match(search, replace, text)
    assert isinstance(found, Match), found
    return splice(split_lines(text), found.splices).join()


def changed(search: str, replace: str, text: str = FILE) -> list[str]:
    """The lines that the file has anew."""
    old = text.split("\n")
    return [line for line in applied(search, replace, text).split("\n") if line not in old]


@pytest.mark.parametrize(
    ("search", "replace", "wanted"),
    [
        ("RATE = 0.3\n", "RATE = 1.0\n", ["RATE = 1.0  # search: log 1e-4..1"]),
        ("RATE = 0.3 # search: log 1e-4..1\n", "RATE = 1.0 # search: log 1e-4..1\n", None),
        ("RATE = 0.3    #search:  log 1e-4..1\n", "RATE = 1.0\n", None),
        ("RATE = 0.3  # search\n", "RATE = 1.0  # search\n", None),
        ("RATE = 0.3\n", "RATE = 1.0  # raised\n", ["RATE = 1.0  # raised"]),
        ("RATE = 0.3\n", "RATE: float = 1.0\n", ["RATE: float = 1.0  # search: log 1e-4..1"]),
        ("STEPS = 40\n", "STEPS = 50\n", ["STEPS = 50 # of the optimiser"]),
        ('NAME = "a # b"\n', 'NAME = "c"\n', ['NAME = "c"   # search: one of "a # b", "c"']),
        ('NAME = "a # b"\n', 'NAME = "d # e"\n', ['NAME = "d # e"   # search: one of "a # b", "c"']),
        ('NAME = "a # b"\n', 'NAME = f"{R} # {S!r}"\n', ['NAME = f"{R} # {S!r}"   # search: one of "a # b", "c"']),
        ("RATE = 0.3\nSTEPS = 40\n", "STEPS = 9\nRATE = 1.0\n",
         ["STEPS = 9 # of the optimiser", "RATE = 1.0  # search: log 1e-4..1"]),
        ("RATE = 0.3\nSTEPS = 40\n", "RATE = 1.0\nSTEPS = 40\n", ["RATE = 1.0  # search: log 1e-4..1"]),
        ("RATE = 0.3\n", "WIDTH = 2\n", ["WIDTH = 2"]),
        ("RATE = 0.3\n", "RATE = 1.0\nWIDTH = 2\n", ["RATE = 1.0  # search: log 1e-4..1", "WIDTH = 2"]),
        ("DEEP = {\n    1: \"x\",\n", "DEEP = {\n    1: \"z\",\n", ['    1: "z",  # one']),
        ("def train(x, y):\n    for i in range(STEPS):\n", "def train(x, y, z=1):\n    for i in range(3):\n",
         ["def train(x, y, z=1):  # the loop", "    for i in range(3):  # from zero"]),
        ("x = x - RATE * y\n", "x = x - y\n", ["        x = x - y  # descent"]),
        ("x = x - RATE * y\ny = y / 2\n", "if i:\n    x = x - y\ny = y / 2\n",
         ["        if i:", "            x = x - y  # descent"]),
        ("    return x\n", "    y = 3\n    return x + y\n", ["    y = 3", "    return x + y  # done"]),
        ("STEPS = 40\n\n\nNAME = \"a # b\"\n", "STEPS = 41\n\n\nNAME = \"a # b\"\n", ["STEPS = 41 # of the optimiser"]),
    ],
)  # fmt: skip
def test_a_comment_that_search_lacks_stays_on_its_line(search: str, replace: str, wanted: list[str] | None) -> None:
    assert changed(search, replace) == (wanted or ["RATE = 1.0  # search: log 1e-4..1"])


def test_a_line_that_replace_deletes_goes_with_its_comment() -> None:
    after = applied("RATE = 0.3\nSTEPS = 40\n", "STEPS = 40\n")
    assert "search: log" not in after and "STEPS = 40 # of the optimiser\n" in after
    assert "the optimiser" not in applied("STEPS = 40\n", "")


def test_a_comment_is_put_behind_no_open_line() -> None:
    assert 'RATE = """\n1\n"""\n' in applied("RATE = 0.3\n", 'RATE = """\n1\n"""\n')
    assert "RATE = 1 + \\\n    2\n" in applied("RATE = 0.3\n", "RATE = 1 + \\\n    2\n")


@pytest.mark.parametrize(
    "search",
    [
        "RATE = 0.3  # of the teacher\n",  # another comment may mean another line
        "SIZE = 7\n# the banner\n",
        "SIZE = 7  # search: 1..9\n",  # a line of a string, which cannot have a comment
        "RATE = 0.3  # search: log 1e-4..1 and more\n",
        "import math  # for pi\n",  # the file's line has none
        "RATE = 0.30\n",
        'NAME = "a\n',
        "RATE\n",
        "# search: log 1e-4..1\n",
        "1: \"x\"\n",
    ],
)  # fmt: skip
def test_lines_that_differ_in_more_than_that_are_missing(search: str) -> None:
    assert match(search, "X = 1\n") == Missing()


def test_several_places_stay_ambiguous_and_the_comment_tells_them_apart() -> None:
    text = "a = 1  # first\nb = 2\na = 1  # second\nb = 3\n"
    assert match("a = 1\n", "a = 9\n", text) == Ambiguous((0, 2))
    assert applied("a = 1 # second\n", "a = 9 # second\n", text) == text.replace("a = 1  # second", "a = 9  # second")
    assert applied("a = 1\nb = 3\n", "a = 9\nb = 3\n", text) == text.replace("a = 1  # second", "a = 9  # second")


def test_an_exact_line_comes_before_one_with_a_comment() -> None:
    assert applied("a = 1\n", "a = 2\n", "a = 1  # first\na = 1\n") == "a = 1  # first\na = 2\n"


def test_tabs_line_ends_and_letters_are_kept() -> None:
    text = "\ufeffdef f():\r\n\ta = 'é'\t# Größe\r\n\tb = 2\t#\tzwei\r\n"
    assert applied("def f():\n    a = 'é'\n".replace("    ", "\t"), "def f():\n\ta = 'ü'\n", text) == text.replace(
        "é", "ü"
    )
    assert applied("a = 'e\u0301'\nb = 2\n", "a = 'o'\nb = 3\n", text) == text.replace("é", "o").replace(
        "b = 2", "b = 3"
    )


def test_other_files_and_files_that_do_not_parse_are_compared_as_they_are() -> None:
    assert match("a = 1\n", "a = 2\n", "a = 1  # x\n", "notes.txt") == Missing()
    assert match("a = 1\n", "a = 2\n", "a = 1  # x\nb = (\n") == Missing()
    assert match("a = 1\n", "a = 2\n", 'a = 1  # x\nb = """\n') == Missing()


def test_decorators_and_code_after_a_string_keep_theirs() -> None:
    text = "@cache  # once\ndef f(x):\n    return x\n\n\nT = '''a\nb'''  # end\n"
    assert applied("@cache\ndef f(x):\n", "@cache\ndef f(x, y):\n", text) == text.replace("f(x)", "f(x, y)")
    assert applied("@cache\ndef f(x):\n", "@lru_cache(2)\ndef f(x):\n", text).startswith("@lru_cache(2)  # once\ndef")


@pytest.mark.parametrize(
    "search", ["RATE = 0.5", "RATE = 0.3  # of the teacher", "STEPS = 40 # of all", "RATE = 0.3, 1"]
)
def test_the_hint_shows_the_line_that_begins_so_or_sets_the_same_name(search: str) -> None:
    reply = f"experiment.py\n<<<<<<< SEARCH\n{search}\n=======\nRATE = 2\n>>>>>>> REPLACE\n"
    (refused,) = apply_reply({"experiment.py": FILE}, reply, editable=["experiment.py"]).rejected
    wanted = FILE.split("\n").index(next(line for line in FILE.split("\n") if line.startswith(search[:7]))) + 1
    assert refused.reason is Reason.NOT_FOUND and refused.line == wanted
    assert f"file has, line {wanted}: {search[:7]}" in refused.hint and "Nothing in" not in refused.hint


CODE = st.sampled_from(["a = 1", "b = '#'", "f(x)", 'c = "x # y"', "if a:", "    d = [1,", "    2]", "e = a  + 1"])
COMMENT = st.sampled_from(["", "", " # one", "  # two words", "\t#three", "  # search: 1..9"])
LINE = st.tuples(CODE, COMMENT).map("".join)


@given(st.lists(LINE, min_size=1, max_size=8), st.data())
def test_only_the_one_place_with_that_code_changes(lines: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(lines) - 1))
    stop = data.draw(st.integers(start + 1, len(lines)))
    search = [without_comment(line).rstrip() for line in lines[start:stop]]
    found = match_block("x.py", lines, search, ["NEW = 1"])
    if isinstance(found, Match):
        there = lines[found.start : found.stop]
        assert [without_comment(line).split() for line in there] == [line.split() for line in search]
        assert {i for s in found.splices for i in range(s.start, s.stop)} <= set(range(found.start, found.stop))
    elif isinstance(found, Missing):
        assert line_ends(lines) is None


@given(st.lists(LINE, min_size=1, max_size=8))
def test_a_line_ends_where_its_tokens_say(lines: list[str]) -> None:
    for line, end in zip(lines, line_ends(lines) or (), strict=False):
        assert without_comment(line) == line[: end.comment] and not end.is_open


def test_pairs_of_lines_are_known_by_their_heads() -> None:
    assert pair_lines(["a = 1", "b = 2"], ["b = 3", "a = 4"]) == {0: 1, 1: 0}
    assert pair_lines(["a = 1"], ["b = 1"]) == {} and pair_lines(["x()"], ["y()"]) == {0: 0}
    assert pair_lines(["a = 1", "a = 2"], ["a = 3"]) == {}
    assert [target_of(line) for line in ("x == 1", "x.y[0] += 2", "x: int = 3", "f(x=1)", "lambda: 3")] == [
        "",
        "x.y[0]",
        "x",
        "",
        "",
    ]
