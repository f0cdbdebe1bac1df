"""Marks of tests that need a sandbox which not every machine has: it is tried, not looked up."""

from __future__ import annotations

import pytest

from agent.edges.sandbox.choose import choose_sandbox
from agent.errors import UsageError

__all__ = ["needs_any", "needs_bwrap", "needs_landlock"]


def _needs(kind: str) -> pytest.MarkDecorator:
    try:
        choose_sandbox(kind)
    except UsageError as error:
        return pytest.mark.skip(reason=error.problem)
    return pytest.mark.skipif(False, reason="it works")


needs_bwrap, needs_landlock, needs_any = _needs("bwrap"), _needs("landlock"), _needs("auto")
