"""The sections that the orchestrator writes into notes.txt."""

from __future__ import annotations

from dataclasses import replace

from agent.core.evidence.baseline import Baseline
from agent.core.evidence.verdict import Verdict, VerdictKind
from agent.core.inputs.spec import Metric, TemplateSpec
from agent.core.journal.action_results import Linted, Reviewed
from agent.core.journal.budget import Limits
from agent.core.journal.fold import try_code
from agent.core.journal.kinds import Measured
from agent.core.prompt.facts import failure_facts, review_facts, run_facts, summarise_attempts
from tests.core.journal_by_hand import Story, failure

METRICS = (Metric(name="score", path=("score",)), Metric(name="loss", path=("loss",)))
SPEC = TemplateSpec(name="t", metrics=METRICS)
BASELINES = [Baseline("plain", seed, {"score": value}) for seed, value in enumerate((0.4, 0.5, 0.6))]
VERDICT = Verdict(VerdictKind.BETTER, 0.5, 0.4, 0.6, "score 0.9 against 0.5")


def trial(story: Story) -> Story:
    story.apply()
    story.tell(Linted())
    story.run_step({"score": 0.90001, "loss": 0.1, "tokens": 1000.0})
    return story


def test_facts_of_a_run_tell_numbers_baseline_verdict_and_settings() -> None:
    story = trial(Story(verified=True))
    text = run_facts(story.state, SPEC, BASELINES, VERDICT, {"LR": 0.1, "NORM": "unit"})
    assert text == (
        "## Run 1\n\nTag run/1, seed 1, attempt 1.\nResults are verified.\n\n"
        "- score = 0.9 (baseline plain: 0.5 ± 0.1, 3 seeds)\n- loss = 0.1\n\n"
        "Verdict: better. score 0.9 against 0.5\n\nSettings: LR=0.1, NORM=unit\n"
    )


def test_facts_say_that_results_are_self_reported_and_count_attempts_and_failures() -> None:
    story = Story()
    story.fail_attempt(failure("AError: no"))
    text = run_facts(trial(story).state, SPEC, (), None, {})
    assert "seed 1, attempt 2." in text and "Results are self-reported." in text
    assert text.endswith("Failed before: AError: no\n")
    assert "Verdict" not in text and "Settings" not in text and "baseline" not in text


def test_facts_of_a_control_say_that_the_idea_was_not_implemented() -> None:
    control = "control: hyper-parameter sweep; the idea was not implemented"
    assert control in run_facts(trial(Story(control=control)).state, SPEC, (), None, {})
    assert "control" not in run_facts(trial(Story()).state, SPEC, (), None, {})


def test_where_no_metric_is_declared_every_number_is_told() -> None:
    lines = run_facts(trial(Story()).state, TemplateSpec(name="t"), (), None, {}).splitlines()
    assert [line for line in lines if line.startswith("- ")] == ["- loss = 0.1", "- score = 0.9", "- tokens = 1000"]


def test_one_seed_has_no_spread() -> None:
    single = [Baseline("plain", 0, {"score": 0.4})]
    assert "(baseline plain: 0.4, 1 seed)" in run_facts(trial(Story()).state, SPEC, single, None, {})


def test_along_a_frontier_each_metric_is_told_with_the_baseline_at_the_runs_own_place() -> None:
    score, loss = METRICS
    metrics = (score.model_copy(update={"direction": "higher"}), loss, Metric(name="tokens", path=("tokens",)))
    spec = TemplateSpec(name="t", frontier="tokens", metrics=metrics)
    rows = [
        Baseline("plain", seed, {"score": mean + seed / 10, "loss": 1.0, "tokens": tokens}, str(tokens))
        for mean, tokens in ((0.3, 500.0), (0.5, 2000.0))
        for seed in (0, 1)
    ]
    lines = run_facts(trial(Story()).state, spec, rows, None, {}).splitlines()
    assert "- score = 0.9 (baseline plain at tokens 1e+03: 0.45, band 0.1098 to 0.7902)" in lines
    assert "- loss = 0.1" in lines and "- tokens = 1000" in lines


def test_results_that_the_evaluator_could_not_verify_say_why() -> None:
    story = trial(Story(verified=True))
    assert story.state.attempt.candidate
    candidate = replace(
        story.state.attempt.candidate,
        measured=Measured(story.state.attempt.candidate.measured.values, "its decoder is not linear"),
    )
    text = run_facts(try_code(story.state, candidate), SPEC, (), None, {})
    assert "Results are self-reported: its decoder is not linear." in text


def test_a_run_given_up_tells_each_failure_once_with_its_count() -> None:
    story = Story(Limits(attempts=3))
    for name in ("AError: no", "BError: no", "AError: no"):
        story.fail_attempt(failure(name))
    assert failure_facts(story.state) == (
        "## Run 1: given up\n\nFailed attempts: 3.\n\n- AError: no (2 times)\n- BError: no\n"
    )


def test_all_that_was_tried_is_summed_up_run_by_run() -> None:
    story = Story(Limits(attempts=2))
    assert summarise_attempts(story.state) == ""
    story.complete_run()
    story.give_up_run()
    story.fail_attempt(failure("CError: no"))
    assert summarise_attempts(story.state).splitlines() == [
        "run 1 (completed): Run 1: edit c1",
        "run 2 (given up): Error0: no; Error1: no",
        "run 3: CError: no",
    ]


def test_a_review_is_kept_with_its_reason_and_suggestions() -> None:
    review = Reviewed(run=2, judgement="revise", reason="f1 fell.", suggestions=("stop", "try x"), version=3)
    assert review_facts(review, revised=True) == (
        "## Review after run 2: revise\n\nf1 fell.\n\n- stop\n- try x\n\n"
        "The idea was revised: idea.json is version 3.\n"
    )
    assert review_facts(Reviewed(run=2, judgement="refuted", reason="No."), revised=False) == (
        "## Review after run 2: refuted\n\nNo.\n"
    )
