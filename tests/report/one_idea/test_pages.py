"""An idea and a run in lines: what comes first, and how they are folded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from agent.report.one_idea.pages import idea_lines, run_lines

PLACE = "/far/away/batch/it's an idea"
IDEA: dict[str, Any] = {
    "workspace": PLACE,
    "title": "A title of many words that says at some length what is to be tried and why",
    "state": "paused: the provider refused, and says so in rather many words",
    "control": "control: a sweep",
    "best": "run 2: score=0.98",
    "baseline": "score=0.67 (plain, 5 runs)",
    "verdict": "better: score 0.98 against 0.67: outside the seed band 0.28 to 0.9 of five runs of the baseline",
    "luck": "",
    "results": "verified",
    "next": ["go on: scientist resume '/far/away/batch/it'\"'\"'s an idea' --max-tokens 1000000"],
    "further": [],
    "warnings": ["no figures: plot.py failed"],
    "no_verdicts": "",
    "caveat": "",
    "runs": [
        "run 1: score=0.5 (worse, baseline 0.67; verified)",
        "run 2: score=0.98 (better, baseline 0.67; verified)",
    ],
    "rows": [{"verdict": "worse", "others": "loss=0.5 and 12 more"}, {"verdict": "better", "others": ""}],
    "plan": ["1. (done) Raise the rate.\n   Expected: more", "2. Add a\u4e2d\u6587 word"],
    "figures": [f"{PLACE}/plots/score.png"],
    "notes": f"{PLACE}/notes.txt",
    "replications": ["run 2 again:\nscore 0.97 \u00b1 0.01 of 3 seeds"],
    "baselines": [],
    "begins_at": "",
    "idea": "",
    "template": "quadratic (small)",
    "model": "x/y",
    "editor": "",
    "reviewer": "",
    "limits": "",
    "spent": "",
    "told": [],
}


def test_state_best_run_baseline_and_verdict_come_before_everything_else() -> None:
    lines = [line.plain for line in idea_lines(IDEA, None)]
    assert lines[1] == f"workspace: {PLACE}"
    heads = [line.partition(":")[0] for line in lines]
    order = ["state", "control", "best", "baseline", "verdict", "results", "go on", "warning", "runs", "plan"]
    assert [heads.index(head) for head in order] == sorted(heads.index(head) for head in order)
    assert "  run 1: score=0.5 (worse, baseline 0.67; verified)" in lines and "      loss=0.5 and 12 more" in lines
    assert f"  {PLACE}/plots/score.png" in lines and f"notes: {PLACE}/notes.txt" in lines


def test_lines_fit_the_terminal_with_whole_words_and_whole_commands() -> None:
    words = {word for line in idea_lines(IDEA, None) for word in line.plain.split()}
    for width in (40, 60, 100):
        lines = [line.plain for line in idea_lines(IDEA, width)]
        assert {word for line in lines for word in line.split()} == words
        long = [line for line in lines if cell_len(line) > width]
        assert all(line.startswith(("go on: ", "workspace: ", "  /far", "notes: ")) for line in long), long


def test_verdicts_and_states_have_their_colours_and_nothing_else() -> None:
    styles = {line.plain.split(":")[0].strip(): {str(s.style) for s in line.spans} for line in idea_lines(IDEA, None)}
    assert styles["run 1"] == {"red"} and styles["run 2"] == {"green"} and styles["verdict"] == {"green"}
    assert styles["state"] == {"bold yellow"} and styles["baseline"] == set()


RUN: dict[str, Any] = {
    "workspace": PLACE,
    "run": 2,
    "state": "completed in 3.5 s, 1 attempt",
    "subject": "Run 2: Add momentum",
    "verdict": "no difference: inside the band",
    "control": "",
    "metrics": {"f1": 0.5, "l0": 12.0, "data_id": 255947240309146.0, "tokens": 10.0},
    "controls": ["tokens"],
    "identities": ["data_id"],
    "settings": {"LR": 0.1},
    "hypothesis": "",
    "expected": "f1 above 0.6",
    "refuted_if": "f1 below 0.5",
    "judgement": "",
    "review": "",
    "replications": [],
    "suggestions": [],
    "failures": ["in the smoke run: NameError"],
    "results": "verified",
    "sandbox": "bwrap",
    "commit": "a" * 40,
    "outputs": f"{PLACE}/run_2",
    "log": "scientist logs WS 2",
    "changes": "",
    "repeat": "mkdir repeat && cd repeat && env SCIENTIST_SEED=2 " + "x" * 300,
}


def test_a_run_tells_its_verdict_first_and_keeps_identities_apart() -> None:
    lines = [line.plain for line in run_lines(RUN, 80)]
    assert lines[:4] == [
        f"run 2 of {PLACE}",
        "subject: Run 2: Add momentum",
        "state: completed in 3.5 s, 1 attempt",
        "verdict: no difference: inside the band",
    ]
    assert "metrics: f1=0.5 l0=12" in lines and "settings: LR=0.1" in lines
    assert "controls: tokens=10" in lines and "identities: data_id=255947240309146" in lines
    assert "refuted if: f1 below 0.5" in lines and "  in the smoke run: NameError" in lines
    assert lines[-1] == f"repeat: {RUN['repeat']}", "a command is one line, however long"
    assert not any(line.startswith(("changes", "review", "control:")) for line in lines)


def test_a_run_to_begin_at_is_named_as_one_can_type_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    begin = f"another idea from there: scientist launch IDEAS --from '{tmp_path}/an idea@run/2'"
    lines = [line.plain for line in idea_lines(IDEA | {"workspace": f"{tmp_path}/an idea", "further": [begin]}, 80)]
    assert "another idea from there: scientist launch IDEAS --from 'an idea@run/2'" in lines
