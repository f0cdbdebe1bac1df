"""Remarks on a template's description and on what its trial runs reported."""

from __future__ import annotations

import tomllib

import pytest

from agent.core.authoring.check import (
    check_bands,
    check_repeats,
    check_results,
    check_spec,
    check_spread,
    describe_times,
    find_number,
    lack_baselines,
)
from agent.core.authoring.survey import survey_scripts
from agent.core.evidence.baseline import Baseline
from agent.core.inputs.foreign import describe_foreign
from agent.core.inputs.spec import TemplateSpec
from agent.core.journal.kinds import Step
from agent.core.text.remark import Remark

METRIC = {"name": "acc", "path": ["acc"], "direction": "higher", "resolution": 0.01, "primary": True}


def spec(*metrics: dict[str, object], **more: object) -> TemplateSpec:
    return TemplateSpec.model_validate({"name": "t", "smoke": True, "metrics": metrics or (METRIC,)} | more)


def to_mend(remarks: object) -> list[str]:
    return [r.text for r in remarks if isinstance(r, Remark) and r.level == "mend"]  # type: ignore[attr-defined]


def repeats(first: float, again: float, other: float, *, reads_seed: bool = True) -> Remark:
    values = [{"acc": v, "train_seconds": 1.0 + n} for n, v in enumerate((first, again, other))]
    (remark,) = check_repeats(spec(), *values, (1, 2), reads_seed)
    return remark


def test_a_sound_description_has_nothing_to_mend() -> None:
    assert list(check_spec(spec(), "t.toml")) == []


def test_every_contradiction_is_told_with_its_line() -> None:
    odd = spec(
        {"name": "a", "path": ["a"], "primary": True, "optional": True},
        {"name": "a", "path": ["b"], "primary": True, "source": "evaluation"},
        frontier="l0",
    )
    said = "\n".join(to_mend(check_spec(odd, "t.toml")))
    for part in (
        "both primary",
        'direction = "higher"',
        "optional = true off",
        "two metrics are called a",
        "[evaluate]",
        "frontier 'l0'",
    ):
        assert part in said, part
    unread = spec(evaluate={"command": "python {sealed}/e.py", "runs_experiment_code": False})
    assert 'source = "evaluation"' in to_mend(check_spec(unread, "t.toml"))[0]
    assert "[[metrics]]" in to_mend(check_spec(TemplateSpec(name="t", smoke=True), "t.toml"))[0]


def test_a_varied_baseline_without_a_frontier_is_remarked() -> None:
    varied = {"name": "topk", "vary": "K", "values": [4, 8]}
    profiles = {"small": {"baselines": [varied]}}
    (remark,) = check_spec(spec(profiles=profiles), "t.toml")
    assert remark.level == "note" and "profile small varies topk without a frontier" in remark.text
    fixed = spec(
        {"name": "l0", "path": ["l0"], "direction": "higher", "primary": True}, frontier="l0", profiles=profiles
    )
    assert list(check_spec(fixed, "t.toml")) == []


def test_numbers_that_nobody_declared_are_named() -> None:
    info = {"acc": 0.5, "test": {"loss": 1.0}, "note": "x", "curve": [1, 2], "flag": True}
    (remark,) = check_results(spec(), info, "t.toml")
    assert "holds test.loss;" in remark.text and remark.lines[:3] == (
        "[[metrics]]",
        'name = "test_loss"',
        'path = ["test", "loss"]',
    )
    assert list(check_results(spec(), {"acc": 0.5}, "t.toml")) == []


def test_a_metric_elsewhere_is_found() -> None:
    metric = spec().metrics[0]
    assert find_number({"test": {"acc": 0.5}}, metric) == 'path = ["test", "acc"]'
    assert find_number({"accuracy": 0.5}, metric) == "" and find_number(None, metric) == ""


def test_seeds_that_are_kept() -> None:
    assert repeats(0.5, 0.5, 0.6).level == "ok"


def test_a_seed_that_changes_nothing() -> None:
    unread, unreached = repeats(0.5, 0.5, 0.5, reads_seed=False), repeats(0.5, 0.5, 0.5)
    assert unread.level == unreached.level == "mend"
    assert "is read nowhere" in unread.text and "does not reach what draws at random" in unreached.text
    assert all("deterministic = true" in remark.text for remark in (unread, unreached))


@pytest.mark.parametrize(
    ("numbers", "level", "said"),
    [
        ((0.5, 0.5, 0.5), "ok", "three runs gave the same numbers"),
        ((0.5, 0.5, 0.6), "mend", "and gave acc 0.5, 0.5, 0.6"),
        ((0.5, 0.7, 0.5), "mend", "and gave acc 0.5, 0.7, 0.5"),
    ],
)
def test_a_program_that_is_declared_deterministic(numbers: tuple[float, ...], level: str, said: str) -> None:
    (remark,) = check_repeats(spec(deterministic=True), *({"acc": v} for v in numbers), (1, 2), False)
    assert remark.level == level and said in remark.text
    values = [{"acc": v} for v in numbers]
    assert list(check_spread(spec(deterministic=True), values[0], values[2], "t.toml")) == []


def rows(*scores: float, setting: str = "") -> list[Baseline]:
    return [Baseline("plain", seed, {"acc": score}, setting) for seed, score in enumerate(scores)]


@pytest.mark.parametrize(
    ("stored", "deterministic", "said"),
    [
        (rows(0.5, 0.6, 0.7), False, ""),
        (rows(0.5, 0.5, 0.5), False, "the seeds of the stored baselines gave one number (acc 0.5), so no verdict"),
        (rows(0.5, 0.5, setting="1") + rows(0.7, 0.7, setting="2"), False, "gave one number"),
        (rows(0.5, 0.5, setting="1") + rows(0.7, 0.71, setting="2"), False, ""),
        (rows(0.44710723, 0.44710724), False, "gave one number"),
        (rows(0.5), False, "no baseline was run with two seeds"),
        (rows(0.5), True, ""),
        (rows(0.5, 0.5), True, ""),
        (rows(0.5, 0.6), True, "deterministic = true, and runs of one baseline differ"),
    ],
)
def test_the_band_that_stored_seeds_show(stored: list[Baseline], deterministic: bool, said: str) -> None:
    found = to_mend(check_bands(spec(deterministic=deterministic), stored, "t.toml", "scientist baseline t --redo"))
    assert (len(found) == 1 and said in found[0]) if said else found == []
    if "gave one" in said:
        assert "scientist baseline t --redo" in found[0] and "deterministic = true" in found[0]


def test_means_without_a_direction_lack_no_second_seed() -> None:
    means = Baseline("run_0", 0, {"degree": 3.0})
    assert list(check_bands(describe_foreign("tide", ["experiment.py"]), [means], "tide/template.toml", "redo")) == []


def test_a_deterministic_program_needs_one_run_of_a_baseline() -> None:
    def said(**more: object) -> list[str]:
        plain = {"name": "plain", "seeds": 5} | more
        odd = spec(deterministic=True, profiles={"full": {"baselines": [plain]}})
        return [remark.text for remark in check_spec(odd, "t.toml")]

    assert said() == ["t.toml: deterministic = true, so one run of baseline plain is enough; write seeds = 1"]
    assert said(seeds=1) == []
    (varied,) = [text for text in said(seeds=1, vary="K", values=[1, 2]) if "is enough" in text]
    assert varied.endswith("seeds = 1, middle_seeds = 1")
    lacking = lack_baselines(spec(deterministic=True), "", "scientist baseline t", is_foreign=False)
    assert lacking.level == "note" and "as run 0, and runs are compared with it" in lacking.text and not lacking.lines


def test_speeds_are_no_results_and_a_difference_of_a_third_is_no_rounding() -> None:
    for name in ("mfu", "tokens_per_sec", "val_fps", "samples_per_second", "it_s"):
        numbers = ({name: 1.0}, {name: 0.7}, {name: 2.0})
        assert list(check_repeats(spec(), *numbers, (1, 2), True)) == [], name
    (remark,) = check_repeats(spec(), {"acc": 0.5}, {"acc": 0.49}, {"acc": 5.0}, (1, 2), True)
    assert remark.level == "note" and "2.0% apart: more than rounding" in remark.text


def test_a_primary_metric_that_is_a_speed_is_named_as_such() -> None:
    timed = spec({"name": "mfu", "path": ["mfu"], "direction": "higher", "primary": True})
    (remark,) = check_repeats(timed, {"mfu": 0.5}, {"mfu": 0.4}, {"mfu": 0.6}, (1, 2), True)
    assert remark.level == "note" and remark.text.startswith("mfu is a time, a speed or a size of memory")


def test_a_missing_metric_is_proposed_under_the_names_that_the_code_prints() -> None:
    lines = survey_scripts({"experiment.py": "print('val loss', loss, 'val acc', acc)\n"}).metric_lines()
    (remark,) = check_spec(TemplateSpec(name="t", smoke=True), "t.toml", lines)
    metrics = TemplateSpec.model_validate(tomllib.loads('name = "t"\n' + "\n".join(remark.lines))).metrics
    assert [(m.name, m.direction, m.primary) for m in metrics] == [
        ("val_acc", "higher", True),
        ("val_loss", "lower", False),
    ]


def test_times_beside_limits_are_told_in_whole_seconds() -> None:
    limits = {Step.RUN: 10_000.0, Step.EVALUATE: 10.0}
    told = [r.text for r in describe_times({Step.RUN: 12.3, Step.EVALUATE: 9.0}, limits, is_set=True)]
    assert told[0].endswith("a hung one is found sooner with: run_s = 123") and told[1].endswith("evaluate_s = 36")
    assert [r.level for r in describe_times({Step.RUN: 12.3}, limits, is_set=False)] == ["ok"]


def test_a_run_that_does_not_repeat() -> None:
    assert repeats(0.5, 0.7, 0.6).level == "mend"
    assert repeats(0.5, 0.7, 0.6, reads_seed=False).level == "mend"
    assert repeats(0.5, 0.5000001, 0.6).level == "note"


def test_times_alone_say_nothing_of_seeds() -> None:
    timed = ({"train_seconds": 1.0}, {"train_seconds": 2.0}, {"train_seconds": 3.0})
    assert list(check_repeats(spec(), *timed, (1, 2), True)) == []


def test_spread_beside_resolution() -> None:
    def said(a: float, b: float, resolution: float) -> str:
        (remark,) = check_spread(spec(METRIC | {"resolution": resolution}), {"acc": a}, {"acc": b}, "t.toml")
        return remark.level

    assert said(0.5, 0.6, 0.01) == "ok"
    assert said(0.5, 0.501, 0.01) == "note"
    assert said(0.5, 0.5, 0.0) == "mend"


def test_controls_that_seeds_move() -> None:
    controlled = spec(controls=[{"name": "l0", "path": ["l0"]}, {"name": "n", "path": ["n"], "tolerance": 0.1}])
    said = to_mend(check_spread(controlled, {"acc": 1, "l0": 10, "n": 10}, {"acc": 2, "l0": 11, "n": 10.5}, "t.toml"))
    assert len(said) == 1 and "control l0 moves by 0.091" in said[0] and "tolerance = 0.3" in said[0]
    assert "is not reported" in to_mend(check_spread(controlled, {"acc": 1, "l0": 1}, {"acc": 2, "l0": 1}, "t"))[0]
