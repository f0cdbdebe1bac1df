"""The layout of agent and templates/sae/sealed: rooms small enough to read at a glance, imported in one direction."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import agent
from tests.bench.house import parse

MOST_ENTRIES = 12
# One entry a command: a list that is looked through by name.
LISTS = {"agent.cli.commands": 24}
# A leaf that every room may import, although it lies beside loop.py.
ERRORS = "agent.errors"


@dataclass(frozen=True, slots=True)
class House:
    """A folder of rooms. `on_path`: the folder itself is on Python's path, so that its name is in no import."""

    name: str
    root: Path
    on_path: bool = False

    def rooms(self) -> dict[str, Path]:
        """The house itself and every folder in it that holds Python modules, by dotted name."""
        inside = (path for path in self.root.rglob("*") if path.is_dir() and any(path.glob("*.py")))
        return {".".join((self.name, *folder.relative_to(self.root).parts)): folder for folder in (self.root, *inside)}

    def own_name(self, imported: str) -> str:
        """The imported name with the house's own in front, if it is a name in this house."""
        first = imported.partition(".")[0]
        is_own = (self.root / first).is_dir() or (self.root / f"{first}.py").is_file()
        return f"{self.name}.{imported}" if self.on_path and is_own else imported


ROOT = Path(agent.__file__).parent
AGENT = House("agent", ROOT)
SEALED = House("sealed", ROOT.parent / "templates" / "sae" / "sealed", on_path=True)
EVERY_ROOM = [(house, room, folder) for house in (AGENT, SEALED) for room, folder in house.rooms().items()]


def entries(folder: Path) -> list[str]:
    modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
    return modules + [path.name for path in folder.iterdir() if path.is_dir() and any(path.rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """Modules, or names of modules, that a module imports, those inside functions too."""
    for node in ast.walk(parse(path)):
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


def uses(house: House) -> dict[str, set[str]]:
    """Rooms by the rooms that they import."""
    all_rooms, found = house.rooms(), defaultdict(set)
    for room, folder in all_rooms.items():
        for path in folder.glob("*.py"):
            if path.stem != "errors":
                names = map(house.own_name, imported(path))
                found[room] |= {other for name in names if (other := room_of(name, all_rooms))}
        found[room].discard(room)
    return found


def cycle_in(graph: Mapping[str, set[str]]) -> list[str]:
    """The rooms that are left after those that import none of the rest are taken away again and again."""
    left = {room: set(used) for room, used in graph.items()}
    while free := [room for room, used in left.items() if not used & left.keys()]:
        for room in free:
            del left[room]
    return sorted(left)


@pytest.mark.parametrize(("house", "room", "folder"), EVERY_ROOM, ids=[room for _, room, _ in EVERY_ROOM])
def test_a_room_has_few_entries_and_says_what_it_holds(house: House, room: str, folder: Path) -> None:
    assert len(entries(folder)) <= LISTS.get(room, MOST_ENTRIES)
    assert folder == house.root or ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))


def test_rooms_import_each_other_in_one_direction() -> None:
    graph = uses(AGENT)
    assert len(graph) > 20 and graph["agent.effects"] and cycle_in(graph) == []


def test_sealed_rooms_import_each_other_in_one_direction() -> None:
    """The files beside the rooms are what a run imports and what commands start: no room imports them."""
    graph = uses(SEALED)
    assert len(graph) == 6 and graph["sealed.scores"] >= {"sealed.bench", "sealed.data"} and cycle_in(graph) == []


def test_every_sealed_room_has_its_tests() -> None:
    tests = ROOT.parent / "tests" / "templates" / "sae"
    rooms = {path.name for path in SEALED.rooms().values()} - {SEALED.root.name}
    assert rooms == {path.parent.name for path in tests.glob("*/test_*.py")}


def test_a_cycle_of_rooms_is_noticed() -> None:
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]


def test_a_name_in_a_folder_on_the_path_is_its_own() -> None:
    assert SEALED.own_name("data.store.Store") == "sealed.data.store.Store"
    assert SEALED.own_name("evaluate") == "sealed.evaluate" and SEALED.own_name("torch.nn") == "torch.nn"
