"""What a turn may know: files by stage, rows with verdicts, the baseline that a run stands in for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.evidence.baseline import Baseline
from agent.core.evidence.verdict import VerdictKind
from agent.core.inputs.idea import Idea
from agent.core.inputs.spec import Control, Metric, TemplateSpec
from agent.core.journal.action_results import Closed, Opened, Published
from agent.core.journal.budget import Limits
from agent.core.journal.kinds import Intent, Measured, PlanItem, Purpose, Stage, Step
from agent.core.journal.replications import Replicate, Seeded
from agent.core.journal.state import State
from agent.core.prompt.view import Study, TurnTexts, TurnView, reference_of, shown_files, view_row, view_turn
from tests.core.journal_by_hand import PLAN, WELL, Story, failure

SCORE = Metric(name="score", path=("score",), direction="higher", resolution=0.01)
SPEC = TemplateSpec(name="t", metrics=(SCORE,), run_files=("experiment.py", "model.py"))
IDEA = Idea(Name="momentum", Title="Momentum helps", Experiment="Add momentum.")
FILES = {
    "experiment.py": "LR = 0.1  # search: 0..1\n",
    "model.py": "WIDTH = 8  # search: int 4..64\n",
    "plot.py": "SIZE = 3  # search: 1..9\n",
    "notes.txt": "Words.\n",
    "sealed.py": "SECRET = 1\n",
}
SEEDS = [Baseline("plain", seed, {"score": value}) for seed, value in enumerate((0.48, 0.5, 0.52))]


def view(state: State, *, spec: TemplateSpec = SPEC, baselines: list[Baseline] = SEEDS, **rest: str) -> TurnView:
    return view_turn(state, Study(spec, IDEA, "Brief.", baselines), Purpose.NEXT, FILES, TurnTexts(**rest))


def at(stage: Stage) -> State:
    story = Story(Limits(max_runs=1))
    if stage is not Stage.EXPERIMENTS:
        story.complete_run()
    if stage is Stage.NOTES:
        story.apply(Intent.PLOT)
        story.run_step()
    return story.state


@pytest.mark.parametrize(
    ("stage", "shown", "editable"),
    [
        (Stage.EXPERIMENTS, {"experiment.py"}, ("experiment.py", "plot.py", "notes.txt")),
        (Stage.PLOT, {"plot.py"}, ("plot.py", "notes.txt")),
        (Stage.NOTES, {"notes.txt"}, ("notes.txt",)),
    ],
)
def test_a_turn_shows_the_files_of_its_stage(stage: Stage, shown: set[str], editable: tuple[str, ...]) -> None:
    seen = view(at(stage))
    assert set(seen.files) == shown == set(shown_files(stage, SPEC)) and seen.editable == editable
    assert all(seen.files[name] == FILES[name] for name in shown)


def test_a_file_that_is_not_there_is_not_shown() -> None:
    spec = SPEC.model_copy(update={"run_files": ("experiment.py", "gone.py")})
    assert set(view(at(Stage.EXPERIMENTS), spec=spec).files) == {"experiment.py"}


def test_the_budget_shown_is_that_of_the_stage() -> None:
    assert (view(at(Stage.EXPERIMENTS)).state.run.attempt, view(at(Stage.EXPERIMENTS)).max_attempts) == (1, 4)
    assert (view(at(Stage.PLOT)).state.run.attempt, view(at(Stage.PLOT)).max_attempts) == (1, 2)
    story = Story()
    story.fail_attempt()
    assert view(story.state).state.run.attempt == 2


def test_the_plan_and_what_is_done_of_it_are_shown() -> None:
    story = Story()
    story.complete_run(plan=PLAN, item=1)
    seen = view(story.state)
    assert (seen.plan, seen.state.done_items, seen.due) == (PLAN, (1,), PLAN[1])


def test_a_failure_is_shown_with_how_often_it_struck_and_whether_its_code_is_gone() -> None:
    story = Story()
    for repeats in (1, 2, 3):
        story.fail_attempt()
        seen = view(story.state)
        assert (seen.state.run.failure, seen.state.run.repeats, seen.restored) == (failure(), repeats, False)
    story.restore(gives_up=False)
    seen = view(story.state)
    assert (seen.state.run.failure, seen.state.run.repeats, seen.restored) == (failure(), 3, True)


def test_nothing_is_called_restored_where_nothing_failed() -> None:
    assert not view(at(Stage.EXPERIMENTS)).restored


def test_completed_rows_have_a_verdict_and_those_given_up_have_none() -> None:
    story = Story(Limits(attempts=1))
    story.complete_run(0.9)
    story.give_up_run()
    good, bad = view(story.state).rows
    assert good.verdict and good.verdict.kind is VerdictKind.BETTER and good.row.values == {"score": 0.9}
    assert bad.verdict is None and not bad.row.completed and bad.row.failures == ("Error0: no",)


def test_without_a_baseline_there_is_no_verdict() -> None:
    story = Story()
    story.complete_run(0.9)
    (row,) = view(story.state, baselines=[]).rows
    assert row.verdict is None and view(story.state, baselines=[]).baselines == ()
    assert view_row(story.state.rows[0], SPEC, None, SEEDS).verdict is None


def test_run_zero_stands_in_for_a_baseline_only_where_there_is_none() -> None:
    story = Story(has_baseline=False)
    story.run_step({"score": 0.4})
    story.publish({"score": 0.4})
    assert reference_of(story.state, ()) == (Baseline("run 0", 0, {"score": 0.4}),)
    assert [row.name for row in view(story.state, baselines=[]).baselines] == ["run 0"]
    assert [row.name for row in view(story.state).baselines] == ["plain"]
    assert reference_of(Story().state, ()) == ()


def test_a_replication_of_run_zero_that_is_in_doubt_sets_no_bar() -> None:
    story = Story(has_baseline=False)
    story.run_step({"score": 0.4})
    story.publish({"score": 0.4})
    story.hear(Replicate(0, (7, 8), "key"))
    for seed, score, doubt in ((7, 0.4, "the seed does not reach the code"), (8, 0.401, "")):
        closed = Closed(step=Step.RUN, folder="f", exit=WELL, values={"score": score}, doubt=doubt)
        for result in (Opened(step=Step.RUN, folder="f"), closed, Published(run=0, seed=seed)):
            story.hear(Seeded(0, seed, result))
    story.complete_run(0.5)
    (row,) = view(story.state, baselines=[]).rows
    assert row.verdict and row.verdict.kind is VerdictKind.NO_VERDICT
    assert row.verdict.reason == "run 0 with seed 7: the seed does not reach the code"


def test_a_run_zero_that_calls_itself_self_reported_is_no_bar() -> None:
    story = Story(has_baseline=False)
    story.run_step({"score": 0.4})
    story.tell(
        Published(run=0, tag="run/0", commit="", values={"score": 0.4}, self_reported="encode could not be served")
    )
    assert story.state.baseline.values == {"score": 0.4}
    assert reference_of(story.state, ()) == ()
    assert reference_of(story.state, SEEDS) == tuple(SEEDS)


def test_where_no_metric_is_declared_the_first_number_of_baseline_or_run_is_primary() -> None:
    bare = TemplateSpec(name="t")
    assert view(Story().state, spec=bare, baselines=[]).primary is None
    primary = view(Story().state, spec=bare).primary
    assert primary and (primary.name, primary.direction) == ("score", "unknown")
    story = Story()
    story.complete_run()
    state = replace(story.state, rows=(replace(story.state.rows[0], measured=Measured({"accuracy": 0.9})),))
    primary = view(state, spec=bare, baselines=[]).primary
    assert primary and primary.name == "accuracy"


def test_what_the_caller_adds_is_passed_on() -> None:
    seen = view(Story().state, failed_diff="-a\n+b", feedback="train")
    assert (seen.texts.failed_diff, seen.texts.feedback, seen.brief.task) == ("-a\n+b", "train", "Brief.")
    assert seen.command == "python experiment.py --out_dir=run_N"


def test_a_change_is_read_against_the_baseline_at_the_runs_place_else_against_the_run_before() -> None:
    item = PlanItem(1, "x", "", "score +0.1", "")
    story = Story()
    story.complete_run(0.7, plan=(item,), item=1)
    reading = view(story.state).last.readings["expected"]
    assert (reading.bound, reading.met, reading.reference) == (pytest.approx(0.6), True, "the baseline")
    assert view(story.state, baselines=[]).last.readings == {}, "there is nothing that it is a change of"
    story.complete_run(0.75, plan=(item, replace(item, number=2)), item=2)
    reading = view(story.state, baselines=[]).last.readings["expected"]
    assert (reading.bound, reading.met, reading.reference) == (pytest.approx(0.8), False, "run 1")


def test_a_change_is_not_read_against_anything_where_the_run_does_not_compare() -> None:
    item = PlanItem(1, "x", "", "score +0.1", "score <= 0.1")
    spec = SPEC.model_copy(update={"controls": (Control(name="steps", path=("steps",)),)})
    longer = Baseline("plain", 1, {"score": 0.5, "steps": 40.0})
    story = Story()
    story.complete_run(0.4, plan=(item, replace(item, number=2)), item=1)
    story.complete_run(0.7, item=2)
    seen = view(story.state, spec=spec, baselines=[longer, replace(longer, seed=2)])
    assert seen.rows[-1].verdict and seen.rows[-1].verdict.kind is VerdictKind.NOT_COMPARABLE
    assert set(seen.last.readings) == {"refuted_if"}, "a bound on the metric itself needs no reference"


def test_a_run_given_up_has_no_readings() -> None:
    story = Story(Limits(attempts=1))
    story.complete_run(0.7, plan=(PlanItem(1, "x", "", "score +0.1", ""),), item=1)
    story.give_up_run()
    assert view(story.state).last.readings == {}


def test_the_reviewer_sees_the_end_of_the_notes_and_no_files() -> None:
    story = Story(reviewer_model="r/m")
    story.complete_run()
    seen = view_turn(story.state, Study(SPEC, IDEA, baselines=SEEDS), Purpose.REVIEW, FILES)
    assert seen.files == {} and seen.notes == "Words."
