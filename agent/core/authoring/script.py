"""A training script as its syntax tree tells it: arguments, seed, results, imports, and where lines could be added."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from agent.core.authoring.reported import Found, find_results
from agent.core.authoring.syntax import Place, Tree, bound_modules
from agent.core.code.search_marks import search_ranges
from agent.errors import UsageError

__all__ = ["Argument", "Constant", "Script", "SeedCall", "read_script"]

Value = bool | int | float | str | None

SEED_NAMES = frozenset({"seed", "random_seed", "rng_seed", "random_state", "manual_seed"})
_SEEDING = frozenset({"seed", "manual_seed", "default_rng", "RandomState", "PRNGKey", "set_seed", "seed_everything"})
_OUTPUT = re.compile(
    r"(out|output|save|log|result|results|run|exp|work|ckpt|checkpoint)_?(dir|path|folder|root)|out|output"
)
_READERS = ("absl", "click", "docopt", "fire", "hydra", "jsonargparse", "typer", "tyro")
_DATA_FILE = re.compile(
    r"[^\n:*?]+\.(csv|tsv|json|jsonl|npy|npz|pt|pth|pkl|parquet|h5|hdf5|txt|gz|zip|bin)|[\w.-]+/[\w./ -]*"
)
_MAGIC = re.compile(r"\s*(%{1,2}\w|!\s*\w)")


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of argparse; `default_text` is the default as it is written, "" where there is none."""

    flag: str
    dest: str
    default: Value
    default_text: str
    required: bool
    line: int


@dataclass(frozen=True, slots=True)
class Constant:
    """A number that the module's first level gives a name, alone on its line."""

    name: str
    value: float | int
    line: int


@dataclass(frozen=True, slots=True)
class SeedCall:
    """A call that is given its seed as a number, or as an expression of the module's own level."""

    text: str
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Script:
    """What could be read. Lines count from 1; places are where lines could be added, None where none is safe.

    parser: the variable whose parse_args is called, before_parse the place before that call. args: the variable that
    holds the arguments, known in the function `args_scope` ("" for the whole module). readers: libraries other than
    argparse that read arguments.
    """

    arguments: tuple[Argument, ...]
    parser: str
    before_parse: Place | None
    args: str
    args_scope: str
    output: Argument | None
    seed: Argument | None
    seed_constant: Constant | None
    seed_calls: tuple[SeedCall, ...]
    reads_seed: bool
    reads_smoke: bool
    results: Found
    constants: tuple[Constant, ...]
    marked: tuple[str, ...]
    imports: tuple[str, ...]
    relative_imports: tuple[tuple[int, str], ...]
    bound: frozenset[str]
    after_imports: Place
    readers: tuple[str, ...]
    runs: bool
    notebook_lines: tuple[int, ...]
    path_lines: tuple[int, ...]
    argv_lines: tuple[int, ...]
    summary: str
    length: int
    files: tuple[str, ...]


def read_script(text: str, where: str) -> Script:
    """Read Python source; `where` names it in errors.

    Raises: UsageError where it is no Python.
    """
    tree = Tree(parse(text, where), text.removeprefix("\ufeff"))
    arguments = tuple(_arguments(tree))
    parser, before, args, scope = _parsing(tree)
    strings = [node.value for node in tree.nodes(ast.Constant) if isinstance(node.value, str)]
    constants = tuple(_constants(tree))
    imports, relative = _imports(tree)
    return Script(
        arguments=arguments,
        parser=parser,
        before_parse=before,
        args=args,
        args_scope=scope,
        output=_choose_output(arguments),
        seed=next((a for a in arguments if a.dest in SEED_NAMES), None),
        seed_constant=next((c for c in constants if c.name.lower() in SEED_NAMES and isinstance(c.value, int)), None),
        seed_calls=tuple(_seed_calls(tree)),
        reads_seed="SCIENTIST_SEED" in strings,
        reads_smoke="SCIENTIST_SMOKE" in strings,
        results=find_results(tree),
        constants=constants,
        marked=tuple(r.name for r in search_ranges(text)),
        imports=imports,
        relative_imports=relative,
        bound=bound_modules(tree.module),
        after_imports=tree.after_imports(),
        readers=tuple(name for name in _READERS if name in imports),
        runs=_runs(tree.module),
        notebook_lines=tuple(sorted({n.lineno for n in tree.nodes(ast.Name) if n.id == "get_ipython"})),
        path_lines=_uses(tree, "sys.path"),
        argv_lines=_uses(tree, "sys.argv"),
        summary=((ast.get_docstring(tree.module) or "").strip().splitlines() or [""])[0],
        length=len(tree.lines) - (not tree.lines[-1]),
        files=tuple(dict.fromkeys(s for s in strings if len(s) < 200 and _DATA_FILE.fullmatch(s))),
    )


def parse(text: str, where: str) -> ast.Module:
    """Raises: UsageError naming line and fault."""
    if text.lstrip("\ufeff \t\r\n").startswith("{") and '"cells"' in text and '"nbformat"' in text:
        raise UsageError(where, "is a notebook", "export it first: jupyter nbconvert --to script NOTEBOOK.ipynb")
    if not text.strip("\ufeff \t\r\n"):
        raise UsageError(where, "is empty", "name the script that trains")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.removeprefix("\ufeff"))
    except SyntaxError as error:
        line = error.lineno or 1
        lines = text.split("\n")
        magic = _MAGIC.match(lines[line - 1]) if line <= len(lines) else None
        remedy = "take out the notebook's lines that begin with % or !" if magic else "mend it first"
        raise UsageError(f"{where}:{line}", f"is not Python: {error.msg}", remedy) from error
    except (ValueError, RecursionError, MemoryError) as error:
        problem = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise UsageError(where, f"is not Python: {problem}", "name the script that trains") from error


def _arguments(tree: Tree) -> Iterator[Argument]:
    for call in tree.calls("add_argument"):
        names = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        if not names:
            continue
        given = {k.arg: k.value for k in call.keywords if k.arg}
        flag = next((n for n in names if n.startswith("--")), names[0])
        dest = literal(given.get("dest")) or flag.lstrip("-").replace("-", "_")
        action = literal(given.get("action"))
        default = literal(given.get("default"))
        default = action == "store_false" if action in ("store_true", "store_false") else default
        needed = literal(given.get("required")) is True
        if not flag.startswith("-"):
            needed = "default" not in given and literal(given.get("nargs")) not in ("?", "*")
        text = ast.unparse(given["default"]) if "default" in given else ""
        yield Argument(flag, str(dest), default, text, needed, call.lineno)


def literal(node: ast.expr | None) -> Value:
    """The scalar that an expression spells, else None."""
    try:
        value = ast.literal_eval(node) if node is not None else None
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return None
    return value if isinstance(value, bool | int | float | str) else None


def _parsing(tree: Tree) -> tuple[str, Place | None, str, str]:
    """The parser's name, the place before its parse_args, the name of what that returns, and the function it is in."""
    for attribute in ("parse_args", "parse_known_args"):
        for call in tree.calls(attribute):
            assert isinstance(call.func, ast.Attribute)
            statement = tree.statement_of(call)
            name = call.func.value.id if isinstance(call.func.value, ast.Name) else ""
            target = ""
            if isinstance(statement, ast.Assign) and statement.value is call and len(statement.targets) == 1:
                first = statement.targets[0]
                first = first.elts[0] if isinstance(first, ast.Tuple) and first.elts else first
                target = first.id if isinstance(first, ast.Name) else ""
            return name, tree.before(statement) if name else None, target, tree.function_of(statement)
    return "", None, "", ""


def _choose_output(arguments: tuple[Argument, ...]) -> Argument | None:
    named = [a for a in arguments if a.dest == "out_dir"]
    return next(iter(named + [a for a in arguments if _OUTPUT.fullmatch(a.dest)]), None)


def _constants(tree: Tree) -> Iterator[Constant]:
    for node in tree.module.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            name = targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""
            value = literal(node.value)
            if name and tree.is_alone(node) and isinstance(value, int | float) and not isinstance(value, bool):
                yield Constant(name, value, node.lineno)


def _uses(tree: Tree, name: str) -> tuple[int, ...]:
    return tuple(sorted({node.lineno for node in tree.nodes(ast.Attribute) if ast.unparse(node) == name}))


def _seed_calls(tree: Tree) -> Iterator[SeedCall]:
    for call in tree.nodes(ast.Call):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        given = [call.args[0]] if call.args and name in _SEEDING else []
        given += [k.value for k in call.keywords if k.arg in SEED_NAMES]
        for value in given:
            number = literal(value)
            is_number = isinstance(number, int) and not isinstance(number, bool)
            if is_number or (name in _SEEDING and not tree.function_of(call) and not isinstance(value, ast.Constant)):
                yield SeedCall(ast.unparse(call.func), ast.unparse(value), value.lineno)


def _imports(tree: Tree) -> tuple[tuple[str, ...], tuple[tuple[int, str], ...]]:
    """Modules as they are imported, dotted, in order; and imports relative to a package."""
    names: dict[str, None] = {}
    relative: list[tuple[int, str]] = []
    for node in sorted(tree.nodes(ast.Import, ast.ImportFrom), key=lambda n: n.lineno):
        if isinstance(node, ast.Import):
            names |= {alias.name: None for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            relative.append((node.lineno, ast.unparse(node)))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module != "__future__":
            names[node.module] = None
    return tuple(names), tuple(relative)


def _runs(module: ast.Module) -> bool:
    """Whether running the file does anything but define names."""
    for node in module.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.Assign | ast.AnnAssign) and not any(isinstance(n, ast.Call) for n in ast.walk(node)):
            continue
        if not isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return True
    return False
