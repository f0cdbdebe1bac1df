"""Standard streams that are closed, full or gone."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
