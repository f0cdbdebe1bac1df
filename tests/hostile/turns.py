"""Readers that need the state of an idea: a reply of each role, and requests with foreign text in each place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from agent.core.edit.apply import apply_reply
from agent.core.failure.diagnose import Failure, FailureKind
from agent.core.inputs.idea import Idea
from agent.core.inputs.refs import Reference
from agent.core.inputs.spec import TemplateSpec
from agent.core.journal.events import Ended, Paused, Told
from agent.core.journal.kinds import PauseKind, PlanItem, Purpose
from agent.core.journal.state import State
from agent.core.model.messages import Message
from agent.core.prompt.conversation import continue_chat, excerpt_staged, open_chat
from agent.core.prompt.parts import show_parts
from agent.core.prompt.render import render_no_change, render_refusal
from agent.core.prompt.view import Study, TurnTexts, TurnView, view_turn
from agent.core.reply.outcome import Refusal, read_reply
from agent.core.reply.turn import Turn
from agent.edges.git.log import Commit
from agent.report.history import edit_rows
from agent.report.overview import survey
from agent.report.progress import describe
from agent.report.status import Activity, stand
from tests.core.journal_by_hand import Story

__all__ = ["TURNS"]

NAMES: Final = ("experiment.py", "plot.py", "notes.txt")
CODE: Final = "LR = 1\n\n\ndef train():\n    return LR\n\n\ntrain()\n"
FILES: Final = {"experiment.py": CODE, "plot.py": "a = 1\n", "notes.txt": "# Notes\n"}
SPEC: Final = TemplateSpec(name="t", command="python experiment.py --out_dir={out_dir}")
BUDGET: Final = 8_000


def fresh() -> State:
    return Story().state


def handed() -> State:
    story = Story(editor_model="openai/b")
    story.hand()
    return story.state


def after_run() -> State:
    story = Story()
    story.complete_run()
    return story.state


def failed() -> State:
    story = Story()
    story.complete_run()
    story.fail_attempt()
    return story.state


def told(text: str) -> State:
    """A failure in the words of a program, after a plan in the words of a model."""
    state = failed()
    failure = Failure(FailureKind.EXCEPTION, text[:300], text[:6000], None, "a")
    run = replace(state.run, failures=(failure,))
    return replace(state, run=run, plan=(PlanItem(2, text),), done_items=())


def read(state: State, text: str, purpose: Purpose = Purpose.NEXT) -> object:
    return read_reply(state, Turn(purpose, FILES, NAMES, NAMES[:1], reply=text, instruction="Change LR."))


def view(
    purpose: Purpose,
    *,
    state: State | None = None,
    files: dict[str, str] | None = None,
    idea: str = "",
    brief: str = "",
    texts: TurnTexts | None = None,
) -> TurnView:
    study = Study(SPEC, Idea(Title="A", Experiment=f"b {idea}"), brief)
    return view_turn(state or fresh(), study, purpose, {**FILES, **(files or {})}, texts)


def ask(found: TurnView) -> object:
    """The request in a window that is too small for it."""
    return open_chat(show_parts(found), BUDGET)


def status(text: str) -> object:
    """What a terminal is told of an idea that stands at a text, and of its events."""
    paused, word = Paused(PauseKind.PROVIDER, text), Told("1700000000000-00000000", text)
    ended = Ended(completed=False, summary=text, warnings=(text,))
    state = replace(told(text), pause=paused, ended=ended)
    waits = replace(state, ended=None)
    standings = [stand("ws/a", shown, SPEC, (), Activity(is_held=False, fresh=False)) for shown in (state, waits)]
    events = [describe(event, state) for event in (paused, word, ended)]
    shown = [str(line) for width in (80, None) for line in survey(standings, width, "--all")]
    return [*shown, *events, *(line for event in events for line in (event or "").splitlines())]


def go_on(text: str, files: dict[str, str] | None = None) -> object:
    """The request after a reply that was refused."""
    base = {**FILES, **(files or {})}
    result = apply_reply(base, text, editable=NAMES)
    refusal = Refusal("a", tuple(result.rejected), len(result.applied), result.staged)
    turn = Turn(Purpose.REPAIR, base, NAMES, NAMES[:1], past=(Message("user", "a"),), reply=text)
    feedback = render_refusal(excerpt_staged(refusal, turn), base)
    found = view(Purpose.REPAIR, files=files, texts=TurnTexts(feedback))
    return continue_chat(turn, found, BUDGET, lambda room: open_chat(found, room))


TURNS: Final[dict[str, Callable[[str], object]]] = {
    "read_reply": lambda text: read(fresh(), text),
    "read_reply, an editor": lambda text: read(handed(), text, Purpose.EDIT),
    "read_reply, after a failure": lambda text: read(failed(), text, Purpose.FIX),
    "continue_chat": go_on,
    "continue_chat, the file": lambda text: go_on(
        "experiment.py\n```\n<<<<<<< SEARCH\ny\n=======\nz\n>>>>>>> REPLACE\n```\n", {"experiment.py": text}
    ),
    "open_chat, the file": lambda text: ask(view(Purpose.NEXT, state=after_run(), files={"experiment.py": text})),
    "open_chat, a failure": lambda text: ask(view(Purpose.FIX, state=told(text), texts=TurnTexts(text, "", text))),
    "open_chat, an instruction": lambda text: ask(view(Purpose.EDIT, texts=TurnTexts("", text))),
    "open_chat, notes": lambda text: ask(view(Purpose.NOTES, files={"notes.txt": text})),
    "open_chat, a plot": lambda text: ask(view(Purpose.PLOT, files={"plot.py": text})),
    "open_chat, an idea": lambda text: ask(view(Purpose.PLAN, idea=text)),
    "open_chat, a brief": lambda text: ask(view(Purpose.PLAN, brief=text)),
    "open_chat, a reference": lambda text: ask(
        replace(view(Purpose.PLAN), refs=(Reference("refs/a.md", text), Reference("refs/b.md", text)))
    ),
    "open_chat, a review": lambda text: ask(
        view(Purpose.REVIEW, state=after_run(), files={"notes.txt": text}, idea=text)
    ),
    "status": status,
    "history": lambda text: edit_rows([Commit("a" * 40, 0.0, text, {"Run": text, "Attempt": text, "Model": text})], {}),
    "render_no_change": lambda text: render_no_change(text, text),
}
