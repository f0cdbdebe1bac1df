"""Half of a reply is never applied in silence: what looks like a change beside its edits refuses it, words do not."""

from __future__ import annotations

import json

import pytest

from agent.core.edit.apply import FORMATS, TAUGHT, apply_reply
from agent.core.edit.result import Reason

CODE = (
    "import json\n\nRATE = 0.3\nEPOCHS = 40\n\n\ndef measure(model):\n    score = model.score()\n"
    '    print("score", score)\n    return score\n\n\ndef main():\n    model = build(RATE)\n    measure(model)\n'
)
FILES = {
    "experiment.py": CODE,
    "plot.py": "import json\n\nfigure = draw('curve')\nfigure.save('a.png')\n",
    "notes.txt": "# Study\n",
}
EDIT = "experiment.py\n```python\n<<<<<<< SEARCH\nEPOCHS = 40\n=======\nEPOCHS = 80\n>>>>>>> REPLACE\n```\n\n"
CALL = {"path": "plot.py", "old_str": "figure = draw('curve')", "new_str": "figure = draw('line')"}


@pytest.mark.parametrize(
    ("part", "what"),
    [
        ("Then a decay:\n\n```python\nRATE = 0.3\nDECAY = 0.9\n```\n", "would change experiment.py"),
        ("```python\ndef measure(model, seed):\n    return seed\n```\n", "would change experiment.py"),
        ("Now add a seed:\n\n```python\nseed_everything(4)\n```\n", "the words above it put into a file"),
        ("```python\n-RATE = 0.3\n+RATE = 0.4\n```\n", "a diff that is not read"),
        ("Also:\n```python\n    RATE=0.5,\n    EPOCHS=9,\n```\n", "would change experiment.py"),
        ("Also:\n```python\nwarmup = steps(3)\nfor step in warmup:\n    adjust(step)\n```\n", "that is in no file"),
        ("plot.py\n\nfigure.title('b')\nfigure.grid()\n", "code without a fence below the name plot.py"),
        ("```python\n# ... existing code ...\nseed_everything(4)\n# ... existing code ...\n```\n", "left out"),
        ("<update>\n# ... existing code ...\nDECAY = 0.5\n</update>\n", "left out"),
        ("All of it:\n\n" + CODE.replace("score()", "score(2)"), "code without a fence that would change"),
        (f"<artifact>\n{CODE.replace('0.3', '0.4')}</artifact>\n", "code without a fence"),
        ("In plot.py draw it twice:\n\n    figure = draw('curve')\n    figure.draw(2)\n", "indented code"),
        ("> @@ -1,2 +1,2 @@\n> -RATE = 0.3\n> +RATE = 0.4\n", "a unified diff"),
        ("1. So:\n\n    *** Update File: plot.py\n    -a\n    +b\n", "a *** Begin Patch patch"),
        ("*** begin patch\n*** update file: plot.py\n-a\n+b\n*** end patch\n", "a *** Begin Patch patch"),
        ("```python\nopen('plot.py', 'w').write('x = 1')\n```\n", "a program that would change plot.py"),
        ('{"from": "RATE = 0.3", "to": "RATE = 0.4"}\n', "JSON that would change experiment.py"),
        ("```python\nedit(path='plot.py', old_str='a', new_str='b')\n```\n", "a call of a tool"),
        (f"<|python_tag|>{json.dumps(CALL)}\n", "a call of a tool"),
        (f"functions.edit:0<|argument|>{json.dumps(CALL)}<|end|>\n", "a call of a tool"),
        ('<x:parameter name="insert_line">3</x:parameter>\n', "a call of a tool"),
        ("```python\nexperiment.py\n<<<<<<< SEARCH\nRATE = 0.3\n=======\nRATE = 0.5\n>>>>>>> REPLACE\n"
         "def main():\n    measure(1)\n```\n", "lines outside of its edits"),
    ],
)  # fmt: skip
def test_a_change_that_is_not_read_refuses_the_reply_and_is_named(part: str, what: str):
    result = apply_reply(FILES, EDIT + part, editable=list(FILES))
    assert result.files == FILES and [r.reason for r in result.rejected] == [Reason.UNREAD], result.rejected
    assert what in result.rejected[0].hint and "Send it as a SEARCH/REPLACE block" in result.rejected[0].hint


@pytest.mark.parametrize(
    "words",
    [
        "```\npython experiment.py --out_dir=run_1\n```\n",
        "Run experiment.py with:\n```\npython experiment.py\n```\n",
        "The file now begins:\n```python\nRATE = 0.3\nEPOCHS = 80\n```\n",
        "In short:\n```python\nEPOCHS = 80\n...\ndef main():\n```\n",
        "In short:\n```diff\n-EPOCHS = 40\n+EPOCHS = 80\n```\n",
        'It failed:\n```\nTraceback (most recent call last):\n  File "x.py", line 3\n    measure(model)\nE: 1\n```\n',
        "The loss:\n```\nL = |x - y|^2 + a * |z|\n```\n",
        "The idea:\n```python\nfor batch in batches:\n    z = encode(batch)\n```\n",
        "To use it:\n```python\nlayer = Gate(8)\n```\n",
        "An example:\n```python\nlayer = Gate(8)\nlayer.fit(batch)\nlayer.show()\n```\n",
        "experiment.py\nis all that changes (see above).\n",
        '```json\n{"toy": {"means": {"loss": 0.2}}}\n```\n',
        "I set `EPOCHS = 80` in experiment.py in place of `EPOCHS = 40`.\n",
        "> score 3\n> was the baseline's\n",
        "RATE = 0.3\nEPOCHS = 80\nboth stay.\n",
        "My blocks stand between `<<<<<<< SEARCH` and `>>>>>>> REPLACE`.\n",
        "```bash\ncp experiment.py old.py\ncat experiment.py > copy.txt\ngit add experiment.py\n```\n",
    ],
)
def test_words_outputs_and_quotations_are_no_change(words: str):
    for reply in (EDIT + words, words + "\n" + EDIT):
        result = apply_reply(FILES, reply, editable=list(FILES))
        assert not result.rejected and "EPOCHS = 80" in result.files["experiment.py"], result.rejected


def test_words_of_a_planner_to_an_editor_are_not_judged():
    reply = EDIT + "Then add a seed:\n\n```python\nseed_everything(4)\n```\n"
    assert apply_reply(FILES, reply, editable=list(FILES), formats=TAUGHT).changed
    assert not apply_reply(FILES, reply, editable=list(FILES), formats=FORMATS).changed


@pytest.mark.parametrize(
    "command",
    [
        "```\ncat > plot.py <<'EOF'\nx\nEOF\n```\n",
        "$ sed -i 's/a/b/' plot.py\n",
        "```bash\nperl -pi -e 's/a/b/' plot.py\n```\n",
        "```bash\ngit checkout plot.py\n```\n",
        "```sh\nmv plot.py figure.py\n```\n",
        "```python\n%%writefile plot.py\nx = 1\n```\n",
    ],
)
def test_a_command_that_would_change_a_file_refuses_the_reply(command: str):
    result = apply_reply(FILES, EDIT + command, editable=list(FILES))
    assert not result.changed and "commands of a reply are not run" in result.rejected[0].hint
