"""Landlock and seccomp around one process: a supervisor enters them if bwrap does not work, and an evaluator puts
them around code of the run that it serves:

    python -I -S landlock.py PLAN.json [--write FOLDER ...] -- COMMAND...

The plan lists the paths that may be read and written, and holds the filter of system calls. Standard library alone,
any Python from 3.8, since it also runs under an experiment's own interpreter. Source: Linux,
Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import stat
import struct
import sys

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEVICE = 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_MAKE_DEVICES = 1 << 6 | 1 << 11
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_NEWEST = {1: 13, 2: 14, 3: 15, 4: 15}  # how many file rights an ABI knows; later ones 16
_TCP = 3
_SCOPES = 3  # abstract unix sockets, signals

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF, _CAPSET = 444, 445, 446, {"x86_64": 126, "aarch64": 91}
_PATH_BENEATH = 1
_O_PATH = 0o10000000
_PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 22, 24, 38, 47
_CAPABILITIES = 64

_LIBC = ctypes.CDLL(None, use_errno=True)


class CannotConfine(Exception):
    """The kernel refused a part of it, so the process must not go on."""


def landlock_abi() -> int:
    """Version of the kernel's Landlock. 0 if it has none, or it is switched off."""
    return max(0, int(_LIBC.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(1))))


def confine(plan: dict) -> None:  # type: ignore[type-arg]
    """Shut in this process and all that it starts, for ever.

    plan: lists of paths to read and to write, of which absent ones count for nothing, and of devices. network: whether
    it is open. filter: the seccomp program in base64.

    Raises: CannotConfine.
    """
    _check(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _drop_capabilities()
    _restrict_files(plan)
    program = base64.b64decode(plan["filter"])
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    _check(_LIBC.prctl(_PR_SET_SECCOMP, 2, ctypes.c_char_p(head), 0, 0), "seccomp")


def _drop_capabilities() -> None:
    """Drop all capabilities, so that root cannot read other processes' memory, make devices or ignore permissions."""
    _LIBC.prctl(_PR_CAP_AMBIENT, 4, 0, 0, 0)
    for number in range(_CAPABILITIES):
        _LIBC.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)  # fails for whoever has none to drop
    header = struct.pack("=Ii", 0x20080522, 0)
    number = _CAPSET[os.uname().machine]
    _check(_LIBC.syscall(number, ctypes.c_char_p(header), ctypes.c_char_p(b"\0" * 24)), "capset")


def _restrict_files(plan: dict) -> None:  # type: ignore[type-arg]
    abi = landlock_abi()
    if not abi:
        raise CannotConfine("this kernel has no Landlock")
    handled = (1 << _NEWEST.get(abi, 16)) - 1
    tcp = 0 if plan["network"] or abi < 4 else _TCP
    attributes = struct.pack("=QQQ", handled, tcp, _SCOPES if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    rules = _LIBC.syscall(_CREATE_RULESET, ctypes.c_char_p(attributes), ctypes.c_size_t(size), ctypes.c_uint(0))
    _check(rules, "landlock_create_ruleset")
    writing = handled & ~_MAKE_DEVICES & ~_IOCTL_DEVICE
    for paths, rights in ((plan["read"], _READ), (plan["write"], writing), (plan["devices"], _FILE_RIGHTS)):
        for path in paths:
            _allow(rules, path, rights & handled)
    _check(_LIBC.syscall(_RESTRICT_SELF, rules, ctypes.c_uint(0)), "landlock_restrict_self")
    os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, _O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _FILE_RIGHTS
        rule = struct.pack("=Qi", rights, descriptor)
        added = _LIBC.syscall(_ADD_RULE, rules, ctypes.c_int(_PATH_BENEATH), ctypes.c_char_p(rule), ctypes.c_uint(0))
        _check(added, f"landlock_add_rule {path}")
    finally:
        os.close(descriptor)


def _check(result: int, what: str) -> None:
    if result < 0:
        raise CannotConfine(f"{what}: {os.strerror(ctypes.get_errno())}")


def main(arguments: list[str]) -> int:
    """Enter the plan's sandbox, with more folders to write to, and become the command."""
    with open(arguments[0], encoding="utf-8") as file:  # noqa: PTH123 - pathlib takes long to import
        plan = json.load(file)
    rest = arguments[1:]
    while rest[0] == "--write":
        plan["write"].append(rest[1])
        rest = rest[2:]
    command = rest[1:]
    if plan["nested"]:  # a kernel without Landlock: the same walls by bwrap
        binds = [part for path in plan["write"] for part in ("--bind", path, path)]
        sealed = [word for path in ("/dev", "/") for word in ("--remount-ro", path)]
        rules = os.memfd_create("seccomp", 0)
        os.write(rules, base64.b64decode(plan["filter"]))
        os.lseek(rules, 0, os.SEEK_SET)
        command = [*plan["nested"], *binds, "--chdir", ".", *sealed, "--seccomp", str(rules), "--", *command]
    else:
        confine(plan)
    os.execv(command[0], command)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (CannotConfine, OSError) as problem:
        print(f"landlock.py: {problem}", file=sys.stderr)
        sys.exit(126)
