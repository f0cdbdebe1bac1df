"""Events as JSON values and back. A line of the journal holds one."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from agent.core.journal.events import JOURNAL_VERSION, STEP_LIMITS, AnyEvent, Event, Launched, Resumed

__all__ = ["NewerJournal", "UnknownEvent", "from_json", "to_json"]

# Fields of results that are written only if they differ from this: older programs do not know them.
_LEFT_OUT: dict[str, object] = {"uncounted": 0, "doubt": "", "served": "", "stuck": "", "wanted": []}
# Fields of a launch that are left out if they are empty, and of a resume if they change nothing.
_LATER = frozenset({"doubt", "caveat", "titles", "begun", "more_runs", *STEP_LIMITS})
_ADAPTER: TypeAdapter[Any] = TypeAdapter(Event, config=ConfigDict(extra="forbid"))


class UnknownEvent(ValueError):
    """A value that is no event of this version. The text names the field."""


class NewerJournal(UnknownEvent):
    """A launch written by a later version of this program."""


def to_json(event: AnyEvent) -> Any:
    """The event as JSON values, every field named but those that version 1 began without."""
    value = _ADAPTER.dump_python(event, mode="json")
    result = value.get("result")
    if isinstance(result, dict):
        value["result"] = {name: v for name, v in result.items() if name not in _LEFT_OUT or v != _LEFT_OUT[name]}
    if isinstance(event, Launched):
        value = {name: v for name, v in value.items() if v or name not in _LATER}
    if isinstance(event, Resumed):
        value = {name: v for name, v in value.items() if name not in _LATER or (v is not None and v is not False)}
    return value


def from_json(value: object) -> AnyEvent:
    """The event. Fields that an older version did not write get their defaults.

    Raises: UnknownEvent if the value is no event of this version, or has a field that this version does not know.
    """
    if isinstance(value, dict) and isinstance(version := value.get("version"), int) and version > JOURNAL_VERSION:
        raise NewerJournal(f"the journal has version {version}, and this program reads up to {JOURNAL_VERSION}")
    event: AnyEvent
    try:
        event = _ADAPTER.validate_python(value, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UnknownEvent(f"{field}: {first['msg']}" if field else first["msg"]) from error
    return event
