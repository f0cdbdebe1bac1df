"""Faults of a file that people write, in plain words: the field, its value and its line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from agent.core.text.plain import plain_line

__all__ = [
    "find_near",
    "find_toml_line",
    "say_field",
    "say_known",
    "say_not_json",
    "say_not_toml",
    "say_reason",
    "show_value",
    "without_echoes",
]

VALUE_CHARS: Final = 60
MOST_NAMES: Final = 30
# "[metrics.x]", "[[metrics]]  # comment"
_HEADER: Final = re.compile(r"\[\[?([^\]#]+)\]")
# "run_s = 20", '"a b".c = 1'
_ENTRY: Final = re.compile(r"""((?:[A-Za-z0-9_.-]|"[^"]*"|'[^']*')+) *=""")
# "limits", '"deepseek/"'
_PART: Final = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")

_WORDS: Final = {
    "missing": "is missing",
    "extra_forbidden": "is unknown",
    "int": "is not a whole number",
    "float": "is not a number",
    "bool": "is neither true nor false",
    "string": "is no text",
    "list": "is not a list",
    "tuple": "is not a list",
    "dict": "is no section of fields",
    "model": "is no section of fields",
    "greater_than": "is not more than {gt:g}",
    "greater_than_equal": "is not {ge:g} or more",
    "less_than": "is not less than {lt:g}",
    "less_than_equal": "is not {le:g} or less",
    "finite_number": "is not finite",
    "literal_error": "is not {expected}",
    "too_short": "has fewer than {min_length} entries",
    "too_long": "has more than {max_length} entries",
    "string_too_short": "has fewer than {min_length} characters",
    "string_too_long": "has more than {max_length} characters",
}
# pydantic's words for a value, and ours. "Input should be a valid integer, unable to parse string as an integer"
_REASONS: Final = (
    (re.compile(r"^(Input )?should be a valid integer.*"), "is not a whole number"),
    (re.compile(r"^(Input )?should be a valid number.*"), "is not a number"),
    (re.compile(r"^(Input )?should be a finite number.*"), "is not finite"),
    (re.compile(r"^(Input )?should be a valid boolean.*"), "is neither true nor false"),
    (re.compile(r"^(Input )?should be greater than or equal to (\S+)"), r"is not \2 or more"),
    (re.compile(r"^(Input )?should be less than or equal to (\S+)"), r"is not \2 or less"),
    (re.compile(r"^(Input )?should be greater than (\S+)"), r"is not more than \2"),
    (re.compile(r"^(Input )?should be less than (\S+)"), r"is not less than \2"),
    (re.compile(r"^(Value error, |Assertion failed, )"), ""),
    (re.compile(r"^Input should "), "should "),
)


def say_field(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors as "limits.run_s = -20: is not more than 0"."""
    field = ".".join(str(part) for part in error["loc"])
    if error["type"] in ("missing", "extra_forbidden"):
        return f"{field}: {_WORDS[error['type']]}"
    shown = f"{field} = {show_value(error['input'])}" if field else show_value(error["input"])
    return f"{shown}: {_say_type(error)}"


def _say_type(error: Mapping[str, Any]) -> str:
    kind = str(error["type"])
    base = kind.split("_")[0] if kind.endswith(("_type", "_parsing", "_float")) else ""
    words = _WORDS.get(kind) or _WORDS.get(base, "")
    if base in ("list", "tuple") and isinstance(error["input"], str | int | float):
        return f"{words}; write it in brackets: [{show_value(error['input'])}]"
    try:
        return words.format(**error.get("ctx", {})) if words else say_reason(str(error["msg"]))
    except KeyError:
        return say_reason(str(error["msg"]))


def without_echoes(errors: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The errors without those of a list or section that are told of something in it already."""
    inner = {error["loc"][:n] for error in errors for n in range(len(error["loc"]))}
    return [error for error in errors if error["loc"] not in inner]


def say_not_toml(error: ValueError) -> str:
    """Why a text is not TOML, with the line where that is known."""
    if isinstance(error, UnicodeDecodeError):
        line = error.object[: error.start].count(b"\n") + 1
        return f"is not UTF-8: byte 0x{error.object[error.start]:02x} (at line {line})"
    return f"is not TOML: {error}"


def find_near(written: str, known: Iterable[str]) -> str:
    """The known name that was probably meant. Empty if none is near."""
    return next(iter(get_close_matches(written.lower()[:VALUE_CHARS], list(known), 1)), "")


def say_known(names: Sequence[str]) -> str:
    """The names that there are, in one line that does not run on."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def say_not_json(error: ValueError | RecursionError) -> str:
    """Why a text is not JSON that can be used."""
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if not isinstance(error, json.JSONDecodeError) and "digits" in str(error):  # Python's limit of a whole number
        return "holds a whole number of more digits than can be read"
    return f"is not JSON: {error}"


def say_reason(message: str) -> str:
    """A reason in pydantic's words, in ours."""
    for pattern, words in _REASONS:
        message = pattern.sub(words, message)
    return message.rstrip(".")


def show_value(value: object) -> str:
    """A value as TOML and JSON write it, near enough, cut to one short line."""
    try:
        return plain_line(json.dumps(value, ensure_ascii=False, default=str), VALUE_CHARS)
    except ValueError:  # a hexadecimal number with more digits than Python writes
        return "a number of thousands of digits"


def find_toml_line(text: str, path: Sequence[str | int]) -> int | None:
    """The line, counted from 1, that sets the key at `path`, or the nearest above it that stands in the text.

    A number in the path counts the tables of a [[list]] from 0.
    """
    wanted = [part for part in path if isinstance(part, str)]
    nth = next((part for part in path if isinstance(part, int)), 0)
    table: list[str] = []
    seen: dict[tuple[str, ...], int] = {}
    best, depth = None, 0
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        bare = line.strip()
        if header := _HEADER.match(bare):
            table = _split(header[1])
            if bare.startswith("[["):
                seen[tuple(table)] = seen.get(tuple(table), -1) + 1
            keys = table
        elif entry := _ENTRY.match(bare):
            keys = [*table, *_split(entry[1])]
        else:
            continue
        index = next((seen[tuple(table[:n])] for n in range(1, len(table) + 1) if tuple(table[:n]) in seen), nth)
        if index == nth and depth < len(keys) <= len(wanted) and keys == wanted[: len(keys)]:
            best, depth = number, len(keys)
    return best


def _split(dotted: str) -> list[str]:
    return [part.strip("\"'") for part in _PART.findall(dotted)]
