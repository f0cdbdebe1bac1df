"""Findings of the doctor on a machine: real commands, real folders, and machines that lack something."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.inputs.spec import Environment
from agent.edges.doctor import machine
from agent.edges.doctor.machine import (
    check_data,
    check_disk,
    check_env_file,
    check_environment,
    check_flake8,
    check_folder,
    check_git,
    check_gpus,
)
from agent.edges.sandbox.choose import NOT_INSTALLED, Sandbox
from agent.edges.template.data import prepare_data, store_of
from agent.edges.template.load import Template, load_template
from tests.overlays import prepared_quadratic
from tests.paths import QUADRATIC


def command(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH that leads to one empty folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_this_machine_has_git_and_flake8() -> None:
    assert check_git().level == "ok" and check_git().detail[0].isdigit()
    assert check_flake8().level == "ok"


def test_missing_git_and_flake8_fail_and_an_old_git_warns(bare: Path, tmp_path: Path) -> None:
    assert (check_git().level, check_git().detail) == ("FAIL", "is not installed, or not on PATH")
    command(bare, "git", "echo git version 2.30.2")
    assert check_git().level == "warn" and "2.30.2" in check_git().detail
    python = command(bare, "python", "echo No module named flake8 >&2; exit 1")
    assert check_flake8(python).level == "FAIL" and str(python) in check_flake8(python).detail


def test_gpus_are_counted_and_their_lack_warns_only_where_some_are_wanted(bare: Path) -> None:
    assert (check_gpus(0).level, check_gpus(0).detail) == ("ok", "none, and none is needed")
    assert check_gpus(1).level == "warn" and "none found, the profile wants 1" in check_gpus(1).detail
    command(bare, "nvidia-smi", 'echo "Model X, 81559, 80000"; echo "Model X, 81559, [N/A]"')
    assert check_gpus(1).level == "ok" and check_gpus(1).detail == "Model X (78 of 80 GiB free)"
    assert "1 found, the profile wants 2" in check_gpus(2).detail
    command(bare, "nvidia-smi", "echo cannot talk to the driver; exit 9")
    assert check_gpus(1).level == "warn"


def test_disk_is_judged_by_what_is_still_to_be_made(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free / 2**30
    assert check_disk("disk", tmp_path / "not" / "there", 0.0, 0.0).level in ("ok", "warn")
    lacking = check_disk("disk", tmp_path, free + 100, 50)
    assert lacking.level == "FAIL" and f"needs {free + 50:.0f} more" in lacking.detail
    assert check_disk("disk", tmp_path, free + 100, free + 100).level != "FAIL"
    assert check_disk("disk", tmp_path, free - 1).level == "warn"


def test_a_folder_is_tried_where_it_would_be_made_and_nothing_stays(tmp_path: Path) -> None:
    assert check_folder(tmp_path / "work spaces" / "deep").level == "ok"
    assert list(tmp_path.iterdir()) == []
    assert check_folder(Path("/proc/self/nowhere")).level == "FAIL"


def test_env_file_names_what_it_sets_and_never_the_values(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    assert check_env_file(path).level == "ok"
    path.write_text("# A_KEY=old\nexport DEEPSEEK_API_KEY=sk-canary\nB = 2\n")
    assert check_env_file(path).detail == "sets DEEPSEEK_API_KEY, B"
    path.write_bytes(b"KEY=\xff\xfe")
    assert (check_env_file(path).level, check_env_file(path).detail) == ("FAIL", "cannot be read: is not UTF-8")
    path.unlink()
    path.mkdir()
    assert check_env_file(path).level == "FAIL"


def with_environment(environment: Environment) -> Template:
    template = load_template(QUADRATIC)
    return replace(template, spec=template.spec.model_copy(update={"environment": environment}))


def test_an_environment_is_own_buildable_or_impossible(tmp_path: Path) -> None:
    found, python = check_environment(load_template(QUADRATIC), tmp_path)
    assert found.level == "ok" and python == Path(sys.executable)
    found, python = check_environment(with_environment(Environment(install=(("x",),))), tmp_path)
    assert found.level == "warn" and python is None and "scientist setup quadratic" in found.remedy
    found, python = check_environment(with_environment(Environment(python="==2.7.*", install=(("x",),))), tmp_path)
    assert found.level == "FAIL" and python is None and "no Python ==2.7.* on PATH" in found.detail


def test_data_are_found_but_not_made(tmp_path: Path) -> None:
    python, cache = Path(sys.executable), tmp_path / "data"
    assert check_data(load_template(QUADRATIC), python, cache, os.environ).detail == "the template needs none"
    slow = load_template(prepared_quadratic(tmp_path / "slow", pause_s=30))
    assert "takes the environment" in check_data(slow, None, cache, os.environ).detail
    assert "launch makes them" in check_data(slow, python, cache, os.environ).detail and not cache.exists()

    store_of(cache, slow).mkdir(parents=True)
    found = check_data(slow, python, cache, os.environ, grace_s=0.1)
    assert found.level == "warn" and found.detail.startswith("not made yet for this profile")
    assert "--profile small" in found.remedy

    quick = load_template(prepared_quadratic(tmp_path / "quick"))
    made = prepare_data(quick, python, store_of(cache, quick), os.environ, lambda line: None)
    found = check_data(quick, python, cache, os.environ)
    assert found.level == "ok" and str(made.training) in found.detail

    broken = load_template(prepared_quadratic(tmp_path / "broken", fail=True))
    assert check_data(broken, python, cache, os.environ).level == "FAIL"


def test_a_machine_without_bubblewrap_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for missed, is_told in (
        (f"bwrap: {NOT_INSTALLED}", True),
        ("bwrap: No permissions to create new namespace", False),
    ):
        held = Sandbox("landlock", ("something",), missed=missed)
        monkeypatch.setattr(machine, "choose_sandbox", lambda wanted, held=held: held)
        remark = machine.check_sandbox("auto")
        assert (remark.level, "apt install bubblewrap" in remark.remedy) == ("warn", is_told)
