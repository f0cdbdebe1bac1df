"""An edit in the form of another tool is refused with the rest of its reply, so that no half of it is run."""

from __future__ import annotations

import json

import pytest

from agent.core.edit.apply import apply_reply

FILES = {"experiment.py": "WIDTH = 8\nDEPTH = 2\n", "plot.py": "print('figure')\n", "notes.txt": "# Study\n"}
BLOCK = "experiment.py\n```python\n<<<<<<< SEARCH\nWIDTH = 8\n=======\nWIDTH = 9\n>>>>>>> REPLACE\n```\n"
TEXT = "import json\nprint('two figures')\n"
PATCH = "*** Begin Patch\n*** Update File: plot.py\n@@\n-print('figure')\n+print(2)\n*** End Patch"
WRITE = "call that writes a file"


def call(value: object, indent: int | None = None) -> str:
    return f"```json\n{json.dumps(value, indent=indent)}\n```\n"


@pytest.mark.parametrize(
    ("edit", "form"),
    [
        ("plot.py\n<search>\nprint('figure')\n</search>\n<replace>\nprint(2)\n</replace>\n", "edit in tags"),
        ("<edit file='plot.py'><find>figure</find><replace>two</replace></edit>\n", "edit in tags"),
        ("```xml\n<original>\nfigure\n</original>\n<updated>\ntwo\n</updated>\n```\n", "edit in tags"),
        ("plot.py\n[SEARCH]\nfigure\n[/SEARCH]\n[REPLACE]\ntwo\n[/REPLACE]\n", "edit in tags"),
        (f"<file path='plot.py'>\n{TEXT}</file>\n", WRITE),
        (f"<path>plot.py</path>\n<content>\n{TEXT}</content>\n", WRITE),
        (f'<parameter name="path">plot.py</parameter>\n<parameter name="file_text">{TEXT}</parameter>\n', WRITE),
        (call({"path": "plot.py", "content": TEXT}), WRITE),
        (call([{"name": "write", "input": {"file_path": "plot.py", "file_text": TEXT}}], 2), WRITE),
        (
            "<function=write>\n<parameter=path>\nplot.py\n</parameter>\n<parameter=content>\nx = 1\n</parameter>\n",
            WRITE,
        ),
        (
            "<tool_call>write\n<arg_key>path</arg_key>\n<arg_value>plot.py</arg_value>\n<arg_key>content</arg_key>\n",
            WRITE,
        ),
        ('[TOOL_CALLS][{"name": "write", "arguments": {"path": "plot.py", "content": "x"}}]\n', WRITE),
        (call({"command": ["apply_patch", PATCH]}), "*** Begin Patch patch"),
    ],
)
def test_the_whole_reply_is_refused_and_the_form_named(edit: str, form: str) -> None:
    result = apply_reply(FILES, f"{BLOCK}\nAnd the figure:\n\n{edit}", editable=list(FILES))
    assert result.files == FILES and not result.changed
    assert [r.hint.partition(" at line ")[0] for r in result.rejected] == [f"The {form}"]
    assert result.rejected[0].hint.endswith("Send the change as a SEARCH/REPLACE block.")


@pytest.mark.parametrize(
    "words",
    [
        "I search for the width and replace it; <search> is no tag here.\n",
        "<summary>experiment.py</summary>\nA wider layer.\n",
        "<details>\n<summary>Why experiment.py</summary>\nIt is wider.\n</details>\n",
        "```python\nPROMPT = '''\n<search>\n</search>\n<replace>\n'''\n```\n",
        call({"path": "results.json", "content": "1"}),
        call({"content": "the metrics", "experiment.py": 1}),
        "<function=read>\n<parameter=path>\nplot.py\n</parameter>\n</function>\n",
        "<search>\nAn idea that has no other half.\n",
    ],
)
def test_other_tags_and_json_are_words(words: str) -> None:
    result = apply_reply(FILES, f"{words}\n{BLOCK}", editable=list(FILES))
    assert not result.rejected and "WIDTH = 9" in result.files["experiment.py"]


@pytest.mark.parametrize("opening", ["<file path='experiment.py'>", "<replace_in_file>\n<path>experiment.py</path>"])
def test_a_block_within_tags_is_read(opening: str) -> None:
    result = apply_reply(FILES, f"{opening}\n{BLOCK}</file>\n", editable=list(FILES))
    assert not result.rejected and result.changed


def test_a_raw_call_in_json_is_still_applied() -> None:
    value = {"name": "edit", "arguments": {"path": "plot.py", "old_str": "print('figure')", "new_str": "print(2)"}}
    result = apply_reply(FILES, f"<tool_call>\n{json.dumps(value)}\n</tool_call>\n", editable=list(FILES))
    assert not result.rejected and result.files["plot.py"] == "print(2)\n"
