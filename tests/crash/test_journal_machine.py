"""Journal and lock against a model in memory, through any sequence of writers, crashes, torn tails and dead holders."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from agent.core.journal.events import Event, Paused, Resumed
from agent.core.journal.kinds import PauseKind
from agent.edges.workspace import lock
from agent.edges.workspace.journal import Journal
from agent.edges.workspace.lock import HOLDER, break_lock, hold_lock, read_holder, this_process
from agent.errors import IntegrityError, Locked
from tests.crash.points import CRASHED, in_child
from tests.fakes import FakeClock

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
EVENT = st.one_of(st.builds(Paused, st.sampled_from(PauseKind), TEXT), st.just(Resumed()))
WRITERS = st.integers(0, 2)


class JournalMachine(RuleBasedStateMachine):
    """Three writers of one journal, each of which knows it as of its last opening, and the holder of the lock."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="journal-"))
        self.folder = self.root / ".agent"
        self.folder.mkdir()
        self.path = self.folder / "journal.jsonl"
        self.stored: list[Event] = []
        self.torn = b""
        self.rescued: list[bytes] = []
        self.blobs: dict[str, str] = {}
        self.seen: dict[int, tuple[int, bytes]] = {}
        self.writers: dict[int, Journal] = {}
        self.lock = ExitStack()
        self.is_held = False
        self.left_by: str | None = None
        self.patch = mock.patch.object(lock, "MOMENT_S", 0.0)
        self.patch.start()

    def teardown(self) -> None:
        self.lock.close()
        self.patch.stop()
        shutil.rmtree(self.root)

    def open(self) -> Journal:
        return Journal(self.folder, clock=FakeClock())

    # The journal

    @rule(writer=WRITERS)
    def open_it(self, writer: int) -> None:
        self.writers[writer] = self.open()
        self.seen[writer] = (len(self.stored), self.torn)
        assert self.writers[writer].events == self.stored

    @precondition(lambda self: self.writers)
    @rule(data=st.data(), event=EVENT)
    def append(self, data: st.DataObject, event: Event) -> None:
        writer = data.draw(st.sampled_from(sorted(self.writers)))
        journal, before = self.writers[writer], self.path.read_bytes() if self.path.exists() else b""
        count, torn = self.seen[writer]
        if count != len(self.stored) or len(torn) != len(self.torn):
            with pytest.raises(IntegrityError, match="somebody else"):
                journal.append(event)
            assert self.path.read_bytes() == before
            return
        journal.append(event)
        self.stored.append(event)
        if self.torn:
            self.rescued.append(self.torn)
            self.torn = b""
        self.seen[writer] = (len(self.stored), b"")

    @precondition(lambda self: self.stored)
    @rule(data=st.data(), event=EVENT)
    def die_while_appending(self, data: st.DataObject, event: Event) -> None:
        """A process that writes a part of the next line and is gone."""
        if self.torn:
            return
        scratch = self.root / "scratch"
        shutil.copytree(self.folder, scratch)
        line = (Journal(scratch, clock=FakeClock()).append(event), (scratch / "journal.jsonl").read_bytes())[1]
        shutil.rmtree(scratch)
        whole = line[len(self.path.read_bytes()) :]
        self.torn = whole[: data.draw(st.integers(1, len(whole) - 1))]
        with self.path.open("ab") as file:
            file.write(self.torn)
        self.seen = {n: seen for n, seen in self.seen.items() if seen != (len(self.stored), b"")}
        self.writers = {n: self.writers[n] for n in self.seen}

    @rule(text=TEXT)
    def put(self, text: str) -> None:
        name = self.open().put(text)
        assert self.blobs.setdefault(name, text) == text

    @precondition(lambda self: self.blobs)
    @rule(data=st.data())
    def tear_a_blob(self, data: st.DataObject) -> None:
        """Damage by a bad disk is found, and the next `put` of the text does not mend it in silence."""
        name = data.draw(st.sampled_from(sorted(self.blobs)))
        path = self.folder / "blobs" / name[:2] / name
        content = path.read_bytes()
        path.write_bytes(content + b"!")
        with pytest.raises(IntegrityError):
            self.open().get(name)
        path.write_bytes(content)

    # The lock

    @rule()
    def take_lock(self) -> None:
        refused = self.is_held or self.left_by == "another host"
        entered = hold_lock(self.folder)
        if refused:
            with pytest.raises(Locked):
                entered.__enter__()
            return
        self.lock.enter_context(entered)
        self.is_held, self.left_by = True, None

    @precondition(lambda self: self.is_held)
    @rule()
    def give_lock_back(self) -> None:
        self.lock.close()
        self.is_held = False

    @precondition(lambda self: not self.is_held and not self.left_by)
    @rule()
    def die_with_the_lock(self) -> None:
        """The kernel releases a dead process's lock, and its record stays."""

        def hold_and_die() -> None:
            with hold_lock(self.folder):
                os._exit(CRASHED)

        assert in_child(hold_and_die, self.root / "errors") == CRASHED
        self.left_by = "the dead"

    @precondition(lambda self: not self.is_held)
    @rule()
    def be_held_elsewhere(self) -> None:
        there = replace(this_process(), host="node17")
        (self.folder / HOLDER).write_text(json.dumps(asdict(there)))
        self.left_by = "another host"

    @rule()
    def unlock(self) -> None:
        if self.is_held:
            with pytest.raises(Locked):
                break_lock(self.folder)
        else:
            assert (break_lock(self.folder) is not None) == (self.left_by is not None)
            self.left_by = None

    # What always holds

    @invariant()
    def nothing_stored_is_lost(self) -> None:
        assert self.open().events == self.stored
        rescue = self.folder / "rescue"
        kept = sorted(path.read_bytes() for path in rescue.iterdir()) if rescue.exists() else []
        assert set(kept) == set(self.rescued)
        for name, text in self.blobs.items():
            assert self.open().get(name) == text
        assert not list(self.folder.glob("tmp/*")) and not list(self.folder.rglob("*.tmp"))

    @invariant()
    def the_holder_is_who_it_is(self) -> None:
        holder = read_holder(self.folder)
        assert (holder is not None) == (self.is_held or self.left_by is not None)
        if self.is_held:
            assert holder == this_process()


def run_machine(examples: int, steps: int) -> None:
    quiet = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(JournalMachine, settings=quiet)


def test_any_history_of_writers_and_holders_keeps_what_was_stored() -> None:
    run_machine(12, 25)


@pytest.mark.slow
def test_many_histories_of_writers_and_holders_keep_what_was_stored() -> None:
    run_machine(400, 60)
