"""How much a reader has to take in: rooms, walks, values, parameters and prose.

    python -m tests.bench.house                    this checkout
    python -m tests.bench.house --tree FOLDER      another checkout, for example an older commit
    python -m tests.bench.house --prose PATH ...   the docstrings below these paths alone
    python -m tests.bench.house --worst PATH ...   the docstrings there that break a rule, with file and line

A walk counts the modules and functions of agent (prompt files included) that are entered while the loop carries out one
reply (AskModel, ApplyReply) and one run (StartStep, AwaitStep, Publish) on template quadratic, real processes included.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType

HERE = Path(__file__).resolve().parents[2]
LONG_FUNCTION = 40
MANY_PARAMETERS = 6
# A word of prose: "model's", "re-read".
WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
# Code in a docstring: `apply_reply(files)`.
CODE = re.compile(r"`[^`\n]*`")
# The end of a sentence: ". ", "? ", or of the text.
SENTENCE_END = re.compile(r"[.!?](?:\s|$)")
REPLY = ("AskModel", "ApplyReply")
RUN = ("StartStep", "AwaitStep", "Publish")


@dataclass(frozen=True, slots=True)
class Docstring:
    """One docstring: where it stands and its words, code left out."""

    path: Path
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Prose:
    """Measures of docstrings; all but the first three for 1,000 words."""

    docstrings: int
    words: int
    words_a_sentence: float
    where: float
    if_: float
    what: float
    semicolons: float

    def __str__(self) -> str:
        return (
            f"{self.docstrings} docstrings, {self.words} words, {self.words_a_sentence:.1f} a sentence; "
            f"per 1,000: where {self.where:.1f}, if {self.if_:.1f}, what {self.what:.1f}, ';' {self.semicolons:.1f}"
        )


def sources(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    return sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)


@cache
def parse(path: Path) -> ast.Module:
    """Kept for the next measure. No caller changes it."""
    return ast.parse(path.read_text("utf-8"))


def docstrings(paths: list[Path]) -> Iterator[Docstring]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for path in paths:
        for node in ast.walk(parse(path)):
            if isinstance(node, kinds) and (text := ast.get_docstring(node)):
                yield Docstring(path, node.body[0].lineno, CODE.sub("code", text))


def measure_prose(paths: list[Path]) -> Prose:
    found = list(docstrings(paths))
    text = "\n\n".join(doc.text for doc in found)
    words = [word.lower() for word in WORD.findall(text)]
    thousands = max(len(words), 1) / 1000
    return Prose(
        docstrings=len(found),
        words=len(words),
        words_a_sentence=len(words) / max(len(SENTENCE_END.findall(text)), 1),
        where=words.count("where") / thousands,
        if_=words.count("if") / thousands,
        what=words.count("what") / thousands,
        semicolons=text.count(";") / thousands,
    )


def entries(root: Path) -> dict[str, int]:
    """Modules and folders of modules in each folder below `root`."""
    counts: dict[str, int] = defaultdict(int)
    for path in sources(root):
        if path.name != "__init__.py":
            counts[str(path.parent.relative_to(root.parent))] += 1
    for folder in root.rglob("*"):
        if folder.is_dir() and any(folder.glob("*.py")):
            counts[str(folder.parent.relative_to(root.parent))] += 1
    return counts


def functions(paths: list[Path]) -> Iterator[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in paths:
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield path, node


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([one for one in given if one.arg not in ("self", "cls")])


def is_command(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether typer gives the parameters: each has its option in an Annotated type, or a type of options.py."""
    return "Annotated" in ast.unparse(node.args) or any("typer" in ast.unparse(d) for d in node.decorator_list)


def fields(paths: list[Path]) -> list[tuple[int, str]]:
    """Classes by their annotated fields, most first."""
    counts = [
        (sum(isinstance(statement, ast.AnnAssign) for statement in node.body), node.name)
        for path in paths
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ClassDef)
    ]
    return sorted(counts, reverse=True)


def repeated_names(paths: list[Path]) -> list[str]:
    """Class names that stand for two classes, a leading underscore left out."""
    seen: dict[str, int] = defaultdict(int)
    for path in paths:
        for node in parse(path).body:
            if isinstance(node, ast.ClassDef):
                seen[node.name.lstrip("_")] += 1
    return sorted(name for name, times in seen.items() if times > 1)


def walk_loop(tree: Path) -> dict[str, dict[str, list[str]]]:
    """Modules and functions entered by each kind of action. Runs in a process of its own, on the tree's own code."""
    from tests.bench.study import Alternating, make_loop, real_runner

    entered: dict[str, dict[str, set[str]]] = defaultdict(lambda: {"modules": set(), "functions": set()})
    current = ["start"]
    package = str(tree / "agent") + os.sep

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(package):
            module = frame.f_code.co_filename.removeprefix(package)
            if frame.f_code.co_name == "perform":
                current[0] = type(frame.f_locals["action"]).__name__
            entered[current[0]]["modules"].add(module)
            entered[current[0]]["functions"].add(f"{module}:{frame.f_code.co_qualname}:{frame.f_code.co_firstlineno}")

    with tempfile.TemporaryDirectory() as root:
        _, loop = make_loop(Path(root), Alternating(), max_runs=2, runner=real_runner())
        sys.setprofile(note)
        state = loop.run()
        sys.setprofile(None)
    assert state.completed_runs == 2
    return {kind: {what: sorted(names) for what, names in sets.items()} for kind, sets in entered.items()}


def walks(tree: Path) -> dict[str, tuple[int, int, int]]:
    """Modules, functions and lines of those modules, by "reply" and "run"."""
    code = f"import json, sys; from pathlib import Path; sys.path[:0] = [{str(tree)!r}]; "
    code += f"import runpy; house = runpy.run_path({str(Path(__file__).resolve())!r}); "
    code += f"print(json.dumps(house['walk_loop'](Path({str(tree)!r}))))"
    printed = subprocess.run([sys.executable, "-P", "-c", code], cwd=tree, capture_output=True, text=True, check=True)
    entered = json.loads(printed.stdout.splitlines()[-1])
    found = {}
    for name, kinds in (("reply", REPLY), ("run", RUN)):
        modules = {module for kind in kinds for module in entered[kind]["modules"]}
        called = {function for kind in kinds for function in entered[kind]["functions"]}
        lines = sum(len((tree / "agent" / module).read_text("utf-8").splitlines()) for module in modules)
        found[name] = (len(modules), len(called), lines)
    return found


def describe(tree: Path) -> Iterator[str]:
    agent = tree / "agent"
    paths = sources(agent)
    sealed = tree / "templates" / "sae" / "sealed"
    for root in (agent, sealed):
        most = sorted(entries(root).items(), key=lambda item: -item[1])[:3]
        yield f"fullest rooms of {root.name}: " + ", ".join(f"{name} {count}" for name, count in most)
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in paths}
    yield f"modules {len(paths)}, lines {sum(lengths.values())}, longest module {max(lengths.values())}"
    for name, (modules, called, lines) in walks(tree).items():
        yield f"one {name} passes {modules} modules, {called} functions; these modules have {lines} lines"
    yield "most fields: " + ", ".join(f"{name} {count}" for count, name in fields(paths)[:5])
    everything = list(functions(paths))
    many = sorted((parameters(node) for _, node in everything if not is_command(node)), reverse=True)
    yield (
        f"functions {len(everything)}; with more than {MANY_PARAMETERS} parameters "
        f"{sum(count > MANY_PARAMETERS for count in many)} (commands left out), most {many[:5]}"
    )
    long = [node.name for _, node in everything if (node.end_lineno or 0) - node.lineno + 1 > LONG_FUNCTION]
    yield f"functions over {LONG_FUNCTION} lines: {len(long)}: {', '.join(sorted(long))}"
    yield f"class names that stand for two classes: {', '.join(repeated_names(paths)) or 'none'}"
    yield f"prose: {measure_prose(paths)}"
    readme = tree / "README.md"
    yield f"README {readme.stat().st_size} bytes; docs {len(list((tree / 'docs').rglob('*.md')))} files"


def worst(paths: list[Path]) -> Iterator[str]:
    """Docstrings with "where", a free "what" or a semicolon."""
    suspects = re.compile(r"\bwhere\b|\bwhat\b|;", re.IGNORECASE)
    for doc in docstrings(paths):
        if suspects.search(doc.text):
            yield f"{doc.path}:{doc.line}: {' '.join(doc.text.split())}"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path, default=HERE)
    parser.add_argument("--prose", type=Path, nargs="+")
    parser.add_argument("--worst", type=Path, nargs="+")
    chosen = parser.parse_args(arguments)
    if chosen.worst:
        lines = worst([path for root in chosen.worst for path in sources(root)])
    elif chosen.prose:
        lines = (f"{root}: {measure_prose(sources(root))}" for root in chosen.prose)
    else:
        lines = describe(chosen.tree.resolve())
    for line in lines:
        print(line)


if __name__ == "__main__":
    main(sys.argv[1:])
