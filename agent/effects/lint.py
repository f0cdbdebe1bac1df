"""Lint a commit: findings that the last good code did not have fail the attempt before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.core.code.findings import LintFinding, check_calls, new_findings
from agent.core.code.source import python_lines
from agent.core.failure.diagnose import lint_failure
from agent.core.failure.folding import cut_line
from agent.core.journal.action_results import Linted
from agent.core.journal.state import State
from agent.edges.system.reader import Unread, read_apart
from agent.effects.edges import Edges

LINES_BEFORE, LINES_AFTER = 3, 3
SHOWN = 100  # findings: the text of a failure has room for fewer


def lint(edges: Edges, state: State, commit: str) -> Linted:
    """Check the Python files that differ from the last good code."""
    before, after = edges.repo.read(state.code.good), edges.repo.read(commit)
    changed = {n: t for n, t in after.items() if n.endswith(".py") and before.get(n) != t}
    known = {n: before[n] for n in changed if n in before}
    interpreter = Path(state.launched.python)
    found = (*edges.linter.check(changed, interpreter), *_check_calls(edges, changed))
    old = (*edges.linter.check(known, interpreter), *_check_calls(edges, known)) if found else ()
    fresh = new_findings(old, found)
    lines = {name: python_lines(text) for name, text in changed.items()}
    shown = [_show(finding, lines[finding.path]) for finding in fresh[:SHOWN]]
    return Linted(failure=lint_failure(shown, more=len(fresh) - len(shown)) if shown else None)


def _check_calls(edges: Edges, files: Mapping[str, str]) -> tuple[LintFinding, ...]:
    """The findings, none if the code cannot be read for them: the smoke run comes next."""
    found = read_apart(edges.workspace.is_stopped, check_calls, files)
    return () if isinstance(found, Unread) else found


def _show(finding: LintFinding, lines: Sequence[str]) -> str:
    """The finding with the lines around it."""
    first = max(1, finding.line - LINES_BEFORE)
    around = "\n".join(
        f"{'>' if n == finding.line else ' '} {n:4d} {cut_line(lines[n - 1])}"
        for n in range(first, min(len(lines), finding.line + LINES_AFTER) + 1)
    )
    return f"{finding.path}:{finding.line}:{finding.column}: {finding.code} {finding.message}\n{around}"
