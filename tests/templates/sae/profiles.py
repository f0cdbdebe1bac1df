"""The template's profiles, and changed copies of them. No import of pytest: child processes of tests have none."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

PROFILES = Path(__file__).resolve().parents[3] / "templates" / "sae" / "profiles"


def profile_of(name: str) -> dict[str, Any]:
    return json.loads((PROFILES / f"{name}.json").read_text())


def changed(profile: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with the value at a dotted path changed, or removed if the value is `...`."""
    profile = copy.deepcopy(profile)
    *parents, last = path.split(".")
    place = profile
    for name in parents:
        place = place.setdefault(name, {})
    if value is ...:
        place.pop(last, None)
    else:
        place[last] = value
    return profile
