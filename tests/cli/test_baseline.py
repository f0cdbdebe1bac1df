"""A template's baselines as a user makes them: real runs, kept, shared between calls, refused, interrupted."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.edges.system.processes import all_processes
from agent.edges.template.cache.claim import hold_alone
from tests.cli.conftest import SCIENTIST, Scientist, environment, only_workspace
from tests.paths import QUADRATIC

FRONTIER = """
[[metrics]]
name = "rate"
path = ["rate"]

[[profiles.small.baselines]]
name = "plain"
constants = {MOMENTUM = 0.0}
vary = "LR"
values = [0.01, 0.02, 0.04]
seeds = 1
middle_seeds = 2

[[profiles.small.baselines]]
name = "heavy"
constants = {MOMENTUM = 0.5}
vary = "LR"
values = [0.02]
middle_seeds = 1

[[profiles.slow.baselines]]
name = "plain"
middle_seeds = 2
"""
STEMS = [
    "plain-0.01-seed1001", "plain-0.02-seed1001", "plain-0.02-seed1002", "plain-0.04-seed1001", "heavy-0.02-seed1001",
]  # fmt: skip


@pytest.fixture
def template(folder: Path) -> Path:
    """The parabola with a frontier over the learning rate, which it reports; the slow profile waits a minute."""
    place = folder / "quadratic"
    shutil.copytree(QUADRATIC, place, ignore=shutil.ignore_patterns("baselines", "__pycache__"))
    toml = (place / "template.toml").read_text()
    (place / "template.toml").write_text(toml.replace("smoke = true", 'smoke = true\nfrontier = "rate"') + FRONTIER)
    code = (place / "experiment.py").read_text()
    (place / "experiment.py").write_text(
        code.replace('"final_loss": losses[-1]', '"rate": LR, "final_loss": losses[-1]')
    )
    (place / "profiles" / "slow.json").write_text('{"target": 3.0, "steps": 40, "pause_s": 15}')
    return place


@pytest.fixture
def baseline(scientist: Scientist, folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return scientist("baseline", "quadratic", *arguments, SCIENTIST_CACHE=str(folder / "cache"))

    return run


def rows(template: Path, profile: str = "small") -> dict[str, dict[str, object]]:
    return {p.stem: json.loads(p.read_text()) for p in (template / "baselines" / profile).glob("*.json")}


def test_rows_are_made_once_and_runs_are_judged_by_them(
    template: Path, baseline: Callable[..., subprocess.CompletedProcess[str]], scientist: Scientist, folder: Path
) -> None:
    done = baseline("--parallel", 2)
    assert done.returncode == 0, done.stderr
    assert "5 made, 0 failed, 0 kept" in done.stdout and "[5/5] " in done.stderr and " left" in done.stderr
    made = rows(template)
    assert set(made) == set(STEMS)
    row = made["plain-0.04-seed1001"]
    record = ["name", "setting", "seed", "profile", "constants", "code", "made_with"]
    assert list(row) == [*record, "final_info", "evaluation"]
    parts = ["sealed", "files", "profile", "settings", "data", "training", "evaluation", "packages", "below"]
    assert list(row["made_with"]) == [*parts, "device", "machine", "precision"]  # type: ignore[call-overload]
    assert (row["name"], row["setting"], row["seed"], row["profile"]) == ("plain", "0.04", 1001, "small")
    assert row["constants"] == {"MOMENTUM": 0.0, "LR": 0.04}
    code = (template / "experiment.py").read_text().replace("LR = 0.02  #", "LR = 0.04  #")
    assert row["code"] == hashlib.sha256(code.encode()).hexdigest()
    assert row["final_info"]["rate"] == 0.04 and 0 < row["evaluation"]["score"] < 1  # type: ignore[index]
    losses = [made[f"plain-{rate}-seed1001"]["final_info"]["final_loss"] for rate in ("0.01", "0.02", "0.04")]  # type: ignore[index]
    assert losses == sorted(losses, reverse=True)
    assert sorted(p.name for p in template.glob("baselines/small/*")) == sorted(f"{s}.json" for s in STEMS)

    before = {p: p.stat().st_mtime_ns for p in template.glob("baselines/small/*.json")}
    again = baseline()
    assert again.returncode == 0 and "0 made, 0 failed, 5 kept" in again.stdout
    assert before == {p: p.stat().st_mtime_ns for p in template.glob("baselines/small/*.json")}

    ran = scientist("launch", "ideas.json", "--idea", "momentum", "--template", template, "--max-runs", 1)
    assert ran.returncode == 0, ran.stderr
    shown = scientist("show", only_workspace(folder)).stdout
    assert "setting: rate score±sd final_loss seeds" in shown and "heavy 0.02: 0.02 " in shown
    assert shown.index("  plain 0.01: ") < shown.index("  plain 0.04: ") < shown.index("  heavy 0.02: ")
    runs = [line for line in shown.splitlines() if line.startswith("  run ")]
    assert len(runs) == 1 and all(" rate=" in line and line.endswith("; verified)") for line in runs)
    (idea,) = json.loads(scientist("status", "--json").stdout)["workspaces"]
    notes = (only_workspace(folder) / "notes.txt").read_text()
    assert idea["best"]["reference"].partition(" at rate ")[0] in ("plain", "heavy", "") and "Verdict: " in notes


@pytest.mark.slow  # quick: tests/edges/run/test_baselines.py
def test_rows_of_other_code_are_refused_until_they_are_to_be_made_again(
    template: Path, baseline: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    assert baseline("--only", "plain-0.02").returncode == 0
    assert set(rows(template)) == {"plain-0.02-seed1001", "plain-0.02-seed1002"}
    experiment = template / "experiment.py"
    experiment.write_text(experiment.read_text() + "# another\n")
    refused = baseline()
    assert refused.returncode == 2 and "plain-0.02-seed1001.json and 1 more: came of other code" in refused.stderr
    assert "--redo" in refused.stderr and len(rows(template)) == 2
    old = rows(template)["plain-0.02-seed1001"]["code"]
    assert baseline("--only", "plain-0.02", "--redo").returncode == 0
    assert rows(template)["plain-0.02-seed1001"]["code"] != old


def test_stale_baselines_give_no_verdict_anywhere_and_the_command_that_helps(
    scientist: Scientist, folder: Path
) -> None:
    place = folder / "my quadratic"
    shutil.copytree(QUADRATIC, place)
    for path in (place / "baselines" / "small").iterdir():  # as a declared baseline would name them
        row = json.loads(path.read_text())
        row["seed"] += 1001
        path.with_name(f"plain-seed{row['seed']}.json").write_text(json.dumps(row))
        path.unlink()
    with (place / "template.toml").open("a") as file:
        file.write('\n[[profiles.small.baselines]]\nname = "plain"\nseeds = 5\n')
    vouched = scientist("baseline", place, "--vouch")
    assert vouched.returncode == 0 and "5 rows now say" in vouched.stdout
    held = [json.loads(path.read_text())["made_with"] for path in (place / "baselines" / "small").glob("*.json")]
    assert all(one["data"] == "" and one["packages"].startswith("python==") and "device" not in one for one in held)
    evaluate = place / "sealed" / "evaluate.py"
    evaluate.write_text(evaluate.read_text() + "# looks at other things\n")
    command = f"scientist baseline 'my quadratic' --python {sys.executable} --redo"
    said = f"5 of 5 baselines came of other files in sealed/; make them anew: {command}"
    options = ("--template", "my quadratic", "--python", sys.executable)
    examined = scientist("doctor", *options)
    assert f"warn  baselines: give no verdicts: {said}" in examined.stdout and examined.returncode == 0
    ran = scientist("launch", "ideas.json", "--idea", "momentum", *options, "--max-runs", 1)
    assert ran.returncode == 0 and f"no verdicts: {said}" in ran.stderr and "better" not in ran.stdout + ran.stderr
    (idea,) = json.loads(scientist("status", "--json").stdout)["workspaces"]
    assert idea["no_verdicts"] == said and (idea["best"]["verdict"], idea["best"]["reason"]) == ("no verdict", said)
    assert 0 < idea["best"]["baseline"] < 1  # run 0 ran the code as it is
    assert f"momentum: no verdicts: {said}" in scientist("status").stdout
    workspace = only_workspace(folder)
    assert f"Verdict: no verdict. {said}" in (workspace / "notes.txt").read_text()
    shown = json.loads(scientist("show", workspace, "1", "--json").stdout)
    assert shown["verdict"] == f"no verdict: {said}"
    assert json.loads(scientist("show", workspace, "--json").stdout)["no_verdicts"] == said
    prompts = [path.read_text() for path in (workspace / ".agent" / "blobs").rglob("*") if path.is_file()]
    assert not any("plain, 5 seeds" in text for text in prompts)
    assert scientist("verify", workspace).returncode == 0


def test_rows_are_listed_in_words_and_as_json_and_nothing_runs(
    template: Path, baseline: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (template / "baselines" / "small").mkdir(parents=True)
    (template / "baselines" / "small" / "old-seed0.json").write_text('{"name": "old", "seed": 0}')
    told = baseline("--dry-run")
    assert told.returncode == 0 and "missing  plain-0.01-seed1001  MOMENTUM=0.0 LR=0.01" in told.stdout
    assert "5 rows: 5 missing" in told.stdout and "old-seed0.json: no declared baseline makes it" in told.stderr
    listed = json.loads(baseline("--json", "--only", "heavy").stdout)
    (row,) = listed["rows"]
    assert (listed["schema_version"], row["name"], row["setting"], row["state"]) == (1, "heavy", "0.02", "missing")
    assert not (template.parent / "cache").exists()


@pytest.mark.parametrize(
    ("change", "arguments", "said"),
    [
        (("LR = 0.02", "RATE = 0.02"), (), "experiment.py: assigns no LR at its top level; add a line LR = 0.01"),
        (None, ("--only", "none"), "--only none: is no baseline of this profile; there are: plain, heavy"),
        (None, ("--profile", "huge"), "has no profile 'huge'"),
        (None, ("--python", "/dev/null"), "--python /dev/null: is no file"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_runs(
    template: Path,
    baseline: Callable[..., subprocess.CompletedProcess[str]],
    change: tuple[str, str] | None,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    if change:
        experiment = template / "experiment.py"
        experiment.write_text(experiment.read_text().replace(*change))
    done = baseline(*arguments)
    assert done.returncode == 2 and said in done.stderr and not list(template.glob("baselines/small/*"))


def test_an_axis_that_no_metric_reports_is_refused(
    template: Path, baseline: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    toml = template / "template.toml"
    toml.write_text(toml.read_text().replace('frontier = "rate"', 'frontier = "rte"'))
    done = baseline("--dry-run")
    assert (
        done.returncode == 2
        and "template.toml: field frontier: there is no metric 'rte'; there are: score" in done.stderr
    )


def test_a_template_without_baselines_says_what_to_add(scientist: Scientist) -> None:
    done = scientist("baseline", QUADRATIC)
    assert done.returncode == 2 and "add a [[profiles.small.baselines]]" in done.stderr


def test_a_row_that_fails_is_told_with_its_diagnosis_and_the_others_go_on(
    template: Path, baseline: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    toml = template / "template.toml"
    toml.write_text(toml.read_text().replace("values = [0.01, 0.02, 0.04]", 'values = [0.01, "fast", 0.04]'))
    done = baseline()
    assert done.returncode == 1 and "3 made, 2 failed, 0 kept" in done.stdout
    assert "plain-fast-seed1001: run failed: TypeError" in done.stderr and "self.velocity" in done.stderr
    assert set(rows(template)) == {"plain-0.01-seed1001", "plain-0.04-seed1001", "heavy-0.02-seed1001"}
    kept = done.stderr.partition("its files are kept: ")[2].splitlines()[0]
    assert list(Path(kept).rglob("stderr.txt"))


def test_two_calls_at_once_share_the_rows(template: Path, folder: Path) -> None:
    calls = [
        subprocess.Popen(
            [SCIENTIST, "baseline", "quadratic", "--only", "plain-0.02"],
            cwd=folder,
            env=environment(SCIENTIST_CACHE=str(folder / "cache")),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    told = [call.communicate(timeout=120) for call in calls]
    assert [call.returncode for call in calls] == [0, 0], told
    assert sum(int(out.partition(": ")[2].partition(" made")[0]) for out, _ in told) == 2, told
    assert set(rows(template)) == {"plain-0.02-seed1001", "plain-0.02-seed1002"}


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupted_call_leaves_no_process_and_no_half_row(
    template: Path, folder: Path, scientist: Scientist, number: signal.Signals
) -> None:
    call = subprocess.Popen(
        [SCIENTIST, "baseline", "quadratic", "--profile", "slow", "--parallel", "2"],
        cwd=folder,
        env=environment(SCIENTIST_CACHE=str(folder / "cache")),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 30
    while len(list(folder.glob("cache/baselines/*/*/.agent/attempts/*/child.json"))) < 2:
        assert time.monotonic() < until and call.poll() is None
        time.sleep(0.05)
    (place,) = (path for path in (folder / "cache/baselines").iterdir() if path.is_dir())
    with hold_alone(place) as is_free:
        assert not is_free, "clean leaves it alone"
    began = time.monotonic()
    call.send_signal(number)
    _, told = call.communicate(timeout=20)
    assert call.returncode == 128 + number and "the same call goes on from there" in told, told
    assert "resume" not in told
    assert time.monotonic() - began < 12
    at_work = [p.pid for p in all_processes() if not p.is_dead and works_below(p.pid, folder)]
    assert at_work == [] and rows(template, "slow") == {}
    listed = scientist("baseline", "quadratic", "--profile", "slow", "--dry-run", SCIENTIST_CACHE=str(folder / "cache"))
    assert "2 rows: 2 missing" in listed.stdout


def test_what_a_killed_call_left_running_is_ended_by_the_next(template: Path, folder: Path) -> None:
    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [SCIENTIST, "baseline", "quadratic", "--profile", "slow"],
            cwd=folder,
            env=environment(SCIENTIST_CACHE=str(folder / "cache")),
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def wait_for(condition: Callable[[], bool]) -> None:
        until = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < until
            time.sleep(0.05)

    def at_work() -> set[int]:
        return {p.pid for p in all_processes() if not p.is_dead and works_below(p.pid, folder / "cache")}

    first = start()
    wait_for(lambda: bool(at_work()))
    first.kill()
    first.wait()
    orphans = at_work()
    assert orphans
    second = start()
    wait_for(lambda: bool(at_work()) and not at_work() & orphans)
    second.send_signal(signal.SIGINT)
    assert second.wait(timeout=20) == 130 and not at_work()


def works_below(pid: int, folder: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder)
    except OSError:
        return False
