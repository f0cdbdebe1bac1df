"""Long lines of one character, at which a pattern that tries a run from each of its places takes quadratic time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median

import pytest

from agent.core.edit.apply import apply_reply, apply_whole, has_blocks
from agent.core.edit.formats.names import find_info_name, find_name, is_heading, mentioned
from agent.core.edit.match import is_dots
from agent.core.edit.seen import reveal
from agent.core.reply.expectation import begins_label, headline, read_comparison, read_labels
from agent.core.reply.misses import find_misses, is_missed_command
from agent.core.reply.plan import bare_plan_line, parse_reply, without_plan
from agent.core.reply.plan_table import is_row, read_table
from agent.core.reply.review import read_review
from agent.core.text.lexer import mark_lines, read_lines
from agent.core.text.markers import closes_block, divider_width, is_marker, read_fence, read_head
from agent.core.text.placeholders import find_placeholders
from agent.core.text.plain import plain_line
from agent.core.text.reasoning import strip_reasoning
from agent.core.text.redact import Redactor
from tests.core.timing import seconds

LENGTH = 10_000
CHARACTERS = "~`#><= 1.-*\t_a(|"
# Lines of this length are read in a few milliseconds, in quadratic time it takes an eighth of a second or more.
FAST_S = 0.025
FILE = "experiment.py"
FILES = {FILE: "x = 1\n"}

READERS: dict[str, Callable[[str], object]] = {
    "read_lines": read_lines.__wrapped__,
    "mark_lines": lambda line: mark_lines([line]),
    "read_fence": read_fence,
    "read_head": read_head,
    "closes_block": closes_block,
    "divider_width": divider_width,
    "is_marker": is_marker,
    "plain_line": plain_line,
    "strip_reasoning": strip_reasoning,
    "strip_reasoning after a tag": lambda line: strip_reasoning(f"<think>{line}\n</think>{line}"),
    "Redactor": Redactor({"sk-abcdefgh12345": "KEY"}),
    "Redactor.in_error": Redactor().in_error,
    "undo_in": Redactor({"0a1b2c3d4e": "KEY"}).undo_in(["a = '0a1b2c3d4e'"]),
    "parse_reply": parse_reply,
    "parse_reply in an item": lambda line: parse_reply(f"PLAN:\n1. {line}\n2. stop"),
    "bare_plan_line": bare_plan_line,
    "without_plan": without_plan,
    "is_row": is_row,
    "read_table": lambda line: read_table([line, "|---|---|", line]),
    "read_labels": read_labels,
    "begins_label": begins_label,
    "headline": headline,
    "read_comparison": lambda line: read_comparison(line, ["val_loss", "x"], "x"),
    "find_misses": find_misses,
    "is_missed_command": is_missed_command,
    "read_review": read_review,
    "read_review in a part": lambda line: read_review(f"JUDGEMENT: supported\nREASON: {line}\nSUGGESTIONS:\n- {line}"),
    "has_blocks": has_blocks,
    "apply_reply": lambda line: apply_reply(FILES, line, editable=(FILE,)),
    "apply_reply in a block": lambda line: apply_reply(
        FILES, f"{FILE}\n<<<<<<< SEARCH\n{line}\n=======\n{line}\n>>>>>>> REPLACE\n", editable=(FILE,)
    ),
    "apply_whole": lambda line: apply_whole(FILES, f"{line}\n{FILE}\n```\n{line}\n```\n", editable=(FILE,)),
    "find_name": lambda line: find_name(line, (FILE,)),
    "find_info_name": lambda line: find_info_name(line, (FILE,)),
    "mentioned": lambda line: mentioned(line, (FILE,)),
    "is_heading": is_heading,
    "find_placeholders": lambda line: find_placeholders(FILE, [line]),
    "is_dots": is_dots,
    "reveal": lambda line: reveal({FILE: ((1, 1),)}, line, FILES, {}),
}


@pytest.mark.parametrize("closing", ["x", pytest.param("`", marks=pytest.mark.slow)])
@pytest.mark.parametrize("reader", READERS)
def test_a_long_line_is_read_in_time_linear_in_its_length(reader: str, closing: str) -> None:
    read = READERS[reader]
    slow = []
    for line in (character * LENGTH + closing for character in CHARACTERS):
        if seconds(partial(read, line)) < FAST_S:
            continue
        half, whole = (median(seconds(partial(read, part)) for _ in range(3)) for part in (line[LENGTH // 2 :], line))
        if whole >= FAST_S and whole > 3 * half:
            slow.append((line[0], line[LENGTH:], round(half, 3), round(whole, 3)))
    assert not slow
