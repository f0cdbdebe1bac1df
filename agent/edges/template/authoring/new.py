"""Makes a template folder from a training script: the skeleton, a copy of the script and of the modules beside it.

The script is read, never run, and copied as it is. `scientist template check` names the lines that it lacks.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template as Pattern

from agent.core.authoring.survey import Survey, survey_scripts
from agent.core.code.digest import imported_modules
from agent.core.code.source import BadPython, parse
from agent.core.text.plain import plain_line
from agent.edges.template.authoring.gather import EXPERIMENT, gather_files, local_modules, read_source
from agent.edges.template.requirements import Requirement, find_requirements, requirements_text
from agent.errors import UsageError

__all__ = ["FILL", "NewTemplate", "find_fills", "make_template"]

FILL = "FILL:"
SKELETON = Path(__file__).with_name("skeleton")
PLOT = "plot.py"
MOST_NAMED = 6
MOST_ABOVE = 40  # files of a package of the project above: a larger one is installed

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # digits-mlp
_MAGIC = re.compile(r"\s*(%{1,2}\w|!\s*\w)")  # %matplotlib inline
_FILL = re.compile(r"\bFILL:")  # FILL: the task, in one sentence
_SHIPPED = frozenset({"__future__", "__main__"})


@dataclass(frozen=True, slots=True)
class NewTemplate:
    """What was made of a script."""

    # The template's own.
    folder: Path
    # Copied files that an idea may not change, by their place in the template.
    copied: tuple[str, ...]
    # Packages that the script imports.
    requirements: tuple[Requirement, ...]
    # Marks left to fill, as "file:line: text".
    fills: tuple[str, ...]
    # Files that the script opens and that were not copied, with what to do.
    notes: tuple[str, ...]
    # What was read in the code, as (title, words).
    findings: tuple[tuple[str, str], ...]
    # The folder to give with --data, if the script reads one.
    data: Path | None = None


def make_template(name: str, source: Path, into: Path, python: Path) -> NewTemplate:
    """Read the script at `source` and make the folder `into`/`name`, whole or not at all.

    Raises: UsageError if the script cannot be used or the folder cannot be made.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"name {name!r}", "is no folder name", "use letters, digits, '-', '_' and '.', as digits-mlp")
    folder = into / name
    if os.path.lexists(folder):
        raise UsageError(str(folder), "is there already", "choose another name, or another folder with --into")
    text = read_source(source)
    summary = _read_summary(text, source)
    modules, version, requirements = _divide_imports(source, text, python)
    texts = {EXPERIMENT: text} | {n: read_source(path) for n, path in modules.items()}
    opened = gather_files(source, texts, {EXPERIMENT: source} | modules)
    executed = {n: path for n, path in opened.copied.items() if n.endswith(".py") and n not in modules}
    texts |= {n: read_source(path) for n, path in executed.items()}
    shown = [*modules, *(n for n in opened.run_files if n not in modules)]
    survey = survey_scripts(texts)
    values = _Values(name, summary, tuple(shown), version, tuple(requirements), tuple(opened.outside), survey)
    files = _fill_skeleton(values)
    _write(folder, files, {EXPERIMENT: source} | modules | opened.copied)
    return NewTemplate(
        folder,
        tuple(sorted({*modules, *opened.copied})),
        tuple(requirements),
        tuple(find_fills(folder)),
        tuple(opened.notes),
        survey.describe(),
        opened.data,
    )


def _divide_imports(source: Path, text: str, python: Path) -> tuple[dict[str, Path], str, list[Requirement]]:
    """The script's own modules, the Python version, and the packages that it needs beside them.

    A package of the project above the script is its own, unless the interpreter has it of an index.
    """
    modules = local_modules(source, text)
    version, installed = find_requirements(sorted(_imported(text, modules)), python)
    foreign = {r.module for r in installed if r.version and not (r.folder or r.note)}
    above = Counter(_top(n) for n, path in modules.items() if not path.is_relative_to(source.parent))
    foreign |= {top for top, count in above.items() if count > MOST_ABOVE}
    if foreign & {_top(name) for name in modules}:
        modules = local_modules(source, text, foreign)
    own = {_top(name) for name in modules} | {source.stem}
    optional = _optional_in(text, lazy=False)
    optional |= set[str]().union(*(_optional_in(read_source(path), lazy=True) for path in modules.values()))
    optional -= set[str]().union(*(_needed_in(t) for t in (text, *map(read_source, modules.values()))))
    wanted = _imported(text, modules) - own
    found = [r for r in installed if r.module in wanted and (r.version or r.module not in optional)]
    return modules, version, found


def _imported(text: str, modules: Mapping[str, Path]) -> set[str]:
    texts = [text, *map(read_source, modules.values())]
    return {module for t in texts for module in imported_modules(t)} - _SHIPPED


def _top(name: str) -> str:
    return Path(name).parts[0].removesuffix(".py")


def _optional_in(text: str, *, lazy: bool) -> set[str]:
    """Modules that a file may do without: it imports them in a try or, if `lazy` counts, in a function."""
    tree = parse(text)
    kinds = (ast.Try, ast.FunctionDef, ast.AsyncFunctionDef) if lazy else (ast.Try,)
    around = [node for node in ast.walk(tree) if isinstance(node, kinds)] if isinstance(tree, ast.Module) else []
    return {name for one in around for part in one.body for name in _imports_below(part)}


def _needed_in(text: str) -> set[str]:
    """Modules that a file imports at its top level."""
    tree = parse(text)
    return {name for node in tree.body for name in _imports_of(node)} if isinstance(tree, ast.Module) else set()


def _imports_below(node: ast.AST) -> set[str]:
    return {name for inner in ast.walk(node) for name in _imports_of(inner)}


def _imports_of(node: ast.AST) -> set[str]:
    match node:
        case ast.Import(names=names):
            return {alias.name.split(".")[0] for alias in names}
        case ast.ImportFrom(module=str(module), level=0):
            return {module.split(".")[0]}
        case _:
            return set()


def _read_summary(text: str, source: Path) -> str:
    """The first line of the script's docstring.

    Raises: UsageError if the text is no Python script, or carries marks of an earlier `template new`.
    """
    is_json = text.lstrip("\ufeff \t\r\n").startswith("{")
    if is_json and (source.suffix == ".ipynb" or ('"cells"' in text and '"nbformat"' in text)):
        remedy = f"export it first: jupyter nbconvert --to script {shlex.quote(str(source))}"
        raise UsageError(str(source), "is a notebook", remedy)
    if not text.strip("\ufeff \t\r\n"):
        raise UsageError(str(source), "is empty", "name the script that trains")
    module = parse(text)
    if isinstance(module, BadPython):
        is_magic = _MAGIC.match(text.split("\n")[module.line - 1])
        remedy = "take out the notebook's lines that begin with % or !" if is_magic else "mend it first"
        raise UsageError(f"{source}:{module.line}", f"is not Python: {module.message}", remedy)
    for number, _ in _fills_in(text, in_comments=True):
        remedy = "do what the mark says, then delete it"
        raise UsageError(f"{source}:{number}", f"carries a mark {FILL}", remedy)
    return plain_line(next(iter((ast.get_docstring(module) or "").strip().splitlines()), ""))


@dataclass(frozen=True, slots=True)
class _Values:
    """Everything that the skeleton's files are filled with."""

    # Of the template.
    name: str
    # The first line of the script's docstring.
    summary: str
    # Files beside the script that a run needs and a model reads.
    shown: tuple[str, ...]
    # Version range of Python.
    python: str
    # Packages to install.
    requirements: tuple[Requirement, ...]
    # Absolute paths that the script reads.
    outside: tuple[str, ...]
    # What was read in the code.
    survey: Survey


def _fill_skeleton(given: _Values) -> dict[str, str]:
    """The template's own files: name to text."""
    environment, requirements = "", given.requirements
    if requirements:
        check = "import " + ", ".join(dict.fromkeys(r.module for r in requirements))
        environment = f'\ninstall = [["-r", "requirements.txt"]]\ncheck = {_quoted(check)}'
    question = f'# {FILL} what is studied, in one sentence, as "Classify images with a small network."\n'
    closed = ""
    if given.shown:
        names = ", ".join(given.shown[:MOST_NAMED]) + (", ..." if len(given.shown) > MOST_NAMED else "")
        closed = f"# It reads {plain_line(names)} and cannot change them: data and evaluation must\n"
        closed += "# stay as they are. Add one here if ideas should change it, as the file of the network.\n"
    values = {
        "name": _quoted(given.name),
        "folder": given.name,
        "summary": ("" if given.summary else question) + f"summary = {_quoted(given.summary)}",
        "command": _quoted(given.survey.command),
        "run_files": _listed([EXPERIMENT, *given.shown]),
        "closed": closed,
        "editable": _listed([EXPERIMENT, PLOT, "notes.txt"]),
        "read": _listed(list(given.outside) or ["/data/mnist"]),
        "python": _quoted(given.python),
        "environment": environment,
        "metrics": "\n".join(f"# {line}" for line in given.survey.metric_lines()),
        "task": given.survey.task(given.summary),
    }
    files = {n: (SKELETON / n).read_text("utf-8") for n in ("template.toml", "prompt.md")}
    files = {n: Pattern(text).substitute(values) for n, text in files.items()}
    files |= {PLOT: (SKELETON / PLOT).read_text("utf-8"), "notes.txt": "# Notes\n", "profiles/full.json": "{}\n"}
    return files | ({"requirements.txt": requirements_text(requirements)} if requirements else {})


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _listed(names: list[str]) -> str:
    return "[" + ", ".join(map(_quoted, names)) + "]"


def _write(folder: Path, files: dict[str, str], copied: dict[str, Path]) -> None:
    building = folder.parent / f".{folder.name}.{os.getpid()}.tmp"
    try:
        building.mkdir(parents=True)
        for name, text in files.items():
            (building / name).parent.mkdir(parents=True, exist_ok=True)
            (building / name).write_text(text, "utf-8")
        for name, path in copied.items():
            target = building / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                raise UsageError(str(path), f"would lie where the template has its own {name}", "rename it first")
            shutil.copyfile(path, target)
        building.rename(folder)
    except OSError as error:
        raise UsageError(str(folder), f"cannot be made: {error.strerror}", "name another folder with --into") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def find_fills(folder: Path) -> Iterator[str]:
    """Every FILL mark of a template, as "file:line: question". In code and TOML only marks in comments count."""
    names = [EXPERIMENT, "template.toml", "requirements.txt", "prompt.md", PLOT, "notes.txt"]
    rest = {p.name for p in folder.glob("*") if p.suffix in (".py", ".txt", ".md", ".toml")} - set(names)
    for path in (folder / name for name in [*names, *sorted(rest)]):
        if path.is_file():
            text = path.read_bytes().decode("utf-8", "replace")
            for number, what in _fills_in(text, in_comments=path.suffix != ".md"):
                yield f"{path}:{number}: {what}"


def _fills_in(text: str, *, in_comments: bool) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        mark = _FILL.search(line)
        if mark and ("#" in line[: mark.start()] or not in_comments):
            yield number, line[mark.end() :].strip()
