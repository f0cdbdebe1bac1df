"""A workspace that a batch lists and that is gone is named by whoever looks at the batch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Scientist, only_workspace
from tests.paths import QUADRATIC


@pytest.fixture
def batch(scientist: Scientist, folder: Path) -> Path:
    launch = ("launch", "ideas.json", "--template", QUADRATIC, "--max-runs", 1)
    assert scientist(*launch, "--pause-before", "run").returncode == 3
    return only_workspace(folder).parent


def test_it_is_told_by_status_and_verify(scientist: Scientist, batch: Path) -> None:
    assert scientist("verify", batch).returncode == 0 and scientist("status", batch).returncode == 0
    for gone, left in (("rates/.agent", ["momentum"]), ("rates", ["momentum"]), ("momentum", [])):
        shutil.rmtree(batch / gone)
        verified = scientist("verify", batch)
        assert verified.returncode == 6, verified.stderr
        assert f"{batch / 'rates'}: batch.json: lists this workspace, and it is gone; put it back" in verified.stdout
        told = json.loads(scientist("verify", batch, "--json").stdout)["workspaces"]
        assert {w["path"]: w["ok"] for w in told}[str(batch / "rates")] is False
        status = scientist("status", batch, "--json")
        assert status.returncode == 6 and f"{batch / 'rates'}: is gone, though batch.json lists it" in status.stderr
        assert [w["name"] for w in json.loads(status.stdout)["workspaces"]] == left
