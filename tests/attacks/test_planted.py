"""Files that a run plants under names that the host reads are never followed, waited for, or read without a limit."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.evidence.results import ResultsProblem
from agent.core.failure.diagnose import FailureKind
from agent.core.journal.kinds import Step
from agent.edges.run import step_folder as step
from agent.edges.run.prepare_step import read_output
from agent.edges.run.publish import publish_run
from agent.edges.run.reading import EndedStep, read_step, read_values
from agent.edges.run.runner import Exited
from agent.edges.sandbox.walls import Bounds
from agent.edges.system.untrusted import Untrusted
from agent.edges.template.frozen import unplant
from agent.errors import IntegrityError
from tests.attacks.host import Scene
from tests.attacks.rows import PYTHON
from tests.attacks.run_attacks import open_stage, prepare, wait
from tests.attacks.services import SECRETS

NAMES = ("final_info.json", "evaluation.json", "metrics.jsonl", "profile.json", "diagnostics.json")
PLANT = """
import os, socket, sys
from pathlib import Path
secret = {secret!r}
def plant(name, make):
    for file in {names!r}:
        place = Path(name, file)
        place.parent.mkdir(exist_ok=True)
        try:
            make(place)
        except OSError as error:
            print(name, error)
def listen(place):
    here = os.getcwd()
    os.chdir(place.parent)
    try:
        socket.socket(socket.AF_UNIX).bind(place.name)
    finally:
        os.chdir(here)
def sparse(place):
    with place.open("wb") as file:
        file.truncate(1 << 34)
plant("symbolic", lambda p: p.symlink_to(secret))
def chain(place):
    place.with_suffix(".next").symlink_to(secret)
    place.symlink_to(place.with_suffix(".next").name)
plant("chained", chain)
plant("hard", lambda p: p.hardlink_to(secret))
plant("inner", lambda p: (p.with_suffix(".a").write_text("{{}}"), p.hardlink_to(p.with_suffix(".a"))))
plant("pipe", lambda p: os.mkfifo(p))
plant("socket", listen)
plant("device", lambda p: os.mknod(p, 0o20666, os.makedev(1, 5)))
plant("folder", lambda p: p.mkdir())
plant("huge", sparse)
Path("parent").symlink_to(os.path.dirname(secret))
for file in {names!r}:
    Path("deep").mkdir(exist_ok=True)
    Path("deep", file).write_text('{{"score":' * 100000 + "1" + "}}" * 100000)
    Path("list").mkdir(exist_ok=True)
    Path("list", file).write_text("[" * 200000)
    Path("number").mkdir(exist_ok=True)
    Path("number", file).write_text('{{"score": ' + "9" * 1000000 + "}}")
    Path("bytes").mkdir(exist_ok=True)
    Path("bytes", file).write_bytes(bytes(range(256)) * 100)
    Path("text").mkdir(exist_ok=True)
    Path("text", file).write_text('{{"score": "\\x1b[2J high"}}')
"""
UNREAD = ("symbolic", "chained", "hard", "inner", "pipe", "socket", "device", "folder", "huge", "parent")
UNFIT = ("deep", "list", "number", "bytes", "text")


@pytest.mark.parametrize("rung", ["bwrap", "landlock", "off"])
def test_nothing_planted_is_followed_or_believed(rung: str) -> None:
    with open_stage(rung, "user") as stage:
        if isinstance(stage, str):
            pytest.skip(stage)
        scene, sandbox = stage
        for name in NAMES:
            (scene.home / ".ssh" / name).write_text('{"score": 1}')
        secret = str(scene.home / ".ssh" / "id_rsa")
        code = PLANT.format(secret=secret, names=NAMES)
        place, spec = prepare(scene, sandbox, Step.RUN, "run_3.1", {"experiment.py": code})
        scene.runner.start(place, spec)
        ended = wait(scene, place)
        assert isinstance(ended, Exited) and ended.record.exit_code == 0, (place / step.STDERR).read_text()
        began_s = time.monotonic()
        for file in NAMES:
            for name in UNREAD:
                found = read_output(place / "work", name, file)
                assert found is None or isinstance(found, Untrusted), (name, file, found)
            for name in UNFIT:
                text = read_output(place / "work", name, file)
                assert isinstance(text, str)
                assert isinstance(read_values(text, scene.template, "evaluation", file), ResultsProblem), (name, file)
        assert time.monotonic() - began_s < 10


def finish(scene: Scene, place: Path, ended: Exited) -> str:
    """The failure as the loop reports it. Empty if results were read."""
    reading = read_step(
        scene.runner, EndedStep(place, Step.RUN, 3, ended.record), scene.template, own=["experiment.py"]
    )
    kinds = (FailureKind.BAD_RESULTS, FailureKind.NO_RESULTS)
    assert reading.failure is None or reading.failure.kind in kinds, reading.failure
    return reading.failure.summary if reading.failure else ""


REPLACED: dict[str, str] = {
    "a link": "Path('elsewhere').mkdir(); Path('elsewhere/final_info.json').write_text(good)\n"
    "Path('run_3').symlink_to('elsewhere')",
    "a link to the home": "Path('run_3').symlink_to(Path({home!r}))",
    "a file": "Path('run_3').write_text(good)",
    "a pipe": "os.mkfifo('run_3')",
    "a folder that is none": "os.symlink('.', 'run_3')\nPath('final_info.json').write_text(good)",
}


def test_a_run_folder_that_is_something_else_is_not_read() -> None:
    with open_stage("off", "user") as stage:
        if isinstance(stage, str):
            pytest.skip(stage)
        scene, sandbox = stage
        (scene.home / "final_info.json").write_text('{"final_loss": 1, "steps": 1}')
        head = 'import os\nfrom pathlib import Path\ngood = \'{"final_loss": 1, "steps": 1}\'\n'
        for number, (what, replace_it) in enumerate(REPLACED.items(), 1):
            code = head + replace_it.replace("{home!r}", repr(str(scene.home)))
            place, spec = prepare(scene, sandbox, Step.RUN, f"run_3.{number}", {"experiment.py": code})
            scene.runner.start(place, spec)
            ended = wait(scene, place)
            assert isinstance(ended, Exited) and ended.record.exit_code == 0, (place / step.STDERR).read_text()
            assert finish(scene, place, ended) != "", what


def test_a_step_finds_nothing_that_an_earlier_one_left() -> None:
    """No results, no module that the interpreter would load by itself, no folder of its own that is there already."""
    left = ("run_3/final_info.json", "sitecustomize.py", "usercustomize.py", "evil.pth", "json.py")
    code = f"""
import sys
from pathlib import Path
for folder in (Path.cwd(), Path.home(), Path.home() / ".local/lib/{PYTHON}/site-packages"):
    for name in {left!r}:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("raise SystemExit('planted')")
"""
    with open_stage("off", "user") as stage:
        if isinstance(stage, str):
            pytest.skip(stage)
        scene, sandbox = stage
        place, spec = prepare(scene, sandbox, Step.RUN, "run_3.1", {"experiment.py": code})
        scene.runner.start(place, spec)
        assert isinstance(wait(scene, place), Exited)
        assert (place / "work" / left[0]).exists()
        look = "import json, os, sys; from pathlib import Path\n"
        look += "print([str(p) for f in (Path.cwd(), Path.home()) for p in f.rglob('*') if not p.is_symlink()])"
        second, spec = prepare(scene, sandbox, Step.RUN, "run_3.2", {"experiment.py": look})
        scene.runner.start(second, spec)
        ended = wait(scene, second)
        assert isinstance(ended, Exited) and ended.record.exit_code == 0
        found = {Path(name).name for name in eval((second / step.STDOUT).read_text())}
        assert found == {"experiment.py", "profile.json"}
        assert "final_info.json" in finish(scene, second, ended)
        with pytest.raises(IntegrityError, match="is there already"):
            prepare(scene, sandbox, Step.RUN, "run_3.1", {"experiment.py": look})


def test_results_of_a_run_that_broke_a_limit_are_not_read() -> None:
    """It ended well, but its output beyond the limit is lost."""
    code = """
import signal
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
Path("run_3").mkdir()
try: Path("run_3/weights.bin").write_bytes(bytes(4 << 20))
except OSError: pass
Path("run_3/final_info.json").write_text('{"final_loss": 1, "steps": 1}')
"""
    with open_stage("off", "user") as stage:
        if isinstance(stage, str):
            pytest.skip(stage)
        scene, sandbox = stage
        place, spec = prepare(scene, sandbox, Step.RUN, "run_3.1", {"experiment.py": code})
        scene.runner.start(place, replace(spec, bounds=Bounds(file_gib=2 / 1024)))
        ended = wait(scene, place)
        assert isinstance(ended, Exited) and ended.record.exit_code == 0, ended
        reading = read_step(
            scene.runner, EndedStep(place, Step.RUN, 3, ended.record), scene.template, own=["experiment.py"]
        )
        assert reading.failure is not None and reading.failure.summary.startswith("killed: file size 0.00195312 GiB")


def test_compiled_code_beside_sealed_sources_is_gone_before_the_next_step() -> None:
    with open_stage("off", "user") as stage:
        if isinstance(stage, str):
            pytest.skip(stage)
        scene, sandbox = stage
        planted = scene.template.folder / "sealed" / "__pycache__" / f"evaluate.{sys.implementation.cache_tag}.pyc"
        code = f"import os; os.mkdir({str(planted.parent)!r}); open({str(planted)!r}, 'w').close()"
        place, spec = prepare(scene, sandbox, Step.RUN, "run_3.1", {"experiment.py": code})
        scene.runner.start(place, spec)
        assert isinstance(wait(scene, place), Exited)
        assert planted.exists()
        unplant(scene.template.folder)
        assert not planted.parent.exists()


# Quick for "off": test_nothing_planted_is_followed_or_believed.
@pytest.mark.parametrize("rung", ["bwrap", "landlock", pytest.param("off", marks=pytest.mark.slow)])
def test_what_a_run_really_left_is_published_without_its_traps(rung: str) -> None:
    """The host's files keep their modes, and a later step sees the published run and cannot change it."""
    code = """
import os, sys
from pathlib import Path
run = Path("run_3")
run.mkdir()
(run / "final_info.json").write_text('{"final_loss": 1, "steps": 1}')
os.mkfifo(run / "pipe")
(run / "key").symlink_to(SECRET)
(run / "up").symlink_to("../../..")
try: (run / "hard").hardlink_to(SECRET)
except OSError as error: print(error)
(run / "log.txt").mkdir()
(run / "closed").mkdir()
(run / "closed" / "file").write_text("x")
os.chmod(run / "closed", 0)
"""
    with open_stage(rung, "user") as stage:
        if isinstance(stage, str):
            pytest.skip(stage)
        scene, sandbox = stage
        key = scene.home / ".ssh" / "id_rsa"
        before = key.lstat()
        code = code.replace("SECRET", repr(str(key)))
        place, spec = prepare(scene, sandbox, Step.RUN, "run_3.1", {"experiment.py": code})
        scene.runner.start(place, spec)
        ended = wait(scene, place)
        assert isinstance(ended, Exited) and finish(scene, place, ended) == "", (place / step.STDERR).read_text()
        published = publish_run(scene.workspace, 3, place, None, "key")
        names = sorted(str(path.relative_to(published)) for path in published.rglob("*"))
        assert names == ["closed", "closed/file", "final_info.json", "log.txt"]
        assert all(path.is_dir() or path.stat().st_nlink == 1 for path in published.rglob("*"))
        assert (key.stat().st_mode, key.stat().st_ino) == (before.st_mode, before.st_ino)
        log = (published / "log.txt").read_text()
        assert "pipe is a pipe" in log and "key is a link that leads out" in log and SECRETS["key"] not in log
