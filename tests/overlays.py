"""Copies of the two-second template with something added to them."""

from __future__ import annotations

import json
import shutil
import threading
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


def held_quadratic(place: Path) -> Path:
    """The template with a profile `slow` whose first run of the idea `momentum` goes on until `let_go`, or 10 s."""
    shutil.copytree(DATA / "quadratic", place)
    script = place / "experiment.py"
    pause = 'time.sleep(profile.get("pause_s", 0.0))'
    code = script.read_text()
    assert code.count(pause) == 1
    script.write_text(code.replace(pause, _HOLD.strip()))
    return place


_HOLD = """
        is_held = "pause_s" in profile and str(Path.cwd()).endswith("/momentum/.agent/attempts/run_1.1/work")
        until = time.time() + (10 if is_held else 0)
        while time.time() < until and not Path("go").exists():
            time.sleep(0.02)
"""


def let_go(workspace: Path, after_s: float = 0.0) -> None:
    """Let the run that is held end, that many seconds from now."""
    threading.Timer(after_s, (workspace / ".agent/attempts/run_1.1/work/go").touch).start()
