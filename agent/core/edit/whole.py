"""Apply whole files, functions, classes and constants of a reply.

A text under a file's name is one of two:

a file      all of it. The file is replaced or created.
parts       in a .py file: nothing but complete functions, classes and constants that the file has at its top level,
            each once, and imports, while the file has other statements too (core/code/parts.py).

Anything else, as a part of a file, or a new function among some that the file has, is refused: taken as a whole file
it would delete the rest. So a whole file has most of the old lines, or at least most of the functions, or is a script
much longer than the old one. If nobody asked for it, it has both lines and functions. Lines that the file has already,
before the reply's blocks or after them, are a quotation and change nothing, and so are parts that the words above call
an example. The checks are those of every edit: paths, placeholders, Python that parses, all or nothing.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from agent.core.code.parts import DefinitionNode, are_parts, has_definitions, replace_parts
from agent.core.code.source import BadPython, find_bad_python, parse
from agent.core.edit.formats.found import FoundText
from agent.core.edit.hints import path_hint, show_lines, syntax_hint
from agent.core.edit.lines import Splice, splice, split_body, split_lines
from agent.core.edit.match import places
from agent.core.edit.result import Block, Reason
from agent.core.edit.settle import as_in_file
from agent.core.edit.workbench import Workbench, resolve_path

__all__ = ["put_text"]

_MIN_KEPT = 0.5
_NEARLY_ALL = 0.8
_GROWN = {True: 1.0, False: 2.0}  # length of a script written anew, by whether that was asked for
_EXAMPLE = "The words above this fence call it an example; if it is the edit, leave them out."


@dataclass(frozen=True, slots=True)
class _Unusable:
    """Why a block is neither a whole file nor whole functions."""

    why: str


def put_text(bench: Workbench, fenced: FoundText, editable: Collection[str]) -> str | Reason:
    """Apply one whole file or definition, or note why not. Returns the path of its file."""
    if not fenced.name:
        return _refuse_nameless(bench, fenced, editable)
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
    if not fenced.is_asked and _is_quotation(fenced.body, *bench.versions(path)):
        if fenced.is_named:
            bench.same.append(path)
        return path
    if not fenced.is_asked and bench.has_edited(path, but_whole=_is_of_parts(path, text)):
        hint = f"Other edits of the same reply lead to another text of {path} than this one; send one of the two."
        bench.reject(block, Reason.NOT_WHOLE, None, hint)
        return path
    _put(bench, fenced, block, before)
    return path


def _put(bench: Workbench, fenced: FoundText, block: Block, before: str | None) -> None:
    """Take the text, or note what is wrong with it."""
    path, text = block.path, block.replace
    read = as_in_file(block, *(split_lines(version).text for version in bench.versions(path)))
    if isinstance(read, str):
        return bench.reject(block, Reason.NUMBERED, None, f"The text cannot be taken: {read}.")
    if bench.refuse_placeholder(block):
        return None
    after = _whole_text(path, before, text, fenced.is_asked)
    if isinstance(after, BadPython):
        line, hint = syntax_hint(path, fenced.body, after, half_done=False)
        return bench.reject(block, Reason.SYNTAX, line, hint)
    if isinstance(after, _Unusable):
        shown = show_lines(split_lines(before or "").text, 0, 20, context=0)
        return bench.reject(block, Reason.NOT_WHOLE, None, f"{after.why} {path} begins:\n{shown}")
    if fenced.is_example and not fenced.is_asked and _is_of_parts(path, text):
        return bench.reject(block, Reason.NOT_WHOLE, None, _EXAMPLE)
    if not bench.refuse_placeholder(block, (split_lines(before or "").text, split_lines(after).text)):
        bench.replace_text(block, after)
    return None


def _is_of_parts(path: str, text: str) -> bool:
    """Whether a text is functions, classes and constants alone."""
    tree = parse(text) if path.endswith(".py") else None
    return isinstance(tree, ast.Module) and are_parts(tree.body)


def _refuse_nameless(bench: Workbench, fenced: FoundText, editable: Collection[str]) -> Reason:
    """Refuse a fence without a name that holds most lines of an editable file and others too. Any other is prose."""
    given = {line.strip() for line in fenced.body if line.strip()}
    for path in editable:
        before, after = bench.versions(path)
        lines = {line.strip() for line in before.split("\n") if line.strip()}
        is_like = len(lines) > 1 and len(lines & given) >= _MIN_KEPT * len(lines)
        if is_like and not _is_quotation(fenced.body, before, after):
            text = "".join(f"{line}\n" for line in fenced.body)
            hint = f"This fence looks like all of {path}, but names no file. Write the name on the line above it."
            bench.reject(Block("", "", text, fenced.line), Reason.NO_FILE, None, hint)
            break
    return Reason.NO_FILE


def _is_quotation(body: Sequence[str], *versions: str) -> bool:
    """Whether the lines are those of one of the texts, or a part of it. Nearly all of its lines are no quotation."""
    held = _without_ends(body)
    count = sum(map(bool, held))
    for text in versions:
        lines = _without_ends(split_lines(text).text)
        is_part = count < _NEARLY_ALL * sum(map(bool, lines))
        if not held or held == lines or (is_part and places(lines, held)):
            return True
    return False


def _without_ends(lines: Sequence[str]) -> list[str]:
    """The lines without blanks at their ends and without empty ones at the end."""
    bare = [line.rstrip() for line in lines]
    while bare and not bare[-1]:
        bare.pop()
    return bare


def _whole_text(path: str, before: str | None, text: str, is_asked: bool) -> str | BadPython | _Unusable:
    """The file after one block."""
    is_python = path.endswith(".py")
    bad = find_bad_python(text) if is_python else None
    if bad is not None:
        return bad
    if not text.strip():
        return _Unusable("The block is empty.")
    if before is None or not before.strip():
        return text
    old_tree, new_tree = (parse(before), parse(text)) if is_python else (None, None)
    old = old_tree.body if isinstance(old_tree, ast.Module) else []
    new = new_tree.body if isinstance(new_tree, ast.Module) else []
    whole = _whole_file(before, text, old, new_tree, is_asked=is_asked)
    if not old or not are_parts(new):
        return whole
    parts = _with_parts(before, text)
    if not has_definitions(new, alone=True):
        is_sure = not has_definitions(new) or not are_parts([n for n in old if not _is_text(n)])
        tried = [parts, whole] if is_sure else [whole, parts]
    else:
        tried = [whole, parts] if has_definitions(old, alone=True) else [parts]
    return next((each for each in tried if isinstance(each, str)), tried[0])


def _is_text(node: ast.stmt) -> bool:
    """Whether a statement is nothing but a string, as a docstring is."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _with_parts(before: str, text: str) -> str | _Unusable:
    """The file with each part of the text in the place of its own."""
    lines = split_lines(before)
    changes = replace_parts(lines.text, split_lines(text).text)
    if isinstance(changes, str):
        return _Unusable(changes)
    return splice(lines, [Splice(change.start, change.stop, change.new) for change in changes]).join()


def _whole_file(
    before: str, text: str, old: Sequence[ast.stmt], new_tree: ast.Module | BadPython | None, *, is_asked: bool
) -> str | _Unusable:
    """The text as all of the file."""
    had, has = _names(old), _names(new_tree.body if isinstance(new_tree, ast.Module) else [])
    if had and len(had & has) < _MIN_KEPT * len(had):
        lost = ", ".join(sorted(had - has)[:8])
        return _Unusable(f"As a whole file this would lose most of its functions and classes ({lost}).")
    still_used = sorted((had - has) & _free_names(new_tree))
    if still_used and len(has) < len(had):  # else it gives them other names, and lint finds what it missed
        advice = "Send all of the file, or SEARCH/REPLACE blocks."
        return _Unusable(f"It uses {still_used[0]}, which the file defines and this text does not. {advice}")
    grown = _GROWN[is_asked] if new_tree is not None else None
    if (not had or not is_asked) and (lost_lines := _lost_lines(before, text, grown)):
        return _Unusable(f"As a whole file this would lose {lost_lines} of its lines.")
    return _in_the_manner_of(before, text)


def _lost_lines(before: str, text: str, grown: float | None) -> str:
    """How many lines of a file a new text lacks, "" if few enough or if it has `grown` times as many."""
    old, new = (Counter(line.strip() for line in t.split("\n") if line.strip()) for t in (before, text))
    count, kept = old.total(), (old & new).total()
    if kept >= _MIN_KEPT * count or (grown is not None and new.total() >= grown * count):
        return ""
    return f"{count - kept} of the {count}"


def _in_the_manner_of(before: str, text: str) -> str:
    """A whole new text with the byte order mark and line ends of the old one."""
    lines = split_lines(before)
    return splice(lines, [Splice(0, len(lines.text), split_body(text))]).join()


def _names(nodes: Sequence[ast.stmt]) -> set[str]:
    return {node.name for node in nodes if isinstance(node, DefinitionNode)}


def _free_names(tree: ast.Module | BadPython | None) -> set[str]:
    """Names that a program uses and binds nowhere."""
    used: set[str] = set()
    bound: set[str] = set()
    for node in ast.walk(tree) if isinstance(tree, ast.Module) else ():
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Name(id=name) | ast.arg(arg=name):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.alias(name=name, asname=asname):
                bound.add(asname or name.partition(".")[0])
    return used - bound
