"""Texts are read by a process that is kept, and that ends with a text which it cannot read."""

from __future__ import annotations

import errno
import json
import os
import re
import select
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from os import pidfd_open

import pytest

from agent.core.text.plain import plain
from agent.edges.system import reader
from agent.edges.system.reader import Unread, is_never_stopped, read_apart
from agent.errors import StopRequested

# Takes twice as long for each letter more.
FOR_EVER = (re.match, r"(a+)+$", "a" * 60 + "b")


def read_pid() -> int:
    pid = read_apart(is_never_stopped, os.getpid)
    assert isinstance(pid, int)
    return pid


def test_one_process_reads_one_text_after_the_other() -> None:
    assert read_apart(is_never_stopped, plain, "a\x1b[31mb\n") == "ab\n"
    assert os.getpid() != read_pid() == read_pid()


def test_a_text_is_refused_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "CPU_LIMIT_S", 0.2)
    assert read_apart(is_never_stopped, *FOR_EVER) == Unread("could not be read within 0.2 s")
    assert read_apart(is_never_stopped, plain, "a") == "a"


def test_a_request_to_stop_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "PATIENCE_S", 0.0)
    with pytest.raises(StopRequested):
        read_apart(lambda: True, *FOR_EVER)
    assert read_apart(is_never_stopped, plain, "a") == "a"


def test_so_does_ctrl_c() -> None:
    def interrupt() -> bool:
        raise KeyboardInterrupt

    before = read_pid()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(reader, "PATIENCE_S", 0.0)
        read_apart(interrupt, *FOR_EVER)
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)


def test_a_text_that_is_nested_deeply_is_refused() -> None:
    assert read_apart(is_never_stopped, json.loads, "[" * 100_000) == Unread("is nested too deeply")


def test_a_text_that_takes_all_memory_is_refused() -> None:
    assert read_apart(is_never_stopped, bytearray, reader.MEMORY_LIMIT_BYTES) == Unread("takes too much memory")


def test_an_error_of_a_reader_refuses_its_text() -> None:
    found = read_apart(is_never_stopped, json.loads, "no JSON")
    assert found == Unread("cannot be read: JSONDecodeError: Expecting value: line 1 column 1 (char 0)")


def test_a_process_that_fails_for_no_fault_of_the_text_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_idle", [])
    monkeypatch.setattr(reader, "_START", "raise SystemExit(1)")
    assert read_pid() == os.getpid()


def test_a_process_that_was_killed_is_replaced() -> None:
    pid = read_pid()
    os.kill(pid, signal.SIGKILL)
    assert read_apart(is_never_stopped, plain, "a") == "a"
    assert read_pid() != pid


def test_so_is_one_that_is_killed_while_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    pid = read_pid()

    def is_alive(child: reader._ReaderProcess) -> bool:
        if child._process.pid == pid:
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return True

    monkeypatch.setattr(reader._ReaderProcess, "is_alive", is_alive)
    assert len(str(read_apart(is_never_stopped, plain, "a" * 1_000_000))) == 1_000_000
    assert read_pid() != pid


def test_a_machine_that_gives_no_process_reads_in_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(reader, "_idle", [])
    monkeypatch.setattr(reader.subprocess, "Popen", refuse)
    assert read_pid() == os.getpid()


def test_the_time_is_limited_even_if_its_signal_was_ignored_at_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reader, "_idle", [])
    monkeypatch.setattr(reader, "CPU_LIMIT_S", 0.2)
    ignored = "import signal; signal.signal(signal.SIGPROF, signal.SIG_IGN); "
    blocked = "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPROF]); "
    monkeypatch.setattr(reader, "_START", ignored + blocked + reader._START)
    assert read_apart(is_never_stopped, *FOR_EVER) == Unread("could not be read within 0.2 s")


def nest(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


def test_an_answer_that_is_nested_deeply_is_refused_too(capfd: pytest.CaptureFixture[str]) -> None:
    assert read_apart(is_never_stopped, nest, 100_000) == Unread("is nested too deeply")
    assert capfd.readouterr().err == ""


def test_threads_read_at_once() -> None:
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda text: read_apart(is_never_stopped, plain, text), ["a", "b", "c"] * 4))
    assert found == ["a", "b", "c"] * 4


def test_a_process_dies_with_the_one_that_asked_it() -> None:
    asks = (
        "import re; from agent.edges.system import reader; a = reader.read_apart\n"
        "print(a(reader.is_never_stopped, reader.os.getpid), flush=True)\n"
        f"a(reader.is_never_stopped, re.match, {FOR_EVER[1]!r}, {FOR_EVER[2]!r})"
    )
    with subprocess.Popen([sys.executable, "-c", asks], stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout
        reading = pidfd_open(int(asking.stdout.readline()))
        asking.kill()
    try:
        assert select.select([reading], [], [], 5.0)[0], "it reads on"
    finally:
        os.close(reading)


def test_a_thread_that_ends_takes_no_reader_from_another() -> None:
    for _ in range(5):  # the kernel ends a process with the thread that began it
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(read_apart, is_never_stopped, plain, "a").result() == "a"
        assert read_apart(is_never_stopped, plain, "b") == "b"
