"""A journal cut at any byte of its last events: whole events count, the rest is kept aside, the idea goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agent.core.journal.events import Event, Resumed, Told
from agent.edges.verify import verify
from tests.crash.crash_idea import Tale, files_in, new_ideas
from tests.crash.words_told import Whole, check_same_outcome, tell_in_child, tell_until

LAST = 6


def ends_of_lines(content: bytes) -> list[int]:
    """Offsets in bytes at which the last events begin, and at which the last one ends."""
    return [n + 1 for n, byte in enumerate(content) if byte == 10][-LAST - 1 :]


@pytest.mark.parametrize("stride", [37, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("label", ["", "after finished published"])
def test_what_is_whole_counts_and_the_rest_is_kept_aside(root: Path, whole: Whole, label: str, stride: int) -> None:
    (told,) = new_ideas(root / f"{label or 'ended'} by {stride}", "momentum")
    tell_until(told, whole.points.index(label) + 1 if label else 0)
    journal = told.workspace.journal()
    content, events = journal.path.read_bytes(), journal.events
    ends = ends_of_lines(content)
    for cut in sorted({*range(ends[0], ends[-1], stride), *ends, *(end - 1 for end in ends[1:])}):
        journal.path.write_bytes(content[:cut])
        kept = len(events) - sum(end > cut for end in ends)
        assert told.workspace.journal().events == events[:kept], f"cut at byte {cut}"
        if cut % 29 == 0 or cut in ends:
            check_rescue(told, content[:cut], events[:kept])
    journal.path.write_bytes(content)


def check_rescue(told: Tale, content: bytes, events: list[Event]) -> None:
    journal, rescue = told.workspace.journal(), told.workspace.agent / "rescue"
    journal.append(Resumed())
    assert told.workspace.journal().events == [*events, Resumed()]
    torn = content[content.rfind(b"\n") + 1 :]
    assert [path.read_bytes() for path in rescue.glob("*")] == ([torn] if torn else [])
    shutil.rmtree(rescue, ignore_errors=True)


def tell_cut(root: Path, whole: Whole, label: str, event: int) -> Tale:
    """Continue the idea up to a point, then remove a half of the journal's last event, or more."""
    (told,) = new_ideas(root / f"{label or 'ended'} without {event}", "momentum")
    tell_until(told, whole.points.index(label) + 1 if label else 0)
    path = told.workspace.agent / "journal.jsonl"
    content = path.read_bytes()
    ends = ends_of_lines(content)
    path.write_bytes(content[: (ends[-event] + ends[-event - 1]) // 2])
    told.history.write_text("")  # what is cut had been acknowledged: that a disk lied is not the orchestrator's fault
    return told


def test_without_its_last_event_an_idea_comes_to_the_same_end(root: Path, whole: Whole) -> None:
    told = tell_cut(root, whole, "after finished published", 1)
    tell_until(told)
    check_same_outcome(told, whole)
    assert verify(told.workspace).disagreements == ()
    (tail,) = (told.workspace.agent / "rescue").glob("journal-tail-*")
    assert tail.read_bytes() and b"\n" not in tail.read_bytes()
    shutil.rmtree(told.workspace.path.parent.parent)


def check_same_end_or_refused(told: Tale, whole: Whole) -> bool:
    """Whether the idea came to the same end. Else check that it was refused and that nothing but rescued files is new.

    The journal may name a step that was to begin although its folder is there already.
    """
    before, whole_lines = everything(told), read_whole_lines(told)
    code, errors = tell_in_child(told)
    if code == 0:
        check_same_outcome(told, whole)
        assert verify(told.workspace).disagreements == ()
        return True
    assert "agent.errors.IntegrityError" in errors.splitlines()[-1], errors
    assert everything(told) == before
    assert read_whole_lines(told).startswith(whole_lines)
    return False


def read_whole_lines(told: Tale) -> bytes:
    content = (told.workspace.agent / "journal.jsonl").read_bytes()
    return content[: content.rfind(b"\n") + 1]


def everything(told: Tale) -> dict[str, bytes]:
    passing = (".agent/lock", ".agent/holder.json", ".agent/rescue/", ".agent/journal.jsonl", ".git/refs/rescue/")
    return {name: path.read_bytes() for name, path in files_in(told.workspace) if not name.startswith(passing)}


def test_a_journal_that_lost_a_commit_is_refused_and_nothing_is_changed(root: Path, whole: Whole) -> None:
    assert not check_same_end_or_refused(tell_cut(root, whole, "after finished applied", 2), whole)


@pytest.mark.slow
@pytest.mark.parametrize("event", range(1, LAST))
def test_without_its_last_events_an_idea_comes_to_the_same_end_or_is_refused(
    root: Path, whole: Whole, event: int
) -> None:
    stops = dict.fromkeys(label for label in whole.points if label.startswith("after "))
    outcomes = []
    for label in ["", *list(stops)[4:]]:
        told = tell_cut(root, whole, label, event)
        if any(isinstance(e, Told) for e in told.events()):  # else a word is lost, which is kept nowhere else
            outcomes.append(check_same_end_or_refused(told, whole))
        shutil.rmtree(told.workspace.path.parent.parent)
    print(f"{len(outcomes)} stops, {outcomes.count(False)} refused")
    assert all(outcomes) or event > 1
