"""Lines of `scientist status`: one an idea, those that need a person first, and no word broken."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from agent.core.inputs.spec import Direction
from agent.report.overview import MOST_REASONS, count_states, say_next, sum_up, survey
from agent.report.status import Best, Standing, WorkState
from agent.report.table import describe_best, lay_out, sort_standings

BEST = Best(4, "f1", 0.5399, 0.6473, "worse", True, "jumprelu at l0 5.7", "bwrap", delta=-0.1074, direction="higher")
BATCH = "workspaces/20261129-072730-sae_synth"
PAUSED = Standing(
    name="matryoshka_prefix_sae",
    path=f"{BATCH}/matryoshka_prefix_sae",
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
    next=(f"scientist resume {BATCH}/matryoshka_prefix_sae",),
)
DONE = replace(PAUSED, state=WorkState.COMPLETED, phase="ended", reason="4 runs completed", spent="", next=(), run=10)


def idea(name: str, verdict: str, delta: float | None, **other: object) -> Standing:
    direction: Direction = other.pop("direction", "higher")  # type: ignore[assignment]
    best = replace(BEST, verdict=verdict, value=1 + (delta or 0), baseline=None if delta is None else 1.0, delta=delta)
    return replace(DONE, name=name, path=f"{BATCH}/{name}", best=replace(best, direction=direction), **other)  # type: ignore[arg-type]


def shown(standings: list[Standing], width: int | None) -> list[str]:
    return [line for text in survey(standings, width, "--all") for line in text.plain.split("\n")]


@pytest.mark.parametrize("width", [60, 80, 100, 160, 200, None])
def test_no_word_is_broken_no_line_is_too_long_and_a_path_can_be_copied(width: int | None) -> None:
    standings = [PAUSED, replace(PAUSED, name="x", path="workspaces/b/x", best=None, reason="", spent="")]
    lines = shown(standings, width)
    prose = [line for line in lines if not line.startswith(("next:", "  or:")) and len(line.split()) > 1]
    assert all(len(line) <= (width or 999) for line in prose)
    words = {word.rstrip(";") for line in lines for word in line.split()}
    assert {
        word.rstrip(";") for word in f"{PAUSED.reason} {PAUSED.spent} {PAUSED.path} workspaces/b/x".split()
    } <= words
    assert "next: scientist resume --all (2 ideas wait), or one by its path" in lines


@pytest.mark.parametrize("width", [100, 160])
def test_an_idea_has_one_line_with_verdict_runs_value_difference_and_path(width: int) -> None:
    head, line = shown([DONE], width)
    assert head.split()[-4:] == ["runs", "f1", "delta", "path"] if width == 100 else "baseline" in head.split()
    for cell in ("worse", "10/10", "0.5399", "-0.107", DONE.path):
        assert cell in line
    assert line.endswith(DONE.path) and len(line) <= width


def test_a_wide_terminal_and_a_pipe_say_more() -> None:
    at_100, at_160, in_a_pipe = ("\n".join(shown([DONE, PAUSED], width)) for width in (100, 160, None))
    assert "jumprelu at l0 5.7" not in at_100 and "verified" not in at_100
    assert "jumprelu at l0 5.7" in at_160 and "verified" in at_160
    assert "step" in in_a_pipe and "evaluate" in in_a_pipe and PAUSED.spent in in_a_pipe
    assert [line.split()[0] for line in in_a_pipe.splitlines()[1:3]] == ["interrupted", "completed"]


def test_at_80_columns_a_long_path_stands_below_its_line() -> None:
    lines = shown([DONE], 80)
    assert lines[1].split() == ["worse", "10/10", "0.5399", "-0.107"] and lines[2] == f"    {DONE.path}"


def test_what_needs_a_person_comes_first_then_the_best_result() -> None:
    ideas = [
        idea("bad", "worse", -0.2),
        replace(DONE, name="failed", best=None, state=WorkState.FAILED),
        idea("same", "no difference", 0.05),
        idea("unknown", "no verdict", None),
        idea("good", "better", 0.1),
        replace(DONE, name="begun", best=None, state=WorkState.RUNNING),
        idea("winner", "better", 0.3, state=WorkState.RUNNING),
        replace(PAUSED, name="waits", state=WorkState.PAUSED),
        replace(PAUSED, name="stuck", state=WorkState.STALLED),
        replace(DONE, name="later", best=None, state=WorkState.PENDING),
    ]
    found = [s.name for s in sort_standings(ideas)]
    assert found == ["stuck", "waits", "winner", "good", "same", "unknown", "bad", "begun", "later", "failed"]


def test_a_lower_loss_is_a_gain_and_metrics_of_two_templates_are_measured_by_their_baselines() -> None:
    ppl = replace(BEST, metric="ppl", value=80.0, baseline=100.0, delta=-20.0, verdict="better", direction="lower")
    ideas = [
        idea("a", "better", -0.1, direction="lower"),
        idea("b", "better", -0.4, direction="lower"),
        replace(DONE, name="c", best=ppl),
    ]
    assert [s.name for s in sort_standings(ideas)] == ["b", "c", "a"]
    assert "f1 (min)" in shown(ideas[:2], 100)[0]
    mixed = shown(ideas, 100)
    assert "best" in mixed[0].split() and "ppl=80" in "".join(mixed) and "f1=0.6" in "".join(mixed)


def test_remarks_name_a_few_ideas_and_are_said_once() -> None:
    many = [replace(idea(f"idea_{n}", "worse", -0.1), control="control: a sweep") for n in range(20)]
    lines = shown(many, 100)
    assert lines.count("all 20 ideas: control: a sweep") == 1 and len(lines) == 22
    (some,) = [line for line in shown([*many[:6], DONE], 100) if "control" in line]
    assert some == "idea_0, idea_1, idea_2, idea_3 and 2 more: control: a sweep"
    held = replace(DONE, best=replace(BEST, sandbox="off", verified=False))
    told = "\n".join(shown([held], 100))
    assert "run without a sandbox" in told and "self-reported" in told


def test_a_reason_names_the_path_of_an_idea_whose_name_another_has() -> None:
    lines = shown([PAUSED, replace(DONE, path="workspaces/other/matryoshka_prefix_sae")], None)
    assert f"{PAUSED.path} is interrupted: {PAUSED.reason}" in lines
    assert f"{PAUSED.name} is interrupted: {PAUSED.reason}" in shown([PAUSED, idea("x", "worse", -0.1)], None)


def test_reasons_are_bounded_in_number_and_length() -> None:
    many = [replace(PAUSED, name=f"i{n}", reason="no " * 100_000) for n in range(40)]
    lines = shown(many, 100)
    assert (
        any(line == f"and {40 - MOST_REASONS} more wait or failed" for line in lines)
        and len(lines) < 40 + 9 * MOST_REASONS
    )


def test_the_end_of_a_batch_counts_ranks_and_says_where_to_look() -> None:
    ideas = [idea("bad", "worse", -0.2), idea("good", "better", 0.1), replace(PAUSED, state=WorkState.PAUSED)]
    lines = [str(line) for line in sum_up(ideas, None, BATCH)]
    assert lines[:2] == ["", "3 ideas: 2 completed, 1 paused"]
    assert [line.split()[-1].rpartition("/")[2] for line in lines[3:6]] == ["matryoshka_prefix_sae", "good", "bad"]
    assert lines[-3:] == [
        f"next: {PAUSED.next[0]}",
        f"look: scientist show {BATCH}/good",
        f"      scientist status {BATCH}",
    ]
    assert count_states(ideas) == "2 completed, 1 paused"


def test_replications_that_are_left_are_no_ideas_to_resume() -> None:
    left = replace(DONE, next=(f"scientist replicate {BATCH}/x 2",))
    assert say_next([DONE, left], "--all") == []
    assert [str(line) for line in say_next([PAUSED, left], "--all")] == [f"next: {PAUSED.next[0]}"]


def test_verdicts_and_states_have_colours_and_the_words_are_there_without_them() -> None:
    (_, *lines), _ = lay_out(sort_standings([idea("good", "better", 0.1), idea("bad", "worse", -0.2), PAUSED]), 100)
    styles = [{str(span.style) for span in line.spans} for line in lines]
    assert [("green" in s, "red" in s, "bold yellow" in s) for s in styles] == [
        (False, True, True),  # interrupted, its best run worse
        (True, False, False),
        (False, True, False),
    ]


HOSTILE = (
    "a\x1b[2J\u202eb\u200bc\u0301\u0301\u0301\u0301\u0301"
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f1e9\U0001f1ea\u3164\ufe0f\ud800"
)


@pytest.mark.parametrize("width", [40, 80, 100, 160, None])
def test_letters_of_odd_widths_break_no_column(width: int | None) -> None:
    best = replace(BEST, metric=HOSTILE, reference=HOSTILE)
    standings = [replace(DONE, best=best), replace(DONE, best=replace(best, metric="f1" * 40)), DONE]
    lines, _ = lay_out(standings, width)
    rows = [line.plain.split(BATCH)[0] for line in lines[1:]]
    assert len({cell_len(row.partition("\n")[0]) for row in rows}) == 1 or width == 40
    assert not any(mark in line.plain for line in lines for mark in "\x1b\u202e\u200b\u200d\ufe0f\u3164")


def test_a_best_run_in_one_line() -> None:
    assert describe_best(BEST) == "run 4 f1=0.5399 (worse, -0.107 from 0.6473 jumprelu at l0 5.7; verified)"
    alone = replace(BEST, baseline=None, delta=None, verdict="no verdict", verified=False, sandbox="off")
    assert describe_best(alone) == "run 4 f1=0.5399 (no verdict; self-reported, without a sandbox)"
    lucky = replace(BEST, verdict="no difference", chosen_from=4)
    assert "no difference as the best of 4, " in describe_best(lucky)
