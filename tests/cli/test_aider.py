"""Which aider command `--editor aider` uses."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent.cli.models import find_aider
from agent.errors import UsageError


def test_the_command_that_is_named_goes_before_the_one_that_was_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCIENTIST_CACHE", str(tmp_path))
    monkeypatch.setenv("SCIENTIST_AIDER", sys.executable)
    assert find_aider() == Path(sys.executable)
    monkeypatch.setenv("SCIENTIST_AIDER", str(tmp_path))
    with pytest.raises(UsageError, match="is no command; name the aider executable"):
        find_aider()
    monkeypatch.delenv("SCIENTIST_AIDER")
    with pytest.raises(UsageError, match=r"its environment is not built; build it .*: scientist setup aider"):
        find_aider()
