"""The rows that a frontier consists of, and constants set in code that otherwise stays as it is."""

from __future__ import annotations

import ast
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.core.evidence.variants import FIRST_SEED, hash_code, plan_tasks, set_constant, set_constants
from agent.core.inputs.spec import BaselineVariant, Constant
from agent.errors import UsageError
from tests.examples import examples

TOPK = BaselineVariant(name="topk", constants={"KIND": "topk"}, vary="K", values=(3, 6, 12), seeds=2, middle_seeds=3)
CODE = '''"""Words."""
KIND = "relu"  # search: one of "relu", "topk"
K: int = 8   # how many
SIZES = (
    1,  # one
    2,
)  # all
LOW = -0.5
K_MAX = K


def f():
    K = 9
    return K
'''


def test_the_middle_value_has_more_seeds_and_all_count_from_a_thousand_and_one() -> None:
    tasks = plan_tasks([TOPK], "template.toml")
    assert [(t.setting, t.seed) for t in tasks] == [
        ("3", 1001), ("3", 1002), ("6", 1001), ("6", 1002), ("6", 1003), ("12", 1001), ("12", 1002),
    ]  # fmt: skip
    assert tasks[0].constants == {"KIND": "topk", "K": 3} and tasks[-1].stem == "topk-12-seed1002"
    assert FIRST_SEED == 1001


def test_a_variant_that_varies_nothing_is_one_point() -> None:
    (first, *_), tasks = (
        plan_tasks([BaselineVariant(name="plain")], "f"),
        plan_tasks([BaselineVariant(name="plain")], "f"),
    )
    assert (first.setting, first.stem, len(tasks)) == ("", "plain-seed1001", 5)


def test_settings_are_said_shortly_and_files_are_named_without_slashes() -> None:
    variant = BaselineVariant(name="a/b", vary="L1", values=(0.1 + 0.2, 1e-4, "x y"), seeds=1, middle_seeds=1)
    assert [t.stem for t in plan_tasks([variant], "f")] == [
        "a_b-0.3-seed1001", "a_b-0.0001-seed1001", "a_b-x_y-seed1001",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        ([TOPK, TOPK], "two baselines would be stored as topk-3-seed1001.json"),
        ([BaselineVariant(name="b", vary="K")], "given together"),
        ([BaselineVariant(name="b", values=(1,))], "given together"),
    ],
)
def test_rows_that_cannot_be_are_refused_by_file(variants: list[BaselineVariant], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        plan_tasks(variants, "template.toml")
    assert caught.value.where == "template.toml"


@pytest.mark.parametrize(
    ("name", "value", "before", "after"),
    [
        ("KIND", "topk", 'KIND = "relu"  # search', 'KIND = "topk"  # search'),
        ("K", 32, "K: int = 8   # how many", "K: int = 32   # how many"),
        ("LOW", 1e-4, "LOW = -0.5\n", "LOW = 0.0001\n"),
        ("SIZES", False, "(\n    1,  # one\n    2,\n)  # all", "False  # all"),
    ],
)
def test_one_right_hand_side_changes_and_nothing_else(name: str, value: Constant, before: str, after: str) -> None:
    assert set_constant(CODE, name, value, "experiment.py") == CODE.replace(before, after)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_other_line_ends_marks_and_letters_are_kept(newline: str) -> None:
    text = newline.join(['\ufeffÉ = "é"; K = 1  # größe', "L = 2", ""])
    assert set_constant(text, "K", 5, "f") == text.replace("K = 1", "K = 5")
    assert set_constant(text, "L", 5, "f") == text.replace("L = 2", "L = 5")
    assert set_constant(text, "É", 5, "f") == text.replace('"é"', "5")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("L = 1\n", "experiment.py: assigns no K at its top level"),
        ("def f():\n    K = 1\n", "assigns no K"),
        ("if True:\n    K = 1\n", "assigns no K"),
        ("K = 1\nK = 2\n", "assigns K 2 times"),
        ("K = 2 * 3\n", "line 1: K is no literal"),
        ("K = (\n", "is not Python"),
    ],
)
def test_a_constant_that_cannot_be_set_is_named_with_its_file(code: str, said: str) -> None:
    with pytest.raises(UsageError, match="experiment") as caught:
        set_constant(code, "K", 5, "experiment.py")
    assert said in str(caught.value)


def test_a_constant_is_sought_in_all_files_that_are_run() -> None:
    files = {"a.py": "K = 1\n", "b.py": "L = 1\n", "notes.txt": "K = 1\n"}
    assert set_constants(files, ["a.py", "b.py"], {"K": 2, "L": 3}) == files | {"a.py": "K = 2\n", "b.py": "L = 3\n"}
    with pytest.raises(UsageError, match=r"a.py, b.py: assigns no M"):
        set_constants(files, ["a.py", "b.py"], {"M": 2})
    with pytest.raises(UsageError, match=r"each assign K"):
        set_constants(files | {"b.py": "K = 2\n"}, ["a.py", "b.py"], {"K": 2})
    assert files["a.py"] == "K = 1\n"


def test_files_that_are_run_and_are_no_python_are_left_alone() -> None:
    files = {"a.py": "K = 1\n", "net.yaml": "width: [1\n"}
    assert set_constants(files, ["net.yaml", "a.py"], {"K": 2}) == files | {"a.py": "K = 2\n"}


@pytest.mark.parametrize(
    "fields",
    [{"name": ""}, {"vary": "a b", "values": (1,)}, {"constants": {"K\n": 1}}, {"seeds": 10**9}],
    ids=["name", "vary", "constants", "seeds"],
)
def test_a_variant_that_no_code_can_hold_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BaselineVariant.model_validate({"name": "topk"} | fields)


def test_the_hash_of_one_file_is_its_own() -> None:
    assert hash_code({"a.py": "K = 1\n", "b.py": ""}, ["a.py"]) == hashlib.sha256(b"K = 1\n").hexdigest()


@examples(80)
@given(st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20))
def test_what_was_set_is_read_again(value: Constant) -> None:
    changed = set_constant(CODE, "KIND", value, "f")
    namespace: dict[str, object] = {}
    exec(compile(ast.parse(changed), "f", "exec"), namespace)
    assert namespace["KIND"] == value and type(namespace["KIND"]) is type(value) and namespace["SIZES"] == (1, 2)
