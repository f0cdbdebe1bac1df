"""A turn: the texts that a reply is applied to, the lines that were seen of them, and whether the chat goes on."""

from __future__ import annotations

from dataclasses import replace

from agent.core.journal.kinds import Purpose, Stage
from agent.core.model.messages import Message
from agent.core.reply.turn import Turn, editable_at

EDITABLE = ("experiment.py", "plot.py", "notes.txt")
FILES = {"experiment.py": "A = 1\nB = 2\nC = 3\n", "notes.txt": ""}
TURN = Turn(Purpose.REPAIR, FILES, ("experiment.py", "notes.txt"), ("experiment.py",))


def test_staged_texts_take_the_place_of_committed_ones() -> None:
    staged = replace(TURN, staged={"experiment.py": "A = 9\n"})
    assert TURN.base == FILES and staged.base == {**FILES, "experiment.py": "A = 9\n"}
    assert staged.changes_in(staged.base) == {"experiment.py": "A = 9\n"} and TURN.changes_in(FILES) == {}


def test_lines_that_were_seen_are_found_again_below_a_staged_line() -> None:
    seen = {"experiment.py": ((1, 1), (3, 3)), "gone.py": ((1, 1),)}
    assert replace(TURN, seen=seen).seen_in_base == {"experiment.py": ((1, 1), (3, 3))}
    staged = {"experiment.py": "NEW = 0\n" + FILES["experiment.py"]}
    assert replace(TURN, seen=seen, staged=staged).seen_in_base == {"experiment.py": ((1, 2), (4, 4))}


def test_repairs_go_on_and_so_does_a_review_that_was_asked_for_before() -> None:
    past = (Message("user", "q"),)
    goes_on = {purpose: replace(TURN, purpose=purpose, past=past).goes_on for purpose in Purpose}
    assert {p for p, on in goes_on.items() if on} == {Purpose.REPAIR, Purpose.WHOLE, Purpose.REVIEW, Purpose.REFLECT}
    assert not replace(TURN, purpose=Purpose.REVIEW).goes_on


def test_code_is_edited_if_the_run_command_uses_one_of_the_files() -> None:
    assert TURN.edits_code(["notes.txt", "experiment.py"]) and not TURN.edits_code(["notes.txt"])


def test_editable_files_by_stage() -> None:
    assert editable_at(Stage.EXPERIMENTS, EDITABLE) == EDITABLE
    assert editable_at(Stage.PLOT, EDITABLE) == ("plot.py", "notes.txt")
    assert editable_at(Stage.PLOT, ("experiment.py",)) == ()
    assert editable_at(Stage.NOTES, EDITABLE) == ("notes.txt",)
