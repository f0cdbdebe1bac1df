"""Planner, editor and reviewer as three models in the whole loop: real git, scripted replies, real steps in crashes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest

from agent.cli.commands.show import describe_idea, describe_run
from agent.core.journal.action_results import Asked, Handed, Opened, Refused, Reviewed
from agent.core.journal.budget import Limits
from agent.core.journal.events import Event, Finished, Started
from agent.core.journal.kinds import PauseKind, Role, Step
from agent.core.journal.state import State
from agent.core.model.messages import Rules, normalise
from agent.edges.model.protocol import ModelReply, Models, Request
from agent.edges.workspace.journal import Journal
from agent.errors import ProviderRefused
from tests.fakes import Line, ScriptedModel, block
from tests.loop.conftest import IDEA, Study
from tests.loop.instant import Crash, crash_before_records, instant_runner
from tests.loop.lines import DONE, FASTER, LR, NO_PLOT_EDIT, NOTES
from tests.loop.test_resume import (
    place,
    resume_until_ended,
    resume_until_ended_by_last_event,
    story_of,
    supervised,
)

ROLES = {"editor_model": "scripted/editor", "reviewer_model": "scripted/reviewer"}
PLAN = """PLAN:
1. Raise the learning rate.
   Hypothesis: training stops before it converges.
   Expected: score >= 0.9
   Refuted if: score < 0.7
2. Add momentum

"""
PROSE = "In experiment.py set LR = 0.1. Nothing else changes.\n"
REVIEW = "JUDGEMENT: supported\nREASON: the score rose to 0.99.\nSUGGESTIONS:\n- add momentum\n"
REVISION = REVIEW.replace("supported", "revise") + 'REVISED IDEA:\n```json\n{"Experiment": "Momentum alone."}\n```\n'


@dataclass
class Cast:
    """Three scripted models."""

    planner: ScriptedModel
    editor: ScriptedModel
    reviewer: ScriptedModel

    @property
    def models(self) -> Models:
        return Models(self.planner, self.editor, self.reviewer)


def cast(planner: Sequence[Line], editor: Sequence[Line] = (), reviewer: Sequence[Line] = ()) -> Cast:
    return Cast(
        ScriptedModel(planner), ScriptedModel(editor, "scripted/editor"), ScriptedModel(reviewer, "scripted/reviewer")
    )


@pytest.fixture
def study(make_study: Callable[..., Study]) -> Study:
    return make_study(limits=Limits(max_runs=2), **ROLES)


def play(study: Study, team: Cast) -> State:
    """To the end; every request of everybody was well-formed, and nothing of the script is left."""
    state = study.loop(team.models, runner=instant_runner()).run()
    assert state.ended and state.ended.completed, state.ended or state.pause
    for model in (team.planner, team.editor, team.reviewer):
        for request in model.requests:
            assert list(request.messages) == normalise(request.messages, Rules())
        assert next(model._rest, None) is None
    return state


def results(study: Study, kind: type) -> list[object]:
    events = study.workspace.journal().events
    return [e.result for e in events if isinstance(e, Finished) and isinstance(e.result, kind)]


def said(model: ScriptedModel, number: int) -> str:
    return model.requests[number].messages[-1].content


# The editor


def test_the_planners_prose_goes_to_the_editor_whose_blocks_are_applied(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=2), editor_model="scripted/editor")
    team = cast([PLAN + PROSE, DONE, NO_PLOT_EDIT, NOTES], [FASTER])
    state = play(study, team)

    system, user = team.editor.requests[0].messages
    assert "You edit a program as you are instructed" in system.content and "SEARCH/REPLACE" in system.content
    assert "set LR = 0.1. Nothing else changes." in user.content and "LR = 0.02" in user.content
    assert "# Idea" not in user.content and "# Baseline" not in user.content
    assert "SEARCH/REPLACE" not in "".join(m.content for m in team.planner.requests[0].messages)
    (edit, *_) = [c for c in study.workspace.repo().log() if "experiment.py" in c.files][1:]
    assert edit.subject == "Run 1: Raise the learning rate" and edit.trailers["Plan-Item"] == "1"
    assert (edit.trailers["Model"], edit.trailers["Planner"]) == ("scripted/editor", "scripted/model")
    assert [a.role for a in results(study, Asked)] == [  # type: ignore[attr-defined]
        Role.PLANNER, Role.EDITOR, Role.PLANNER, Role.PLANNER, Role.PLANNER
    ]  # fmt: skip
    assert state.completed_runs == 1


def test_good_blocks_of_the_planner_itself_need_no_editor(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=1), editor_model="scripted/editor")
    team = cast([PLAN + FASTER, NO_PLOT_EDIT, NOTES])
    play(study, team)
    assert team.editor.requests == [] and results(study, Handed) == []


def test_replicate_of_the_planner_is_acted_on_at_once(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=2), editor_model="scripted/editor")
    team = cast([PLAN + PROSE, "REPLICATE\n", NO_PLOT_EDIT, NOTES], [FASTER])
    assert play(study, team).rows[0].settings == play_rows(study)[1].settings
    assert len(team.editor.requests) == 1


def play_rows(study: Study) -> tuple[object, ...]:
    return study.loop([]).state.rows


def test_a_refused_edit_is_repaired_with_the_editor(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=1), editor_model="scripted/editor")
    wrong = block("experiment.py", "LR = 7\n", "LR = 0.1\n")
    team = cast([PLAN + PROSE, NO_PLOT_EDIT, NOTES], [wrong, FASTER])
    play(study, team)
    assert [m.role for m in team.editor.requests[1].messages] == ["system", "user", "assistant", "user"]
    assert "SEARCH not found" in said(team.editor, 1) and "Send only the blocks that failed" in said(team.editor, 1)


def test_a_plan_that_led_to_no_change_goes_back_to_the_planner_and_runs_nothing(
    make_study: Callable[..., Study],
) -> None:
    study = make_study(limits=Limits(max_runs=1, repairs=0), editor_model="scripted/editor")
    vague = "Make it learn faster.\n"
    helpless = "The file has no such function.\n"
    team = cast([PLAN + vague, PROSE, NO_PLOT_EDIT, NOTES], [helpless, helpless, FASTER])
    play(study, team)
    assert [m.role for m in team.planner.requests[1].messages] == ["system", "user", "assistant", "user"]
    told = said(team.planner, 1)
    assert (
        told.startswith("Your plan led to no change, because") and "holds no whole file or function in a fence" in told
    )
    assert "The file has no such function." in told and "SEARCH/REPLACE block." not in told.splitlines()[-1]
    assert "Make it learn faster." in said(team.editor, 0) and "Nothing else changes." in said(team.editor, 2)
    assert [o.folder for o in results(study, Opened) if o.step is Step.RUN] == ["run_1.1"]  # type: ignore[attr-defined]


def test_the_editor_sees_the_failure_that_it_is_to_mend(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=1), editor_model="scripted/editor")
    broken = block("experiment.py", LR, "LR = undefined_rate\n")
    mended = block("experiment.py", "LR = undefined_rate\n", "LR = 0.1\n")
    team = cast([PLAN + PROSE, "Write 0.1 in place of that name.\n", NO_PLOT_EDIT, NOTES], [broken, mended])
    play(study, team)
    assert "F821 undefined name 'undefined_rate'" in said(team.editor, 1)
    assert "the failure" not in said(team.editor, 0).lower()


def test_an_editor_cannot_close_the_study(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=2), editor_model="scripted/editor")
    team = cast([PLAN + PROSE, PROSE, NO_PLOT_EDIT, NOTES], [FASTER, "ALL_COMPLETED\n", MORE])
    state = play(study, team)
    assert state.completed_runs == 2


MORE = block("experiment.py", "LR = 0.1  # search: log 1e-3..0.4\n", "LR = 0.15  # search: log 1e-3..0.4\n")


# What was expected


def test_feedback_opens_with_expected_against_measured(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=2))
    team = cast([PLAN + FASTER, MORE, NO_PLOT_EDIT, NOTES])
    state = play(study, team)
    told = said(team.planner, 1).rpartition("# Now\n\n")[2]
    measured = f"{state.rows[0].values['score']:.4g}"
    assert told.startswith(
        "Run 1 completed: Raise the learning rate.\nHypothesis: training stops before it converges.\n"
        f"Expected: score >= 0.9. Measured: score = {measured} against >= 0.9: met"
    )
    assert "Refuted if: score < 0.7. That did not happen." in told


# The reviewer


def test_a_review_is_kept_told_to_the_planner_and_shown_beside_its_run(study: Study) -> None:
    team = cast([PLAN + PROSE, DONE, NO_PLOT_EDIT, NOTES], [FASTER], [REVIEW])
    state = play(study, team)
    asked = team.reviewer.requests[0].messages
    assert [m.role for m in asked] == ["system", "user"]
    for words in ("Expected: score >= 0.9", "Verdict: no difference", "plain, 5 seeds", "1: [over] as the runs"):
        assert words in asked[1].content
    assert "LR = 0.1  # search" not in asked[1].content, "the reviewer pays for no code"
    told = said(team.planner, 1)
    assert "The reviewer judges the idea: supported. the score rose to 0.99." in told and "- add momentum" in told
    assert "idea supported" in told  # in the row of the run
    notes = (study.workspace.path / "notes.txt").read_text()
    assert "## Review after run 1: supported\n\nthe score rose to 0.99.\n\n- add momentum\n" in notes
    review = state.rows[0].review
    assert review and review.judgement == "supported" and state.idea_version == 1
    shown = describe_run(study.workspace, state, study.template, state.rows[0])
    assert (shown["expected"], shown["judgement"], shown["suggestions"]) == (
        "score >= 0.9",
        "supported",
        ["add momentum"],
    )
    about = describe_idea(study.workspace, state, study.template)
    assert (about["editor"], about["reviewer"], about["idea"]) == ("scripted/editor", "scripted/reviewer", "")
    assert about["runs"][0].endswith("; idea supported)")
    assert study.workspace.repo().dirty_files() == []


def test_a_revised_idea_is_a_new_version_with_the_original_kept(study: Study) -> None:
    team = cast([PLAN + PROSE, DONE, NO_PLOT_EDIT, NOTES], [FASTER], [REVISION])
    state = play(study, team)
    path = study.workspace.path
    assert json.loads((path / "idea.json").read_text())["Experiment"] == "Momentum alone."
    assert (path / "idea.v1.json").read_text() == IDEA.to_json() and state.idea_version == 2
    (commit,) = [c for c in study.workspace.repo().log() if "idea.json" in c.files][1:]
    assert commit.subject == "Run 1: the reviewer revises the idea, version 2"
    assert commit.trailers["Idea-Version"] == "2" and commit.trailers["Model"] == "scripted/reviewer"
    told = said(team.planner, 1)
    assert "Experiment: Momentum alone." in told and "Try momentum and learning rates" not in told
    assert "It revised the idea after that run" in told


def test_the_name_and_the_primary_metric_are_frozen(study: Study) -> None:
    renamed = REVISION.replace('{"Experiment"', '{"Name": "other", "Experiment"')
    team = cast([PLAN + PROSE, DONE, NO_PLOT_EDIT, NOTES], [FASTER], [renamed, renamed])
    state = play(study, team)
    assert "the revised idea is refused: field Name is frozen since launch" in said(team.reviewer, 1)
    assert state.idea_version == 1 and not (study.workspace.path / "idea.v1.json").exists()
    assert state.rows[0].review and state.rows[0].review.judgement == "revise"
    assert state.warnings == ("the revision of the idea after run 1 was left out: field Name is frozen since launch",)


def test_a_reviewer_reflects_until_it_is_done(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=1), reflections=3, reviewer_model="scripted/reviewer")
    changed = REVIEW.replace("supported", "untestable here")
    team = cast([PLAN + FASTER, NO_PLOT_EDIT, NOTES], (), [REVISION, changed, "I am done\n"])
    state = play(study, team)
    assert "Look at your review again" in said(team.reviewer, 1)
    assert len(team.reviewer.requests[2].messages) == 6
    assert state.rows[0].review and state.rows[0].review.judgement == "untestable here"
    assert state.idea_version == 1, "a revision that reflection took back is none"
    assert [r.final for r in results(study, Reviewed)] == [False, False, True]  # type: ignore[attr-defined]


def test_a_review_of_no_use_is_quoted_back_once_then_left_out(study: Study) -> None:
    team = cast([PLAN + PROSE, DONE, NO_PLOT_EDIT, NOTES], [FASTER], ["JUDGEMENT: maybe\n", "All is well.\n"])
    state = play(study, team)
    assert "Line 1 of your reply, 'JUDGEMENT: maybe': the judgement must be one of" in said(team.reviewer, 1)
    assert state.rows[0].review is None and state.completed_runs == 1
    assert state.warnings[0].startswith("the review of run 1 was left out: review: the reply ends here")
    assert "reviewer judges" not in said(team.planner, 1)


def test_a_reviewer_that_is_refused_pauses_and_a_resume_asks_it_again(study: Study) -> None:
    team = cast([PLAN + PROSE], [FASTER], [ProviderRefused("scripted/reviewer", "insufficient balance")])
    state = study.loop(team.models, runner=instant_runner()).run()
    assert state.pause and state.pause.kind is PauseKind.PROVIDER and state.completed_runs == 1
    play(study, cast([DONE, NO_PLOT_EDIT, NOTES], (), [REVIEW]))


# Cut replies


def test_a_reply_that_was_cut_is_told_so_and_half_an_edit_never_runs(make_study: Callable[..., Study]) -> None:
    study = make_study(limits=Limits(max_runs=1))
    half = PLAN + FASTER + "experiment.py\n```python\n<<<<<<< SEARCH\nMOMENTUM = 0.0  # search: 0.0..0.9\n=======\nMOM"
    rest = block("experiment.py", "MOMENTUM = 0.0  # search: 0.0..0.9\n", "MOMENTUM = 0.3  # search: 0.0..0.9\n")

    class Cutting(ScriptedModel):
        def ask(self, request: Request) -> ModelReply:
            reply = super().ask(request)
            return replace(reply, finish_reason="length" if len(self.requests) == 1 else "stop")

    model = Cutting([half, rest, NO_PLOT_EDIT, NOTES])
    state = study.loop(model, runner=instant_runner()).run()
    assert state.ended and state.ended.completed
    told = said(model, 1)
    assert told.startswith("Your reply was cut at its length limit") and "send less at once" in told
    assert "malformed" not in told and "need not be sent again" in told
    assert state.rows[0].settings == {"LR": 0.1, "MOMENTUM": 0.3}
    (refused,) = results(study, Refused)
    assert refused.summary.startswith("your reply was cut at its length limit")  # type: ignore[attr-defined]


# Crashes

STORY: dict[Role, list[str]] = {
    Role.PLANNER: [PLAN + "Faster.\n", PROSE, "REPLICATE\n", NO_PLOT_EDIT, NOTES],
    Role.EDITOR: ["no idea", "no idea either", FASTER],
    Role.REVIEWER: ["Nothing to say.", REVISION, "I am done", REVIEW, "I am done"],
}


@dataclass
class Recalled:
    """Says the line that the journal has not acknowledged yet, as a provider would; counts what it was asked."""

    role: Role
    journal: list[Journal]
    asked: Counter[int] = field(default_factory=Counter)

    window_tokens, takes_files = None, False

    @property
    def name(self) -> str:
        return f"scripted/{self.role}"

    def ask(self, request: Request) -> ModelReply:
        events = self.journal[0].events
        done = sum(isinstance(e, Finished) and getattr(e.result, "role", None) == self.role for e in events)
        self.asked[done] += 1
        return ModelReply(STORY[self.role][done], self.name)


@dataclass
class Troupe:
    """Three models that recall the same journal; stands where `resume_until_ended` expects one."""

    held: list[Journal]

    def __post_init__(self) -> None:
        self.parts = [Recalled(role, self.held) for role in Role]

    @property
    def models(self) -> Models:
        return Models(*self.parts)

    @property
    def asked(self) -> set[int]:
        return {count for part in self.parts for count in part.asked.values()}


@pytest.fixture
def make_played(make_study: Callable[..., Study]) -> Callable[[str], Study]:
    def make(batch: str) -> Study:
        return make_study(limits=Limits(max_runs=2, repairs=0), batch=batch, reflections=1, **ROLES)

    return make


@pytest.fixture
def told(make_played: Callable[[str], Study]) -> tuple[dict[str, object], Counter[str]]:
    study = make_played("told")
    troupe = Troupe([study.workspace.journal()])
    loop = study.loop(troupe.models)
    troupe.held[0] = loop.journal
    state = loop.run()
    assert state.ended and state.ended.completed and state.idea_version == 2 and state.completed_runs == 2
    assert troupe.asked == {1} and all(sum(p.asked.values()) == len(STORY[p.role]) for p in troupe.parts)
    return story_of(study.workspace), supervised(study.workspace)


def start_of(study: Study, troupe: Troupe, watch: Callable[[Event, State], None] | None) -> Callable[[object], State]:
    def start(_: object) -> State:
        loop = study.loop(troupe.models, watch=watch)
        troupe.held[0] = loop.journal
        return loop.run()

    return start


@pytest.mark.slow  # quick: the next test, and the same with one model in test_resume.py
def test_a_crash_after_every_event_changes_nothing_with_three_models(
    make_played: Callable[[str], Study], told: tuple[dict[str, object], Counter[str]]
) -> None:
    study = make_played("crashed")
    begun: set[object] = set()

    def crash(event: Event, state: State) -> None:
        where = (place(event, state), state.reviewing)
        if event.type == "resumed" or (isinstance(event, Started) and where in begun):
            return
        begun.add(where)
        raise Crash

    troupe = Troupe([study.workspace.journal()])
    resume_until_ended_by_last_event(study, start_of(study, troupe, crash))
    assert story_of(study.workspace) == told[0]
    assert supervised(study.workspace) == told[1]
    assert troupe.asked == {1}


@pytest.mark.slow  # quick: the same with one model in test_resume.py
def test_a_crash_after_every_effect_before_its_record_changes_nothing_with_three_models(
    make_played: Callable[[str], Study],
    told: tuple[dict[str, object], Counter[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = make_played("crashed")
    troupe = Troupe([study.workspace.journal()])
    crashed = crash_before_records(monkeypatch)
    resume_until_ended(study, start_of(study, troupe, None))
    assert len(crashed) > 25
    assert story_of(study.workspace) == told[0]
    assert supervised(study.workspace) == told[1]
    assert troupe.asked == {2}  # each was in flight once
