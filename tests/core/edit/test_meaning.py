"""An edit means what it says: what is not understood for certain is refused, never half applied or put elsewhere."""

from __future__ import annotations

import pytest

from agent.core.edit.apply import EditResult, apply_reply, apply_whole

FILES = {
    "experiment.py": "import json\n\nRATE = 3\nWIDTH = 64\n",
    "plot.py": "import json\n\nprint('figure')\n",
    "notes.txt": "# Study\n\nfirst words\n\nSummary\n=======\nnone yet\n",
}


def edit(reply: str, files: dict[str, str] | None = None) -> EditResult:
    return apply_reply(FILES if files is None else files, reply, editable=list(FILES))


def block(body: str, head: str = "experiment.py\n") -> str:
    return f"{head}```\n<<<<<<< SEARCH\n{body}>>>>>>> REPLACE\n```\n"


RATE = block("RATE = 3\n=======\nRATE = 4\n")
APPEND = "```\n<<<<<<< SEARCH\n=======\nRun 1: done\n>>>>>>> REPLACE\n```\n"


def changed(reply: str, files: dict[str, str] | None = None) -> dict[str, str]:
    """The texts that a reply changes; it must not be refused."""
    result = edit(reply, files)
    assert not result.rejected, result.rejected
    return {name: text for name, text in result.files.items() if text != (files or FILES).get(name)}


def refused(reply: str, files: dict[str, str] | None = None) -> str:
    """The reason and hint of the first refusal; the reply must change nothing."""
    result = edit(reply, files)
    assert result.rejected and not result.changed, result.files
    return f"{result.rejected[0].reason}: {result.rejected[0].hint}"


# dividers


@pytest.mark.parametrize("extra", ["=======\n", "\n=======\n", "=======\n\n"])
def test_a_second_divider_above_the_closing_marker_is_left_out(extra: str):
    prose = changed(block(f"first words\n=======\nother words\n{extra}", "notes.txt\n"))
    assert prose["notes.txt"].startswith("# Study\n\nother words\n\nSummary\n=======\n")
    code = changed(block(f"RATE = 3\n=======\nRATE = 4\n{extra}"))
    assert code["experiment.py"].startswith("import json\n\nRATE = 4\nWIDTH")


def test_a_second_divider_below_the_first_is_left_out():
    assert (
        "\n\nother\n\nSummary\n=======\n"
        in changed(block("first words\n=======\n=======\nother\n", "notes.txt\n"))["notes.txt"]
    )
    assert changed(block("RATE = 3\n=======\n\n=======\nRATE = 4\n"))["experiment.py"].count("=") == 2


def test_a_line_under_a_heading_that_the_file_has_stays():
    body = "first words\n\nSummary\n=======\n=======\nlast words\n\nSummary\n=======\n"
    assert "last words\n\nSummary\n=======\nnone yet\n" in changed(block(body, "notes.txt\n"))["notes.txt"]


def test_a_last_line_that_may_underline_a_new_heading_is_refused():
    assert refused(block("none yet\n=======\nnone yet\n\nResults\n=======\n", "notes.txt\n")).startswith(
        "malformed block"
    )


def test_a_second_divider_goes_into_no_code_that_did_not_parse_before():
    broken = FILES | {"experiment.py": "RATE = 3\nWIDTH = (\n"}
    assert changed(block("RATE = 3\n=======\nRATE = 4\n=======\n"), broken)["experiment.py"] == "RATE = 4\nWIDTH = (\n"
    assert "second line of =======" in refused(block("RATE = 3\n=======\nRATE = 4\n=======\nRATE = 5\n"), broken)


def test_a_divider_of_another_length_than_the_markers_is_text():
    notes = changed(block("none yet\n=======\nnone yet\n\nResults so far\n==============\n", "notes.txt\n"))
    assert notes["notes.txt"].endswith("Results so far\n==============\n")


# which file


@pytest.mark.parametrize(
    "head",
    [
        "### notes.txt\n\nFor the record.\n\n",
        "notes.txt\nFor the record.\n\n",
        "`notes.txt`\n\nFor the record, as asked.\nIn short.\n",
        "[notes.txt](notes.txt)\n",
        "<path>notes.txt</path>\n<content>\n",
        "```\nnotes.txt\n```\n",
        "```text\n\nnotes.txt\n\n```\n\n",
    ],
)
def test_a_name_further_up_than_the_line_above_names_the_file(head: str):
    assert set(changed(RATE + head + APPEND)) == {"experiment.py", "notes.txt"}


@pytest.mark.parametrize("head", ["", "notes.txt\n"])
def test_a_block_of_code_under_the_name_of_the_notes_is_not_dropped_as_a_note(head: str):
    notes = block("first words\n=======\nlast words\n", "notes.txt\n")
    told = refused(notes + RATE + "notes.txt\n" + APPEND + block("WIDTH = 64\n=======\nWIDTH = 32\n", head))
    assert told.startswith("SEARCH is in another file")


def test_a_heading_counts_for_a_block_that_would_fit_the_file_before_too():
    reply = RATE + "### plot.py\n\nTables too.\n\n" + block("import json\n=======\nimport csv\nimport json\n", "")
    assert changed(reply)["plot.py"].startswith("import csv\n") and "csv" not in changed(reply)["experiment.py"]


@pytest.mark.parametrize(
    "words", ["In plot.py I add a figure.\nIt shows the rate.\n\n", "Like plot.py, notes.txt changes.\n"]
)
def test_an_append_goes_to_no_file_if_words_named_another_since_the_last_block(words: str):
    assert refused(RATE + words + APPEND).startswith("file named unclearly")


def test_words_that_name_the_file_before_again_are_no_doubt():
    assert set(changed(RATE + "Then experiment.py is to end so:\n" + APPEND.replace("Run 1: done", "E = 1"))) == {
        "experiment.py"
    }


# markers


@pytest.mark.parametrize(
    ("head", "divider", "closer"),
    [
        ("<<<< SEARCH", "====", ">>>> REPLACE"),
        ("<<<<<<<<<< SEARCH", "==========", ">>>>>>>>>> REPLACE"),
        ("<<<<<<<<<<<<<< SEARCH", "=============", ">>>>>>>>>>>>> REPLACE"),
        ("------- SEARCH", "=======", "+++++++ REPLACE"),
        ("<<<<<<< ORIGINAL", "=======", ">>>>>>> UPDATED"),
        ("\ufeff<<<<<<< SEARCH", "=======", "\u200b>>>>>>> REPLACE"),
    ],
)
def test_markers_of_any_length_and_of_other_tools_are_understood(head: str, divider: str, closer: str):
    second = f"experiment.py\n```\n{head}\nWIDTH = 64\n{divider}\nWIDTH = 32\n{closer}\n```\n"
    assert changed(RATE + second)["experiment.py"].endswith("RATE = 4\nWIDTH = 32\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [("**", "**"), ("> ", ""), ("> > ", ""), ("`", "`"), ("# ", ""), ("*", "*:"), ("\u200b**", "**")],
)
def test_markers_in_dress_refuse_the_whole_reply(before: str, after: str):
    body = ["<<<<<<< SEARCH", "WIDTH = 64", "=======", "WIDTH = 32", ">>>>>>> REPLACE"]
    second = "experiment.py\n" + "".join(f"{before}{line}{after}\n" for line in body)
    assert refused(RATE + second).startswith("malformed block")


@pytest.mark.parametrize(
    "line", ["---- Search space ----", "----- SEARCH and more", "<<<< search here >>>>", "++++++ REPLACEMENT"]
)
def test_words_between_signs_are_text(line: str):
    notes = changed(block(f"first words\n=======\nfirst words\n{line}\n", "notes.txt\n"))
    assert line in notes["notes.txt"]


def test_a_byte_order_mark_or_a_character_without_width_hides_no_name():
    for mark in "\ufeff\u200b\u2060":
        assert set(changed(mark + RATE)) == {"experiment.py"}


@pytest.mark.parametrize("line", [":start_line:3", ":start_line: 3\n:end_line:3", "  :start_line:90"])
def test_numbers_of_lines_above_a_rule_are_no_part_of_search(line: str):
    body = f"{line}\n-------\nRATE = 3\n=======\nRATE = 4\n"
    assert changed(block(body)) == {"experiment.py": FILES["experiment.py"].replace("RATE = 3", "RATE = 4")}
    assert "no lines to search for" in refused(block(f"{line}\n-------\n=======\nRATE = 4\n"))
    assert ":start_line: stands in its REPLACE" in refused(
        block(body.replace("RATE = 4", f"{line}\n-------\nRATE = 4"))
    )


@pytest.mark.parametrize(
    "head",
    [
        "<<< SEARCH",
        "<<<SEARCH",
        "\\<<<<<<< SEARCH",
        "< < < < < SEARCH",
        "\uff1c\uff1c\uff1c\uff1c\uff1c SEARCH",
        "&lt;&lt;&lt;&lt;&lt; SEARCH",
        "@@@@@@@ SEARCH",
        "experiment.py <<<<<<< SEARCH RATE = 3 ======= RATE = 5 >>>>>>> REPLACE",
    ],
)
def test_markers_in_other_signs_refuse_the_whole_reply(head: str):
    assert "a marker stands alone" in refused(RATE + f"{head}\nWIDTH = 64\n===\nWIDTH = 32\n>>>\n")


# whole files that nobody asked for

SCRIPT = (
    "import json\n\nRATE = 3\n\n\ndef load():\n    return 1\n\n\ndef save(x):\n    print(x)\n\n\nsave(load() * RATE)\n"
)
NEW = SCRIPT.replace("RATE = 3", "RATE = 4").replace("return 1", "return 2")
WITH_SCRIPT = FILES | {"experiment.py": SCRIPT}


@pytest.mark.parametrize(
    "reply",
    [
        f"experiment.py\n```python\n{NEW}```\n",
        f"```python experiment.py\n{NEW}```\n",
        f"### experiment.py\n\nThe rate is raised.\n\n```python\n{NEW}```\n",
        f"Here is the full `experiment.py`:\n\n```python\n{NEW}```\n",
        f"```python\n# experiment.py\n{NEW}```\n",
        f"<details>\n<summary>experiment.py</summary>\n\n```python\n{NEW}```\n</details>\n",
        f'<file path="experiment.py">\n```python\n{NEW}```\n</file>\n',
        f"experiment.py\n~~~~python\n{NEW}~~~~\n".replace("\n", "\r\n"),
    ],
)
def test_a_whole_file_is_applied(reply: str):
    assert changed(reply, WITH_SCRIPT) == {"experiment.py": NEW}


@pytest.mark.parametrize(
    "text",
    [
        "BIAS = 4\n",
        "import json\nimport os\n\n\ndef unload():\n    return 2\n",
        "def load():\n    return 2\n\n\nprint(load())\n",
        "print(RATE)\n\n\ndef show(x):\n    print(x)\n",
        "import json\n\nRATE = 4\n# ... rest of the code\n",
        "import json\n\nRATE = (\n",
    ],
)
@pytest.mark.parametrize("head", ["experiment.py\n", "In `experiment.py` this changes:\n\n"])
def test_a_part_of_a_file_never_takes_its_place_and_refuses_the_other_half(head: str, text: str):
    reply = block("print('figure')\n=======\nprint('figures')\n", "plot.py\n") + f"{head}```python\n{text}```\n"
    assert refused(reply, WITH_SCRIPT)


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("RATE = 4\n", "RATE = 3\n", "RATE = 4\n"),
        ("def load():\n    return 2\n", "    return 1\n", "    return 2\n"),
        ("import json\n\nRATE = 5\n", "RATE = 3\n", "RATE = 5\n"),
        ("import os\nRATE = 3\n", "import json\n", "import json\nimport os\n"),
    ],
)
@pytest.mark.parametrize("head", ["experiment.py\n", "In `experiment.py` this changes:\n\n", "### experiment.py\n\n"])
def test_whole_functions_and_constants_take_the_place_of_their_own_in_any_turn(
    head: str, text: str, old: str, new: str
) -> None:
    after = WITH_SCRIPT["experiment.py"].replace(old, new)
    assert changed(f"{head}```python\n{text}```\n", WITH_SCRIPT) == {"experiment.py": after}
    doubled = f"```python\nexperiment.py\n```python\n{text}```\n"
    assert changed(doubled, WITH_SCRIPT) == changed(doubled + "```\n", WITH_SCRIPT) == {"experiment.py": after}
    assert refused(f"For example, in experiment.py:\n\n```python\n{text}```\n", WITH_SCRIPT)
    assert refused(block("RATE = 3\n=======\nRATE = 7\n") + f"{head}```python\n{text}```\n", WITH_SCRIPT)


@pytest.mark.parametrize("mark", ["# save() unchanged", "# (the rest as before)", "# continues...", "# existing code"])
def test_a_comment_in_place_of_lines_never_takes_their_place(mark: str):
    short = NEW.replace("def save(x):\n    print(x)", mark)
    for apply in (apply_reply, apply_whole):
        result = apply(WITH_SCRIPT, f"experiment.py\n```python\n{short}```\n", editable=list(FILES))
        assert not result.changed and result.rejected
    cut = block(f"RATE = 3\nWIDTH = 64\n=======\nRATE = 4\n{mark}\n")
    assert refused(cut).startswith("placeholder")
    assert changed(block("RATE = 3\n=======\n# the rate is kept as before, but doubled\nRATE = 6\n"))


def test_a_whole_file_that_calls_what_it_no_longer_defines_is_refused():
    short = NEW.replace("def save(x):\n    print(x)\n\n\n", "")
    assert "It uses save" in refused(f"experiment.py\n```python\n{short}```\n", WITH_SCRIPT)


@pytest.mark.parametrize(
    "command", ["python experiment.py --out_dir=run_1", "$ python experiment.py", "cd .\npip install x"]
)
def test_a_command_below_words_that_name_a_file_is_no_text_of_it(command: str):
    assert set(changed(RATE + f"Run experiment.py with:\n\n```\n{command}\n```\n")) == {"experiment.py"}


@pytest.mark.parametrize(
    "text", [SCRIPT, "def load():\n    return 1\n", "    return 1\n", "RATE = 4\n\n\ndef load():\n", "\nRATE = 3\n\n"]
)
def test_a_quotation_of_the_file_before_or_after_the_edit_changes_nothing(text: str):
    reply = block("RATE = 3\n=======\nRATE = 4\n") + f"So experiment.py has:\n\n```python\n{text}```\n"
    assert changed(reply, WITH_SCRIPT)["experiment.py"] == SCRIPT.replace("RATE = 3", "RATE = 4")


@pytest.mark.parametrize(
    "new", [SCRIPT.replace("import json\n\n", ""), SCRIPT.replace("\n\n\ndef save", "\n\ndef save")]
)
def test_a_whole_file_that_only_loses_lines_at_an_end_or_blank_ones_is_no_quotation(new: str):
    assert changed(f"experiment.py\n```python\n{new}```\n", WITH_SCRIPT) == {"experiment.py": new}


def test_a_whole_file_beside_blocks_for_the_same_file_must_agree_with_them():
    one = block("RATE = 3\n=======\nRATE = 4\n")
    both = one + "All of experiment.py:\n```python\n" + SCRIPT.replace("RATE = 3", "RATE = 4") + "```\n"
    assert changed(both, WITH_SCRIPT) == changed(one, WITH_SCRIPT)
    assert "lead to another text" in refused(one + f"experiment.py\n```python\n{NEW}```\n", WITH_SCRIPT)


def test_a_whole_file_without_a_name_is_refused_by_the_file_that_it_is_like():
    assert "looks like all of experiment.py" in refused(f"So:\n\n```python\n{NEW}```\n", WITH_SCRIPT)


@pytest.mark.parametrize("text", ["@@ -3 +3 @@\n-first words\n+other\n", "## Run 2\nnew result\n", "loss 0.1\n"])
def test_notes_are_not_replaced_by_a_part_of_them(text: str):
    for apply in (apply_reply, apply_whole):
        result = apply(FILES, f"notes.txt\n```\n{text}```\n", editable=list(FILES))
        assert "Summary" in result.files["notes.txt"]


def test_a_stub_may_be_replaced_by_a_script():
    files = FILES | {"plot.py": "# figures\n"}
    assert changed("plot.py\n```python\nimport json\n\nprint('one')\n```\n", files)["plot.py"].startswith("import json")
    assert refused("plot.py\n```python\nprint('title')\n```\n")


def test_output_and_commands_under_a_name_are_no_edit():
    told = "Run experiment.py:\n```bash\npython experiment.py\n```\n\nexperiment.py\n```text\nloss 3\n```\n"
    assert set(changed(told + RATE)) == {"experiment.py"} and not edit(told).rejected


# marks of our own

LONG = FILES | {"experiment.py": "A = 1\nX = '" + "x" * 900 + "'\nRATE = 3\nRATES = [RATE]\n"}


@pytest.mark.parametrize(
    "body",
    [
        "3 | RATE = 3\n=======\n3 | RATE = 4\n",
        " 3 | RATE = 3\n=======\nRATE = 4\n",
        "2 |\n3 | RATE = 3\n4 | WIDTH = 64\n=======\n2 | \n3 | RATE = 4\n4 | WIDTH = 64\n",
        "3 | RATE = 3\n4 | WIDTH = 64\n=======\nRATE = 4\n4 | WIDTH = 64\n",
    ],
)
def test_numbers_of_lines_are_taken_off_both_halves(body: str):
    assert changed(block(body)) == {"experiment.py": FILES["experiment.py"].replace("RATE = 3", "RATE = 4")}


@pytest.mark.parametrize(
    "reply",
    [
        block("7 | RATE = 3\n=======\nRATE = 4\n"),
        block("RATE = 3\n=======\n3 | RATE = 4\n"),
        block("RATE = 3\n=======\n3 | RATE = 3\n4 | WIDTH = 64\nN = 2\n"),
        block("# Study\n=======\n1 | # Study\n2 | more\n", "notes.txt\n"),
        "notes.txt\n```\n1 | # Study\n2 |\n3 | first words\n4 | more\n```\n",
    ],
)
def test_numbers_that_are_wrong_or_would_be_written_are_refused(reply: str):
    assert refused(reply).startswith("lines begin with their numbers")


def test_tables_of_the_file_itself_are_text():
    files = FILES | {"notes.txt": "1 | 0.5\n2 | 0.4\n"}
    assert changed(block("2 | 0.4\n=======\n2 | 0.4\n3 | 0.3 better\nSo much.\n", "notes.txt\n"), files)


def test_a_line_that_a_hint_cut_stands_for_the_whole_line():
    cut = f"X = '{'x' * 595} [and 306 characters more]\n"
    reply = block(f"{cut}RATE = 3\n=======\n{cut}RATE = 4\n")
    assert changed(reply, LONG)["experiment.py"] == LONG["experiment.py"].replace("RATE = 3", "RATE = 4")
    assert refused(block(f"RATE = 3\n=======\nY = '{'y' * 595} [and 306 characters more]\n"), LONG).startswith(
        "placeholder"
    )
    assert "of a line that is cut here" in refused(block("X = 'xx'\nRATE = 3\nRATES = [1]\n=======\nRATE = 4\n"), LONG)


@pytest.mark.parametrize(
    "line",
    [
        "(lines 41 to 80 not shown)",
        "[... 12 lines left out ...]",
        "[and 40 more lines]",
        "RATE [... 900 characters ...] 4",
        "# ... 12 lines not shown (30-41) ...",
    ],
)
def test_no_mark_of_ours_is_written_into_a_file(line: str):
    assert refused(block(f"first words\n=======\n{line}\n", "notes.txt\n")).startswith("placeholder")


# the same edit again

MORE = block("RATE = 3\n=======\nRATE = 3\nDECAY = 2\n")
HUNK = "```diff\n--- a/experiment.py\n+++ b/experiment.py\n@@ -3 +3,2 @@\n RATE = 3\n+DECAY = 2\n```\n"
CALL = '```json\n{"path": "experiment.py", "old_str": "\\nRATE = 3", "new_str": "\\nRATE = 3\\nDECAY = 2"}\n```\n'


@pytest.mark.parametrize("again", [MORE, MORE + MORE, HUNK, CALL, "So:\n\n" + MORE + HUNK + CALL])
@pytest.mark.parametrize("first", [MORE, HUNK, CALL])
def test_lines_that_are_added_twice_by_one_reply_are_added_once(first: str, again: str):
    assert changed(first + again) == {"experiment.py": FILES["experiment.py"].replace("= 3\n", "= 3\nDECAY = 2\n")}


def test_an_append_that_is_written_twice_is_made_once_and_two_appends_are_two():
    one = "notes.txt\n" + APPEND
    assert changed(one + RATE + one)["notes.txt"].count("Run 1: done") == 1
    assert changed(one + one.replace("done", "done\nRun 2: done"))["notes.txt"].count("Run 1: done") == 2


def test_the_same_line_may_be_added_in_two_places():
    two = MORE + block("WIDTH = 64\n=======\nWIDTH = 64\nDECAY = 2\n")
    assert changed(two)["experiment.py"].count("DECAY = 2\n") == 2


# small things


def test_doubled_returns_at_line_ends_leave_none_in_the_file():
    assert "\r" not in changed(RATE.replace("\n", "\r\r\n"))["experiment.py"]


def test_a_block_may_be_about_a_blank_line_alone():
    notes = {"notes.txt": "a\n\nb\n"}
    assert changed(block("a\n\n=======\na\n", "notes.txt\n"), notes)["notes.txt"] == "a\nb\n"
    assert changed(block("a\n=======\na\n\n", "notes.txt\n"), notes)["notes.txt"] == "a\n\n\nb\n"


def test_a_hint_tells_of_tabs():
    files = {"experiment.py": "if 1:\n    a = 1\n    if a:\n        b = 2\n"}
    assert "SEARCH has tabs" in refused(block("\ta = 1\n\tif a:\n\t\tb = 2\n=======\n\tpass\n"), files)
