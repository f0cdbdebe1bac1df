"""Time for which a supervisor could not run."""

from __future__ import annotations

import selectors
import time

import pytest

from agent.edges.supervisor import stop_signal


class LateSelector(selectors.SelectSelector):
    late_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        time.sleep((timeout or 0.0) + self.late_s)
        return []


@pytest.mark.parametrize(("late_s", "is_frozen"), [(0.05, False), (0.4, True)])
def test_only_a_pause_that_no_load_explains_counts_as_one(
    late_s: float, is_frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop_signal, "FROZEN_S", 0.3)
    selector = LateSelector()
    selector.late_s = late_s
    ready, frozen_s = stop_signal.wait_awake(selector, 0.01)
    assert ready == [] and (frozen_s >= late_s if is_frozen else frozen_s == 0.0)
