"""Words of a person to a workspace. They lie on disk until the holder of its lock has stored them in the journal."""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from pathlib import Path

from agent.core.journal.events import Told
from agent.core.journal.words import MAX_CHARS, clean
from agent.edges.system.files import fsync_folder, write_durably
from agent.edges.system.untrusted import read_untrusted
from agent.errors import UsageError

INBOX = "inbox"
# 1700000000000-0123abcd.txt
_NAME = re.compile(r"[0-9]{13}-[0-9a-f]{8}\.txt")
_BYTES_PER_CHAR = 4


def put_word(agent: Path, text: str, *, now: float, token: str) -> str:
    """Store a word under the .agent folder for its orchestrator, durably, and return its id.

    now: seconds since the epoch. token: 8 random hex digits, so that two words of one millisecond differ.
    Raises: UsageError if the text is empty or too long.
    """
    if len(text.strip()) > MAX_CHARS:
        raise UsageError("tell", f"{len(text):,} characters are more than {MAX_CHARS:,}", "say it in fewer")
    cleaned = clean(text)
    if not cleaned:
        raise UsageError("tell", "there is nothing in the text", 'write: scientist tell WS "what to do"')
    id = f"{int(now * 1000):013d}-{token}"
    folder = agent / INBOX
    folder.mkdir(exist_ok=True)
    fsync_folder(agent)
    write_durably(folder / f"{id}.txt", cleaned.encode(), scratch=agent / "tmp")
    return id


def take_in(agent: Path, known: Container[str], append: Callable[[Told], object]) -> None:
    """Give every waiting word to `append`, oldest first, and remove it once that has returned.

    known: ids that the journal has. Their files were left behind by a crash.
    """
    folder = agent / INBOX
    for path in sorted(folder.glob("*.txt")):
        if not _NAME.fullmatch(path.name):
            continue
        if path.stem not in known:
            content = read_untrusted(path, MAX_CHARS * _BYTES_PER_CHAR, within=agent)
            text = clean(content.decode("utf-8", "replace")) if isinstance(content, bytes) else ""
            if text:
                append(Told(path.stem, text))
        path.unlink(missing_ok=True)


def drop_word(agent: Path, id: str) -> None:
    """Take back a word that nobody will read."""
    (agent / INBOX / f"{id}.txt").unlink(missing_ok=True)
