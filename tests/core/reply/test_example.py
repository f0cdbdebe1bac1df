"""The example of the rules: a line of the file at hand, and refused by name from whoever sends it back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.edit.apply import apply_reply
from agent.core.journal.kinds import Purpose
from agent.core.prompt.render import render_opening
from agent.core.reply.example import HYPOTHESIS, Example, copies_example, example_of
from agent.core.reply.outcome import Refusal
from agent.core.reply.stuck import EXAMPLE
from tests.core.journal_by_hand import Story
from tests.core.prompt.test_render import view
from tests.core.reply.test_outcome import FILES, RUN_FILES, edit, fresh, read
from tests.fakes import block

OURS = example_of(FILES, RUN_FILES)
COPY = block("experiment.py", f"{OURS.old}\n", f"{OURS.new}\n")
SIZES = "   Expected: score +0.02\n   Refuted if: score +0.005 or less\n"
ITEM = f"PLAN:\n1. {OURS.aim}.\n   Hypothesis: {HYPOTHESIS}.\n{SIZES}\n"
OWN = block("experiment.py", "MOMENTUM = 0.0\n", "MOMENTUM = 0.9\n")


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("import os\nWIDTH = 64\nRATE = 0.5  # search: log 1e-3..1\n", "RATE = 0.5  # search: log 1e-3..1", None),
        ("WIDTH = 64\nNAME = 'x'\n", "WIDTH = 64", "WIDTH = VALUE"),
        ("RATE: float = -2.0\n", "RATE: float = -2.0", "RATE: float = VALUE"),
        ("VALUE = 0.0\n", "VALUE = 0.0", "VALUE = NEW_NUMBER"),
        ("RATE = 0.5\nRATE = 0.7\nFLAG = True\nN = 3\n", "N = 3", "N = VALUE"),
        ("É = 0.5; A = 1\nB = (\n    2\n)\nÜ = 4  # é\n", "Ü = 4  # é", "Ü = VALUE  # é"),
        ("def f(x):\n    y = x + 1\n    return y\n", "    y = x + 1", "    y = x + 1  # the same line, as an example"),
        ("print('hello')\n", "print('hello')", "print('hello')  # the same line, as an example"),
    ],
)
def test_it_is_a_line_of_the_file_with_a_word_in_the_place_of_its_number(text: str, old: str, new: str | None) -> None:
    found = example_of({"experiment.py": text}, ["experiment.py"])
    assert (found.path, found.old) == ("experiment.py", old) and found.new == (new or old.replace("0.5", "VALUE"))
    reply = block("experiment.py", f"{found.old}\n", f"{found.new}\n")
    result = apply_reply({"experiment.py": text}, reply, editable=["experiment.py"])
    assert result.changed and copies_example(found, {"experiment.py": [found.new]}, {"experiment.py": text})


@pytest.mark.parametrize("text", ["", "\n\n", "x = (", "'''\n", "{" * 500, "\ufeff", "A = 1e400\nB = 9" + "0" * 40])
def test_a_file_without_such_a_line_gets_one_all_the_same(text: str) -> None:
    assert example_of({"run.py": text}, ["run.py"]).path == "run.py"
    assert example_of({}, []).path == "experiment.py" and example_of({"run.sh": "x"}, ["run.sh"]).path == "run.sh"


def test_the_rules_show_it() -> None:
    files = {"experiment.py": "WIDTH = 64\nRATE = 0.5\n", "plot.py": "SIZE = 0.1\n"}
    for story in (Story(), Story(editor_model="e/m")):
        shown = replace(view(story, Purpose.PLAN), files=files)
        system = render_opening(shown)[0].content
        assert "Change RATE from 0.5 to VALUE." in system and "LR" not in system
        assert "for example (VALUE is any number but 0.5):" in system
        assert ("\nRATE = 0.5\n=======\nRATE = VALUE\n" in system) is (not story.state.launched.separate_editor)
        editor = render_opening(replace(shown, purpose=Purpose.EDIT))[0].content
        assert "\nRATE = 0.5\n=======\nRATE = VALUE\n" in editor


@pytest.mark.parametrize(
    "reply",
    [
        COPY,
        ITEM + COPY,
        COPY + OWN,
        COPY.replace("LR", "lr"),
        block("experiment.py", "RATE = 3\n", f"{OURS.new}\n"),
        block("experiment.py", "LR = 0.1\n", f"{OURS.new}  # raised\n"),
        f"experiment.py\n```python\n{FILES['experiment.py'].replace(OURS.old, OURS.new)}```\n",
        f"```python\n<<<<<<< SEARCH\n{OURS.old}\n=======\n{OURS.new}\n>>>>>>> REPLACE\n```\n",
    ],
)
def test_a_reply_that_holds_it_is_refused_by_name(reply: str) -> None:
    wanted = reply if "lr" not in reply else reply.replace("lr", "LR")
    outcome = read(fresh(), wanted)
    assert isinstance(outcome, Refusal) and outcome.stuck == EXAMPLE and not outcome.staged
    assert outcome.summary == f"the reply is the example of the rules ({OURS.aim}), which shows the form alone"
    assert "of your own choice" in str(outcome.misses[0]) and not outcome.rejected and not outcome.plan


def test_an_edit_near_it_is_no_example() -> None:
    for value in ("0.2", "0.12", "0.1237 * 2"):
        assert edit(fresh(), block("experiment.py", "LR = 0.1\n", f"LR = {value}\n")).changes


def test_the_examples_expectations_are_nobodys() -> None:
    plan = ITEM.replace(OURS.aim, "Add momentum") + OWN
    (item,) = edit(fresh(), plan).plan or ()
    assert (item.text, item.hypothesis, item.expected, item.refuted_if) == ("Add momentum", "", "", "")
    (item,) = edit(fresh(), plan.replace("score +0.02", "f1 >= 0.7")).plan or ()
    assert item.hypothesis == "" and item.expected == "f1 >= 0.7" and item.refuted_if == "score +0.005 or less"
    (item,) = edit(fresh(), plan.replace(HYPOTHESIS, "it averages")).plan or ()
    assert item.hypothesis == "it averages" and item.expected == "score +0.02"


def test_an_item_that_is_the_examples_is_dropped() -> None:
    assert edit(fresh(), ITEM + OWN).plan is None
    two = ITEM.strip() + "\n2. Add momentum\n\n" + OWN
    assert [item.text for item in edit(fresh(), two).plan or ()] == ["Add momentum"]


def test_a_planner_that_asks_the_editor_for_it_is_refused() -> None:
    planner = Story(editor_model="e/m").state
    outcome = read(planner, ITEM + f"In experiment.py: {OURS.aim}. Nothing else changes.\n")
    assert isinstance(outcome, Refusal) and outcome.stuck == EXAMPLE
    assert not isinstance(read(planner, "In experiment.py set LR = 0.3.\n"), Refusal)
    plain = {"experiment.py": "print('hello')\n"}  # its example has no word that only the example uses
    assert not isinstance(read(planner, "Change one line: print the loss.\n", files=plain), Refusal)
    assert isinstance(read(planner, "In experiment.py: Change one line. Nothing else changes.", files=plain), Refusal)


def test_lines_that_the_file_has_are_no_copy() -> None:
    ours = Example("a.py", "X = 1", "X = 2", "Set X to 2")
    assert not copies_example(ours, {"a.py": ["X = 2"]}, {"a.py": "X = 2\n"})
    assert not copies_example(ours, {"b.py": ["X = 2"]}, {"a.py": "X = 1\n"})
