"""Two fences, before and after: a change that is made in its one place, or words about one that is made already."""

from __future__ import annotations

import pytest

from agent.core.edit.apply import EditResult, apply_reply

FILES = {"experiment.py": "import json\n\nSIZE = 16\nDEPTH = 2\n\nrun(SIZE, DEPTH)\n", "notes.txt": "# Study\n"}
EDIT = "experiment.py\n<<<<<<< SEARCH\nDEPTH = 2\n=======\nDEPTH = 3\n>>>>>>> REPLACE\n\n"


def pair(before: str, after: str, old: str = "SIZE = 16", new: str = "SIZE = 32") -> str:
    return f"{before}\n\n```python\n{old}\n```\n\n{after}\n```python\n{new}\n```\n"


def edit(reply: str) -> EditResult:
    return apply_reply(FILES, reply, editable=list(FILES))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Before:", "After:"),
        ("**Old code:**", "**New code:**"),
        ("### Original", "### Modified"),
        ("Replace this:", "with this:"),
        ("Replace the following lines:", "With:"),
        ("Find", "Replace with"),
        ("SEARCH", "REPLACE"),
        ("The current line:", "Change it to:"),
    ],
)
def test_a_pair_is_a_change_beside_a_block_or_alone(before: str, after: str):
    both = edit(EDIT + "In experiment.py:\n\n" + pair(before, after))
    assert not both.rejected and both.files["experiment.py"].startswith("import json\n\nSIZE = 32\nDEPTH = 3\n")
    alone = edit("### experiment.py\n\n" + pair(before, after))
    assert not alone.rejected and "SIZE = 32\nDEPTH = 2\n" in alone.files["experiment.py"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("SIZE = 8", "SIZE = 32"), ("json", "csv"), ("SIZE = 16\nDEPTH = 9", "SIZE = 1"), ("SIZE = 16", "SIZE = (")],
)
def test_a_pair_that_does_not_fit_refuses_the_reply_by_its_form(old: str, new: str):
    result = edit(EDIT + "experiment.py\n\n" + pair("Before:", "After:", old, new))
    assert not result.changed and result.rejected
    assert "pair of fences" in result.rejected[0].hint or "no longer Python" in result.rejected[0].hint


def test_a_pair_whose_second_fence_is_cut_refuses_the_reply():
    result = edit(EDIT + "experiment.py\n\n" + pair("Before:", "After:").removesuffix("\n```\n"))
    assert not result.changed and "its second fence is not closed" in result.rejected[0].hint


@pytest.mark.parametrize(
    "words",
    [
        pair("Before:", "After:", "DEPTH = 2", "DEPTH = 3"),
        pair("Before:", "After:", "SIZE = 16\nDEPTH = 2", "SIZE = 16\nDEPTH = 3"),
        pair("Before the change it said:", "After it, I expect:", "score 0.4 of 1", "score 0.6 of 1"),
        pair("Old:", "New:", "total = 3 runs", "total = 4 runs"),
    ],
)
def test_a_pair_about_the_edit_itself_or_about_no_file_is_words(words: str):
    for reply in (EDIT + words, words + "\n" + EDIT):
        result = edit(reply)
        assert not result.rejected and result.files["experiment.py"] == FILES["experiment.py"].replace("= 2", "= 3")
