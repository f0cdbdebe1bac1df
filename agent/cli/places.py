"""Folders that commands look in: templates, ideas, prepared data and environments."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import shlex
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import agent
from agent.cli.settings import at_home
from agent.cli.table import DEFAULT_WORKSPACES
from agent.cli.terminal import read_redactor
from agent.core.inputs.idea import Idea, parse_ideas
from agent.edges.template.load import list_templates
from agent.edges.workspace.layout import BATCH_FILE, Workspace, find_workspaces, open_workspace
from agent.errors import UsageError

PACKAGE = Path(agent.__file__).parent
TEMPLATES = Path("templates")
IDEAS = Path("ideas")
IDEAS_CAP_BYTES = 64 << 20
MOST_IDEAS = 6  # that a line names
_UNWRITABLE = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP}
)


def shipped(folder: Path) -> Path:
    """The package's own templates or ideas: inside an installed wheel, or beside `agent` in a clone."""
    packed = PACKAGE / "data" / folder
    return packed if packed.is_dir() or not (PACKAGE.parent / "pyproject.toml").is_file() else PACKAGE.parent / folder


def is_installed(path: Path) -> bool:
    """Whether the file or folder belongs to an installed package, which the next upgrade replaces."""
    return path.resolve().is_relative_to((PACKAGE / "data").resolve())


def template_roots() -> list[Path]:
    """Folders of templates, those that count first at the front: ./templates, SCIENTIST_TEMPLATES, the package's.

    Raises: UsageError if SCIENTIST_TEMPLATES names a folder that is not there.
    """
    extra = [Path(at_home(p)) for p in os.environ.get("SCIENTIST_TEMPLATES", "").split(os.pathsep) if p]
    for folder in extra:
        if not os.path.isdir(folder):  # noqa: PTH112 - Path raises if a folder above cannot be entered
            raise UsageError(
                f"SCIENTIST_TEMPLATES={folder}", "is not a folder", "name folders of templates, or unset it"
            )
    return [TEMPLATES, *extra, shipped(TEMPLATES)]


def short_name(folder: Path, typed: str) -> str:
    """The name of a template's folder if commands find it by that, else what was typed."""
    places = [Path(folder.name), *(root / folder.name for root in template_roots())]
    first = next((place for place in places if place.is_dir()), None)
    return folder.name if first and first.resolve() == folder else typed


@contextlib.contextmanager
def writing_cache(folder: Path) -> Iterator[None]:
    """Turn "cannot write" errors inside the block into a UsageError that names SCIENTIST_CACHE."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        problem = f"{error.filename or folder} cannot be written: {error.strerror}"
        raise UsageError(f"cache {environment_cache()}", problem, "set SCIENTIST_CACHE to a folder of yours") from error


def ideas_roots() -> list[Path]:
    """Folders of ideas files: ./ideas, then the package's."""
    return [IDEAS, shipped(IDEAS)]


def list_ideas(roots: Sequence[Path]) -> dict[str, Path]:
    """Ideas files by name. If two have the same name, the one under the earlier root counts."""
    found: dict[str, Path] = {}
    for root in roots:
        for path in sorted(root.glob("*.json")):
            found.setdefault(path.stem, path)
    return found


def find_ideas(name: str, roots: Sequence[Path]) -> Path:
    """The ideas file that is meant: a path, or the name of one under a root.

    Raises: UsageError listing the names that there are.
    """
    known = list_ideas(roots)
    path, problem = Path(name), ""
    try:
        path.lstat()
        return path
    except OSError as error:
        problem = error.strerror or ""
    if path.name == name and path.name.removesuffix(".json") in known:
        return known[path.name.removesuffix(".json")]
    there_are = f"name a file, or one of: {', '.join(sorted(known)) or '(none)'}"
    if path.suffix or path.name != name:
        raise UsageError(name, f"cannot be read: {problem}", there_are)
    raise UsageError(f"ideas {name}", "not found", there_are)


def complete_ideas(incomplete: str) -> list[str]:
    """Names of ideas files for a shell."""
    return [name for name in list_ideas(ideas_roots()) if name.startswith(incomplete)]


def complete_templates(incomplete: str) -> list[str]:
    """Names of templates for a shell."""
    return [folder.name for folder in list_templates(template_roots()) if folder.name.startswith(incomplete)]


def choose_workspaces(command: str, paths: Sequence[Path] | None, all_: bool, folder: Path) -> list[Workspace]:
    """Workspaces that are named by themselves or by their batch, or with --all those in the folder of all batches.

    Raises: UsageError if neither or both are given, or if a path holds no workspace.
    """
    if bool(paths) == all_:
        raise UsageError(command, "name workspaces or batches, or --all", "see: scientist status")
    if all_ and folder != DEFAULT_WORKSPACES and not folder.is_dir():
        raise UsageError(str(folder), "is no folder", "name that of all batches with --workspaces")
    found = {root: find_workspaces(root) for root in (without_lists(paths) if paths else [folder])}
    for root, workspaces in found.items():
        if not workspaces and not all_:
            raise UsageError(str(root), "holds no workspace", "see: scientist status")
    return list({workspace.path: workspace for workspaces in found.values() for workspace in workspaces}.values())


def open_idea(path: Path, command: str, *rest: str) -> Workspace:
    """The workspace at a path, or the only one of the batch there. command, rest: what is to be done with it.

    Raises: UsageError that names the ideas of a batch which has several.
    """
    listed = find_workspaces(path) if (path / BATCH_FILE).is_file() else []
    if len(listed) < 2:
        return listed[0] if listed else open_workspace(path)
    ways = [f"scientist {command} {shlex.join([str(path / one.path.name), *rest])}" for one in listed]
    more = f", and {len(ways) - MOST_IDEAS} more; see: scientist show {shlex.quote(str(path))}"
    named = " or: ".join(ways[:MOST_IDEAS]) + (more if len(ways) > MOST_IDEAS else "")
    raise UsageError(str(path), f"is a batch of {len(ways)} ideas", f"name one: {named}")


def without_lists(paths: Sequence[Path]) -> list[Path]:
    """The paths without the index files of batches, which a shell puts in if it expands workspaces/*/*.

    Raises: UsageError if nothing else is named.
    """
    places = [path for path in paths if path.name != BATCH_FILE or path.is_dir()]
    if paths and not places:
        raise UsageError(str(paths[0]), "is the index of a batch", f"name the batch itself: {paths[0].parent}")
    return places


def data_cache() -> Path:
    """Folder of the data that templates prepared, with a folder for each template."""
    return environment_cache() / "data"


def digest_store() -> Path | None:
    """File in which digests of large files are remembered. None if nothing says where the cache is."""
    try:
        return environment_cache() / "digests.json"
    except UsageError:
        return None


def data_limit_gib() -> float | None:
    """Limit in GiB for the data of each template. None leaves it to the template.

    Raises: UsageError if SCIENTIST_DATA_MAX_GIB is not a size.
    """
    text = os.environ.get("SCIENTIST_DATA_MAX_GIB", "").strip()
    if not text:
        return None
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise UsageError(f"SCIENTIST_DATA_MAX_GIB={text}", "is no size in GiB", "set it to a number such as 100")
    return limit


def environment_cache() -> Path:
    """Folder of the experiments' virtual environments.

    Raises: UsageError if neither SCIENTIST_CACHE nor a home folder says where it is.
    """
    if base := os.environ.get("SCIENTIST_CACHE"):
        return Path(at_home(base)).absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")  # its standard has a relative path passed over
    return (Path(base) if base.startswith("/") else home_folder() / ".cache") / "scientist"


def home_folder() -> Path:
    """The user's home: HOME, else that of the password database.

    Raises: UsageError if there is none, as for a user number without an entry.
    """
    remedy = "set HOME, or SCIENTIST_CACHE to a folder of yours"
    named = os.environ.get("HOME", "")
    if named and not named.startswith("/"):
        raise UsageError(f"HOME={named}", "is no absolute path", remedy)
    try:
        return Path(named or pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError as error:
        raise UsageError(
            "HOME", f"is not set, and user {os.getuid()} has no entry that names a home", remedy
        ) from error


def read_ideas(path: Path) -> list[Idea]:
    """Raises: UsageError if the file cannot be read or used."""
    other = "name another: see scientist ideas"
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(mode := os.fstat(file.fileno()).st_mode) and not stat.S_ISFIFO(mode):
                raise UsageError(str(path), "is no file", other)
            os.set_blocking(file.fileno(), True)  # a pipe is read to its end; one that nobody writes to is empty
            content = file.read(IDEAS_CAP_BYTES + 1)
        if len(content) > IDEAS_CAP_BYTES:
            raise UsageError(str(path), f"is larger than {IDEAS_CAP_BYTES >> 20} MiB", other)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(str(path), f"cannot be read: {error.strerror}", other) from error
    except UnicodeDecodeError as error:
        raise UsageError(str(path), f"is not UTF-8: {error}") from error
    return parse_ideas(read_redactor()(text), str(path))
