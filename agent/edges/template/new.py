"""A new template folder from a training script: the script is read, never run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.core.authoring.files import PROFILE, Requirement, prompt_text, requirements_text, template_text
from agent.core.authoring.proposals import additions, mark_constants, with_additions
from agent.core.authoring.script import Script, read_script
from agent.core.code.digest import imported_modules
from agent.core.code.search_marks import search_ranges
from agent.errors import UsageError

SCRIPT_CAP_BYTES = 2 << 20
PACKAGE_CAP_FILES = 200
TIME_LIMIT_S = 60.0
PLOT = Path(__file__).with_name("new_plot.py")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_KNOWN = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
_SHIPPED = frozenset({"__future__", "__main__"})

# Run by the interpreter in question; answers its version and for each module "standard" or the distributions it is of.
_ASK = """
import importlib.metadata as m, json, sys
packages = m.packages_distributions()
found = {}
for name in json.load(sys.stdin):
    if name in sys.stdlib_module_names:
        found[name] = "standard"
        continue
    found[name] = []
    for dist in sorted(set(packages.get(name, []))):
        origin = m.distribution(dist).read_text("direct_url.json")
        found[name].append([dist, m.version(dist), json.loads(origin).get("url", "") if origin else ""])
print(json.dumps(["%d.%d" % sys.version_info[:2], found]))
"""


@dataclass(frozen=True, slots=True)
class NewTemplate:
    """What was made and what was read; `fills` are the marks left, "file:line: text", in the order of the files."""

    folder: Path
    script: Script
    modules: tuple[str, ...]
    requirements: tuple[Requirement, ...]
    marked: tuple[str, ...]
    data: tuple[str, ...]
    fills: tuple[str, ...]


def make_template(name: str, source: Path, into: Path, python: Path) -> NewTemplate:
    """Read the script at `source` and make the folder `into`/`name`, whole or not at all.

    Raises: UsageError where the script cannot be used or the folder cannot be made.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"name {name!r}", "is no folder name", "use letters, digits, '-', '_' and '.', as digits-mlp")
    folder = into / name
    if os.path.lexists(folder):
        raise UsageError(str(folder), "is there already", "choose another name, or another folder with --into")
    content = _read_bytes(source)
    text = _decode(content, source)
    script = read_script(text, str(source))
    modules = local_modules(source, text)
    texts = [text, *(_decode(path.read_bytes(), path) for path in modules.values())]
    own = {Path(n).parts[0].removesuffix(".py") for n in modules} | {source.stem}
    wanted = sorted({module for t in texts for module in imported_modules(t)} - own - _SHIPPED)
    version, requirements = find_requirements(wanted, python)
    experiment = with_additions(mark_constants(text, script) or text, additions(script))
    marked = [r.name for r in search_ranges(experiment) if r.name not in script.marked]
    files = {
        "template.toml": template_text(name, script, list(modules), requirements, version),
        "experiment.py": experiment,
        "plot.py": PLOT.read_text("utf-8"),
        "prompt.md": prompt_text(name, script),
        "notes.txt": "# Notes\n",
        f"profiles/{PROFILE}.json": "{}\n",
    } | ({"requirements.txt": requirements_text(requirements)} if requirements else {})
    _write(folder, files, modules)
    data = tuple(f for f in script.files if not Path(f).is_absolute() and _is_data(source.parent / f))
    return NewTemplate(
        folder, script, tuple(modules), tuple(requirements), tuple(marked), data, tuple(find_fills(folder))
    )


def _read_bytes(source: Path) -> bytes:
    try:
        if source.stat().st_size > SCRIPT_CAP_BYTES:
            raise UsageError(str(source), f"is larger than {SCRIPT_CAP_BYTES >> 20} MiB", "name the script that trains")
        if not source.is_file():
            raise UsageError(str(source), "is no file", "name the script that trains")
        return source.read_bytes()
    except OSError as error:
        raise UsageError(str(source), f"cannot be read: {error.strerror}", "name the script that trains") from error


def _decode(content: bytes, source: Path) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UsageError(f"{source}:{line}", "is not UTF-8", "save it as UTF-8") from error


def _is_data(path: Path) -> bool:
    try:
        return path.exists() and path.resolve() != path.parent.resolve()
    except (OSError, ValueError):
        return False


def local_modules(source: Path, text: str) -> dict[str, Path]:
    """Python files beside the script that it imports, directly or through each other, by their place in the template.

    Raises: UsageError where a package has too many files to be the script's own.
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
            waiting |= _names_in(_decode(_read_bytes(path), path))
    return dict(sorted(found.items()))


def _names_in(text: str) -> set[str]:
    """Top-level names that are imported; of relative imports, what may be a module beside the file."""
    relative = re.findall(r"^\s*from \.+(\w*)[\w.]* import ([^\n#]*)", text, re.MULTILINE)
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


def find_requirements(modules: Sequence[str], python: Path) -> tuple[str, list[Requirement]]:
    """The Python version range, and what to install, as it is installed for the interpreter `python`.

    Raises: UsageError where the interpreter cannot be asked.
    """
    try:
        done = subprocess.run(
            [python, "-I", "-c", _ASK],
            input=json.dumps(list(modules)),
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT_S,
            check=False,
        )
        version, answers = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"--python {python}", "cannot say what is installed", "name a Python 3.10 or newer") from error
    found: dict[str, Requirement] = {}
    for module, answer in answers.items():
        if answer != "standard":
            requirement = _requirement(module, answer)
            found.setdefault(requirement.name, requirement)
    return f">={version}", list(found.values())


def _requirement(module: str, answer: list[list[str]]) -> Requirement:
    if not answer:
        return Requirement(_KNOWN.get(module, module), "", module)
    name, version, origin = answer[0]
    note = f"it was installed from {origin}: say how others get it" if origin else ""
    if len(answer) > 1:
        note = f"{module} comes with {', '.join(dist for dist, _, _ in answer)}: which is it"
    return Requirement(name, version.partition("+")[0], module, note)  # "+cpu" names a build that an index may lack


def _write(folder: Path, files: dict[str, str], modules: dict[str, Path]) -> None:
    building = folder.parent / f".{folder.name}.{os.getpid()}.tmp"
    try:
        building.mkdir(parents=True)
        for name, text in files.items():
            (building / name).parent.mkdir(parents=True, exist_ok=True)
            (building / name).write_bytes(text.encode("utf-8"))
        for name, path in modules.items():
            target = building / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if name in files:
                raise UsageError(str(path), f"would lie where the template has its own {name}", "rename it first")
            shutil.copyfile(path, target)
        building.rename(folder)
    except OSError as error:
        raise UsageError(str(folder), f"cannot be made: {error.strerror}", "name another folder with --into") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def find_fills(folder: Path) -> Iterable[str]:
    """Every FILL mark of a template, as "file:line: what"; in code and TOML only those in comments."""
    names = ["experiment.py", "template.toml", "requirements.txt", "prompt.md", "plot.py", "notes.txt"]
    rest = sorted(
        p.name for p in folder.glob("*") if p.suffix in (".py", ".txt", ".md", ".toml") and p.name not in names
    )
    for name in [n for n in (*names, *rest) if (folder / n).is_file()]:
        for number, line in enumerate((folder / name).read_bytes().decode("utf-8", "replace").split("\n"), start=1):
            head, mark, what = line.partition("FILL:")
            if mark and (name.endswith(".md") or "#" in head):
                yield f"{folder / name}:{number}: {what.strip()}"
