from __future__ import annotations

import json

import pytest

from agent.core.edit.apply import EditResult, apply_reply

FILES = {"experiment.py": "A = 1\nB = 2\nC = 3\n", "notes.txt": "# Study\n", "plot.py": ""}
AFTER = "A = 1\nB = 4\nC = 3\n"
CALL = {"file_path": "experiment.py", "old_string": "A = 1\nB = 2", "new_string": "A = 1\nB = 4"}
STRINGS = "<old_str>\nB = 2\n</old_str>\n<new_str>\nB = 4\n</new_str>\n"
XML = f"<str_replace>\n<path>experiment.py</path>\n{STRINGS}</str_replace>\n"
SEARCH = "notes.txt\n<<<<<<< SEARCH\n# Study\n=======\n# A study\n>>>>>>> REPLACE\n"


def edit(reply: str) -> EditResult:
    return apply_reply(FILES, reply, editable=list(FILES))


@pytest.mark.parametrize(
    "reply",
    [
        f"So:\n\n```json\n{json.dumps(CALL, indent=2)}\n```\n",
        f"```json\n{json.dumps(CALL)}\n```\n",
        f"{json.dumps(CALL, indent=4)}\nDone.\n",
        f"```json\n{json.dumps([CALL], indent=2)}\n```\n",
        f"```\n{json.dumps({'name': 'str_replace', 'arguments': {**CALL}}, indent=2)}\n```\n",
        '```json\n{"path": "experiment.py", "edits": [{"old_str": "B = 2\\n", "new_str": "B = 4\\n"}]}\n```\n',
        f"```json\n{json.dumps([{'type': 'function', 'function': {'arguments': json.dumps(CALL)}}])}\n```\n",
        '{"targetFile": "experiment.py", "changes": [{"oldText": "B = 2", "newText": "B = 4"}]}\n',
        '```json\n{"file": "experiment.py", "search": "B = 2", "replace": "B = 4"}\n```\n',
        '```json\n{"experiment": [{"file-path": "experiment.py", "before": "B = 2", "after": "B = 4"}]}\n```\n',
        XML,
        f"```xml\n{XML}```\n",
        XML.replace("<old_str>\nB = 2\n</old_str>", "<old_str>B = 2</old_str>"),
        '<parameter name="path">experiment.py</parameter>\n<parameter name="old_str">B = 2</parameter>\n'
        '<parameter name="new_str">B = 4</parameter>\n',
    ],
)
def test_a_call_is_applied(reply: str):
    result = edit(reply)
    assert not result.rejected and result.files == FILES | {"experiment.py": AFTER}


def test_a_call_takes_lines_out_and_makes_files():
    gone = '```json\n{"path": "experiment.py", "old_str": "B = 2\\n", "new_str": ""}\n```\n'
    assert edit(gone).files["experiment.py"] == "A = 1\nC = 3\n"
    made = '```json\n{"path": "plot.py", "old_str": "", "new_str": "print(1)"}\n```\n'
    assert edit(made).files["plot.py"] == "print(1)\n"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ('```json\n{"path": "experiment.py", "old_str": "B = 2",\n```\n', "not complete JSON"),
        ('```json\n{"path": "experiment.py", "old_str": "B", "new_str": "D"}\n```\n', "not found"),
        (
            '```json\n{"path": "experiment.py", "old_str": "B = 2\\n", "new_str": "B = 4"}\n```\n',
            "ends with a line break",
        ),
        ('```json\n{"path": "experiment.py", "old_str": "", "new_str": "B = 4"}\n```\n', "make experiment.py anew"),
        ('```json\n{"path": "x.py", "old_str": "B = 2", "new_str": "B = 4"}\n```\n', "may not be edited"),
        (json.dumps(CALL | {"replace_all": True}), "all places at once"),
        (XML.replace("</new_str>", ""), "not complete JSON or XML"),
        ("```bash\ncat > plot.py <<'EOF'\nprint(1)\nEOF\n```\n", "would write plot.py"),
        ("```sh\nsed -i 's/A = 1/A = 2/' experiment.py\n```\n", "would write experiment.py"),
        ("```bash\necho 'done' >>plot.py\n```\n", "would write plot.py"),
    ],
)
def test_a_call_that_is_not_understood_for_certain_refuses_the_reply(reply: str, said: str):
    result = edit(SEARCH + reply)
    assert not result.changed and said in f"{result.rejected[0].reason} {result.rejected[0].hint}"


def test_commands_that_write_no_editable_file_are_prose():
    told = "```bash\npython experiment.py --out_dir=run_1 > log.txt\ncat notes.txt\n```\n"
    assert not edit(told).rejected and edit(SEARCH + told).changed
