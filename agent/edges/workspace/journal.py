"""The journal of a workspace: an append-only file of chained events, and blobs named by their hash."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.core.journal.codec import NewerJournal, UnknownEvent, from_json, to_json
from agent.core.journal.events import Event
from agent.core.model.messages import scrub
from agent.core.text.redact import Redactor
from agent.edges.system.faults import MEND
from agent.edges.system.files import fsync_folder, write_durably
from agent.errors import IntegrityError, JournalCorrupt, ScientistError

FIRST_LINK = "0" * 64
MOST_BYTES = 2 << 30  # of a journal: a night writes some megabytes
_LINK_FIELD = b',"sha256":"'


class JournalWriteFailed(ScientistError):
    """An event could not be stored. The journal is as it was before."""

    exit_code = 3

    def __init__(self, path: Path, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{path}: could not store an event: {problem}; {MEND}")


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One event as stored. `time` is seconds since the epoch, UTC."""

    seq: int
    time: float
    event: Event
    sha256: str


class Journal:
    """Events under `folder`/journal.jsonl, blobs under `folder`/blobs/.

    One writer at a time, which the workspace's lock ensures, and any number of readers. Opening for writing moves a
    torn last line to `folder`/rescue/.

    redact: takes keys out of everything that is stored. By default it knows only their forms.

    Raises: JournalCorrupt naming file and line, and changes nothing.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time, redact: Redactor | None = None) -> None:
        self.folder = folder
        self.redact = redact or Redactor()
        self.path = folder / "journal.jsonl"
        self._clock = clock
        content = self.path.read_bytes() if self._is_readable() else b""
        self._lines: list[JournalLine] | None = list(_read_lines(self.path, content))
        self.count = len(self._lines)
        self.last = self._lines[-1] if self._lines else None
        self._size = content.rfind(b"\n") + 1
        self._torn = content[self._size :]

    def _is_readable(self) -> bool:
        """Whether it is a file, since a pipe would be waited for.

        Raises: JournalCorrupt if it is so long that only a damaged one can be.
        """
        if self.path.is_file() and (size := self.path.stat().st_size) > MOST_BYTES:
            problem = f"the file has {size:,} bytes, of at most {MOST_BYTES:,} of a journal"
            raise JournalCorrupt(self.path, 1, problem)
        return self.path.is_file()

    @property
    def lines(self) -> list[JournalLine]:
        """All lines. They are read again after each append, so that a long-lived writer keeps only the last."""
        if self._lines is None:
            content = self.path.read_bytes()[: self._size]
            self._lines = list(_read_lines(self.path, content))
        return self._lines

    @property
    def events(self) -> list[Event]:
        return [line.event for line in self.lines]

    def append(self, event: Event) -> JournalLine:
        """Store one event durably. The line holds the event as stored, without keys.

        Raises: JournalWriteFailed, with the file as it was.
        """
        seq = self.count
        now = self._clock()
        told = to_json(event)
        if (redacted := self.redact.in_json(told)) != told:
            event = from_json(redacted)
        last = self.last.sha256 if self.last else FIRST_LINK
        body = {"seq": seq, "time": round(now, 6), "event": scrub(to_json(event))}
        link = _link(last, _encode(body))
        self._write(_encode(body | {"sha256": link}))
        line = JournalLine(seq, now, event, link)
        self._lines, self.last, self.count = None, line, seq + 1
        return line

    def _write(self, text: bytes) -> None:
        fresh = not self.path.exists()
        try:
            self._rescue_torn_tail()
            made = 0 if self.count else os.O_CREAT  # a journal that somebody removed is not begun anew
            descriptor = os.open(self.path, os.O_RDWR | made | os.O_APPEND, 0o644)
        except OSError as error:
            if self.count and isinstance(error, FileNotFoundError):
                raise IntegrityError(str(self.path), "is gone", "restore it from a copy, then resume") from error
            raise JournalWriteFailed(self.path, str(error)) from error
        try:
            self._check_sole_writer(os.fstat(descriptor).st_size)
            try:
                written = os.write(descriptor, text)
                if written != len(text):
                    raise OSError(f"{written} of {len(text)} bytes were written")
                os.fsync(descriptor)
            except OSError as error:
                os.ftruncate(descriptor, self._size)
                raise JournalWriteFailed(self.path, str(error)) from error
        finally:
            os.close(descriptor)
        if fresh:
            fsync_folder(self.folder)
        self._size += len(text)

    def _check_sole_writer(self, size: int) -> None:
        if size != self._size + len(self._torn):
            raise IntegrityError(str(self.path), "was written by somebody else", "stop the other writer, then resume")

    def _rescue_torn_tail(self) -> None:
        if not self._torn:
            return
        self._check_sole_writer(self.path.stat().st_size)
        rescue = self.folder / "rescue"
        rescue.mkdir(exist_ok=True)
        name = hashlib.sha256(self._torn).hexdigest()[:12]
        write_durably(rescue / f"journal-tail-{len(self.lines)}-{name}", self._torn)
        with self.path.open("r+b") as file:
            file.truncate(self._size)
            os.fsync(file.fileno())
        self._torn = b""

    def put(self, text: str) -> str:
        """Store a text without the keys in it, and return its name: the SHA-256 of the UTF-8 bytes as stored."""
        content = self.redact(text).encode("utf-8", "surrogatepass")
        name = hashlib.sha256(content).hexdigest()
        path = self._blob(name)
        if not path.exists():
            try:
                self.folder.stat()  # a folder that somebody removed is not made again
                path.parent.mkdir(parents=True, exist_ok=True)
                write_durably(path, content, scratch=self.folder / "tmp")
            except OSError as error:
                raise JournalWriteFailed(path, str(error)) from error
        return name

    def get(self, name: str) -> str:
        """Raises: IntegrityError if the blob is missing or is not what its name says."""
        path = self._blob(name)
        if not path.is_file():  # a pipe would be waited for
            raise IntegrityError(str(path), "is missing", "restore .agent/blobs from a copy")
        content = path.read_bytes() if path.stat().st_size <= MOST_BYTES else b""
        if hashlib.sha256(content).hexdigest() != name:
            raise IntegrityError(str(path), "does not match its name", "restore .agent/blobs from a copy")
        return content.decode("utf-8", "surrogatepass")

    def _blob(self, name: str) -> Path:
        return self.folder / "blobs" / name[:2] / name


def _encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _link(previous: str, body: bytes) -> str:
    """The hash of an event, over the hash before it and the bytes of its own line without the field for the hash."""
    return hashlib.sha256(previous.encode() + body).hexdigest()


def _read_lines(path: Path, content: bytes) -> Iterator[JournalLine]:
    previous = FIRST_LINK
    for number, raw in enumerate(content.split(b"\n")[:-1]):
        line = _parse_line(path, number, raw, previous)
        previous = line.sha256
        yield line


def _parse_line(path: Path, number: int, raw: bytes, previous: str) -> JournalLine:
    body, _, link = raw.rpartition(_LINK_FIELD)
    try:
        value = json.loads(body + b"}")
        seq, stamp = value["seq"], value["time"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise JournalCorrupt(path, number + 1, f"is not an event ({error})") from error
    if seq != number:
        raise JournalCorrupt(path, number + 1, f"has seq {seq} where {number} was due")
    expected = _link(previous, body + b"}\n")
    if link != expected.encode() + b'"}':
        raise JournalCorrupt(path, number + 1, "does not match its sha256: it or a line before it was altered")
    try:
        return JournalLine(seq, stamp, from_json(value["event"]), expected)
    except NewerJournal as error:
        remedy = "go on with the version of scientist that wrote it, or a later one"
        raise JournalCorrupt(path, number + 1, str(error), remedy) from error
    except (UnknownEvent, KeyError) as error:
        raise JournalCorrupt(path, number + 1, f"is not an event of this version ({error})") from error
