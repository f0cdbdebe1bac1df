from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.edges.run import step_folder as step
from agent.edges.supervisor.capped_log import TAIL_BYTES, CappedLog
from agent.edges.system.processes import is_running, running_below
from tests.edges.supervisor.made_steps import identity_in, python_step, run_python, run_spec, wait_for

WRITE_PID = "import os; p = open(%r, 'w'); p.write(str(os.getpid()) + '\\n'); p.close()\n"

DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open("pid.tmp", "w").write(str(os.getpid()) + "\\n")
    os.rename("pid.tmp", "pid")
    time.sleep(60)
while not os.path.exists("pid"):
    time.sleep(0.01)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run \"3\" of 'idea'.1"
    (folder / step.WORK).mkdir(parents=True)
    return folder


def test_normal_exit_leaves_a_record_and_both_streams(folder: Path) -> None:
    record = run_python("import sys; print('out'); sys.stdout.flush(); print('err', file=sys.stderr)", folder)
    assert (record.exit_code, record.signal, record.error) == (0, None, None)
    assert not record.timed_out and not record.stopped
    assert 0 < record.wall_s < 10 and record.deadline_s == 20.0
    assert (folder / step.STDOUT).read_bytes() == b"out\n"
    assert (folder / step.STDERR).read_bytes() == b"err\n"
    assert sorted((folder / step.LOG).read_bytes().splitlines()) == [b"err", b"out"]
    assert (folder / step.HEARTBEAT).exists()


def test_command_runs_in_work_with_no_input_no_core_its_environment_and_a_tmpdir(folder: Path) -> None:
    code = (
        "import os, sys, json, resource; print(json.dumps([os.getcwd(), sys.stdin.read(), os.getsid(0) == os.getpid(),"
    )
    code += "resource.getrlimit(resource.RLIMIT_CORE)[0], open('/proc/self/environ').read()]))"
    run_python(code, folder)
    cwd, stdin, leads_session, core, environment = json.loads((folder / step.STDOUT).read_text())
    assert cwd == str((folder / step.WORK).resolve())
    assert (stdin, leads_session, core) == ("", True, 0)
    # PATH=/bin:/usr/bin TMPDIR=/tmp/sci-a1b2c3
    assert re.fullmatch(rf"PATH={os.defpath}\0TMPDIR=/tmp/sci-\w+\0", environment)


def test_exception_is_exit_code_one_with_its_traceback(folder: Path) -> None:
    record = run_python("raise KeyError('lr')", folder)
    assert (record.exit_code, record.signal) == (1, None)
    assert "KeyError: 'lr'" in (folder / step.STDERR).read_text()


def test_exit_code_is_kept(folder: Path) -> None:
    assert run_python("raise SystemExit(37)", folder).exit_code == 37


def test_death_by_signal_is_kept(folder: Path) -> None:
    record = run_python("import os; os.abort()", folder)
    assert (record.exit_code, record.signal) == (None, signal.SIGABRT)


def test_non_utf8_output_is_kept_as_bytes(folder: Path) -> None:
    run_python("import os; os.write(2, bytes(range(256))); os.write(1, b'\\xff\\x00')", folder)
    assert (folder / step.STDERR).read_bytes() == bytes(range(256))
    assert (folder / step.STDOUT).read_bytes() == b"\xff\x00"


def test_command_that_is_not_there_is_an_error(folder: Path) -> None:
    spec = step.StepSpec(("no-such-program",), {"PATH": os.defpath}, 5.0, 1.0, folder / "stop")
    record = run_spec(spec, folder)
    assert record.error == "no-such-program: No such file or directory"
    assert (record.exit_code, record.signal, record.timed_out) == (None, None, False)


def test_command_that_may_not_run_is_an_error(folder: Path) -> None:
    program = folder / step.WORK / "data.bin"
    program.write_bytes(b"x")
    record = run_spec(step.StepSpec((str(program),), {}, 5.0, 1.0, folder / "stop"), folder)
    assert record.error is not None and "Permission denied" in record.error


def test_missing_work_folder_is_an_error(folder: Path) -> None:
    (folder / step.WORK).rmdir()
    record = run_python("pass", folder)
    assert record.error is not None and "No such file" in record.error


def test_hang_past_the_deadline_is_ended_by_sigterm(folder: Path) -> None:
    record = run_python("import time; time.sleep(60)", folder, deadline_s=0.5)
    assert (record.timed_out, record.signal, record.exit_code) == (True, signal.SIGTERM, None)
    assert 0.5 <= record.wall_s < 2.0


def test_child_that_ignores_sigterm_is_killed_after_the_grace(folder: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    record = run_python(code, folder, deadline_s=0.4)
    assert (record.timed_out, record.signal) == (True, signal.SIGKILL)
    assert record.wall_s < 5.0


def test_last_words_after_sigterm_are_kept(folder: Path) -> None:
    code = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (print('saved'), sys.exit(3)))\n"
    record = run_python(code + "time.sleep(60)", folder, deadline_s=0.5)
    assert (record.timed_out, record.exit_code) == (True, 3)
    assert (folder / step.STDOUT).read_text() == "saved\n"


def test_double_forked_daemon_is_dead_before_the_record_is_written(folder: Path) -> None:
    record = run_python(DAEMON, folder)
    assert record.exit_code == 0
    assert not is_running(identity_in(folder / step.WORK / "pid"))


def test_double_forked_daemon_is_dead_after_the_deadline(folder: Path) -> None:
    record = run_python(DAEMON + "time.sleep(60)", folder, deadline_s=0.6)
    assert record.timed_out
    assert not is_running(identity_in(folder / step.WORK / "pid"))


def test_endless_stderr_is_capped_and_never_blocks(folder: Path) -> None:
    code = "import os\nn = 0\nwhile True:\n    os.write(2, b'%015d\\n' % n * 256); n += 1"
    record = run_python(code, folder, deadline_s=1.0, log_cap_mib=0.25)
    assert record.timed_out
    for name in (step.STDERR, step.LOG):
        text = (folder / name).read_bytes()
        assert len(text) < 0.25 * 2**20 + TAIL_BYTES + 100
        assert text.startswith(b"%015d\n" % 0) and b" bytes cut ...]\n" in text
        assert int(text.splitlines()[-2]) > 1000  # the end of the stream, far behind the cap


def test_stop_file_ends_the_step(folder: Path) -> None:
    code = f"import time; time.sleep(0.3); open({str(folder / 'stop')!r}, 'w'); time.sleep(60)"
    record = run_python(code, folder)
    assert record.stopped and not record.timed_out
    assert record.wall_s < 3.0


def test_sigterm_to_the_supervisor_ends_the_step(folder: Path) -> None:
    step.write_spec(folder, python_step(WRITE_PID % "pid" + "import time; time.sleep(60)", folder))
    supervisor = subprocess.Popen([sys.executable, "-m", "agent.edges.supervisor.supervise", str(folder)])
    child = identity_in(folder / step.WORK / "pid")
    supervisor.send_signal(signal.SIGHUP)
    supervisor.send_signal(signal.SIGINT)
    supervisor.terminate()
    assert supervisor.wait(5) == 0
    record = step.read_exit(folder)
    assert record is not None and record.stopped
    assert not is_running(child)


def test_command_gets_default_signal_dispositions(folder: Path) -> None:
    code = "import signal; print([n for n in (1, 2, 13, 15, 17) if signal.getsignal(n) == signal.SIG_IGN])"
    run_spec(step.StepSpec((sys.executable, "-c", code), {}, 5.0, 1.0, folder / "stop"), folder)
    assert (folder / step.STDOUT).read_text() == "[13]\n"  # Python itself ignores SIGPIPE


def test_two_supervisors_run_the_step_once(folder: Path) -> None:
    code = "import time; open('ran', 'a').write('x'); time.sleep(0.2)"
    step.write_spec(folder, python_step(code, folder))
    command = [sys.executable, "-m", "agent.edges.supervisor.supervise", str(folder)]
    supervisors = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(2)]
    assert [(p.communicate()[0], p.returncode) for p in supervisors] == [(b"", 0), (b"", 0)]
    assert (folder / step.WORK / "ran").read_text() == "x"


def test_supervisor_after_a_resume_took_the_claim_runs_nothing(folder: Path) -> None:
    assert step.claim(folder, "resume")
    step.write_spec(folder, python_step("open('ran', 'w')", folder))
    assert subprocess.call([sys.executable, "-m", "agent.edges.supervisor.supervise", str(folder)]) == 0
    assert not (folder / step.WORK / "ran").exists() and not (folder / step.EXIT).exists()


def test_claim_is_complete_and_leaves_no_other_file(folder: Path) -> None:
    assert step.claim(folder, "resume") and not step.claim(folder, "supervisor")
    owner = step.read_claim(folder)
    assert owner is not None and owner.is_local()
    assert (owner.pid, owner.host, owner.by) == (os.getpid(), os.uname().nodename, "resume")
    assert sorted(path.name for path in folder.iterdir()) == [step.CLAIM, step.WORK]


def test_peak_memory_sums_the_tree_and_counts_shared_memory_once(folder: Path) -> None:
    code = """
import os, time
data = bytearray(b"x") * (96 << 20)
for _ in range(3):
    if os.fork() == 0:
        own = bytearray(b"y") * (32 << 20)
        time.sleep(4)
        os._exit(0)
time.sleep(4.1)
"""
    record = run_python(code, folder)
    assert record.max_rss_gib is not None
    assert 0.9 * 192 / 1024 < record.max_rss_gib < 1.4 * 192 / 1024


def test_heartbeat_and_tree_are_renewed(folder: Path) -> None:
    step.write_spec(folder, python_step("import os, time; time.sleep(0.3); os.fork(); time.sleep(60)", folder))
    supervisor = subprocess.Popen([sys.executable, "-m", "agent.edges.supervisor.supervise", str(folder)])
    wait_for((folder / step.HEARTBEAT).exists)
    first_s = (folder / step.HEARTBEAT).stat().st_mtime
    wait_for(lambda: (folder / step.HEARTBEAT).stat().st_mtime > first_s + 0.9)
    wait_for(lambda: len((step.read_child(folder) or step.Child(0, 0, ())).tree) == 2)
    supervisor.terminate()
    assert supervisor.wait(5) == 0
    assert running_below([supervisor.pid]) == []


def test_a_full_disk_cuts_the_log_and_not_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    log = CappedLog(Path("/dev/full"), 100)
    log.write(b"x" * 1000)
    log.close()
    assert "No space left on device" in capsys.readouterr().err


def test_a_disk_too_full_for_the_supervisors_own_words_cuts_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stderr", full)
        log = CappedLog(Path("/dev/full"), 100)
        log.write(b"x" * 1000)
        log.close()
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space left"):  # what it could not write is still in its buffer
            full.close()


def test_log_a_little_over_its_cap_is_whole(tmp_path: Path) -> None:
    log = CappedLog(tmp_path / "log", 10)
    for _ in range(100):
        log.write(b"0123456789abcdef")
    log.close()
    assert (tmp_path / "log").read_bytes() == b"0123456789abcdef" * 100


def test_supervisor_starts_fast_and_imports_little() -> None:
    code = "import json, sys, agent.edges.supervisor.supervise; print(json.dumps([m for m in sys.modules "
    code += "if m.split('.')[0] in "
    code += "('pydantic', 'agent', 'git', 'jinja2', 'asyncio', 'socket', 'shutil', 'tempfile')]))"
    found = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert set(json.loads(found)) == {
        "agent",
        "agent.edges",
        "agent.edges.run",
        "agent.edges.sandbox",
        "agent.edges.sandbox.walls",
        "agent.edges.supervisor",
        "agent.edges.system",
        "agent.edges.supervisor.capped_log",
        "agent.edges.supervisor.children",
        "agent.edges.supervisor.leave",
        "agent.edges.system.files",
        "agent.edges.system.processes",
        "agent.edges.run.step_folder",
        "agent.edges.supervisor.stop_signal",
        "agent.edges.supervisor.supervise",
    }


def test_worker_processes_can_share_memory_however_deep_the_workspace_lies(tmp_path: Path) -> None:
    """Sockets of multiprocessing lie in TMPDIR, and the path of one holds 107 bytes."""
    folder = tmp_path / ("deep" * 20) / ("deeper" * 15)
    (folder / step.WORK).mkdir(parents=True)
    code = """
import os, tempfile
from multiprocessing.connection import Listener
Listener(family="AF_UNIX").close()
open(os.path.join(tempfile.gettempdir(), "left"), "w").close()
print(os.environ["TMPDIR"])
"""
    record = run_python(code, folder)
    assert record.exit_code == 0, (folder / "stderr.txt").read_text()
    assert not Path((folder / "stdout.txt").read_text().strip()).exists()
