"""Files whole or in part: how much of a window they get, and what is never hidden for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.edit.lines import split_lines
from agent.core.edit.seen import lines_of
from agent.core.failure.diagnose import Failure, FailureKind, Location
from agent.core.inputs.idea import Idea
from agent.core.inputs.spec import TemplateSpec
from agent.core.journal.kinds import Purpose
from agent.core.model.tokens import count_tokens, estimate_tokens
from agent.core.prompt.excerpt import Focus, choose_lines, render_excerpt
from agent.core.prompt.fit import budget_of, fit
from agent.core.prompt.parts import FILE_CHARS, room_of, show_parts
from agent.core.prompt.render import render_opening
from agent.core.prompt.view import Study, TurnTexts, TurnView, view_turn
from agent.core.prompt.vital import find_vital
from tests.core.journal_by_hand import Story
from tests.core.prompt.scripts import function, training_script
from tests.core.prompt.test_fit import CODE, FAULT, make_view, size_of, text_of

STUDY = Study(TemplateSpec(name="t"), Idea(Title="A schedule", Experiment="Shrink the context."))
NANO = training_script()
HUGE = training_script(train=900, others=60)
LOOP_TOKENS = estimate_tokens(function("train", 900)) + 60 * 40  # with the signatures and marks of the others


def first_view(code: str, experiment: str = "Shrink the context while it trains.", **names: str) -> TurnView:
    study = Study(TemplateSpec(name="t"), Idea(Title="A schedule", Experiment=experiment))
    return view_turn(Story().state, study, Purpose.PLAN, {"experiment.py": code, **names})


def hidden_in(view: TurnView, name: str = "experiment.py") -> str:
    """All lines of a file that a view hides."""
    lines = split_lines(view.files[name]).text
    shown = lines_of(view.shown.get(name, ())) or set(range(1, len(lines) + 1))
    return "\n".join(line for n, line in enumerate(lines, start=1) if n not in shown)


# How much is shown whole


@pytest.mark.parametrize("window", [131_072, 1_000_000, None, 65_536, 200_000])
def test_a_script_of_700_lines_is_shown_whole_in_a_usual_window(window: int | None) -> None:
    assert 25_000 < len(NANO) < 40_000 and 600 < NANO.count("\n") < 800
    assert show_parts(first_view(NANO), window_tokens=window).shown == {}


def test_whole_files_leave_room_for_a_reply_in_a_quarter_of_the_window_and_have_a_bound() -> None:
    for window in (8_192, 32_768, 65_536, 131_072):
        share = window // 4
        assert share - 8_192 <= room_of(window) < share
    assert room_of(10_000_000) == room_of(131_072) and room_of(None) < room_of(131_072)
    for window in (32_768, 2_000_000):
        view = show_parts(first_view(HUGE), window_tokens=window)
        assert view.shown, "so many tokens are never shown whole"
        most = max(room_of(window), count_tokens(render_opening(replace(view, files={}, shown={}))) + LOOP_TOKENS)
        assert count_tokens(render_opening(view)) <= 1.02 * most


def test_a_file_that_was_always_shown_whole_still_is() -> None:
    short = training_script(train=60, others=6)
    assert len(short) < FILE_CHARS and show_parts(first_view(short), window_tokens=8_192).shown == {}


def test_a_table_that_may_be_edited_is_cut_where_it_does_not_fit() -> None:
    table = "".join(f"{n}\t{n * 7 % 1000}\n" for n in range(40_000))
    spec = TemplateSpec(name="t", run_files=("experiment.py", "a.tsv"), editable=("experiment.py", "a.tsv"))
    study = Study(spec, Idea(Title="A", Experiment="B"))
    view = show_parts(view_turn(Story().state, study, Purpose.PLAN, {"experiment.py": "A = 1\n", "a.tsv": table}))
    assert set(view.shown) == {"a.tsv"} and count_tokens(render_opening(view)) < 1.1 * room_of(None)


# What is never hidden


@pytest.mark.parametrize("guard", ["train", "run_everything", "Trainer"])
def test_the_entry_function_and_the_longest_are_never_hidden(guard: str) -> None:
    code = training_script(train=110, others=30, main=guard) + function("longest", 130)
    hidden = hidden_in(show_parts(first_view(code), window_tokens=8_192))
    assert "helper_20_3 =" in hidden and f"{guard}_100" not in hidden and "longest_120" not in hidden


LAUNCHERS = ("fire.Fire(work)", "sys.exit(work())", "Work().work(3)")
MORE_LAUNCHERS = pytest.param(("asyncio.run(work())", "tyro.cli(work)"), marks=pytest.mark.slow)


@pytest.mark.parametrize("calls", [LAUNCHERS, MORE_LAUNCHERS], ids=["three", "more"])
def test_what_the_guard_calls_through_a_launcher_is_the_entry(calls: tuple[str, ...]) -> None:
    for call in calls:
        code = training_script(train=120, others=25, main="other").partition("if __name__")[0]
        code += function("work", 50) + f'if __name__ == "__main__":\n    {call}\n'
        assert "work_40" not in hidden_in(show_parts(first_view(code), window_tokens=8_192)), call
    bare = code.partition("if __name__")[0] + "work(1)\n"
    assert "work_40" not in hidden_in(show_parts(first_view(bare), window_tokens=8_192))


def test_a_function_that_takes_steps_of_training_is_not_hidden() -> None:
    step = function("update_weights", 40).replace("len(", "loss.backward(")
    code = step + training_script(train=300, others=60)
    hidden = hidden_in(show_parts(first_view(code), window_tokens=16_384))
    assert "update_weights_30" not in hidden and "helper_40_3 =" in hidden


@pytest.mark.parametrize(
    "experiment",
    [
        "Change helper_33.",
        "Raise it in pick() first.",
        *(pytest.param(said, marks=pytest.mark.slow) for said in ("Change `pick`.", "Make pick faster.")),
    ],
)
def test_what_the_idea_names_is_not_hidden(experiment: str) -> None:
    code = function("pick", 30) + training_script(train=300, others=60)
    hidden = hidden_in(show_parts(first_view(code, experiment), window_tokens=16_384))
    assert ("pick_20" not in hidden) is ("pick" in experiment)
    assert ("helper_33_20" not in hidden) is ("helper_33" in experiment)


def test_what_the_failure_names_is_not_hidden() -> None:
    code = training_script(train=300, others=60)
    at = next(n for n, line in enumerate(split_lines(code).text, start=1) if "helper_50_7 =" in line)
    fault = replace(FAULT, detail=f'  File "experiment.py", line {at}, in helper_50', location=None)
    state = Story().state
    state = replace(state, run=replace(state.run, failures=(fault, fault)), code=replace(state.code, clean=False))
    view = replace(first_view(code), state=state, purpose=Purpose.FIX)
    hidden = hidden_in(show_parts(view, window_tokens=16_384))
    assert "helper_50_20" not in hidden and "train_250" not in hidden and "helper_40_3 =" in hidden


def test_if_they_do_not_fit_the_window_the_longest_is_shown_by_its_head_and_the_rest_is_named() -> None:
    code = function("evaluate", 30) + training_script(train=900, others=40)
    view = show_parts(first_view(code, "Look at evaluate()."), window_tokens=8_192)
    fitted = fit(view, budget_of(8_192))
    text = text_of(fitted)
    assert count_tokens(render_opening(fitted)) <= 6_144
    assert "def train(x=0):\n    train_0 =" in text and "train_890 =" not in text and "evaluate_25 =" in text
    lines = split_lines(code).text
    last = max(n for n in lines_of(fitted.shown["experiment.py"]) if lines[n - 1].startswith("    train_"))
    assert f"lines not shown ({last + 1}-" in text, "the rest of the loop is named"


def test_more_signatures_than_room_leave_the_entry_in_sight() -> None:
    code = "".join(f"def small_{n}(x): return {n}\n" for n in range(2000)) + training_script(train=40, others=1)
    ranges = choose_lines("experiment.py", code, Focus(vital=find_vital(code, Focus())), 6_000, fill=True)
    text = render_excerpt(code, ranges)
    assert "train_38 =" in text and len(text) <= 6_000


def test_a_text_that_is_no_python_has_nothing_vital() -> None:
    assert find_vital("def f(:\n", Focus()) == () and find_vital("", Focus()) == ()
    assert show_parts(first_view("def f(:\n" + "a\n" * 40_000), window_tokens=8_192).shown


def test_what_the_model_asked_for_stays_in_sight_as_far_as_there_is_room() -> None:
    code = function("rare_one", 40) + training_script(train=300, others=60)
    plain = first_view(code)
    files = {"experiment.py": code, "prepare.py": function("evaluate", 5) + function("other", 5)}
    state = Story().state.want(["experiment.py:rare_one", "prepare.py:evaluate", "gone.py"])
    asked = view_turn(state, STUDY, Purpose.PLAN, files)
    assert "rare_one_30" in hidden_in(show_parts(plain, window_tokens=16_384))
    shown = show_parts(asked, window_tokens=16_384)
    assert "rare_one_30" not in hidden_in(shown) and "train_250" not in hidden_in(shown)
    text = text_of(shown)
    assert "prepare.py (read-only)" in text and "evaluate_3 =" in text and "other_3 =" not in text
    whole = replace(asked, asked=asked.asked | {"experiment.py": ((1, len(split_lines(code).text)),)})
    assert size_of(show_parts(whole, window_tokens=16_384)) < 0.6 * size_of(plain), "not all of a large file"


# Parts of a file at a repair


def test_a_repair_of_code_shows_the_function_that_failed() -> None:
    view = make_view(Purpose.FIX)
    text = text_of(view)
    assert "* 3" in text and "def part_9(x):" in text and "y_5 = x + 5 * 9" not in text
    assert "Of experiment.py only the parts that matter now are shown" in text
    assert size_of(view) < 0.75 * size_of(replace(view, shown={}))


def with_failures(view: TurnView, *failures: Failure, clean: bool = False) -> TurnView:
    """The view, all of its files whole, of a state in which these failures struck."""
    state = view.state
    state = replace(state, run=replace(state.run, failures=failures), code=replace(state.code, clean=clean))
    return replace(view, state=state, shown={})


@pytest.mark.parametrize(
    ("failures", "clean"),
    [((FAULT, FAULT), False), ((FAULT,), True), ((replace(FAULT, kind=FailureKind.EDIT),), False)],
    ids=["twice", "restored", "edit"],
)
def test_a_repair_that_needs_more_than_a_place_shows_the_whole_file(failures: tuple[Failure, ...], clean: bool) -> None:
    view = make_view(Purpose.FIX)
    assert show_parts(with_failures(view, FAULT)).shown != {}, "one failure shows a part"
    assert show_parts(with_failures(view, *failures, clean=clean)).shown == {}


def test_a_failure_without_a_place_and_a_short_file_are_shown_whole() -> None:
    nowhere = Failure(FailureKind.TIMED_OUT, "timed out", "ran too long", None, "t")
    view = with_failures(make_view(Purpose.FIX), nowhere)
    assert show_parts(view).shown == {}
    assert make_view(Purpose.FIX, code="RATE = 1\n\n\ndef part_3():\n    pass\n" + "# x\n" * 60).shown == {}


def test_the_lines_of_the_failed_edit_are_shown() -> None:
    nowhere = Failure(FailureKind.TIMED_OUT, "timed out", "ran too long", Location("experiment.py", 1, ""), "t")
    changed = next(n for n, line in enumerate(split_lines(CODE).text, start=1) if line == "    y_5 = x + 5 * 9")
    view = show_parts(with_failures(make_view(Purpose.FIX), nowhere), {"experiment.py": frozenset([changed])})
    assert changed in lines_of(view.shown["experiment.py"]) and view.focus["experiment.py"] != Focus()


def test_an_editor_is_shown_what_the_instruction_quotes_or_names() -> None:
    quoted = "In part_7 replace\n```\n    y_3 = x + 3 * 7\n```\nand call `part_11` there."
    view = show_parts(replace(make_view(Purpose.EDIT), shown={}, texts=TurnTexts(instruction=quoted)))
    text = text_of(view)
    assert "y_5 = x + 5 * 7" in text and "y_5 = x + 5 * 11" in text and "y_5 = x + 5 * 9" not in text
    vague = show_parts(replace(make_view(Purpose.EDIT), shown={}, texts=TurnTexts(instruction="Make it better.")))
    assert vague.shown == {}
