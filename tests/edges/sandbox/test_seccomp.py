"""The filter program, run by an interpreter of its instructions. In tests/attacks the kernel runs it."""

from __future__ import annotations

import errno
import struct

import pytest

from agent.edges.sandbox import seccomp
from agent.edges.sandbox.seccomp import MACHINES, Policy, assemble

ALLOW, KILL = 0x7FFF0000, 0x80000000
BWRAP = Policy(network=True)
LANDLOCK = Policy(local_sockets=False, freezes_modes=True)
AF_UNIX, AF_INET, AF_ALG, AF_VSOCK = 1, 2, 38, 40
ANSWERS = {"passes": ALLOW, "denied": 0x00050000 | errno.EPERM, "absent": 0x00050000 | errno.ENOSYS, "idle": 0x00050000}


def run(program: bytes, number: int, *arguments: int, architecture: int) -> int:
    """The answer that the kernel would give to a system call."""
    data = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, architecture, 0, *[*arguments, *[0] * 6][:6])
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("=HBBI", program, 8 * at)
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x54:
                accumulator &= value
            case 0x15 | 0x35 | 0x45:
                holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
                at += if_true if holds else if_false
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def ask(policy: Policy, number: int | None, *arguments: int, machine: str = "x86_64") -> str:
    assert number is not None
    answer = run(assemble(policy, machine), number, *arguments, architecture=MACHINES[machine][0])
    return next(word for word, value in ANSWERS.items() if value == answer)


@pytest.mark.parametrize(
    ("policy", "number", "arguments", "answer"),
    [
        (BWRAP, 0, (), "passes"),  # read
        (BWRAP, 59, (), "passes"),  # execve
        (BWRAP, 101, (), "denied"),  # ptrace
        (BWRAP, 462, (), "passes"),
        (BWRAP, 463, (), "absent"),  # younger than the table
        (BWRAP, 425, (), "absent"),  # io_uring_setup
        (BWRAP, 435, (), "absent"),  # clone3
        (BWRAP, 41, (AF_UNIX,), "passes"),
        (BWRAP, 41, (AF_INET,), "passes"),
        (BWRAP, 41, (AF_VSOCK,), "denied"),
        (BWRAP, 41, (AF_ALG,), "denied"),
        (BWRAP, 53, (AF_UNIX,), "passes"),
        (BWRAP, 53, (AF_INET,), "denied"),
        (LANDLOCK, 41, (AF_UNIX,), "denied"),
        (LANDLOCK, 41, (AF_INET,), "denied"),
        (LANDLOCK, 53, (AF_UNIX,), "passes"),
        (Policy(network=True, local_sockets=False), 41, (AF_INET,), "passes"),
        (BWRAP, 56, (0x11,), "passes"),  # clone: fork
        (BWRAP, 56, (0x11 | 0x10000000,), "denied"),  # with CLONE_NEWUSER
        (Policy(network=True, namespaces=True), 56, (0x10000000,), "passes"),
        (BWRAP, 272, (0,), "denied"),  # unshare
        (Policy(network=True, namespaces=True), 272, (0,), "passes"),
        (Policy(network=True, namespaces=True), 308, (0,), "denied"),  # setns
        (BWRAP, 16, (0, 0x5401), "passes"),  # ioctl TCGETS
        (BWRAP, 16, (0, 0x5412), "denied"),  # TIOCSTI
        (BWRAP, 16, (0, 0xFFFFFFFF00005412), "denied"),  # the kernel looks at the low half alone
        (BWRAP, 133, (0, 0o010600), "passes"),  # mknod: a FIFO
        (BWRAP, 133, (0, 0o060600), "denied"),  # a block device
        (BWRAP, 259, (0, 0, 0o020600), "denied"),  # mknodat: a character device
        (BWRAP, 90, (), "passes"),  # chmod
        (BWRAP, 90, (0, 0o4755), "denied"),  # setuid
        (BWRAP, 91, (0, 0o2775), "idle"),  # a copy of a group's folder
        (BWRAP, 85, (0, 0o2755), "denied"),  # creat
        (LANDLOCK, 90, (), "idle"),
        (BWRAP, 76, (), "passes"),  # truncate
        (Policy(keeps_length=True), 76, (), "denied"),
    ],
)
def test_what_the_filter_answers(policy: Policy, number: int, arguments: tuple[int, ...], answer: str) -> None:
    assert ask(policy, number, *arguments) == answer


def test_another_architectures_calls_end_the_process() -> None:
    i386 = 0x40000003
    assert run(assemble(BWRAP, "x86_64"), 26, architecture=i386) == KILL
    assert run(assemble(BWRAP, "aarch64"), 117, architecture=MACHINES["x86_64"][0]) == KILL


def test_the_second_table_of_numbers_is_no_way_past() -> None:
    assert ask(BWRAP, 0x40000000 | 101) == "absent"


def test_arm_has_its_own_numbers() -> None:
    assert ask(BWRAP, 117, machine="aarch64") == "denied"  # ptrace
    assert ask(BWRAP, 101, machine="aarch64") == "passes"  # nanosleep
    assert ask(BWRAP, 198, AF_VSOCK, machine="aarch64") == "denied"
    with pytest.raises(KeyError):
        assemble(BWRAP, "riscv64")


def test_the_tables_name_no_number_twice() -> None:
    tables = (seccomp._ESCAPES, seccomp._NAMESPACES, seccomp._ABSENT, seccomp._MODES)
    for column in (0, 1):
        numbers = [row[column] for table in tables for row in table.values() if row[column] is not None]
        assert len(numbers) == len(set(numbers)) > 40
