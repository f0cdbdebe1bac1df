"""Publishing of a step's files: a completed run's outputs as run_N/, and the figures of a plot."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from agent.edges.run.figures import FIGURE_CAP_BYTES, find_figures
from agent.edges.run.prepare_step import EVALUATION, read_output
from agent.edges.run.step_folder import LOG
from agent.edges.system.deep_folders import MAX_DEPTH, remove_tree
from agent.edges.system.files import fsync_folder, fsync_tree, write_durably
from agent.edges.system.untrusted import read_untrusted
from agent.edges.workspace.layout import Workspace
from agent.errors import IntegrityError

__all__ = ["collect_figures", "publish_run"]

LOG_CAP_BYTES = 1 << 30
PATH_BYTES = 1000  # of a name from the run's folder on: the run could not open a longer one any more
LISTED = 20
_FILE_MODE, _FOLDER_MODE = 0o444, 0o755  # later runs find it linked into their folders


def publish_run(
    workspace: Workspace, run: int, run_step: Path, evaluate_step: Path | None, key: str, *, seed: int | None = None
) -> Path:
    """Move a completed run's outputs to run_N/, with its log and evaluation. A second call changes nothing.

    seed: of a replication of the run, whose outputs go to a folder of its own.

    Only plain files, folders and links that stay inside are published. All else is left out, and named at the log's
    end.

    Raises: IntegrityError if a folder of that name came from elsewhere, or the outputs are no folder.
    """
    final = workspace.run_folder(run) if seed is None else workspace.replication_folder(run, seed)
    final.parent.mkdir(exist_ok=True)
    building = workspace.agent / "tmp" / f"publish-{key}"
    noted = building.with_name(f"{building.name}.left-out")
    source = run_step / "work" / f"run_{run}"
    if os.path.lexists(final) and (os.path.lexists(source) or building.exists()):
        raise IntegrityError(str(final), "is there already and was not published", "move it away, then resume")
    if final.exists():
        noted.unlink(missing_ok=True)
        return final
    if not building.exists():
        if not stat.S_ISDIR(source.lstat().st_mode):
            raise IntegrityError(str(source), "is not the folder that the run left", "put it back, then resume")
        source.rename(building)
    for name in (LOG, *([EVALUATION] if evaluate_step else [])):
        _clear(building / name)
    left_out = _leave_out(building, noted)
    write_durably(building / LOG, _read_log(run_step) + _tell(left_out), scratch=building.parent)
    if evaluate_step:
        text = read_output(evaluate_step / "work", EVALUATION)
        assert isinstance(text, str), "an evaluation that passed has left its file"
        write_durably(building / EVALUATION, text.encode(), scratch=building.parent)
    _make_read_only(building)
    fsync_tree(building)
    building.rename(final)
    fsync_folder(final.parent)
    noted.unlink(missing_ok=True)
    return final


def _leave_out(building: Path, noted: Path) -> list[str]:
    """Remove files that are not to be published. `noted` keeps their names over a crash on the way."""
    building.chmod(_FOLDER_MODE)
    known = json.loads(noted.read_bytes()) if noted.exists() else []
    found = dict(_unfit(building))
    listed = [*known, *(_say(path.relative_to(building), problem) for path, problem in found.items())]
    if listed:
        write_durably(noted, json.dumps(listed).encode())
    for path in found:
        remove_tree(path) if stat.S_ISDIR(path.lstat().st_mode) else path.unlink()
    return listed


def _unfit(building: Path) -> Iterator[tuple[Path, str]]:
    """Paths that are not to be published, with the reason. Folders can be entered afterwards. No link is followed to
    look.
    """
    links: dict[tuple[int, int], list[Path]] = {}
    counts: dict[tuple[int, int], int] = {}
    symbolic: list[Path] = []
    waiting = [building]
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            if problem := _bad_name(path.relative_to(building)):
                yield path, problem
                continue
            status = path.lstat()
            kind = stat.S_IFMT(status.st_mode)
            if kind == stat.S_IFDIR:
                path.chmod(_FOLDER_MODE)
                waiting.append(path)
            elif kind == stat.S_IFLNK:
                symbolic.append(path)
            elif kind != stat.S_IFREG:
                yield path, f"is {_KINDS.get(kind, 'no file')}"
            elif status.st_nlink > 1:
                links.setdefault((status.st_dev, status.st_ino), []).append(path)
                counts[status.st_dev, status.st_ino] = status.st_nlink
    yield from ((path, problem) for path in symbolic if (problem := _leads_out(path, building)))
    for inode, paths in links.items():
        if counts[inode] == len(paths):  # all within the run: each becomes a file of its own
            for path in paths[1:]:
                _part(path)
        else:
            yield from ((path, "has links elsewhere") for path in paths)


_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


def _bad_name(path: Path) -> str:
    if path.name == ".git":
        return "is a repository's, whose settings git would obey"
    if not path.name.isprintable():  # surrogates, which stand for bytes that are no UTF-8, are not
        return "has a name that cannot be printed"
    if len(path.parts) > MAX_DEPTH or len(os.fsencode(path)) > PATH_BYTES:
        return "lies too deep"
    return ""


def _leads_out(link: Path, building: Path) -> str:
    """Whether a symbolic link leads out of the folder. It may not leave on the way to its end either, since the folder
    is moved.
    """
    target = link.readlink()
    here = link.parent.relative_to(building)
    if target.is_absolute() or os.path.normpath(here / target).split("/")[0] == "..":
        return "is a link that leads out of the run's folder"
    try:
        end = link.resolve(strict=True)
    except (OSError, RuntimeError):  # a loop
        return "is a link that leads nowhere"
    return "" if end.is_relative_to(building.resolve()) else "is a link that leads out of the run's folder"


def _part(path: Path) -> None:
    copy = path.with_name(f".{path.name[:50]}.part")  # within 255 bytes
    with path.open("rb") as source, copy.open("xb") as target:
        shutil.copyfileobj(source, target)
    copy.rename(path)


def _say(path: Path, problem: str) -> str:
    return f"{ascii(str(path))[1:-1][:200]} {problem}"


def _tell(left_out: list[str]) -> bytes:
    """Lines for the end of the log."""
    if not left_out:
        return b""
    more = [f"and {len(left_out) - LISTED} more"] if len(left_out) > LISTED else []
    lines = [f"[left out of the published run: {line}]" for line in (*left_out[:LISTED], *more)]
    return ("\n" + "\n".join(lines) + "\n").encode("utf-8", "replace")


def _read_log(run_step: Path) -> bytes:
    content = read_untrusted(run_step / LOG, LOG_CAP_BYTES, within=run_step)
    if isinstance(content, bytes):
        return content
    return f"[{LOG} {content.problem if content else 'is missing'}]\n".encode()


def _make_read_only(building: Path) -> None:
    for place, _, names in os.walk(building):
        for name in names:
            path = Path(place, name)
            if not path.is_symlink():
                path.chmod(_FILE_MODE)


def _clear(path: Path) -> None:
    """Make room for a file of ours: an experiment may have put a link or a folder there."""
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
        path.unlink(missing_ok=True)


def collect_figures(workspace: Workspace, plot_step: Path, given: Collection[str] = ()) -> list[str]:
    """Copy the figures that plot.py left to plots/, and return their names. `given`: see find_figures."""
    work, target = plot_step / "work", workspace.path / "plots"
    names = []
    for name, path in find_figures(work, given).paths.items():
        content = read_untrusted(work / path, FIGURE_CAP_BYTES, within=work)
        if isinstance(content, bytes):
            target.mkdir(exist_ok=True)
            write_durably(target / name, content, scratch=workspace.agent / "tmp")
            names.append(name)
    return names
