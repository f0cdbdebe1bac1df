"""Prompts within a window, files shown in part, curves and references: the whole loop with a scripted model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.core.inputs.refs import Reference
from agent.core.journal.action_results import Asked, Refused
from agent.core.journal.budget import Limits
from agent.core.journal.events import Event, Finished
from agent.core.journal.kinds import PauseKind
from agent.core.journal.state import State
from agent.core.model.tokens import count_tokens
from agent.core.prompt.conversation import load_request
from agent.core.prompt.fit import budget_of
from agent.edges.model.client import LiteLLMModel
from agent.edges.model.patience import ProviderPatience
from agent.edges.model.protocol import Request
from agent.edges.workspace.refs import write_refs
from agent.errors import ContextTooLong
from tests.fakes import ScriptedModel, block
from tests.loop.conftest import Study
from tests.loop.instant import Crash, instant_runner
from tests.loop.lines import DONE, FASTER, LR, MOMENTUM, NO_PLOT_EDIT, NOTES, PLAN
from tests.paths import QUADRATIC
from tests.provider.server import StrictServer

SPARE = (
    "def spare_{n}(x):\n" + "".join(f"    part_{k} = x * {k} + {{n}}\n" for k in range(9)) + "    return part_1\n\n\n"
)
DIAGNOSTICS = """
[[diagnostics]]
name = "final_loss"
path = ["final_loss"]
reading = "How far the search stopped from the minimum."
warn = { above = 1e-30 }
"""
BROKEN = block("experiment.py", LR, LR + "\n\ndef wrong():\n    return missing_name\n\n\n")
MEND = block("experiment.py", "    return missing_name\n", "    return 1\n")
BLIND = block("experiment.py", "    part_4 = x * 4 + 7\n", "    part_4 = x * 5 + 7\n")
LAST = '    (out / "state.json").write_text(json.dumps({"x": trainer.x}))\n'


@dataclass
class SmallModel(ScriptedModel):
    """A scripted model with a window."""

    window_tokens: int | None = None


@pytest.fixture
def long_study(make_study: Callable[..., Study], tmp_path: Path) -> Callable[..., Study]:
    """A study whose experiment.py has 20 functions more, and whose template declares a diagnostic."""
    folder = tmp_path / "long"
    shutil.copytree(QUADRATIC, folder)
    code = (folder / "experiment.py").read_text()
    spare = "".join(SPARE.format(n=n) for n in range(20))
    (folder / "experiment.py").write_text(code.replace("def main():", f"{spare}def main():"))
    (folder / "template.toml").write_text((folder / "template.toml").read_text() + DIAGNOSTICS)
    return lambda **changes: make_study(folder, **changes)


def prompt_of(request: Request) -> str:
    return "\n".join(m.content for m in request.messages)


@pytest.mark.slow  # quick: tests/core/prompt/test_fit.py
def test_a_small_window_is_kept_at_every_turn(long_study: Callable[..., Study]) -> None:
    study = long_study()
    write_refs(study.workspace.agent, [Reference("refs/paper.md", "A line of a paper.\n" * 300)])
    model = SmallModel([PLAN + BROKEN, MEND, FASTER, MOMENTUM, NO_PLOT_EDIT, NOTES], window_tokens=4000)
    state = study.loop(model, runner=instant_runner()).run()
    assert state.ended and state.ended.completed, state.ended
    assert [row.completed for row in state.rows] == [True, True, True]
    budget = budget_of(4000)
    assert budget and all(count_tokens(r.messages) <= budget for r in model.requests)
    for request in model.requests[:4]:
        assert "LR = 0.02  # search" in prompt_of(request) or "LR = 0.1  # search" in prompt_of(request)
        assert "Only these files may be edited" in prompt_of(request)
    assert "undefined name 'missing_name'" in prompt_of(model.requests[1])


def test_without_a_window_the_whole_file_and_the_references_are_shown(long_study: Callable[..., Study]) -> None:
    study = long_study()
    write_refs(study.workspace.agent, [Reference("refs/paper.md", "A line of a paper.\n" * 300)])
    model = ScriptedModel([PLAN + FASTER, DONE, NO_PLOT_EDIT, NOTES])
    study.loop(model, runner=instant_runner()).run()
    for request in model.requests[:2]:
        text = prompt_of(request)
        assert "# References\n\nrefs/paper.md:\n\n```\nA line of a paper." in text and "not shown" not in text
    assert "A line of a paper." not in prompt_of(model.requests[3])
    (study.workspace.agent / "refs" / "1.md").write_text("Changed.")
    assert study.loop([]).state.ended


def test_a_blind_edit_is_refused_its_lines_are_shown_and_then_it_applies(long_study: Callable[..., Study]) -> None:
    study = long_study(limits=Limits(max_runs=1))
    model = ScriptedModel([PLAN + BROKEN, MEND + BLIND, BLIND, NO_PLOT_EDIT, NOTES])
    state = study.loop(model, runner=instant_runner()).run()
    assert state.ended and state.ended.completed and state.rows[0].attempts == 2
    fix, repair = model.requests[1:3]
    assert "def spare_7(x):\n    # ... 10 lines not shown (" in prompt_of(
        fix
    ) and "part_4 = x * 4 + 7" not in prompt_of(fix)
    assert "missing_name" in prompt_of(fix)
    told = repair.messages[-1].content
    assert "lines were not shown" in told and " |     part_4 = x * 4 + 7" in told
    assert "1 other block was good" in told and "part_4 = x * 4 + 3" not in told
    head = study.workspace.repo().read(state.code.head)["experiment.py"]
    assert "part_4 = x * 5 + 7" in head and "missing_name" not in head


def test_what_was_shown_survives_a_crash_between_reply_and_edit(long_study: Callable[..., Study]) -> None:
    study = long_study(limits=Limits(max_runs=1))

    def watch(event: Event, state: State) -> None:
        if isinstance(event, Finished) and isinstance(event.result, Asked) and state.run.failures:
            raise Crash

    lines = [PLAN + BROKEN, MEND + BLIND, BLIND, NO_PLOT_EDIT, NOTES]
    with pytest.raises(Crash):
        study.loop(lines[:2], runner=instant_runner(), watch=watch).run()
    with pytest.raises(Crash):
        study.loop(lines[2:3], runner=instant_runner(), watch=watch).run()
    events = study.workspace.journal().events
    refused = [e.result for e in events if isinstance(e, Finished) and isinstance(e.result, Refused)]
    assert [r.summary for r in refused] == ["experiment.py: lines were not shown"]
    state = study.loop(lines[3:], runner=instant_runner()).run()
    assert state.ended and state.ended.completed and state.rows[0].attempts == 2


def test_the_last_repair_shows_the_whole_file(long_study: Callable[..., Study]) -> None:
    study = long_study(limits=Limits(max_runs=1))
    gone = [block("experiment.py", f"    nowhere = {n}\n", "    nowhere = 9\n") for n in range(3)]

    def whole(request: Request) -> str:
        text = request.messages[-1].content
        assert "All of experiment.py as it stands:" in text and text.count("part_4 = x * 4 + ") == 20
        code = text.partition("All of experiment.py as it stands:\n```python\n")[2].partition("\n```")[0]
        return "experiment.py\n```python\n" + code.replace("return missing_name", "return 1") + "\n```\n"

    model = ScriptedModel([PLAN + BROKEN, *gone, whole, NO_PLOT_EDIT, NOTES])
    state = study.loop(model, runner=instant_runner()).run()
    assert state.ended and state.ended.completed and state.rows[0].attempts == 2


def test_a_reply_that_comes_twice_is_followed_by_a_new_chat_that_asks_for_whole_texts(
    long_study: Callable[..., Study],
) -> None:
    study = long_study(limits=Limits(max_runs=1))
    gone = block("experiment.py", "    nowhere = 1\n", "    nowhere = 2\n")

    def whole(request: Request) -> str:
        system, user = request.messages
        assert "asks again for what was refused" in user.content and "nowhere = 2" not in user.content
        assert "whole files or functions" in system.content and "<<<<<<<" not in system.content
        code = user.content.partition("All of experiment.py as it stands:\n```python\n")[2].partition("\n```")[0]
        return "experiment.py\n```python\n" + code.replace("return missing_name", "return 1") + "\n```\n"

    model = ScriptedModel([PLAN + BROKEN, gone, gone, whole, NO_PLOT_EDIT, NOTES])
    state = study.loop(model, runner=instant_runner()).run()
    assert state.ended and state.ended.completed and state.rows[0].attempts == 2


def test_a_prompt_that_the_model_finds_too_long_is_shortened_twice_then_the_idea_pauses(
    long_study: Callable[..., Study],
) -> None:
    study = long_study(limits=Limits(max_runs=1))
    full = ContextTooLong("scripted/model", "maximum context length is 512 tokens")
    model = ScriptedModel([full, full, full])
    state = study.loop(model, runner=instant_runner()).run()
    first, second, third = (count_tokens(r.messages) for r in model.requests)
    assert second <= first // 2 and third < second
    assert state.pause and state.pause.kind is PauseKind.PROVIDER and "maximum context length" in state.pause.reason
    assert state.run.attempts_spent == 0 and state.spent.calls == 0

    model = ScriptedModel([full, PLAN + FASTER, NO_PLOT_EDIT, NOTES])
    state = study.loop(model, runner=instant_runner()).run()
    assert state.ended and state.ended.completed
    kept = load_request(study.workspace.journal().get(first_request(study)))
    assert count_tokens(kept.messages) == count_tokens(model.requests[1].messages) and kept.shown


def first_request(study: Study) -> str:
    found = (getattr(e.result, "request", "") for e in study.workspace.journal().events if isinstance(e, Finished))
    return next(request for request in found if request)


def test_the_next_turn_tells_curves_diagnostics_and_components(long_study: Callable[..., Study]) -> None:
    study = long_study()
    named = "PLAN:\n1. Raise LR and keep MOMENTUM; expect score above 0.9\n2. More\n\n"
    model = ScriptedModel([named + FASTER, DONE, NO_PLOT_EDIT, NOTES])
    study.loop(model).run()
    text = prompt_of(model.requests[1])
    assert "Curves of the run (first | at 10, 50, 90 % | last):\n- loss: " in text and "at step 39" in text
    assert "- warning: final_loss = " in text and "How far the search stopped from the minimum." in text
    assert "Components in the present code: LR = 0.1; MOMENTUM = 0.0 (off)" in text
    assert "Curves" not in prompt_of(model.requests[0]) and "Curves" not in prompt_of(model.requests[3])


def test_the_curve_of_a_failed_attempt_is_told_as_far_as_it_came(study: Study) -> None:
    guard = "    if not os.environ.get('SCIENTIST_SMOKE'):\n        raise RuntimeError('too late')\n"
    crash, mend = block("experiment.py", LAST, guard + LAST), block("experiment.py", guard, "")
    model = ScriptedModel([PLAN + FASTER + crash, mend, DONE, NO_PLOT_EDIT, NOTES])
    state = study.loop(model).run()
    assert state.ended and state.ended.completed and state.rows[0].attempts == 2
    text = prompt_of(model.requests[1])
    assert "too late" in text and "Curves of that attempt, as far as it came" in text and "- loss: " in text


def test_a_curve_that_is_a_link_is_not_followed(study: Study) -> None:
    secret = study.workspace.path.parent / "secret.jsonl"
    secret.write_text(json.dumps({"step": 1, "name": "password", "value": 1}) + "\n")
    plant = f"    (out / 'metrics.jsonl').unlink()\n    (out / 'metrics.jsonl').symlink_to({str(secret)!r})\n"
    figures = [NO_PLOT_EDIT, NO_PLOT_EDIT]  # plot.py finds no curve: the link is not published
    model = ScriptedModel([PLAN + block("experiment.py", LAST, LAST + plant), DONE, *figures, NOTES])
    study.loop(model).run()
    text = prompt_of(model.requests[1])
    assert "password" not in text
    published = study.workspace.run_folder(1)
    assert not (published / "metrics.jsonl").is_symlink()
    assert "metrics.jsonl is a link that leads out of the run's folder" in (published / "log.txt").read_text()


@pytest.mark.parametrize("mode", ["vllm-gemma3", "deepseek"])
def test_a_real_server_with_a_small_window_is_served(
    mode: str, long_study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = long_study(limits=Limits(max_runs=1))
    replies = iter([PLAN + FASTER, NO_PLOT_EDIT, NOTES])
    with StrictServer(mode, replies=lambda messages: next(replies), context_tokens=1500) as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        model = LiteLLMModel(server.model, ProviderPatience(20.0, sleep=lambda seconds: None))
        state = study.loop(model, runner=instant_runner()).run()
        statuses = server.statuses()
    assert state.ended and state.ended.completed and state.completed_runs == 1, state.pause
    assert statuses.count(400) >= 1 and statuses.count(200) == 3 and len(statuses) <= 5
