"""Files that a training script needs beside itself: its own modules, and what it opens, copied or named."""

from __future__ import annotations

import ast
import os
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from agent.core.authoring.reading.opened import OWN_FOLDER, NamedPath, find_downloads, find_paths
from agent.core.authoring.reading.script import read_scripts
from agent.core.code.digest import imported_modules
from agent.core.code.source import parse
from agent.core.text.plain import plain_line
from agent.core.text.secret_files import may_hold_secret
from agent.errors import UsageError

__all__ = ["EXPERIMENT", "Gathered", "gather_files", "local_modules", "read_source"]

EXPERIMENT = "experiment.py"
SCRIPT_CAP_BYTES = 2 << 20
PACKAGE_CAP_FILES = 200
FOLDER_CAP_FILES = 200
FILE_CAP_BYTES = 4 << 20  # a larger file is data, which `--data` gives
TOTAL_CAP_BYTES = 16 << 20
SHOWN_CAP_BYTES = 16 << 10  # a configuration that is larger would fill a prompt
MOST_LEVELS = 3  # folders above the script in which its own packages are looked for
MOST_NOTES = 12

# Suffixes of files that say how a run goes: they are code, and are shown to the model.
CONFIGURATIONS = frozenset({".yaml", ".yml", ".toml", ".json", ".ini", ".cfg", ".conf", ".gin"})
_PROJECT = (".git", "pyproject.toml", "setup.py", "setup.cfg", ".project-root")
_WORDS = re.compile(r"(README|LICENSE|CHANGELOG|Makefile)\b.*", re.IGNORECASE)  # README.md
# Files and folders of a template that mean something else.
_TAKEN = frozenset(
    {"experiment.py", "plot.py", "notes.txt", "template.toml", "prompt.md", "prompt.json", "requirements.txt"}
)
_FOLDERS_TAKEN = frozenset({"profiles", "baselines", "sealed", "refs", "run_0"})
_MACHINE = ("/dev", "/proc", "/sys", "/tmp", "/etc", "/usr", "/bin")


def read_source(source: Path) -> str:
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


def local_modules(source: Path, text: str, installed: Collection[str] = ()) -> dict[str, Path]:
    """The script's own Python files that it imports, directly or through each other, by their place in the template.

    They lie beside the script, or in its project above it. Of a package above only what is imported counts, unless
    hydra names modules in its configurations. installed: modules that are not looked for above, because the
    interpreter has them of an index.

    Raises: UsageError if a package has too many files to be the script's own, or a file cannot be read.
    """
    found: dict[str, Path] = {}
    waiting, seen = _names_in(text, ""), {source.stem}
    is_whole = any(name.split(".")[0] == "hydra" for name in waiting)
    above = _project_folders(source.parent)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        top = name.split(".")[0]
        folder, files = source.parent, _files_of(source.parent, top) if top != source.stem else []
        for other in above if not files and top not in installed else ():
            files = _files_of(other, top) if is_whole else _files_on_the_way(other, name)
            if files:
                folder = other
                break
        for path in files:
            place = path.relative_to(folder).as_posix()
            if place not in found:
                found[place] = path
                waiting |= _names_in(read_source(path), place)
    return dict(sorted(found.items()))


def _project_folders(folder: Path) -> list[Path]:
    """Folders above the script's up to that of its project. Without a sign of a project, the one above alone."""
    above = [p for p in folder.resolve().parents if p not in (Path("/"), Path.home().parent)][:MOST_LEVELS]
    if any((folder / name).exists() for name in _PROJECT):
        return []
    for number, place in enumerate(above):
        if any((place / name).exists() for name in _PROJECT):
            return [p for one in above[: number + 1] for p in (one, one / "src")]
    return [p for p in above[:1] if p != Path.home()]


def _names_in(text: str, place: str) -> set[str]:
    """Dotted names that a file imports. Those of relative imports are seen from the file's place in the template."""
    tree = parse(text)
    names = set(imported_modules(text))
    package = place.split("/")[:-1]
    for node in ast.walk(tree) if isinstance(tree, ast.Module) else ():
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: max(0, len(package) - node.level + 1)] if node.level else []
            base = [*above, *(node.module.split(".") if node.module else [])]
            names |= {".".join([*base, alias.name]) for alias in node.names} | {".".join(base)}
    return names - {""}


def _files_on_the_way(folder: Path, name: str) -> list[Path]:
    """Files that an import of a dotted name runs: each package on the way, and the module."""
    found: list[Path] = []
    place = folder
    for part in name.split("."):
        found += [path for path in (place / part / "__init__.py", place / f"{part}.py") if path.is_file()]
        place = place / part
        if not place.is_dir():
            break
    return found


def _files_of(folder: Path, name: str) -> list[Path]:
    package, module = folder / name, folder / f"{name}.py"
    if package.is_dir() and not package.is_symlink() and any(package.glob("*.py")):
        files = sorted(p for p in package.rglob("*.py") if "__pycache__" not in p.parts)
        if len(files) > PACKAGE_CAP_FILES:
            raise UsageError(str(package), f"has {len(files)} Python files", "install it as a package instead")
        return files
    return [module] if module.is_file() else []


@dataclass(slots=True)
class Gathered:
    """What a script opens: copied, or named with what a person can do."""

    # By their place in the template.
    copied: dict[str, Path] = field(default_factory=dict)
    # One sentence each, with the place in the script.
    notes: list[str] = field(default_factory=list)
    # Subjects of the notes.
    named: set[str] = field(default_factory=set)
    # Absolute paths outside the script's folder, for [sandbox] read.
    outside: list[str] = field(default_factory=list)
    # The folder that a run would find as ./data, if the script reads one of that name.
    data: Path | None = None

    @property
    def run_files(self) -> list[str]:
        """Copied files that say how a run goes, short enough to be shown, and Python files that are executed."""
        return [n for n, path in self.copied.items() if n.endswith(".py") or _is_configuration(path)]

    def note(self, named: NamedPath, subject: str, words: str) -> None:
        """Say something about the subject, once."""
        if subject not in self.named and len(self.notes) < MOST_NOTES:
            self.named.add(subject)
            self.notes.append(plain_line(f"{named.file}:{named.line} {words}"))

    def take(self, name: str, path: Path) -> bool:
        """Whether the file is copied. One that is too large is not."""
        sizes = sum(one.stat().st_size for one in self.copied.values())
        size = path.stat().st_size
        if size > FILE_CAP_BYTES or sizes + size > TOTAL_CAP_BYTES:
            return False
        self.copied[name] = path
        return True


def _is_configuration(path: Path) -> bool:
    return path.suffix.lower() in CONFIGURATIONS and path.stat().st_size <= SHOWN_CAP_BYTES


def gather_files(source: Path, texts: Mapping[str, str], places: Mapping[str, Path]) -> Gathered:
    """The files that the script and its modules open.

    texts: Python files by their place in the template, the script as experiment.py. places: where they lie.
    """
    found = Gathered()
    for script in read_scripts(texts):
        for named in find_paths(script):
            try:
                _weigh(found, named, source, places[script.file].parent, set(places.values()))
            except (OSError, ValueError):
                continue  # a text that is no path here
        for line, call in find_downloads(script):
            found.note(NamedPath(script.file, line, "", is_whole=True, use=""), call, _say_download(call))
    return found


def _is_private(place: str) -> bool:
    return any(part.startswith(".") or may_hold_secret(part) for part in place.split("/"))


def _say_download(call: str) -> str:
    if call == "wandb.init":
        return 'calls wandb.init, and a run has no network: [environment] variables = { WANDB_MODE = "offline" }'
    return f"calls {call}, which may download, and a run has no network: give the files with --data, or network = true"


def _weigh(found: Gathered, named: NamedPath, source: Path, own: Path, modules: Collection[Path]) -> None:
    """Copy what a path names, or note it."""
    path = posixpath.normpath(named.path)
    if path.startswith(("~", "/")):
        _weigh_outside(found, named, path)
        return
    is_own = path == OWN_FOLDER or path.startswith(OWN_FOLDER + "/")
    base = own if is_own or named.use == "hydra" else source.parent
    target = base / path.removeprefix(OWN_FOLDER).lstrip("/")
    place = os.path.relpath(target, source.parent)
    if place == "." or target == source or target in modules or _WORDS.match(target.name):
        return
    data = source.parent / "data"
    if place.split("/")[0] == "data" and data.is_dir() and not (data / "__init__.py").exists():
        found.data = data
        found.note(named, "data", f"reads {place}: a run finds the folder data as --data {data}")
    elif named.use == "hydra" and target.is_dir():
        _copy_folder(found, named, target, place)
    elif place.startswith(".."):
        if named.is_whole and (target.name == "data" or (named.use == "read" and target.exists())):
            words = f"reads {path}, outside the template: give the folder with --data, and write data in its place"
            found.note(named, path, words)
    elif target.is_file() and _is_private(place):
        found.note(named, place, f"reads {place}, which is not copied: it is hidden, or may hold a secret")
    elif target.is_file() and (place in _TAKEN or place.split("/")[0] in _FOLDERS_TAKEN):
        found.note(named, place, f"reads {place}, a name that a template has for files of its own: rename it")
    elif target.is_file() and named.is_whole:
        if not found.take(place, target):
            size = f"{target.stat().st_size / 2**20:.0f} MiB"
            words = f"reads {place} ({size}): give its folder with --data, and read it as data/{target.name}"
            found.note(named, place, words)
    elif target.is_dir() and (named.use == "read" or "/" in named.path):
        if not any(path.is_relative_to(target) for path in modules):
            found.note(named, place, f"reads the folder {place}: give it with --data {target}, and read it as data")
    elif named.use == "read" and named.is_whole and not target.exists():
        words = f"reads {place}, which is not beside the script: put it into the template, or use --data"
        found.note(named, place, words)


def _weigh_outside(found: Gathered, named: NamedPath, path: str) -> None:
    """Note a path that begins at the home or at the root, if it is no place of the machine."""
    if path.startswith("~"):
        _name_outside(found, named, os.path.expanduser(path), " (a run has a home of its own)")  # noqa: PTH111
    elif path.count("/") > 1 and not path.startswith(_MACHINE) and (named.use == "read" or Path(path).exists()):
        _name_outside(found, named, path, "")


def _name_outside(found: Gathered, named: NamedPath, path: str, why: str) -> None:
    """Note an absolute path, unless one above it is known."""
    path = path.rstrip("/")
    if not named.is_whole and not Path(path).is_dir():
        return
    if path != str(Path.home()) and not any(f"{path}/".startswith(f"{known}/") for known in found.outside):
        found.outside.append(path)
        shown = named.path if named.path == path else f"{named.path}{why}: write {path}"
        found.note(named, path, f'reads {shown}, and in template.toml: [sandbox] read = ["{path}"]')


def _copy_folder(found: Gathered, named: NamedPath, folder: Path, place: str) -> None:
    """Copy the configurations of hydra, into a folder of the template."""
    inside = folder.name if place.startswith("..") else place
    files = list(_files_below(folder))
    if len(files) > FOLDER_CAP_FILES:
        found.note(
            named, place, f"reads the folder {place}, which has more than {FOLDER_CAP_FILES} files: copy what it needs"
        )
        return
    for path in files:
        name = path.relative_to(folder).as_posix()
        if _is_private(name):
            found.note(named, path.name, f"does not get {place}/{name}: it is hidden, or may hold a secret")
        else:
            found.take(f"{inside}/{name}", path)
    if inside != place:
        found.note(named, place, f'reads {place}: it is copied as {inside}; write config_path="{inside}"')


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(islice(folder.rglob("*"), 10 * FOLDER_CAP_FILES)):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
