"""Copies of the two-second template with something added to them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

DATA = Path(__file__).parent / "data"


def prepared_quadratic(place: Path, **hidden: object) -> Path:
    """The template with data to prepare and a profile with a hidden part, of which `hidden` changes keys."""
    overlay = DATA / "overlays" / "prepared"
    shutil.copytree(DATA / "quadratic", place)
    shutil.copytree(overlay, place, dirs_exist_ok=True)
    with (place / "template.toml").open("a") as file:
        file.write((place / "added.toml").read_text())
    (place / "added.toml").unlink()
    path = place / "profiles" / "small.json"
    profile = json.loads(path.read_text())
    path.write_text(json.dumps(profile | {"hidden": profile["hidden"] | hidden}))
    return place
