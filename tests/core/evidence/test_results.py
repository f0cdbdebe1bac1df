"""Results files as programs really write them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.evidence.results import (
    Results,
    ResultsProblem,
    parse_results,
)
from agent.core.inputs.spec import Metric
from tests.examples import examples

F1 = Metric(name="f1", source="evaluation", path=("f1",))
LOSS = Metric(name="loss", path=("train", "loss"))


def problems(text: str | None, *metrics: Metric) -> tuple[str, ...]:
    result = parse_results(text, metrics or (F1,), "evaluation")
    assert isinstance(result, ResultsProblem), result
    return result.problems


def test_declared_metrics_are_read_by_path() -> None:
    result = parse_results('{"train": {"loss": 2, "steps": 10}}', [LOSS], "final_info")
    assert isinstance(result, Results)
    assert result.values == {"loss": 2.0} and type(result.values["loss"]) is float
    assert result.data == {"train": {"loss": 2, "steps": 10}}


@pytest.mark.parametrize("text", ["{}", '{"f1": null}', '{"f1": 0.5}'])
def test_an_optional_metric_may_be_null_or_absent(text: str) -> None:
    result = parse_results(text, [F1.model_copy(update={"optional": True})], "evaluation")
    assert isinstance(result, Results) and result.values == ({"f1": 0.5} if "0.5" in text else {})


@pytest.mark.parametrize("text", ['{"f1": NaN}', '{"f1": "0.5"}', '{"f1": true}', '{"f1": []}', '{"f1": 1e999}'])
def test_an_optional_metric_that_is_there_is_a_finite_number(text: str) -> None:
    assert isinstance(parse_results(text, [F1.model_copy(update={"optional": True})], "evaluation"), ResultsProblem)


def test_metrics_of_the_other_file_are_not_asked_for() -> None:
    result = parse_results("{}", [F1], "final_info")
    assert isinstance(result, Results) and result.values == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"f1": NaN}', "is NaN"),
        ('{"f1": Infinity}', "is Infinity"),
        ('{"f1": -Infinity}', "is -Infinity"),
        ('{"f1": 1e999}', "is Infinity"),
        ('{"f1": null}', "is null"),
        ('{"f1": true}', "is true, not a number"),
        ('{"f1": "0.5"}', 'is the string "0.5", not a number'),
        ('{"f1": [0.5]}', "is a list, not a number"),
        ('{"f1": {}}', "is an object, not a number"),
        ('{"F1": 0.5}', "is missing"),
        ('{"f1": 1' + "0" * 400 + "}", "is too large"),
    ],
)
def test_a_bad_metric_is_named_with_file_and_path(text: str, said: str) -> None:
    assert problems(text) == (f"f1 (evaluation.json: ['f1']) {said}",)


def test_all_bad_metrics_are_named_one_by_one() -> None:
    other = Metric(name="acc", source="evaluation", path=("probe", "0", "acc"))
    assert problems('{"f1": NaN, "probe": [{}]}', F1, other) == (
        "f1 (evaluation.json: ['f1']) is NaN",
        "acc (evaluation.json: ['probe', '0', 'acc']) is missing",
    )


def test_elsewhere_what_is_not_finite_becomes_null() -> None:
    result = parse_results('{"f1": 0.5, "curve": [1, NaN, [Infinity]], "x": {"y": -1e999}}', [F1], "evaluation")
    assert isinstance(result, Results)
    assert result.data == {"f1": 0.5, "curve": [1, None, [None]], "x": {"y": None}}
    json.dumps(result.data, allow_nan=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "was not written"),
        ("", "is not valid JSON"),
        ('{"f1": 0.5', "is not valid JSON"),
        ('{"f1": 0.5}{"f1": 0.5}', "is not valid JSON"),
        ("{'f1': 0.5}", "is not valid JSON"),
        ("\ufeff{}", "is not valid JSON"),
        ('{"f1": 1' + "0" * 5000 + "}", "is not valid JSON"),
        ('{"f1": 0.1, "f1": 0.9}', "'f1' appears twice"),
        ('{"f1": 0.1, "a": {"b": 1, "b": 1}}', "'b' appears twice"),
        ('{"\\u001b[2J\\n# b": 1, "\\u001b[2J\\n# b": 1}', "'# b' appears twice"),
        ('{"%s": 1, "%s": 1}' % (("k" * 1_000_000,) * 2), "kkk…' appears twice"),
        ("[0.5]", "holds a list, not an object"),
        ("0.5", "holds a number, not an object"),
        ("NaN", "not an object"),
        ("null", "holds null, not an object"),
        ('{"f1": 1, "a": ' + "[" * 200 + "]" * 200 + "}", "nested too deeply"),
        ('{"f1": 1, "a": ' + '{"a":' * 100_000, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_unusable_files(text: str | None, said: str) -> None:
    (problem,) = problems(text)
    assert problem.startswith("evaluation.json ") and said in problem
    assert len(problem) < 300


def test_a_huge_file_is_refused_before_it_is_parsed() -> None:
    result = parse_results('{"f1": 0.5}' + " " * 100, [F1], "evaluation", max_chars=100)
    assert isinstance(result, ResultsProblem) and "111 characters" in result.problems[0]


def test_text_that_cannot_be_written_is_made_writable() -> None:
    result = parse_results('{"f1": 1, "\\ud800": "\\udfff é \\ud83d\\ude00"}', [F1], "evaluation")
    assert isinstance(result, Results)
    assert result.data == {"f1": 1, "\ufffd": "\ufffd é \U0001f600"}


@examples(30)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=10,
    )
)
def test_any_object_is_read_and_can_be_written_again(value: object) -> None:
    result = parse_results(json.dumps({"f1": 1, "rest": value}), [F1], "evaluation")
    assert isinstance(result, Results)
    json.dumps(result.data, allow_nan=False).encode()


@examples(50)
@given(st.text(max_size=30))
def test_any_text_gives_a_value(text: str) -> None:
    assert isinstance(parse_results(text, [F1], "evaluation"), ResultsProblem | Results)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("\n ", "it is empty"),
        ('{"f1": 0.5}'.encode("utf-16").decode("utf-8", "replace"), "it is not UTF-8"),
        ("\0" * 4096, "it holds zeros alone"),
        ('{"f1": 0.5, "n": ' + "7" * 5000 + "}", "it holds a whole number of more digits than can be read"),
        ('{"f1": 0.5', "Expecting ',' delimiter: line 1 column 11 (char 10)"),
    ],
    ids=["empty", "blank", "utf-16", "zeros", "digits", "cut"],
)
def test_a_file_that_is_no_json_says_why_in_words(text: str, said: str) -> None:
    read = parse_results(text, (), "final_info")
    assert read == ResultsProblem("final_info", (f"final_info.json is not valid JSON: {said}",))
