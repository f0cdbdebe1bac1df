"""The way back from texts to blocks, judged by the engine that applies them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.core.edit.apply import apply_reply
from agent.core.edit.from_texts import Unwritable, blocks_of
from agent.core.edit.lines import split_lines

PATH = "notes.txt"
LINE = st.sampled_from(
    ["", "a", "b", "  a", "a ", "```", "=======", "====", "x = 1", "PLAN:", "<b>", "notes.txt", "\t"]
)
TEXT = st.lists(LINE, max_size=14).map(lambda lines: "".join(f"{line}\n" for line in lines))


def applied(old: dict[str, str], reply: str, editable: tuple[str, ...] = (PATH,)) -> dict[str, str]:
    result = apply_reply(old, reply, editable=editable)
    assert not result.rejected, (result.rejected, reply)
    return result.files


@given(TEXT, TEXT)
@example("", "a\n")
@example("\n", "a\n")
@example("\n\n", "\n")
@example("a\n\n", "a\n")
@example("a\n", "a\n\n\n")
@example("a\n", "")
@example("a\na\na\n", "a\na\nb\na\n")
@example("a\n\n", "")
def test_applying_the_blocks_gives_the_new_text(old: str, new: str) -> None:
    assert applied({PATH: old}, blocks_of({PATH: old}, {PATH: new})) == {PATH: new}


@given(TEXT)
def test_a_new_file_is_created_as_it_is(new: str) -> None:
    assert applied({}, blocks_of({}, {PATH: new})) == {PATH: new}


@given(TEXT, TEXT)
@example("\n\n", "\t\n\n")  # two changes, each by way of the same last line
def test_line_ends_of_the_old_file_are_kept(old: str, new: str) -> None:
    """The editor may have written newlines in place of them."""
    windows = old.replace("\n", "\r\n")
    reply = blocks_of({PATH: windows}, {PATH: new})
    after = applied({PATH: windows}, reply)[PATH]
    assert split_lines(after).text == split_lines(new).text
    assert not old or after == new.replace("\n", "\r\n")


@given(TEXT.filter(lambda text: bool(text.strip())))
def test_a_missing_final_newline_and_a_byte_order_mark_are_kept(text: str) -> None:
    old = f"\ufefffirst\n{text}last"
    after = applied({PATH: old}, blocks_of({PATH: old}, {PATH: f"second\n{text}last\n"}))[PATH]
    assert after == f"\ufeffsecond\n{text}last"


def test_every_search_is_as_short_as_a_unique_place_allows() -> None:
    old = "".join(f"line {n}\n" for n in range(50))
    new = old.replace("line 7\n", "seven\n").replace("line 30\n", "thirty\n")
    first, second = apply_reply({PATH: old}, blocks_of({PATH: old}, {PATH: new}), editable=[PATH]).applied
    assert first.search == "".join(f"line {n}\n" for n in range(5, 10))
    assert second.replace == "line 28\nline 29\nthirty\nline 31\nline 32\n"


def test_several_files_and_nothing_changed() -> None:
    old = {"a.py": "x = 1\n", "b.py": "x = 1\n", "c.py": "x = 1\n"}
    new = {"a.py": "x = 2\n", "b.py": "x = 1\n", "d.py": "y = 1\n"}
    reply = blocks_of(old, new)
    assert applied(old, reply, ("a.py", "b.py", "c.py", "d.py")) == {**old, **new}
    assert blocks_of(old, dict(old)) == ""


@pytest.mark.parametrize(
    "line",
    ["<<<<<<< SEARCH", ">>>>>>> REPLACE", "=====\n======\n=======\n========\n=========", "======= >>>>>>> REPLACE"],
)
def test_lines_that_are_markers_themselves_are_refused(line: str) -> None:
    with pytest.raises(Unwritable, match=r"notes\.txt: its lines are markers"):
        blocks_of({PATH: "a\n"}, {PATH: f"a\n{line}\n"})


def test_many_changes_of_a_file_are_written_as_one_block():
    old = {"a.txt": "".join(f"line {i}\nsame\n" for i in range(300))}
    new = {"a.txt": "".join(f"word {i}\nsame\n" for i in range(300))}
    reply = blocks_of(old, new)
    assert reply.count("SEARCH") == 1
    assert apply_reply(old, reply, editable=["a.txt"]).files == new
