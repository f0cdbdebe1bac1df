"""Output of `scientist` alone: counts of ideas at work, paused and ended, and the command to go on with."""

from __future__ import annotations

import json
import os
import shlex
from collections import Counter
from pathlib import Path

TAIL_BYTES = 1 << 16


def say_next(folder: Path, path_is_default: bool) -> list[str]:
    """A few lines for a folder of batches. Journals are read at their last line alone, so that this takes no time."""
    counts = Counter(state_of(journal.parent) for journal in folder.glob("*/*/.agent/journal.jsonl"))
    where = "" if path_is_default else f" {shlex.quote(str(folder))}"
    if not counts:
        return [
            f"No ideas were launched here yet ({folder}/ holds none).",
            "  try it without a key:  scientist launch sae_synth --idea 1 --max-runs 2",
            "  what there is:         scientist ideas; scientist templates",
            "  with a model:          scientist doctor --model PROVIDER/MODEL",
            "  copies to edit:        scientist init",
            "All commands: scientist --help",
        ]
    lines = [f"{folder}: " + ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])]
    if counts["paused"] or counts["interrupted"] or (counts["pending"] and not counts["at work"]):
        lines += ["  go on:   scientist resume --all", f"  reasons: scientist status{where}"]
    else:
        lines += [f"  look:    scientist status{where}"]
    return [*lines, "All commands: scientist --help"]


STATES = ("at work", "paused", "interrupted", "pending", "ended", "unreadable")


def state_of(agent: Path) -> str:
    """State of the idea whose .agent folder this is, from the last event of its journal and the holder of its lock."""
    from agent.edges.workspace.lock import read_holder  # filelock takes a quarter of the time of a start

    holder = read_holder(agent)
    if holder is not None and holder.is_alive() is not False:
        return "at work"
    try:
        last = last_type(agent / "journal.jsonl")
    except (OSError, ValueError, LookupError, TypeError):
        return "unreadable"
    return {"ended": "ended", "paused": "paused", "launched": "pending"}.get(last, "interrupted")


# Events that tell nothing of how the idea stands: replications of a run, and words of a person, at any time.
APART = ("replicate", "seeded", "replicated", "told")


def last_type(path: Path) -> str:
    """Type of the last event of a journal that tells how the idea stands. What a crash tore off after the last whole
    line does not count: a resume mends that.

    Raises: ValueError if there is none.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        wanted = TAIL_BYTES
        while True:
            begin = max(0, size - wanted)
            file.seek(begin)
            lines = file.read(size - begin).split(b"\n")[:-1][begin > 0 :]  # the first may lack its beginning
            kinds = (str(json.loads(line)["event"]["type"]) for line in reversed(lines))
            if kind := next((kind for kind in kinds if kind not in APART), ""):
                return kind
            if begin == 0:
                raise ValueError(f"{path} has no such line")
            wanted *= 4
