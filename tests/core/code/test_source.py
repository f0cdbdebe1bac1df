"""Python text is parsed in one place, which never raises and never warns."""

from __future__ import annotations

import ast

import pytest

from agent.core.code.source import BadPython, constants_in, find_bad_python, parse, python_lines, show_code


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("x = 1\ny = (\n", 2, "never closed"),
        ("x = 1\0\n", 1, "null"),
        ("x = '\ud800'\n", 1, "surrogates"),
        ("-" * 200_000 + "1\n", 1, "nested too deeply"),
        ("(" * 500 + ")" * 500, 1, "nested"),
        ("x = 1\n" * 100_000, 1, "more than 500,000 characters"),
    ],
    ids=["syntax", "null", "surrogate", "deep", "brackets", "long"],
)
def test_a_fault_has_a_line_and_words(text: str, line: int, words: str) -> None:
    fault = parse(text)
    assert isinstance(fault, BadPython) and fault.line == line and words in fault.message
    assert find_bad_python(text) == fault


@pytest.mark.parametrize(
    "text", ["", "\ufeffx = 1\n", 'x = "\\d"\n', "def f():\n    x = 1\n    global x\n", "x is 1\n"]
)
def test_python_is_a_tree_without_warnings(text: str) -> None:
    assert isinstance(parse(text), ast.Module) and find_bad_python(text) is None


def test_constants_are_assignments_to_one_name_at_the_top_level() -> None:
    tree = parse("A = 1\nB: int = 2\nC: int\nD = E = 3\nF, G = 4, 5\nA = 6\nif A:\n    H = 7\nx.y = 8\n")
    assert isinstance(tree, ast.Module)
    assert [(name, ast.unparse(value)) for name, value in constants_in(tree)] == [("A", "1"), ("B", "2"), ("A", "6")]


def test_lines_are_counted_as_python_counts_them() -> None:
    text = "a = 1\r\nb = '\u2028\x85'\r  c = 1\x0c\x0cd\n"
    assert python_lines(text) == ["a = 1", "b = '\u2028\x85'", "  c = 1\x0c\x0cd", ""]
    fault = parse(text)
    assert isinstance(fault, BadPython) and fault.line == 3  # the indented line


@pytest.mark.parametrize("text", ["0x" + "f" * 5_000, "(" * 150 + "1" + ",)" * 150, "1"])
def test_an_expression_is_shown_or_nothing_is(text: str) -> None:
    tree = parse(f"A = {text}")
    assert isinstance(tree, ast.Module)
    ((_, value),) = constants_in(tree)
    assert show_code(value) == ("" if text.startswith("0x") else ast.unparse(value))
