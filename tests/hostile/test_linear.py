"""Replies, files and scripts of one unit, again and again: each reader takes time linear in their length."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from agent.core.authoring.reading.opened import find_paths
from agent.core.authoring.reading.script import read_scripts
from agent.core.authoring.survey import survey_scripts
from agent.core.code.parts import replace_parts
from agent.core.edit.apply import apply_reply
from agent.core.edit.formats.foreign.other_tools import OTHER_TOOLS
from agent.core.edit.formats.foreign.tool_calls import TOOL_CALLS
from agent.core.edit.formats.foreign.unread import find_unread
from agent.core.edit.match import Ambiguous
from agent.core.reply.code_request import MOST_PLACES, find_code_request
from agent.core.reply.example import example_of
from agent.core.reply.plan import parse_reply, without_plan
from agent.core.text.lexer import read_lines
from agent.core.text.reasoning import strip_reasoning
from tests.core.code.test_trailing import match as match_lines
from tests.core.timing import is_linear, takes_at_most

FILES = {
    "experiment.py": "A = 1\nRATE = 0.3\n\n\ndef f(x):\n    return x\n",
    "plot.py": "print('figure')\n",
    "notes.txt": "# Study\n",
}
BODY = "<<<<<<< SEARCH\nLR = 0.1\n=======\nLR = 0.2\n>>>>>>> REPLACE\n"
JOINS = "".join(f"A{n + 1} = os.path.join({', '.join([f'A{n}'] * 12)})\n" for n in range(12))
KEYS = "d = {" + ", ".join(f"'k{n}': {n}" for n in range(500)) + "}\n"


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


def test_requests_for_code() -> None:
    many = {"experiment.py": "".join(f"def f_{n}(): return {n}\n" for n in range(3000))}
    asked = "SHOW: " + ", ".join(f"f_{n}" for n in range(3000)) + "\n"
    found = find_code_request(asked * 10, many, "experiment.py")
    assert found and len(found.places) == MOST_PLACES
    hostile = [
        "please show me " * 3000, "SHOW: train " * 4000, "show me f_1() " * 3000, "<view>" * 6000,
        '{"name": "read", "path": ' * 1500, "```\ncat experiment.py\n```\n" * 1500, "I need " * 6000,
        "SHOW: x_1\n" * 3900, "`" * 40_000, "what is a.b.c.d? " * 2000, "cat 'experiment.py\n" * 2000,
    ]  # fmt: skip
    for text in hostile:
        assert takes_at_most(1.0, partial(find_code_request, text, many, "experiment.py")), text[:40]


@pytest.mark.parametrize(
    "line", ["'" * 40_000, '"\\' * 20_000, "#" * 40_000, "a" * 10_000 + "=", "a: " * 3_000 + "#", "a[" * 4_000]
)
def test_long_lines_of_a_file(line: str) -> None:
    text = "\n".join([line, "RATE = 0.3  # x"] * 4) + "\n"
    assert takes_at_most(0.3, lambda: match_lines(line + "x\n", "y\n", text))
    assert takes_at_most(0.3, lambda: match_lines("RATE = 0.3\n", "y\n", text))


def test_a_long_file_of_equal_lines() -> None:
    text = "a = 1  # x\n" * 8_000
    assert takes_at_most(1.0, lambda: match_lines("a = 1\n" * 20, "b\n", text))
    assert isinstance(match_lines("a = 1\n" * 20, "b\n", text), Ambiguous)


def test_many_headers_without_marks() -> None:
    for text in (
        "SEARCH\n" * 12_000,
        "SEARCH\n=======\n" * 6_000,
        "```\n" + "SEARCH:\na\nREPLACE:\nb\n" * 3_000 + "```\n",
    ):
        assert takes_at_most(2.0, lambda text=text: apply_reply(FILES, text, editable=list(FILES)))  # type: ignore[misc]


@pytest.mark.parametrize(
    "text",
    [
        f"import os\nA0 = 'x'\n{JOINS}open(A12)\n",  # 12 names, each 12 times the one before
        f"import json\n{KEYS}" + "json.dump(d, f)\n" * 500,
        "import transformers\n"
        + "m = t.evaluate()\n" * 1500
        + "def compute_metrics():\n"
        + " return {'a': 1}\n" * 1500,
        "import keras\n" + "m.compile(metrics=['a'])\n" * 1000 + "h = m.fit(x)\n" * 1000,
    ],
    ids=["joins", "keys", "trainer", "keras"],
)
def test_a_script_that_repeats_itself(text: str) -> None:
    def read() -> None:
        survey_scripts({"experiment.py": text})
        assert [find_paths(script) for script in read_scripts({"experiment.py": text})]

    assert takes_at_most(2.0, read)
