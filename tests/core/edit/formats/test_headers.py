"""SEARCH and REPLACE as headers without marks: alone on a line, on a fence, as the first line of one."""

from __future__ import annotations

import pytest

from agent.core.edit.apply import apply_reply, apply_whole, has_blocks
from agent.core.edit.result import Reason

CODE = "import os\nRATE = 0.3  # search: 0.1..1\nSTEPS = 3\n\n\ndef run():\n    return RATE\n"
HEAD = "experiment.py\n```\n"
FILES = {"experiment.py": CODE, "plot.py": "RATE = 0.3\nSIZE = 1\n", "notes.txt": "# Notes\nSEARCH\nREPLACE\n"}
OLD, NEW = "RATE = 0.3\nSTEPS = 3", "RATE = 0.5\nSTEPS = 4"
AFTER = CODE.replace("RATE = 0.3", "RATE = 0.5").replace("STEPS = 3", "STEPS = 4")


@pytest.mark.parametrize(
    "form",
    [
        "experiment.py\n```python\nSEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n```\n",
        "experiment.py\nSEARCH:\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n",
        "experiment.py\n**SEARCH**\n```python\n{old}\n```\n=======\n```python\n{new}\n```\n>>>>>>> REPLACE\n",
        "experiment.py\n```python\nSEARCH:\n{old}\nREPLACE:\n{new}\n```\n",
        "experiment.py\n```python\nSEARCH\n{old}\n=======\nREPLACE\n{new}\n```\n",
        "experiment.py\n```python\nSEARCH\n{old}\n=======\n{new}\nREPLACE\n```\n",
        "```python\nexperiment.py\nSEARCH:\n{old}\n\nREPLACE:\n{new}\n```\n",
        "```python experiment.py\n# SEARCH:\n{old}\n# REPLACE:\n{new}\n```\n",
        "experiment.py\n```SEARCH\n{old}\n```\n```REPLACE\n{new}\n```\n",
        "experiment.py\n\nSEARCH:\n```python\n{old}\n```\nREPLACE:\n```python\n{new}\n```\n",
        "experiment.py\n```python\nSEARCH:\n{old}\n```\n```python\nREPLACE:\n{new}\n```\n",
        "SEARCH:\n```python\n{old}\n```\n\nREPLACE:\n```python\n{new}\n```\n",
        "experiment.py\r\n```python\r\nSEARCH:\r\n{old}\r\nREPLACE:\r\n{new}\r\n```\r\n",
    ],
)
def test_the_words_alone_are_headers(form: str) -> None:
    reply = "PLAN:\n1. Faster\n\n" + form.format(old=OLD, new=NEW)
    for apply in (apply_reply, apply_whole):
        result = apply(FILES, reply, editable=list(FILES))
        assert not result.rejected and result.files == FILES | {"experiment.py": AFTER}


def test_one_fence_may_hold_several() -> None:
    reply = HEAD + "SEARCH:\nRATE = 0.3\nREPLACE:\nRATE = 0.5\n\nSEARCH:\nSTEPS = 3\nREPLACE:\nSTEPS = 4\n```\n"
    assert apply_reply(FILES, reply, editable=list(FILES)).files["experiment.py"] == AFTER and has_blocks(reply)


@pytest.mark.parametrize(
    ("reply", "reason", "said"),
    [
        (HEAD + "SEARCH:\nWIDTH = 1\nREPLACE:\nWIDTH = 2\n```\n", Reason.NOT_FOUND, "Nothing in experiment.py"),
        ("```\nSEARCH:\nRATE = 0.3\nREPLACE:\nRATE = 2\n```\n", Reason.UNCLEAR_FILE, "It fits experiment.py, plot.py"),
        (HEAD + "SEARCH:\nRATE = 0.3\nREPLACE:\nRATE = 2\nREPLACE:\n```\n", Reason.MALFORMED, "one line REPLACE"),
        (HEAD + "SEARCH:\na\n====\nb\n====\nREPLACE:\nc\n```\n", Reason.MALFORMED, "in more than two"),
        (HEAD + "x = 1\nSEARCH:\na\nREPLACE:\nc\n```\n", Reason.MALFORMED, "stands above its SEARCH"),
        (HEAD + "SEARCH:\na\nREPLACE:\nc\n", Reason.MALFORMED, "not closed"),
        (HEAD + "RATE = 0.3\n=======\nRATE = 2\n>>>>>>> REPLACE\n```\n", Reason.MALFORMED, "SEARCH opens"),
    ],
)
def test_a_header_that_leads_nowhere_is_told(reply: str, reason: Reason, said: str) -> None:
    result = apply_reply(FILES, reply, editable=list(FILES))
    assert [r.reason for r in result.rejected] == [reason] and said in result.rejected[0].hint and not result.changed


@pytest.mark.parametrize(
    "reply",
    [
        "SEARCH\nfor words.\n\nREPLACE\nthem.\n",
        "I would SEARCH for RATE and REPLACE it.\n",
        "```\nREPLACE:\nRATE = 2\n```\n",
        "```\nSEARCH:\nRATE = 0.3\n```\n",
    ],
)
def test_words_are_no_edit(reply: str) -> None:
    result = apply_reply(FILES, reply, editable=list(FILES))
    assert not result.rejected and not result.applied and not result.changed


def test_lines_of_a_text_are_no_headers_of_a_proper_block() -> None:
    reply = "notes.txt\n<<<<<<< SEARCH\nSEARCH\nREPLACE\n=======\nSEARCH\n>>>>>>> REPLACE\n"
    assert apply_reply(FILES, reply, editable=list(FILES)).files["notes.txt"] == "# Notes\nSEARCH\n"
