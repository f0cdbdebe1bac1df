"""Lint a commit: findings that the last good code did not have fail the attempt before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from agent.core.code.findings import LintFinding, check_calls, new_findings
from agent.core.failure.diagnose import lint_failure
from agent.core.journal.action_results import Linted
from agent.core.journal.state import State
from agent.effects.edges import Edges

LINES_BEFORE, LINES_AFTER = 3, 3


def lint(edges: Edges, state: State, commit: str) -> Linted:
    """Check the Python files that differ from the last good code."""
    before, after = edges.repo.read(state.code.good), edges.repo.read(commit)
    changed = {n: t for n, t in after.items() if n.endswith(".py") and before.get(n) != t}
    known = {n: before[n] for n in changed if n in before}
    interpreter = Path(state.launched.python)
    found = (*edges.linter.check(changed, interpreter), *check_calls(changed))
    old = (*edges.linter.check(known, interpreter), *check_calls(known)) if found else ()
    fresh = new_findings(old, found)
    return Linted(failure=lint_failure([_show(f, changed) for f in fresh]) if fresh else None)


def _show(finding: LintFinding, files: Mapping[str, str]) -> str:
    """The finding with the lines around it."""
    lines = files[finding.path].splitlines()
    first = max(1, finding.line - LINES_BEFORE)
    around = "\n".join(
        f"{'>' if n == finding.line else ' '} {n:4d} {lines[n - 1]}"
        for n in range(first, min(len(lines), finding.line + LINES_AFTER) + 1)
    )
    return f"{finding.path}:{finding.line}:{finding.column}: {finding.code} {finding.message}\n{around}"
