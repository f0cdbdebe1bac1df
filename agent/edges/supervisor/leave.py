"""The end of a process that is started for every step."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

__all__ = ["leave"]


def leave(code: int) -> NoReturn:
    """End this process as it stands. To take its interpreter apart first would take a third as long as its start."""
    sys.stderr.flush()
    os._exit(code)
