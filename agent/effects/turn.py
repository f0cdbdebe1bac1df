"""The turn of a chat that a request or a reply belongs to, and the view of it that a model is shown."""

from __future__ import annotations

import json
from dataclasses import replace

from agent.core.failure.diagnose import DETAIL_CHARS
from agent.core.failure.folding import cut_middle
from agent.core.journal.kinds import Purpose
from agent.core.journal.roles import chat_of, role_of
from agent.core.journal.state import State
from agent.core.prompt.conversation import ChatRequest, load_request
from agent.core.prompt.excerpt import changed_lines
from agent.core.prompt.parts import show_parts
from agent.core.prompt.view import Study, TurnTexts, TurnView, goes_on, view_turn
from agent.core.reply.example import example_of
from agent.core.reply.turn import Turn, editable_at
from agent.core.text.reasoning import strip_reasoning
from agent.edges.run.prepare_step import limits_of
from agent.edges.system.untrusted import read_untrusted
from agent.edges.template.load import Template
from agent.effects.edges import Edges
from agent.effects.feedback import add_feedback
from agent.errors import IntegrityError

DIFF_CHARS = 1500
LAST_WORDS_CHARS = 1500
READABLE = (".py", ".toml", ".yaml", ".yml")
MOST_BESIDE = 60  # files
BESIDE_BYTES = 200_000  # of one


def take_turn(edges: Edges, state: State, purpose: Purpose) -> Turn:
    """The turn as repository and journal hold it, with the keys that were taken out of texts of the journal."""
    spec = edges.template.spec
    files = edges.repo.read(state.code.head)
    first = files if state.code.head == state.launched.commit else edges.repo.read(state.launched.commit)
    with_keys = edges.journal.redact.undo_in(files.values())

    def text_of(blob: str) -> str:
        return edges.journal.get(blob) if blob else ""

    chat, staged = chat_of(state, purpose), state.attempt.conversation.staged
    past = load_request(text_of(chat.request)) if chat.request else ChatRequest(())
    return Turn(
        purpose=purpose,
        files=files,
        editable=editable_at(state.stage, spec.editable),
        run_files=spec.run_files,
        staged={name: with_keys(text) for name, text in json.loads(text_of(staged or "") or "{}").items()},
        past=past.messages,
        seen=past.shown,
        reply=with_keys(text_of(chat.reply)),
        feedback=with_keys(text_of(chat.feedback)),
        instruction=text_of(chat.instruction),
        example=example_of(first, spec.run_files),
        beside=_beside(edges.template),
        answers=past.answers,
    )


def _beside(template: Template) -> dict[str, str]:
    """Code that lies in the template's folder and not in the workspace's repository."""
    names = [name for name in template.companions if name.endswith(READABLE)][:MOST_BESIDE]
    texts = {name: read_untrusted(template.folder / name, BESIDE_BYTES, within=template.folder) for name in names}
    return {name: text.decode("utf-8", "replace") for name, text in texts.items() if isinstance(text, bytes)}


def show_turn(edges: Edges, state: State, turn: Turn) -> TurnView:
    """Everything that the model is shown, before it is put into words."""
    template = edges.template
    failed_diff, changed = _failed_diff(edges, state, turn)
    idea = edges.workspace.idea(edges.repo, state.code.head)
    study = Study(template.spec, idea, template.brief, template.baselines, limits_of(template))
    last_words = _last_words(edges, state, turn.purpose)
    texts = TurnTexts(turn.feedback, turn.instruction, failed_diff, _set_aside_diff(edges, state), last_words)
    files = {**turn.beside, **turn.files}
    view = view_turn(_with_detail(edges, state), study, turn.purpose, files, texts)
    view = replace(add_feedback(view, edges.workspace, turn.files), example=turn.example)
    model = edges.models.of(role_of(state, turn.purpose))
    return view if model.takes_files else show_parts(view, changed, model.window_tokens)


def _with_detail(edges: Edges, state: State) -> State:
    """The state with the text of the last failure, if that was a refused reply: the journal keeps a blob of it."""
    failure = state.run.failure
    if failure is None or not failure.is_edit:
        return state
    told = replace(failure, detail=cut_middle(edges.journal.get(failure.detail), DETAIL_CHARS))
    return replace(state, run=replace(state.run, failures=(*state.run.failures[:-1], told)))


def _last_words(edges: Edges, state: State, purpose: Purpose) -> str:
    """The planner's reply at the end of the study, if that goes on now."""
    if not state.last_words or not goes_on(state, purpose):
        return ""
    try:
        words = edges.journal.get(state.last_words)
    except IntegrityError:  # `verify` tells it, and nothing else is lost
        return ""
    return cut_middle(strip_reasoning(words).strip(), LAST_WORDS_CHARS)


def _failed_diff(edges: Edges, state: State, turn: Turn) -> tuple[str, dict[str, frozenset[int]]]:
    """The edit that failed, unless it is long, and by file the lines that it changed."""
    failed = state.run.failed_commit
    if turn.purpose is not Purpose.FIX or state.code.clean or not failed:
        return "", {}
    diff = edges.repo.diff(f"{failed}~1", failed, *turn.run_files)
    changed = {name: changed_lines(diff, name) for name in turn.run_files}
    return diff if len(diff) <= DIFF_CHARS else "", changed


def _set_aside_diff(edges: Edges, state: State) -> str:
    """The edit that a researcher's word kept from running."""
    aside = state.attempt.set_aside
    if not aside or aside.commit == state.code.good:
        return ""
    diff = edges.repo.diff(f"{aside.commit}~1", aside.commit, *edges.template.spec.run_files)
    return cut_middle(diff, DIFF_CHARS)
