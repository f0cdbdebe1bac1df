"""Attacks on other processes: a decoy of the same user, which holds a key in its environment, memory and files."""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
SECRET_BYTES = 64


def must(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def read_environ(scene):
    return Path(f"/proc/{scene['decoy']}/environ").read_bytes().decode("utf-8", "replace")


def read_any_environ(scene):
    """Of every process that can be seen."""
    texts = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                texts.append((place / "environ").read_bytes())
            except OSError:
                continue
    found = b"\n".join(texts).decode("utf-8", "replace")
    if scene["key_name"] not in found:
        raise OSError(f"{len(texts)} could be read, none with the key")
    return found[found.index(scene["key_name"]) :][:200]


def write_first_process(scene):
    """Process 1 of the namespace runs bwrap's code: by writing it one has whatever it may do and others may not."""
    descriptor = os.open("/proc/1/mem", os.O_RDWR)
    os.close(descriptor)
    lines = Path("/proc/1/status").read_text().splitlines()
    held = [line for line in lines if line.startswith(("CapEff", "CapPrm")) and int(line.split()[1], 16)]
    bare = [line for line in lines if line.startswith(("Seccomp:", "NoNewPrivs:")) and line.split()[1] == "0"]
    if not held + bare:
        raise OSError("it may do no more than this process")
    return held + bare


def read_command_lines(scene):
    return Path(f"/proc/{scene['decoy']}/cmdline").read_bytes().decode("utf-8", "replace")


def read_memory(scene):
    descriptor = os.open(f"/proc/{scene['decoy']}/mem", os.O_RDONLY)
    return os.pread(descriptor, SECRET_BYTES, scene["secret_address"]).decode()


def read_memory_by_call(scene):
    class Vector(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    buffer = ctypes.create_string_buffer(SECRET_BYTES)
    local = Vector(ctypes.addressof(buffer), SECRET_BYTES)
    remote = Vector(scene["secret_address"], SECRET_BYTES)
    must(LIBC.process_vm_readv(scene["decoy"], ctypes.byref(local), 1, ctypes.byref(remote), 1, 0))
    return buffer.value.decode()


def trace_process(scene):
    attach, peek, detach = 16, 2, 17
    LIBC.ptrace.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    LIBC.ptrace.restype = ctypes.c_long
    must(LIBC.ptrace(attach, scene["decoy"], None, None))
    os.waitpid(scene["decoy"], 0x40000000)
    words = [LIBC.ptrace(peek, scene["decoy"], scene["secret_address"] + 8 * n, None) for n in range(8)]
    LIBC.ptrace(detach, scene["decoy"], None, None)
    return b"".join((word & (2**64 - 1)).to_bytes(8, "little") for word in words).rstrip(b"\0").decode()


def read_through_its_root(scene):
    return Path(f"/proc/{scene['decoy']}/root{scene['home']}/.ssh/id_rsa").read_text()


def read_through_its_folder(scene):
    return Path(f"/proc/{scene['decoy']}/cwd/.ssh/id_rsa").read_text()


def read_its_descriptor(scene):
    return Path(f"/proc/{scene['decoy']}/fd/{scene['secret_descriptor']}").read_text()


def take_its_descriptor(scene):
    pidfd = must(LIBC.syscall(434, scene["decoy"], 0))
    taken = must(LIBC.syscall(438, pidfd, scene["secret_descriptor"], 0))
    return os.pread(taken, 100, 0).decode()


def compare_processes(scene):
    must(LIBC.syscall(312, os.getpid(), scene["decoy"], 1, 0, 0))
    return "kcmp answered"


def signal_process(scene):
    os.kill(scene["decoy"], signal.SIGUSR1)


def signal_everybody(scene):
    """Urgent data: nobody ends by it. The decoy notes it down."""
    os.kill(-1, signal.SIGURG)


def stop_process(scene):
    os.kill(scene["decoy"], signal.SIGSTOP)


def kill_process(scene):
    os.kill(scene["second_decoy"], signal.SIGKILL)


def signal_by_descriptor(scene):
    pidfd = must(LIBC.syscall(434, scene["decoy"], 0))
    signal.pidfd_send_signal(pidfd, signal.SIGUSR2)


def limit_process(scene):
    resource.prlimit(scene["decoy"], resource.RLIMIT_MSGQUEUE, (4096, 4096))


def lower_priority(scene):
    os.setpriority(os.PRIO_PROCESS, scene["decoy"], 7)


def lower_priority_of_user(scene):
    """Of a decoy's process group, lest all of the user's are slowed down."""
    os.setpriority(os.PRIO_PGRP, scene["third_decoy"], 9)


def make_idle(scene):
    os.sched_setscheduler(scene["decoy"], os.SCHED_IDLE, os.sched_param(0))


def lower_disk_priority(scene):
    must(LIBC.syscall(251, 1, scene["decoy"], 3 << 13))


def bind_to_one_core(scene):
    os.sched_setaffinity(scene["decoy"], {min(os.sched_getaffinity(scene["decoy"]))})


def read_shared_segment(scene):
    LIBC.shmat.restype = ctypes.c_void_p
    number = must(LIBC.shmget(scene["segment"], 0, 0))
    place = LIBC.shmat(number, None, 0o10000)
    if place in (None, ctypes.c_void_p(-1).value):
        must(-1)
    return ctypes.string_at(place).decode()


def leave_shared_segment(scene):
    must(LIBC.shmget(scene["left_segment"], 4096, 0o1600))


def leave_message_queue(scene):
    must(LIBC.msgget(scene["left_segment"], 0o1600))


def relaunch_supervisor(scene):
    """In a step of its own making, outside."""
    env = {"PYTHONPATH": scene["package"], "PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "agent.edges.supervisor.supervise", scene["decoy_step"]]
    done = subprocess.run(command, env=env, capture_output=True, timeout=3, text=True)
    if done.returncode != 0:
        raise OSError(done.stderr.strip().splitlines()[-1:])


def read_evaluator_environ(scene):
    return Path(f"/proc/{os.getppid()}/environ").read_text() + Path(f"/proc/{scene['evaluator']}/environ").read_text()


def read_evaluator_file(scene):
    return Path(scene["evaluator_work"], "hidden.txt").read_text()


def signal_evaluator(scene):
    os.kill(scene["evaluator"], signal.SIGURG)


def forge_evaluation(scene):
    Path(scene["evaluator_work"], "forged").touch()


def read_supervisor(scene):
    """Its environment, by its number as this process sees its parents."""
    texts = []
    for pid in _parents():
        with contextlib.suppress(PermissionError):
            texts.append(Path(f"/proc/{pid}/environ").read_text())
    found = [text for text in texts if "PYTHONPATH=" in text and scene["package"] in text]
    if not found:
        raise OSError("no supervisor is seen")
    return found[0]


def _parents():
    pid = os.getppid()
    while pid > 1:
        yield pid
        pid = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])


def outlive_the_run(scene):
    """Leave a process in a session of its own, without a parent, that ignores signals to end."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            signal.alarm(0)
            for descriptor in range(3, 64):
                with contextlib.suppress(OSError):
                    os.close(descriptor)
            while True:
                with Path("alive").open("a") as file:
                    file.write(".")
                time.sleep(0.02)
        os._exit(0)
    os.wait()
    give_up_s = time.monotonic() + 2
    while not Path("alive").exists() and time.monotonic() < give_up_s:
        time.sleep(0.01)
    return "it was started"
