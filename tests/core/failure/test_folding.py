"""Folding of what programs print on their way down."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.failure.folding import cut_line, cut_middle, fold, is_progress, mask, take_last
from tests.examples import examples

BLOCKS = "Loading shards:  33%|███▎      | 1/3 [00:04<00:08,  4.25s/it]"


@pytest.mark.parametrize(
    "line",
    [
        BLOCKS,
        BLOCKS.encode().decode("cp1252", "replace"),
        BLOCKS.encode().decode("latin-1"),
        BLOCKS.replace("███▎", "###3"),
        BLOCKS.replace("███▎", "\ufffd\ufffd\ufffd"),
        "  0%|          | 0/1 [00:00<?, ?it/s]",
        "training: 1200it [00:12, 98.3it/s, loss=0.3]",
        "Epoch 1: 45%",
        "Epoch 1/3:  45%|████▌     | 45/100 [00:01<00:01, 32.0it/s, v_num=3]",
        "Downloading: 12.5%",
        "Working ━━━━━━━━╸━━━━━━━  45% 0:00:03",
        "   ━━━━━━━━━━━━━━ 5.0/10.0 MB 3.1 MB/s eta 0:00:02",
        " 12/100 [==>...........................] - ETA: 3s",
        "12/100 ━━━━━━━━━━━━━━━━━━━━ 3s 20ms/step",
        "x.pt    45%[=====>      ]  10M",
        "⠋ waiting",
    ],
)
def test_progress(line: str) -> None:
    assert is_progress(line)
    assert fold(f"{line}\n{line}\n") == fold(line)


@pytest.mark.parametrize(
    "line",
    [
        "accuracy 45%",
        "loss 0.5 at step 3",
        "ValueError: 45% of the rows are empty",
        "loaded 10/10 files",
        "Epoch 3: accuracy is 45% today",
        "━━━━ Results ━━━━",
        "",
        "45%|Traceback (most recent call last):",
        "a/b: permission denied",
    ],
)
def test_no_progress(line: str) -> None:
    assert not is_progress(line)


def test_of_each_bar_the_last_state_is_left() -> None:
    outer = [f"Evaluating: {i * 10}%|█ | {i}/10 [00:0{i}<00:08, 1.0s/it]" for i in range(3)]
    inner = [f"Batch: {i}%|█ | {i}/100 [00:01<00:01, 9.9it/s]" for i in range(0, 100, 9)]
    folded = fold("\n".join(["start", outer[0], *inner, outer[1], *inner, "between", outer[2], *inner[:3]]))
    assert folded == ["start", "between", outer[2], inner[2]]


def test_many_bars_in_a_row_leave_three() -> None:
    assert len(fold("\n".join(f"file{c}.bin: 100%|██| 1/1 [00:01<00:00, 1.0s/it]" for c in "abcdefgh"))) == 3


def test_carriage_returns_keep_the_last_state() -> None:
    assert fold("step 1\rstep 2\rstep 3\n") == ["step 3"]
    assert fold("step 1\rstep 2\r") == ["step 2"]
    assert fold("one\r\ntwo\r\n") == ["one", "two"]
    assert fold("one\r\r\ntwo") == ["one", "two"]
    assert fold("\r   \r\n") == []
    assert fold("12%\b\b\b13%\b\b\b14% ready") == ["14% ready"]


def test_an_error_is_not_overwritten() -> None:
    assert fold(f"ValueError: lost\r{BLOCKS}\r{BLOCKS}") == ["ValueError: lost", BLOCKS]


def test_a_traceback_behind_a_bar_gets_its_own_line() -> None:
    folded = fold(f"\r{BLOCKS}Traceback (most recent call last):\n  File")
    assert folded == [BLOCKS, "Traceback (most recent call last):", "  File"]


def test_control_characters_and_colours_go() -> None:
    assert fold("\x1b[1;31mred\x1b[0m\x1b]8;;http://x\x1b\\link\x1b]8;;\x07\x00\x0c\x7f\x9b \x1b(B\x1b[2K.\ttab") == [
        "redlink .\ttab"
    ]


def test_repeats_are_counted() -> None:
    assert fold("a\na\na\na\nb\n") == ["a", "[line above: 3 more times]", "b"]
    assert fold("a\na\nb\n") == ["a", "a", "b"]
    assert fold("w\n x\n" * 50 + "end") == ["w", " x", "[2 lines above: 49 more times]", "end"]
    assert fold("\n\n\na\n\n\n\nb\n\n") == ["a", "", "b"]


def test_huge_output_loses_its_middle() -> None:
    folded = fold("first\n" + "\n".join(f"{i}" * 1000 for i in range(500)) + "\nlast")
    assert folded[0] == "first" and folded[-1] == "last"
    assert any("characters left out" in line for line in folded)


@examples(50)
@given(st.text(st.sampled_from("ab \n\r\t\x08\x1b[]m0%|/\x00\ud800é"), max_size=60))
def test_folded_lines_are_plain(text: str) -> None:
    folded = fold(text)
    for line in folded:
        assert line == line.rstrip() and len(line) <= 400
        assert not set(line) & set("\n\r\x08\x1b\x00\ud800")
    assert not folded or (folded[0] and folded[-1])


@examples(40)
@given(st.lists(st.text(st.sampled_from("xyz"), max_size=600), max_size=60), st.integers(200, 900))
def test_cuts_keep_within_their_limit(lines: list[str], limit: int) -> None:
    text = "\n".join(lines)
    assert len(cut_middle(text, limit)) <= limit
    assert all(len(cut_line(line, limit)) <= limit for line in lines)
    assert cut_middle(text, limit) == text or len(text) > limit
    assert sum(len(line) + 1 for line in take_last(lines, 9, limit)) <= limit


def test_one_long_line_keeps_both_ends() -> None:
    cut = cut_middle("start" + "x" * 9000 + "end", 1000)
    assert cut.startswith("start") and cut.endswith("end") and len(cut) <= 1000


@pytest.mark.parametrize(
    ("message", "masked"),
    [
        ("index 5 is out of bounds for size 3", "index # is out of bounds for size #"),
        ("shape '[16, -1]' is invalid for input of size 1.5e+3", "shape '#' is invalid for input of size #"),
        ("mat1 and mat2 (125x2304 and 256 x 2304)", "mat1 and mat2 (# and #)"),
        ("expected torch.Size([1, 2]) on cuda:0", "expected # on cuda:#"),
        ("<obj at 0x7f9a> in /a/b/c.py", "<obj at #> in c.py"),
        ("No such file: '/tmp/tmpab12cd3e/x.pt'", "No such file: 'x.pt'"),
        ("cannot read ../data/acts.npy", "cannot read ../data/acts.npy"),
        ("key 'fc1.weight' has float32", "key 'fc1.weight' has float32"),
        ("Tried to allocate 20.00 MiB of 79.15 GiB", "Tried to allocate # of #"),
        ("value tensor([[1., nan]], device='cuda:0') is bad", "value tensor# is bad"),
        ("blob deadbeef1234cafe is gone", "blob # is gone"),
        ("name 'x' is not defined. Did you mean: 'y'?", "name 'x' is not defined"),
        ("a\n   b\tc", "a b c"),
        ("ratio a/b of infant", "ratio a/b of infant"),
    ],
)
def test_mask(message: str, masked: str) -> None:
    assert mask(message) == masked


@examples(40)
@given(st.text(max_size=20), st.integers(0, 10**9), st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_do_not_matter(words: str, integer: int, real: float) -> None:
    assert mask(f"{words} at {integer} and {real}") == mask(f"{words} at 7 and 0.5")
