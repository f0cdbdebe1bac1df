"""Makes a template folder from a training script: the skeleton, a copy of the script and of the modules beside it.

The script is read, never run, and copied as it is. `scientist template check` names the lines that it lacks.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template as Pattern

from agent.core.authoring.seeds import find_generators
from agent.core.code.digest import imported_modules
from agent.core.code.source import BadPython, parse
from agent.core.text.plain import plain_line
from agent.edges.template.requirements import Requirement, find_requirements, requirements_text
from agent.errors import UsageError

__all__ = ["FILL", "NewTemplate", "find_fills", "make_template"]

FILL = "FILL:"
SCRIPT_CAP_BYTES = 2 << 20
MOST_CALLS, CALL_CHARS = 5, 100
PACKAGE_CAP_FILES = 200
SKELETON = Path(__file__).with_name("skeleton")
EXPERIMENT, PLOT = "experiment.py", "plot.py"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # digits-mlp
_MAGIC = re.compile(r"\s*(%{1,2}\w|!\s*\w)")  # %matplotlib inline
# from .layers.norm import Norm, Block
_RELATIVE = re.compile(r"^[ \t]*from \.+(\w*)(?:(?<=\w)\.[\w.]*)? import ([^\n#]*)", re.MULTILINE)
_FILL = re.compile(r"\bFILL:")  # FILL: the task, in one sentence
_SHIPPED = frozenset({"__future__", "__main__"})


@dataclass(frozen=True, slots=True)
class NewTemplate:
    """What was made: the copied modules, the packages found, and the marks left to fill, as "file:line: text"."""

    folder: Path
    modules: tuple[str, ...]
    requirements: tuple[Requirement, ...]
    fills: tuple[str, ...]
    # Calls that take a seed, as "experiment.py:12 np.random.RandomState(cfg['seed'])".
    generators: tuple[str, ...] = ()


def make_template(name: str, source: Path, into: Path, python: Path) -> NewTemplate:
    """Read the script at `source` and make the folder `into`/`name`, whole or not at all.

    Raises: UsageError if the script cannot be used or the folder cannot be made.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"name {name!r}", "is no folder name", "use letters, digits, '-', '_' and '.', as digits-mlp")
    folder = into / name
    if os.path.lexists(folder):
        raise UsageError(str(folder), "is there already", "choose another name, or another folder with --into")
    text = _read_source(source)
    summary = _read_summary(text, source)
    modules = _local_modules(source, text)
    own = {Path(n).parts[0].removesuffix(".py") for n in modules} | {source.stem}
    texts = [text, *(_read_source(path) for path in modules.values())]
    wanted = sorted({module for t in texts for module in imported_modules(t)} - own - _SHIPPED)
    version, requirements = find_requirements(wanted, python)
    files = _fill_skeleton(name, summary, list(modules), version, requirements)
    _write(folder, files, {EXPERIMENT: source} | modules)
    drawn = find_generators(dict(zip([EXPERIMENT, *modules], texts, strict=True)))
    calls = tuple(plain_line(call.describe(), CALL_CHARS) for call in drawn[:MOST_CALLS])
    return NewTemplate(folder, tuple(modules), tuple(requirements), tuple(find_fills(folder)), calls)


def _read_source(source: Path) -> str:
    """Raises: UsageError naming file, and line if the fault has one."""
    try:
        if source.stat().st_size > SCRIPT_CAP_BYTES:
            raise UsageError(str(source), f"is larger than {SCRIPT_CAP_BYTES >> 20} MiB", "name the script that trains")
        if not source.is_file():
            raise UsageError(str(source), "is no file", "name the script that trains")
        content = source.read_bytes()
    except OSError as error:
        raise UsageError(str(source), f"cannot be read: {error.strerror}", "name the script that trains") from error
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UsageError(f"{source}:{line}", "is not UTF-8", "save it as UTF-8") from error


def _read_summary(text: str, source: Path) -> str:
    """The first line of the script's docstring.

    Raises: UsageError if the text is no Python script, or carries marks of an earlier `template new`.
    """
    if text.lstrip("\ufeff \t\r\n").startswith("{") and '"cells"' in text and '"nbformat"' in text:
        remedy = "export it first: jupyter nbconvert --to script NOTEBOOK.ipynb"
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


def _local_modules(source: Path, text: str) -> dict[str, Path]:
    """Python files beside the script that it imports, directly or through each other, by their place in the template.

    Raises: UsageError if a package has too many files to be the script's own, or a file cannot be read.
    """
    found: dict[str, Path] = {}
    waiting, seen = _names_in(text), {source.stem}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for path in _files_of(source.parent, name):
            found[path.relative_to(source.parent).as_posix()] = path
            waiting |= _names_in(_read_source(path))
    return dict(sorted(found.items()))


def _names_in(text: str) -> set[str]:
    """Top-level names that are imported, with those of relative imports that may be modules beside the file."""
    relative = _RELATIVE.findall(text)
    names = {module or name.strip(" ()") for module, taken in relative for name in taken.split(",")}
    return {name.split(" as ")[0].strip() for name in names if name} | set(imported_modules(text))


def _files_of(folder: Path, name: str) -> list[Path]:
    package, module = folder / name, folder / f"{name}.py"
    if package.is_dir() and not package.is_symlink() and any(package.glob("*.py")):
        files = sorted(p for p in package.rglob("*.py") if "__pycache__" not in p.parts)
        if len(files) > PACKAGE_CAP_FILES:
            raise UsageError(str(package), f"has {len(files)} Python files", "install it as a package instead")
        return files
    return [module] if module.is_file() else []


def _fill_skeleton(
    name: str, summary: str, modules: list[str], python: str, requirements: list[Requirement]
) -> dict[str, str]:
    """The template's own files: name to text."""
    environment = ""
    if requirements:
        check = "import " + ", ".join(dict.fromkeys(r.module for r in requirements))
        environment = f'\ninstall = [["-r", "requirements.txt"]]\ncheck = {_quoted(check)}'
    question = f'# {FILL} what is studied, in one sentence, as "Classify digits with a small network."\n'
    values = {
        "name": _quoted(name),
        "folder": name,
        "summary": ("" if summary else question) + f"summary = {_quoted(summary)}",
        "run_files": _listed([EXPERIMENT, *modules]),
        "editable": _listed([EXPERIMENT, *modules, PLOT, "notes.txt"]),
        "python": _quoted(python),
        "environment": environment,
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
