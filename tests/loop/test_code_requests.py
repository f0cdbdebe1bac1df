"""Replies that ask to see code, through the whole loop: answered at once, at no repair, and shown from then on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.core.journal.action_results import Answered, Applied, Refused
from agent.core.journal.budget import Limits
from agent.core.journal.events import Finished
from agent.core.journal.fold import fold
from agent.core.prompt.conversation import Prompt
from agent.edges.model.protocol import Models, Request
from agent.edges.model.replay import ReplayModel
from agent.edges.verify import verify
from tests.fakes import ScriptedModel, block
from tests.loop.conftest import Study
from tests.loop.instant import instant_runner
from tests.loop.lines import DONE, FASTER, LR, MOMENTUM, NO_PLOT_EDIT, NOTES, PLAN
from tests.loop.test_context_loop import SPARE, SmallModel, prompt_of
from tests.loop.test_replay import trees
from tests.paths import QUADRATIC

PREPARE = "def evaluate_bits(model):\n    secret_constant = 41\n    return secret_constant + model\n"
INNER = "def shuffle_rows(rows):\n    marker_of_inner = 3\n    return rows[::-1]\n"
LINE_47 = "    part_4 = x * 4 + 47\n"
BLIND = block("experiment.py", LINE_47, "    part_4 = x * 5 + 47\n")
BROKEN = block("experiment.py", LR, LR + "\n\ndef wrong():\n    return missing_name\n\n\n")


@pytest.fixture
def wide_study(make_study: Callable[..., Study], tmp_path: Path) -> Callable[..., Study]:
    """A study whose experiment.py has 60 functions more, with modules beside it that nobody may edit."""
    folder = tmp_path / "wide"
    shutil.copytree(QUADRATIC, folder)
    code = (folder / "experiment.py").read_text()
    spare = "".join(SPARE.format(n=n) for n in range(60))
    (folder / "experiment.py").write_text(code.replace("def main():", f"{spare}def main():"))
    (folder / "prepare.py").write_text(PREPARE)
    (folder / "parts").mkdir()
    (folder / "parts" / "inner.py").write_text(INNER)
    return lambda **changes: make_study(folder, **changes)


def results_of(study: Study, kind: type) -> list[Any]:
    events = study.workspace.journal().events
    return [event.result for event in events if isinstance(event, Finished) and isinstance(event.result, kind)]


def test_a_function_that_a_reply_asks_for_is_shown_at_once_and_from_then_on(wide_study: Callable[..., Study]) -> None:
    study = wide_study(limits=Limits(max_runs=2))
    ask = "Please show me the function spare_47(), and the training loop."
    lines = [PLAN + ask, BLIND + BROKEN, block("experiment.py", "    return missing_name\n", "    return 1\n")]
    model = SmallModel([*lines, MOMENTUM, NO_PLOT_EDIT, NOTES], window_tokens=24_000)
    state = study.loop(model, runner=instant_runner()).run()
    assert state.ended and state.ended.completed and [row.attempts for row in state.rows] == [2, 1]
    first, answer, mend, after = model.requests[:4]
    assert LINE_47 not in prompt_of(first) and "(read-only)" not in prompt_of(first)
    assert "Read-only, and not shown: " in prompt_of(first) and "prepare.py" in prompt_of(first)
    assert "`SHOW: NAME` alone shows them" in prompt_of(first) and "secret_constant" not in prompt_of(first)
    told = answer.messages[-1].content
    assert LINE_47 in told and "part_4 = x * 4 + 3" not in told and "You may ask to see code 2 more times" in told
    assert answer.messages[: len(first.messages)] == first.messages, "the prefix stays for a provider's cache"
    assert "missing_name" in prompt_of(mend) and "    part_4 = x * 5 + 47\n" in prompt_of(mend), (
        "shown in the next prompt"
    )
    assert "part_4 = x * 5 + 47" not in prompt_of(after), "but not at the next run number"
    (answered,) = results_of(study, Answered)
    assert answered.wanted[0] == "experiment.py:spare_47" and not results_of(study, Refused)
    assert state.plan[0].text.startswith("Raise the learning rate"), "the plan of the same reply counts"
    assert fold(study.workspace.journal().events) == state
    assert verify(study.workspace).disagreements == ()


def test_modules_that_nobody_may_edit_are_shown_when_asked_for_and_stay_as_they_are(
    wide_study: Callable[..., Study],
) -> None:
    study = wide_study(limits=Limits(max_runs=1))
    edit = block("prepare.py", "    secret_constant = 41\n", "    secret_constant = 42\n")
    model = ScriptedModel(
        ["```bash\ncat prepare.py\n```", "SHOW: shuffle_rows", edit, PLAN + FASTER, NO_PLOT_EDIT, NOTES]
    )
    state = study.loop(model, runner=instant_runner()).run()
    assert state.ended and state.ended.completed and state.rows[0].attempts == 1
    assert "prepare.py (read-only):\n```python\n" + PREPARE in model.requests[1].messages[-1].content
    assert "parts/inner.py (read-only)" in model.requests[2].messages[-1].content
    assert "marker_of_inner" in model.requests[2].messages[-1].content
    assert [r.summary for r in results_of(study, Refused)] == ["prepare.py: file not editable"]


def test_requests_are_answered_a_few_times_then_the_model_is_told_to_decide(wide_study: Callable[..., Study]) -> None:
    study = wide_study(limits=Limits(max_runs=1))
    asks = ["SHOW: spare_1", "show me spare_2()", "sed -n '1,9p' experiment.py", "SHOW: no_such_thing", "SHOW: spare_5"]
    model = ScriptedModel([*asks, PLAN + FASTER, NO_PLOT_EDIT, "SHOW: experiment.py", NOTES])
    state = study.loop(model, runner=instant_runner()).run()
    assert state.ended and state.ended.completed and state.rows[0].attempts == 1, state.ended
    answers = [request.messages[-1].content for request in model.requests[1:6]]
    assert "part_4 = x * 4 + 1" in answers[0] and "part_4 = x * 4 + 2" in answers[1]
    assert "No more code is shown at this turn" in answers[2]
    assert "3 requests to see code were answered" in answers[3] and "part_4" not in answers[4]
    assert [r.summary for r in results_of(study, Refused)] == ["the reply asks to see more code"] * 2
    assert "LR = 0.1" in model.requests[-1].messages[-1].content, "at the end of the study, too"


def test_a_name_that_is_nowhere_is_answered_with_those_that_there_are(wide_study: Callable[..., Study]) -> None:
    study = wide_study(limits=Limits(max_runs=1))
    model = ScriptedModel(["Show me warm_up().", "ls", PLAN + FASTER, NO_PLOT_EDIT, NOTES])
    state = study.loop(model, runner=instant_runner()).run()
    assert state.ended and state.ended.completed and not results_of(study, Refused)
    told, listed = (model.requests[n].messages[-1].content for n in (1, 2))
    assert "No file has warm_up." in told and "spare_47 " in told and "prepare.py, 3 lines: evaluate_bits 1-3" in listed


def test_edits_win_over_a_request_in_the_same_reply_which_the_next_run_heeds(wide_study: Callable[..., Study]) -> None:
    study = wide_study(limits=Limits(max_runs=2))
    model = SmallModel([PLAN + FASTER + "\nSHOW: spare_47\n", MOMENTUM, NO_PLOT_EDIT, NOTES], window_tokens=24_000)
    state = study.loop(model, runner=instant_runner()).run()
    assert state.ended and state.ended.completed and not results_of(study, Answered)
    assert results_of(study, Applied)[0].wanted == ("experiment.py:spare_47",)
    assert LINE_47 not in prompt_of(model.requests[0]) and LINE_47 in prompt_of(model.requests[1])


def test_planner_and_editor_are_both_answered(wide_study: Callable[..., Study]) -> None:
    study = wide_study(limits=Limits(max_runs=1), editor_model="scripted/editor")
    planner = SmallModel(
        ["Let me see spare_47() first.", PLAN + "Set LR to 0.1.", NO_PLOT_EDIT, NOTES], window_tokens=24_000
    )
    editor = SmallModel(["cat experiment.py", FASTER], name="scripted/editor", window_tokens=24_000)
    state = study.loop(Models(planner, editor), runner=instant_runner()).run()
    assert state.ended and state.ended.completed and state.rows[0].attempts == 1, state.ended
    assert LINE_47 in planner.requests[1].messages[-1].content
    assert "LR = 0.02  # search" in editor.requests[1].messages[-1].content and len(editor.requests) == 2


# Replays


def older_json(prompt: Prompt, **more: Any) -> str:
    """A request as versions kept it that did not answer requests to see code."""
    kept = [{"role": message.role, "content": message.content} for message in prompt.messages]
    return json.dumps({**more, "messages": kept, "shown": prompt.shown})


@pytest.mark.parametrize("is_old", [False, True], ids=["of today", "older"])
def test_a_replay_judges_each_reply_by_the_request_that_it_was_given_to(
    is_old: bool, wide_study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recording's window was small: it hid what the replay, with no window, would show."""
    lines: list[str | Callable[[Request], str]] = [
        "SHOW: spare_3",
        PLAN + BLIND,
        BLIND + FASTER,
        DONE,
        NO_PLOT_EDIT,
        NOTES,
    ]
    first = wide_study(batch="recorded", limits=Limits(max_runs=2))
    with monkeypatch.context() as patch:
        if is_old:
            patch.setattr(Prompt, "to_json", older_json)
        first.loop(SmallModel(lines, window_tokens=24_000), runner=instant_runner()).run()
    assert len(results_of(first, Refused)) == 1 + is_old and len(results_of(first, Answered)) == (not is_old)
    again = wide_study(batch="replayed", limits=Limits(max_runs=2))
    state = again.loop(ReplayModel(f"replay/{first.workspace.path}"), runner=instant_runner()).run()
    assert state.ended and state.ended.completed, state.pause
    assert trees(again.workspace) == trees(first.workspace)
    assert [r.summary for r in results_of(again, Refused)] == [r.summary for r in results_of(first, Refused)]
