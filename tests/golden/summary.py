"""What a journal means, as JSON that stays the same from version to version."""

from __future__ import annotations

from typing import Any

from agent.core.journal.state import Candidate, Conversation, ReviewChat, RunRow, State


def summarise(state: State) -> dict[str, Any]:
    """The parts of a state that what comes next depends on."""
    spent, paid = state.spent, state.spent.paid
    return {
        "workspace": state.launched.workspace,
        "title": state.launched.title,
        "limits": {"max_runs": state.limits.max_runs, "attempts": state.limits.attempts},
        "ended": [state.ended.completed, state.ended.summary, list(state.ended.warnings)] if state.ended else None,
        "pause": [state.pause.kind.value, state.pause.reason] if state.pause else None,
        "pending": [state.pending.kind, state.pending.key] if state.pending else None,
        "stage": state.stage.value,
        "place": [state.run.number, state.attempt.serial, state.steps, state.run.attempts_spent],
        "head": state.code.head,
        "good": [state.code.good, state.code.good_digest, state.code.tried, state.code.clean],
        "open": [state.opened.step.value, state.opened.folder] if state.opened else None,
        "plan": [[item.number, item.text] for item in state.plan],
        "done_items": list(state.done_items),
        "rows": [_row(row) for row in state.rows],
        "failures": [[failure.kind.value, failure.summary] for failure in state.run.failures],
        "candidate": _candidate(state.attempt.candidate) if state.attempt.candidate else None,
        "conversation": _conversation(state.attempt.conversation),
        "reviewing": _review(state.reviewing) if state.reviewing else None,
        "reply": state.reply,
        "idea_version": state.idea_version,
        "words": [word.text for word in state.words],
        "warnings": list(state.warnings),
        "spent": [spent.calls, paid.tokens_in, paid.tokens_out, round(spent.cost_usd, 9)],
    }


def blobs_of(state: State) -> list[str]:
    """The texts that a resume would read."""
    talk: Conversation | None = state.attempt.conversation
    names = [state.reply]
    while talk:
        names += [talk.request, talk.reply, talk.feedback, talk.staged, talk.instruction]
        talk = talk.asked_by
    if state.reviewing:
        review = state.reviewing
        names += [review.request, review.reply, review.draft, review.feedback]
    return sorted({name for name in names if name})


def _row(row: RunRow) -> list[object]:
    judged = row.review.judgement if row.review else ""
    measured = [row.commit, row.values, row.settings, list(row.failures)]
    return [row.run, row.completed, row.attempts, *measured, row.item.number if row.item else None, judged]


def _candidate(candidate: Candidate) -> list[object]:
    folders = {step.value: folder for step, folder in candidate.folders.items()}
    passed = [step.value for step in candidate.passed]
    return [
        candidate.commit,
        candidate.subject,
        candidate.item,
        candidate.linted,
        passed,
        folders,
        candidate.measured.values,
    ]


def _conversation(talk: Conversation) -> list[object]:
    told = [talk.purpose.value, talk.role.value, talk.refusals, talk.request, talk.reply, talk.feedback, talk.summary]
    return [*told, _conversation(talk.asked_by) if talk.asked_by else None]


def _review(talk: ReviewChat) -> list[object]:
    return [talk.run, talk.request, talk.reply, talk.draft, talk.rounds, talk.misses, talk.feedback]
