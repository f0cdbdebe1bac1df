"""The layout of agent: rooms small enough to be read at a glance, which import each other in one direction."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import agent

ROOT = Path(agent.__file__).parent
MOST_ENTRIES = 12
# One entry a command: a list that is looked through by name.
LISTS = {"agent.cli.commands": 24}
# A leaf that every room may import, although it lies beside loop.py.
ERRORS = "agent.errors"


def rooms() -> dict[str, Path]:
    folders = [ROOT, *(path for path in ROOT.rglob("*") if path.is_dir() and any(path.glob("*.py")))]
    return {".".join(("agent", *folder.relative_to(ROOT).parts)): folder for folder in folders}


def entries(folder: Path) -> list[str]:
    modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
    return modules + [path.name for path in folder.iterdir() if path.is_dir() and any(path.rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """Modules, or names of modules, that a module imports, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name != "agent")


def room_of(name: str, all_rooms: Mapping[str, Path]) -> str | None:
    """The room in which an imported name is defined."""
    if name == ERRORS or name.startswith(ERRORS + "."):
        return None
    while name and name not in all_rooms:
        name = name.rpartition(".")[0]
    return name or None


def uses() -> dict[str, set[str]]:
    """Rooms by the rooms that they import."""
    all_rooms, found = rooms(), defaultdict(set)
    for room, folder in all_rooms.items():
        for path in folder.glob("*.py"):
            if path.stem != "errors":
                found[room] |= {other for name in imported(path) if (other := room_of(name, all_rooms))}
        found[room].discard(room)
    return found


def cycle_in(graph: Mapping[str, set[str]]) -> list[str]:
    """What is left after rooms that import nothing of the rest are taken away again and again."""
    left = {room: set(used) for room, used in graph.items()}
    while free := [room for room, used in left.items() if not used & left.keys()]:
        for room in free:
            del left[room]
    return sorted(left)


@pytest.mark.parametrize(("room", "folder"), rooms().items(), ids=list(rooms()))
def test_a_room_has_few_entries_and_says_what_it_holds(room: str, folder: Path) -> None:
    assert len(entries(folder)) <= LISTS.get(room, MOST_ENTRIES)
    assert room == "agent" or ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))


def test_rooms_import_each_other_in_one_direction() -> None:
    graph = uses()
    assert len(graph) > 20 and graph["agent.effects"] and cycle_in(graph) == []


def test_a_cycle_of_rooms_is_noticed() -> None:
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]
