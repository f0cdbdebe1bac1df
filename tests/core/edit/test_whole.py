from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.edit.apply import EditResult, Reason, apply_reply, apply_whole
from tests.examples import examples

PY = '''import math

STEPS = 10  # keep


# about f
@cache
def f(x):
    return x


class Net(Base):
    """A net."""

    size = 3

    def __init__(self, n):
        self.n = n

    # about loss
    @property
    def loss(self):
        return self.n


if __name__ == "__main__":
    f(1)
'''
FILES = {"experiment.py": PY, "notes.txt": "# Title\nRun 0\n"}
EDITABLE = ["experiment.py", "notes.txt", "plot.py"]


def whole(body: str, name: str = "experiment.py", mark: str = "```") -> str:
    return f"Here it is.\n\n{name}\n{mark}python\n{body}{mark}\n"


def edit(reply: str, files: dict[str, str] | None = None) -> EditResult:
    return apply_whole(FILES if files is None else files, reply, editable=EDITABLE)


def experiment(reply: str) -> str:
    result = edit(reply)
    assert not result.rejected, result.rejected
    return result.files["experiment.py"]


def refusals(reply: str) -> list[Reason]:
    result = edit(reply)
    assert result.files == FILES and not result.changed
    return [r.reason for r in result.rejected]


def test_a_whole_file_is_replaced():
    assert experiment(whole(PY.replace("STEPS = 10", "STEPS = 20"))) == PY.replace("STEPS = 10", "STEPS = 20")


def test_a_new_file_is_created():
    assert edit(whole("print(1)\n", "plot.py")).files["plot.py"] == "print(1)\n"


def test_apply_reply_takes_a_whole_file_and_leaves_other_fences_alone():
    reply = whole(PY.replace("10", "20")) + "```python\nimport os\n```\n"
    result = apply_reply(FILES, reply, editable=EDITABLE)
    assert result.files == FILES | {"experiment.py": PY.replace("10", "20")} and not result.rejected


def test_a_fence_that_names_no_file_is_prose():
    assert not edit("So:\n```python\nimport os\n```\n").changed
    assert not edit("In experiment.py we would then write something like:\n```python\nimport os\n```\n").changed


def test_a_function_is_replaced_and_keeps_its_decorators_and_surroundings():
    assert experiment(whole("def f(x):\n    return 2 * x\n")) == PY.replace("    return x\n", "    return 2 * x\n")


def test_decorators_that_are_given_replace_the_old_ones():
    new = experiment(whole("@lru_cache\ndef f(x):\n    return x\n"))
    assert new == PY.replace("@cache", "@lru_cache")


def test_methods_are_replaced_within_their_class():
    new = experiment(whole("class Net(Base):\n    def loss(self):\n        return 0\n"))
    assert new == PY.replace("        return self.n\n", "        return 0\n")
    assert experiment(whole("class Net:\n    def loss(self):\n        return 0\n")) == new


def test_a_whole_class_is_replaced():
    methods = "def __init__(s):\n        pass\n\n    def loss(s):\n        return 1\n\n    def new(s):\n        ...\n"
    body = f"class Net(Base):\n    size = 4\n\n    {methods}"
    new = experiment(whole(body))
    assert body in new and "# about f" in new and '__name__ == "__main__"' in new and '"""A net."""' not in new


def test_several_functions_and_blocks_in_one_reply():
    reply = whole(
        "def f(x):\n    return 3\n\n\nclass Net:\n    def __init__(self, n):\n        self.n = 2 * n\n"
    ) + whole("# Title\nRun 0\nx\n", "notes.txt")
    result = edit(reply)
    assert "return 3" in result.files["experiment.py"] and "2 * n" in result.files["experiment.py"]
    assert result.files["notes.txt"] == "# Title\nRun 0\nx\n" and len(result.applied) == 2


@pytest.mark.parametrize(
    "body",
    [
        "def g(x):\n    return 1\n",
        "def f(x):\n    return 1\n\n\ndef g(x):\n    return 1\n",
        "def loss(self):\n    return 1\n",
        "class Net:\n    def gain(self):\n        return 1\n",
        "class Net(Other):\n    def loss(self):\n        return 1\n",
        "class f:\n    pass\n",
        "def f(x):\n    return 1\n\n\ndef f(x):\n    return 2\n",
        "import math\n\nSTEPS = 20\nSIZE = 3\n",
        "STEPS += 20\n",
        "STEPS = 20; print(STEPS)\n",
        "STEPS = WIDTH = 20\n",
        "STEPS: int\n",
        "STEPS = 20\nSTEPS = 30\n",
        "",
    ],
)
def test_what_is_neither_a_file_nor_functions_is_refused(body: str):
    assert refusals(whole(body)) == [Reason.NOT_WHOLE]


def test_a_name_that_the_file_has_twice_is_refused():
    files = {"experiment.py": "import a\ndef f():\n    pass\ndef f():\n    pass\n"}
    assert [r.reason for r in edit(whole("def f():\n    return 1\n"), files).rejected] == [Reason.NOT_WHOLE]


def test_the_gates_are_those_of_blocks():
    assert refusals(whole("def f(x:\n    return 1\n")) == [Reason.SYNTAX]
    assert refusals(whole("def f(x):\n    # ... rest of the code\n    return 1\n")) == [Reason.PLACEHOLDER]
    assert refusals(whole("x = 1\n", "../experiment.py")) == [Reason.UNSAFE_PATH]
    assert refusals(whole("x = 1\n", "setup.py")) == [Reason.NOT_EDITABLE]


def test_all_or_nothing():
    result = edit(whole("def f(x):\n    return 3\n") + whole("def (\n", "plot.py"))
    assert result.files == FILES and "return 3" in result.staged["experiment.py"] and "plot.py" not in result.staged


def test_a_reply_that_was_cut_is_refused():
    assert refusals("experiment.py\n```python\n" + PY) == [Reason.MALFORMED]


def test_fences_inside_a_file_of_notes():
    inner = "# Title\n```bash\npython experiment.py\n```\nend\n"
    assert edit(whole(inner, "notes.txt")).files["notes.txt"] == inner
    bare = "# Title\n```\npython experiment.py\n```\nend\n"
    assert edit(whole(bare, "notes.txt", "````")).files["notes.txt"] == bare
    assert [r.reason for r in edit(whole(bare, "notes.txt")).rejected] == [Reason.MALFORMED]


def test_search_replace_blocks_beside_a_whole_file():
    blocks = "<<<<<<< SEARCH\nRun 0\n=======\nRun 1\n>>>>>>> REPLACE\n"
    assert edit("notes.txt\n" + blocks).files["notes.txt"] == "# Title\nRun 1\n"
    result = edit(whole("def f(x):\n    return 3\n") + "notes.txt\n```\n" + blocks + "```\n")
    assert result.files["notes.txt"] == "# Title\nRun 1\n" and "return 3" in result.files["experiment.py"]
    clash = whole("def f(x):\n    return 3\n") + "experiment.py\n" + blocks.replace("Run 0", "import math")
    assert [r.reason for r in edit(clash).rejected] == [Reason.NOT_WHOLE]


def test_line_ends_and_byte_order_mark_stay():
    files = {"experiment.py": "\ufeff" + PY.replace("\n", "\r\n")}
    result = edit(whole("def f(x):\n    return 3\n"), files)
    assert result.files["experiment.py"] == "\ufeff" + PY.replace("    return x\n", "    return 3\n").replace(
        "\n", "\r\n"
    )
    assert edit(whole(PY.replace("10", "20")), files).files["experiment.py"] == files["experiment.py"].replace(
        "10", "20"
    )


def test_reasoning_is_not_read():
    assert not edit("<think>\n" + whole("def f(x):\n    return 3\n") + "</think>\nNo.\n").changed


_parts = st.sampled_from(
    ["experiment.py", "notes.txt", "```", "```python", "````", "def f(x):", "    return 1", "class Net:", "", "<think>"]
)


@given(st.lists(_parts | st.text(max_size=10), max_size=20).map("\n".join))
@examples(60)
def test_no_reply_raises(reply: str):
    result = edit(reply)
    assert result.rejected == [] or result.files == FILES or all(r.path == "notes.txt" for r in result.rejected)


def test_a_head_that_python_cannot_write_is_another_than_in_the_file() -> None:
    digits = "f" * 5_000
    body = "    @property\n    def loss(self):\n        return self.n + 1\n"
    result = edit(whole(f"class Net(Base, size=0x{digits}):\n{body}"))
    assert not result.applied and "The head of class Net is another than in the file" in result.rejected[0].hint
