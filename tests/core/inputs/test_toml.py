"""TOML that takes long to read is refused, and nothing else."""

from __future__ import annotations

import pytest

from agent.core.inputs.toml import MOST_PARTS, parse_toml


@pytest.mark.parametrize("key", ["a." * 2_000 + "b", '"a" . ' * 2_000 + "b"])
def test_a_key_of_very_many_parts_is_refused_by_its_line(key: str) -> None:
    with pytest.raises(ValueError, match=f"line 2 has a key of more than {MOST_PARTS} parts"):
        parse_toml(f"x = 1\n{key} = 2\n")


def test_numbers_and_rows_of_dots_are_no_keys() -> None:
    text = "# " + "." * 3_000 + "\nx = [" + "0.25, " * 3_000 + "]\na.b.c = 1\n"
    assert parse_toml(text) == {"x": [0.25] * 3_000, "a": {"b": {"c": 1}}}
