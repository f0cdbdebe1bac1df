"""A brief in two parts, told apart by their headings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.core.inputs.brief import Brief, split_brief


def test_the_task_goes_on_after_the_background() -> None:
    text = "# Task\n\nRules.\n\n## Part\nMore.\n\n# Field brief\n\nOthers.\n\n## Costs\nHigh.\n\n# Data\n\nSome."
    assert split_brief(text) == Brief(
        "Rules.\n\n## Part\nMore.\n\n# Data\n\nSome.", "# Field brief\n\nOthers.\n\n## Costs\nHigh.", ("Field brief",)
    )


def test_every_heading_that_says_so_is_background_and_no_other() -> None:
    found = split_brief("Do it.\n# Background\na\n# Rules\nb\n# Related work (2024) #\nc\n# fieldwork\nd")
    assert found == Brief(
        "Do it.\n# Rules\nb\n# fieldwork\nd", "# Background\na\n# Related work (2024) #\nc", found.headings
    )
    assert found.headings == ("Background", "Related work (2024)")


def test_a_comment_in_a_fence_is_no_heading() -> None:
    text = "Do it.\n```python\n# background\nx = 1\n```\nAs said."
    assert split_brief(text) == Brief(text)


@given(st.lists(st.sampled_from(["# Task", "# Background", "# Data", "```", "~~~~", "words", ""]), max_size=12))
def test_no_line_of_a_brief_is_lost(lines: list[str]) -> None:
    found = split_brief("\n".join(lines))
    left = sorted(line for part in (found.task, found.background) for line in part.split("\n") if line)
    assert [line for line in left if line != "# Task"] == sorted(line for line in lines if line not in ("", "# Task"))
