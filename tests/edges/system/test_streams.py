"""Standard streams that are closed, full or gone."""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

from agent.edges.system import streams
from agent.edges.system.streams import LossyStream


def test_lines_that_a_stream_does_not_take_are_lost_and_later_ones_come(tmp_path: Path) -> None:
    class Full(io.StringIO):
        full = True

        def write(self, text: str) -> int:
            if self.full:
                raise OSError(28, "No space left on device")
            return super().write(text)

    bare = Full()
    stream = LossyStream(bare)
    assert stream.write("one\n") == 4
    stream.writelines(["two\n", "three\n"])
    bare.full = False
    print("four", file=stream, flush=True)
    assert bare.getvalue() == "four\n"


def test_a_stream_that_was_closed_loses_lines_and_another_fault_is_raised() -> None:
    stream = LossyStream(io.StringIO())
    stream.close()
    stream.write("lost\n")
    stream.flush()
    with pytest.raises(UnicodeEncodeError):
        LossyStream(io.TextIOWrapper(io.BytesIO(), "ascii", write_through=True)).write("\u2026")


def fill(descriptor: int) -> None:
    os.set_blocking(descriptor, False)
    try:
        while True:
            os.write(descriptor, bytes(4096))
    except BlockingIOError:
        os.set_blocking(descriptor, True)


def test_nobody_waits_for_a_pipe_that_is_not_emptied_and_its_lines_come_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PATIENCE_S", 0.05)
    reading, writing = os.pipe()
    fill(writing)
    stream = LossyStream(os.fdopen(writing, "w"))
    begun = time.monotonic()
    for number in range(streams.MOST_WAITING + 100):
        stream.write(f"line {number}\n")
        stream.write(f"\rmoves {number}")
    stream.flush()
    assert time.monotonic() - begun < 5.0, "each line waited"
    got = bytearray()
    reader = threading.Thread(
        target=lambda: [got.extend(part) for part in iter(lambda: os.read(reading, 1 << 16), b"")]
    )
    reader.start()
    stream.settle()
    stream.close()
    reader.join(20)
    lines = got.replace(b"\0", b"").split(b"\n")
    assert lines[:2] == [b"line 0", b"line 1"] and streams.MOST_WAITING <= len(lines) <= streams.MOST_WAITING + 10
    os.close(reading)


def test_a_terminal_that_is_held_and_a_descriptor_that_does_not_block_hold_up_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "PATIENCE_S", 0.05)
    leader, follower = pty.openpty()
    termios.tcflow(follower, termios.TCOOFF)  # as Ctrl-S does
    stream = LossyStream(os.fdopen(follower, "w"))
    stream.write("held\n")
    os.set_blocking(follower, False)  # as some programs leave a terminal that they share
    stream.write("and one\n")
    termios.tcflow(follower, termios.TCOON)
    stream.settle()
    got = b""
    while b"one" not in got and select.select([leader], [], [], 30.0)[0]:
        got += os.read(leader, 100)  # gives what is there, which may be the first line alone
    assert got.split() == [b"held", b"and", b"one"]
    stream.close()
    os.close(leader)


ODD = """
import os, signal, subprocess, sys, tempfile
from agent.edges.system.processes import undo_odd_start
undo_odd_start()
assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == {signal.SIGHUP}
assert subprocess.run(["sh", "-c", "exit 7"]).returncode == 7
with tempfile.TemporaryDirectory() as folder:
    assert os.stat(folder).st_mode & 0o777 == 0o700
    os.close(os.open(folder + "/x", os.O_CREAT, 0o666))
    assert oct(os.stat(folder + "/x").st_mode & 0o777) == "0o640", oct(os.stat(folder + "/x").st_mode)
"""


def test_signals_and_rights_that_a_careless_parent_took_away_come_back() -> None:
    def be_careless() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM, signal.SIGALRM, signal.SIGHUP})
        os.umask(0o327)

    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", ODD],
        env={**os.environ, "PYTHONPATH": root},
        preexec_fn=be_careless,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


OPENS = """
import os, subprocess, sys
from agent.edges.system.streams import LossyStream, open_closed_streams, settle_streams
open_closed_streams()
sys.stdout, sys.stderr = LossyStream(sys.stdout), LossyStream(sys.stderr)
print("lost"), print("lost", file=sys.stderr), sys.stdin.read()
with open("journal", "w") as journal:
    assert journal.fileno() > 2
    subprocess.run(["sh", "-c", "echo out; echo err >&2"], check=False)
settle_streams()
"""


@pytest.mark.parametrize("redirection", ["<&- >&- 2>&-", ">&-", "2>&-", "> /dev/full 2>&1", "2</dev/null"])
def test_what_is_printed_to_a_stream_that_was_closed_stands_in_no_file(redirection: str, tmp_path: Path) -> None:
    line = f'"$0" -c "$1" {redirection}'
    done = subprocess.run(
        ["sh", "-c", line, sys.executable, OPENS],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "journal").read_bytes() == b""
