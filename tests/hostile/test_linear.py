"""Replies of one unit, again and again: each reader takes time linear in their length."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from agent.core.code.parts import replace_parts
from agent.core.edit.formats.foreign.other_tools import OTHER_TOOLS
from agent.core.edit.formats.foreign.tool_calls import TOOL_CALLS
from agent.core.edit.formats.foreign.unread import find_unread
from agent.core.reply.example import example_of
from agent.core.reply.plan import parse_reply, without_plan
from agent.core.text.lexer import read_lines
from agent.core.text.reasoning import strip_reasoning
from tests.core.timing import is_linear, takes_at_most

FILES = {
    "experiment.py": "A = 1\nRATE = 0.3\n\n\ndef f(x):\n    return x\n",
    "plot.py": "print('figure')\n",
    "notes.txt": "# Study\n",
}
BODY = "<<<<<<< SEARCH\nLR = 0.1\n=======\nLR = 0.2\n>>>>>>> REPLACE\n"


@pytest.mark.parametrize(
    "part",
    [
        "<search>\n",
        "<search><replace>",
        "<replace>\n<search>\n",
        "<path>plot.py</path>\n",
        "<file path='plot.py'>\nx\n",
        "[SEARCH",
        "<function=write>\n",
        "[TOOL_CALLS] plot.py content\n",
        "<parameter name=",
        '{"path": "plot.py", "content": [\n',
        '[{"arguments": "{}"}]\n',
    ],
)
def test_marks_of_other_tools(part: str) -> None:
    size = min(100_000 // len(part), 3_000 // max(1, part.count("\n")))
    assert is_linear(0.14, lambda size: partial(OTHER_TOOLS.find, read_lines(part * size), tuple(FILES)), size)


@pytest.mark.parametrize(
    "line", ["<old_str>", "<path>a</path>\n<old_str>a</old_str>\n<new_str>", '{"old_str": [', "[", '"old_str": 1']
)
def test_calls_of_tools(line: str) -> None:
    assert is_linear(0.14, lambda size: partial(TOOL_CALLS.find, read_lines(f"{line}\n" * size), FILES), 4_000)


@pytest.mark.parametrize(
    "part", ["```python\nx = f(3)\n```\nThen:\n", "RATE = 0.3\nx.y = 1\n", '{"a": "b"}\n', "    x = f(3)\n\n", "Add:\n"]
)
def test_changes_in_no_form(part: str) -> None:
    def prepare(size: int) -> Callable[[], object]:
        return partial(find_unread, read_lines(part * size), (), FILES, FILES)

    assert is_linear(0.16, prepare, 2_000 // part.count("\n"))


@pytest.mark.parametrize(
    "unit",
    [
        "<think></think>",
        "<think>",
        "<think>\n",
        "x <think>a\n</think> y\n",
        "x\n</think>\n",
        "</think> x ",
        "<think x</think",
        "<|channel|>final <|constrain|>",
        "[/THINK]`",
        "<inner_monologue ",
        ">>>>>>> REPLACE[/THINK]\n",
        "<a",
        "[Reasoning] x [/think] ",
        "(think)",
        "<details><summary>think</summary>",
        "<details></details>",
        "< think >",
        "```think\n",
        "```think\n```\n",
        "x <think> and ",
    ],
)
def test_many_tags_of_reasoning(unit: str) -> None:
    assert takes_at_most(1, lambda: strip_reasoning(unit * 2_500))  # many seconds if each tag read the text anew


@pytest.mark.parametrize(
    "unit",
    [
        "```\n",
        "```a\n",
        "~~~\n```b\n",
        "<<<<<<< SEARCH\n",
        "=======\n",
        BODY,
        "```\n" + BODY,
        "1. ```\n",
        " ",
        "`",
        "<",
    ],
)
def test_lines_of_a_reply(unit: str) -> None:
    reply = unit * (15_000 // len(unit))
    lines = read_lines.__wrapped__(reply)
    assert takes_at_most(1, lambda: read_lines.__wrapped__(reply))  # many seconds if a line looked at all the others
    assert [line.text for line in lines] == reply.split("\n")[: len(lines)] and len(lines) >= reply.count("\n")


@pytest.mark.parametrize(
    "unit",
    [
        "PLAN:\n",
        "PLAN:\n1. a\n",
        "PLAN:\nwords\n\n",
        "PLAN:\n| a | b |\n",
        "PLAN:\n### Run 1: a\n\nwords\n\n",
        "```text\nPLAN:\n",
    ],
)
def test_many_headers_of_plans(unit: str) -> None:
    reply = unit * 1_000
    # Many seconds if each of them read all that follows.
    assert takes_at_most(1, lambda: parse_reply(reply)) and takes_at_most(1, lambda: without_plan(reply))


def test_many_definitions_and_equal_lines() -> None:
    lines = [f"def f_{number}(): return 1" for number in range(5_000)]
    assert takes_at_most(2, lambda: replace_parts(["x = 1", *lines], lines))
    assert takes_at_most(2, lambda: example_of({"a.py": "found = value\n" * 10_000}, ["a.py"]))
