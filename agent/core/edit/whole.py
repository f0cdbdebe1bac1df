"""Whole files and whole functions, for the last turn of a repair, when SEARCH/REPLACE blocks did not fit.

A fenced block counts only if the line above it, or its fence line, names a file; any other fence is prose. It holds

a file      all of it, with which the file is replaced or created; or
functions   in a .py file: nothing but complete functions and classes that the file has at its top level, each once,
            while the file has other statements too. `class X:` around methods that X has, each once, stands for those
            methods. They take the place of the old ones; decorators that the block leaves out, and all text around,
            stay as they are.

What is neither, as a part of a file, or a new function among some that the file has, is refused: taken as a whole file
it would delete the rest. The gates are those of edit: paths, placeholders, Python that parses, all or nothing.
SEARCH/REPLACE blocks for other files in the same reply are applied as apply_reply does; so are they alone.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from agent.core.edit.blocks import FENCE, find_blocks, visible_lines
from agent.core.edit.gates import BadPython, find_bad_python
from agent.core.edit.hints import path_hint, show_lines, syntax_hint
from agent.core.edit.lines import Splice, splice, split_body, split_lines
from agent.core.edit.names import find_info_name, find_name, resolve_path
from agent.core.edit.result import Block, EditResult, Reason
from agent.core.edit.seen import Ranges
from agent.core.edit.workbench import Workbench

__all__ = ["apply_whole"]

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_MIN_KEPT = 0.5


@dataclass(frozen=True, slots=True)
class _Fenced:
    """A fenced block that a file name heads; problem: why it cannot be told where it ends, else ""."""

    line: int
    name: str
    body: tuple[str, ...]
    problem: str


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a block is neither a whole file nor whole functions."""

    why: str


def apply_whole(
    files: Mapping[str, str], reply: str, *, editable: Collection[str], shown: Mapping[str, Ranges] | None = None
) -> EditResult:
    """Apply every whole file and whole function of a reply to files (path -> text), or none of them.

    shown: of files that the model saw in part, which lines; what would change others is refused.
    """
    fenced = _find_fenced(reply, editable)
    bench = Workbench(files, editable, shown)
    taken = {_put_fenced(bench, f, editable) for f in fenced}
    for found in find_blocks(reply, editable):
        if found.name is not None and resolve_path(found.name, editable) in taken:
            hint = "The same reply gives this file or its functions whole; put this change in there."
            bench.reject(found.as_block(found.name), Reason.NOT_WHOLE, None, hint)
        else:
            bench.apply(found)
    return bench.result()


def _find_fenced(reply: str, editable: Collection[str]) -> list[_Fenced]:
    """Fenced blocks headed by a file name, SEARCH/REPLACE blocks and reasoning aside."""
    lines, spans = visible_lines(reply)
    hidden = {i for start, stop in spans for i in range(start, (len(lines) if stop is None else stop + 1))}
    found: list[_Fenced] = []
    i = 0
    while i < len(lines):
        fence = FENCE.match(lines[i])
        if fence is None or i in hidden:
            i += 1
            continue
        end = _fence_end(lines, i, fence[1])
        name = find_info_name(fence[2], editable) or _name_above(lines, i, editable)
        if name and not hidden.intersection(range(i, end or len(lines))):
            problem = "" if end is not None else "its fence is not closed"
            found.append(_Fenced(i + 1, name, tuple(lines[i + 1 : end]), problem))
        elif found and not fence[2] and not found[-1].name.endswith(".py") and not (name or hidden):
            found[-1] = _Fenced(found[-1].line, found[-1].name, found[-1].body, "it holds fences as long as its own")
        i = len(lines) if end is None else end + 1
    return found


def _fence_end(lines: Sequence[str], start: int, mark: str) -> int | None:
    """Index of the fence that closes the one at start; a fence with a language inside opens another."""
    depth = 1
    for i in range(start + 1, len(lines)):
        fence = FENCE.match(lines[i])
        if fence and fence[1][0] == mark[0] and len(fence[1]) >= len(mark):
            depth += 1 if fence[2] else -1
            if depth == 0:
                return i
    return None


def _name_above(lines: Sequence[str], fence: int, editable: Collection[str]) -> str | None:
    above = fence - 1
    if above > 0 and not lines[above].strip():
        above -= 1
    return find_name(lines[above], editable) if above >= 0 and not FENCE.match(lines[above]) else None


def _put_fenced(bench: Workbench, fenced: _Fenced, editable: Collection[str]) -> str | Reason:
    """Apply one block, or take down why not; the file it is for."""
    path = resolve_path(fenced.name, editable)
    text = "".join(f"{line}\n" for line in fenced.body)
    if isinstance(path, Reason):
        bench.reject(
            Block(fenced.name, "", text, fenced.line), path, None, path_hint(path, fenced.name, list(editable), [])
        )
        return path
    block = Block(path, "", text, fenced.line)
    before = bench.staged.get(path)
    if fenced.problem:
        hint = f"The block that starts at line {fenced.line} of the reply is malformed: {fenced.problem}."
        bench.reject(block, Reason.MALFORMED, None, hint)
        return path
    if bench.refuse_placeholder(block):
        return path
    after = _whole_text(path, before, text)
    if isinstance(after, BadPython):
        line, hint = syntax_hint(path, fenced.body, after, half_done=False)
        bench.reject(block, Reason.SYNTAX, line, hint)
    elif isinstance(after, _Refusal):
        shown = show_lines(split_lines(before or "").text, 0, 20, context=0)
        bench.reject(block, Reason.NOT_WHOLE, None, f"{after.why} {path} begins:\n{shown}")
    else:
        bench.replace_text(block, after)
    return path


def _whole_text(path: str, before: str | None, text: str) -> str | BadPython | _Refusal:
    """The file after one block."""
    is_python = path.endswith(".py")
    bad = find_bad_python(text) if is_python else None
    if bad is not None:
        return bad
    if not text.strip():
        return _Refusal("The block is empty.")
    if before is None or not before.strip():
        return text
    if not is_python or find_bad_python(before) is not None:
        return _in_the_manner_of(before, text)
    old, new = ast.parse(before.removeprefix("\ufeff")).body, ast.parse(text).body
    if new and all(isinstance(node, _Definition) for node in new) and not all(isinstance(n, _Definition) for n in old):
        return _replace_definitions(before, text, old, new)
    had, has = _names(old), _names(new)
    if had and len(had & has) < _MIN_KEPT * len(had):
        lost = ", ".join(sorted(had - has)[:8])
        return _Refusal(f"As a whole file this would lose most of its functions and classes ({lost}).")
    return _in_the_manner_of(before, text)


def _in_the_manner_of(before: str, text: str) -> str:
    """A whole new text with the byte order mark and line ends of the old one."""
    lines = split_lines(before)
    return splice(lines, [Splice(0, len(lines.text), split_body(text))]).join()


def _names(nodes: Sequence[ast.stmt]) -> set[str]:
    return {node.name for node in nodes if isinstance(node, _Definition)}


def _find_once(nodes: Sequence[ast.stmt], name: str) -> _Definition | None:
    found = [node for node in nodes if isinstance(node, _Definition) and node.name == name]
    return found[0] if len(found) == 1 else None


def _replace_definitions(before: str, text: str, old: Sequence[ast.stmt], new: Sequence[ast.stmt]) -> str | _Refusal:
    """The file with each definition of the block in place of its own of the same name."""
    lines, given = split_lines(before), split_lines(text).text
    pairs: list[tuple[_Definition, _Definition]] = []
    for node in new:
        assert isinstance(node, _Definition)
        own = _find_once(old, node.name)
        if own is None:
            return _Refusal(
                f"{node.name} is not in the file, or not once, at its top level; send the whole file instead."
            )
        chosen = _pair(own, node)
        if isinstance(chosen, _Refusal):
            return chosen
        pairs += chosen
    pairs.sort(key=lambda pair: pair[0].lineno)
    if len({id(own) for own, _ in pairs}) < len(pairs):
        return _Refusal("The block defines the same name twice.")
    splices = []
    for own, node in pairs:
        if own.col_offset != node.col_offset:
            return _Refusal(f"{node.name} is not indented as in the file.")
        start = own.lineno if not node.decorator_list else min([own.lineno, *(d.lineno for d in own.decorator_list)])
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        splices.append(Splice(start - 1, own.end_lineno or start, given[first - 1 : node.end_lineno]))
    return splice(lines, splices).join()


def _bound(nodes: Sequence[ast.stmt]) -> set[str]:
    """Names that a class body defines or assigns."""
    names = _names(nodes)
    for node in nodes:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def _header(node: ast.ClassDef) -> list[str]:
    return [ast.dump(part) for part in (*node.bases, *node.keywords, *node.decorator_list)]


def _pair(own: _Definition, node: _Definition) -> list[tuple[_Definition, _Definition]] | _Refusal:
    """Which definitions of the file the block's replace: the whole of one, or some methods of a class."""
    if not isinstance(own, ast.ClassDef) or not isinstance(node, ast.ClassDef):
        same_kind = isinstance(own, ast.ClassDef) == isinstance(node, ast.ClassDef)
        return [(own, node)] if same_kind else _Refusal(f"{own.name} is a class in one and a function in the other.")
    pairs: list[tuple[_Definition, _Definition]] = []
    for method in node.body:
        theirs = _find_once(own.body, method.name) if isinstance(method, _Definition) else None
        if isinstance(method, _Definition) and theirs is not None:
            pairs.append((theirs, method))
    if len(pairs) == len(node.body) < len(own.body):
        if _header(node) and _header(node) != _header(own):
            return _Refusal(
                f"The head of class {node.name} is another than in the file; send all of the class to change it."
            )
        return pairs
    if _bound(own.body) <= _bound(node.body):
        return [(own, node)]
    return _Refusal(f"class {node.name} is neither whole nor only methods that the file has in it, each once.")
