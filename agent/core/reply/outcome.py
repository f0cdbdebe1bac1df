"""What a reply leads to: an edit with an intent, or a refusal that says what is missing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from agent.core.code.digest import digest_code
from agent.core.edit.apply import EditResult, Reason, Rejected, apply_reply, apply_whole, has_blocks
from agent.core.edit.seen import Ranges, carry
from agent.core.journal.events import Intent, Purpose, Role, Stage
from agent.core.journal.kinds import PlanItem
from agent.core.journal.state import State
from agent.core.reply.expectation import headline
from agent.core.reply.misses import CUT, Miss, find_misses, is_missed_command
from agent.core.reply.plan import ParsedReply, Plan, merge_plan, parse_reply, without_plan
from agent.core.text.plain import plain_line
from agent.core.text.reasoning import strip_reasoning

SUBJECT_WIDTH = 72
CLOSING_FILES = frozenset({"notes.txt", "plot.py"})


@dataclass(frozen=True, slots=True)
class Edit:
    """A reply that can be carried out: `changes` are the new texts of the files that it alters."""

    intent: Intent
    changes: dict[str, str]
    subject: str
    code: str
    plan: tuple[PlanItem, ...] | None = None
    item: int | None = None
    dropped: str = ""


@dataclass(frozen=True, slots=True)
class Handover:
    """A planner's prose, which the editor is to carry out. `staged` are the files that its own blocks changed."""

    instruction: str
    staged: dict[str, str] = field(default_factory=dict)
    plan: tuple[PlanItem, ...] | None = None
    item: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply that leads to no attempt. `staged` are the files with its good blocks applied, where there are any.

    misses: where it missed the form. cut: it ended at its length limit.
    """

    summary: str
    rejected: tuple[Rejected, ...] = ()
    applied: int = 0
    staged: dict[str, str] = field(default_factory=dict)
    plan: tuple[PlanItem, ...] | None = None
    misses: tuple[Miss, ...] = ()
    cut: bool = False


def read_reply(
    state: State,
    reply: str,
    files: Mapping[str, str],
    staged: Mapping[str, str],
    *,
    purpose: Purpose,
    editable: Collection[str],
    run_files: Collection[str],
    shown: Mapping[str, Ranges] | None = None,
    instruction: str = "",
) -> Edit | Handover | Refusal:
    """Decide what a reply leads to. `files` is the newest commit, `staged` what earlier good blocks made of it.

    shown: of files of which the model has seen only a part, the lines of `files` that it saw. instruction: of the
    planner, where the reply is the editor's.
    """
    outcome = _read(state, reply, files, staged, purpose, editable, run_files, shown or {}, instruction)
    if not state.attempt.conversation.cut:
        return outcome
    match outcome:
        case Refusal():
            whole = tuple(r for r in outcome.rejected if r.reason is not Reason.MALFORMED)
            return replace(outcome, summary=CUT, rejected=whole, misses=(), cut=True)
        case Handover():
            return Refusal(CUT, plan=outcome.plan, cut=True)
        case Edit(intent=Intent.RUN):  # what was cut off may be the rest of the edit: half of one is never run
            return Refusal(CUT, applied=1, staged=outcome.changes, plan=outcome.plan, cut=True)
        case Edit():
            return outcome
        case _:
            assert_never(outcome)


def _read(
    state: State,
    reply: str,
    files: Mapping[str, str],
    staged: Mapping[str, str],
    purpose: Purpose,
    editable: Collection[str],
    run_files: Collection[str],
    shown: Mapping[str, Ranges],
    instruction: str,
) -> Edit | Handover | Refusal:
    parsed = parse_reply(reply) if state.attempt.conversation.role is Role.PLANNER else ParsedReply(None, False, False)
    base = {**files, **staged}
    allowed = editable_at(state.stage, editable)
    seen = {n: carry(ranges, files[n], base[n]) for n, ranges in shown.items() if n in files}
    result = _edit(state, base, reply, purpose, allowed, seen)
    plan = _merge(state, parsed)
    fatal = [r for r in result.rejected if state.stage is Stage.NOTES or r.path != "notes.txt"]
    if fatal:
        return Refusal(_count_rejected(fatal), tuple(fatal), len(result.applied), _changed(files, result.staged), plan)
    changes = _changed(files, result.files)
    dropped = "; ".join(f"notes.txt: {r.reason}" for r in result.rejected)
    match state.stage:
        case Stage.NOTES if not changes:
            misses = () if has_blocks(reply) else find_misses(reply)
            return Refusal("the reply does not edit notes.txt", plan=plan, misses=misses)
        case Stage.NOTES:
            return Edit(Intent.NOTES, changes, "Describe the study in notes.txt", state.code.tried, dropped=dropped)
        case Stage.PLOT:
            return Edit(Intent.PLOT, changes, "Plot the results", state.code.tried, plan, dropped=dropped)
        case Stage.EXPERIMENTS | Stage.BASELINE:
            # Good blocks of an edit whose other blocks were refused wait for those: alone they are never run.
            answered = any(block.path in run_files for block in result.applied)
            waiting = {} if answered else {n: t for n, t in changes.items() if n in run_files}
            words = instruction or reply
            if _hands_over(state, parsed, reply, result, run_files):
                kept = {n: t for n, t in changes.items() if n not in run_files}
                item = _next_item(state, plan)
                return Handover(_instruct(state, item, reply), kept, plan, item.number if item else None)
            return _experiment(state, parsed, reply, words, files, changes, waiting, run_files, plan, dropped)
        case _:
            assert_never(state.stage)


def editable_at(stage: Stage, editable: Collection[str]) -> tuple[str, ...]:
    """The files that a reply may change at this stage, of those the template allows."""
    match stage:
        case Stage.NOTES:
            return ("notes.txt",)
        case Stage.PLOT:
            return tuple(name for name in editable if name in ("plot.py", "notes.txt"))
        case Stage.EXPERIMENTS | Stage.BASELINE:
            return tuple(editable)
        case _:
            assert_never(stage)


def _edit(
    state: State,
    base: dict[str, str],
    reply: str,
    purpose: Purpose,
    allowed: Collection[str],
    seen: Mapping[str, Ranges],
) -> EditResult:
    asked_for_whole = purpose is Purpose.WHOLE or (purpose is Purpose.FIX and state.run.repeats > 1)
    if asked_for_whole and not has_blocks(reply):
        whole = apply_whole(base, reply, editable=allowed, shown=seen)
        if not _plans_only(state) or (whole.changed and not whole.rejected):
            return whole
    return apply_reply(base, reply, editable=allowed, shown=seen)


def _plans_only(state: State) -> bool:
    """Whether the reply is a planner's whose edits another writes."""
    return state.launched.separate_editor and state.attempt.conversation.role is Role.PLANNER


def _hands_over(state: State, parsed: ParsedReply, reply: str, result: EditResult, run_files: Collection[str]) -> bool:
    """Whether a planner's reply asks for a change of the code and leaves it to the editor."""
    if not _plans_only(state) or parsed.all_completed or parsed.replicate or not strip_reasoning(reply).strip():
        return False
    if is_missed_command(without_plan(reply)):
        return False
    return not any(block.path in run_files for block in result.applied)


def _instruct(state: State, item: PlanItem | None, reply: str) -> str:
    """The planner's words for the step that is due: other steps of a plan are not the editor's to carry out yet.

    A reply that is all plan may hold the words for its step in an item, so it is given whole. Where the files hold the
    step already and it failed, the words are for its repair alone.
    """
    words = without_plan(reply)
    if item is None or (words and not state.code.clean):
        return words
    step = headline(item.text)
    return f"{step}.\n\n{words}" if words else f"Of this carry out one step alone: {step}.\n\n{strip_reasoning(reply)}"


def _next_item(state: State, plan: tuple[PlanItem, ...] | None) -> PlanItem | None:
    return next((i for i in plan or state.plan if i.number not in state.done_items), None)


def _experiment(
    state: State,
    parsed: ParsedReply,
    reply: str,
    words: str,
    files: Mapping[str, str],
    changes: dict[str, str],
    waiting: dict[str, str],
    run_files: Collection[str],
    plan: tuple[PlanItem, ...] | None,
    dropped: str,
) -> Edit | Refusal:
    item = _next_item(state, plan)
    number = item.number if item else None
    subject = subject_of(state, item, words)
    changes = {name: text for name, text in changes.items() if name not in waiting}
    edits_code = any(name in run_files for name in changes)
    code = digest_code({**files, **changes}, run_files)
    refuse = _Refuser({name: text for name, text in changes.items() if name not in run_files} | waiting, plan)
    if parsed.all_completed and changes.keys() <= CLOSING_FILES:
        if not state.completed_runs:
            return refuse("ALL_COMPLETED came before any run was completed")
        if parsed.plan and any(i.number not in state.done_items for i in plan or ()):
            return refuse("the reply holds both ALL_COMPLETED and a plan with open items; send one of the two")
        return Edit(Intent.FINISH, changes, "Close the experiments", state.code.tried, plan, dropped=dropped)
    if parsed.replicate and not edits_code:
        if not state.completed_runs or not state.code.clean:
            return refuse("REPLICATE needs a completed run whose code is the present one")
        return _replicate(state, changes, item, plan, dropped)
    names = ", ".join(run_files)
    if not has_blocks(reply) and not changes:
        missing = f"the reply holds no SEARCH/REPLACE block, so {names} is unchanged and no run was started"
        commands = state.attempt.conversation.role is Role.PLANNER
        return replace(refuse(missing), misses=find_misses(reply, commands=commands))
    if not edits_code:
        return refuse(f"the reply changes nothing in {names}, which the run command uses")
    if code == state.code.tried:
        return refuse(f"the edit leaves the code of {names} as it was in the last attempt")
    if code == state.code.good_digest:
        return refuse(f"the edit brings {names} back to the last completed code, which was run already")
    return Edit(Intent.RUN, changes, subject, code, plan, number, dropped)


def _replicate(
    state: State, changes: dict[str, str], item: PlanItem | None, plan: tuple[PlanItem, ...] | None, dropped: str
) -> Edit:
    """The last completed run once more; it is what the plan has next only where the plan says so."""
    copied = next(row.run for row in reversed(state.rows) if row.completed)
    number = item.number if item and "replicat" in item.text.lower() else None
    subject = f"Run {state.run.number}: replicate run {copied}"
    return Edit(Intent.REPLICATE, changes, subject, state.code.good_digest, plan, number, dropped)


@dataclass(frozen=True, slots=True)
class _Refuser:
    """A reply whose edit says nothing new: what it changed beside the code is kept for the repair."""

    changes: dict[str, str]
    plan: tuple[PlanItem, ...] | None

    def __call__(self, summary: str) -> Refusal:
        return Refusal(summary, staged=self.changes, plan=self.plan)


def _merge(state: State, parsed: ParsedReply) -> tuple[PlanItem, ...] | None:
    if parsed.plan is None:
        return None
    old = Plan(state.plan) if state.plan else None
    return merge_plan(old, parsed.plan, state.done_items).items


def _changed(files: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in new.items() if files.get(name) != text}


def _count_rejected(rejected: Collection[Rejected]) -> str:
    first = next(iter(rejected))
    more = f" and {len(rejected) - 1} more" if len(rejected) > 1 else ""
    return f"{first.path or 'a block'}: {first.reason}{more}"


def subject_of(state: State, item: PlanItem | None, words: str) -> str:
    """One line of what and why for the commit: the failure that it mends, the plan item, or the first words."""
    if state.run.failures:
        text = f"mend {state.run.failures[-1].summary}"
    elif item:
        text = headline(item.text)
    else:
        lines = (line.strip(" #*`>-") for line in strip_reasoning(words).splitlines())
        text = next((line for line in lines if len(line) > 3 and "SEARCH" not in line), "edit")
    return plain_line(f"Run {state.run.number}: {text.replace('*', '')}", SUBJECT_WIDTH)
