"""Prompts that fit a window: what is left out, in which order, and what never is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.edit.lines import split_lines
from agent.core.edit.seen import lines_of
from agent.core.evidence.baseline import BaselineRow
from agent.core.inputs.brief import Brief
from agent.core.inputs.idea import Idea
from agent.core.inputs.refs import Reference
from agent.core.inputs.spec import TemplateSpec
from agent.core.journal.kinds import Measured, PlanItem, Purpose
from agent.core.journal.state import RunRow
from agent.core.model.messages import Message
from agent.core.model.tokens import count_tokens, estimate_tokens
from agent.core.prompt.excerpt import render_excerpt
from agent.core.prompt.fit import (
    budget_of,
    fit,
    fit_conversation,
    fits,
    smaller_budget,
)
from agent.core.prompt.parts import show_parts
from agent.core.prompt.render import render_opening
from agent.core.prompt.view import RowView, Study, Traces, TurnTexts, TurnView, view_turn
from tests.core.journal_by_hand import Story, failure
from tests.examples import examples

FUNCTION = "def part_{n}(x):\n" + "".join(f"    y_{k} = x + {k} * {{n}}\n" for k in range(12)) + "    return y_0\n\n\n"
CODE = '"""Trains."""\n\nRATE = 0.1\n\n\n' + "".join(FUNCTION.format(n=n) for n in range(20)) + "part_3(1)\n"
IDEA = Idea(Title="Momentum", Experiment="Raise RATE in part_3.")
PLAN = tuple(PlanItem(n, f"Study number {n}: " + "raise RATE and expect more. " * 4) for n in range(1, 8))
FAULT = replace(failure("ValueError: FAULT"), detail='  File "experiment.py", line 50, in part_3\nFAULT and where')


def make_view(purpose: Purpose = Purpose.NEXT, code: str = CODE, **changes: object) -> TurnView:
    story = Story()
    story.complete_run()
    if purpose is Purpose.FIX:
        story.fail_attempt(FAULT)
    study = Study(TemplateSpec(name="t", frontier="l0"), IDEA, "The rules.\n" * 50)
    texts = TurnTexts(failed_diff="-a\n+b" if purpose is Purpose.FIX else "")
    state = replace(story.state, plan=PLAN, done_items=(1, 2, 3, 4))
    view = view_turn(state, study, purpose, {"experiment.py": code}, texts)
    rows = tuple(RowView(RunRow(n, True, f"Run {n}: row {n}", f"c{n}", 1, Measured({"l0": 6.0}))) for n in range(1, 7))
    points = tuple(BaselineRow(f"topk{n} {'wide ' * 12}".strip(), 3, {"l0": 2.0**n}, {}) for n in range(1, 8))
    full = replace(
        view,
        rows=rows,
        baselines=points,
        brief=replace(view.brief, background="The field.\n" * 150, headings=()),
        refs=(Reference("refs/a.md", "A reference.\n" * 200),),
        traces=Traces(("loss: 1 | 2",), ("alive = 0.9",), ("RATE = 0.1",)),
    )
    return replace(show_parts(full), **changes)  # type: ignore[arg-type]


def text_of(view: TurnView) -> str:
    return "\n".join(m.content for m in render_opening(view))


def size_of(view: TurnView) -> int:
    return count_tokens(render_opening(view))


# What is left out, in which order


def left_out(view: TurnView) -> list[bool]:
    """For each step of the documented order, whether anything of it is gone."""
    whole = make_view(view.purpose)
    return [
        view.refs != whole.refs,
        len(view.rows) < 6,
        len(view.baselines) < 7,
        view.brief.background != whole.brief.background,
        len(view.plan) < 7,
        not (view.traces.diagnostics and view.traces.curves) or view.texts.failed_diff != whole.texts.failed_diff,
        view.shown != whole.shown,
        view.brief.task != whole.brief.task,
    ]


@pytest.mark.parametrize("purpose", [Purpose.FIX, pytest.param(Purpose.NEXT, marks=pytest.mark.slow)])
def test_nothing_goes_before_all_that_comes_earlier_in_the_order_is_gone(purpose: Purpose) -> None:
    view = make_view(purpose)
    seen = set()
    for share in range(100, 0, -8):
        gone = left_out(fit(view, size_of(view) * share // 100))
        assert gone == sorted(gone, reverse=True), (share, gone)
        seen.add(sum(gone))
    assert {0, 1, 8} <= seen and len(seen) > 4, seen


def test_a_prompt_that_fits_is_left_as_it_is() -> None:
    view = make_view()
    assert fit(view, size_of(view)) == view == fit(view, None)


def test_old_rows_go_first_and_a_line_says_how_many() -> None:
    view = replace(make_view(), refs=())
    fitted = fit(view, size_of(view) - 20)
    assert 0 < len(fitted.rows) < 6 and fitted.rows == view.rows[-len(fitted.rows) :]
    assert f"({6 - len(fitted.rows)} earlier runs are left out)" in text_of(fitted)


def test_baselines_near_the_last_run_stay() -> None:
    view = replace(make_view(), refs=(), rows=make_view().rows[-1:])
    kept = {row.name[:5] for row in fit(view, size_of(view) - 60).baselines}
    assert "topk7" not in kept and {"topk2", "topk3"} <= kept  # l0 of 4 and 8 around 6
    assert "settings far from the last run are left out" in text_of(fit(view, size_of(view) - 60))


def test_the_rules_of_the_task_stay_while_half_of_a_large_file_can_go() -> None:
    view = make_view(Purpose.NEXT)
    kept = [fit(view, size_of(view) - tokens) for tokens in range(0, 3000, 200)]
    whole = len(render_excerpt(CODE, view.shown.get("experiment.py", ())))
    for fitted in kept:
        left = len(render_excerpt(CODE, fitted.shown.get("experiment.py", ())))
        assert fitted.brief.task == view.brief.task or left <= 0.6 * whole
    assert any(f.brief.task == view.brief.task and f.shown != view.shown for f in kept)


def test_references_are_shortened_before_they_go_and_never_pass_their_own_budget() -> None:
    view = make_view()
    shorter = fit(view, size_of(view) - 200).refs
    assert shorter and len(shorter[0].text) < len(view.refs[0].text)
    assert fit(view, size_of(view) - 1000).refs == ()
    huge = replace(view, refs=(Reference("refs/a.md", "A reference.\n" * 9000),))
    assert estimate_tokens(fit(huge, None).refs[0].text) <= 2000


def test_notes_keep_their_end() -> None:
    story = Story()
    story.complete_run()
    notes = "".join(f"Line {n} of the notes.\n" for n in range(120))
    view = make_view(Purpose.NOTES)
    view = replace(view, files={"notes.txt": notes}, refs=(), rows=(), baselines=(), brief=Brief(""))
    fitted = fit(view, size_of(view) - 300)
    assert "Line 119 of the notes." in text_of(fitted) and "Line 0 of" not in text_of(fitted)
    assert "lines not shown (1-" in text_of(fitted)


# What holds of every budget


@given(
    st.sampled_from([Purpose.PLAN, Purpose.NEXT, Purpose.FIX]),
    st.integers(50, 8000),
    st.integers(0, 30),
    st.booleans(),
)
@examples(15)
def test_the_contract_the_file_and_the_failure_are_never_dropped(
    purpose: Purpose, budget: int, functions: int, has_refs: bool
) -> None:
    code = CODE + "".join(FUNCTION.format(n=100 + n) for n in range(functions))
    view = make_view(purpose, code)
    view = view if has_refs else replace(view, refs=())
    fitted = fit(view, budget)
    system, user = render_opening(fitted)
    assert system == render_opening(view)[0]
    assert fitted.state == view.state and fitted.files == view.files
    if purpose is Purpose.FIX:
        assert "ValueError: FAULT" in user.content and "FAULT and where" in user.content
        assert "y_0 = x + 0 * 3" in user.content or 50 in lines_of(fitted.shown["experiment.py"])
    shown = lines_of(fitted.shown.get("experiment.py", ())) or set(range(1, len(split_lines(code).text) + 1))
    assert shown and all(split_lines(code).text[n - 1] in user.content for n in shown)
    if size_of(view) <= budget:
        assert fitted == view
    assert fits(render_opening(fitted), budget) == (size_of(fitted) <= budget)


@given(st.integers(1500, 6000))
@examples(8)
def test_a_budget_with_room_for_the_core_is_kept(budget: int) -> None:
    assert size_of(fit(make_view(Purpose.FIX), budget)) <= budget


@given(st.integers(1500, 5000), st.integers(1, 1500))
@examples(5)
def test_more_room_never_shows_less(budget: int, more: int) -> None:
    small, large = (fit(make_view(), b) for b in (budget, budget + more))
    assert len(small.rows) <= len(large.rows) and len(small.brief.task) <= len(large.brief.task)
    assert len(small.brief.background) <= len(large.brief.background)
    assert sum(left_out(small)) >= sum(left_out(large))


# Budgets and conversations


def test_a_window_leaves_room_for_the_reply() -> None:
    assert budget_of(None) is None
    assert budget_of(8192, 4096) == 4096 and budget_of(8192, 500) == 7692, "the set length of a reply is left free"
    assert budget_of(5000, 4096) == 2500, "but half of the window is the prompt's"
    assert budget_of(None, 4096) is None
    assert budget_of(8192) == 6144 and budget_of(131_072) == 131_072 - 8192


def test_a_prompt_found_too_long_is_halved_or_brought_to_the_window_that_was_told() -> None:
    assert smaller_budget(None, 9000, None) == 4500
    assert smaller_budget(6000, 5000, None) == 2500
    assert smaller_budget(None, 9000, 3072) == 3072 and smaller_budget(None, 9000, 91_808) == 4500
    assert smaller_budget(None, 9000, 6144) == 6144, "what the window holds is not left out"


def test_a_long_conversation_loses_its_oldest_exchanges_then_the_middle_of_the_last_reply() -> None:
    talk = [Message("system", "rules"), Message("user", "opening " * 20)]
    for n in range(4):
        talk += [Message("assistant", f"reply {n} " * 100), Message("user", f"refusal {n}")]
    assert fit_conversation(talk, None) == talk
    shorter = fit_conversation(talk, count_tokens(talk) - 100)
    assert shorter[:2] == talk[:2] and shorter[2:] == talk[4:]
    tiny = fit_conversation(talk, 250)
    assert [m.role for m in tiny] == ["system", "user", "assistant", "user"] and tiny[-1] == talk[-1]
    assert tiny[2].content.startswith("reply 3") and len(tiny[2].content) < len(talk[-2].content)


@given(st.text(max_size=300))
def test_an_estimate_is_never_less_than_a_token_for_four_characters(text: str) -> None:
    assert estimate_tokens(text) >= len(text) / 4
    assert estimate_tokens("漢字" * 10) == 20
