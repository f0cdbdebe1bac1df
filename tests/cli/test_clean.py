"""scientist clean, as a user types it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from agent.cli.commands.clean import used_by_workspaces
from tests.cli.conftest import Launched, Scientist, only_workspace


def test_what_nothing_uses_is_listed_and_removed(scientist: Scientist, launched: Launched, folder: Path) -> None:
    launched("--max-runs", 1)
    cache, used, unused = folder / "cache", "0123456789abcdef", "fedcba9876543210"
    for name in (used, unused):
        (cache / name / "bin").mkdir(parents=True)
        (cache / name / ".complete").write_text("{}")
    journal = only_workspace(folder) / ".agent/journal.jsonl"
    mine = {"SCIENTIST_CACHE": str(cache)}
    (python, user), *_ = used_by_workspaces(folder / "workspaces")
    assert python == Path(sys.executable) and user.endswith("momentum")
    litter = folder / "workspaces/.20261129-101500-ideas.4711"
    litter.mkdir()
    os.utime(litter, (time.time() - 1e6,) * 2)

    assert "fedcba" in scientist("clean", "--dry-run", **mine).stdout and (cache / unused).is_dir()
    assert scientist("clean", "--dry-run", "--yes", **mine).returncode == 2
    nobody = scientist("clean", **mine)
    assert nobody.returncode == 2 and "add --yes" in nobody.stderr and (cache / unused).is_dir() and litter.is_dir()

    found = json.loads(scientist("clean", "--json", **mine).stdout)
    assert [entry["outcome"] for entry in found["entries"]] == ["", ""] and litter.is_dir()
    assert all(entry["used_by"] == [] for entry in found["entries"])
    whole = journal.read_bytes()
    journal.write_text("damaged\n")  # that workspace may use anything
    kept = scientist("clean", "--yes", **mine)
    assert "perhaps, since it cannot be read" in kept.stdout and (cache / unused).is_dir() and not litter.exists()
    journal.write_bytes(whole)

    done = scientist("clean", "--yes", **mine)
    assert done.returncode == 0 and "freed 4 B" in done.stdout
    assert not (cache / used).exists() and not (cache / unused).exists()
    assert "holds no environment and no prepared data" in scientist("clean", **mine).stdout


def test_many_small_folders_are_one_line(scientist: Scientist, folder: Path) -> None:
    for number in range(8):
        (folder / "cache" / "baselines" / f"{number:016x}").mkdir(parents=True)
    listed = scientist("clean", "--dry-run", SCIENTIST_CACHE=str(folder / "cache")).stdout.splitlines()
    (line,) = [line for line in listed if "less than 1 MiB" in line]
    assert "8 folders" in line and not any("0000000000000001" in line for line in listed)
