"""What replies lead to: which start a run, which close the study, which are sent back and with what words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.code.digest import digest_code
from agent.core.edit.apply import Reason, name_edits
from agent.core.journal.action_results import Applied
from agent.core.journal.budget import Limits
from agent.core.journal.kinds import Intent, PlanItem, Purpose, Role, Stage
from agent.core.journal.state import Conversation, State
from agent.core.reply.misses import CUT
from agent.core.reply.outcome import SUBJECT_WIDTH, Edit, Handover, Refusal, read_reply, subject_of
from agent.core.reply.turn import Turn, editable_at
from tests.core.journal_by_hand import PLAN, Story, failure
from tests.examples import examples
from tests.fakes import block

EXPERIMENT = "LR = 0.1\nMOMENTUM = 0.0\n\n\ndef train():\n    return LR * MOMENTUM\n"
FILES = {"experiment.py": EXPERIMENT, "plot.py": "SIZE = 1\n", "notes.txt": "Words.\n", "extra.json": "{}\n"}
EDITABLE = ("experiment.py", "plot.py", "notes.txt")
RUN_FILES = ("experiment.py",)
CODE = digest_code(FILES, RUN_FILES)
FASTER = block("experiment.py", "LR = 0.1\n", "LR = 0.2\n")
MOMENTUM = block("experiment.py", "MOMENTUM = 0.0\n", "MOMENTUM = 0.9\n")
MISSING = block("experiment.py", "BETA = 3\n", "BETA = 4\n")
NOTE = block("notes.txt", "", "More words.\n")
PLOT = block("plot.py", "SIZE = 1\n", "SIZE = 2\n")


def with_code(state: State, **changes: str) -> State:
    return replace(state, code=replace(state.code, **changes))  # type: ignore[arg-type]


def with_chat(state: State, chat: Conversation) -> State:
    return replace(state, attempt=replace(state.attempt, conversation=chat))


def fresh() -> State:
    """Before run 1: the template's code is the good code, and the code tried last."""
    return with_code(Story().state, good_digest=CODE, tried=CODE)


def after_run() -> State:
    """Run 1 is completed with the code of FILES."""
    story = Story()
    story.complete_run(code=CODE, plan=PLAN, item=1)
    return story.state


def after_failure() -> State:
    """The code of FILES failed in run 2."""
    story = Story()
    story.complete_run(plan=PLAN, item=1)
    story.fail_attempt()
    return with_code(story.state, tried=CODE)


def read(
    state: State,
    reply: str,
    *,
    files: dict[str, str] = FILES,
    staged: dict[str, str] | None = None,
    purpose: Purpose = Purpose.NEXT,
    editable: tuple[str, ...] = EDITABLE,
    run_files: tuple[str, ...] = RUN_FILES,
    instruction: str = "",
) -> Edit | Handover | Refusal:
    editable = editable_at(state.stage, editable)
    turn = Turn(purpose, files, editable, run_files, staged or {}, reply=reply, instruction=instruction)
    return read_reply(state, turn)


def edit(state: State, reply: str, **rest: object) -> Edit:
    outcome = read(state, reply, **rest)  # type: ignore[arg-type]
    assert isinstance(outcome, Edit), outcome
    return outcome


def refusal(state: State, reply: str, **rest: object) -> Refusal:
    outcome = read(state, reply, **rest)  # type: ignore[arg-type]
    assert isinstance(outcome, Refusal), outcome
    return outcome


# What starts a run


def test_an_edit_of_a_run_file_starts_a_run() -> None:
    found = edit(fresh(), "Let us try.\n" + FASTER)
    assert found.intent is Intent.RUN and found.changes == {"experiment.py": EXPERIMENT.replace("0.1", "0.2")}
    assert found.code == digest_code({**FILES, **found.changes}, RUN_FILES) != CODE


@pytest.mark.parametrize(
    "text",
    [
        EXPERIMENT.replace("LR = 0.1", "LR = 0.1  # tuned"),
        "# Why this works\n" + EXPERIMENT,
        EXPERIMENT.replace("LR * MOMENTUM", "(LR * MOMENTUM)"),
        EXPERIMENT.replace("\n\n\n", "\n"),
    ],
    ids=["comment", "heading", "parentheses", "blank lines"],
)
@pytest.mark.parametrize("state", [fresh(), after_run(), after_failure()], ids=["fresh", "after run", "after failure"])
def test_an_edit_of_comments_or_layout_alone_starts_no_run(state: State, text: str) -> None:
    found = refusal(state, block("experiment.py", EXPERIMENT, text))
    assert "leaves the code of experiment.py as it was in the last attempt" in found.summary


def test_an_edit_that_changes_nothing_starts_no_run() -> None:
    found = refusal(fresh(), block("experiment.py", "LR = 0.1\n", "LR = 0.1\n"))
    assert found.summary == "the reply changes nothing in experiment.py, which the run command uses"


@pytest.mark.parametrize("reply", [NOTE, PLOT, NOTE + PLOT], ids=["notes", "plot", "both"])
def test_an_edit_of_other_files_starts_no_run_and_is_kept_for_the_repair(reply: str) -> None:
    found = refusal(after_run(), reply)
    assert "changes nothing in experiment.py" in found.summary
    assert found.staged and set(found.staged) <= {"notes.txt", "plot.py"}
    repaired = edit(after_run(), FASTER, staged=found.staged, purpose=Purpose.REPAIR)
    assert repaired.changes.keys() == {"experiment.py", *found.staged}


@pytest.mark.parametrize("reply", ["", "I shall raise the learning rate.\n", "```python\nRATE = 0.2\n```\n"])
def test_prose_starts_no_run(reply: str) -> None:
    found = refusal(fresh(), reply)
    assert found.summary.startswith(f"the reply holds no {name_edits()}, so experiment.py is unchanged")


def test_an_edit_back_to_the_last_completed_code_starts_no_run() -> None:
    files = FILES | {"experiment.py": EXPERIMENT.replace("0.1", "0.2")}
    state = with_code(after_run(), tried="failed code")
    found = refusal(state, block("experiment.py", "LR = 0.2\n", "LR = 0.1\n"), files=files, purpose=Purpose.FIX)
    assert "back to the last completed code" in found.summary


def test_code_that_failed_before_the_last_attempt_may_be_tried_again() -> None:
    tried_first = edit(fresh(), FASTER).code
    assert edit(with_code(after_failure(), tried="another"), FASTER).code == tried_first


def test_any_file_that_the_command_uses_starts_a_run_and_is_compared_by_bytes() -> None:
    used = {"editable": (*EDITABLE, "extra.json"), "run_files": ("experiment.py", "extra.json")}
    state = with_code(fresh(), tried=digest_code(FILES, ("experiment.py", "extra.json")))
    found = edit(state, block("extra.json", "{}\n", "{ }\n"), **used)
    assert found.intent is Intent.RUN and set(found.changes) == {"extra.json"}


# All or nothing


def test_one_bad_block_refuses_the_whole_edit_and_keeps_the_good_blocks_for_the_repair() -> None:
    found = refusal(fresh(), FASTER + MISSING)
    assert found.summary == "experiment.py: SEARCH not found" and found.applied == 1
    assert found.staged == {"experiment.py": EXPERIMENT.replace("0.1", "0.2")}
    repaired = edit(fresh(), MOMENTUM, staged=found.staged, purpose=Purpose.REPAIR)
    assert repaired.changes["experiment.py"] == EXPERIMENT.replace("0.1", "0.2").replace("0.0", "0.9")


def test_several_bad_blocks_are_counted_in_the_summary() -> None:
    assert refusal(fresh(), MISSING + MISSING).summary == "experiment.py: SEARCH not found and 1 more"


@pytest.mark.parametrize("reply", ["I am sorry.\n", "REPLICATE\n", ""])
def test_good_blocks_of_a_refused_edit_are_never_run_alone(reply: str) -> None:
    staged = refusal(fresh(), FASTER + MISSING).staged
    found = refusal(fresh(), reply, staged=staged, purpose=Purpose.REPAIR)
    assert found.staged == staged, "a later repair still stands on them"
    assert (
        edit(fresh(), MOMENTUM, staged=found.staged, purpose=Purpose.REPAIR).changes["experiment.py"].count("0.") == 2
    )


@pytest.mark.parametrize(("word", "intent"), [("REPLICATE", Intent.REPLICATE), ("ALL_COMPLETED", Intent.FINISH)])
def test_a_word_in_place_of_a_repair_drops_the_refused_edit(word: str, intent: Intent) -> None:
    staged = refusal(after_run(), FASTER + MISSING + NOTE).staged
    assert set(staged) == {"experiment.py", "notes.txt"}
    found = edit(after_run(), f"{word}\n", staged=staged, purpose=Purpose.REPAIR)
    assert found.intent is intent and set(found.changes) == {"notes.txt"}


def test_where_only_notes_fail_the_rest_is_run_and_the_loss_is_told() -> None:
    found = edit(fresh(), FASTER + block("notes.txt", "No such words.\n", "x\n"))
    assert found.intent is Intent.RUN and set(found.changes) == {"experiment.py"}
    assert found.dropped == "notes.txt: SEARCH not found"


def test_a_file_outside_the_editable_list_is_refused() -> None:
    found = refusal(fresh(), block("extra.json", "{}\n", "[]\n"))
    assert found.rejected[0].reason is Reason.NOT_EDITABLE


# REPLICATE


def test_replicate_asks_for_the_completed_code_again() -> None:
    found = edit(after_run(), "Once more.\n\nREPLICATE\n")
    assert (found.intent, found.changes, found.code) == (Intent.REPLICATE, {}, CODE)


def test_a_replication_is_called_so_and_takes_no_plan_item_that_is_not_one() -> None:
    found = edit(after_run(), "REPLICATE\n")
    assert (found.subject, found.item) == ("Run 2: replicate run 1", None)
    planned = replace(after_run(), done_items=(1, 2))
    assert edit(planned, "REPLICATE\n").item == 3


def test_replicate_with_notes_keeps_the_notes() -> None:
    assert set(edit(after_run(), NOTE + "REPLICATE\n").changes) == {"notes.txt"}


def test_replicate_before_any_run_or_on_failed_code_is_refused() -> None:
    assert "REPLICATE needs a completed run" in refusal(fresh(), "REPLICATE\n").summary
    assert "REPLICATE needs a completed run" in refusal(after_failure(), "REPLICATE\n").summary


def test_replicate_with_an_edit_of_the_code_is_that_edit() -> None:
    assert edit(after_run(), FASTER + "REPLICATE\n").intent is Intent.RUN


def test_comments_alone_start_no_run_after_a_replication_of_restored_code() -> None:
    story = Story()
    story.complete_run(code=CODE)
    story.give_up_run()
    story.complete_run(intent=Intent.REPLICATE, code=CODE)
    found = refusal(story.state, block("experiment.py", EXPERIMENT, "# Why\n" + EXPERIMENT))
    assert "leaves the code" in found.summary


# ALL_COMPLETED


@pytest.mark.parametrize("reply", ["", NOTE, PLOT, NOTE + PLOT], ids=["alone", "notes", "plot", "both"])
def test_all_completed_closes_with_at_most_notes_and_plot_edited(reply: str) -> None:
    found = edit(after_run(), f"Both hypotheses hold.\n\n{reply}\nALL_COMPLETED\n")
    assert found.intent is Intent.FINISH and found.code == CODE
    assert set(found.changes) <= {"notes.txt", "plot.py"} and bool(found.changes) == bool(reply)


@pytest.mark.parametrize(
    "reply",
    [
        "I shall say ALL_COMPLETED when all is done.\n",
        "```\nALL_COMPLETED\n```\n",
        "> ALL_COMPLETED\n",
        block("notes.txt", "", "ALL_COMPLETED\n"),
        "<think>\nALL_COMPLETED\n</think>\n",
        "    ALL_COMPLETED\n",
    ],
    ids=["in a sentence", "in a fence", "quoted", "in a block", "in reasoning", "indented code"],
)
def test_all_completed_counts_only_alone_on_a_line_outside_code(reply: str) -> None:
    assert isinstance(read(after_run(), reply), Refusal)


def test_all_completed_before_any_completed_run_is_refused() -> None:
    assert refusal(fresh(), "ALL_COMPLETED\n").summary == "ALL_COMPLETED came before any run was completed"


def test_all_completed_with_a_plan_that_has_open_items_is_sent_back() -> None:
    found = refusal(after_run(), "PLAN:\n1. Raise the learning rate\n2. Widen it\n\nALL_COMPLETED\n")
    assert "both ALL_COMPLETED and a plan with open items" in found.summary and found.plan
    over = "PLAN:\n1. [done] Raise the learning rate\n\nALL_COMPLETED\n"
    assert edit(after_run(), over).intent is Intent.FINISH


def test_all_completed_with_an_edit_of_the_code_is_that_edit() -> None:
    assert edit(after_run(), FASTER + "ALL_COMPLETED\n").intent is Intent.RUN


def test_all_completed_with_a_bad_block_of_the_code_is_sent_back() -> None:
    assert refusal(after_run(), MISSING + "ALL_COMPLETED\n").rejected


def test_all_completed_with_an_edit_of_a_file_beside_notes_and_plot_does_not_close() -> None:
    reply = block("extra.json", "{}\n", "[]\n") + "ALL_COMPLETED\n"
    found = refusal(after_run(), reply, editable=(*EDITABLE, "extra.json"))
    assert "changes nothing in experiment.py" in found.summary


# Whole functions


WHOLE = "experiment.py\n```python\ndef train():\n    return LR\n```\n"


def test_a_whole_function_counts_when_it_was_asked_for() -> None:
    found = edit(fresh(), WHOLE, purpose=Purpose.WHOLE)
    assert found.changes["experiment.py"] == EXPERIMENT.replace("LR * MOMENTUM", "LR")


def test_a_last_reply_without_a_named_fence_is_told_so() -> None:
    found = refusal(fresh(), "```python\ndef teach():\n    return LR\n```\n", purpose=Purpose.WHOLE)
    assert "holds no whole file or function in a fence" in found.summary
    assert "names a file that may be edited" in str(found.misses[0])


def test_a_whole_function_counts_when_the_same_failure_struck_twice() -> None:
    story = Story()
    story.fail_attempt()
    once, twice = story.state, None
    story.fail_attempt()
    twice = story.state
    assert edit(once, WHOLE, purpose=Purpose.FIX).intent is Intent.RUN
    assert edit(twice, WHOLE, purpose=Purpose.FIX).intent is Intent.RUN


def test_a_whole_function_or_constant_counts_in_any_turn_and_an_example_does_not() -> None:
    for purpose in (Purpose.PLAN, Purpose.NEXT, Purpose.FIX, Purpose.REPAIR, Purpose.WHOLE):
        assert edit(fresh(), WHOLE, purpose=purpose).changes["experiment.py"].endswith("    return LR\n")
        found = edit(fresh(), "experiment.py\n```python\nLR = 0.3\n```\n", purpose=purpose)
        assert found.changes == {"experiment.py": EXPERIMENT.replace("LR = 0.1", "LR = 0.3")}
    assert isinstance(read(fresh(), WHOLE.replace("experiment.py\n", "For example, in experiment.py:\n")), Refusal)


SAME = [EXPERIMENT, "LR = 0.1\n", "LR = 0.1\nMOMENTUM = 0.0\n", "def train():\n    return LR * MOMENTUM\n"]


@pytest.mark.parametrize("purpose", [Purpose.PLAN, Purpose.WHOLE])
@pytest.mark.parametrize("text", SAME)
def test_a_text_that_the_file_has_is_told_to_change_nothing(purpose: Purpose, text: str) -> None:
    found = refusal(fresh(), f"experiment.py\n```python\n{text}```\n", purpose=purpose)
    assert found.summary == "the reply gives experiment.py as it is already, so nothing changed and no run was started"


def test_blocks_count_on_the_turn_for_whole_functions_too() -> None:
    assert edit(fresh(), FASTER, purpose=Purpose.WHOLE).intent is Intent.RUN


# The plan


def test_the_plan_of_a_reply_comes_with_its_edit_and_with_its_refusal() -> None:
    plan = "PLAN:\n1. Raise the rate\n2. Add momentum\n\n"
    wanted = (PlanItem(1, "Raise the rate"), PlanItem(2, "Add momentum"))
    assert edit(fresh(), plan + FASTER).plan == wanted
    assert refusal(fresh(), plan + MISSING).plan == wanted
    assert refusal(fresh(), plan).plan == wanted
    assert edit(fresh(), FASTER).plan is None


def test_done_items_stay_in_a_new_plan() -> None:
    found = edit(after_run(), "PLAN:\n1. Widen the net\n2. Stop\n\n" + FASTER)
    assert found.plan == (PLAN[0], PlanItem(2, "Widen the net"), PlanItem(3, "Stop"))
    assert found.item == 2


def test_an_edit_is_for_the_first_item_that_is_not_done() -> None:
    assert edit(after_run(), FASTER).item == 2
    assert edit(fresh(), FASTER).item is None


# Plots and notes


def at(stage: Stage) -> State:
    story = Story(Limits(max_runs=1))
    story.complete_run(code=CODE)
    if stage is Stage.NOTES:
        story.apply(Intent.PLOT)
        story.run_step()
    assert story.state.stage is stage
    return story.state


def test_the_plot_turn_takes_plot_and_notes_and_runs_plot_as_it_is_without_an_edit() -> None:
    state = at(Stage.PLOT)
    assert edit(state, PLOT).changes == {"plot.py": "SIZE = 2\n"}
    assert edit(state, "It is fine.\n").changes == {} and edit(state, "It is fine.\n").intent is Intent.PLOT
    assert refusal(state, FASTER).rejected[0].reason is Reason.NOT_EDITABLE


def test_the_notes_turn_takes_notes_alone_and_must_edit_them() -> None:
    state = at(Stage.NOTES)
    assert edit(state, NOTE).intent is Intent.NOTES
    assert refusal(state, "All is said.\n").summary == "the reply does not edit notes.txt"
    assert refusal(state, PLOT).rejected
    assert refusal(state, block("notes.txt", "No such words.\n", "x\n")).rejected


# Subjects


def test_a_subject_names_the_item_else_the_failure_else_the_first_words() -> None:
    assert edit(after_run(), FASTER).subject == "Run 2: Add momentum"
    assert edit(after_failure(), MOMENTUM).subject == f"Run 2: mend {failure().summary}"
    state = after_failure()
    state = replace(state, launched=replace(state.launched, titles="plan"))
    assert edit(state, MOMENTUM).subject == "Run 2: Add momentum (attempt 2)"
    assert edit(fresh(), "## **Faster** steps\n\n" + FASTER).subject == "Run 1: Faster steps"
    assert edit(fresh(), "<think>\nHidden thoughts\n</think>\nFaster steps\n" + FASTER).subject == "Run 1: Faster steps"


def test_a_first_edit_that_comes_after_refused_replies_is_titled_by_its_item() -> None:
    state = fresh()
    run = replace(state.run, attempts_spent=1, failures=(failure(),))
    refused = replace(state, run=run, launched=replace(state.launched, titles="plan"))
    assert subject_of(refused, PlanItem(1, "Raise LR to 0.1. Expected: more"), "x") == "Run 1: Raise LR to 0.1"
    again = replace(refused, run=replace(run, subject="Run 1: A title", attempts_spent=2))
    assert subject_of(again, None, "Repair it.") == "Run 1: A title (attempt 3)"
    assert len(subject_of(again, PlanItem(1, "long " * 50), "")) <= SUBJECT_WIDTH
    assert subject_of(again, PlanItem(1, "long " * 50), "").endswith(" (attempt 3)")


@given(text=st.text(max_size=200), item=st.none() | st.text(min_size=1, max_size=200).filter(str.strip))
@examples(40)
def test_a_subject_is_one_short_line(text: str, item: str | None) -> None:
    subject = subject_of(fresh(), PlanItem(1, item) if item else None, text)
    assert len(subject) <= SUBJECT_WIDTH and subject.startswith("Run 1:") and len(subject.splitlines()) == 1


# The editor


def planning(state: State) -> State:
    """The same, where another than the planner writes the edits."""
    return replace(state, launched=replace(state.launched, editor_model="e/m"))


def editing(state: State) -> State:
    return with_chat(planning(state), Conversation(role=Role.EDITOR, instruction="i"))


def handover(state: State, reply: str, **rest: object) -> Handover:
    outcome = read(planning(state), reply, **rest)  # type: ignore[arg-type]
    assert isinstance(outcome, Handover), outcome
    return outcome


LABELLED = "PLAN:\n1. Raise the rate\n   Expected: score +0.1\n\n"


def test_a_planners_prose_is_handed_over_with_its_plan() -> None:
    found = handover(fresh(), LABELLED + "Set LR to 0.2.\n```python\nLR = 0.2\n```\n")
    assert found.plan and found.plan[0].expected == "score +0.1" and found.item == 1 and found.staged == {}
    assert found.instruction == "Raise the rate.\n\nSet LR to 0.2.\n```python\nLR = 0.2\n```"
    assert handover(after_run(), "Add momentum.").item == 2
    assert handover(fresh(), "Set LR.", purpose=Purpose.WHOLE).staged == {}


def test_the_editor_is_not_told_of_steps_that_are_not_due() -> None:
    plan = "PLAN:\n1. Raise the rate\n   Expected: score +0.1\n2. Widen the net\n"
    assert (
        handover(fresh(), f"<think>Hm</think>{plan}\nSet LR to 0.2.").instruction == "Raise the rate.\n\nSet LR to 0.2."
    )
    only = handover(fresh(), plan).instruction
    assert only.startswith("Of this carry out one step alone: Raise the rate.\n\nPLAN:")


def test_the_editor_of_a_repair_is_not_told_to_carry_the_step_out_again() -> None:
    assert handover(after_run(), "Set it to 0.9.").instruction == "Add momentum.\n\nSet it to 0.9."
    assert handover(after_failure(), "Drop line 3.").instruction == "Drop line 3."


def test_notes_that_a_planner_writes_by_itself_go_along() -> None:
    assert set(handover(after_run(), NOTE + "And set LR to 0.2.").staged) == {"notes.txt"}


def test_a_planner_that_edits_repeats_or_closes_is_acted_on_at_once() -> None:
    assert edit(planning(fresh()), FASTER).intent is Intent.RUN
    assert edit(planning(fresh()), WHOLE, purpose=Purpose.WHOLE).intent is Intent.RUN
    assert edit(planning(after_run()), "REPLICATE\n").intent is Intent.REPLICATE
    assert edit(planning(after_run()), "ALL_COMPLETED\n").intent is Intent.FINISH
    assert refusal(planning(fresh()), MISSING).rejected
    assert "ALL_COMPLETED came before" in refusal(planning(fresh()), "ALL_COMPLETED\n").summary


@pytest.mark.parametrize("reply", ["", "  \n", "<think>Set LR to 0.2</think>"])
def test_a_reply_without_words_is_not_handed_over(reply: str) -> None:
    assert isinstance(read(planning(fresh()), reply), Refusal)


def test_without_an_editor_nothing_is_handed_over() -> None:
    assert isinstance(read(fresh(), "Set LR to 0.2."), Refusal)


def test_the_editors_words_are_no_plan_and_no_command() -> None:
    found = edit(editing(after_run()), f"PLAN:\n1. Mine\n\nALL_COMPLETED\n\n{FASTER}")
    assert found.plan is None and found.intent is Intent.RUN and found.item == 2
    assert isinstance(read(editing(after_run()), "ALL_COMPLETED\n"), Refusal)
    assert isinstance(read(editing(after_run()), "REPLICATE\n"), Refusal)


def test_an_edit_without_a_plan_is_called_after_the_planners_words() -> None:
    found = edit(editing(fresh()), "Here you are.\n" + FASTER, instruction="Faster steps, please.\n")
    assert found.subject == "Run 1: Faster steps, please."


# Replies that miss the form


def test_prose_is_refused_with_the_line_that_went_wrong() -> None:
    (miss,) = refusal(fresh(), "Set:\n```python\nRATE = 0.2\n```\n").misses
    assert (miss.line, miss.quoted) == (2, "```python RATE = 0.2")
    assert refusal(at(Stage.NOTES), "All is said.\n").misses[0].line == 1
    assert refusal(after_run(), NOTE).misses == ()


def cut(state: State) -> State:
    return with_chat(state, replace(state.attempt.conversation, cut=True))


def test_an_editor_is_not_told_of_commands_that_are_not_its_to_send() -> None:
    for reply in ("ALL_COMPLETED\n", "PLAN:\nNothing is left.\n"):
        (miss,) = read(editing(after_run()), reply).misses  # type: ignore[union-attr]
        assert miss.problem == "the reply ends here, as prose alone"


def test_a_planners_command_within_a_sentence_is_quoted_back_and_no_work_for_the_editor() -> None:
    (miss,) = refusal(planning(after_run()), "I would REPLICATE this run.").misses
    assert miss.problem == "REPLICATE counts only alone on a line"
    assert handover(after_run(), "REPLICATE would not help.\n\nSet LR to 0.2.").item == 2


def test_a_cut_reply_is_never_half_run_and_its_whole_blocks_are_kept() -> None:
    unclosed = "experiment.py\n```python\n<<<<<<< SEARCH\nMOMENTUM = 0.0\n=======\nMOM"
    for reply in (FASTER + unclosed, FASTER + "Now the"):
        found = refusal(cut(fresh()), reply)
        assert found.cut and found.summary == CUT and found.rejected == () and found.applied
        assert found.staged == {"experiment.py": EXPERIMENT.replace("0.1", "0.2")}
        assert set(edit(fresh(), MOMENTUM, staged=found.staged, purpose=Purpose.REPAIR).changes) == {"experiment.py"}
    assert refusal(cut(fresh()), "I thought so long that").summary == CUT
    assert refusal(cut(planning(fresh())), "Set LR to").summary == CUT


def test_other_faults_of_a_cut_reply_are_told_with_it() -> None:
    found = refusal(cut(fresh()), MISSING + "experiment.py\n<<<<<<< SEARCH\nLR")
    assert found.cut and [r.reason for r in found.rejected] == [Reason.NOT_FOUND]


def test_a_command_stands_though_the_words_after_it_were_cut() -> None:
    assert edit(cut(after_run()), "ALL_COMPLETED\nIt was a pleas").intent is Intent.FINISH


# Files that no run uses

LOST_PLOT = block("plot.py", "WIDTH = 1\n", "WIDTH = 2\n")
BROKEN_PLOT = block("plot.py", "SIZE = 1\n", "SIZE = (\n")


@pytest.mark.parametrize("lost", [LOST_PLOT, PLOT + LOST_PLOT, BROKEN_PLOT, block("plot.py", "", "...\n")])
def test_good_code_is_not_lost_for_a_figure_that_fits_nowhere(lost: str) -> None:
    for reply in (FASTER + lost, lost + FASTER):
        found = edit(fresh(), reply + NOTE)
        assert set(found.changes) == {"experiment.py", "notes.txt"} and found.dropped.startswith("plot.py: ")
    both = edit(fresh(), FASTER + LOST_PLOT + block("notes.txt", "No such words.\n", "Words.\n"))
    assert both.dropped == "plot.py: SEARCH not found; notes.txt: SEARCH not found"


@pytest.mark.parametrize(
    "reply",
    [
        LOST_PLOT,
        NOTE + LOST_PLOT,
        FASTER + MISSING + LOST_PLOT,
        FASTER + block("plot.py", "MOMENTUM = 0.0\n", "MOMENTUM = 0.9\n"),  # a line of the run's code
        FASTER + block("elsewhere.py", "SIZE = 1\n", "SIZE = 2\n"),
    ],
)
def test_a_figure_that_fits_nowhere_is_told_where_no_code_waits_for_it(reply: str) -> None:
    assert read(fresh(), reply).rejected  # type: ignore[union-attr]


def test_at_the_end_a_figure_that_fits_nowhere_is_refused() -> None:
    story = Story()
    story.complete_run()
    plotting = replace(story.state, stage=Stage.PLOT)
    assert isinstance(read(plotting, LOST_PLOT, purpose=Purpose.PLOT), Refusal)


def test_what_was_left_out_is_told_by_its_file() -> None:
    assert Applied(dropped="notes.txt: a; notes.txt: b").left_out == "a; b"
    assert Applied(dropped="plot.py: a; notes.txt: b").left_out == "plot.py: a; notes.txt: b" and not Applied().left_out
