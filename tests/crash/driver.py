"""An orchestrator to be killed: goes on with every idea of a batch as `scientist resume --all` does, models apart.

python -m tests.crash.driver BATCH
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agent.cli import drive
from agent.core.journal.events import Resumed
from agent.edges.workspace.layout import find_workspaces
from tests.crash.crash_idea import note, use_tellers


def drive_batch(batch: Path) -> int:
    """Go on with the batch, note messages beside it, and return the worst exit code."""
    with pytest.MonkeyPatch.context() as patch:
        use_tellers(patch)
        for name in ("say", "note"):
            patch.setattr(drive, name, lambda text: note(batch.parent / "said", text))
        return drive.drive_all(find_workspaces(batch), resumed=lambda state: Resumed())


if __name__ == "__main__":
    sys.exit(drive_batch(Path(sys.argv[1])))
