"""Data prepared by a template's own script: real processes, a store on disk, no torch."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.edges.template.data import Prepared, PreparedData, prepare_data, store_of, store_size
from agent.edges.template.load import Template, load_template
from agent.errors import IntegrityError, StopRequested, UsageError
from tests.overlays import prepared_quadratic

PYTHON = Path(sys.executable)
Load = Callable[..., Template]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """The template, with its preparation's script replaced if one is given."""

    def make(script: str = "", *, deadline_s: float = 30.0, **hidden: object) -> Template:
        template = load_template(prepared_quadratic(tmp_path / "a template's folder", **hidden))
        if script:
            (template.folder / "sealed" / "prepare.py").write_text(script)
        assert template.spec.prepare
        prepare = template.spec.prepare.model_copy(update={"deadline_s": deadline_s})
        return replace(template, spec=template.spec.model_copy(update={"prepare": prepare}))

    return make


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "the cache" / "quadratic"


def call(
    template: Template,
    store: Path,
    said: list[str] | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
    max_gib: float | None = None,
    **inherited: str,
) -> Prepared:
    lines = [] if said is None else said
    environment = {"PATH": os.defpath} | inherited
    return prepare_data(template, PYTHON, store, environment, lines.append, max_gib=max_gib, is_stopped=is_stopped)


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(UsageError) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], bool], limit_s: float = 10.0) -> None:
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def wait_for_end(*pids: int) -> None:
    """Wait for a killed process, which is dead almost at once."""
    wait_for(lambda: not any(is_alive(pid) for pid in pids), limit_s=2.0)


def pids_of(store: Path) -> list[int]:
    """The script's process and its child's, once both are there."""
    wait_for(lambda: (store / "pids").is_file() and len((store / "pids").read_text().split()) == 2)
    return [int(pid) for pid in (store / "pids").read_text().split()]


# Made once


def test_data_is_made_once_and_found_again(load: Load, store: Path) -> None:
    template = load()
    said: list[str] = []
    made = call(template, store, said)
    assert made.made and said == ["samples are ready"]
    assert made.training.parent == store / "training" and made.evaluation.parent == store / "evaluation"
    assert len(json.loads((made.training / "samples.json").read_text())) == 256
    found = call(template, store)
    assert not found.made and (found.training, found.evaluation) == (made.training, made.evaluation)
    assert made.bytes == found.bytes == store_size(store)


def test_progress_is_passed_on_while_it_comes_and_bars_by_their_states(load: Load, store: Path) -> None:
    said: list[str] = []
    arrived: list[float] = []

    class Noting(list[str]):
        def append(self, line: str) -> None:
            arrived.append(time.monotonic())
            said.append(line)

    call(load(pause_s=0.6), store, Noting())
    assert said == ["making samples", "50%", "samples are ready"]
    assert arrived[2] - arrived[1] > 0.4


def test_two_that_prepare_at_once_make_it_once(load: Load, store: Path) -> None:
    template = load(pause_s=0.3)
    results: list[Prepared] = []
    threads = [threading.Thread(target=lambda: results.append(call(template, store))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(r.made for r in results) == [False, True]
    assert results[0].training == results[1].training


# The environment


def test_it_is_given_what_downloads_need_and_no_other_secret(load: Load, store: Path) -> None:
    given = {
        "HOME": "/home/me",
        "HF_TOKEN": "hf_me",
        "HF_HOME": "/big/hub",
        "HTTPS_PROXY": "http://proxy:1",
        "no_proxy": "localhost",
        "REQUESTS_CA_BUNDLE": "/ca.pem",
        "XDG_CACHE_HOME": "/home/me/.cache",
    }
    secret = {"OPENAI_API_KEY": "canary", "AWS_SECRET_ACCESS_KEY": "canary", "SCIENTIST_SEED": "canary"}
    script = "import json, os, sys\nprint('error: ' + json.dumps(dict(os.environ)), file=sys.stderr)\nsys.exit(1)\n"
    template = load(script)
    said: list[str] = []
    refusal(lambda: call(template, store, said, max_gib=2.5, **given, **secret))
    seen = json.loads(said[-1].removeprefix("error: "))
    assert given.items() <= seen.items() and "canary" not in seen.values()
    assert seen["SCIENTIST_DATA_MAX_GIB"] == "2.5" and "SCIENTIST_SEED" not in seen
    assert seen["PYTHONPATH"] == str(template.folder / "sealed") and seen["PYTHONDONTWRITEBYTECODE"] == "1"
    refusal(lambda: call(template, store, said))
    seen = json.loads(said[-1].removeprefix("error: "))
    assert "SCIENTIST_DATA_MAX_GIB" not in seen and seen["HOME"] == str(store)


# Failures


def test_a_failure_names_template_profile_and_the_last_line(load: Load, store: Path) -> None:
    said: list[str] = []
    told = refusal(lambda: call(load(samples=0), store, said))
    assert told == (
        "template quadratic, profile small: its data cannot be prepared, exit code 1: "
        "prepare.py: error: hidden.samples is 0; set it to at least 1"
    )
    assert said[0] == "looking for samples"


def test_a_script_that_breaks_shows_its_exception(load: Load, store: Path) -> None:
    assert refusal(lambda: call(load(fail=True), store)).endswith("exit code 1: RuntimeError: the script is broken")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import os\nos._exit(3)\n", "exit code 3 without a word"),
        ("import os\nos.kill(os.getpid(), 9)\n", "killed by SIGKILL without a word"),
        ("", "but with ''"),
        ("print('done')\n", "but with 'done'"),
        ('print(\'{"training": "/"}\')\n', "does not end with a JSON object of training"),
        (
            'print(\'{"training": "/", "evaluation": "/absent", "bytes": 1, "made": true, "seconds": 1}\')\n',
            "its preparation names /absent, which is no folder",
        ),
        (
            'print(\'{"training": "training", "evaluation": "/", "bytes": 1, "made": true, "seconds": 1}\')\n',
            "its preparation names training, which is no folder",
        ),
        ("import sys\nsys.stderr.buffer.write(b'bad \\xff\\n')\nsys.exit(1)\n", "exit code 1: bad \ufffd"),
    ],
)
def test_an_end_without_an_answer_is_told(load: Load, store: Path, script: str, said: str) -> None:
    told = refusal(lambda: call(load(script or "pass\n"), store))
    assert told.startswith("template quadratic, profile small: ") and said in told


def test_a_last_line_without_end_is_cut_and_colours_are_left_out(load: Load, store: Path) -> None:
    script = "import sys\nsys.stderr.write('\\033[31mprepare.py: error: ' + 'x' * 3_000_000 + '!')\nsys.exit(1)\n"
    told = refusal(lambda: call(load(script), store))
    assert len(told) < 2000 and "exit code 1: prepare.py: error: xxx" in told and told.endswith("x!")


def test_an_interpreter_that_is_gone_and_a_store_that_is_a_file_are_told(load: Load, store: Path) -> None:
    template = load()
    absent = Path("/absent/python")
    told = refusal(lambda: prepare_data(template, absent, store, {}, lambda line: None))
    assert "/absent/python: No such file" in told
    (store.parent / "file").touch()
    told = refusal(lambda: call(template, store.parent / "file" / "quadratic"))
    assert "cannot be made: Not a directory" in told


# Ended from outside


@pytest.mark.parametrize("script", ["", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"])
def test_a_deadline_ends_it_with_all_its_processes(load: Load, store: Path, script: str) -> None:
    template = load(deadline_s=1.5, pause_s=60)
    path = template.folder / "sealed" / "prepare.py"
    path.write_text(path.read_text().replace("import argparse\n", f"import argparse\n{script}"))
    started = time.monotonic()
    assert "took longer than 1.5 s and was stopped" in refusal(lambda: call(template, store))
    assert time.monotonic() - started < 6
    wait_for_end(*pids_of(store))


def test_a_request_to_stop_ends_it(load: Load, store: Path) -> None:
    with pytest.raises(StopRequested):
        call(load(pause_s=60), store, is_stopped=lambda: (store / "pids").exists())
    wait_for_end(*pids_of(store))


def test_an_interrupt_ends_it_and_nothing_is_half_made(load: Load, store: Path) -> None:
    class Interrupting(list[str]):
        def append(self, line: str) -> None:
            raise KeyboardInterrupt

    template = load(pause_s=60)
    with pytest.raises(KeyboardInterrupt):
        call(template, store, Interrupting())
    wait_for_end(*pids_of(store))
    assert not (store / "training").exists()


def test_killed_in_the_middle_it_is_made_by_the_next_call(load: Load, store: Path) -> None:
    template = load(pause_s=1.5)
    killer = threading.Thread(target=lambda: os.kill(pids_of(store)[0], signal.SIGKILL))
    killer.start()
    assert "killed by SIGKILL" in refusal(lambda: call(template, store))
    killer.join()
    wait_for_end(*pids_of(store))  # its child went with it
    assert call(template, store).made


def test_a_process_left_behind_does_not_hold_up_the_answer(load: Load, store: Path) -> None:
    template = load()
    path = template.folder / "sealed" / "prepare.py"
    left = 'subprocess.Popen(["sh", "-c", "echo $$ > left; while true; do echo more >&2; done"], cwd=arguments.store)\n'
    path.write_text(
        path.read_text().replace("    started = time", f"    {left}    time.sleep(0.3)\n    started = time")
    )
    started = time.monotonic()
    assert call(template, store).made
    assert time.monotonic() - started < 10
    wait_for_end(int((store / "left").read_text()))


# The data of one workspace


def prepared_at(store: Path, key: str) -> Prepared:
    folders = [store / name / key for name in ("training", "evaluation")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    return Prepared(*folders, bytes=0, made=True, seconds=0.0)


def test_data_is_asked_for_once_and_again_where_a_folder_was_evicted(store: Path) -> None:
    calls = 0

    def make() -> Prepared:
        nonlocal calls
        calls += 1
        return prepared_at(store, "k1")

    data = PreparedData(make, "k1", "k1")
    assert not data.is_there()
    assert data.folders() == data.folders() and calls == 1 and data.is_there()
    for name in ("training", "evaluation"):
        (store / name / "k1").rmdir()
        assert not data.is_there()
        assert data.folders().is_there()
    assert calls == 3


@pytest.mark.parametrize(("training", "evaluation"), [("k1", "k2"), ("k2", "k1")])
def test_other_data_than_at_launch_is_refused(store: Path, training: str, evaluation: str) -> None:
    data = PreparedData(lambda: prepared_at(store, "k2"), training, evaluation)
    with pytest.raises(IntegrityError, match=r"is other data than this idea was launched with \(k1\)"):
        data.folders()


def test_a_journal_that_names_no_data_takes_what_there_is(store: Path) -> None:
    assert PreparedData(lambda: prepared_at(store, "k2")).folders().training.name == "k2"


# The store


def test_the_store_is_named_for_the_template_whatever_it_is_called(load: Load, tmp_path: Path) -> None:
    template = load()
    for name, folder in (("sae", "sae"), ("../my lab/x", "_my_lab_x"), ("..", "_")):
        named = replace(template, spec=template.spec.model_copy(update={"name": name}))
        assert store_of(tmp_path, named) == tmp_path / folder


def test_the_size_of_a_store_counts_files_and_follows_no_link(tmp_path: Path) -> None:
    assert store_size(tmp_path / "absent") == 0
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one").write_bytes(b"x" * 1000)
    (tmp_path / "a" / "b" / "two").write_bytes(b"x" * 24)
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    assert 1024 <= store_size(tmp_path / "a") < 1024 + 500  # a link has the length of what it names
