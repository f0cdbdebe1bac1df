"""Runs a command and, if whoever asked for it dies, ends it with all that it started. Started by the file's name.

python -I -S tied.py LIFE FAILURE COMMAND...

LIFE: a pipe that is at its end once the caller is dead. FAILURE: a pipe that takes the number of the error if the
command cannot be started. Other descriptors that it is given stay open until nothing of the command is left. Standard
library alone.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import sys

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_ROUND_S = 0.02
_ROUNDS = 1500


def main(life: int, failure: int, command: list[str]) -> int:
    """Exit as the command does."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what its own parent left becomes our child
    waking, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):  # a request to end is the command's, which is in the same group
        signal.signal(number, lambda _number, _frame: None)
    own = os.getpid()
    if (child := os.fork()) == 0:
        _become(libc, own, failure, command)
    os.close(failure)
    while True:
        ready, _, _ = select.select([life, waking], [], [])
        if life in ready:
            _end_all(own)
            return 1
        os.read(waking, 1 << 10)
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                return os.waitstatus_to_exitcode(ended[1])


def _become(libc: ctypes.CDLL, parent: int, failure: int, command: list[str]) -> None:
    """Become the command, which dies with this process."""
    try:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        os.closerange(3, failure)
        os.set_inheritable(failure, False)
        os.closerange(failure + 1, os.sysconf("SC_OPEN_MAX"))
        # The environment as it was given: an interpreter adds to its own.
        with open("/proc/self/environ", "rb") as file:  # noqa: PTH123 - standard library that loads at once
            pairs = [pair.partition(b"=") for pair in file.read().split(b"\0") if pair]
        os.execvpe(command[0], command, {name: value for name, _, value in pairs})
    except OSError as error:
        os.write(failure, str(error.errno).encode())
    finally:
        os._exit(127)


def _end_all(own: int) -> None:
    """Kill what is in our group or below us until nothing is left, or what is left cannot be killed."""
    for _ in range(_ROUNDS):
        others = [pid for pid in _members(own) if pid != own]
        if not others:
            return
        for pid in others:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        select.select([], [], [], _ROUND_S)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            continue


def _members(own: int) -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - standard library that loads at once
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                state, parent, group = file.read().rpartition(b")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if (int(parent) == own or int(group) == own) and state not in (b"Z", b"X"):
            found.append(int(name))
    return found


if __name__ == "__main__":
    code = main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the command left one, if any
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)
