"""The host of an attack: a workspace, a home, processes with keys and services, and the changes made to them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import agent
from agent.core.inputs.idea import Idea
from agent.core.journal.events import Launched
from agent.edges.run import step_folder as step
from agent.edges.run.local_runner import LocalRunner
from agent.edges.system.deep_folders import remove_tree
from agent.edges.template.data import Prepared
from agent.edges.template.frozen import freeze_template
from agent.edges.template.load import Template, load_template
from agent.edges.workspace.layout import Workspace, create_batch, template_store
from tests.attacks.services import SECRETS, open_services
from tests.paths import QUADRATIC

__all__ = ["Player", "Scene", "find_player", "open_scene"]

UNUSED_UID = 65534
KEY_NAME = "DECOY_API_KEY"

_DECOY = """
import ctypes, os, signal, sys, time
secret, held, signals = sys.argv[1:4]
buffer = ctypes.create_string_buffer(open(secret).read().encode(), 64)
descriptor = os.open(held, os.O_RDONLY)
def note(number, frame):
    with open(signals, "a") as file:
        file.write(f"{number} ")
for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGURG):
    signal.signal(number, note)
print(ctypes.addressof(buffer), descriptor, flush=True)
while True:
    time.sleep(60)
"""
_BECOME = """#!{python} -IS
import os, sys
os.environ |= {{"PYTHONPATH": {package!r}, "PYTHONDONTWRITEBYTECODE": "1"}}
os.setgroups([])
os.setgid({uid})
os.setuid({uid})
os.execv({python!r}, [{python!r}, *sys.argv[1:]])
"""


@dataclass(frozen=True, slots=True)
class Player:
    """Who runs the steps: `python` is an interpreter that this user can reach."""

    name: str
    uid: int
    python: Path


def find_player(name: str) -> Player | str:
    """The user `root` or an ordinary `user`, or else the reason why this machine has none."""
    if name == "root":
        return Player(name, 0, Path(sys.executable).resolve()) if os.getuid() == 0 else "needs root"
    if os.getuid() != 0:
        return Player(name, os.getuid(), Path(sys.executable).resolve())
    for python in dict.fromkeys((Path(sys.executable).resolve(), Path("/usr/bin/python3"))):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(
                [python, "-IS", "-c", "import ctypes, sys; sys.exit(sys.version_info < (3, 11))"],
                user=UNUSED_UID, group=UNUSED_UID, extra_groups=(), check=True, capture_output=True, cwd="/",
            )  # fmt: skip
            return Player(name, UNUSED_UID, python)
    return "no interpreter that another user can reach"


@dataclass(slots=True)
class Scene:
    """The files, processes and services of the host."""

    # Holds all of it.
    folder: Path
    # The user who runs the steps.
    player: Player
    # The frozen template of both workspaces.
    template: Template
    # The workspace whose step attacks.
    workspace: Workspace
    # Another workspace of the same batch.
    other: Workspace
    # Starts steps as the player.
    runner: LocalRunner
    # The experiment's environment.
    venv: Path
    # Content of scene.json, which attacks read.
    facts: dict[str, Any] = field(default_factory=dict)
    # Words that arrived at the services.
    heard: set[str] = field(default_factory=set)
    # Processes of the same user, which attacks may read or kill.
    decoys: list[subprocess.Popen[str]] = field(default_factory=list)
    # A description of every file before the step, by its path below `folder`.
    before: dict[str, str] = field(default_factory=dict)
    # Files that differ after the step.
    changed: frozenset[str] = frozenset()
    # Modes of the machine's own files before the step.
    modes: dict[Path, int] = field(default_factory=dict)
    # CPUs of the first decoy before the step.
    affinity: set[int] = field(default_factory=set)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def prepared(self) -> Prepared:
        data = self.folder / "data"
        return Prepared(data / "training", data / "evaluation", bytes=0, made=False, seconds=0.0)

    def own(self, *paths: Path) -> None:
        """Give all files of the scene, or those below `paths`, to the player."""
        for top in paths or (self.folder,):
            for place, folders, files in os.walk(top):
                for name in (".", *folders, *files):
                    os.lchown(Path(place, name), self.player.uid, self.player.uid)

    def take_stock(self) -> dict[str, str]:
        """A description of every file outside of the steps' own folders."""
        found = {}
        for place, folders, files in os.walk(self.folder):
            if Path(place) == self.workspace.attempts:
                folders.clear()
            for name in (*folders, *files):
                path = Path(place, name)
                found[str(path.relative_to(self.folder))] = _describe(path)
        return found

    def remember(self) -> None:
        """Keep the state of the host before the step."""
        self.before = self.take_stock()
        self.modes = {path: path.stat().st_mode for path in (Path("/dev/null"), Path(self.facts["bwrap"]))}

    def restore_modes(self) -> None:
        """Restore the modes of the machine's own files."""
        for path, mode in self.modes.items():
            if path.stat().st_mode != mode:
                path.chmod(stat.S_IMODE(mode))

    def compare(self) -> None:
        """Find the files that are not as they were before the step."""
        now = self.take_stock()
        names = self.before.keys() | now.keys()
        self.changed = frozenset(name for name in names if self.before.get(name) != now.get(name))


def _describe(path: Path) -> str:
    status = path.lstat()
    told = [stat.filemode(status.st_mode), str(status.st_uid), str(status.st_gid), str(status.st_nlink)]
    if path.is_symlink():
        return " ".join([*told, str(path.readlink())])
    if path.is_file():
        told += [hashlib.sha256(path.read_bytes()).hexdigest(), str(status.st_mtime_ns), str(_flags(path))]
        told += [f"{name}={os.getxattr(path, name)!r}" for name in os.listxattr(path)]
    return " ".join(told)


def _flags(path: Path) -> int:
    flags = bytearray(8)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        fcntl.ioctl(descriptor, 0x80086601, flags)
    except OSError:
        return 0
    finally:
        os.close(descriptor)
    return flags[0] & 0x40


@contextlib.contextmanager
def _alone(on_machine: bool) -> Iterator[None]:
    """Run apart from other tests on this machine if the block may change modes of the machine's own files."""
    with Path(tempfile.gettempdir(), f"attacks-{os.getuid()}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if on_machine else fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def open_scene(player: Player, rung: str) -> Iterator[Scene]:
    """A scene of its own, gone afterwards with its processes."""
    folder = Path(tempfile.mkdtemp(prefix="attacks-"))
    folder.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_alone(rung == "off" and player.uid == 0))
        stack.callback(remove_tree, folder)
        scene = _build(folder, player)
        stack.callback(_end, scene)
        _start_decoys(scene)
        stack.enter_context(open_services(scene))
        scene.facts |= {"rung": rung}
        yield scene


def _build(folder: Path, player: Player) -> Scene:
    source = folder / "source"
    shutil.copytree(QUADRATIC, source)
    for name in ("second.py", "third.py", "fourth.py", "package/__init__.py"):
        (source / "sealed" / name).parent.mkdir(exist_ok=True)
        (source / "sealed" / name).write_text("VALUE = 1\n")
    shutil.copyfile(Path(__file__).parent / "evaluator.py", source / "sealed" / "evaluate.py")
    template = load_template(freeze_template(source, template_store(folder / "workspaces")))
    ideas = [Idea(Name=name, Title=f"Title of {name}", Experiment="E") for name in ("momentum", "other")]
    workspace, other = create_batch(folder / "workspaces", "batch", ideas, template, Launched())
    package = Path(agent.__file__).parent.parent
    runner = LocalRunner()
    if player.uid != os.getuid():
        package = folder / "package"
        shutil.copytree(Path(agent.__file__).parent, package / "agent")
        program = folder / "python"
        program.write_text(_BECOME.format(python=str(player.python), package=str(package), uid=player.uid))
        program.chmod(0o755)
        runner = LocalRunner(python=program)
    venv = folder / "venv"
    packages = venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    for place in (venv / "bin", packages):
        place.mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text(f"home = {player.python.parent}\ninclude-system-site-packages = false\n")
    (venv / "bin" / "python").symlink_to(player.python)
    scene = Scene(folder, player, template, workspace, other, runner, venv)
    _furnish(scene)
    scene.facts |= {
        "package": str(package),
        "site_packages": str(packages),
        "user_packages": str(scene.home / ".local" / packages.relative_to(venv)),
        "compiled": f"evaluate.{sys.implementation.cache_tag}.pyc",
        "template": str(template.folder),
        "python": str(venv / "bin" / "python"),
    }
    return scene


def _furnish(scene: Scene) -> None:
    """Everything that an attack is after."""
    folder, workspace = scene.folder, scene.workspace
    texts = {
        "home/.ssh/id_rsa": SECRETS["key"],
        "home/.ssh/authorized_keys": "",
        "data/training/train.txt": "1 2 3",
        "data/evaluation/answers.txt": SECRETS["answers"],
        "secrets/memory": SECRETS["memory"],
        "secrets/held": SECRETS["held"],
        "decoy_template/template.toml": "",
    }
    names = ("write", "truncate", "chmod", "chown", "utime", "setxattr", "flags", "rename", "unlink", "link")
    texts |= {f"victims/{name}": "mine\n" for name in (*names, "symlinked", "moved", "attribute")}
    inside = {
        ".git/description": SECRETS["git"],
        ".agent/blobs/secret": SECRETS["blobs"],
        ".agent/holder.json": SECRETS["holder"],
        ".agent/inbox/told": SECRETS["inbox"],
        ".git/hooks/README": "",
    }
    for run in (1, 2):
        inside |= {f"run_{run}/{name}": "{}" for name in ("final_info.json", "weights.bin", "linked.bin")}
    paths = {folder / name: text for name, text in texts.items()}
    paths |= {workspace.path / name: text for name, text in inside.items()}
    paths[scene.other.path / "secret.txt"] = SECRETS["other"]
    for path, text in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in (folder / "services", folder / "mountpoint"):
        path.mkdir()
    with contextlib.suppress(OSError):
        os.setxattr(folder / "victims" / "attribute", "user.secret", SECRETS["attribute"].encode())
    decoy = folder / "decoy_step"
    (decoy / step.WORK).mkdir(parents=True)
    step.write_spec(decoy, step.StepSpec(("/bin/true",), {"PATH": "/bin"}, 5.0, 1.0, decoy / "stop"))
    program = folder / "data" / "training" / "identity"
    shutil.copyfile("/usr/bin/id", program)
    scene.own()
    program.chmod(0o755)
    if os.getuid() == 0:
        os.chown(program, 0, 0)
        program.chmod(0o4755)
    disk = Path("/").stat().st_dev
    disks = [path for name in ("vda", "sda", "nvme0n1") if (path := Path("/dev", name)).exists()]
    scene.facts = {
        "home": str(scene.home),
        "workspace": str(workspace.path),
        "other": str(scene.other.path),
        "victims": str(folder / "victims"),
        "training": str(scene.prepared.training),
        "evaluation": str(scene.prepared.evaluation),
        "mountpoint": str(folder / "mountpoint"),
        "decoy_step": str(decoy),
        "decoy_template": str(folder / "decoy_template"),
        "setuid": str(program),
        "segment": secrets.randbelow(1 << 30) + 1,
        "left_segment": secrets.randbelow(1 << 30) + 1,
        "key_name": KEY_NAME,
        "filler": f"{folder.name}.filler",
        "bwrap": shutil.which("bwrap") or "/bin/true",
        "disk": [os.major(disk), os.minor(disk)],
        "disk_path": str(disks[0]) if disks else "/dev/none",
    }


def _start_decoys(scene: Scene) -> None:
    """Processes of the same user, as the orchestrator is one."""
    kept = [str(scene.folder / "secrets" / name) for name in ("memory", "held")]
    signals = scene.folder / "secrets" / "signals"
    for number in range(3):
        decoy = subprocess.Popen(
            [str(scene.player.python), "-IS", "-c", _DECOY, *kept, f"{signals}{number}", SECRETS["line"]],
            env={KEY_NAME: SECRETS["key"], "PATH": os.defpath},
            cwd=scene.home,
            user=scene.player.uid if os.getuid() == 0 else None,
            group=scene.player.uid if os.getuid() == 0 else None,
            extra_groups=() if os.getuid() == 0 else None,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        scene.decoys.append(decoy)
    for name, decoy in zip(("third_decoy", "second_decoy", "decoy"), reversed(scene.decoys), strict=True):
        assert decoy.stdout is not None
        address, descriptor = map(int, decoy.stdout.readline().split())
        scene.facts |= {name: decoy.pid, "secret_address": address, "secret_descriptor": descriptor}
    scene.affinity = os.sched_getaffinity(scene.decoys[0].pid)


def _end(scene: Scene) -> None:
    for decoy in scene.decoys:
        decoy.kill()
        decoy.wait()
        assert decoy.stdout is not None
        decoy.stdout.close()


def dump(facts: dict[str, Any]) -> str:
    """scene.json."""
    return json.dumps(facts, indent=1)
