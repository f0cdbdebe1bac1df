"""Code that takes more than it was given, or does not end, is killed with all its processes and a reason."""

from __future__ import annotations

import contextlib
import os
import signal
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent.core.journal.kinds import Step
from agent.edges.run import step_folder as step
from agent.edges.run.runner import Exited, Lost, Running
from agent.edges.sandbox.choose import Sandbox
from agent.edges.sandbox.walls import Bounds
from agent.edges.system.processes import is_running
from tests.attacks.host import Scene
from tests.attacks.run_attacks import open_stage, prepare, wait

MIB = 1 / 1024  # in GiB
FREE = Bounds()
SUPERVISOR_MIB = 120
PRELUDE = """
import ctypes, os, signal, socket, sys, threading, time
def beat_for_ever():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        with open("alive", "a") as file:
            file.write(".")
        time.sleep(0.02)
def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            beat_for_ever()
        os._exit(0)
    os.wait()
    while not os.path.exists("alive"):
        time.sleep(0.01)
def dig(levels):
    place = os.open(".", os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=place)
        inner = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    return place
def fill(descriptor, mib):
    for _ in range(mib // 4):
        os.write(descriptor, b"x" * (4 << 20))
        time.sleep(0.02)
    time.sleep(30)
"""


@dataclass(frozen=True, slots=True)
class Greed:
    """Greedy code, and in `breach` the beginning of the reason. Empty if it may go on, or is ended by the clock."""

    code: str
    breach: str = ""
    bounds: Bounds = FREE
    deadline_s: float = 12.0
    timed_out: bool = False


GREEDS = {
    "memory": Greed(
        "held = [(bytearray(b'x') * (32 << 20), time.sleep(0.05)) for _ in range(24)]; time.sleep(30)",
        "memory",
        Bounds(memory_gib=128 * MIB),
    ),
    "memory in a file that none maps": Greed("fill(os.memfd_create('m'), 256)", "memory", Bounds(memory_gib=64 * MIB)),
    "disk": Greed(
        "[fill(os.open(f'f{n}', os.O_CREAT | os.O_WRONLY), 8) if n == 9 else open(f'f{n}', 'wb').write(bytes(4 << 20))"
        " for n in range(10)]",
        "disk",
        Bounds(disk_gib=24 * MIB),
    ),
    "disk by temporary files": Greed(
        "fill(os.open(os.environ['TMPDIR'] + '/f', os.O_CREAT | os.O_WRONLY), 80)", "disk", Bounds(disk_gib=24 * MIB)
    ),
    "disk by a file without a name": Greed(
        "f = os.open('f', os.O_CREAT | os.O_WRONLY); os.unlink('f'); fill(f, 80)", "disk", Bounds(disk_gib=24 * MIB)
    ),
    "disk behind a closed folder": Greed(
        "os.mkdir('d'); f = os.open('d/f', os.O_CREAT | os.O_WRONLY); os.write(f, bytes(40 << 20)); os.close(f)\n"
        "os.chmod('d', 0); time.sleep(30)",
        "disk",
        Bounds(disk_gib=24 * MIB),
    ),
    "disk by empty files": Greed(
        "[open(f'{n:05}', 'w').close() for n in range(2500)]; time.sleep(30)", "disk", Bounds(disk_gib=8 * MIB)
    ),
    "one huge file": Greed(
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\ntry: open('f', 'wb').write(bytes(16 << 20))\n"
        "except OSError: time.sleep(30)",
        "file size",
        Bounds(file_gib=8 * MIB),
    ),
    "folders without end": Greed("dig(1500); time.sleep(30)", "folders nested"),
    "fork storm": Greed(
        "while True:\n try: os.fork()\n except OSError: pass\n time.sleep(0.05)", "processes", Bounds(processes=24)
    ),
    "thread storm": Greed(
        "while True:\n try: threading.Thread(target=time.sleep, args=(30,)).start()\n"
        " except RuntimeError: time.sleep(0.1)",
        "processes",
        Bounds(processes=24),
    ),
    "processes that flee": Greed(
        # Each lives for a moment and leaves another in a session of its own.
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True:\n open('alive', 'a').write('.')\n"
        " if os.fork(): os._exit(0)\n os.setsid()\n time.sleep(0.002)",
        deadline_s=0.8,
    ),
    "a daemon after the end": Greed("daemon()"),
    "a daemon after the clock": Greed("daemon(); time.sleep(30)", deadline_s=1.0, timed_out=True),
    "a noise without end": Greed("while True: os.write(2, b'x' * 65536)", deadline_s=0.5, timed_out=True),
    "a line without end": Greed(
        "[os.write(1, b'x' * (1 << 20)) for _ in range(64)]; open('survived', 'w').close()",
    ),
    "closed streams": Greed("[os.close(n) for n in (0, 1, 2)]; time.sleep(0.3); open('survived', 'w').close()"),
    "folders without end in TMPDIR": Greed("os.chdir(os.environ['TMPDIR']); dig(1500)", "folders nested"),
}


# Where no namespace ends as one; all the others end in the same way on each rung.
MANY = ("fork storm", "processes that flee", "a daemon after the end", "a daemon after the clock")


def start(scene: Scene, sandbox: Sandbox, number: int, greed: Greed) -> Path:
    code = PRELUDE + textwrap.dedent(greed.code) + "\n"
    place, spec = prepare(scene, sandbox, Step.RUN, f"run_3.{number}", {"experiment.py": code})
    spec = replace(spec, deadline_s=greed.deadline_s, bounds=greed.bounds, log_cap_mib=0.25)
    scene.runner.start(place, spec)
    return place


def supervisor_mib(place: Path) -> float:
    """The most that it ever held."""
    claim = step.read_claim(place)
    assert claim is not None
    try:
        lines = Path(f"/proc/{claim.pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return max((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), default=0.0)


@pytest.mark.parametrize(
    ("rung", "player", "names"),
    [
        ("bwrap", "user", tuple(GREEDS)),
        # Quick for Landlock: the next test, and test_attacks.py.
        pytest.param("landlock", "root", MANY, marks=pytest.mark.slow),
        pytest.param("bwrap", "root", tuple(GREEDS), marks=pytest.mark.slow),
        pytest.param("landlock", "root", tuple(GREEDS), marks=pytest.mark.slow),
        pytest.param("landlock", "user", tuple(GREEDS), marks=pytest.mark.slow),
    ],
)
def test_greed_is_ended_and_named(rung: str, player: str, names: Sequence[str]) -> None:
    """All at once, for they wait more than they work."""
    with open_stage(rung, player) as stage:
        if isinstance(stage, str):
            pytest.skip(stage)
        scene, sandbox = stage
        places = {name: start(scene, sandbox, n, GREEDS[name]) for n, name in enumerate(names, 1)}
        peak = 0.0
        while any(isinstance(scene.runner.poll(place), Running) for place in places.values()):
            peak = max(peak, *map(supervisor_mib, places.values()))
            time.sleep(0.1)
        wrong = {}
        for name, place in places.items():
            ended = wait(scene, place)
            assert isinstance(ended, Exited), (name, ended)
            problem = judge(GREEDS[name], place, ended)
            if problem:
                wrong[name] = f"{problem}: {ended.record} {(place / step.STDERR).read_text()[-300:]}"
        assert wrong == {}
        assert peak < SUPERVISOR_MIB
        assert survivors(list(places.values())) == []
        left = [place for place in Path("/tmp").glob("sci-*/d") if owner(place) == scene.player.uid]
        deadline = time.monotonic() + 60  # steps of tests beside this one end within that
        while left := [place for place in left if place.exists()]:
            assert time.monotonic() < deadline, left
            time.sleep(0.2)


def owner(place: Path) -> int | None:
    """Uid of the owner. None if the folder has just gone."""
    with contextlib.suppress(FileNotFoundError):
        return place.stat().st_uid
    return None


def judge(greed: Greed, place: Path, ended: Exited) -> str:
    """Faults of its end."""
    record = ended.record
    if not record.breach.startswith(greed.breach) or bool(record.breach) != bool(greed.breach):
        return f"the reason is {record.breach!r}"
    if greed.timed_out != record.timed_out and not greed.breach and "flee" not in greed.code:
        return "the clock"
    if "survived" in greed.code and not (place / "work" / "survived").exists():
        return "it did not go on"
    sizes = [(place / name).stat().st_size for name in (step.LOG, step.STDOUT, step.STDERR)]
    return "the log is too large" if max(sizes) > 400_000 else ""


def survivors(places: list[Path]) -> list[str]:
    """Steps whose processes still write."""
    before = {place: size_of(place / "work" / "alive") for place in places}
    time.sleep(0.2)
    return [place.name for place in places if size_of(place / "work" / "alive") != before[place]]


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


# Quick for "off": the runner ends what is left as it does on Landlock's rung.
@pytest.mark.parametrize("rung", ["bwrap", "landlock", pytest.param("off", marks=pytest.mark.slow)])
def test_nothing_goes_on_without_its_supervisor(rung: str) -> None:
    """bwrap's namespace dies with it. On other rungs the runner ends the rest after it finds the supervisor dead."""
    with open_stage(rung, "user") as stage:
        if isinstance(stage, str):
            pytest.skip(stage)
        scene, sandbox = stage
        place = start(scene, sandbox, 1, Greed("daemon(); beat_for_ever()"))
        claim = step.read_claim(place)
        assert claim is not None
        give_up_s = time.monotonic() + 10
        while len(getattr(step.read_child(place), "tree", ())) < (4 if rung == "bwrap" else 2):
            assert time.monotonic() < give_up_s
            time.sleep(0.02)
        os.kill(claim.pid, signal.SIGKILL)
        if rung != "bwrap":
            assert isinstance(wait(scene, place), Lost)
            scene.runner.kill(place)
        time.sleep(0.1)
        assert survivors([place]) == []
        child = step.read_child(place)
        assert child is not None and not any(map(is_running, child.tree))


# Under bwrap it does not even see its supervisor.
@pytest.mark.parametrize(
    "rung", ["landlock", *(pytest.param(rung, marks=pytest.mark.slow) for rung in ("bwrap", "off"))]
)
def test_a_run_cannot_kill_its_supervisor(rung: str) -> None:
    code = """
    try: os.kill(os.getppid(), signal.SIGKILL)
    except OSError: pass
    time.sleep(0.2)
    print("it lives")
    """
    with open_stage(rung, "user") as stage:
        if isinstance(stage, str):
            pytest.skip(stage)
        scene, sandbox = stage
        place = start(scene, sandbox, 1, Greed(code))
        ended = wait(scene, place)
        assert isinstance(ended, Lost if rung == "off" else Exited), ended
        scene.runner.kill(place)
        if isinstance(ended, Exited):
            assert ended.record.exit_code == 0 and (place / step.STDOUT).read_text() == "it lives\n"
