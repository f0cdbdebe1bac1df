"""One file that holds workspaces with the template that they were launched from, to be read on another machine."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from agent.core.text.secret_files import may_hold_secret
from agent.edges.template.frozen import walk_template
from agent.edges.workspace.layout import BATCH_FILE, BATCH_SCHEMA, TEMPLATES, Workspace

__all__ = ["MOST_GIB", "find_private", "measure", "pack"]

MOST_GIB = 8  # of a workspace's files
# Of a step's folder: what it was given and what it wrote on the way. Its logs and results stay.
_LEFT_OUT_OF_STEPS = ("home", "work")
_KEPT_OF_WORK = frozenset({"baselines.json"})  # by which a run is repeated
_LEFT_OUT_OF_AGENT = ("tmp", "lock", "holder.json", "inbox", "stop")


def pack(target: Path, batch: str, workspaces: Sequence[Workspace], templates: Sequence[Path]) -> None:
    """Write `target`, a compressed archive whose folder `batch` holds the workspaces, their index and the templates.

    Raises: OSError if it cannot be written, or a file cannot be read. Nothing is left then.
    """
    building = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with (
            building.open("xb") as raw,
            gzip.GzipFile(fileobj=raw, mode="wb", mtime=0, filename="") as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for workspace in workspaces:
                _add(archive, workspace.path, f"{batch}/{workspace.path.name}", building)
            for folder in templates:
                archive.add(folder, f"{batch}/{TEMPLATES}/{folder.name}", filter=_without_owner)
            _add_index(archive, batch, [workspace.path.name for workspace in workspaces])
        building.replace(target)
    finally:
        building.unlink(missing_ok=True)


def measure(workspaces: Sequence[Workspace]) -> int:
    """Bytes of the files that an archive of them would hold."""
    sizes = 0
    for workspace in workspaces:
        for place, folders, names in os.walk(workspace.path):
            inside = Path(place).relative_to(workspace.path)
            folders[:] = [name for name in folders if _is_packed(inside / name)]
            sizes += sum((Path(place) / name).lstat().st_size for name in names if _is_packed(inside / name))
    return sizes


def find_private(
    workspaces: Sequence[Workspace], templates: Sequence[Path], redact: Callable[[str], str]
) -> Iterator[str]:
    """Paths of files in such an archive that may hold a secret: of a template by their name, of git by their text."""
    for folder in templates:
        inside = (path.relative_to(folder) for path in walk_template(folder))
        yield from (f"{TEMPLATES}/{folder.name}/{path}" for path in inside if any(map(may_hold_secret, path.parts)))
    for workspace in workspaces:
        config = workspace.path / ".git" / "config"
        text = config.read_text("utf-8", "replace") if config.is_file() else ""
        if redact(text) != text:  # a remote's address with a password
            yield f"{workspace.path.name}/.git/config"


def _add(archive: tarfile.TarFile, folder: Path, name: str, itself: Path) -> None:
    """Add a workspace's folder. itself: the file that is being written, which may lie in it."""
    own = f"{name}/{itself.name}" if itself.absolute().parent == folder.absolute() else ""

    def choose(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        inside = Path(info.name).relative_to(name)
        is_plain = info.isfile() or info.isdir() or info.issym() or info.islnk()
        return _without_owner(info) if is_plain and info.name != own and _is_packed(inside) else None

    archive.add(folder, name, filter=choose)


def _is_packed(inside: Path) -> bool:
    """Whether the archive holds a file or folder of a workspace."""
    parts = inside.parts
    if parts[:1] != (".agent",):
        return True
    if parts[1:2] != ("attempts",):
        return not parts[1:2] or not parts[1].startswith(_LEFT_OUT_OF_AGENT)
    if parts[3:4] == ("work",):
        return len(parts) == 4 or parts[4] in _KEPT_OF_WORK
    return not parts[3:4] or parts[3] not in _LEFT_OUT_OF_STEPS


def _without_owner(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """The entry without the names and numbers of users, which mean nothing elsewhere."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info


def _add_index(archive: tarfile.TarFile, batch: str, names: Sequence[str]) -> None:
    content = json.dumps({"schema_version": BATCH_SCHEMA, "workspaces": list(names)}, indent=2).encode() + b"\n"
    info = tarfile.TarInfo(f"{batch}/{BATCH_FILE}")
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))
