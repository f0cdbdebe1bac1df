from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.core.failure.record import ExitRecord
from agent.core.journal.action_results import Asked, Closed, Published
from agent.core.journal.events import Ended, Event, Finished, Launched, Paused, Resumed, Started
from agent.core.journal.kinds import PauseKind, Step
from agent.core.model.messages import without_surrogates
from agent.core.text.redact import Redactor
from agent.edges.workspace.journal import FIRST_LINK, MOST_BYTES, Journal, JournalWriteFailed
from agent.errors import IntegrityError, JournalCorrupt
from tests.fakes import FakeClock

EVENTS: list[Event] = [
    Launched(workspace="momentum", title="Mömentum \u2028 helps", template="quadratic"),
    Started("key1", "AskModel", 1, 1, 0),
    Finished("key1", Asked(request="a" * 64, reply="b" * 64, cost_usd=None)),
    Paused(PauseKind.PROVIDER, 'insufficient balance: {"error":\n"quota"}'),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "an idea's folder" / ".agent"
    folder.mkdir(parents=True)
    return folder


def fill(folder: Path, events: list[Event] = EVENTS) -> Journal:
    journal = Journal(folder, clock=FakeClock())
    for event in events:
        journal.append(event)
    return journal


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# Append


def test_events_come_back_in_order(folder: Path) -> None:
    written = fill(folder)
    read = Journal(folder)
    assert read.events == EVENTS
    assert read.lines == written.lines
    assert [line.seq for line in read.lines] == [0, 1, 2, 3]
    assert [line.time for line in read.lines] == [1_700_000_000.0] * 4


def test_a_folder_without_journal_has_no_events_and_gets_no_file(folder: Path) -> None:
    assert Journal(folder).events == []
    assert everything(folder) == {}


def test_each_line_is_json_that_people_can_read_and_chains_to_the_one_before(folder: Path) -> None:
    fill(folder)
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == 4 and "Mömentum" in lines[0].decode()
    assert json.loads(lines[0])["event"]["version"] == 1
    previous = FIRST_LINK
    for line in lines:
        body, _, link = line.decode().rpartition(',"sha256":"')
        assert hashlib.sha256(previous.encode() + (body + "}\n").encode()).hexdigest() == link.rstrip('"}\n')
        previous = link.rstrip('"}\n')


def test_a_reopened_journal_goes_on_with_the_chain(folder: Path) -> None:
    for event in EVENTS:
        Journal(folder, clock=FakeClock()).append(event)
    once = (folder / "journal.jsonl").read_bytes()
    (folder / "journal.jsonl").unlink()
    fill(folder)
    assert (folder / "journal.jsonl").read_bytes() == once


def test_every_event_is_one_write_and_one_fsync(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(folder)
    calls: list[str] = []
    write, fsync = os.write, os.fsync

    def record_write(descriptor: int, text: bytes) -> int:
        calls.append("write")
        return write(descriptor, text)

    def record_fsync(descriptor: int) -> None:
        calls.append("fsync " + Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "write", record_write)
    monkeypatch.setattr(os, "fsync", record_fsync)
    journal.append(EVENTS[0])
    assert calls == ["write", "fsync journal.jsonl", "fsync .agent"]
    calls.clear()
    journal.append(EVENTS[1])
    assert calls == ["write", "fsync journal.jsonl"]


@pytest.mark.parametrize("text", ["\ud83d", "a\udcffb", "\x00\x1f\r\n\u2028\ufeff", "\U0001f600é", '\\"\\u0041'])
def test_any_text_survives_but_for_half_characters_in_events(folder: Path, text: str) -> None:
    fill(folder, [EVENTS[0], Paused(PauseKind.STOP, text), Resumed()])
    assert Journal(folder).events == [EVENTS[0], Paused(PauseKind.STOP, without_surrogates(text)), Resumed()]
    assert (folder / "journal.jsonl").read_bytes().count(b"\n") == 3
    assert Journal(folder).get(Journal(folder).put(text)) == text


def test_an_event_of_many_megabytes_survives(folder: Path) -> None:
    huge = Paused(PauseKind.INFRASTRUCTURE, "é" * 4_000_000)
    fill(folder, [EVENTS[0], huge, Resumed()])
    assert Journal(folder).events == [EVENTS[0], huge, Resumed()]


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
EVENT = st.one_of(
    st.builds(Paused, st.sampled_from(PauseKind), TEXT),
    st.builds(Ended, st.booleans(), TEXT, st.lists(TEXT, max_size=3).map(tuple)),
    st.builds(Started, TEXT, TEXT, st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)),
    st.builds(
        Finished,
        TEXT,
        st.one_of(
            st.builds(Asked, reply=TEXT, cost_usd=st.none() | NUMBER, seconds=NUMBER),
            st.builds(
                Published,
                run=st.integers(0, 99),
                values=st.dictionaries(TEXT, NUMBER, max_size=3),
                settings=st.dictionaries(
                    TEXT, NUMBER | TEXT | st.booleans() | st.integers(-(10**9), 10**9), max_size=3
                ),
            ),
            st.builds(
                Closed,
                step=st.sampled_from(Step),
                exit=st.none() | st.builds(ExitRecord, st.integers(0, 255), st.none(), st.booleans()),
            ),
        ),
    ),
    st.just(Resumed()),
)


@given(events=st.lists(EVENT, max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_appended_is_read(folder: Path, events: list[Event]) -> None:
    (folder / "journal.jsonl").unlink(missing_ok=True)
    fill(folder, events)
    assert repr(Journal(folder).events) == repr(events), "1 is not True, nor 1.0"


# A torn tail


def test_a_tail_torn_at_any_byte_is_rescued_before_the_next_append(folder: Path) -> None:
    fill(folder)
    path = folder / "journal.jsonl"
    whole = path.read_bytes()
    kept = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(kept + 1, len(whole)):
        path.write_bytes(whole[:cut])
        journal = Journal(folder, clock=FakeClock())
        assert journal.events == EVENTS[:-1]
        assert path.read_bytes() == whole[:cut], "reading changes nothing"
        journal.append(EVENTS[-1])
        assert path.read_bytes() == whole
        (rescued,) = (folder / "rescue").iterdir()
        assert rescued.read_bytes() == whole[kept:cut]
        rescued.unlink()


def test_a_journal_torn_in_its_first_line_is_begun_anew(folder: Path) -> None:
    (folder / "journal.jsonl").write_bytes(b'{"seq":0,"ti')
    journal = fill(folder)
    assert Journal(folder).lines == journal.lines and journal.events == EVENTS
    assert [p.read_bytes() for p in (folder / "rescue").iterdir()] == [b'{"seq":0,"ti']


def test_a_whole_line_without_its_newline_does_not_count(folder: Path) -> None:
    fill(folder)
    path = folder / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    assert Journal(folder).events == EVENTS[:-1]


def test_a_kill_while_appending_loses_no_event_that_was_acknowledged(folder: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom agent.core.journal.events import Paused, PauseKind\n"
        "from agent.edges.workspace.journal import Journal\njournal = Journal(Path(sys.argv[1]))\n"
        "for n in range(10**6): print(journal.append(Paused(PauseKind.STOP, 'x' * 20000)).seq, flush=True)\n"
    )
    for round_ in range(2):
        before = len(Journal(folder).events)
        process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE)
        assert process.stdout
        acknowledged = [int(process.stdout.readline()) for _ in range(20 + 7 * round_)]
        process.kill()
        acknowledged += [int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
        process.stdout.close()
        process.wait()
        journal = Journal(folder)
        assert acknowledged == list(range(before, before + len(acknowledged)))
        assert len(acknowledged) <= len(journal.events) - before <= len(acknowledged) + 1
        journal.append(Resumed())
        assert Journal(folder).events[-1] == Resumed()


# Damage


def assert_corrupt(folder: Path, content: bytes, line: int, problem: str = ".") -> None:
    path = folder / "journal.jsonl"
    path.write_bytes(content)
    before = everything(folder)
    with pytest.raises(JournalCorrupt, match=problem) as caught:
        Journal(folder)
    assert (caught.value.path, caught.value.line) == (path, line)
    assert f"{path}:{line}: " in str(caught.value) and "\n" not in str(caught.value)
    assert everything(folder) == before


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_any_altered_byte_is_found_in_its_line(folder: Path, every: int) -> None:
    fill(folder, [Launched(workspace="é", limits=EVENTS[0].limits), Paused(PauseKind.STOP, "1e-5 \ud83d\x7f")])
    whole = (folder / "journal.jsonl").read_bytes()
    ends = [n for n, byte in enumerate(whole) if byte == 10]
    for place in range(len(whole)):
        if place in ends:
            continue
        others = [whole[place] ^ 1, whole[place] ^ 0x20, 0x20, 0x0A]
        for byte in set(others[place % every :: every]) - {whole[place]}:
            line = 1 + sum(end < place for end in ends)
            assert_corrupt(folder, whole[:place] + bytes([byte]) + whole[place + 1 :], line)


@pytest.mark.parametrize(
    "old,new",
    [
        ('{"seq":1,', '{"seq":1 ,'),
        ('"seq":1,"time":1700000000.0', '"seq":1,"time":17e8'),
        ('{"seq":1', ' {"seq":1'),
    ],
)
def test_a_line_that_means_the_same_but_is_written_otherwise_is_found(folder: Path, old: str, new: str) -> None:
    fill(folder, [EVENTS[0], Paused(PauseKind.STOP, "again"), Resumed()])
    whole = (folder / "journal.jsonl").read_text()
    assert whole.count(old) == 1
    assert_corrupt(folder, whole.replace(old, new).encode(), 2, "was altered")


def test_half_a_character_put_into_a_line_is_found(folder: Path) -> None:
    fill(folder, [EVENTS[0], Paused(PauseKind.STOP, "again"), Resumed()])
    whole = (folder / "journal.jsonl").read_text()
    assert_corrupt(folder, whole.replace("again", "\\ud83d").encode(), 2, "was altered")


def test_swapped_missing_doubled_and_foreign_lines_are_found(folder: Path) -> None:
    fill(folder)
    a, b, c, d = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    assert_corrupt(folder, a + c + b + d, 2, "has seq 2 where 1 was due")
    assert_corrupt(folder, a + b + d, 3, "has seq 3 where 2 was due")
    assert_corrupt(folder, b + c + d, 1, "has seq 1 where 0 was due")
    assert_corrupt(folder, a + b + b + c + d, 3, "has seq 1 where 2 was due")
    other = folder.parent / "other"
    other.mkdir()
    fill(other, [*EVENTS[:1], Resumed(), *EVENTS[2:]])
    foreign = (other / "journal.jsonl").read_bytes().splitlines(keepends=True)
    assert_corrupt(folder, a + b + foreign[2] + d, 3, "does not match its sha256")


@pytest.mark.parametrize(
    "line", [b"", b"null", b"[]", b"7", b'"text"', b"{}", b"\xff\xfe", b'{"seq":4,"time":1.0,"event":{}}', b"[" * 99999]
)
def test_a_line_that_is_no_event_is_found(folder: Path, line: bytes) -> None:
    fill(folder)
    assert_corrupt(folder, (folder / "journal.jsonl").read_bytes() + line + b"\n", 5, "is not an event")


@pytest.mark.parametrize(
    "event",
    [
        {"type": "paid", "amount": 3},
        {"type": "paused", "kind": "weather", "reason": ""},
        {"type": "finished", "key": "k", "result": {"type": "unheard"}},
        {"kind": "stop"},
        None,
    ],
)
def test_an_event_of_an_unknown_kind_is_refused_though_its_chain_holds(folder: Path, event: object) -> None:
    last = fill(folder).lines[-1].sha256
    body = {"seq": 4, "time": 1.0, "event": event}
    text = json.dumps(body, separators=(",", ":"))
    link = hashlib.sha256(last.encode() + text.encode() + b"\n").hexdigest()
    line = json.dumps(body | {"sha256": link}, separators=(",", ":")).encode() + b"\n"
    assert_corrupt(folder, (folder / "journal.jsonl").read_bytes() + line, 5, "not an event of this version")


# Writes that fail


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("room", [0, 1, 50])
def test_a_short_write_leaves_the_file_as_it_was(folder: Path, room: int) -> None:
    journal = fill(folder)
    before = everything(folder)
    with files_no_larger_than(len(before["journal.jsonl"]) + room), pytest.raises(JournalWriteFailed) as caught:
        journal.append(Resumed())
    assert caught.value.exit_code == 3 and "free space" in str(caught.value)
    assert everything(folder) == before
    journal.append(Resumed())
    assert Journal(folder).events == [*EVENTS, Resumed()]


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    """On a filesystem of 64 KiB, mounted in a namespace of its own."""
    code = """
import sys
from pathlib import Path
from agent.core.journal.events import Paused, Resumed
from agent.core.journal.kinds import PauseKind
from agent.edges.workspace.journal import Journal, JournalWriteFailed
folder = Path(sys.argv[1])
journal = Journal(folder)
count = 0
try:
    while True:
        journal.append(Paused(PauseKind.STOP, "x" * 5000))
        count += 1
except JournalWriteFailed as error:
    assert "No space left" in str(error) or "bytes were written" in str(error), error
assert len(Journal(folder).events) == count > 5
try:
    journal.put("y" * 80_000)
except JournalWriteFailed as error:
    assert "No space left" in str(error), error
else:
    sys.exit("a blob was stored on a full disk")
assert not [p for p in folder.rglob("*") if p.is_file() and p.name != "journal.jsonl"]
print("as it was")
"""
    mount = f"mount -t tmpfs -o size=64k none '{tmp_path}' && exec \"$@\""
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespaces here to mount a small filesystem in")
    done = subprocess.run(
        [*command, sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "as it was\n", done.stderr


def test_a_folder_that_is_gone_is_said(folder: Path) -> None:
    journal = Journal(folder)
    folder.rmdir()
    with pytest.raises(JournalWriteFailed, match="No such file"):
        journal.append(EVENTS[0])


# Other processes


def test_a_second_writer_is_noticed(folder: Path) -> None:
    first, second = fill(folder), Journal(folder)
    second.append(Resumed())
    before = everything(folder)
    with pytest.raises(IntegrityError, match="written by somebody else"):
        first.append(Resumed())
    assert everything(folder) == before


def test_a_second_writer_is_noticed_where_both_saw_a_torn_tail(folder: Path) -> None:
    path = fill(folder).path
    path.write_bytes(path.read_bytes()[:-5])
    first, second = Journal(folder), Journal(folder)
    second.append(Ended(True, "a longer event than the one that was torn, and acknowledged"))
    before = everything(folder)
    with pytest.raises(IntegrityError, match="written by somebody else"):
        first.append(Resumed())
    assert everything(folder) == before


def test_a_journal_taken_away_is_noticed(folder: Path) -> None:
    journal = fill(folder)
    journal.path.unlink()
    with pytest.raises(IntegrityError):
        journal.append(Resumed())


def test_readers_see_whole_events_while_a_writer_writes(folder: Path) -> None:
    events: list[Event] = [EVENTS[0], *(Paused(PauseKind.STOP, "x" * (n * 997 % 30_000)) for n in range(150))]
    failed: list[BaseException] = []

    def write() -> None:
        try:
            fill(folder, events)
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[int] = []
    while writer.is_alive():
        read = Journal(folder).events
        assert read == events[: len(read)]
        seen.append(len(read))
    writer.join()
    assert failed == [] and seen == sorted(seen)
    assert Journal(folder).events == events and not (folder / "rescue").exists()


# Blobs


def test_a_blob_is_named_by_its_hash_and_stored_once(folder: Path) -> None:
    journal = Journal(folder)
    name = journal.put("a reply\r\né")
    path = folder / "blobs" / name[:2] / name
    assert name == hashlib.sha256("a reply\r\né".encode()).hexdigest() and path.read_bytes() == "a reply\r\né".encode()
    stamp = path.stat().st_mtime_ns
    assert journal.put("a reply\r\né") == name and path.stat().st_mtime_ns == stamp
    assert journal.get(name) == "a reply\r\né"
    assert journal.get(journal.put("")) == ""


def test_a_pipe_and_a_file_without_end_are_refused_and_not_waited_for(folder: Path) -> None:
    journal = Journal(folder)
    name = journal.put("a reply")
    blob = folder / "blobs" / name[:2] / name
    os.truncate(blob, MOST_BYTES + 1)
    with pytest.raises(IntegrityError, match="does not match its name"):
        journal.get(name)
    blob.unlink()
    os.mkfifo(blob)
    with pytest.raises(IntegrityError, match="is missing"):
        journal.get(name)
    os.mkfifo(journal.path)
    assert Journal(folder).events == []
    journal.path.unlink()
    journal.path.touch()
    os.truncate(journal.path, MOST_BYTES + 1)
    with pytest.raises(JournalCorrupt, match="has 2,147,483,649 bytes, of at most 2,147,483,648"):
        Journal(folder)


def test_a_missing_blob_is_refused(folder: Path) -> None:
    with pytest.raises(IntegrityError, match="is missing"):
        Journal(folder).get("0" * 64)


def test_an_altered_blob_is_refused(folder: Path) -> None:
    journal = Journal(folder)
    name = journal.put("a reply")
    path = folder / "blobs" / name[:2] / name
    for content in (b"a replY", b"", b"\xff"):
        path.write_bytes(content)
        with pytest.raises(IntegrityError, match="does not match its name"):
            journal.get(name)
        assert path.read_bytes() == content


def test_a_blob_that_does_not_fit_leaves_nothing(folder: Path) -> None:
    journal = Journal(folder)
    with files_no_larger_than(10), pytest.raises(JournalWriteFailed):
        journal.put("more than ten bytes")
    assert everything(folder) == {}


# Keys


def test_what_is_stored_has_no_key_and_is_what_the_journal_says(folder: Path) -> None:
    key, shape = 'k"e\\y-1234', "sk-0123456789abcdef0123456789abcdef"
    journal = Journal(folder, clock=FakeClock(), redact=Redactor({key: "X_API_KEY"}))
    name = journal.put(json.dumps({"text": f"{key} {shape}"}))
    assert json.loads(journal.get(name)) == {"text": "[redacted: X_API_KEY] [redacted: key]"}
    assert name == hashlib.sha256(journal.get(name).encode()).hexdigest()
    line = journal.append(Paused(PauseKind.PROVIDER, f"refused: {key}"))
    assert line.event == Paused(PauseKind.PROVIDER, "refused: [redacted: X_API_KEY]") == journal.lines[-1].event
    assert Journal(folder).events == journal.events
    assert not any(b"1234" in p.read_bytes() for p in folder.rglob("*") if p.is_file())
