from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

import pytest

from agent.core.code.search_marks import Setting, settings_of
from agent.core.edit.apply import apply_reply
from agent.core.evidence.verdict import judge
from agent.core.inputs.idea import Idea
from agent.core.inputs.spec import Direction, Metric, TemplateSpec
from agent.core.journal.events import Launched
from agent.core.journal.fold import begin
from agent.core.journal.kinds import Measured, Purpose
from agent.core.journal.state import RunAtWork, RunRow
from agent.core.prompt.view import RowView, TurnView
from agent.core.reply.plan import parse_reply
from agent.edges.model.protocol import Request
from agent.edges.model.sweep import CONTROL, SWEEP, SweepModel, ranges_in
from agent.errors import ProviderRefused

CODE = '''"""An experiment."""
import math

LR = 1e-3  # search: log 1e-4..1e-2
AUX_COEF: float = 0.03  # search: 0.0..0.2
WARMUP = 50  # search: int 0..200
DEC_NORM = "unit"  # search: one of "unit", "free", "o'clock"
USE_BIAS = True  # search: one of True, False
FIXED = 7


def train():
    LOCAL = 3  # search: 1..5 is not a constant of the module
    return LR * AUX_COEF
'''
SCORE = Metric(name="score", path=("score",), direction="higher")


def view_of(
    code: str = CODE,
    *,
    purpose: Purpose = Purpose.NEXT,
    run: int = 1,
    rows: tuple[RowView, ...] = (),
    direction: Direction = "higher",
    files: Mapping[str, str] | None = None,
    workspace: str = "momentum",
    attempt: int = 1,
) -> TurnView:
    state = begin(Launched(workspace=workspace, has_baseline=True))
    return TurnView(
        purpose,
        replace(state, run=RunAtWork(run, attempts_spent=attempt - 1)),
        TemplateSpec(name="t", metrics=(SCORE,)),
        Idea(Title="T", Experiment="E"),
        SCORE.model_copy(update={"direction": direction}),
        rows=rows,
        files=dict(files or {"experiment.py": code}),
    )


def row(run: int, settings: dict[str, Setting], score: float | None, *, completed: bool = True) -> RowView:
    values = {} if score is None else {"score": score}
    return RowView(RunRow(run, completed, f"Run {run}", "c1", 1, Measured(values), settings))


def ask(view: TurnView) -> str:
    return SweepModel().ask(Request((), view)).text


def next_settings(view: TurnView) -> dict[str, Setting]:
    """The constants after the reply's edit, which must apply and leave all else as it was."""
    before = view.files["experiment.py"]
    result = apply_reply(view.files, ask(view), editable=view.editable)
    assert result.rejected == [] and result.changed
    after = result.files["experiment.py"]
    ast.parse(after)
    assert len(after.splitlines()) == len(before.splitlines())
    old, new = settings_of(before), settings_of(after)
    changed = [(a, b) for a, b in zip(before.splitlines(), after.splitlines(), strict=True) if a != b]
    assert len(changed) == sum(old[name] != new[name] for name in old) > 0
    assert all(a.partition("# search:")[1:] == b.partition("# search:")[1:] for a, b in changed)
    return new


def test_marked_constants_are_read_and_others_are_not() -> None:
    found = ranges_in({"experiment.py": CODE, "notes.txt": CODE, "plot.py": "LR = 1\n"})
    assert list(found) == ["experiment.py"]
    lr, aux, warmup, norm, bias = found["experiment.py"]
    assert (lr.name, lr.value, lr.low, lr.high, lr.log) == ("LR", 1e-3, 1e-4, 1e-2, True)
    assert (aux.name, aux.low, aux.high, aux.log, aux.integer) == ("AUX_COEF", 0.0, 0.2, False, False)
    assert (warmup.name, warmup.integer, warmup.low, warmup.high) == ("WARMUP", True, 0, 200)
    assert norm.choices == ("unit", "free", "o'clock") and bias.choices == (True, False)


def test_every_trial_stays_in_range_and_differs_from_the_present_values() -> None:
    seen = set()
    for run in range(1, 13):
        settings = next_settings(view_of(run=run))
        assert 1e-4 <= float(settings["LR"]) <= 1e-2 and 0.0 <= float(settings["AUX_COEF"]) <= 0.2
        assert type(settings["WARMUP"]) is int and 0 <= settings["WARMUP"] <= 200
        assert settings["DEC_NORM"] in ("unit", "free", "o'clock") and type(settings["USE_BIAS"]) is bool
        assert settings != settings_of(CODE)
        seen.add(str(settings))
    assert len(seen) == 12


def test_the_same_view_gives_the_same_reply_and_another_idea_another() -> None:
    rows = (row(1, settings_of(CODE), 0.5),)
    view = view_of(run=2, rows=rows)
    assert ask(view) == ask(view)
    others = (view_of(run=2, rows=rows, workspace="rates"), view_of(run=2, rows=rows, attempt=2))
    assert len({ask(view), *map(ask, others)}) == 3


def test_a_reply_reads_as_any_models(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = parse_reply(ask(view_of(run=3)))
    assert parsed.plan and [item.number for item in parsed.plan.items] == [3]
    assert not parsed.replicate and not parsed.all_completed
    assert "LR=" in parsed.plan.items[0].text and "score" in parsed.plan.items[0].text


ONE = "X = 0.5  # search: 0.0..1.0\n"


def mean_choice(direction: Direction, best_at: float) -> float:
    """Mean choice of the sweep after twelve past rows that are the better, the nearer they are to `best_at`."""
    sign = 1.0 if direction == "lower" else -1.0
    past = [n / 11 for n in range(12)]
    rows = tuple(row(n, {"X": x}, sign * abs(x - best_at)) for n, x in enumerate(past, start=1))
    chosen = [float(next_settings(view_of(ONE, run=run, rows=rows, direction=direction))["X"]) for run in range(13, 33)]
    return sum(chosen) / len(chosen)


@pytest.mark.parametrize("direction", ["higher", "lower"])
def test_past_rows_draw_the_search_to_where_it_went_well(direction: Direction) -> None:
    assert mean_choice(direction, 0.1) < 0.35
    assert mean_choice(direction, 0.9) > 0.65


def test_rows_that_do_not_fit_the_ranges_are_passed_over() -> None:
    odd = (
        row(1, {"X": 7.0}, 0.5),
        row(2, {}, 0.5),
        row(3, {"X": "text"}, 0.5),
        row(4, {"X": 0.3}, None, completed=False),
        row(5, {"X": True, "Y": 3}, 0.2),
    )
    assert 0.0 <= float(next_settings(view_of(ONE, run=6, rows=odd))["X"]) <= 1.0
    assert ask(view_of(ONE, run=6, rows=odd[:4])) == ask(view_of(ONE, run=6))


def test_a_direction_unknown_and_no_primary_metric_are_searched_too() -> None:
    rows = (row(1, {"X": 0.3}, 0.5),)
    assert next_settings(view_of(ONE, rows=rows, direction="unknown"))
    assert next_settings(replace(view_of(ONE, rows=rows), primary=None))


@pytest.mark.parametrize(
    "line",
    [
        "X = 1e-8  # search: log 1e-9..1e-7",
        "X = -0.5  # search: -1..-.25",
        "X = 3  # search: 0.0..1e6",
        "X: float = +2.  # search: 1..5 ",
        "X = 'a'  # search: one of 'a', \"b#c\"",
        "X = 1  # search: int 1..2",
        'X = "é\U0001f600"  # search: one of "é", "\U0001f600"',
        "X = 0.1235  # search: 0.12345..0.12355",
    ],
)
def test_values_are_written_as_python_reads_them(line: str) -> None:
    before = settings_of(line)["X"]
    after = next_settings(view_of(line + "\n"))["X"]
    assert after != before
    (found,) = ranges_in({"a.py": line})["a.py"]
    assert after in found.choices or found.low <= float(after) <= found.high


def test_crlf_lines_are_kept() -> None:
    result = apply_reply({"experiment.py": ONE.replace("\n", "\r\n")}, ask(view_of(ONE)), editable=["experiment.py"])
    assert result.changed and result.files["experiment.py"].endswith("# search: 0.0..1.0\r\n")


def test_constants_of_several_files_are_searched_together() -> None:
    files = {"experiment.py": ONE, "model.py": "Y = 3  # search: int 1..99\n"}
    view = view_of(files=files)
    both = replace(view, spec=view.spec.model_copy(update={"editable": tuple(files)}))
    result = apply_reply(files, ask(both), editable=tuple(files))
    assert result.rejected == [] and set(result.files) == set(files)
    assert [n for n in files if result.files[n] != files[n]] == ["experiment.py", "model.py"]
    closed = apply_reply(files, ask(view), editable=view.spec.editable)  # which may not change model.py
    assert closed.rejected == [] and [n for n in files if closed.files[n] != files[n]] == ["experiment.py"]


@pytest.mark.parametrize("purpose", Purpose)
def test_every_reply_says_first_that_it_is_a_control(purpose: Purpose) -> None:
    rows = (row(1, {"X": 0.3}, 0.5), row(2, {"X": 0.4}, 0.7), row(3, {}, None, completed=False))
    reply = SweepModel().ask(Request((), view_of(ONE, purpose=purpose, run=4, rows=rows)))
    assert reply.text.startswith(CONTROL)
    assert "the idea was not implemented" in CONTROL
    assert (reply.model, reply.paid.cost_usd, reply.paid.tokens_in) == (SWEEP, 0.0, 0)


@pytest.mark.parametrize("direction,best", [("higher", 2), ("lower", 1)])
def test_the_closing_notes_apply_and_name_the_best_run(direction: Direction, best: int) -> None:
    rows = (row(1, {"X": 0.25}, 0.5), row(2, {"X": 0.75}, 0.7), row(3, {}, None, completed=False))
    files = {"notes.txt": "# Notes\n\nRun 1"}
    view = view_of(files=files, purpose=Purpose.NOTES, rows=rows, direction=direction)
    result = apply_reply(files, ask(view), editable=["notes.txt"])
    assert result.rejected == [] and result.files["notes.txt"].startswith(files["notes.txt"] + "\n")
    notes = result.files["notes.txt"]
    assert CONTROL in notes and f"Of 2 completed trials run {best} is best" in notes
    assert f"X={0.75 if best == 2 else 0.25}" in notes


def test_the_closing_notes_allow_for_the_luck_of_the_best() -> None:
    metric = Metric(name="score", path=("score",), direction="higher")
    scores = (0.5, 0.61, 0.48, 0.51)
    verdicts = [judge(metric, score, (0.48, 0.5, 0.52), []) for score in scores]
    rows = tuple(replace(row(n, {"X": 0.3}, scores[n]), verdict=verdicts[n]) for n in range(4))
    notes = ask(view_of(files={"notes.txt": "# Notes\n"}, purpose=Purpose.NOTES, rows=rows))
    assert "run 1 is best, score = 0.61: no difference. " in notes and "as the best of 4 runs it may be luck" in notes


def test_closing_notes_without_a_completed_run_still_say_what_it_was() -> None:
    files = {"notes.txt": "# Notes\n"}
    view = view_of(files=files, purpose=Purpose.NOTES)
    for shown in (view, replace(view, primary=None)):
        result = apply_reply(files, ask(shown), editable=["notes.txt"])
        assert CONTROL in result.files["notes.txt"] and "best" not in result.files["notes.txt"]


@pytest.mark.parametrize(
    "code",
    [
        "LR = 0.1\n",
        "LR = 0.1  # search: log 0..1\n",
        "LR = 0.1  # search: 1..0\n",
        "LR = 0.1  # search: everywhere\n",
        "LR = f()  # search: 0..1\n",
        "",
    ],
)
def test_a_file_without_a_readable_mark_is_refused_by_name(code: str) -> None:
    with pytest.raises(ProviderRefused, match=r"no search range is marked in experiment\.py"):
        ask(view_of(code))


def test_a_range_that_leaves_nothing_to_try_is_refused() -> None:
    with pytest.raises(ProviderRefused, match="nothing to try"):
        ask(view_of('X = "a"  # search: one of "a"\n'))


def test_the_sweep_needs_no_language_model_library() -> None:
    code = (
        "import sys\n"
        "from tests.edges.model.test_sweep import ask, view_of\n"
        "assert 'SEARCH' in ask(view_of())\n"
        "print(sorted({'litellm', 'openai', 'torch', 'optuna'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['optuna']\n"
