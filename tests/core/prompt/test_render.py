"""Requests in words: every purpose, fences, bounded rows, and bytes that stay the same from the front."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from agent.core.edit.apply import apply_reply, name_edits
from agent.core.evidence.baseline import Baseline, BaselineRow
from agent.core.evidence.verdict import Verdict, VerdictKind
from agent.core.failure.diagnose import Failure, FailureKind, Location
from agent.core.inputs.brief import Brief
from agent.core.inputs.idea import Idea
from agent.core.inputs.refs import Reference
from agent.core.inputs.spec import Control, Metric, TemplateSpec
from agent.core.journal.budget import Limits
from agent.core.journal.kinds import Intent, Measured, PlanItem, Purpose
from agent.core.journal.state import RunRow
from agent.core.prompt.render import (
    _fill,
    fenced,
    frontier_curves,
    metric_names,
    number,
    render_no_change,
    render_opening,
    render_refusal,
    render_repair,
    row_line,
)
from agent.core.prompt.view import RowView, Study, TurnTexts, TurnView, view_turn
from agent.core.reply.expectation import Comparison, read_comparison
from agent.core.reply.misses import Miss
from agent.core.reply.outcome import Refusal
from agent.core.reply.plan import parse_reply
from agent.core.reply.review import Review, read_review
from tests.core.edit.formats.reading import find_blocks
from tests.core.journal_by_hand import PLAN, Story, failure
from tests.examples import examples
from tests.fakes import block

METRICS = tuple(
    Metric(name=name, path=(name,), direction="higher", resolution=0.01, reading=f"What {name} says. " * 4)
    for name in ("score", "explained_variance", "dead_fraction", "mcc", "uniqueness", "l0")
)
SPEC = TemplateSpec(name="t", metrics=METRICS)
BARE = TemplateSpec(name="t")
IDEA = Idea(Name="momentum", Title="Momentum helps", Experiment="Add momentum.\nMeasure.", Abstract="Why not. " * 60)
BASELINES = [Baseline("plain", seed, {metric.name: 0.5 + seed / 100 for metric in METRICS}) for seed in range(5)]
FILES = {
    "experiment.py": "".join(f"def step_{n}(x, rate=0.{n}):\n    return x * rate + {n}\n\n\n" for n in range(110)),
    "plot.py": 'TITLE = """```"""\n',
    "notes.txt": "Words.\n",
}
LONG_PLAN = tuple(
    PlanItem(n, f"Study {n}: " + "raise the rate and expect a higher score by 0.05. " * 3) for n in range(1, 11)
)


def view(story: Story, purpose: Purpose, *, spec: TemplateSpec = SPEC, **rest: str) -> TurnView:
    study = Study(spec, IDEA, "The field in brief. " * 100, BASELINES if spec is SPEC else [])
    return view_turn(story.state, study, purpose, FILES, TurnTexts(**rest))


def said(story: Story, purpose: Purpose, **rest: object) -> str:
    system, user = render_opening(view(story, purpose, **rest))  # type: ignore[arg-type]
    assert (system.role, user.role) == ("system", "user")
    return user.content


def now(story: Story, purpose: Purpose, **rest: object) -> str:
    """What the turn itself is about, below what all turns share."""
    return said(story, purpose, **rest).rpartition("# Now\n\n")[2]


def stories() -> dict[str, Story]:
    completed, given_up, failed, repeated, restored, edits = (Story(Limits(attempts=6)) for _ in range(6))
    completed.complete_run(0.9, plan=PLAN, item=1)
    given_up.give_up_run()
    failed.complete_run()
    failed.fail_attempt()
    for _ in range(2):
        repeated.fail_attempt()
    for _ in range(3):
        restored.fail_attempt()
    restored.restore(gives_up=False)
    for _ in range(4):
        edits.refuse()
    return {
        "fresh": Story(),
        "completed": completed,
        "given up": given_up,
        "failed": failed,
        "repeated": repeated,
        "restored": restored,
        "edits": edits,
    }


STORIES = stories()
AFTER_RUNS = (Purpose.NEXT, Purpose.REVIEW, Purpose.REFLECT)


@pytest.mark.parametrize("spec", [SPEC, BARE], ids=["declared", "bare"])
@pytest.mark.parametrize(
    ("name", "purpose"),
    [
        (name, purpose)
        for name, story in STORIES.items()
        for purpose in Purpose
        if (purpose is not Purpose.FIX or story.state.run.failures) and (purpose not in AFTER_RUNS or story.state.rows)
    ],
)
def test_every_purpose_is_put_into_words(name: str, purpose: Purpose, spec: TemplateSpec) -> None:
    story = STORIES[name]
    for text in (said(story, purpose, spec=spec), render_repair(view(story, purpose, spec=spec, feedback="Not so."))):
        assert text == text.strip() and "None" not in text and "Undefined" not in text
        assert "{{" not in text and "{%" not in text


def test_a_name_that_a_template_does_not_know_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        _fill("repair.j2")


def test_a_value_that_looks_like_a_template_is_left_as_it_is() -> None:
    story = Story()
    files = {"experiment.py": "X = '{{ view.idea }}{% if %}'\n"}
    shown = replace(view(story, Purpose.PLAN), files=files, brief=Brief("<b>{{ 1 + 1 }}</b>"))
    text = render_opening(shown)[1].content
    assert "X = '{{ view.idea }}{% if %}'" in text and "<b>{{ 1 + 1 }}</b>" in text


# What each turn says


def test_the_first_turn_asks_for_a_plan_and_an_edit() -> None:
    assert now(STORIES["fresh"], Purpose.PLAN).startswith("You have up to 10 runs")


def test_the_next_turn_tells_results_with_their_verdict() -> None:
    text = now(STORIES["completed"], Purpose.NEXT)
    assert (
        "Run 1 completed: Raise the learning rate." in text and "Verdict: better." in text and "- score = 0.9" in text
    )
    assert "Now run 2 of at most 10" in text
    assert "- score = 0.9" in now(STORIES["completed"], Purpose.NEXT, spec=BARE)


@pytest.mark.parametrize("purpose", [Purpose.NEXT, Purpose.FIX, Purpose.NOTES])
def test_the_next_turn_tells_what_was_left_out_of_the_notes(purpose: Purpose) -> None:
    story = Story()
    story.complete_run()
    story.fail_attempt()
    assert "notes.txt was left out" not in said(story, purpose)
    story.state = replace(story.state, notes_left_out="SEARCH not found")
    assert "change in notes.txt was left out (SEARCH not found)" in said(story, purpose)


def test_the_turn_after_a_run_given_up_asks_for_a_new_plan() -> None:
    text = now(STORIES["given up"], Purpose.NEXT)
    assert "Run 1 was given up after 6 failed attempts" in text and "The last failure: Error5: no" in text
    assert "Revise the PLAN:" in text


def test_a_first_failure_shows_the_failed_edit_and_says_that_the_files_hold_it() -> None:
    text = now(STORIES["failed"], Purpose.FIX, failed_diff="-a\n+b")
    assert "Attempt 1 of run 2 failed: ValueError: shapes differ" in text and "```diff\n-a\n+b\n```" in text
    assert "The files above already contain the failed edit." in text
    assert "This is attempt 2 of 6." in text


def test_the_same_failure_again_asks_for_the_whole_function() -> None:
    text = now(STORIES["repeated"], Purpose.FIX)
    assert "rewrite the whole function:" in text and "already contain" not in text
    inside = replace(failure(), location=Location("experiment.py", 7, "train"))
    outside = replace(failure(), location=Location("experiment.py", 7, "<module>"))
    for place, asked in [(inside, "rewrite the whole function train:"), (outside, "rewrite the whole function:")]:
        story = Story()
        story.fail_attempt(place)
        story.fail_attempt(place)
        assert asked in now(story, Purpose.FIX)


def test_after_a_restore_another_way_is_asked_for_and_the_failed_code_is_not_shown() -> None:
    text = now(STORIES["restored"], Purpose.FIX)
    assert "struck 3 times" in text and "the files above are the last good code" in text
    assert "already contain" not in text and "diff" not in text.splitlines()


def test_files_are_not_said_to_hold_an_edit_that_never_applied() -> None:
    text = now(STORIES["edits"], Purpose.FIX)
    assert "already contain" not in text and "the files above do not contain it." in text


def test_a_crash_is_not_forgotten_when_the_replies_after_it_could_not_be_used() -> None:
    story = Story()
    story.fail_attempt(failure("IndexError: 7"))
    while story.state.run.attempts_spent < 2:
        story.refuse("experiment.py: SEARCH not found")
    text = now(story, Purpose.FIX)
    assert "failed: experiment.py: SEARCH not found" in text
    assert "still to be mended: IndexError: 7\n\n```\nand where\n```" in text
    assert "Send the edit that mends the failure of the code." in text


def test_the_plot_turn_shows_why_the_last_figure_failed() -> None:
    story = Story(Limits(max_runs=1))
    story.complete_run()
    assert "The last version failed" not in now(story, Purpose.PLOT)
    story.apply(Intent.PLOT)
    story.run_step(failed=failure("KeyError: loss"))
    assert "The last version failed: KeyError: loss" in now(story, Purpose.PLOT)


def test_a_repair_asks_for_blocks_and_the_last_for_whole_functions() -> None:
    repair = render_repair(view(Story(), Purpose.REPAIR, feedback="SEARCH not found"))
    whole = render_repair(view(Story(), Purpose.WHOLE, feedback="SEARCH not found"))
    assert repair.startswith("SEARCH not found") and whole.startswith("SEARCH not found")
    assert "Send only the blocks that failed" in repair
    assert f"Do not send {name_edits(several=True)} this time" in whole and "only the blocks" not in whole


# Refusals


def test_a_refusal_shows_the_block_the_real_lines_and_the_staged_file() -> None:
    files = {"experiment.py": "LR = 0.1\nBETA = 0.9\n"}
    good, bad = block("experiment.py", "LR = 0.1\n", "LR = 0.2\n"), block("experiment.py", "BETA = 1\n", "BETA = 2\n")
    result = apply_reply(files, good + bad, editable=["experiment.py"])
    refusal = Refusal("experiment.py: SEARCH not found", tuple(result.rejected), 1, result.staged)
    text = render_refusal(refusal, files)
    assert "## experiment.py: SEARCH not found (block at line 11 of your reply)" in text
    assert "```\nBETA = 1\n```" in text and "1 other block was good and need not be sent again." in text
    assert "experiment.py with the good blocks applied:\n```python\nLR = 0.2\nBETA = 0.9\n```" in text
    assert result.rejected[0].hint in text


def test_a_staged_file_is_not_shown_where_no_good_block_changed_it() -> None:
    files = {"experiment.py": "LR = 0.1\n"}
    result = apply_reply(files, block("experiment.py", "BETA = 1\n", "BETA = 2\n"), editable=["experiment.py"])
    text = render_refusal(Refusal("s", tuple(result.rejected), 0, result.staged), files)
    assert "with the good blocks applied" not in text and "other block" not in text


def test_a_refusal_without_bad_blocks_says_that_nothing_was_run_and_what_is_kept() -> None:
    text = render_refusal(Refusal("the reply changes nothing", staged={"notes.txt": "More.\n"}), {})
    assert text == ("The reply changes nothing.\nYour edits to notes.txt are kept and need not be sent again.")
    assert render_refusal(Refusal("no block"), {}) == "No block."


# Fences


@given(st.text(alphabet="`~a\n ", max_size=40))
@example("```")
@example("a\n`````\nb")
@examples(60)
def test_a_fence_is_longer_than_any_backticks_within_it(text: str) -> None:
    first, *body, last = fenced(text, "python").split("\n")
    assert first == last + "python" and set(last) == {"`"} and len(last) >= 3
    assert "\n".join(body) == text.rstrip()
    assert last not in "\n".join(body)


def test_files_failures_and_blocks_with_fences_of_their_own_are_fenced_around() -> None:
    assert '````python\nTITLE = """```"""\n````' in said(at_plot(), Purpose.PLOT)
    odd = Failure(FailureKind.EXCEPTION, "E", "````\nfour", None, "f")
    story = Story()
    story.fail_attempt(odd)
    assert "`````\n````\nfour\n`````" in now(story, Purpose.FIX)


def at_plot() -> Story:
    story = Story(Limits(max_runs=1))
    story.complete_run()
    return story


# Size and stability


def study(runs: int, plan: tuple[PlanItem, ...] | None = LONG_PLAN) -> Story:
    """Before run `runs`: every fourth run was given up, all others completed."""
    story = Story(Limits(attempts=1))
    for run in range(1, runs):
        if run % 4 == 0:
            story.give_up_run()
        else:
            story.apply(plan=plan if run == 1 else None, item=run if plan else None)
            story.finish_run({metric.name: 0.5 + run / 50 for metric in METRICS})
    return story


STUDIES = {runs: study(runs) for runs in (1, 2, 6, 10)}


@pytest.mark.parametrize("plan", [LONG_PLAN, None], ids=["with a plan", "without"])
def test_the_prompt_of_run_ten_is_at_most_a_fifth_longer_than_that_of_run_two(
    plan: tuple[PlanItem, ...] | None,
) -> None:
    told = {runs: study(runs, plan) for runs in (2, 6, 10)}
    sizes = {runs: sum(len(m.content) for m in render_opening(view(told[runs], Purpose.NEXT))) for runs in told}
    assert len(told[10].state.rows) == 9
    assert sizes[6] <= 1.2 * sizes[2] and sizes[10] <= 1.2 * sizes[2], sizes


def test_the_system_text_and_what_the_idea_keeps_are_the_same_bytes_at_every_run() -> None:
    openings = [
        render_opening(view(story, Purpose.PLAN if runs == 1 else Purpose.NEXT)) for runs, story in STUDIES.items()
    ]
    failing = Story()
    failing.fail_attempt()
    openings.append(render_opening(view(failing, Purpose.FIX, failed_diff="-a\n+b")))
    assert len({system.content for system, _ in openings}) == 1
    shared = openings[0][1].content.partition("# Metrics")[0]
    assert all(user.content.startswith(shared) for _, user in openings)
    assert all(word in shared for word in ("# Task", "# Idea", "# Baseline", "plain, 5 seeds: score=0.52"))
    later = openings[1][1].content.partition("# Plan so far")[0]
    assert "# Metrics" in later and all(user.content.startswith(later) for _, user in openings[1:])


def frontier_view() -> TurnView:
    """Twenty points of six metrics, as wide as real ones."""
    metrics = [m.model_copy(update={"direction": "unknown"}) if m.name == "l0" else m for m in METRICS]
    controls = (Control(name="tokens", path=("tokens",)), Control(name="l0", path=("l0",)))
    spec = SPEC.model_copy(update={"frontier": "l0", "metrics": tuple(metrics), "controls": controls})
    rows = [
        Baseline(name, seed, {m.name: (n + 0.5671) / 8.1 + seed / 1000 for m in METRICS}, setting)
        for name in ("topk", "batchtopk", "jumprelu", "standard")
        for n, setting in enumerate(("3", "4", "6", "0.0123", "0.0246"))
        for seed in (1001, 1002, 1003)
    ]
    return view_turn(Story().state, Study(spec, IDEA, baselines=rows), Purpose.PLAN, FILES)


def test_a_frontier_shows_the_axis_the_primary_metric_and_says_how_verdicts_are_made() -> None:
    text = render_opening(frontier_view())[1].content
    assert "Each setting=score±sd@l0, 3 seeds each\ntopk: 3=1.0720±0.001@1.07, 4=1.1955±0.001@1.2, 6=" in text
    assert sum(line.startswith(("topk: ", "batchtopk: ", "jumprelu: ", "standard: ")) for line in text.split("\n")) == 4
    assert "the best baseline at the run's own l0, interpolated over log l0" in text
    assert "a run outside l0 1.018 to " in text and "It needs the baselines' tokens." in text


def row(**changes: object) -> RowView:
    verdict = Verdict(VerdictKind.NOT_COMPARABLE, 0.5, None, None, "tokens differ")
    values = {metric.name: 1 / 3 for metric in METRICS}
    plain = RunRow(10, True, "Run 10: Widen the net", "c1", 1, Measured(values))
    return RowView(replace(plain, **changes), verdict)  # type: ignore[arg-type]


@given(subject=st.text(max_size=400), failures=st.lists(st.text(max_size=400), max_size=5), completed=st.booleans())
@examples(30)
def test_a_row_is_one_line_of_bounded_length(subject: str, failures: list[str], completed: bool) -> None:
    line = row_line(
        row(subject=subject, failures=tuple(failures), completed=completed), view(STORIES["fresh"], Purpose.NEXT)
    )
    assert len(line) <= 220 and len(line.splitlines()) == 1
    assert line.startswith("run 10 | ")


def test_a_row_shows_the_primary_metric_first_and_few_others() -> None:
    metrics = (METRICS[1], METRICS[0].model_copy(update={"primary": True}), *METRICS[2:])
    shown = view(STORIES["fresh"], Purpose.NEXT)
    shown = replace(shown, spec=SPEC.model_copy(update={"metrics": metrics}), primary=metrics[1])
    line = row_line(row(), shown)
    assert line == (
        "run 10 | score=0.3333 explained_variance=0.3333 dead_fraction=0.3333 mcc=0.3333 (not comparable) | "
        "Widen the net"
    )


def test_along_a_frontier_a_row_shows_the_place_on_the_axis_after_the_primary_metric() -> None:
    assert row_line(row(), frontier_view()).startswith("run 10 | score=0.3333 l0=0.3333 explained_variance=0.3333")


def test_a_row_says_that_its_numbers_are_self_reported() -> None:
    line = row_line(
        row(measured=Measured(row().row.values, "its decoder is not linear")), view(STORIES["fresh"], Purpose.NEXT)
    )
    assert "(not comparable, self-reported) | Widen the net" in line


def test_many_numbers_of_an_undeclared_kind_do_not_lengthen_a_row() -> None:
    values = {f"means_{n}": float(n) for n in range(1000)}
    bare = view(STORIES["completed"], Purpose.NEXT, spec=BARE)
    assert len(row_line(replace(row(measured=Measured(values)), verdict=None), bare)) < 150


def test_a_row_given_up_tells_its_last_failure() -> None:
    gave_up = row(completed=False, failures=("AError: no", "BError: no"))
    assert row_line(gave_up, view(STORIES["fresh"], Purpose.NEXT)) == "run 10 | given up | BError: no | Widen the net"
    item = PlanItem(1, "Deepen it\n  Expected: mcc > 1", "", "mcc > 1")
    untried = replace(gave_up, row=replace(gave_up.row, subject="", item=item))
    assert row_line(untried, view(STORIES["fresh"], Purpose.NEXT)) == "run 10 | given up | BError: no | Deepen it"


def test_plan_items_that_are_over_are_told_by_their_runs_and_open_ones_are_whole() -> None:
    text = said(STUDIES[6], Purpose.NEXT)
    assert f"10. {LONG_PLAN[9].text.strip()}" in text and LONG_PLAN[0].text.strip() not in text
    assert "\n1, 2, 3, 4, 5: [over] as the runs below tell\n6. Study 6: raise" in text
    assert f"1. [over] {LONG_PLAN[0].text}" in said(STUDIES[6], Purpose.NOTES)


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "-"), (0.123456, "0.1235"), (1e-9, "1e-09"), (1000.0, "1000"), (0.0, "0")]
)
def test_numbers_have_four_digits(value: float | None, shown: str) -> None:
    assert number(value) == shown


# Expected against measured


EXPECTING = (
    PlanItem(1, "Raise the rate\n   Expected: score +0.1", "", "score +0.1", "below 0.5"),
    PlanItem(2, "Add momentum\n   Hypothesis: it helps\n   Expected: mcc > 0.6", "it helps", "mcc > 0.6", ""),
    PlanItem(3, "Stop\n   Hypothesis: it is enough\n   Expected: mcc > 0.7", "it is enough", "mcc > 0.7", ""),
)


def expecting(score: float) -> Story:
    story = Story(reviewer_model="r/m")
    story.complete_run(score, plan=EXPECTING, item=1)
    return story


def test_feedback_opens_with_what_was_expected_against_what_was_measured() -> None:
    text = now(expecting(0.7), Purpose.NEXT)
    assert text.startswith(
        "Run 1 completed: Raise the rate.\n"
        "Expected: score +0.1. Measured: score = 0.7 against >= 0.62 (the baseline +0.1): met, by 0.08.\n"
        "Refuted if: below 0.5. That did not happen.\nVerdict: better."
    )
    missed = now(expecting(0.4), Purpose.NEXT)
    assert "not met, by 0.22." in missed and "Refuted if: below 0.5. That happened." in missed


def test_a_run_without_an_expectation_is_told_so_and_asked_for_one() -> None:
    text = now(STORIES["completed"], Purpose.NEXT)
    assert "(no expectation was stated) Give the next item Expected: and Refuted if:." in text


def test_an_expectation_that_holds_no_comparison_is_shown_in_its_words() -> None:
    story = Story()
    story.complete_run(plan=(PlanItem(1, "x", "", "cleaner features", ""),), item=1)
    assert "Expected: cleaner features.\nVerdict:" in now(story, Purpose.NEXT)


def test_the_item_that_is_due_is_whole_and_later_ones_say_what_they_expect() -> None:
    text = said(expecting(0.7), Purpose.NEXT)
    assert "2. Add momentum\n   Hypothesis: it helps\n   Expected: mcc > 0.6\n3. Stop. Expected: mcc > 0.7\n" in text


def test_the_form_of_a_reply_is_told_once_with_an_example_that_can_be_read() -> None:
    for story, blocks in ((Story(), 1), (Story(editor_model="e/m"), 0)):
        system, user = render_opening(view(story, Purpose.PLAN))
        assert "Refuted if:" not in user.content and user.content.count("SEARCH/REPLACE") == 0
        example = parse_reply(system.content.rpartition("A reply, for example:")[2]).plan
        assert example and (example.items[0].expected, example.items[0].refuted_if) == (
            "score +0.02",
            "score +0.005 or less",
        )
        assert len(find_blocks(system.content)) == blocks
        assert read_comparison(example.items[0].refuted_if, ["score"]) == Comparison("score", "<=", 0.005, True)


def test_a_plan_without_an_open_item_asks_for_one_and_a_study_without_a_plan_for_a_plan() -> None:
    story = Story()
    story.complete_run(plan=PLAN[:1], item=1)
    text = now(story, Purpose.NEXT)
    assert "send a PLAN: that goes on, since no item is left, with the edit for its first item, REPLICATE, or" in text
    assert "next item of the plan" not in text and "revised PLAN:" not in text
    unplanned = Story()
    unplanned.complete_run()
    assert "send a PLAN: with the edit for its first item, REPLICATE, or" in now(unplanned, Purpose.NEXT)
    assert "send the edit for the next item of the plan, REPLICATE" in now(STORIES["completed"], Purpose.NEXT)


# The brief and the metrics' readings


FIELD = "# Task\n\nThe rules.\n\n# Field brief\n\nWhat others found.\n\n# Data\n\nThe data."


def told_of(story: Story, purpose: Purpose) -> str:
    seen = view_turn(story.state, Study(SPEC, IDEA, FIELD, BASELINES), purpose, FILES)
    return render_opening(seen)[1].content


def test_the_background_and_the_readings_are_shown_where_a_plan_is_made() -> None:
    spent, revised = Story(), expecting(0.7)
    spent.complete_run(plan=PLAN[:1], item=1)
    revised.review("revise", commit="r1", version=2)
    stories = [(STORIES["fresh"], Purpose.PLAN), (STORIES["given up"], Purpose.NEXT), (spent, Purpose.NEXT)]
    for story, purpose in [*stories, (revised, Purpose.NEXT)]:
        text = told_of(story, purpose)
        assert text.count("# Task") == 1 and "The rules.\n\n# Data\n\nThe data." in text
        assert "# Field brief\n\nWhat others found." in text and "What score says." in text


def test_where_the_plan_goes_on_metrics_are_names_and_the_background_a_pointer() -> None:
    for story, purpose in ((STORIES["completed"], Purpose.NEXT), (STORIES["failed"], Purpose.FIX)):
        text = told_of(story, purpose)
        assert "The rules.\n\n# Data\n\nThe data." in text and "What others found." not in text
        assert "(Field brief: shown where a plan is to be made)" in text
        assert "# Metrics\n\nhigher is better: score, explained_variance, " in text
        assert "score: What score says." in text and "What mcc says." not in text


def test_the_reviewer_sees_the_task_and_the_readings_but_no_background() -> None:
    text = told_of(expecting(0.7), Purpose.REVIEW)
    assert "The rules." in text and "What score says." in text and "others found" not in text


def test_metrics_in_short_keep_direction_target_and_unit() -> None:
    metrics = [
        Metric(name="f1", path=("f1",), direction="higher", target=0.8, primary=True),
        Metric(name="s", path=("s",), direction="lower", unit="s"),
        Metric(name="l0", path=("l0",)),
    ]
    assert metric_names(metrics) == [
        "higher is better: f1 (primary, good: 0.8)",
        "lower is better: s (s)",
        "no direction: l0",
    ]


def test_a_baselines_value_has_the_digits_that_its_spread_leaves() -> None:
    rows = [
        BaselineRow("topk", 3, {"ce": 0.998765, "l0": 20.04}, {"ce": 0.00021}, "20"),
        BaselineRow("topk", 1, {"ce": 0.5, "l0": 40.0}, {"ce": None}, "40"),
        BaselineRow("topk", 3, {"l0": 80.0}, {}, "80"),
    ]
    lines = frontier_curves(rows, Metric(name="ce", path=("ce",)), "l0")
    assert lines[0] == "Each setting=ce±sd@l0, 1 to 3 seeds each"
    assert lines[1] == "topk: 20=0.99877±0.0002@20, 40=0.5@40, 80=-@80"


def test_the_example_of_a_plan_speaks_of_the_primary_metric_in_its_direction() -> None:
    for direction, expected, refuted in (
        ("higher", Comparison("f1", ">=", 0.02, True), Comparison("f1", "<=", 0.005, True)),
        ("lower", Comparison("f1", "<=", -0.02, True), Comparison("f1", ">=", -0.005, True)),
    ):
        metric = Metric(name="f1", path=("f1",), direction=direction)  # type: ignore[arg-type]
        system = render_opening(view(Story(), Purpose.PLAN, spec=SPEC.model_copy(update={"metrics": (metric,)})))[0]
        example = parse_reply(system.content.rpartition("A reply, for example:")[2]).plan
        assert example and read_comparison(example.items[0].expected, ["f1"]) == expected
        assert read_comparison(example.items[0].refuted_if, ["f1"]) == refuted


def test_the_form_of_a_closing_edit_is_shown_with_a_file_that_may_be_edited() -> None:
    assert "\nplot.py\n```\n<<<<<<< SEARCH" in render_opening(view(at_plot(), Purpose.PLOT))[0].content


# The editor


def test_a_planner_with_an_editor_is_asked_for_prose_and_never_for_blocks() -> None:
    story = Story(editor_model="e/m")
    texts = [m.content for m in render_opening(view(story, Purpose.PLAN))]
    story.complete_run()
    texts += [m.content for m in render_opening(view(story, Purpose.NEXT))]
    for spent in range(3):
        story.fail_attempt()
        texts += [m.content for m in render_opening(view(story, Purpose.FIX))]
        texts += [
            render_repair(view(story, purpose, feedback=f"{spent}")) for purpose in (Purpose.REPAIR, Purpose.WHOLE)
        ]
    assert "an editor who sees the present files" in texts[0]
    assert not any("SEARCH" in text or "fenced" in text for text in texts)
    assert texts[0] == texts[2] == texts[4], "the system text is the same bytes at every run"


def test_the_editor_sees_files_instruction_and_the_failure_and_little_else() -> None:
    story = Story(editor_model="e/m")
    story.fail_attempt()
    system, user = render_opening(view(story, Purpose.EDIT, instruction="Set X to 2."))
    assert "SEARCH/REPLACE" in system.content and "experiment.py, plot.py, notes.txt" in system.content
    assert "# Instruction\n\nSet X to 2." in user.content
    mend = "The files above already hold the edit that failed: ValueError: shapes differ\n\n```\nand where\n```"
    assert f"# The failure that it is to mend\n\n{mend}" in user.content
    assert "Add momentum" not in user.content and "plain" not in user.content
    assert len(system.content) < 1200


def test_the_planner_is_told_why_its_plan_led_to_no_change() -> None:
    told = render_no_change("experiment.py: SEARCH not found", "There is no such function.")
    assert told == (
        "Your plan led to no change, because the editor's reply could not be used: experiment.py: SEARCH not found.\n\n"
        "The editor's last words:\n```\nThere is no such function.\n```"
    )
    assert "last words" not in render_no_change("no block", " ")


# The reviewer


def test_a_review_is_asked_for_with_results_and_without_code() -> None:
    system, user = render_opening(view(expecting(0.7), Purpose.REVIEW))
    assert isinstance(read_review(system.content.partition("nothing else:")[2].partition("JUDGEMENT is")[0]), Review)
    for words in (
        "# Idea",
        "Verdict: better",
        "plain, 5 seeds",
        "# Runs so far",
        "Expected: score +0.1",
        "# The end of",
    ):
        assert words in user.content
    assert "def step_1" not in user.content and "Words." in user.content


def test_the_review_of_the_last_run_says_that_no_run_is_left() -> None:
    story = Story(Limits(max_runs=1), reviewer_model="r/m")
    story.complete_run()
    assert "No run is left" in now(story, Purpose.REVIEW) and "comes next" not in now(story, Purpose.REVIEW)
    assert "Run 2 of at most 10 comes next" in now(expecting(0.7), Purpose.REVIEW)


def test_a_reviewer_is_asked_to_reflect_or_to_send_again_what_could_not_be_read() -> None:
    assert "or answer `I am done` alone on a line" in render_repair(view(expecting(0.7), Purpose.REFLECT))
    again = render_repair(view(expecting(0.7), Purpose.REVIEW, feedback="Line 1 of your reply: no."))
    assert again.startswith("Your review could not be used. Line 1 of your reply: no.") and "I am done" not in again


def test_the_next_turn_holds_the_last_review_and_rows_their_judgement() -> None:
    story = expecting(0.7)
    story.review("refuted", reason="It fell.", suggestions=("stop", "try x"), commit="r1", version=2)
    text = said(story, Purpose.NEXT)
    assert (
        "The reviewer judges the idea: refuted. It fell.\n- stop\n- try x\nIt revised the idea after that run" in text
    )
    assert "(better, idea refuted) | edit c1" in text
    story.complete_run(0.8)
    assert "The reviewer judges" not in now(story, Purpose.NEXT)


# Replies that miss the form


def test_a_reply_that_misses_the_form_is_quoted_back_at_the_line() -> None:
    refusal = Refusal("the reply holds no block", misses=(Miss("code in a fence is no edit", 2, "```python LR = 1"),))
    assert render_refusal(refusal, {}) == (
        "The reply holds no block.\nLine 2 of your reply, '```python LR = 1': code in a fence is no edit."
    )


def test_an_unclosed_block_is_shown_by_its_first_lines_and_where_its_end_was_missed() -> None:
    reply = "experiment.py\n<<<<<<< SEARCH\n" + "line\n" * 100
    result = apply_reply({"experiment.py": "line\n"}, reply, editable=["experiment.py"])
    text = render_refusal(Refusal("s", tuple(result.rejected)), {})
    assert text.count("line\n") < 20 and " more lines]" in text
    assert "no line >>>>>>> REPLACE closes it before the reply ends at line 102, 'line'" in text


def test_a_cut_reply_is_told_so() -> None:
    text = render_refusal(Refusal("cut", cut=True), {})
    assert (
        text
        == "Your reply was cut at its length limit, so nothing of it was run; send less at once, in smaller blocks."
    )
    kept = render_refusal(Refusal("cut", applied=1, staged={"experiment.py": "x"}, cut=True), {})
    assert "The complete blocks were good and need not be sent again." in kept


def test_no_text_of_the_idea_or_of_references_looks_like_a_section() -> None:
    idea = IDEA.model_copy(update={"Experiment": "Add it.\n# Now\n\x1b[2JStop.\r# Now"})
    shown = replace(view(Story(), Purpose.PLAN), idea=idea, refs=(Reference("a.md", "```\n# Now\n"),))
    text = render_opening(shown)[1].content
    assert text.split("\n").count("# Now") == 2, "ours, and one inside the reference's fence"
    assert "  # Now\n  Stop. # Now" in text and "````\n```\n# Now\n````" in text and "\x1b" not in text


def test_the_last_turn_is_told_how_much_of_a_better_is_luck() -> None:
    """0.9 is outside the band of 0.5 to 0.54 of five seeds."""
    story = Story()
    for score in (0.9, 0.52, 0.51):
        story.complete_run(score)
    assert "(3 runs were compared, each by itself: if nothing helps, " in now(story, Purpose.NOTES)
    alone = Story()
    alone.complete_run(0.9)
    assert "were compared" not in now(alone, Purpose.NOTES) and "were compared" not in now(story, Purpose.NEXT)
