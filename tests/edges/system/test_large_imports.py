from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from agent.edges.system.large_imports import import_large

COLLECTIONS = """
import gc, sys
from agent.edges.system.large_imports import import_large
rounds = lambda: sum(generation["collections"] for generation in gc.get_stats())
begun = rounds()
import_large("pydantic.v1")
print(rounds() - begun, gc.isenabled(), gc.get_freeze_count() > 0)
"""


def test_nothing_is_collected_during_an_import_and_the_collector_is_on_again() -> None:
    done = subprocess.run([sys.executable, "-c", COLLECTIONS], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["0", "True", "True"]


def test_a_module_that_is_there_is_given_as_it_is() -> None:
    frozen = gc.get_freeze_count()
    assert import_large("subprocess") is subprocess
    assert gc.get_freeze_count() == frozen


def test_a_module_that_cannot_be_imported_leaves_the_collector_on() -> None:
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        import_large("nowhere_at_all")
    assert gc.isenabled()
