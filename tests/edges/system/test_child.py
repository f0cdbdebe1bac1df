"""Child commands end with all that they started, whatever ends them, and say what they say at once."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.edges.system import child
from agent.edges.system.child import LINE_BYTES, ChildCommand, ChildEnd, run_child, run_probe
from agent.edges.system.processes import Identity, is_running, read_process
from tests.edges.supervisor.made_steps import wait_for
from tests.paths import ROOT

HANGS = "import os, sys, time\nopen('pid', 'w').write(f'{os.getpid()}\\n')\n"
WITH_CHILD = HANGS + "if os.fork() == 0:\n    open('child', 'w').write(f'{os.getpid()}\\n')\n"
SLEEPS = "time.sleep(60)\n"


def python(code: str, folder: Path, **more: object) -> ChildCommand:
    return ChildCommand([sys.executable, "-I", "-S", "-c", code], folder, {"PATH": os.defpath}, **more)  # type: ignore[arg-type]


def identity(file: Path) -> Identity:
    process = read_process(int(file.read_text()))
    return process.identity if process else Identity(int(file.read_text()), -1)


def seen(*files: Path) -> Callable[[], bool]:
    return lambda: all(file.exists() and file.read_text().endswith("\n") for file in files)


def test_both_streams_are_heard_line_by_line_without_an_output(tmp_path: Path) -> None:
    said: list[str] = []
    code = "import sys\nsys.stderr.write('a\\rb\\n\\n')\nsys.stderr.flush()\nprint('c'); sys.stdout.flush()\n"
    assert run_child(python(code + "sys.stderr.write('end')", tmp_path), said.append) == ChildEnd(0)
    assert said == ["a", "b", "c", "end"]


def test_only_errors_are_heard_beside_an_output(tmp_path: Path) -> None:
    said: list[str] = []
    with tempfile.TemporaryFile() as output:
        code = "import sys; print('answer'); sys.stderr.buffer.write(b'\\xff!\\n'); sys.exit(3)"
        assert run_child(python(code, tmp_path, output=output), said.append).code == 3
        output.seek(0)
        assert (output.read(), said) == (b"answer\n", ["\ufffd!"])


def test_all_goes_to_the_output_if_nobody_hears(tmp_path: Path) -> None:
    with tempfile.TemporaryFile() as output:
        code = "import sys; print('out', flush=True); print('err', file=sys.stderr)"
        assert run_child(python(code, tmp_path, output=output), None) == ChildEnd(0)
        output.seek(0)
        assert output.read() == b"out\nerr\n"


def test_lines_are_heard_while_it_runs(tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt(line)

    begun_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt, match="first"):
        run_child(python(HANGS + "print('first', flush=True)\n" + SLEEPS, tmp_path), interrupt)
    assert time.monotonic() - begun_s < 30 and not is_running(identity(tmp_path / "pid"))


@pytest.mark.parametrize("why", ["stopped", "timed_out"])
def test_a_request_and_a_deadline_end_it_with_its_group(tmp_path: Path, why: str) -> None:
    both = seen(tmp_path / "pid", tmp_path / "child")
    asked = {"is_stopped": both} if why == "stopped" else {"deadline_s": 1.5}
    end = run_child(python(WITH_CHILD + SLEEPS, tmp_path), print, **asked)  # type: ignore[arg-type]
    assert getattr(end, why) and end.code == -signal.SIGTERM and both()
    wait_for(lambda: not any(is_running(identity(tmp_path / name)) for name in ("pid", "child")))


def test_it_may_clear_up_for_its_grace_and_no_longer(tmp_path: Path) -> None:
    clears = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: (open('cleared', 'w').close(), sys.exit(5)))\n"
    ignores = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    ready = "open('ready', 'w').write('\\n')\n"
    for code, expected in ((clears, 5), (ignores, -signal.SIGKILL)):
        stop = seen(tmp_path / "ready")
        end = run_child(python(HANGS + code + ready + SLEEPS, tmp_path), print, is_stopped=stop, grace_s=2.0)
        (tmp_path / "ready").unlink()
        assert end == ChildEnd(expected, stopped=True)
    assert (tmp_path / "cleared").exists()


def test_a_process_left_behind_is_ended_and_holds_nothing_up(tmp_path: Path) -> None:
    code = WITH_CHILD + "    while True:\n        print('x' * 1000, flush=True)\n"
    code += "while not os.path.exists('child') or not open('child').read():\n    time.sleep(0.01)\n"
    assert run_child(python(code, tmp_path), lambda line: None) == ChildEnd(0)
    wait_for(lambda: not is_running(identity(tmp_path / "child")))


def test_a_command_that_is_not_there_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_child(ChildCommand(["/no/such/program"], tmp_path, {}), print)


def test_a_line_without_an_end_is_cut_in_a_moment(tmp_path: Path) -> None:
    said: list[str] = []
    code = "import os\nfor _ in range(4096): os.write(1, b'x' * 16384)\nos.write(1, b'\\nnext\\n')"
    began_s = time.monotonic()
    assert run_child(python(code, tmp_path), said.append) == ChildEnd(0)
    assert said == ["x" * LINE_BYTES, "next"] and time.monotonic() - began_s < 10.0


DIES = """
import os, sys
from pathlib import Path
from agent.edges.system.child import ChildCommand, run_child
held = os.open("lock", os.O_RDWR | os.O_CREAT)
import fcntl; fcntl.flock(held, fcntl.LOCK_EX)
command = [sys.executable, "-I", "-S", "-c", sys.argv[1]]
run_child(ChildCommand(command, Path.cwd(), {}, holds=(held,)), print)
"""
DAEMON = "if os.fork() == 0:\n    os.setsid()\n    if os.fork():\n        os._exit(0)\n"


@pytest.mark.parametrize("daemon", ["", DAEMON])
def test_it_dies_with_its_caller_however_that_ends_and_holds_its_lock_until_then(tmp_path: Path, daemon: str) -> None:
    code = HANGS + (daemon or "if os.fork() == 0:\n")
    code += "    open('child', 'w').write(f'{os.getpid()}\\n')\n    time.sleep(60)\n" + SLEEPS
    caller = subprocess.Popen(
        [sys.executable, "-c", DIES, code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    wait_for(seen(tmp_path / "pid", tmp_path / "child"), 20.0)
    both = [identity(tmp_path / name) for name in ("pid", "child")]
    assert all(map(is_running, both))
    caller.kill()
    caller.wait()
    with (tmp_path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not any(map(is_running, both)), "the lock was given back before they were dead"


def test_its_environment_is_the_one_that_it_was_given_and_its_descriptors_are_three(tmp_path: Path) -> None:
    said: list[str] = []
    code = "import os; print(open('/proc/self/environ').read()); print(len(os.listdir('/proc/self/fd')))"
    assert (
        run_child(ChildCommand([sys.executable, "-I", "-S", "-c", code], tmp_path, {"A": "b c"}), said.append).code == 0
    )
    assert said == ["A=b c\0", "4"]  # the folder of the list is open, too


@pytest.mark.parametrize(
    ("code", "told"), [(0, "exit code 0"), (-9, "killed by SIGKILL"), (-50, "killed by signal 50")]
)
def test_an_end_in_words(code: int, told: str) -> None:
    assert ChildEnd(code).told == told


def test_a_pause_of_the_machine_spends_no_time_of_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "FROZEN_S", 0.5)
    pauses = [1.0]

    def look() -> bool:
        time.sleep(pauses.pop() if pauses else 0.0)
        return False

    command = ChildCommand(["sh", "-c", "sleep 1.3; exit 3"], tmp_path, dict(os.environ))
    end = run_child(command, lambda line: None, deadline_s=0.8, is_stopped=look)
    assert (end.code, end.timed_out) == (3, False)


@pytest.mark.parametrize(("kills", "code"), [(0, 5), (1, 5), (2, -9)])
def test_a_probe_that_somebody_kills_is_run_once_more(kills: int, code: int, tmp_path: Path) -> None:
    script = f"cat > got; echo x >> tries; [ $(wc -l < tries) -gt {kills} ] || kill -9 $$; cat got; exit 5"
    done = run_probe(["sh", "-c", script], 10.0, stdin="asked", folder=str(tmp_path))
    assert (done.returncode, done.stdout) == (code, "asked" if code == 5 else "")
