"""Lines of `scientist status` on a terminal: columns if they fit, and no word broken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.cli.commands.status import describe_best, lay_out
from agent.report.status import Best, Standing, WorkState

BEST = Best(4, "f1", 0.5399, 0.6473, "worse", True, "jumprelu at l0 5.7", "bwrap")
PAUSED = Standing(
    name="matryoshka_prefix_sae",
    path="/w/20261129-072730-sae_synth/matryoshka_prefix_sae",
    state=WorkState.INTERRUPTED,
    phase="evaluate",
    run=4,
    max_runs=10,
    reason="Ctrl-C, a signal or a crash ended the work on it; run_4.1 goes on, and a well-known way leads back",
    cost_usd=None,
    tokens_in=0,
    tokens_out=0,
    best=BEST,
    control="",
    spent="12,345 tokens of 100,000, $0.12 of $2",
)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_word_is_broken_and_no_line_is_too_long(width: int) -> None:
    standings = [PAUSED, replace(PAUSED, name="x", best=None, reason="", spent="")]
    lines = list(lay_out(standings, width))
    assert all(len(line) <= width for line in lines)
    words = {word.rstrip(";") for line in lines for word in line.split()}
    for text in (PAUSED.reason, PAUSED.spent, describe_best(PAUSED)):
        assert {word.rstrip(";") for word in text.split()} <= words
    assert lines[0].split() == ["idea", "state", "step", "run", "best"]
    assert lines[-1].split() == ["x", "interrupted", "evaluate", "4/10", "-"]


def test_a_long_name_has_a_line_of_its_own() -> None:
    lines = list(lay_out([replace(PAUSED, name="x" * 60, spent="", reason="4 runs completed")], 72))
    assert lines[2:4] == ["x" * 60, "    interrupted  evaluate  4/10"]


def test_a_word_longer_than_the_terminal_stays_whole() -> None:
    path = "/" + "deep/" * 30
    assert f"      {path}" in list(lay_out([replace(PAUSED, reason=f"look at {path} first")], 80))
