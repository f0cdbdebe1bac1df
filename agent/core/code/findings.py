"""Findings in Python source: which of them an edit brought in, and calls that can only fail."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from agent.core.code.signatures import read_signatures
from agent.core.code.source import BadPython, parse, python_lines

BAD_CALL = "C001"

# Words in the name of a context manager or function that expects a failure: raises, assertRaises, suppress, ...
_SWALLOWING = ("raise", "suppress", "expect", "error", "catch", "fail", "warn", "throw", "except", "ignor")


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One fault that a linter or the call check found."""

    # Name of the file, as edits name it.
    path: str
    # Counted from 1.
    line: int
    # Counted from 1.
    column: int
    # Of the rule: "F821".
    code: str
    # The fault in the linter's words.
    message: str
    # The source line.
    text: str


def new_findings(before: Iterable[LintFinding], after: Iterable[LintFinding]) -> tuple[LintFinding, ...]:
    """Those of `after` that `before` lacks, however lines moved: compared by path, code and message, with their number.

    If only some of several alike are new, those whose source line is known are the old ones.
    """
    known = list(before)
    by_text = Counter((f.path, f.code, f.message, f.text) for f in known)
    unknown: list[LintFinding] = []
    for finding in after:
        key = (finding.path, finding.code, finding.message, finding.text)
        if by_text[key]:
            by_text[key] -= 1
        else:
            unknown.append(finding)
    moved: Counter[tuple[str, str, str]] = Counter()
    for (path, code, message, _), count in by_text.items():
        moved[path, code, message] += count
    fresh: list[LintFinding] = []
    for finding in unknown:
        kind = (finding.path, finding.code, finding.message)
        if moved[kind]:
            moved[kind] -= 1
        else:
            fresh.append(finding)
    return tuple(fresh)


def check_calls(files: Mapping[str, str]) -> tuple[LintFinding, ...]:
    """Calls of a function or class of the same file with arguments that it does not take.

    Silent if unsure (see `read_signatures`), about calls with `*` or `**`, and if a TypeError would be caught.
    """
    found: list[LintFinding] = []
    for path, text in sorted(files.items()):
        if not path.endswith(".py"):
            continue
        module = parse(text)
        if isinstance(module, BadPython):
            continue  # the syntax check says so
        try:
            calls = list(_bad_calls(module))
        except RecursionError:
            continue
        lines = python_lines(text)
        for call, message in calls:
            line = lines[call.lineno - 1].strip() if call.lineno <= len(lines) else ""
            found.append(LintFinding(path, call.lineno, call.col_offset + 1, BAD_CALL, message, line))
    return tuple(found)


def _bad_calls(module: ast.Module) -> Iterator[tuple[ast.Call, str]]:
    signatures = read_signatures(module)
    if not signatures:
        return
    for call in _certain_calls(module):
        signature = signatures.get(call.func.id) if isinstance(call.func, ast.Name) else None
        is_open = any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords)
        if signature is not None and not is_open:
            message = signature.objection(call)
            if message is not None:
                yield call, message


def _certain_calls(module: ast.Module) -> Iterator[ast.Call]:
    """Calls whose failure nobody catches, except in a class body, which has names of its own."""
    swallowing = _find_swallowing(module)
    waiting: list[tuple[ast.AST, bool]] = [(module, False)]  # with whether it stands in a class body
    while waiting:
        node, in_class = waiting.pop()
        if isinstance(node, ast.Call) and not in_class:
            yield node
        waiting += reversed(list(_parts(node, in_class, swallowing)))


def _parts(node: ast.AST, in_class: bool, swallowing: Collection[int]) -> Iterator[tuple[ast.AST, bool]]:
    """The parts of a node whose failure is not caught there, each with whether it stands in a class body."""
    if isinstance(node, ast.Try | ast.TryStar) and node.handlers:
        parts: list[ast.AST] = [*node.handlers, *node.orelse, *node.finalbody]
    elif isinstance(node, ast.With | ast.AsyncWith):
        parts = [item.context_expr for item in node.items]
        if not any(id(part) in swallowing for part in parts):
            parts += node.body
    elif isinstance(node, ast.ClassDef):
        keywords = (keyword.value for keyword in node.keywords)
        yield from ((outer, in_class) for outer in (*node.decorator_list, *node.bases, *keywords))
        in_class, parts = True, list(node.body)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        in_class, parts = False, list(node.body)
    elif isinstance(node, ast.Call) and id(node.func) in swallowing:
        parts = []  # assertRaises(TypeError, lambda: f())
    else:
        parts = list(ast.iter_child_nodes(node))
    yield from ((part, in_class) for part in parts)


def _find_swallowing(module: ast.Module) -> set[int]:
    """Ids of the nodes that hold a name which says that a failure is expected."""
    found: set[int] = set()
    for node in reversed(list(ast.walk(module))):  # parts before the whole
        name = str(getattr(node, "id", getattr(node, "attr", ""))).lower()
        if any(word in name for word in _SWALLOWING) or any(id(part) in found for part in ast.iter_child_nodes(node)):
            found.add(id(node))
    return found
