"""Components in the present code."""

from __future__ import annotations

from agent.core.code.switches import describe_switches

CODE = 'ORTHO_WEIGHT = 0.0\nPREFIXES: tuple = (16, 64)\nMODE = "off"\nSCALE = 2 * 3\nLR = 0.1\n'
CODE += "lower = 1\n\n\ndef f():\n    INNER = 1\n"


def test_constants_that_the_plan_names_are_told_with_their_values() -> None:
    said = [
        "2. Switch ORTHO_WEIGHT on, keep `PREFIXES` and SCALE",
        "1. MODE and ORTHO_WEIGHT; ALL_COMPLETED, INNER, GONE",
    ]
    assert describe_switches([CODE], said) == (
        "ORTHO_WEIGHT = 0.0 (off)",
        "PREFIXES = (16, 64)",
        "SCALE = 2 * 3",
        "MODE = 'off' (off)",
    )


def test_code_that_does_not_parse_and_plans_without_names_tell_nothing() -> None:
    assert describe_switches(["A = (\n"], ["A"]) == () == describe_switches([CODE], ["make it better"])


def test_a_long_value_and_many_switches_are_cut() -> None:
    code = "LONG = [" + "1, " * 100 + "]\n" + "".join(f"C{n} = {n}\n" for n in range(20))
    lines = describe_switches([code], ["LONG " + " ".join(f"C{n}" for n in range(20))])
    assert len(lines) == 8 and len(lines[0]) < 60 and lines[0].endswith("…")


def test_a_number_that_python_does_not_write_is_not_shown() -> None:
    assert describe_switches([f"WIDTH = 0x{'f' * 5_000}\n"], ["WIDTH"]) == ("WIDTH = (too long to show)",)
