from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.edit.apply import EditResult, Reason, apply_reply, has_blocks
from tests.examples import examples

PY = "import math\n\n\ndef area(r):\n    return math.pi * r * r\n\n\ndef ring(a, b):\n    return area(a) - area(b)\n"
PLOT = "import json\n\nprint('plot')\n"
NOTES = "# Title\n\nRun 0\n"
FILES = {"experiment.py": PY, "plot.py": PLOT, "notes.txt": NOTES}
EDITABLE = ["experiment.py", "plot.py", "notes.txt"]


def block(search: str, replace: str, name: str = "experiment.py") -> str:
    head = f"{name}\n" if name else ""
    return f"{head}```python\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n```\n"


def edit(reply: str, files: dict[str, str] | None = None, editable: list[str] | None = None) -> EditResult:
    return apply_reply(FILES if files is None else files, reply, editable=EDITABLE if editable is None else editable)


def reasons(result: EditResult) -> list[Reason]:
    return [r.reason for r in result.rejected]


def changed_text(files: dict[str, str], reply: str, path: str = "experiment.py") -> str:
    result = edit(reply, files, list(files))
    assert not result.rejected, result.rejected
    return result.files[path]


# all or nothing


def test_one_block_is_applied():
    result = edit(block("    return area(a) - area(b)\n", "    return area(b) - area(a)\n"))
    assert result.changed and not result.rejected
    assert result.files["experiment.py"] == PY.replace("area(a) - area(b)", "area(b) - area(a)")
    assert result.files == result.staged
    assert [(b.path, b.line) for b in result.applied] == [("experiment.py", 3)]


def test_a_rejected_block_leaves_files_as_they_were_and_stages_the_good_ones():
    result = edit(block("import math\n", "import math  # pi\n") + block("no such line\n", "x = 1\n"))
    assert result.files == FILES and not result.changed
    assert result.staged["experiment.py"].startswith("import math  # pi\n")
    assert reasons(result) == [Reason.NOT_FOUND] and len(result.applied) == 1


def test_a_good_block_after_a_bad_one_is_staged_too():
    result = edit(block("no such line\n", "x\n") + block("import json\n", "import csv\n", "plot.py"))
    assert result.files == FILES and result.staged["plot.py"].startswith("import csv")


def test_where_only_notes_fail_the_rest_applies():
    reply = block("import math\n", "import math as math\n") + block("Run 7\n", "Run 8\n", "notes.txt")
    result = edit(reply + block("Run 0\n", "Run 0: baseline\n", "notes.txt"))
    assert result.changed and result.files == result.staged
    assert result.files["experiment.py"].startswith("import math as math")
    assert result.files["notes.txt"].endswith("Run 0: baseline\n")
    assert [r.path for r in result.rejected] == ["notes.txt"]


def test_notes_do_not_save_a_reply_whose_code_fails():
    result = edit(block("gone\n", "x\n") + block("Run 0\n", "Run 1\n", "notes.txt"))
    assert result.files == FILES and result.staged["notes.txt"] == "# Title\n\nRun 1\n"


def test_the_input_is_not_mutated():
    files = dict(FILES)
    result = edit(block("import math\n", "import cmath as math\n"), files)
    result.files["experiment.py"] = result.staged["experiment.py"] = "x"
    assert files == FILES


def test_a_reply_without_blocks_changes_nothing():
    reply = (
        "I would do this:\n\n```python\nimport os\n```\n\n```bash\npython experiment.py --out_dir=run_1\n```\nDone\n"
    )
    result = edit(reply)
    assert result == EditResult(FILES, FILES, [], [], False)
    assert not has_blocks(reply) and has_blocks(block("a\n", "b\n"))


def test_later_blocks_see_what_earlier_ones_wrote():
    reply = block("import math\n", "import math\nTAU = 2 * math.pi\n") + block(
        "TAU = 2 * math.pi\n", "TAU = math.tau\n"
    )
    assert "\nTAU = math.tau\n" in edit(reply).files["experiment.py"]


def test_a_block_that_asks_for_nothing_is_no_error_and_no_change():
    result = edit(block("import math\n", "import math\n") + block("not there\n", "not there\n"))
    assert not result.rejected and not result.changed and len(result.applied) == 2


def test_a_block_that_an_earlier_one_fulfilled_is_no_error():
    files = {"experiment.py": "def f(\n    a=1,\n    b=2,\n):\n    pass\n"}
    reply = block("    b=2,\n", "    b=3,\n") + block("    a=1,\n    b=2,\n", "    a=1,\n    b=3,\n")
    assert changed_text(files, reply) == "def f(\n    a=1,\n    b=3,\n):\n    pass\n"


# which file


@pytest.mark.parametrize(
    "name", ["../../x.py", "/etc/passwd", "a/../experiment.py", ".git/config", "~/x.py", "C:\\x.py", ".GIT/hooks/x"]
)
def test_paths_outside_are_refused(name: str):
    result = edit(block("", "x = 1\n", name), editable=[*EDITABLE, "x.py"])
    assert reasons(result) == [Reason.UNSAFE_PATH] and result.files == FILES


def test_an_absolute_path_is_refused_though_its_basename_is_editable():
    assert reasons(edit(block("import math\n", "import os\n", "/home/x/experiment.py"))) == [Reason.UNSAFE_PATH]


def test_a_file_outside_the_editable_list_is_refused_and_the_list_is_named():
    result = edit(block("import json\n", "import csv\n", "plot.py"), editable=["experiment.py"])
    assert reasons(result) == [Reason.NOT_EDITABLE] and "experiment.py" in result.rejected[0].hint


def test_a_unique_basename_is_accepted_and_an_ambiguous_one_is_not():
    files = {"lib/a/util.py": "a = 1\n", "lib/b/util.py": "a = 1\n", "lib/b/net.py": "b = 1\n"}
    result = edit(block("b = 1\n", "b = 2\n", "net.py"), files, list(files))
    assert result.files["lib/b/net.py"] == "b = 2\n" and result.applied[0].path == "lib/b/net.py"
    assert reasons(edit(block("a = 1\n", "a = 2\n", "util.py"), files, list(files))) == [Reason.UNCLEAR_FILE]


def test_a_nameless_block_inherits_the_file_before_it():
    reply = (
        block("import json\n", "import csv\n", "plot.py")
        + "Then:\n\n"
        + block("print('plot')\n", "print('plots')\n", "")
    )
    assert edit(reply).files["plot.py"] == "import csv\n\nprint('plots')\n"


def test_a_nameless_block_inherits_an_illegal_file_too():
    reply = block("", "x\n", "../x.py") + block("import math\n", "import os\n", "")
    assert reasons(edit(reply)) == [Reason.UNSAFE_PATH, Reason.UNSAFE_PATH]


def test_a_first_nameless_block_goes_to_the_only_file_it_fits_once():
    assert edit(block("import json\n", "import csv\n", "")).files["plot.py"].startswith("import csv")
    both = {"experiment.py": "import json\n", "plot.py": "import json\n"}
    assert reasons(edit(block("import json\n", "import csv\n", ""), both)) == [Reason.UNCLEAR_FILE]
    result = edit(block("    return area(x) - area(b)\n", "", ""))
    assert reasons(result) == [Reason.NO_FILE] and "9 |     return area(a) - area(b)" in result.rejected[0].hint


def test_a_block_for_another_file_is_refused_with_that_file_named():
    result = edit(block("import json\n", "import csv\n", "experiment.py"))
    assert reasons(result) == [Reason.OTHER_FILE]
    assert "plot.py" in result.rejected[0].hint and "1 | import json" in result.rejected[0].hint
    assert result.rejected[0].line == 1 and result.files == FILES


def test_a_sentence_that_names_another_file_than_the_inherited_one():
    first = block("import math\n", "import math as m, math\n")
    told = "Next, let me show it in plot.py as well:\n\n"
    assert edit(first + told + block("import json\n", "import csv\n", "")).files["plot.py"].startswith("import csv")
    assert reasons(edit(first + told + block("", "x = 1\n", ""))) == [Reason.UNCLEAR_FILE]
    same = {"experiment.py": "import math\nx = 1\n", "plot.py": "x = 1\n"}
    assert reasons(edit(first + told + block("x = 1\n", "x = 2\n", ""), same)) == [Reason.UNCLEAR_FILE]


# new files and appending


def test_an_empty_search_creates_an_editable_file():
    result = edit(block("", "import os\n", "extra.py"), editable=[*EDITABLE, "extra.py"])
    assert result.files["extra.py"] == "import os\n" and result.changed


def test_an_empty_search_appends_on_a_new_line():
    assert edit(block("", "Run 1\n", "notes.txt")).files["notes.txt"] == NOTES + "Run 1\n"
    assert edit(block("\n", "Run 1\n", "notes.txt")).files["notes.txt"] == NOTES + "Run 1\n"
    assert changed_text({"notes.txt": "no newline"}, block("", "x\n", "notes.txt"), "notes.txt") == "no newline\nx\n"
    assert changed_text({"notes.txt": ""}, block("", "x\n", "notes.txt"), "notes.txt") == "x\n"


def test_a_search_in_a_file_that_does_not_exist_is_refused_and_leaves_no_empty_file():
    result = edit(block("x = 1\n", "x = 2\n", "extra.py"), editable=[*EDITABLE, "extra.py"])
    assert reasons(result) == [Reason.NO_SUCH_FILE] and "extra.py" not in result.staged


# bytes that stay


def test_line_ends_byte_order_mark_and_final_newline_stay():
    text = "\ufeffa = 1\r\nb = 2\r\nc = 3"
    assert (
        changed_text({"x.py": text}, block("b = 2\n", "b = 3\nd = 4\n", "x.py"), "x.py")
        == "\ufeffa = 1\r\nb = 3\r\nd = 4\r\nc = 3"
    )
    assert changed_text({"x.py": text}, block("a = 1\n", "a = 9\n", "x.py"), "x.py").startswith("\ufeffa = 9\r\n")
    assert changed_text({"x.py": text}, block("", "d = 4\n", "x.py"), "x.py") == text + "\r\nd = 4\r\n"


def test_mixed_line_ends_stay_where_nothing_changed():
    text = "a = 1\r\nb = 2\nc = 3\r\n"
    assert changed_text({"x.py": text}, block("a = 1\nb = 2\nc = 3\n", "a = 1\nb = 9\nc = 3\n", "x.py"), "x.py") == (
        "a = 1\r\nb = 9\nc = 3\r\n"
    )


def test_a_reply_with_windows_line_ends_is_read():
    assert (
        edit(block("import math\n", "import cmath\n").replace("\n", "\r\n"))
        .files["experiment.py"]
        .startswith("import cmath\n")
    )


def test_form_feeds_and_line_separators_are_text():
    text = "a = '\x0c\u2028'\nb = 2\n"
    assert changed_text({"x.py": text}, block("b = 2\n", "b = 3\n", "x.py"), "x.py") == "a = '\x0c\u2028'\nb = 3\n"


def test_an_empty_line_above_a_marker_is_layout_where_the_other_half_lacks_it():
    assert edit(block("Run 0\n", "Run 0\nRun 1\n\n", "notes.txt")).files["notes.txt"] == NOTES + "Run 1\n"
    assert edit(block("# Title\n\n", "# A title\n", "notes.txt")).files["notes.txt"] == "# A title\n\nRun 0\n"


def test_a_replace_that_ends_with_the_name_of_the_file_keeps_that_line():
    reply = block("import math\n", "# from experiment.py\nimport math\n")
    assert edit(reply).files["experiment.py"].startswith("# from experiment.py\nimport math\n")


# refusals


def test_several_places_are_refused_with_all_their_lines():
    files = {"experiment.py": "if a:\n    x = 1\nif b:\n    x = 1\n"}
    result = edit(block("    x = 1\n", "    x = 2\n"), files)
    assert reasons(result) == [Reason.AMBIGUOUS] and result.rejected[0].line == 2
    assert "lines 2, 4" in result.rejected[0].hint and "3 | if b:" in result.rejected[0].hint
    assert result.files == files


def test_a_drifted_search_is_refused_with_the_real_lines():
    result = edit(block("def ring(a, b):\n    return area(a) + area(b)\n", "def ring(a, b):\n    return 0\n"))
    assert reasons(result) == [Reason.NOT_FOUND] and result.rejected[0].line == 8
    assert (
        "8 | def ring(a, b):" in result.rejected[0].hint
        and "9 |     return area(a) - area(b)" in result.rejected[0].hint
    )


def test_a_replacement_that_is_there_already_is_named():
    files = {"experiment.py": "lr = 2\nn = 1\n"}
    result = edit(block("lr = 1\n", "lr = 2\n"), files)
    assert (
        reasons(result) == [Reason.NOT_FOUND]
        and "REPLACE is in experiment.py already, at line 1" in result.rejected[0].hint
        and "If you exchanged the two, send it again with these lines in SEARCH" in result.rejected[0].hint
    )


def test_text_that_an_earlier_block_changed_is_named():
    reply = block("def area(r):\n", "def disc(r):\n") + block(
        "def area(r):\n    return math.pi * r * r\n", "def area(r):\n    return 1\n"
    )
    result = edit(reply)
    assert reasons(result) == [Reason.NOT_FOUND]
    assert "block at line 3 of the same reply changed these lines" in result.rejected[0].hint
    assert "4 | def disc(r):" in result.rejected[0].hint


@pytest.mark.parametrize(
    "line",
    [
        "[previous content unchanged]",
        "# ... rest of the code",
        "    # ... existing code ...",
        "# rest of the code remains the same",
    ],
)
def test_a_placeholder_is_refused(line: str):
    result = edit(block("import math\n", f"import math\n{line}\n"))
    assert reasons(result) == [Reason.PLACEHOLDER] and "1 | import math" in result.rejected[0].hint


def test_a_placeholder_that_the_file_holds_is_text():
    files = {"experiment.py": "a = 1\n# ... rest of the code\n"}
    reply = block("a = 1\n# ... rest of the code\n", "a = 2\n# ... rest of the code\n")
    assert changed_text(files, reply) == "a = 2\n# ... rest of the code\n"


@pytest.mark.parametrize(
    "reply",
    [
        "experiment.py\n<<<<<<< SEARCH\nimport math\n=======\nimport os\n",
        "experiment.py\n<<<<<<< SEARCH\nimport math\n>>>>>>> REPLACE\n",
        "experiment.py\nimport math\n=======\nimport os\n>>>>>>> REPLACE\n",
        "experiment.py\n<<<<<<< HEAD\nimport math\n=======\nimport os\n>>>>>>> branch\n",
        "experiment.py\n<<<<<<< SEARCH\nimport math\n=======\nimport os\n```\n\n"
        + block("import json\n", "import csv\n", "plot.py"),
    ],
)
def test_a_malformed_block_is_never_dropped_silently(reply: str):
    result = edit(reply)
    assert Reason.MALFORMED in reasons(result) and result.files == FILES


def test_a_marker_on_its_own_after_a_block_of_notes_refuses_the_reply():
    reply = block("import math\n", "import cmath\n") + block("Run 0\n", "Run 1\n", "notes.txt")
    result = edit(reply + "experiment.py\nSTEPS\n=======\nSTEP\n>>>>>>> REPLACE\n")
    assert reasons(result) == [Reason.MALFORMED] and result.files == FILES


def test_a_block_of_notes_that_was_cut_lets_the_rest_apply():
    result = edit(block("import math\n", "import cmath as math\n") + "notes.txt\n<<<<<<< SEARCH\nRun 0\n=======\nRun")
    assert reasons(result) == [Reason.MALFORMED] and result.files["experiment.py"].startswith("import cmath")


# Python


def test_python_that_does_not_parse_is_refused_with_the_line():
    result = edit(block("def ring(a, b):\n", "def ring(a, b:\n"))
    assert reasons(result) == [Reason.SYNTAX] and result.files == result.staged == FILES
    assert result.rejected[0].line == 8 and "8 | def ring(a, b:" in result.rejected[0].hint


def test_only_the_block_that_breaks_python_is_refused():
    result = edit(block("def ring(a, b):\n", "def ring(a, b:\n") + block("import math\n", "import cmath as math\n"))
    assert reasons(result) == [Reason.SYNTAX] and result.files == FILES
    assert result.staged["experiment.py"] == PY.replace("import math", "import cmath as math")


def test_blocks_that_parse_only_together_are_applied():
    reply = block("    return math.pi * r * r\n", "    return (\n") + block(
        "    return (\n", "    return (\n        r)\n"
    )
    assert "return (\n        r)" in edit(reply).files["experiment.py"]


def test_all_blocks_of_a_file_are_refused_where_no_single_one_breaks_it():
    reply = block("def area(r):\n", "def area(r:\n") + block("def ring(a, b):\n", "def ring(a, b:\n")
    result = edit(reply)
    assert reasons(result) == [Reason.SYNTAX, Reason.SYNTAX] and result.staged == FILES and not result.applied


def test_a_file_that_did_not_parse_before_may_be_edited():
    files = {"experiment.py": "def f(:\n    pass\nx = 1\n"}
    assert changed_text(files, block("x = 1\n", "x = 2\n")) == "def f(:\n    pass\nx = 2\n"


def test_new_python_must_parse():
    result = edit(block("", "def f(:\n", "extra.py"), editable=[*EDITABLE, "extra.py"])
    assert reasons(result) == [Reason.SYNTAX] and "extra.py" not in result.staged


def test_a_file_that_breaks_for_want_of_a_refused_block_says_so():
    reply = block("no such line\n", "x\n") + block("    return math.pi * r * r\n", "    try:\n        return 1\n")
    result = edit(reply)
    assert reasons(result) == [Reason.NOT_FOUND, Reason.SYNTAX] and result.staged == FILES
    assert "Another block of this file was refused" in result.rejected[1].hint


def test_reasons_are_phrases():
    assert str(Reason.NOT_FOUND) == "SEARCH not found" and f"{Reason.SYNTAX}" == "Python does not parse"


def test_blocks_are_told_with_their_file_and_line():
    reply = "Hello\n\n" + block("a\n", "b\n") + block("c\n", "", "")
    result = apply_reply({"experiment.py": "a\nc\n"}, reply, editable=EDITABLE)
    assert [(b.path, b.search, b.replace, b.line) for b in result.applied] == [
        ("experiment.py", "a\n", "b\n", 5),
        ("experiment.py", "c\n", "", 12),
    ]


# properties

_words = st.text(alphabet="abcxyz 0123_()", min_size=1, max_size=12).map(lambda w: w.strip() or "w")
_file_lines = st.lists(_words, min_size=1, max_size=20, unique=True)
_new_lines = st.lists(_words.map(lambda w: f"new {w}"), max_size=5)


@st.composite
def _slice_edits(draw: st.DrawFn) -> tuple[list[str], int, int, list[str]]:
    lines = draw(_file_lines)
    start = draw(st.integers(0, len(lines) - 1))
    return lines, start, draw(st.integers(start + 1, len(lines))), draw(_new_lines)


@given(_slice_edits(), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
@examples(60)
def test_replacing_any_unique_slice_is_exact(
    case: tuple[list[str], int, int, list[str]], newline: str, bom: bool, final: bool
):
    lines, start, stop, new = case
    newline = newline if final or len(lines) > 1 else "\n"
    end = newline if final or stop == len(lines) else ""
    mark = "\ufeff" if bom else ""
    before = mark + newline.join(lines) + (newline if final else "")
    wanted = [*lines[:start], *new, *lines[stop:]]
    reply = block("".join(f"{x}\n" for x in lines[start:stop]), "".join(f"{x}\n" for x in new), "notes.txt")
    result = apply_reply({"notes.txt": before}, reply, editable=["notes.txt"])
    assert not result.rejected
    assert result.files["notes.txt"] == mark + newline.join(wanted) + (end if wanted else "")


_FRAGMENTS = """<<<<<<< SEARCH|=======|>>>>>>> REPLACE|```|```python|experiment.py|import math|<think>|</think>|...|
    return 1|plot.py:|~~~~|# ... rest of the code|<<<<<|=====|Run 0|def f(:|=======>>>>>>> REPLACE|\r|\0|"""
_fragments = st.sampled_from(_FRAGMENTS.replace("\n", "|").split("|"))


@given(st.lists(_fragments | st.text(max_size=20), max_size=25).map("\n".join))
@examples(60)
def test_no_reply_raises_or_breaks_the_rules(reply: str):
    files = dict(FILES)
    result = apply_reply(files, reply, editable=EDITABLE)
    assert files == FILES and set(result.files) <= set(EDITABLE)
    if any(r.path != "notes.txt" for r in result.rejected):
        assert result.files == FILES and not result.changed
    else:
        assert result.files == result.staged
    assert result.changed == (result.files != FILES)
    for path in ("experiment.py", "plot.py"):
        ast.parse(result.files[path])
        ast.parse(result.staged[path])
    assert all(r.hint and str(r.reason) and r.block.line >= 1 for r in result.rejected)


def test_a_replaced_last_line_without_newline_takes_the_line_end_of_its_file():
    result = apply_reply({"notes.txt": "0\r\n1"}, block("1\n", "new\n", "notes.txt"), editable=["notes.txt"])
    assert result.files["notes.txt"] == "0\r\nnew\r\n"


def test_a_reply_of_very_many_edits_is_refused_whole():
    reply = block("import math\n", "import math as m\n") * 201
    result = edit(reply)
    assert (reasons(result), result.changed, result.applied) == ([Reason.MALFORMED], False, [])
    assert "201 edits; at most 200" in result.rejected[0].hint


def test_a_reply_of_thousands_of_fences_is_refused_before_they_are_looked_at() -> None:
    fences = "".join(f"Before:\n```python\ny{n} = {n}\n```\n" for n in range(1_001))
    result = apply_reply({"a.py": "x = 1\n"}, fences, editable=["a.py"])
    assert result.applied == [] and "1,001 fences; at most 1,000" in result.rejected[0].hint
