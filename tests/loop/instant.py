"""Steps of the two-second template that end as they start, for tests of what comes between them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.journal.events import Event, Finished, Paused
from agent.core.journal.kinds import PauseKind
from agent.core.journal.state import State
from agent.edges.run.step_folder import StepSpec
from agent.edges.workspace.journal import Journal
from tests.fakes import InstantRunner


class Crash(BaseException):
    """The orchestrator is gone."""


def crash_before_records(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """From now on every effect happens and its first record is lost; the keys of those lost so far."""
    crashed: set[str] = set()
    append = Journal.append

    def append_or_crash(journal: Journal, event: Event) -> object:
        if isinstance(event, Finished) and event.key not in crashed:
            crashed.add(event.key)
            raise Crash
        return append(journal, event)

    monkeypatch.setattr(Journal, "append", append_or_crash)
    return crashed


def leave_results(folder: Path, spec: StepSpec) -> None:
    """What experiment.py, the evaluator and plot.py would have left."""
    if folder.name.startswith("plot."):
        (folder / "work/losses.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>\n")
    found = re.fullmatch(r"run_(\d+)\.\d+(\.\w+)?", folder.name)
    if found is None:
        return
    if found[2] == ".evaluate":
        (folder / "work/evaluation.json").write_text(json.dumps({"score": 0.9 + int(found[1]) / 100}))
        return
    out = folder / "work" / f"run_{found[1]}"
    out.mkdir(exist_ok=True)
    (out / "state.json").write_text(json.dumps({"x": 1.0}))
    (out / "final_info.json").write_text(json.dumps({"final_loss": 0.1, "steps": 40}))


def instant_runner() -> InstantRunner:
    return InstantRunner(leave_results)


def results_in(events: list[Event], kind: str) -> Iterator[object]:
    """Results of one type, in order."""
    return (e.result for e in events if isinstance(e, Finished) and e.result.type == kind)


def pauses_in(events: list[Event], kind: PauseKind) -> list[str]:
    return [e.reason for e in events if isinstance(e, Paused) and e.kind is kind]


def waits(state: State, kind: PauseKind) -> bool:
    return state.pause is not None and state.pause.kind is kind
