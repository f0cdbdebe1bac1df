"""Filter of system calls that steps never need and sandbox escapes use: a program that the kernel runs (seccomp BPF).

Assembled here because the bindings to libseccomp need that library on the machine that runs steps. Calls that are not
named pass, except for those younger than the table: they fail as on an older kernel. Source: Linux,
Documentation/userspace-api.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["MACHINES", "Policy", "assemble"]

AF_UNIX: Final = 1
_NETWORK: Final = (2, 10, 16)  # AF_INET, AF_INET6, AF_NETLINK
_LAST_KNOWN: Final = 462  # mseal, Linux 6.10

_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _HAS, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_X32_BIT = 0x40000000
_NEW_NAMESPACES = 0x7E020000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_S_IFMT, _S_IFCHR, _S_IFBLK = 0xF000, 0x2000, 0x6000

MACHINES: Final = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}  # audit architecture, column of the table

# Numbers on x86_64 and aarch64. None: the call does not exist there.
_ESCAPES: Final[dict[str, tuple[int | None, int | None]]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    # Memory that belongs to no process, and outlives them without a namespace for it.
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semctl": (66, 191),
    "msgget": (68, 186),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "ioperm": (173, None),
    "iopl": (172, None),
    "vhangup": (153, 58),
    "lookup_dcookie": (212, 18),
    "fanotify_init": (300, 262),
    "setns": (308, 268),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
}
_NAMESPACES: Final[dict[str, tuple[int | None, int | None]]] = {
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "unshare": (272, 97),
    "chroot": (161, 51),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
}
# To be answered as on a kernel without them, so that callers fall back; the filter cannot look into clone3's arguments.
_ABSENT: Final[dict[str, tuple[int | None, int | None]]] = {
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "clone3": (435, 435),
}
_MODES: Final[dict[str, tuple[int | None, int | None]]] = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
}
# Calls that reach a process by its number, 0 being the caller itself: their own numbers, the position of that argument,
# and the value of the first argument that means all processes of a user, if it has one.
_BY_NUMBER: Final[tuple[tuple[tuple[int, int], int, int | None], ...]] = (
    ((302, 261), 0, None),  # prlimit64
    ((141, 140), 1, 2),  # setpriority
    ((251, 30), 1, 3),  # ioprio_set
    ((144, 119), 0, None),  # sched_setscheduler
    ((142, 118), 0, None),  # sched_setparam
    ((314, 274), 0, None),  # sched_setattr
)
_INOTIFY_ADD_WATCH: Final = (254, 27)
_FILE_FLAGS: Final = (0x40086602, 0x401C5820, 0x40087602, 0x40806685)  # chattr's, and verity
# What gives a file its mode, with that argument's position and that of the flags without which it means nothing:
# no file may run with the rights of whoever made it.
_GIVES_MODE: Final[tuple[tuple[tuple[int | None, int | None], int, int | None], ...]] = (
    ((90, None), 1, None),  # chmod
    ((91, 52), 1, None),  # fchmod
    ((268, 53), 2, None),  # fchmodat
    ((452, 452), 2, None),  # fchmodat2
    ((2, None), 2, 1),  # open
    ((257, 56), 3, 2),  # openat
    ((85, None), 1, None),  # creat
)
_MAKES_FILE: Final = 0o20000100  # O_CREAT, O_TMPFILE
_OPENAT2: Final = (437, 437)  # its mode lies behind a pointer
_SET_UID, _SET_GID = 0o4000, 0o2000
_TRUNCATE: Final = (76, 45)
_SOCKET, _SOCKETPAIR = (41, 198), (53, 199)
_CLONE, _IOCTL = (56, 220), (16, 29)
_MKNOD, _MKNODAT = (133, None), (259, 33)

_Instruction = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Policy:
    """Calls that the filter leaves open, and those that it covers because the walls beside it do not."""

    # Addresses of the internet.
    network: bool = False
    # AF_UNIX beyond socketpair.
    local_sockets: bool = True
    # A sandbox may be made inside.
    namespaces: bool = False
    # chmod, chown and utime seem to work and do nothing.
    freezes_modes: bool = False
    # truncate by name fails.
    keeps_length: bool = False
    # The step sees the host's processes and folders, so the filter refuses calls that change or watch them.
    crowded: bool = False


def assemble(policy: Policy, machine: str) -> bytes:
    """The program, 8 bytes an instruction, for `machine` as uname names it.

    Raises: KeyError for a machine that MACHINES lacks.
    """
    architecture, column = MACHINES[machine]
    lines: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    if machine == "x86_64":
        lines += _when(_AT_LEAST, _X32_BIT, _fail(errno.ENOSYS))
    lines += _when(_AT_LEAST, _LAST_KNOWN + 1, _fail(errno.ENOSYS))
    lines += [*_fixed_answers(policy, column), *_socket_rules(policy, column)]
    if not policy.namespaces:
        lines += _on(_CLONE[column], [_argument(0), *_when(_HAS, _NEW_NAMESPACES, _fail(errno.EPERM)), *_pass()])
    refused = (_TIOCSTI, _TIOCLINUX, *(_FILE_FLAGS if policy.crowded else ()))
    lines += _mode_rules(column)
    lines += _on(_OPENAT2[column], _fail(errno.ENOSYS))
    lines += _on(_IOCTL[column], [_argument(1), *_unless_one_of(refused, errno.EPERM)])
    if policy.crowded:
        lines += _on(_INOTIFY_ADD_WATCH[column], _fail(errno.EPERM))
        for numbers, position, everybody in _BY_NUMBER:
            lines += _on(numbers[column], _itself_alone(position, everybody))
    for makers, position in ((_MKNOD, 1), (_MKNODAT, 2)):  # a mode too, but of a file that is empty
        kind = [_argument(position), (_AND, 0, 0, _S_IFMT), *_unless_one_of((_S_IFCHR, _S_IFBLK), errno.EPERM)]
        lines += _on(makers[column], kind)
    lines += _pass()
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _fixed_answers(policy: Policy, column: int) -> list[_Instruction]:
    """Calls that are refused, or do nothing, with any arguments."""
    denied = _ESCAPES | ({} if policy.namespaces else _NAMESPACES)
    answers = [(number, errno.EPERM) for number in denied.values()]
    answers += [(number, errno.ENOSYS) for number in _ABSENT.values()]
    answers += [(number, 0) for number in _MODES.values() if policy.freezes_modes]
    answers += [(_TRUNCATE, errno.EPERM)] if policy.keeps_length else []
    return [line for numbers, code in answers for line in _on(numbers[column], _fail(code))]


def _mode_rules(column: int) -> list[_Instruction]:
    """No file becomes one that runs as its owner."""
    lines: list[_Instruction] = []
    for numbers, position, flags in _GIVES_MODE:
        # A copy of a group's folder takes its mode along: there the call does nothing, and the copy goes on.
        of_group = 0 if numbers in _MODES.values() else errno.EPERM
        by_id = [*_when(_HAS, _SET_UID, _fail(errno.EPERM)), *_when(_HAS, _SET_GID, _fail(of_group))]
        refused = [_argument(position), *by_id, *_pass()]
        if flags is not None:
            refused = [_argument(flags), *_when(_HAS, _MAKES_FILE, refused), *_pass()]
        lines += _on(numbers[column], refused)
    return lines


def _socket_rules(policy: Policy, column: int) -> list[_Instruction]:
    """AF_VSOCK, AF_ALG, AF_PACKET and all the others that are not named cannot be opened."""
    families = (*([AF_UNIX] if policy.local_sockets else []), *(_NETWORK if policy.network else ()))
    opened = [_argument(0), *_only(families, errno.EPERM)]
    paired = [_argument(0), *_only((AF_UNIX,), errno.EPERM)]
    return [*_on(_SOCKET[column], opened), *_on(_SOCKETPAIR[column], paired)]


def _itself_alone(position: int, everybody: int | None) -> list[_Instruction]:
    whom = [] if everybody is None else [_argument(0), *_when(_EQUAL, everybody, _fail(errno.EPERM))]
    return [*whom, _argument(position), *_only((0,), errno.EPERM)]


def _on(number: int | None, body: Sequence[_Instruction]) -> list[_Instruction]:
    return [] if number is None else _when(_EQUAL, number, body)


def _when(test: int, value: int, body: Sequence[_Instruction]) -> list[_Instruction]:
    """`body`, which ends with a return, if the test on the accumulator holds."""
    return [(test, 0, len(body), value), *body]


def _only(values: Sequence[int], code: int) -> list[_Instruction]:
    return [line for value in values for line in _when(_EQUAL, value, _pass())] + _fail(code)


def _unless_one_of(values: Sequence[int], code: int) -> list[_Instruction]:
    return [line for value in values for line in _when(_EQUAL, value, _fail(code))] + _pass()


def _argument(position: int) -> _Instruction:
    """The low half of an argument: those looked at are no wider."""
    return (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * position)


def _pass() -> list[_Instruction]:
    return [(_RETURN, 0, 0, _ALLOW)]


def _fail(code: int) -> list[_Instruction]:
    """Fail with the error. 0 seems to work and does nothing."""
    return [(_RETURN, 0, 0, _ERRNO | code)]
