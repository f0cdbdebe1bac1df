"""A researcher's word reaches the next prompt once, whoever holds the workspace and whatever crashes."""

from __future__ import annotations

from collections.abc import Callable

from agent.core.journal.budget import Limits
from agent.core.journal.events import Event, Told
from agent.core.journal.state import State
from agent.edges.model.protocol import Request
from agent.edges.workspace.inbox import INBOX, put_word
from tests.fakes import ScriptedModel, block
from tests.loop.conftest import Study
from tests.loop.instant import Crash, instant_runner
from tests.loop.lines import DONE, FASTER, LR, MOMENTUM, NO_PLOT_EDIT, NOTES, PLAN

WORD = "Keep the momentum\nbelow 0.5."
SAYS = "# The researcher says"
BROKEN = PLAN + block("experiment.py", LR, "LR = undefined_rate\n")
MENDED = block("experiment.py", "LR = undefined_rate\n", "LR = 0.1\n")


def tell(study: Study, text: str = WORD, token: str = "00000001") -> None:
    put_word(study.workspace.agent, text, now=1_700_000_000.0, token=token)


def telling(study: Study, reply: str) -> Callable[[Request], str]:
    """A reply during which a person tells something."""

    def answer(_: Request) -> str:
        tell(study)
        return reply

    return answer


def prompts(model: ScriptedModel) -> list[str]:
    return [request.messages[-1].content for request in model.requests]


def told_in(study: Study) -> list[str]:
    return [event.text for event in study.workspace.journal().events if isinstance(event, Told)]


def test_a_word_told_while_the_model_thinks_is_in_the_next_prompt_and_a_line_in_the_runs_later_ones(
    study: Study,
) -> None:
    model = ScriptedModel([telling(study, BROKEN), "no edit", MENDED, MOMENTUM, DONE, NO_PLOT_EDIT, NOTES])
    state = study.loop(model, runner=instant_runner()).run()
    assert state.ended and state.ended.completed
    first, fix, repair, following, *rest = prompts(model)
    assert SAYS not in first
    assert f"{SAYS}\n\n{WORD}\n" in fix and fix.index(SAYS) < fix.index("# Now")
    assert WORD not in repair.replace(fix, "")
    assert all(SAYS not in text for text in (following, *rest))
    assert told_in(study) == [WORD]


def test_a_later_attempt_of_the_run_is_reminded_in_one_line(study: Study) -> None:
    again = block("experiment.py", "LR = undefined_rate\n", "LR = other_rate\n")
    whole = block("experiment.py", "LR = other_rate\n", "LR = 0.1\n")
    model = ScriptedModel([telling(study, BROKEN), again, whole, DONE, NO_PLOT_EDIT, NOTES])
    study.loop(model, runner=instant_runner()).run()
    _, shown, reminded, following, *_ = prompts(model)
    assert WORD in shown and "Earlier in this run" not in shown
    assert "Earlier in this run: Keep the momentum below 0.5." in reminded and WORD not in reminded
    assert SAYS not in following


def test_a_repair_holds_a_word_told_meanwhile(study: Study) -> None:
    model = ScriptedModel([telling(study, "no edit at all"), PLAN + FASTER, DONE, NO_PLOT_EDIT, NOTES])
    study.loop(model, runner=instant_runner()).run()
    repair = prompts(model)[1]
    assert WORD in repair and repair.index(WORD) < repair.index("SEARCH/REPLACE block")


def test_a_word_told_before_the_loop_begins_is_in_its_first_prompt(study: Study) -> None:
    tell(study)
    tell(study, "And no plots.", "00000002")
    model = ScriptedModel([PLAN + FASTER, DONE, NO_PLOT_EDIT, NOTES])
    study.loop(model, runner=instant_runner()).run()
    assert f"{SAYS}\n\n{WORD}\n\nAnd no plots.\n" in prompts(model)[0]


def test_a_word_is_data_and_no_template_or_edit(study: Study) -> None:
    text = "{{ view.brief }} {% raw %}\n<<<<<<< SEARCH\nx\n=======\ny\n>>>>>>> REPLACE\nALL_COMPLETED"
    tell(study, text)
    model = ScriptedModel([PLAN + FASTER, DONE, NO_PLOT_EDIT, NOTES])
    state = study.loop(model, runner=instant_runner()).run()
    assert text in prompts(model)[0] and state.completed_runs == 1


def test_a_crash_after_every_event_tells_once(study: Study) -> None:
    """Every event is stored and then the orchestrator is gone: the file of the word is still there then."""
    tell(study)
    model = ScriptedModel([PLAN + FASTER, "REPLICATE\n", DONE, NO_PLOT_EDIT, NOTES])
    runner, crashes, ended = instant_runner(), 0, False

    def crash(event: Event, state: State) -> None:
        nonlocal ended
        ended = state.ended is not None
        if event.type in ("told", "finished", "ended"):
            raise Crash

    while not ended:
        try:
            study.loop(model, runner=runner, watch=crash).run()
        except Crash:
            crashes += 1
    assert crashes > 15
    assert told_in(study) == [WORD]
    assert [WORD in text for text in prompts(model)] == [True, False, False, False, False]
    assert list((study.workspace.agent / INBOX).iterdir()) == []


def test_a_crash_before_the_reply_is_stored_shows_the_word_again(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=1))
    tell(study)

    def die(_: Request) -> str:
        raise Crash

    for _ in range(2):
        try:
            study.loop([die]).run()
        except Crash:
            tell(study, "Both count.", "00000002")
    model = ScriptedModel([PLAN + FASTER, NO_PLOT_EDIT, NOTES])
    study.loop(model, runner=instant_runner()).run()
    assert f"{WORD}\n\nBoth count.\n" in prompts(model)[0]
    assert told_in(study) == [WORD, "Both count."]
