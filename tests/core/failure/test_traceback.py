"""Tracebacks in the forms in which launchers, workers and crashes leave them."""

from __future__ import annotations

import traceback

import pytest

from agent.core.failure.traceback import DIRECT_CAUSE, DURING_HANDLING, Chain, find_chains, own_name, render_chain

OWN = ("experiment.py",)
FRAMES = (
    '  File "/w/experiment.py", line 7, in <module>\n    main()\n    ^^^^^^\n'
    '  File "/w/experiment.py", line 3, in main\n    f()'
)


def chains(text: str) -> list[Chain]:
    return find_chains(text.split("\n"))


def only(text: str) -> Chain:
    (chain,) = chains(text)
    return chain


def test_what_python_prints_is_read_back() -> None:
    def fail(depth: int) -> None:
        if depth:
            fail(depth - 1)
        raise KeyError("acts")

    with pytest.raises(RuntimeError) as caught:
        try:
            fail(2)
        except KeyError as error:
            raise RuntimeError("wrapped\nsecond line") from error
    text = "".join(traceback.format_exception(caught.value))
    cause, final = only(text)
    assert (cause.type, cause.message, cause.relation) == ("KeyError", "'acts'", "")
    assert [frame.function for frame in cause.frames[-3:]] == ["fail"] * 3
    assert (final.type, final.message, final.more) == ("RuntimeError", "wrapped", ("second line",))
    assert final.relation == DIRECT_CAUSE
    assert cause.frames[-1].code[0].strip() == 'raise KeyError("acts")'


def test_handling_is_a_relation_and_unrelated_tracebacks_are_two() -> None:
    one = f"Traceback (most recent call last):\n{FRAMES}\nValueError: a"
    assert [raised.relation for raised in only(f"{one}\n\n{DURING_HANDLING}\n\n{one}")] == ["", DURING_HANDLING]
    assert [len(chain) for chain in chains(f"{one}\n\nlog line\n\n{one}\n")] == [1, 1]


@pytest.mark.parametrize("prefix", ["[rank0]: ", "(worker pid=12) ", "    ", "2025-01-01 ERROR "])
def test_prefixes_of_launchers(prefix: str) -> None:
    text = "\n".join(
        prefix + line for line in f"Traceback (most recent call last):\n{FRAMES}\nValueError: a".split("\n")
    )
    (raised,) = only(text + "\nafter")
    assert raised.headline == "ValueError: a"
    assert [frame.line for frame in raised.frames] == [7, 3]


@pytest.mark.parametrize("words", ["step 3... ", " ", "Error: "])
def test_words_before_the_header_on_its_line(words: str) -> None:
    (raised,) = only(f"{words}Traceback (most recent call last):\n{FRAMES}\nValueError: a")
    assert raised.headline == "ValueError: a"
    assert len(raised.frames) == 2


def test_a_data_loader_worker_carries_the_original() -> None:
    text = (
        f"Traceback (most recent call last):\n{FRAMES}\nKeyError: Caught KeyError in DataLoader worker process 0.\n"
        'Original Traceback (most recent call last):\n  File "/w/experiment.py", line 90, in __getitem__\n    x\n'
        "KeyError: 5\n"
    )
    assert [chain[-1].headline for chain in chains(text)] == [
        "KeyError: Caught KeyError in DataLoader worker process 0.",
        "KeyError: 5",
    ]


def test_exception_groups() -> None:
    text = (
        "  + Exception Group Traceback (most recent call last):\n"
        '  |   File "/w/experiment.py", line 20, in <module>\n  |     raise eg\n'
        "  | ExceptionGroup: eg (1 sub-exception)\n  +-+---------------- 1 ----------------\n    | ValueError: a\n"
    )
    (raised,) = only(text)
    assert raised.headline == "ExceptionGroup: eg (1 sub-exception)"
    assert "    | ValueError: a" in raised.more


def test_a_torn_head_and_a_torn_tail() -> None:
    (headless,) = only(f"{FRAMES}\nValueError: a\n")
    assert headless.headline == "ValueError: a"
    (endless,) = only(f"Traceback (most recent call last):\n{FRAMES}")
    assert endless.type == "" and len(endless.frames) == 2
    assert chains("Traceback (most recent call last):") == []


def test_bars_inside_a_traceback_do_not_break_it() -> None:
    bar = " 33%|███▎      | 1/3 [00:04<00:08,  4.25s/it]"
    (raised,) = only(f"Traceback (most recent call last):\n{bar}\n{FRAMES}\n{bar}\nValueError: a\n{bar}")
    assert raised.headline == "ValueError: a" and raised.more == ()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/w/run_3/experiment.py", "experiment.py"),
        ("experiment.py", "experiment.py"),
        ("./experiment.py", "experiment.py"),
        ("C:\\w\\experiment.py", "experiment.py"),
        ("/w/my_experiment.py", None),
        ("/w/models/sae.py", "models/sae.py"),
        ("/w/sae.py", None),
        ("/w/lib/python3.11/site-packages/mlkit/experiment.py", None),
        ("/usr/lib/python3.11/experiment.py", None),
        ("/home/python3/experiment.py", "experiment.py"),
        ("<string>", None),
    ],
)
def test_own_name(path: str, name: str | None) -> None:
    assert own_name(path, ("experiment.py", "models/sae.py")) == name


def test_foreign_frames_are_thinned_out_and_own_ones_shown() -> None:
    foreign = "".join(
        f'  File "/v/lib/python3.11/site-packages/torch/m{i}.py", line {i}, in call\n    x{i}\n' for i in range(9)
    )
    chain = only(f"Traceback (most recent call last):\n{foreign}{FRAMES}\n{foreign}ValueError: a")
    assert render_chain(chain, OWN, 3000).split("\n") == [
        "Traceback (most recent call last):",
        "  [9 frames left out]",
        '  File "experiment.py", line 7, in <module>',
        "    main()",
        "    ^^^^^^",
        '  File "experiment.py", line 3, in main',
        "    f()",
        "  [7 frames left out]",
        '  File "torch/m7.py", line 7, in call',
        "    x7",
        '  File "torch/m8.py", line 8, in call',
        "    x8",
        "ValueError: a",
    ]


def test_rendering_keeps_its_limit_and_the_last_exception() -> None:
    one = f"Traceback (most recent call last):\n{FRAMES}\n"
    text = f"\n\n{DIRECT_CAUSE}\n\n".join(f"{one}Error{i}: {'x' * 3000}" for i in range(12))
    rendered = render_chain(only(text), OWN, 2000)
    assert len(rendered) <= 2000 and "Error11: x" in rendered and "Error0: x" in rendered
