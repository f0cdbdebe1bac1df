"""The outcome of a reply: an edit with an intent, a handover to the editor, or a refusal with its reasons."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import assert_never

from agent.core.code.digest import digest_code
from agent.core.edit.apply import (
    FORMATS,
    LAST_FORMATS,
    NAMED_FORMATS,
    NOTES,
    TAUGHT,
    EditResult,
    Reason,
    Rejected,
    apply_reply,
    apply_whole,
    has_blocks,
    name_edits,
)
from agent.core.journal.kinds import Intent, PlanItem, Purpose, Role, Stage
from agent.core.journal.state import State
from agent.core.reply.example import Example, copies_example, without_example
from agent.core.reply.expectation import headline
from agent.core.reply.inquiry import MOST_ANSWERS, Inquiry, find_inquiry, places_beside
from agent.core.reply.misses import CUT, Miss, find_misses, is_missed_command
from agent.core.reply.plan import ParsedReply, Plan, merge_plan, parse_reply, without_plan
from agent.core.reply.stuck import EXAMPLE, find_stuck
from agent.core.reply.turn import Edit, Handover, Refusal, Turn
from agent.core.text.lexer import find_unreadable
from agent.core.text.plain import plain_line
from agent.core.text.reasoning import strip_reasoning

SUBJECT_WIDTH = 72
NO_MORE = f"{MOST_ANSWERS} requests to see code were answered at this turn, and no more are: decide by what you know"
CLOSING_FILES = frozenset({"notes.txt", "plot.py"})


Outcome = Edit | Handover | Inquiry | Refusal


def read_reply(state: State, turn: Turn) -> Outcome:
    """Read the reply of a turn, and decide on its outcome."""
    if problem := find_unreadable(turn.reply):
        return refuse_unread(problem)
    outcome = _judge(state, turn)
    if isinstance(outcome, Refusal) and not outcome.stuck:
        return replace(outcome, stuck=find_stuck(turn.reply, turn.past))
    return outcome


def _judge(state: State, turn: Turn) -> Outcome:
    outcome = _read(state, turn)
    if isinstance(outcome, Edit) or (isinstance(outcome, Refusal) and outcome.rejected):
        outcome = replace(outcome, wanted=places_beside(state, turn))
    if not state.attempt.conversation.cut:
        return outcome
    match outcome:
        case Refusal():
            whole = tuple(r for r in outcome.rejected if r.reason is not Reason.MALFORMED)
            return replace(outcome, summary=CUT, rejected=whole, misses=(), cut=True)
        case Handover():
            return Refusal(CUT, plan=outcome.plan, cut=True)
        case Edit(intent=Intent.RUN):  # the missing end may hold more of the edit: half an edit is never run
            return Refusal(CUT, applied=1, staged=outcome.changes, plan=outcome.plan, cut=True)
        case Edit() | Inquiry():
            return outcome
        case _:
            assert_never(outcome)


def refuse_unread(why: str) -> Refusal:
    """The refusal of a reply that could not be read. why: worded to follow "it"."""
    problem = f"your reply {why}, so nothing of it was carried out; send it again, much shorter and in usual lines"
    return Refusal(f"the reply {why}", misses=(Miss(problem),), is_unread=True)


@dataclass(frozen=True, slots=True)
class _ReplyParts:
    """A reply taken apart: its commands, the result of its blocks, and the plan after it."""

    # The idea before the reply.
    state: State
    # The place in the chat, with the reply's text.
    turn: Turn
    # The plan and the commands in the reply.
    parsed: ParsedReply
    # The files after its blocks, and the blocks that failed.
    result: EditResult
    # The plan as the reply changes it; None if it says nothing of the plan.
    plan: tuple[PlanItem, ...] | None
    # Blocks of notes.txt that were refused while the rest is carried out.
    dropped: str

    @property
    def edits_code(self) -> bool:
        """Whether a block of this reply was applied to a file of the run command."""
        return self.turn.edits_code([block.path for block in self.result.applied])

    @property
    def next_item(self) -> PlanItem | None:
        return next((i for i in self.plan or self.state.plan if i.number not in self.state.done_items), None)

    def changes(self, *, code: bool) -> dict[str, str]:
        """New texts of the files that the run command uses, or those of the others."""
        changed = self.turn.changes_in(self.result.files)
        return {name: text for name, text in changed.items() if self.turn.edits_code([name]) is code}

    def refuse(self, summary: str) -> Refusal:
        """A refusal that keeps the changes for the repair, if they are not those of a whole edit of the code."""
        waiting = {} if self.edits_code else self.changes(code=True)
        return Refusal(summary, staged=self.changes(code=False) | waiting, plan=self.plan)


def _read(state: State, turn: Turn) -> Outcome:
    reply, planner = turn.reply, state.attempt.conversation.role is Role.PLANNER
    parsed = parse_reply(reply) if planner else ParsedReply(None, False, False)
    example = turn.shown_example
    parsed = replace(parsed, plan=without_example(parsed.plan, example))
    result = _edit(state, turn)
    plan = _merge(state, parsed)
    if state.stage is Stage.EXPERIMENTS and _is_example(state, turn, result, example):
        return _refuse_example(example, plan)
    if request := find_inquiry(state, turn, parsed, result):
        if state.attempt.conversation.answers < MOST_ANSWERS:
            return Inquiry(request, turn.changes_in(turn.base), plan)
        if state.stage is Stage.EXPERIMENTS and not _plans_only(state):
            kept = turn.changes_in(turn.base)
            return Refusal("the reply asks to see more code", misses=(Miss(NO_MORE),), staged=kept, plan=plan)
    spare = _spare(state, turn) if turn.edits_code([block.path for block in result.applied]) else (NOTES,)
    fatal = [r for r in result.rejected if state.stage is Stage.NOTES or not r.is_only_of(spare)]
    if fatal:
        staged = turn.changes_in(result.staged)
        return Refusal(_count_rejected(fatal), tuple(fatal), len(result.applied), staged, plan)
    changes = turn.changes_in(result.files)
    dropped = "; ".join(dict.fromkeys(f"{r.path}: {r.reason}" for r in result.rejected))
    match state.stage:
        case Stage.NOTES if not changes:
            misses = () if has_blocks(reply) else find_misses(reply)
            return Refusal("the reply does not edit notes.txt", plan=plan, misses=misses)
        case Stage.NOTES:
            return Edit(Intent.NOTES, changes, "Describe the study in notes.txt", state.code.tried, dropped=dropped)
        case Stage.PLOT:
            return Edit(Intent.PLOT, changes, "Plot the results", state.code.tried, plan, dropped=dropped)
        case Stage.EXPERIMENTS | Stage.BASELINE:
            parts = _ReplyParts(state, turn, parsed, result, plan, dropped)
            return _hand_over(parts) if _is_for_editor(parts) else _experiment(parts)
        case _:
            assert_never(state.stage)


def _is_example(state: State, turn: Turn, result: EditResult, example: Example) -> bool:
    """Whether a reply makes the change that the rules show as an example, or asks the editor for it."""
    words = example.aim if example.note else f"In {example.path}: {example.aim}"  # else words that anybody may use
    if _plans_only(state) and words in without_plan(turn.reply):
        return True
    given: dict[str, list[str]] = {}
    for block in (*result.applied, *(r.block for r in result.rejected)):
        given.setdefault(block.path or example.path, []).extend(block.replace.split("\n"))
    return copies_example(example, given, turn.base)


def _refuse_example(example: Example, plan: tuple[PlanItem, ...] | None) -> Refusal:
    said = f"the reply is the example of the rules ({example.aim}), which shows the form alone"
    advice = "send the change that the idea needs, with a name and a value of your own choice"
    return Refusal(said, plan=plan, misses=(Miss(advice),), stuck=EXAMPLE)


def _spare(state: State, turn: Turn) -> tuple[str, ...]:
    """The files whose refused edits do not keep the rest from a run: those that the run command does not use."""
    others = [name for name in turn.editable if name not in turn.run_files]
    return tuple(dict.fromkeys((NOTES, *(others if state.stage is Stage.EXPERIMENTS else ()))))


def _edit(state: State, turn: Turn) -> EditResult:
    """The result of the reply's blocks, or of its whole functions and files if the request asked for those."""
    base, seen, spare = turn.base, turn.seen_in_base, _spare(state, turn)
    asked_for_whole = turn.purpose is Purpose.WHOLE or (turn.purpose is Purpose.FIX and state.run.repeats > 1)
    if asked_for_whole and not has_blocks(turn.reply):
        whole = apply_whole(base, turn.reply, editable=turn.editable, shown=seen, spare=spare)
        if not _plans_only(state) or (whole.changed and not whole.rejected):
            return whole
    formats = NAMED_FORMATS if _plans_only(state) else FORMATS
    result = apply_reply(base, turn.reply, editable=turn.editable, shown=seen, formats=formats, spare=spare)
    if result.rejected and _plans_only(state):  # other formats may be words to the editor
        return apply_reply(base, turn.reply, editable=turn.editable, shown=seen, formats=TAUGHT, spare=spare)
    return result


def _plans_only(state: State) -> bool:
    """Whether the reply is a planner's, and an editor writes the edits."""
    return state.launched.separate_editor and state.attempt.conversation.role is Role.PLANNER


def _is_for_editor(parts: _ReplyParts) -> bool:
    """Whether a planner's reply asks for a change of the code and leaves it to the editor."""
    parsed, reply = parts.parsed, parts.turn.reply
    if not _plans_only(parts.state) or parsed.all_completed or parsed.replicate or not strip_reasoning(reply).strip():
        return False
    return not is_missed_command(without_plan(reply)) and not parts.edits_code


def _hand_over(parts: _ReplyParts) -> Handover:
    item = parts.next_item
    words = _instruct(parts.state, item, parts.turn.reply)
    return Handover(words, parts.changes(code=False), parts.plan, item.number if item else None)


def _instruct(state: State, item: PlanItem | None, reply: str) -> str:
    """The planner's words for the step that is due. Other steps of a plan are not the editor's to carry out yet.

    A reply that is nothing but a plan may hold the words for its step in an item, so it is given whole. If the files
    hold the step already and it failed, the words are about its repair alone.
    """
    words = without_plan(reply)
    if item is None or (words and not state.code.clean):
        return words
    step = headline(item.text)
    return f"{step}.\n\n{words}" if words else f"Of this carry out one step alone: {step}.\n\n{strip_reasoning(reply)}"


def _experiment(parts: _ReplyParts) -> Edit | Refusal:
    """The edit that starts a run, repeats the last one or ends the experiments."""
    state, turn, parsed = parts.state, parts.turn, parts.parsed
    # Accepted blocks of an earlier reply wait for the rest of that edit: they are never run alone.
    changes = parts.changes(code=False) | (parts.changes(code=True) if parts.edits_code else {})
    edits_code = turn.edits_code(changes)
    if parsed.all_completed and changes.keys() <= CLOSING_FILES:
        if not state.completed_runs:
            return parts.refuse("ALL_COMPLETED came before any run was completed")
        if parsed.plan and any(i.number not in state.done_items for i in parts.plan or ()):
            return parts.refuse("the reply holds both ALL_COMPLETED and a plan with open items; send one of the two")
        return _as_edit(parts, Intent.FINISH, changes, "Close the experiments")
    if parsed.replicate and not edits_code:
        if not state.completed_runs or not state.code.clean:
            return parts.refuse("REPLICATE needs a completed run whose code is the present one")
        return _replicate(parts, changes)
    names = ", ".join(turn.run_files)
    if not changes and parts.result.same and not has_blocks(turn.reply):
        given = ", ".join(parts.result.same)
        return parts.refuse(f"the reply gives {given} as it is already, so nothing changed and no run was started")
    if not has_blocks(turn.reply) and not changes:
        is_whole = turn.purpose is Purpose.WHOLE
        asked = name_edits(LAST_FORMATS if is_whole else TAUGHT)
        missing = f"the reply holds no {asked}, so {names} is unchanged and no run was started"
        commands = state.attempt.conversation.role is Role.PLANNER
        return replace(parts.refuse(missing), misses=find_misses(turn.reply, commands=commands, whole=is_whole))
    if not edits_code:
        return parts.refuse(f"the reply changes nothing in {names}, which the run command uses")
    code = digest_code({**turn.files, **changes}, turn.run_files)
    if code == state.code.tried:
        return parts.refuse(f"the edit leaves the code of {names} as it was in the last attempt")
    if code == state.code.good_digest:
        return parts.refuse(f"the edit brings {names} back to the last completed code, which was run already")
    item = parts.next_item
    subject = subject_of(state, item, turn.instruction or turn.reply)
    edit = _as_edit(parts, Intent.RUN, changes, subject)
    return replace(edit, code=code, item=item.number if item else None)


def _as_edit(parts: _ReplyParts, intent: Intent, changes: dict[str, str], subject: str) -> Edit:
    """An edit that leaves the code as it was tried last."""
    return Edit(intent, changes, subject, parts.state.code.tried, parts.plan, dropped=parts.dropped)


def _replicate(parts: _ReplyParts, changes: dict[str, str]) -> Edit:
    """The last completed run once more. It carries out the due plan item only if that item asks for a replication."""
    state, item = parts.state, parts.next_item
    copied = next(row.run for row in reversed(state.rows) if row.completed)
    number = item.number if item and "replicat" in item.text.lower() else None
    edit = _as_edit(parts, Intent.REPLICATE, changes, f"Run {state.run.number}: replicate run {copied}")
    return replace(edit, code=state.code.good_digest, item=number)


def _merge(state: State, parsed: ParsedReply) -> tuple[PlanItem, ...] | None:
    if parsed.plan is None:
        return None
    old = Plan(state.plan) if state.plan else None
    return merge_plan(old, parsed.plan, state.done_items).items


def _count_rejected(rejected: Collection[Rejected]) -> str:
    first = next(iter(rejected))
    more = f" and {len(rejected) - 1} more" if len(rejected) > 1 else ""
    return f"{first.path or 'a block'}: {first.reason}{more}"


def subject_of(state: State, item: PlanItem | None, words: str) -> str:
    """First line of the commit message: the plan item, else the first words. A repair adds the number of its attempt.

    In journals that began with version 0.1 a repair names the failure instead.
    """
    run, repairs = state.run, f" (attempt {state.run.attempt})" if state.run.subject else ""
    if run.failures and not state.launched.titles:
        text, repairs = f"mend {run.failures[-1].summary}", ""
    elif item:
        text = headline(item.text)
    elif run.subject:
        text = run.subject.partition(": ")[2]
    else:
        lines = (line.strip(" #*`>-") for line in strip_reasoning(words).splitlines())
        text = next((line for line in lines if len(line) > 3 and "SEARCH" not in line), "edit")
    return plain_line(f"Run {run.number}: {text.replace('*', '')}", SUBJECT_WIDTH - len(repairs)) + repairs
