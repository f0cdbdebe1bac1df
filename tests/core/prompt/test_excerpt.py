"""A file shown by the definitions that matter."""

from __future__ import annotations

import re
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.edit.apply import Reason, apply_reply, apply_whole
from agent.core.edit.lines import split_lines
from agent.core.edit.seen import lines_of
from agent.core.prompt.excerpt import Focus, changed_lines, choose_lines, find_focus, render_excerpt
from tests.examples import examples
from tests.fakes import block

MARKER = re.compile(r"^\s*# \.\.\. (\d+) lines? not shown \((\d+)(?:-(\d+))?\) \.\.\.$")


def body(name: str, calls: str = "", size: int = 6) -> str:
    """A function of size + 3 lines."""
    lines = [f"def {name}(x):", f'    """What {name} does."""', *(f"    {name}_{n} = {n}" for n in range(size))]
    return "\n".join([*lines, f"    return {calls}(x)" if calls else "    return x"]) + "\n\n\n"


TEXT = (
    '"""A study."""\n\nimport math\n\nRATE = 0.1\nMOMENTUM = 0.0\n\n\n'
    + body("alone")
    + body("leaf")
    + body("middle", "leaf")
    + body("top", "middle")
    + 'class Net:\n    """A net."""\n\n    def __init__(self):\n        self.a = 1\n        self.b = 2\n'
    + "        self.c = 3\n        self.d = 4\n\n    def forward(self, x):\n        y = self.a\n        y += self.b\n"
    + "        y += self.c\n        return y * x\n\n    def other(self):\n        a = 1\n        b = 2\n"
    + "        c = 3\n        return a\n\n\n"
    + 'if __name__ == "__main__":\n    top(1)\n'
)
LINES = split_lines(TEXT).text


def line_of(part: str) -> int:
    return next(n for n, line in enumerate(LINES, start=1) if part in line)


def excerpt(focus: Focus, max_chars: int = 4000, *, fill: bool = False) -> str:
    return render_excerpt(TEXT, choose_lines("experiment.py", TEXT, focus, max_chars, fill=fill))


def read_excerpt(text: str) -> dict[int, str]:
    """Each shown line by the number that markers say it has."""
    found: dict[int, str] = {}
    number = 0
    for line in text.splitlines():
        marker = MARKER.match(line)
        if marker:
            first, last = int(marker[2]), int(marker[3] or marker[2])
            assert first == number + 1 and last - first + 1 == int(marker[1])
            number = last
        else:
            number += 1
            found[number] = line
    return found


def test_a_line_of_a_traceback_shows_its_function_with_callers_and_callees() -> None:
    told = 'Traceback (most recent call last):\n  File "experiment.py", line 33, in middle\n    return leaf(x)'
    assert "middle" in LINES[line_of("def middle") - 1] and line_of("def middle") < 33 < line_of("def top")
    text = excerpt(find_focus("experiment.py", TEXT, told=[told]))
    for shown in ("leaf_3", "middle_3", "top_3", "RATE = 0.1", '"""A study."""', 'if __name__ == "__main__":'):
        assert shown in text
    assert "alone_3" not in text and "def alone(x):" in text and "self.b" not in text


def test_what_is_left_out_says_how_much_and_where() -> None:
    text = excerpt(Focus(lines=frozenset([line_of("top_2")])))
    first = line_of("def alone") + 1
    assert f"def alone(x):\n    # ... 8 lines not shown ({first}-{first + 7}) ...\n" in text


def test_a_method_brings_the_constructor_that_made_its_attributes() -> None:
    text = excerpt(Focus(lines=frozenset([line_of("y += self.c")])))
    assert "self.d = 4" in text and "return y * x" in text and "c = 3\n        return a" not in text


def test_names_in_findings_and_plans_are_found() -> None:
    finding = "experiment.py:12:5: F821 undefined name 'forward'"
    focus = find_focus("experiment.py", TEXT, told=[finding], about="Make top_level and Net wider, not middle")
    assert focus.lines == {12} and {"forward", "top_level", "Net"} <= focus.names and "middle" not in focus.names
    assert "wider" in focus.words


def test_lines_of_another_file_and_beyond_the_end_are_none_of_this_one() -> None:
    told = 'File "/x/other_experiment.py", line 3, in f\nplot.py:4: E999\nexperiment.py:99999: E999'
    assert find_focus("experiment.py", TEXT, told=[told]).lines == frozenset()


def test_words_of_the_plan_fill_the_room_that_is_left() -> None:
    size = len(excerpt(Focus())) + 200
    about = find_focus("experiment.py", TEXT, about="the alone step")
    assert "alone_3" in excerpt(about, size, fill=True) and "top_3" not in excerpt(about, size, fill=True)
    other = find_focus("experiment.py", TEXT, about="raise the leaf")
    assert "leaf_3" in excerpt(other, size, fill=True) and "alone_3" not in excerpt(other, size, fill=True)


def test_a_file_with_room_is_shown_whole() -> None:
    assert choose_lines("experiment.py", TEXT, Focus(), len(TEXT) + 200, fill=True) == ()
    assert render_excerpt(TEXT, ()) == TEXT


def test_text_that_is_no_python_and_a_file_of_signatures_alone_are_cut_around_the_focus() -> None:
    text = "".join(f"line {n}\n" for n in range(1, 401))
    ranges = choose_lines("data.txt", text, Focus(lines=frozenset([200])), 800, fill=True)
    shown = lines_of(ranges)
    assert {192, 200, 208, 1} <= shown and len(render_excerpt(text, ranges)) <= 800
    assert choose_lines("data.txt", text, Focus(), 100_000, fill=False) == ()
    broken = choose_lines("experiment.py", "def f(:\n" + text, Focus(lines=frozenset([200])), 800, fill=False)
    assert 200 in lines_of(broken)


def test_the_lines_of_a_diff_are_those_of_its_new_side() -> None:
    diff = (
        "diff --git a/experiment.py b/experiment.py\nindex 1..2 100644\n--- a/experiment.py\n+++ b/experiment.py\n"
        "@@ -10,4 +10,5 @@ def f():\n same\n-old\n+new\n+++ newer\n same\n same\n"
        "diff --git a/notes.txt b/notes.txt\n--- a/notes.txt\n+++ b/notes.txt\n@@ -1 +1 @@\n-a\n+b\n"
    )
    assert changed_lines(diff, "experiment.py") == {11, 12}
    assert changed_lines(diff, "notes.txt") == {1} and changed_lines(diff, "plot.py") == frozenset()


# What holds of every file

NAMES = st.sampled_from(["alpha", "beta", "gamma", "delta"])
SIZES = st.integers(0, 12)


@st.composite
def programs(draw: st.DrawFn) -> str:
    parts = ['"""Doc."""\n\nX = 1\n\n\n']
    for n, (name, size) in enumerate(draw(st.lists(st.tuples(NAMES, SIZES), min_size=1, max_size=8))):
        call = draw(NAMES)
        if draw(st.booleans()):
            parts.append(body(f"{name}_{n}", call, size))
        else:
            methods = "".join(f"    {line}".rstrip() + "\n" for line in body(f"{name}_{n}", call, size).splitlines())
            parts.append(f"class {name.title()}{n}:\n    size = {n}\n\n{methods}\n")
        if draw(st.booleans()):
            parts.append(f"Y_{n} = {n}\n")
    return "".join(parts) + draw(st.sampled_from(["", "X = 2\n", "X = 2"]))


@st.composite
def excerpts(draw: st.DrawFn) -> tuple[str, tuple[tuple[int, int], ...]]:
    text = draw(programs())
    count = len(split_lines(text).text)
    focus = Focus(
        frozenset(draw(st.lists(st.integers(1, count), max_size=3))),
        frozenset(draw(st.lists(NAMES, max_size=2))),
        frozenset(draw(st.lists(NAMES, max_size=2))),
    )
    room = draw(st.integers(50, len(text) + 100))
    return text, choose_lines("experiment.py", text, focus, room, fill=draw(st.booleans()))


@given(excerpts())
@examples(80)
def test_every_shown_line_is_numbered_right(case: tuple[str, tuple[tuple[int, int], ...]]) -> None:
    text, ranges = case
    lines = split_lines(text).text
    found = read_excerpt(render_excerpt(text, ranges))
    assert all(lines[number - 1] == line for number, line in found.items())
    assert set(found) == (lines_of(ranges) or set(range(1, len(lines) + 1)))
    assert all(a2 > b1 + 1 for (_, b1), (a2, _) in pairwise(ranges))


@given(excerpts(), st.data())
@examples(80)
def test_an_edit_of_shown_lines_is_never_refused_for_that_reason(
    case: tuple[str, tuple[tuple[int, int], ...]], data: st.DataObject
) -> None:
    text, ranges = case
    lines = split_lines(text).text
    whole = ranges or ((1, len(lines)),)
    blocks = []
    for _ in range(data.draw(st.integers(1, 3))):
        first, last = data.draw(st.sampled_from(whole))
        start = data.draw(st.integers(first, last))
        stop = data.draw(st.integers(start, last))
        search = "".join(f"{line}\n" for line in lines[start - 1 : stop])
        added = data.draw(st.sampled_from(["# added\n", "", "# one\n# two\n"]))
        blocks.append(block("experiment.py", search, added + search))
    shown = {"experiment.py": ranges} if ranges else {}
    result = apply_reply({"experiment.py": text}, "\n".join(blocks), editable=["experiment.py"], shown=shown)
    assert Reason.NOT_SHOWN not in [r.reason for r in result.rejected]


@given(excerpts(), st.data())
@examples(80)
def test_an_edit_of_a_line_that_was_not_shown_changes_nothing(
    case: tuple[str, tuple[tuple[int, int], ...]], data: st.DataObject
) -> None:
    text, ranges = case
    lines = split_lines(text).text
    hidden = [n for n in range(1, len(lines) + 1) if ranges and n not in lines_of(ranges) and lines[n - 1].strip()]
    if not hidden:
        return
    line = lines[data.draw(st.sampled_from(hidden)) - 1] + "\n"
    indent = line[: len(line) - len(line.lstrip())]
    result = apply_reply(
        {"experiment.py": text},
        block("experiment.py", line, f"{indent}pass  # changed\n"),
        editable=["experiment.py"],
        shown={"experiment.py": ranges},
    )
    assert not result.changed
    assert result.rejected[0].reason in (Reason.NOT_SHOWN, Reason.AMBIGUOUS)


# Edits of a file that was shown in part

FOCUS = Focus(lines=frozenset([line_of("top_2")]))
RANGES = choose_lines("experiment.py", TEXT, FOCUS, 4000, fill=False)
SHOWN = {"experiment.py": RANGES}
FILES = {"experiment.py": TEXT}


def test_a_blind_edit_is_refused_with_the_lines_that_it_touches() -> None:
    blind = block("experiment.py", "    alone_3 = 3\n", "    alone_3 = 4\n")
    result = apply_reply(FILES, blind, editable=["experiment.py"], shown=SHOWN)
    (rejected,) = result.rejected
    assert rejected.reason is Reason.NOT_SHOWN and rejected.line == line_of("alone_3 = 3")
    assert f"{rejected.line} |     alone_3 = 3" in rejected.hint and "def alone(x):" in rejected.hint
    assert apply_reply(FILES, blind, editable=["experiment.py"]).changed


def test_later_blocks_are_judged_where_earlier_ones_moved_them() -> None:
    longer = block("experiment.py", "RATE = 0.1\n", "RATE = 0.1\n" + "".join(f"A{n} = {n}\n" for n in range(30)))
    good = block("experiment.py", "    top_2 = 2\n", "    top_2 = 3\n")
    own = block("experiment.py", "A7 = 7\n", "A7 = 8\n")
    result = apply_reply(FILES, longer + good + own, editable=["experiment.py"], shown=SHOWN)
    assert result.changed and not result.rejected
    bad = block("experiment.py", "    alone_3 = 3\n", "    alone_3 = 4\n")
    result = apply_reply(FILES, longer + bad, editable=["experiment.py"], shown=SHOWN)
    assert [r.reason for r in result.rejected] == [Reason.NOT_SHOWN]


def test_a_marker_copied_into_both_halves_stands_for_its_lines() -> None:
    marker = next(line for line in excerpt(FOCUS).splitlines() if MARKER.match(line))
    both = block(
        "experiment.py",
        f"MOMENTUM = 0.0\n\n\ndef alone(x):\n{marker}\n\n\ndef leaf(x):\n",
        f"MOMENTUM = 0.9\n\n\ndef alone(x):\n{marker}\n\n\ndef leaf(x):\n",
    )
    result = apply_reply(FILES, both, editable=["experiment.py"], shown=SHOWN)
    assert result.files["experiment.py"] == TEXT.replace("MOMENTUM = 0.0", "MOMENTUM = 0.9")
    alone = block("experiment.py", "def alone(x):\n", f"def alone(x, y):\n{marker}\n")
    result = apply_reply(FILES, alone, editable=["experiment.py"], shown=SHOWN)
    assert [r.reason for r in result.rejected] == [Reason.PLACEHOLDER]


@pytest.mark.parametrize("name", ["alone", "top"])
def test_a_whole_function_may_replace_what_was_shown_alone(name: str) -> None:
    reply = f"experiment.py\n```python\ndef {name}(x):\n    return 2 * x\n```\n"
    result = apply_whole(FILES, reply, editable=["experiment.py"], shown=SHOWN)
    assert result.changed == (name == "top")
    assert [r.reason for r in result.rejected] == ([] if name == "top" else [Reason.NOT_SHOWN])


def test_a_whole_file_may_not_lose_what_was_not_shown() -> None:
    shorter = excerpt(FOCUS)
    kept = "\n".join(
        line if not MARKER.match(line) else line.partition("#")[0] + "pass" for line in shorter.splitlines()
    )
    result = apply_whole(FILES, f"experiment.py\n```python\n{kept}\n```\n", editable=["experiment.py"], shown=SHOWN)
    assert not result.changed and [r.reason for r in result.rejected] == [Reason.NOT_SHOWN]
    same = TEXT.replace("top_2 = 2", "top_2 = 3")
    result = apply_whole(FILES, f"experiment.py\n```python\n{same}\n```\n", editable=["experiment.py"], shown=SHOWN)
    assert result.changed


def test_ranges_are_in_order() -> None:
    flat = [n for pair in RANGES for n in pair]
    assert flat == list(accumulate(flat, max))
