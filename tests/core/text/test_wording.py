from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from agent.core.inputs.spec import TemplateSpec
from agent.core.text.wording import find_toml_line, say_field, say_not_toml, say_reason

TOML = """\
name = "a"  # line 1

[limits]
run_s = 20
[[metrics]]
name = "x"
path = ["x"]
[[metrics]]
name = "y"
direction = "up"
[profiles.small]
disk_gib = 1
[models."deepseek/"]
concurrency = 4
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 1),
        (("limits", "run_s"), 4),
        (("limits", "gone"), 3),
        (("metrics", 0, "name"), 6),
        (("metrics", 1, "direction"), 10),
        (("metrics", 1, "path"), 8),
        (("profiles", "small", "disk_gib"), 12),
        (("models", "deepseek/", "concurrency"), 14),
        (("nothing",), None),
        ((), None),
    ],
)
def test_the_line_that_sets_a_key_is_found(path: tuple[str | int, ...], line: int | None) -> None:
    assert find_toml_line(TOML, path) == line


class Sample(BaseModel, extra="forbid"):
    count: int = Field(1, ge=1, le=9)
    share: float = Field(0.5, gt=0, lt=1, allow_inf_nan=False)
    smoke: bool = True
    text: str = Field("a", min_length=1)
    names: list[str] = Field(["a"], max_length=2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"count": "many"}, 'count = "many": is not a whole number'),
        ({"count": 1.5}, "count = 1.5: is not a whole number"),
        ({"count": 0}, "count = 0: is not 1 or more"),
        ({"count": 10}, "count = 10: is not 9 or less"),
        ({"share": "x"}, 'share = "x": is not a number'),
        ({"share": 0}, "share = 0: is not more than 0"),
        ({"share": 1}, "share = 1: is not less than 1"),
        ({"share": float("nan")}, "share = NaN: is not finite"),
        ({"smoke": "perhaps"}, 'smoke = "perhaps": is neither true nor false'),
        ({"text": 5}, "text = 5: is no text"),
        ({"text": ""}, 'text = "": has fewer than 1 characters'),
        ({"names": "a"}, 'names = "a": is not a list; write it in brackets: ["a"]'),
        ({"names": [1]}, "names.0 = 1: is no text"),
        ({"names": ["a", "b", "c"]}, 'names = ["a", "b", "c"]: has more than 2 entries'),
        ({"other": 1}, "other: is unknown"),
        ("text", '"text": is no section of fields'),
    ],
)
def test_a_field_is_told_in_plain_words_with_its_value(given: Any, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate(given)
    assert say_field(caught.value.errors()[0]) == said  # type: ignore[arg-type]


def test_no_words_of_pydantic_are_left_in_faults_of_a_template() -> None:
    wrong: list[object] = ["x", 5, -1, 1.5, None, [], {}, [5], {"a": 1}, True, "\n" * 100]
    for name in TemplateSpec.model_fields:
        for value in wrong:
            try:
                TemplateSpec.model_validate({"name": "a", name: value})
            except ValidationError as error:
                for fault in error.errors():
                    said = say_field(fault)  # type: ignore[arg-type]
                    assert not any(word in said for word in ("Input", "valid ", "permitted", "pydantic", "\n")), said
                    assert len(said) < 300


def test_reasons_of_options_are_put_in_plain_words() -> None:
    assert (
        say_reason("Input should be a valid integer, unable to parse string as an integer") == "is not a whole number"
    )
    assert say_reason("Value error, must not be blank") == "must not be blank"
    assert say_reason("'x' is not one of 'a', 'b'.") == "'x' is not one of 'a', 'b'"


def test_a_byte_that_is_no_utf_8_is_told_with_its_line() -> None:
    with pytest.raises(UnicodeDecodeError) as caught:
        b"a\nb\xff".decode()
    assert say_not_toml(caught.value) == "is not UTF-8: byte 0xff (at line 2)"
