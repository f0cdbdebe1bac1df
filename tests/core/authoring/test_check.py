"""Remarks on a template's description and on what its trial runs reported."""

from __future__ import annotations

from agent.core.authoring.check import check_repeats, check_results, check_spec, check_spread, find_number
from agent.core.inputs.spec import TemplateSpec
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
    assert "holds test.loss;" in remark.text and 'path = ["test", "loss"]' in remark.text
    assert list(check_results(spec(), {"acc": 0.5}, "t.toml")) == []


def test_a_metric_elsewhere_is_found() -> None:
    metric = spec().metrics[0]
    assert find_number({"test": {"acc": 0.5}}, metric) == 'path = ["test", "acc"]'
    assert find_number({"accuracy": 0.5}, metric) == "" and find_number(None, metric) == ""


def test_seeds_that_are_kept() -> None:
    assert repeats(0.5, 0.5, 0.6).level == "ok"


def test_a_seed_that_changes_nothing() -> None:
    assert repeats(0.5, 0.5, 0.5, reads_seed=False).level == "mend"
    assert repeats(0.5, 0.5, 0.5).level == "note"


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
