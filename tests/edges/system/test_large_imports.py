"""Large libraries are imported once, and whole for every thread."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.edges.system.large_imports import import_large


def test_a_module_is_whole_for_every_thread_that_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_library.py").write_text("import time\ntime.sleep(0.2)\nwhole = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    together = threading.Barrier(4)

    def ask() -> bool:
        together.wait()
        return bool(import_large("slow_library").whole)

    try:
        with ThreadPoolExecutor(4) as pool:
            assert all(asked.result() for asked in [pool.submit(ask) for _ in range(4)])
    finally:
        sys.modules.pop("slow_library", None)
