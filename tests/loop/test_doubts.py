"""Runs that no baseline judges, though the launch found all well."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.evidence.baseline import verdict_of
from agent.core.evidence.origin import Lineage
from agent.core.evidence.verdict import VerdictKind
from agent.core.journal.action_results import Published
from agent.core.journal.events import Event, Finished
from agent.core.journal.state import State
from agent.edges.run.baselines import vouch
from agent.edges.run.local_runner import LocalRunner
from agent.edges.template.load import load_template
from agent.edges.template.origin import Given, given_origin
from agent.effects.run_step import Steps
from tests.core.journal_by_hand import Story
from tests.fakes import ScriptedModel, block
from tests.loop.conftest import Study
from tests.loop.lines import DONE, FASTER, NO_PLOT_EDIT, NOTES, PLAN
from tests.paths import QUADRATIC

DRAWN = '    trainer, losses = run_training(profile, int(os.environ["SCIENTIST_SEED"]))\n'
CHOSEN = "    trainer, losses = run_training(profile, 7)  # not SCIENTIST_SEED\n"


def test_a_chosen_seed_and_data_that_change_in_the_night_get_no_verdict(
    make_study: Callable[..., Study], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "train.csv").write_text("1\n")
    folder = shutil.copytree(QUADRATIC, tmp_path / "quadratic")
    template = load_template(folder, "small")
    given = given_origin(Given(Path(sys.executable), data), folder, template.spec, template.files)
    assert vouch(template, given)
    study = make_study(folder, data=str(data))

    def watch(event: Event, _: State) -> None:
        if isinstance(event, Finished) and isinstance(event.result, Published) and event.result.run == 2:
            (data / "train.csv").write_text("2\n")

    fixed = block("experiment.py", DRAWN, CHOSEN)
    back = block("experiment.py", CHOSEN, DRAWN)
    model = ScriptedModel([PLAN + FASTER, fixed, back, DONE, NO_PLOT_EDIT, NOTES])
    state = study.loop(model, watch=watch).run()
    metric = study.template.spec.metric("score")
    verdicts = [verdict_of(study.template.spec, metric, row.measured, study.template.baselines) for row in state.rows]
    assert verdicts[0] and verdicts[0].kind is VerdictKind.NO_DIFFERENCE
    assert verdicts[1] and verdicts[1].kind is VerdictKind.NO_VERDICT
    assert verdicts[1].reason == "the code no longer reads SCIENTIST_SEED, so its seed was chosen and not drawn"
    assert verdicts[2] and "5 of 5 baselines came of other data (--data)" in verdicts[2].reason
    assert "Verdict: no verdict. the code no longer reads" in model.requests[2].messages[-1].content
    assert "came of other data (--data)" in (study.workspace.path / "notes.txt").read_text()


def test_a_package_that_vanishes_while_it_is_read_costs_a_verdict_and_no_night(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(*_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "/src/kit/net.py")

    monkeypatch.setattr("agent.effects.run_step.weigh", vanish)
    template = replace(study.template, lineage=Lineage(rows=5, recorded=5))
    steps = Steps(study.workspace, study.workspace.repo(), template, LocalRunner(), {}, lambda _: None)
    doubt = steps._weigh(Story().state)
    assert doubt.startswith("its baselines cannot be held against this machine: ") and "/src/kit/net.py" in doubt
