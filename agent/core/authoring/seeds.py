"""Changes by which a script's own generators of random numbers take SCIENTIST_SEED. Only runs can show that they do."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.authoring.proposals import SeedLine, seed_line
from agent.core.authoring.reading.script import below_imports, full_name, imported, read_tree
from agent.core.code.source import constants_in, show_code
from agent.core.text.remark import Remark

__all__ = [
    "GeneratorCall",
    "SeedChange",
    "below_imports",
    "find_generators",
    "propose_seeds",
    "seed_added",
    "seed_given",
]

SEED: Final = 'int(os.environ["SCIENTIST_SEED"])'
MOST_SHOWN: Final = 6
APART: Final = 1000  # between the seeds of two runs: else the workers or folds of one share most of the other's

# Calls that begin a sequence of random numbers, by their full names.
_MAKERS: Final = frozenset(
    {
        "random.seed", "random.Random",
        "numpy.random.seed", "numpy.random.RandomState", "numpy.random.default_rng", "numpy.random.SeedSequence",
        "numpy.random.PCG64", "numpy.random.MT19937", "numpy.random.Philox", "numpy.random.SFC64",
        "torch.manual_seed", "torch.random.manual_seed",
        "jax.random.PRNGKey", "jax.random.key", "flax.nnx.Rngs", "mlx.core.random.seed", "cupy.random.seed",
        "tensorflow.random.set_seed", "tensorflow.random.Generator.from_seed",
    }
)  # fmt: skip
# Functions that seed several libraries, wherever they come from: L.seed_everything(7), set_seed(args.seed).
_SEEDERS: Final = frozenset(
    {"seed_everything", "set_seed", "set_random_seed", "seed_all", "set_all_seeds", "fix_seed", "manual_seed"}
)
# Calls whose seed chooses the data, so that another one is another task.
_SPLITTERS: Final = ("split", "fold", "shuffle_split", "load", "make_", "fetch_")
# Modules whose own generator a script may draw from without a call above, and the call that seeds it.
_SHARED: Final = {
    "random": "random.seed", "numpy.random": "numpy.random.seed", "torch": "torch.manual_seed",
    "tensorflow": "tensorflow.random.set_seed", "keras": "keras.utils.set_random_seed",
    # These draw from the generators of numpy and torch, whether a script imports those or not.
    **dict.fromkeys(("pandas", "scipy", "sklearn"), "numpy.random.seed"),
    **dict.fromkeys(
        ("accelerate", "lightning", "pytorch_lightning", "timm", "torchaudio", "torchvision", "transformers"),
        "torch.manual_seed",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GeneratorCall:
    """A call of a script that takes a seed: where it stands, and its seed."""

    file: str
    # As the script writes it: "np.random.RandomState".
    name: str
    # The expression of the seed; None if the call has none.
    seed: ast.expr | None
    # The whole call.
    node: ast.Call

    def describe(self) -> str:
        """The call in one line, with its place."""
        seed = show_code(self.seed) if self.seed else ""
        return f"{self.file}:{self.node.lineno} {self.name}({seed})"


@dataclass(frozen=True, slots=True)
class SeedChange:
    """New texts of the files, and the lines of them that are new, as "file:line" with the text."""

    files: Mapping[str, str]
    lines: tuple[tuple[str, str], ...]
    # Places of those that stand before a line, and not in place of it.
    inserted: frozenset[str] = frozenset()

    def apply(self, _files: Mapping[str, str]) -> dict[str, str]:
        """The changed files."""
        return dict(self.files)

    def remark(self, folder: str, seen: str) -> Remark:
        """The lines, and where they go: new ones before a line of the file as it is, changed ones in place of one."""
        added = [line for line in self.lines if line[0] in self.inserted]
        written = [line for line in self.lines if line[0] not in self.inserted]
        places = ", ".join(dict.fromkeys(f"{folder}/{place}" for place, _ in (written or added)[:MOST_SHOWN]))
        how = "write instead" if written else "insert before this line"
        if written and added:
            how += f", and {added[0][1]} before {', '.join(f'{folder}/{place}' for place, _ in added)}"
        return Remark(
            "note", f"{places}: for seeds {how} ({seen})", lines=tuple(t.strip() for _, t in written or added)
        )


def propose_seeds(files: Mapping[str, str]) -> Iterator[SeedLine | SeedChange]:
    """Changes to try, the least first: to the script's own option, to its own generators, and below its imports."""
    for change in (seed_line(files), seed_given(files), seed_added(files)):
        if change:
            yield change


def find_generators(files: Mapping[str, str]) -> list[GeneratorCall]:
    """Every call that takes a seed for the script's random numbers, in order."""
    found: list[GeneratorCall] = []
    for file, text in files.items():
        tree = read_tree(text)
        if isinstance(tree, ast.Module):
            names = imported(tree)
            calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
            found += [call for node in calls if (call := _read_call(file, node, names))]
    return sorted(found, key=lambda call: (list(files).index(call.file), call.node.lineno))


def _read_call(file: str, node: ast.Call, names: Mapping[str, str]) -> GeneratorCall | None:
    full = full_name(node.func, names)
    last = full.rpartition(".")[2]
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    if last.endswith("TrainingArguments") and keywords:
        return GeneratorCall(file, show_code(node.func), keywords.get("seed"), node)
    if full in _MAKERS or (last in _SEEDERS and (node.args or keywords)):
        seed = node.args[0] if node.args else keywords.get("seed")
        return GeneratorCall(file, show_code(node.func), seed, node)
    if "random_state" in keywords and not any(word in last.lower() for word in _SPLITTERS):
        return GeneratorCall(file, show_code(node.func) if full else "", keywords["random_state"], node)
    return None


def seed_given(files: Mapping[str, str]) -> SeedChange | None:
    """The change that gives SCIENTIST_SEED to every generator of the script. None if it has none.

    A seed that is a constant of the module's top level is changed where it is assigned.
    """
    calls = find_generators(files)
    scopes = {file: _read_scope(text) for file, text in files.items()}
    outer = [call for call in calls if not _is_handed(call, scopes[call.file])]
    edits: dict[str, dict[_Span, str]] = {}
    for call in outer or calls:
        if place := _place_of(call, scopes[call.file]):
            edits.setdefault(call.file, {})[place[0]] = place[1]
    return _apply(files, edits) if edits else None


# Line, and first and last column of what is replaced.
_Span = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Scope:
    """Names of a file: literals that the module assigns once, at its top level, parameters of functions, and counters
    of loops.
    """

    constants: Mapping[str, ast.expr]
    parameters: frozenset[str]
    counters: frozenset[str] = frozenset()


def _read_scope(text: str) -> _Scope:
    tree = read_tree(text)
    if not isinstance(tree, ast.Module):
        return _Scope({}, frozenset())
    nodes = list(ast.walk(tree))
    stored = Counter(node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
    constants = {name: value for name, value in constants_in(tree) if isinstance(value, ast.Constant)}
    once = {name: value for name, value in constants.items() if stored[name] == 1}
    targets = [node.target for node in nodes if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension)]
    counters = frozenset(n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name))
    return _Scope(once, frozenset(node.arg for node in nodes if isinstance(node, ast.arg)), counters)


def _is_handed(call: GeneratorCall, scope: _Scope) -> bool:
    """Whether the seed is a parameter of a function, so that another call gives it."""
    seed = call.seed
    return isinstance(seed, ast.Name) and seed.id in scope.parameters and seed.id not in scope.constants


def _place_of(call: GeneratorCall, scope: _Scope) -> tuple[_Span, str] | None:
    """The text to replace, and the new one. None if it cannot be done in one line."""
    seed, node = call.seed, call.node
    if seed is None:
        end = node.end_col_offset or 0
        if node.keywords and node.func.end_lineno == node.lineno:  # the settings of a trainer: its seed is one
            start = (node.func.end_col_offset or 0) + 1
            return (node.lineno, start, start), f"seed={SEED}, "
        is_empty = not node.args and not node.keywords and node.lineno == node.end_lineno
        return ((node.lineno, end - 1, end - 1), SEED) if is_empty else None
    if isinstance(seed, ast.Name):
        seed = scope.constants.get(seed.id, seed)
    shown = show_code(seed)
    if seed.lineno != seed.end_lineno or not shown or "SCIENTIST_SEED" in shown:
        return None
    span = (seed.lineno, seed.col_offset, seed.end_col_offset or 0)
    is_counted = isinstance(seed, ast.Name) and seed.id in scope.counters | scope.parameters
    if isinstance(seed, ast.BinOp | ast.Call) or is_counted:  # as 7 + rank: what tells workers or folds apart stays
        return span, f"{shown} + {APART} * {SEED}"
    return span, SEED


def seed_added(files: Mapping[str, str]) -> SeedChange | None:
    """The change that seeds the libraries' shared generators below the imports of the first file.

    None if the script imports none of them.
    """
    file = next(iter(files), "")
    tree = read_tree(files.get(file, ""))
    if not isinstance(tree, ast.Module):
        return None
    modules = {name for text in files.values() for name in _modules_in(text)}
    calls = dict.fromkeys(call for module, call in _SHARED.items() if module.split(".")[0] in modules)
    if not calls:
        return None
    new = [f"import {call.split('.')[0]}; {call}({SEED})" for call in calls]
    at = below_imports(tree)
    lines = files[file].split("\n")
    changed = "\n".join([*lines[:at], *_os(files[file]), *new, *lines[at:]])
    shown = tuple((f"{file}:{at + 1}", line) for line in (*_os(files[file]), *new))
    return SeedChange({**files, file: changed}, shown, frozenset({f"{file}:{at + 1}"}))


def _modules_in(text: str) -> Iterator[str]:
    tree = read_tree(text)
    for full in imported(tree).values() if isinstance(tree, ast.Module) else ():
        yield full.split(".")[0]


def _os(text: str) -> list[str]:
    tree = read_tree(text)
    top = tree.body if isinstance(tree, ast.Module) else []
    has = any(isinstance(node, ast.Import) and any(a.name == "os" and not a.asname for a in node.names) for node in top)
    return [] if has else ["import os"]


def _apply(files: Mapping[str, str], edits: Mapping[str, Mapping[_Span, str]]) -> SeedChange:
    changed, shown, inserted = dict(files), list[tuple[str, str]](), set[str]()
    for file, places in edits.items():
        bom = "\ufeff" if files[file].startswith("\ufeff") else ""
        lines = files[file].removeprefix(bom).split("\n")
        for (number, start, end), new in sorted(places.items(), reverse=True):
            raw = lines[number - 1].encode("utf-8", "surrogateescape")
            lines[number - 1] = (raw[:start] + new.encode() + raw[end:]).decode("utf-8", "surrogateescape")
        shown += [(f"{file}:{number}", lines[number - 1]) for number in sorted({number for number, _, _ in places})]
        added = _os(files[file])
        if added:
            tree = read_tree(files[file])
            at = _os_place(tree.body if isinstance(tree, ast.Module) else [])
            lines[at:at] = added
            shown.insert(0, (f"{file}:{at + 1}", added[0]))
            inserted.add(f"{file}:{at + 1}")
        changed[file] = bom + "\n".join(lines)
    return SeedChange(changed, tuple(shown), frozenset(inserted))


def _os_place(body: Sequence[ast.stmt]) -> int:
    """The number of lines before the first import that is none of __future__."""
    for node in body:
        is_future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not (is_future or is_docstring):
            return node.lineno - 1
    return 0
