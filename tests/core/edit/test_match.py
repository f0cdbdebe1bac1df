from __future__ import annotations

import pytest

from agent.core.edit.lines import splice, split_body, split_lines
from agent.core.edit.match import Ambiguous, Match, Missing, Outcome, Unpaired, match_block


def match(text: str, search: str, replace: str, path: str = "x.py") -> Outcome:
    return match_block(path, split_lines(text).text, split_body(search), split_body(replace))


def applied(text: str, search: str, replace: str, path: str = "x.py") -> str:
    found = match(text, search, replace, path)
    assert isinstance(found, Match), found
    return splice(split_lines(text), found.splices).join()


def test_exact_comes_first():
    assert applied("a \na\n", "a\n", "b\n") == "a \nb\n"


def test_trailing_blanks_are_forgiven_and_kept_in_lines_that_stay():
    assert applied("a  \nb\nc\n", "a\nb \n", "a\nB\n") == "a  \nB\nc\n"


def test_a_part_of_a_line_is_no_match():
    assert match("abc\n", "b\n", "x\n") == Missing()


@pytest.mark.parametrize(
    ("text", "search", "replace", "wanted"),
    [
        (
            "if x:\n    a = 1\n    b = 2\n",
            "a = 1\nb = 2\n",
            "a = 1\nif a:\n    b = 3\n",
            "if x:\n    a = 1\n    if a:\n        b = 3\n",
        ),
        ("a = 1\nb = 2\n", "    a = 1\n    b = 2\n", "    a = 1\n    b = 3\n", "a = 1\nb = 3\n"),
        ("\ta = 1\n\tb = 2\n", "a = 1\nb = 2\n", "a = 2\n\nb = 2\n", "\ta = 2\n\n\tb = 2\n"),
    ],
)
def test_a_uniform_indent_is_carried_over(text: str, search: str, replace: str, wanted: str):
    assert applied(text, search, replace) == wanted


def test_an_indent_that_is_not_uniform_is_no_match():
    assert match("if x:\n    a = 1\n    b = 2\n", "if x:\n  a = 1\n  b = 2\n", "") == Missing()
    assert match("    else:\n        x = 1\n    # end\n", "    else:\n    x = 1\n    # end\n", "") == Missing()


def test_indent_inside_brackets_means_nothing_in_python():
    text = "def f():\n    return g(\n        a,\n        b,\n    )\n"
    search = "        return g(\n        a,\n        b,\n    )\n"
    replace = "        y = 1\n        return g(\n        a,\n        c,\n    )\n"
    assert applied(text, search, replace) == "def f():\n    y = 1\n    return g(\n        a,\n        c,\n    )\n"
    assert match(text, search, replace, "notes.txt") == Missing()


def test_indent_inside_a_string_is_text():
    text = 'x = f("""\n    one\n  two\n""")\n'
    assert match(text, 'x = f("""\n    one\n    two\n""")\n', "") == Missing()


def test_blank_lines_are_forgiven():
    assert applied("a\n\n\nb\nc\n", "a\nb\n", "a\nB\n") == "a\n\n\nB\nc\n"
    assert applied("a\nb\nc\n", "\na\n\nb\n", "\na\n\nB\n") == "a\nB\nc\n"
    assert applied("x:\n  a\n\n  b\n", "a\nb\n", "a\nb\nc\n") == "x:\n  a\n\n  b\n  c\n"


def test_quotes_and_composed_letters_are_forgiven_and_kept_in_lines_that_stay():
    text = "He said “hi”\nca\u0301t\u00a0x\nend\n"
    assert (
        applied(text, 'He said "hi"\nc\u00e1t x\nend\n', 'He said "hi"\nc\u00e1t x\nEND\n')
        == "He said “hi”\nca\u0301t\u00a0x\nEND\n"
    )


def test_each_rung_needs_exactly_one_place():
    assert match("a\nb\na\n", "a\n", "x\n") == Ambiguous((0, 2))
    assert match("a \nb\n  a\na \n", "a\n", "x\n") == Ambiguous((0, 3))
    assert match("  a\n    a\n", "a\n", "x\n") == Ambiguous((0, 1))
    assert match("a\na\na\n", "a\na\n", "x\n") == Ambiguous((0, 1))


def test_paired_dots_are_taken_in_order():
    text = "def f():\n    a = 1\n    b = 2\n    c = 3\n    return a\n"
    search = "def f():\n    a = 1\n    ...\n    return a\n"
    assert applied(text, search, "def f(x):\n    a = 1\n    ...\n    return x\n") == text.replace(
        "f()", "f(x)"
    ).replace("return a", "return x")
    commented = search.replace("...", "# ... existing code ...")
    assert applied(text, commented, commented.replace("f()", "f(y)")) == text.replace("f()", "f(y)")


def test_dots_match_whole_lines_in_order_only():
    assert match("b\na\n", "a\n...\nb\n", "a\n...\nc\n") == Missing()
    assert match("xa\nz\nyb\n", "a\n...\nb\n", "a\n...\nc\n") == Missing()


def test_dots_that_fit_in_several_ways_are_refused():
    assert match("a\nz\nb\nz\nb\n", "a\n...\nb\n", "a\n...\nc\n") == Ambiguous((0, 2, 4))


def test_dots_that_do_not_pair_are_refused():
    assert match("a\nz\nb\n", "a\n...\nb\n", "c\n") == Unpaired()
    assert match("a\nz\nb\n", "...\nb\n", "a\n...\nb\n") == Unpaired()


def test_a_literal_ellipsis_is_text():
    text = "def f():\n    ...\n\n\ndef g():\n    ...\n"
    assert (
        applied(text, "def f():\n    ...\n", "def f():\n    return 1\n")
        == "def f():\n    return 1\n\n\ndef g():\n    ...\n"
    )


def test_many_dots_do_not_take_for_ever():
    text = "a\n" * 300
    assert match(text, "a\n...\n" * 40 + "b\n", "a\n...\n" * 40 + "c\n") == Missing()
    assert isinstance(match(text, "a\n...\n" * 40 + "a\n", "a\n...\n" * 40 + "b\n"), Ambiguous)


def test_of_very_many_places_none_is_taken():
    text = "if a:\n    x = 1\n" * 9000 + "y = 1\n"
    assert isinstance(match(text, "x = 1\n", "x = 2\n"), Ambiguous)
    assert isinstance(match(text, "    x = 1\nif a:\n" * 2000, "x = 2\n"), Ambiguous)
    assert applied(text, "y = 1\n", "y = 2\n") == text.replace("y = 1", "y = 2")


def test_places_overlap():
    assert match("a\na\na\n", "a\na\n", "b\n") == Ambiguous((0, 1))
