"""Reference texts beside an ideas file. A launch copies them into the workspace; each reading checks them.

refs/*.md belong to every idea of the file, refs/<name of an idea>/*.md to that idea.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from agent.core.inputs.refs import Reference
from agent.core.model.messages import without_surrogates
from agent.core.text.redact import Redactor
from agent.edges.system.files import write_durably
from agent.errors import IntegrityError, UsageError

FOLDER = "refs"
INDEX = "index.json"
MOST_BYTES = 1 << 20


def find_refs(ideas: Path, slug: str, redact: Redactor | None = None) -> tuple[Reference, ...]:
    """The texts for one idea of an ideas file, its own before those of all. `redact` takes keys out of them.

    Raises: UsageError if one is no UTF-8, or too large for a prompt to show anything of it.
    """
    found = []
    redact = redact or Redactor()
    for folder in (ideas.parent / FOLDER / slug, ideas.parent / FOLDER):
        for path in sorted(folder.glob("*.md")) if folder.is_dir() else ():
            if path.is_file():
                found.append(Reference(path.relative_to(ideas.parent).as_posix(), redact(_read(path))))
    return tuple(ref for ref in found if ref.text)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(str(path), f"is larger than {MOST_BYTES >> 20} MiB", "keep what the idea needs of it")
        return without_surrogates(path.read_text("utf-8-sig")).strip()
    except OSError as error:
        raise UsageError(str(path), f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(str(path), f"is not UTF-8: {error}") from error


def write_refs(agent: Path, refs: Sequence[Reference]) -> None:
    """Copy the texts to .agent/refs/, with an index of their names and SHA-256."""
    if not refs:
        return
    folder = agent / FOLDER
    folder.mkdir()
    index = []
    for number, ref in enumerate(refs, start=1):
        content = ref.text.encode()
        write_durably(folder / f"{number}.md", content)
        index.append({"name": ref.name, "sha256": hashlib.sha256(content).hexdigest()})
    write_durably(folder / INDEX, json.dumps(index, indent=1, ensure_ascii=False).encode() + b"\n")


def read_refs(agent: Path) -> tuple[Reference, ...]:
    """The texts that the workspace was launched with.

    Raises: IntegrityError if one is gone or was changed.
    """
    folder = agent / FOLDER
    if not folder.is_dir():
        return ()
    try:
        index = [(str(entry["name"]), str(entry["sha256"])) for entry in json.loads((folder / INDEX).read_bytes())]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(str(folder / INDEX), "is damaged", "launch the idea again") from error
    found = []
    for number, (name, sha256) in enumerate(index, start=1):
        path = folder / f"{number}.md"
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != sha256:
            raise IntegrityError(str(path), "was changed or is gone", "put it back as it was at launch")
        found.append(Reference(name, content.decode()))
    return tuple(found)
