"""Journal events in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.journal.action_results import (
    Applied,
    Asked,
    AskFailed,
    Closed,
    Linted,
    Opened,
    Published,
    Refused,
    Restored,
    Result,
    Voided,
)
from agent.core.journal.events import Ended, Event, Finished, Launched, Paused, Resumed, Started, Told
from agent.core.journal.kinds import PauseKind, Purpose, Step
from agent.report.progress import describe
from tests.core.journal_by_hand import Story, failure

STATE = Story().state
FAILED = failure("AError: no")
ASKED = Asked(purpose=Purpose.FIX, model="m", tokens_in=100, tokens_out=20, seconds=1.25)


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (ASKED, "asked m to fix (1.2 s, 100 + 20 tokens)"),
        (Asked(purpose=Purpose.PLAN, model="offline/sweep"), "asked offline/sweep to plan (0.0 s)"),
        (replace(ASKED, tokens_cached=80), "asked m to fix (1.2 s, 100 (80 cached) + 20 tokens)"),
        (replace(ASKED, finish_reason="length"), "asked m to fix (1.2 s, 100 + 20 tokens, cut at its length limit)"),
        (AskFailed(reason="m: overloaded"), "model call failed: m: overloaded"),
        (AskFailed(reason="no tokens left", remedy="--max-tokens 9"), None),
        (Applied(commit="0123456789abcdef", subject="Run 1: go"), "commit 0123456789 Run 1: go"),
        (Applied(commit="", subject="Run 2: replicate run 1"), "no edit: Run 2: replicate run 1"),
        (Applied(commit="c1", subject="s", dropped="notes.txt: x"), "commit c1 s (left out: notes.txt: x)"),
        (Refused(summary="no block"), "reply refused: no block"),
        (Linted(), None),
        (Linted(failure=FAILED), "lint failed: AError: no"),
        (Opened(step=Step.RUN, folder="run_1.1"), "run_1.1: started"),
        (Voided(folder="run_1.1", reason="no supervisor had begun"), "run_1.1: closed, no supervisor had begun"),
        (Closed(step=Step.SMOKE, folder="run_1.1.smoke", seconds=2.04), "run_1.1.smoke: smoke test passed after 2.0 s"),
        (Closed(folder="run_1.1", failure=FAILED, seconds=2.0), "run_1.1: AError: no"),
        (Published(run=3, values={"f1": 0.123456, "loss": 2.0}), "run 3 completed: f1=0.1235 loss=2"),
        (Restored(restores="0123456789abcdef"), "restored, back to the code of 0123456789"),
        (Restored(restores="c0", gives_up=True), "given up, back to the code of c0"),
    ],
)
def test_results_in_words(result: Result, line: str | None) -> None:
    assert describe(Finished("key", result), STATE) == line


def test_a_completed_run_shows_its_primary_metric_first_and_few_others() -> None:
    state = replace(STATE, launched=replace(STATE.launched, primary="f1"))
    values = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "e": 5.0, "f1": 0.5}
    told = describe(Finished("key", Published(run=1, values=values)), state)
    assert told == "run 1 completed: f1=0.5 a=1 b=2 c=3 and 2 more"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Launched(), None),
        (Started("key", "AskModel", 1, 1, 0), None),
        (Paused(PauseKind.STOP, "stopped by request"), "paused: stopped by request"),
        (Resumed(), "resumed"),
        (Told("1", "Use\nless."), "told: Use less."),
        (
            Ended(True, "2 runs completed", ("no figures: KeyError",)),
            "warning: no figures: KeyError",
        ),
        (Ended(False, "no run was completed"), "failed: no run was completed"),
    ],
)
def test_events_in_words(event: Event, line: str | None) -> None:
    assert describe(event, STATE) == line
