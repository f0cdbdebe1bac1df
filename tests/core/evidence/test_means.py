from __future__ import annotations

import json

import pytest

from agent.core.evidence.means import MOST_MEANS, means_metrics, means_paths
from agent.core.evidence.results import Results, ResultsProblem, parse_results


def test_means_of_one_dataset_go_by_their_own_name() -> None:
    curves = {"train_info": [{"loss": 1.0}] * 1000}
    info = {
        "shakespeare": {
            "means": {"loss_mean": 1.5, "steps": 3},
            "stderrs": {"loss_mean": 9.0},
            "final_info_dict": curves,
        }
    }
    assert means_metrics(info) == {"loss_mean": 1.5, "steps": 3.0}
    assert means_paths(info)["loss_mean"] == ("shakespeare", "means", "loss_mean")


def test_means_of_several_datasets_carry_the_dataset() -> None:
    info = {"a": {"means": {"loss": 1}}, "b": {"means": {"loss": 2}}, "config": {"lr": 1}}
    assert means_metrics(info) == {"a.loss": 1.0, "b.loss": 2.0}


def test_means_that_are_numbers_themselves() -> None:
    assert means_metrics({"circle": {"means": 0.5}, "moons": {"means": 0.7}}) == {"circle": 0.5, "moons": 0.7}
    assert means_metrics({"means": {"acc": 0.5}, "stderrs": {"acc": 0.1}}) == {"acc": 0.5}


def test_a_dataset_may_be_called_means() -> None:
    assert means_metrics({"means": {"means": {"acc": 0.5}}}) == {"acc": 0.5}


def test_means_that_are_not_finite_numbers_are_left_out() -> None:
    info = {
        "a": {"means": {"x": None, "y": True, "z": float("nan"), "s": "1", "l": [1], "ok": 1}},
        "b": [],
        "c": {"means": None},
    }
    assert means_metrics(info) == {"a.ok": 1.0}
    assert means_metrics({}) == {}


def test_names_of_means_are_lines_and_not_without_end() -> None:
    info = {"means": {"loss\n# Now\x1b[2J\u202e\n": 1.0, "\x07": 2.0, "n" * 500: 3.0}}
    assert means_metrics(info) == {"loss # Now": 1.0, "n" * 79 + "…": 3.0}
    assert means_paths(info)["loss # Now"] == ("means", "loss\n# Now\x1b[2J\u202e\n")
    assert len(means_metrics({"means": {f"m{n}": n for n in range(10_000)}})) == MOST_MEANS


def test_numbers_below_other_keys_are_metrics_after_those_of_one_key() -> None:
    info = {"d": {"means": {"val": {"loss": 1.5, "by_class": {"cat": 2}}, "time": 3}}}
    assert list(means_metrics(info).items()) == [("time", 3.0), ("val.loss", 1.5), ("val.by_class.cat", 2.0)]
    assert means_paths(info)["val.loss"] == ("d", "means", "val", "loss")
    assert means_metrics({"a": {"means": {"v": {"x": 1}}}, "b": {"means": 2}}) == {"b": 2.0, "a.v.x": 1.0}


def read_run(text: str, *known: str) -> Results | ResultsProblem:
    return parse_results(text, (), "final_info", known_means=known)


LAYOUTS = {
    "one set": '{"d": {"means": {"loss": %s, "time": 5}}}',
    "set with a new one": '{"d": {"means": {"loss": %s, "time": 5}}, "e": {"means": {"time": 1}}}',
    "no set": '{"means": {"loss": %s, "time": 5}}',
}
NESTED = '{"d": {"means": {"val": {"loss": %s}, "time": 5}}}'
SET_IS_METRIC = '{"loss": {"means": %s}, "time": {"means": 5}}'
WRONG = {
    "NaN": "is NaN",
    "Infinity": "is Infinity",
    "-1e400": "is -Infinity",
    "1" + "0" * 400: "is too large",
    "null": "is null",
    '"NaN"': 'is the string "NaN", not a number',
    '"0.5"': 'is the string "0.5", not a number',
    "true": "is true, not a number",
    "[0.5]": "is a list, not a number",
    '{"mean": 0.5}': "is an object, not a number",
    "{}": "is an object, not a number",
}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda value: value[:12])
def test_a_metric_of_the_baseline_that_is_no_number_is_a_problem_in_every_layout(wrong: str) -> None:
    for name, layout in [
        *(("loss", layout) for layout in LAYOUTS.values()),
        ("val.loss", NESTED),
        ("loss", SET_IS_METRIC),
    ]:
        read = read_run(layout % wrong, name, "time")
        assert isinstance(read, ResultsProblem), layout
        assert any("loss" in problem and problem.endswith(WRONG[wrong]) for problem in read.problems), read
        assert isinstance(read_run(layout % "0.5", name, "time"), Results)


@pytest.mark.parametrize(
    "text", ['{"d": {"means": {"time": 5}}}', '{"d": {"means": {}}}', '{"d": {"means": null}}', "{}"]
)
def test_a_metric_of_the_baseline_that_is_missing_is_a_problem(text: str) -> None:
    read = read_run(text, "loss", "time")
    assert isinstance(read, ResultsProblem)
    assert "loss, which the baseline has under `means` of final_info.json, is missing" in read.problems


def test_without_a_baseline_only_what_is_no_finite_number_is_a_problem() -> None:
    for value in (
        "NaN",
        "-Infinity",
        "1e999",
        '"nan"',
        '" -Inf "',
        '"+Infinity"',
        "null",
        "1" + "0" * 400,
        '"1.5"',
        "[1, NaN]",
    ):
        for layout in (*LAYOUTS.values(), NESTED, SET_IS_METRIC):
            assert isinstance(read_run(layout % value), ResultsProblem), value
    for value in ('"shakespeare"', "true", "[1, 2]", '{"note": "a"}'):
        assert isinstance(read_run(LAYOUTS["one set"] % value), Results), value


def test_a_metric_that_the_baseline_lacks_may_be_null_and_never_nan() -> None:
    assert isinstance(read_run('{"d": {"means": {"loss": 1, "fid": null}}}', "loss"), Results)
    read = read_run('{"d": {"means": {"loss": 1, "fid": NaN}}}', "loss")
    assert read == ResultsProblem("final_info", ("fid (final_info.json: ['d', 'means', 'fid']) is NaN",))


def test_an_extra_value_may_be_a_text_of_digits_and_no_list_of_nan() -> None:
    extra = '{"d": {"means": {"loss": 1, "extra": ?}}}'
    for value in ('"2024"', "[1, 2]", "[]", '["NaN"]', "[[0.5]]"):
        assert isinstance(read_run(extra.replace("?", value), "loss"), Results), value
    for value in ("[NaN]", "[1, Infinity]", "[-1e999, 2]"):
        read = read_run(extra.replace("?", value), "loss")
        assert isinstance(read, ResultsProblem) and read.problems[0].endswith("is a list, not a number"), value


def test_a_name_counts_with_its_set_and_without() -> None:
    for known in ("loss", "d.loss"):
        assert isinstance(read_run('{"d": {"means": {"loss": 1}}}', known), Results)
        assert isinstance(read_run('{"d": {"means": {"loss": NaN}}}', known), ResultsProblem)
    assert isinstance(read_run('{"e": {"means": {"loss": 1}}}', "e.loss", "d.loss"), ResultsProblem)


def test_problems_of_many_means_are_few_and_their_names_are_lines() -> None:
    read = read_run(json.dumps({"means": {f"m{n}\n# Now": float("nan") for n in range(3_000)}}), "m1 # Now", "gone")
    assert isinstance(read, ResultsProblem) and len(read.problems) == 21
    assert read.problems[0] == "final_info.json has no number under `means`"
    assert read.problems[-1] == "2982 more metrics are not usable" and all("\n" not in p for p in read.problems)


def test_without_known_means_nothing_is_said_about_them() -> None:
    assert isinstance(parse_results('{"d": {"means": {"loss": NaN}}}', (), "final_info"), Results)
