"""Definitions of a text with their lines, and the places that name them."""

from __future__ import annotations

import pytest

from agent.core.code.definitions import read_definitions
from agent.core.code.entry import entry_names, training_places
from agent.core.code.places import lines_at, name_places

TEXT = """import os
STEPS: int = 5

class Net(object):
    size = 3

    @property
    def width(self):
        return 1


if True:
    try:
        def guarded():
            return 2
    except ImportError:
        async def fallback(): return 3


def train(seed):
    def inner(x):
        return x

    loss.backward()


if __name__ == "__main__":
    launch(guarded)
"""
FILES = {
    "experiment.py": TEXT,
    "lib/net.py": "def width():\n    return 0\n",
    "broken.py": "def half(:\n    pass\nA = 1\n",
}


def test_definitions_are_found_with_their_lines() -> None:
    found = {each.full_name: (each.first, each.last) for each in read_definitions(TEXT) or ()}
    assert found == {
        "Net": (4, 9), "Net.width": (7, 9), "guarded": (14, 15), "fallback": (17, 17), "train": (20, 24)
    }  # fmt: skip
    net = next(each for each in read_definitions(TEXT) or () if each.name == "Net")
    assert net.is_class and net.body == {5, 6} and read_definitions("def f(:") is None


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("train", ["experiment.py:train"]),
        ("width", ["experiment.py:Net.width", "lib/net.py:width"]),
        ("Net.width", ["experiment.py:Net.width"]),
        ("model.width", ["experiment.py:Net.width", "lib/net.py:width"]),
        ("inner", ["experiment.py:inner"]),
        ("STEPS", ["experiment.py:STEPS"]),
        ("half", ["broken.py:half"]),
        ("nowhere", []),
        ("os", []),
    ],
)
def test_a_name_has_places_and_they_have_lines(name: str, places: list[str]) -> None:
    assert list(name_places(name, FILES)) == places
    assert all(lines_at(place, FILES) for place in places)


@pytest.mark.parametrize(
    ("place", "lines"),
    [
        ("experiment.py:train", ((20, 24),)),
        ("experiment.py:inner", ((21, 22),)),
        ("experiment.py:3-9999999", ((3, 28),)),
        ("experiment.py:0-2", ((1, 2),)),
        ("lib/net.py", ((1, 2),)),
        ("broken.py:A", ((1, 3),)),
    ],
)
def test_places_stand_for_lines(place: str, lines: tuple[tuple[int, int], ...]) -> None:
    found = lines_at(place, FILES)
    assert found and found[1] == lines


@pytest.mark.parametrize("place", ["gone.py", "gone.py:f", "experiment.py:nowhere", "experiment.py:90-99", ""])
def test_what_is_not_there_has_no_lines(place: str) -> None:
    assert lines_at(place, FILES) is None


def test_a_program_begins_at_its_guard_and_trains_where_it_takes_steps() -> None:
    assert {"launch", "guarded", "main", "train"} <= entry_names(TEXT)
    assert training_places(FILES) == ("experiment.py:train",)
    assert training_places({"a.py": "def work(): pass\nwork()\n"}) == ("a.py:work",)
