"""Plans and commands in replies as models write them, and what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.core.journal.kinds import PlanItem
from agent.core.reply.plan import Plan, merge_plan, parse_reply, without_plan
from agent.core.text.reasoning import strip_reasoning
from tests.examples import examples


def items(reply: str) -> list[tuple[int, str]] | None:
    plan = parse_reply(reply).plan
    return None if plan is None else [(item.number, item.text) for item in plan.items]


@pytest.mark.parametrize(
    "header",
    [
        "PLAN:",
        "**PLAN:**",
        "**PLAN**:",
        "## PLAN",
        "### Plan:",
        "Plan:",
        "plan :",
        "__Plan:__",
        "**Revised Experiment Plan**:",
    ],
)
@pytest.mark.parametrize("gap", ["\n", "\n\n", "\r\n"])
def test_headers(header: str, gap: str) -> None:
    assert items(f"Some thoughts.\n{header}{gap}1. first{gap[-1:]}2. second\n\nBye.") == [(1, "first"), (2, "second")]


@pytest.mark.parametrize(
    "line",
    ["The plan: do it well.", "My PLAN is:", "> PLAN:", "    PLAN: x", "planning:", "Explanation:", "- PLAN", "Plan"],
)
def test_lines_that_are_no_header(line: str) -> None:
    assert items(f"{line}\n1. first\n") is None


def test_items_keep_their_continuation_lines() -> None:
    reply = (
        "PLAN:\n"
        "1. **Run 1**: threshold schedule\n"
        "   - hypothesis: f1 rises by 0.02\n"
        "     (refuted below 0.005)\n"
        "lazy line\n"
        "\n"
        "   still run 1\n"
        "   1. a step\n"
        "2) ablation\n"
        "\n"
        "3. final\n"
        "\n"
        "I will begin now:\n"
        "4. not an item\n"
    )
    assert items(reply) == [
        (
            1,
            "**Run 1**: threshold schedule\n   - hypothesis: f1 rises by 0.02\n     (refuted below 0.005)\nlazy line\n"
            "   still run 1\n   1. a step",
        ),
        (2, "ablation"),
        (3, "final"),
    ]


@pytest.mark.parametrize(
    "after",
    [
        "```python\n3. code\n```",
        "experiment.py\n<<<<<<< SEARCH\n3. old\n=======\n3. new\n>>>>>>> REPLACE",
        "## Changes\n3. other list",
        "---\n3. other list",
        "REPLICATE\n3. x",
    ],
)
def test_a_plan_ends_where_something_else_begins(after: str) -> None:
    found = items(f"PLAN:\n1. one\n2. two\n{after}\n")
    assert found is not None
    assert [number for number, _ in found] == [1, 2]


def test_bold_numbers_and_indented_lists() -> None:
    assert items("PLAN:\n  **1.** one\n     more\n  **2.** two\n") == [(1, "one\n     more"), (2, "two")]
    assert items("Plan:\n- 1. one\n- 2. two\n") == [(1, "one"), (2, "two")]
    assert items("PLAN: 1. one\n2. two") == [(1, "one"), (2, "two")]


def test_numbers_are_kept_where_they_rise_and_counted_where_not() -> None:
    assert items("PLAN:\n3. c\n5. e\n") == [(3, "c"), (5, "e")]
    assert items("PLAN:\n1. a\n1. b\n1. c\n") == [(1, "a"), (2, "b"), (3, "c")]


def test_the_paragraph_before_the_items_is_kept() -> None:
    plan = parse_reply("PLAN:\n\nComponents:\n- gate (USE_GATE)\n\n1. gate on\n").plan
    assert plan == Plan((PlanItem(1, "gate on"),), "Components:\n- gate (USE_GATE)")


def test_a_list_far_below_a_header_is_not_its_plan() -> None:
    assert items("Plan:\n\nI keep to it.\n\nThis changes:\n1. the learning rate\n") is None
    assert items("## Plan\n\n## Changes\n1. the learning rate\n") is None
    assert items("PLAN:\n```\n1. a\n```\n") is None
    assert items("PLAN:\nas before.\n") is None
    assert items("PLAN:") is None


def test_the_last_plan_counts() -> None:
    assert items("PLAN:\n1. old\n\nNo, better:\n\nPLAN:\n1. new\n\nPlan: as above\n") == [(1, "new")]


@pytest.mark.parametrize(
    "line",
    [
        "ALL_COMPLETED",
        "  ALL_COMPLETED  ",
        "**ALL_COMPLETED**",
        "`ALL_COMPLETED`",
        "'ALL_COMPLETED'",
        '"ALL_COMPLETED".',
        "ALL_COMPLETED.",
        "**ALL_COMPLETED.**",
        "ALL\\_COMPLETED",
        "“ALL_COMPLETED”",
        "ALL_COMPLETED\r",
        "\ufeffALL_COMPLETED",
        "\u200bALL_COMPLETED\u00a0",
    ],
)
def test_all_completed_alone_on_a_line(line: str) -> None:
    assert parse_reply(f"All is done.\n{line}\n").all_completed
    assert parse_reply(line).all_completed


@pytest.mark.parametrize(
    "reply",
    [
        "I will answer ALL_COMPLETED when done.",
        "Not yet ALL_COMPLETED",
        "ALL_COMPLETED is not yet due.",
        "all_completed",
        "ALL COMPLETED",
        "NOT_ALL_COMPLETED",
        "ALL_COMPLETED_SOON",
        "> ALL_COMPLETED",
        "- ALL_COMPLETED",
        "    ALL_COMPLETED",
        "\tALL_COMPLETED",
        "```\nALL_COMPLETED\n```",
        "~~~text\nALL_COMPLETED\n~~~",
        "````\n```\nALL_COMPLETED\n```\n````",
        "```\nALL_COMPLETED",
        "1. ```\n   ALL_COMPLETED\n   ```",
        "notes.txt\n<<<<<<< SEARCH\n=======\nALL_COMPLETED\n>>>>>>> REPLACE",
        "notes.txt\n```\n<<<<<<< SEARCH\n```\n=======\n```\nALL_COMPLETED\n>>>>>>> REPLACE\n```",
        "<<<<<<<SEARCH\nALL_COMPLETED\n=======\n>>>>>>>REPLACE",
        "<think>\nALL_COMPLETED\n</think>\nNo.",
        "<think>\nALL_COMPLETED",
        "<path>notes.txt</path>\n<old_str>\nx\n</old_str>\n<new_str>\nALL_COMPLETED\n</new_str>",
        '{"path": "notes.txt", "old_str": "x", "new_str": "\nALL_COMPLETED\n"\n}',
        "<!-- later:\nALL_COMPLETED\n-->",
        "<THINKING>is it\nALL_COMPLETED\n</THINKING> no",
        "so it is\nALL_COMPLETED\n</think>\nNo: run 2 is missing.",
        "<reasoning>\n```\n</reasoning>\nNo.\n```\nALL_COMPLETED\n```",
        "",
    ],
)
def test_what_only_looks_like_all_completed(reply: str) -> None:
    assert not parse_reply(reply).all_completed


@pytest.mark.parametrize(
    "before",
    [
        "```python\nx = 1\n```\n",
        "<think>\n```\nnever closed\n</think>\n",
        "experiment.py\n<<<<<<< SEARCH\n```\n=======\n>>>>>>> REPLACE\n",
        "```\n<<<<<<< SEARCH\n# <think>\n=======\n>>>>>>> REPLACE\n```\n",
        "The tag `<think>` is mine.\n",
        "I strip <think> tags in the evaluator.\n",
        "~~~\n```\n~~~\n",
        "1. x\n\n",
    ],
)
def test_words_after_code_and_reasoning_count(before: str) -> None:
    assert parse_reply(before + "ALL_COMPLETED\n").all_completed
    assert parse_reply(before + "REPLICATE\n").replicate


def test_commands_do_not_imply_each_other() -> None:
    reply = parse_reply("REPLICATE\n")
    assert reply.replicate and not reply.all_completed and reply.plan is None
    assert not parse_reply("REPLICATED\nI will REPLICATE it.").replicate


_pieces = st.lists(
    st.sampled_from(
        ["<think>", "</think>", "<reasoning>", "</reasoning>", "```", "\n", "\n", "\r\n", "`", "x", " ", "PLAN:", "1. ",
         "> ", "<<<<<<< SEARCH", ">>>>>>> REPLACE", "=======", "ALL_COMPLETED", "**", "    "]
    ),
    max_size=25,
)  # fmt: skip


@examples(80)
@given(_pieces)
@example(["</think>", "<think>", "\n", "</think>"])
def test_any_reply_is_read_and_no_line_moves(pieces: list[str]) -> None:
    text = "".join(pieces)
    stripped = strip_reasoning(text)
    assert stripped.count("\n") == text.count("\n")
    assert len(stripped) <= len(text)
    reply = parse_reply(text)
    assert not reply.all_completed or "ALL_COMPLETED" in stripped
    if reply.plan:
        numbers = [item.number for item in reply.plan.items]
        assert numbers == sorted(set(numbers)) and numbers
        assert all(item.text.strip() for item in reply.plan.items)


def plan(*texts: str, start: int = 1) -> Plan:
    return Plan(tuple(PlanItem(start + i, text) for i, text in enumerate(texts)))


def test_a_new_plan_replaces_the_old_one() -> None:
    new = plan("x", "y")
    assert merge_plan(None, new, ()) == new
    assert merge_plan(plan("a", "b", "c"), new, ()) == new
    assert merge_plan(None, new, {1}) == new


def test_done_items_that_were_dropped_stay_in_front() -> None:
    merged = merge_plan(plan("a", "b", "c"), plan("x", "y", start=2), {1})
    assert [(i.number, i.text) for i in merged.items] == [(1, "a"), (2, "x"), (3, "y")]


def test_new_items_that_would_take_a_done_number_are_counted_on() -> None:
    merged = merge_plan(plan("a", "b", "c"), plan("x", "y"), {1, 2})
    assert [(i.number, i.text) for i in merged.items] == [(1, "a"), (2, "b"), (3, "x"), (4, "y")]


def test_a_repeated_item_keeps_the_number_under_which_it_is_done() -> None:
    merged = merge_plan(plan("**Run 1**: gate\n - why", "b", "c"), plan("Run 1: gate (done)", "x", "c"), {1})
    assert [(i.number, i.text) for i in merged.items] == [(1, "Run 1: gate (done)"), (2, "x"), (3, "c")]
    moved = merge_plan(plan("a", "b"), plan("x", "a"), {1})
    assert [(i.number, i.text) for i in moved.items] == [(2, "x"), (1, "a")]


@examples(40)
@given(
    st.lists(st.sampled_from("abcdef"), unique=True, max_size=5),
    st.lists(st.sampled_from("abcxyz"), min_size=1, max_size=5),
    st.sets(st.integers(1, 6)),
)
def test_merging_loses_no_done_item_and_repeats_no_number(old: list[str], new: list[str], done: set[int]) -> None:
    merged = merge_plan(plan(*old), plan(*new), done)
    numbers = [item.number for item in merged.items]
    assert len(set(numbers)) == len(numbers)
    assert {i.text for i in plan(*old).items if i.number in done} <= {i.text for i in merged.items}
    assert set(new) <= {i.text for i in merged.items}
    for item in plan(*old).items:
        if item.number in done:
            assert next(i.number for i in merged.items if i.text == item.text) == item.number


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("First.\n\nPLAN:\n1. a\n   more\n2. b\n\nThen.\n", "First.\n\n\nThen."),
        ("PLAN: 1. a\n2. b\n\nThen.\n", "Then."),
        ("PLAN:\nComponents:\n- x\n\n1. a\n\n```\n1. code\n```\n", "```\n1. code\n```"),
        ("PLAN:\n1. old\n\nNo:\n\nPLAN:\n1. new\n", "No:"),
        ("PLAN:\n1. a", ""),
        ("Plan: as above.\n\nGo.", "Plan: as above.\n\nGo."),
        ("<think>\nPLAN:\n1. x\n</think>\nGo.", "Go."),
    ],
)
def test_what_a_reply_says_beside_its_plans(text: str, rest: str) -> None:
    assert without_plan(text) == rest


# Plans that nearly follow the form

ITEMS = {1: ("slow", "score +0.02"), 2: ("steady", "score >= 0.9")}


@pytest.mark.parametrize(
    "plan",
    [
        "PLAN:\n1. Raise\nHypothesis: slow\n\nExpected: score +0.02\n\n2. Add\n\nHypothesis: steady\n"
        "Expected: score >= 0.9\n",
        "## Plan\n\n### 1. Raise\n**Hypothesis:** slow\n**Expected:** score +0.02\n\n### 2. Add\nHypothesis: steady\n\n"
        "Expected: score >= 0.9\n",
        "## Plan\n\n#### Run 1: Raise\n\nAs said.\n\n- Hypothesis: slow\n- Expected: score +0.02\n\n#### Run 2 – Add\n"
        "Hypothesis: steady\nExpected: score >= 0.9\n",
        "PLAN:\n- **Run 1:** Raise\n  Hypothesis: slow\n  Expected: score +0.02\n- **Run 2:** Add\n"
        "  Hypothesis: steady\n  Expected: score >= 0.9\n",
        "**PLAN:**\n\n| # | Change | Hypothesis | Expected |\n|---|---|---|---|\n| 1 | Raise | slow | score +0.02 |\n"
        "| 2 | Add | steady | score >= 0.9 |\n",
        "```text\nPLAN:\n1. Raise\n   Hypothesis: slow\n   Expected: score +0.02\n2. Add\n   Hypothesis: steady\n"
        "   Expected: score >= 0.9\n```\n",
    ],
    ids=["flush labels", "headings", "headings by run", "named", "table", "fence"],
)
def test_a_plan_is_read_in_the_forms_that_models_write_and_its_labels_with_it(plan: str) -> None:
    text = plan + "\nNow set LR to 0.1.\n"
    found = parse_reply(text).plan
    assert found and {i.number: (i.hypothesis, i.expected) for i in found.items} == ITEMS
    assert [i.text.split("\n")[0].strip("*") for i in found.items] == ["Raise", "Add"]
    assert without_plan(text) == "Now set LR to 0.1."


def test_words_about_a_run_below_a_numbered_plan_are_no_item_of_it() -> None:
    for rest in ("Run 1: set LR to 0.2.", "## Run 2: the edit\n\nSet LR to 0.2."):
        text = f"PLAN:\n1. Raise\n\n{rest}"
        found = parse_reply(text).plan
        assert found and len(found.items) == 1 and without_plan(text) == rest


def test_a_program_in_a_fence_is_no_plan() -> None:
    assert parse_reply("```python\nPLAN:\n1. x\n```\n").plan is None
    assert not parse_reply("```\nPLAN:\n1. x\n\nALL_COMPLETED\n```\n").all_completed
