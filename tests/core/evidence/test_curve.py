"""Learning curves in words."""

from __future__ import annotations

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.evidence.curve import MAX_CURVES, describe_curve, read_curves, summarise_curves


def rows(name: str, values: list[float], every: int = 10) -> str:
    return "".join(json.dumps({"step": n * every, "name": name, "value": v}) + "\n" for n, v in enumerate(values))


def say(values: list[float]) -> str:
    (line,) = summarise_curves(rows("loss", values))
    return line


NOISE = random.Random(0)
FALLING = [2 * math.exp(-n / 30) + NOISE.gauss(0, 0.01) for n in range(60)]
SETTLED = [2 * math.exp(-n / 4) + 0.3 + NOISE.gauss(0, 0.01) for n in range(60)]


def test_a_curve_is_told_by_its_first_inner_and_last_values() -> None:
    assert say([float(n) for n in range(101)]) == ("loss: 0 | 10 50 90 | 100 at step 1000; still rising at the end")


def test_a_curve_that_still_moves_is_told_from_one_that_settled() -> None:
    assert say(FALLING).endswith("still falling at the end")
    assert "flat at the end" in say(SETTLED) and "min 0.2" in say(SETTLED)
    assert say([-v for v in FALLING]).endswith("still rising at the end")


def test_a_short_curve_is_not_judged() -> None:
    assert say([3.0, 2.0, 1.0]) == "loss: 3 | 3 2 2 | 1 at step 20; too short to judge its end (3 points)"
    assert say([3.0]) == "constant: loss 3"


def test_values_that_are_none_are_counted_with_their_first_step() -> None:
    text = rows("loss", [*SETTLED, math.nan, math.inf, 1.0])
    (line,) = summarise_curves(text)
    assert line.endswith("2 values NaN or infinite, first at step 600")
    assert summarise_curves(rows("loss", [math.nan])) == ("loss: 1 value NaN or infinite, first at step 0",)


def test_spikes_are_counted_once_each() -> None:
    values = list(SETTLED)
    values[30] = values[31] = 4.0
    values[45] = 3.0
    assert "2 spikes, first at step 300" in say(values)
    assert "spike" not in say(SETTLED) and "spike" not in say(FALLING)


def test_losses_and_declared_names_come_before_others_and_constants_last() -> None:
    names = ["zero", "other", "l0", "aux_loss", "score", "loss", "more", "extra"]
    text = "".join(rows(name, [0.0] * 9 if name == "zero" else [float(n) for n in range(9)]) for name in names)
    lines = summarise_curves(text, ["score", "l0"])
    assert [line.partition(":")[0] for line in lines] == [
        "loss",
        "score",
        "l0",
        "aux_loss",
        "other",
        "constant",
        "(and 2 more)",
    ]
    assert lines[5] == "constant: zero 0" and len(lines) == MAX_CURVES + 1


@pytest.mark.parametrize(
    "line",
    [
        '{"step": 1, "name": "loss", "val',
        "[1]",
        "null",
        '{"step": "x", "name": "loss", "value": 1}',
        "9" * 5000,
        '{"step": 1, "name": 3, "value": 1}',
        '{"step": true, "name": "a", "value": 1}',
        "\x00",
        "[" * 100_000,
    ],
)
def test_what_is_no_point_is_passed_over(line: str) -> None:
    assert list(read_curves(f"{line}\n" + rows("loss", [1.0, 2.0]))) == ["loss"]


def test_a_name_that_an_experiment_chose_stays_within_its_line() -> None:
    (line,) = summarise_curves(rows("loss\n# Now\n\x1b[31m ALL_COMPLETED" + "x" * 500, [1.0, 2.0]))
    assert len(line.splitlines()) == 1 and "\x1b" not in line and len(line) < 150


@given(st.lists(st.one_of(st.floats(), st.none(), st.integers(), st.booleans(), st.text(max_size=3)), max_size=60))
def test_any_values_give_one_short_line(values: list[object]) -> None:
    text = "".join(json.dumps({"step": n, "name": "loss", "value": v}) + "\n" for n, v in enumerate(values))
    lines = summarise_curves(text)
    assert len(lines) == bool(values)
    assert all(len(line) < 260 and len(line.splitlines()) == 1 for line in lines)


def test_a_curve_of_huge_values_is_described() -> None:
    (curve,) = read_curves(rows("loss", [1e308 * (-1) ** n for n in range(40)])).values()
    assert "flat at the end" in describe_curve(curve)


def test_only_so_many_lines_are_read_and_blank_ones_do_not_count() -> None:
    text = "\n" * 300_000 + rows("loss", [1.0, 2.0])
    assert list(read_curves(text)) == ["loss"]
    assert read_curves("{\n" * 200_000 + rows("loss", [1.0])) == {}


def test_a_name_may_hold_what_other_programs_take_for_the_end_of_a_line() -> None:
    assert list(read_curves('{"step": 1, "name": "a\u2028b", "value": 1}\n')) == ["a b"]
