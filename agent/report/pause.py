"""The commands that go on with an idea, as they are typed."""

from __future__ import annotations

import shlex

from agent.core.journal.kinds import PauseKind
from agent.core.journal.state import State

__all__ = ["ways_further", "ways_on"]


def ways_on(path: str, state: State) -> list[tuple[str, str]]:
    """Each command with its purpose. An idea that has ended has one if replications are left to run, else none."""
    workspace = shlex.quote(path)
    if state.ended:
        left = state.replications.next
        return [("go on", f"scientist replicate {workspace} {left.run}")] if left else []
    resume = f"scientist resume {workspace}"
    pause = state.pause
    if pause is None or pause.kind is not PauseKind.APPROVAL:
        return [("go on", f"{resume} {pause.remedy}".rstrip() if pause else resume)]
    tell = f'scientist tell {workspace} "..." && {resume}'
    if state.attempt.candidate is None:
        return [("approve", resume), ("instruct", tell)]
    look = f"scientist diff {workspace} {state.code.good[:10]} {state.attempt.candidate.commit[:10]}"
    replicates = state.attempt.candidate.commit == state.code.good
    return [*([] if replicates else [("look", look)]), ("approve", resume), ("set aside", tell)]


def ways_further(path: str, state: State, best: int | None) -> list[tuple[str, str]]:
    """What may be done with an idea that has ended, each command with its purpose. best: number of its best run."""
    if not state.ended or not state.rows:
        return []
    workspace = shlex.quote(path)
    ways = [("more runs", f"scientist resume {workspace} --max-runs {len(state.rows) + 3}")]
    if best is not None:
        begin = f"scientist launch IDEAS --from {shlex.quote(f'{path}@run/{best}')}"
        ways += [("fresh seeds", f"scientist replicate {workspace} {best}"), ("another idea from there", begin)]
    return ways
