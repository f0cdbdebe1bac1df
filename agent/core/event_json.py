"""Events as JSON values, and back: what stands on a line of the journal."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from agent.core.events import Ended, Event, Finished, Launched, Paused, Resumed, Started, Told

__all__ = ["from_json", "to_json"]

_ADAPTER: TypeAdapter[Any] = TypeAdapter(Event)


def to_json(event: Launched | Started | Finished | Paused | Resumed | Told | Ended) -> Any:
    """The event as JSON values, every field named."""
    return _ADAPTER.dump_python(event, mode="json")


def from_json(value: object) -> Launched | Started | Finished | Paused | Resumed | Told | Ended:
    """Raises: pydantic.ValidationError on anything that is not an event of this version."""
    event: Launched | Started | Finished | Paused | Resumed | Told | Ended
    event = _ADAPTER.validate_python(value, strict=False)
    return event
