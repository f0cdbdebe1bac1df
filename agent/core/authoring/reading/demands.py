"""Demands of scripts on the machine that a run may not meet: network, worker processes, a GPU, a folder of data."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from agent.core.authoring.reading.opened import find_downloads, find_paths
from agent.core.authoring.reading.script import Script

__all__ = ["Demand", "DemandKind", "find_demands"]

DemandKind = Literal["network", "workers", "GPU", "data"]
WHAT_CHARS: Final = 80

# "cuda", "cuda:0"
_CUDA: Final = re.compile(r"cuda(?::\d{1,3})?")
# "../../data/shakespeare_char", "./data", "data/train.csv"
_DATA: Final = re.compile(r"(?:\.\./){2,3}data(?:/.*)?|\./data(?:/.*)?|data/.+", re.DOTALL)
# "multiprocessing.Pool", "torch.multiprocessing.spawn"
_PROCESSES: Final = re.compile(
    r"(?:torch\.)?multiprocessing\.(?:Pool|Process|spawn|Manager|Queue)|concurrent\.futures\.ProcessPoolExecutor"
)
_WORKERS: Final = "num_workers"
_DEVICES: Final = frozenset({"device", "device_type", "map_location"})


@dataclass(frozen=True, slots=True)
class Demand:
    """What a line of a script asks for. what: the words of the line that show it."""

    kind: DemandKind
    file: str
    line: int
    what: str

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


def find_demands(scripts: Iterable[Script]) -> list[Demand]:
    """The first demand of each kind in each script, as far as its text tells."""
    return [found[0] for script in scripts for found in _by_kind(script).values()]


def _by_kind(script: Script) -> dict[DemandKind, list[Demand]]:
    found: dict[DemandKind, list[Demand]] = {}

    def add(kind: DemandKind, line: int, what: str) -> None:
        found.setdefault(kind, []).append(Demand(kind, script.file, line, what[:WHAT_CHARS]))

    for line, call in find_downloads(script):
        add("network", line, call)
    for line, what in _find_workers(script):
        add("workers", line, what)
    for line, what in () if _chooses_device(script) else _find_cuda(script):
        add("GPU", line, what)
    for named in find_paths(script):
        if _DATA.fullmatch(named.path):
            add("data", named.line, named.path)
    return found


def _find_workers(script: Script) -> Iterator[tuple[int, str]]:
    numbers = _worker_numbers(script)
    for _, call, full in script.calls():
        if _PROCESSES.fullmatch(full):
            yield call.lineno, full
        for keyword in call.keywords:
            if keyword.arg == _WORKERS and _is_more_than_none(keyword.value, numbers):
                yield keyword.value.lineno, f"{_WORKERS}={ast.unparse(keyword.value)}"


def _worker_numbers(script: Script) -> Mapping[str, int]:
    """Numbers that names of the script stand for: constants, fields of a class, defaults of arguments."""
    found: dict[str, int] = {}
    for site in script.sites:
        match site.node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int(number)))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=int(number)))
            ):
                found[name] = number
            case ast.Call(func=ast.Attribute(attr="add_argument"), args=[ast.Constant(value=str(option)), *_]) as call:
                defaults = [k.value for k in call.keywords if k.arg == "default"]
                if defaults and isinstance(defaults[0], ast.Constant) and isinstance(defaults[0].value, int):
                    found[option.lstrip("-").replace("-", "_")] = defaults[0].value
            case _:
                pass
    return found


def _is_more_than_none(value: ast.expr, numbers: Mapping[str, int]) -> bool:
    match value:
        case ast.Constant(value=int(number)):
            return number > 0
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return numbers.get(name, 0) > 0
        case _:
            return False


def _chooses_device(script: Script) -> bool:
    """Whether the script looks for a GPU and takes the CPU if there is none."""
    tests = (site.node for site in script.sites if isinstance(site.node, ast.If | ast.IfExp))
    return any(_mentions(node.test, "is_available") and _mentions(node, "cpu") for node in tests)


def _mentions(node: ast.AST, word: str) -> bool:
    return any(
        (isinstance(part, ast.Attribute) and part.attr == word)
        or (isinstance(part, ast.Constant) and part.value == word)
        for part in ast.walk(node)
    )


def _find_cuda(script: Script) -> Iterator[tuple[int, str]]:
    """Lines that use a GPU whether there is one or not, with the words that say so."""
    for site in script.sites:
        if site.condition is not None and _mentions(site.condition, "is_available"):
            continue
        if what := _say_cuda(site.node):
            yield getattr(site.node, "lineno", 1), what


def _say_cuda(node: ast.AST) -> str:
    """The use of a GPU in a node. Empty if it is none."""
    match node:
        case (
            ast.Assign(targets=[ast.Name(id=name) | ast.Attribute(attr=name)], value=value)
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant() as value)
        ):
            return f'{name} = "cuda"' if _says_cuda(value) else ""
        case ast.Call(func=ast.Attribute(attr="cuda"), args=[]):
            return ".cuda()"
        case ast.Call(func=ast.Attribute(attr="to" | "device" as name), args=[first, *_]) if _says_cuda(first):
            return f'{name}("cuda")'
        case ast.Call(func=ast.Attribute(attr="add_argument"), args=[ast.Constant(value=str(option)), *_]) as call:
            wants = "device" in option and any(k.arg == "default" and _says_cuda(k.value) for k in call.keywords)
            return f'{option} is "cuda"' if wants else ""
        case ast.Call() as call:
            return next((f'{k.arg}="cuda"' for k in call.keywords if k.arg in _DEVICES and _says_cuda(k.value)), "")
        case _:
            return ""


def _says_cuda(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(_CUDA.fullmatch(node.value))
