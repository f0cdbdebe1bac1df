"""Put functions, classes and constants of a text in the place of those that a Python file has at its top level.

Each stands there once. `class X:` around methods that X has, each once, stands for those methods. Decorators that the
text leaves out, the comment behind a constant and its annotation, and all text around, stay as they are. Imports that
the file lacks go below its own.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from agent.core.code.source import dump_tree, parse

__all__ = ["Change", "DefinitionNode", "are_parts", "has_definitions", "part_names", "replace_parts"]

DefinitionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Constant = ast.Assign | ast.AnnAssign
_Lines = Sequence[str]
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class Change:
    """Lines start..stop (0-based, stop excluded) become new."""

    start: int
    stop: int
    new: tuple[str, ...]


class _Unfit(Exception):
    """Why a part has no place. Never leaves this module."""


def _name(node: ast.stmt) -> str:
    """The name that a definition or a constant gives, "" if the statement is neither."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
            return name
        case _:
            return ""


def part_names(nodes: Sequence[ast.stmt]) -> list[str]:
    """Names of the definitions and constants among the statements, in order."""
    return [name for node in nodes if (name := _name(node))]


def has_definitions(nodes: Sequence[ast.stmt], *, alone: bool = False) -> bool:
    """Whether some statement, or with `alone` each of them, is a function or a class."""
    return (all if alone else any)(isinstance(node, DefinitionNode) for node in nodes)


def are_parts(nodes: Sequence[ast.stmt]) -> bool:
    """Whether a text is nothing but definitions and constants, with imports or without."""
    named = [bool(_name(node)) for node in nodes]
    imports = [isinstance(node, ast.Import | ast.ImportFrom) for node in nodes]
    return any(named) and all(a or b for a, b in zip(named, imports, strict=True))


def replace_parts(before: _Lines, given: _Lines) -> list[Change] | str:
    """The changes of a file that put the parts in their places, or why there are none.

    before, given: lines of the file and of the text, both of which parse.
    """
    if any("\r" in line for line in (*before, *given)):
        return "A carriage return stands inside a line, of the file or of the text."
    old, new = parse("\n".join(before)), parse("\n".join(given))
    if not isinstance(old, ast.Module) or not isinstance(new, ast.Module):
        return "It is no Python, or the file is none."
    try:
        return _changes(old, new, before, given)
    except _Unfit as unfit:
        return str(unfit)


def _changes(old: ast.Module, new: ast.Module, before: _Lines, given: _Lines) -> list[Change]:
    changes = list(_new_imports(old, new, given))
    stored, definitions = _stored(old), _definitions(old.body)
    constants = {_name(node): node for node in old.body if isinstance(node, _Constant)}
    for node in new.body:
        if isinstance(node, DefinitionNode):
            own = definitions.get(node.name)
            if own is None:
                raise _Unfit(
                    f"{node.name} is not in the file, or not once, at its top level; send the whole file instead."
                )
            changes += [_definition(*pair, given) for pair in _pair(own, node)]
        elif isinstance(node, _Constant):
            changes.append(_constant(constants.get(_name(node)), stored[_name(node)], node, before, given))
    changes.sort(key=lambda change: (change.start, change.stop))
    if any(a.stop > b.start for a, b in pairwise(changes)):
        raise _Unfit("The block defines the same name twice.")
    return changes


# imports


def _new_imports(old: ast.Module, new: ast.Module, given: _Lines) -> Iterator[Change]:
    """The imports that the file lacks, below the last of those that it begins with."""
    known = {name for node in _top_level(old) for name in _imported(node)}
    missing = [node for node in new.body if not known.issuperset(_imported(node))]
    if not missing:
        return
    if any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in missing):
        raise _Unfit("It has an import from __future__, which the file lacks; send the whole file.")
    first = ast.get_docstring(old, clean=False) is not None
    leading = takewhile(lambda node: isinstance(node, ast.Import | ast.ImportFrom), old.body[first:])
    at = max([0, *(node.end_lineno or 0 for node in (*old.body[:first], *leading))])
    for node in missing:
        yield Change(at, at, tuple(given[node.lineno - 1 : node.end_lineno]))


def _imported(node: ast.AST) -> set[tuple[str, str, str]]:
    match node:
        case ast.Import(names=names):
            return {("", alias.name, alias.asname or "") for alias in names}
        case ast.ImportFrom(module=module, names=names, level=level):
            return {("." * level + (module or ""), alias.name, alias.asname or "") for alias in names}
        case _:
            return set()


# constants


def _stored(tree: ast.Module) -> Counter[str]:
    """How often each name is given a value at the top level, in whatever statement."""
    found: Counter[str] = Counter()
    for node in _top_level(tree):
        found.update(bound for _, name, asname in _imported(node) if (bound := asname or name.partition(".")[0]))
        if isinstance(node, DefinitionNode):
            found[node.name] += 1
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found[node.id] += 1
    return found


def _top_level(tree: ast.Module) -> Iterator[ast.AST]:
    """All nodes outside of functions, classes and comprehensions, and these themselves."""
    left: list[ast.AST] = list(tree.body)
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, (*_SCOPES, *_COMPREHENSIONS)):
            left += ast.iter_child_nodes(node)


def _constant(own: _Constant | None, stored: int, node: _Constant, before: _Lines, given: _Lines) -> Change:
    """The file's line of a constant with the value that the text gives it. stored: how often the file gives it one."""
    name = _name(node)
    if own is None or stored != 1:
        many = f"{name} is given a value at {stored} places of the file; send a SEARCH/REPLACE block."
        raise _Unfit(many if stored else f"No line of the file gives {name} a value at its top level.")
    left, right, rest = _cut(node, given)
    own_left, own_right, own_rest = _cut(own, before)
    if isinstance(own, ast.AnnAssign) and not isinstance(node, ast.AnnAssign):
        left = own_left
    if right.split() == own_right.split() and left.split() == own_left.split():
        return Change(own.lineno - 1, own.end_lineno or own.lineno, tuple(before[own.lineno - 1 : own.end_lineno]))
    new = tuple(f"{left}{right}{rest.rstrip() or own_rest}".split("\n"))
    return Change(own.lineno - 1, own.end_lineno or own.lineno, new)


def _cut(node: _Constant, lines: _Lines) -> tuple[str, str, str]:
    """A constant up to its sign `=`, the value, and what stands behind on its last line: nothing, or a comment."""
    held = list(lines[node.lineno - 1 : node.end_lineno])
    target = node.annotation if isinstance(node, ast.AnnAssign) else node.targets[0]
    first, last = held[0], held[-1]
    rest = last.encode()[node.end_col_offset or 0 :].decode()
    if rest.strip() and not rest.lstrip().startswith("#"):
        raise _Unfit(f"{_name(node)} shares its line with another statement; send a SEARCH/REPLACE block.")
    if target.end_lineno != node.lineno or first[:1].isspace() or node.col_offset:
        raise _Unfit(f"{_name(node)} is not written in one line up to its value; send a SEARCH/REPLACE block.")
    begun = len(first.encode()[: target.end_col_offset or 0].decode())
    at = first.find("=", begun) + 1
    if not at:
        raise _Unfit(f"{_name(node)} is not written in one line up to its value; send a SEARCH/REPLACE block.")
    held[-1] = last[: len(last) - len(rest)]
    return held[0][:at], "\n".join([held[0][at:], *held[1:]]), rest


# functions and classes


def _definitions(nodes: Sequence[ast.stmt]) -> dict[str, DefinitionNode]:
    """The functions and classes by name, without those of which there are several."""
    found = [node for node in nodes if isinstance(node, DefinitionNode)]
    counts = Counter(node.name for node in found)
    return {node.name: node for node in found if counts[node.name] == 1}


def _definition(own: DefinitionNode, node: DefinitionNode, given: _Lines) -> Change:
    if own.col_offset != node.col_offset:
        raise _Unfit(f"{node.name} is not indented as in the file.")
    start = own.lineno if not node.decorator_list else min([own.lineno, *(d.lineno for d in own.decorator_list)])
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return Change(start - 1, own.end_lineno or start, tuple(given[first - 1 : node.end_lineno]))


def _bound(nodes: Sequence[ast.stmt]) -> set[str]:
    """Names that a class body defines or assigns."""
    names = {node.name for node in nodes if isinstance(node, DefinitionNode)}
    for node in nodes:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def _header(node: ast.ClassDef) -> list[str]:
    return [dump_tree(part) or str(id(part)) for part in (*node.bases, *node.keywords, *node.decorator_list)]


def _pair(own: DefinitionNode, node: DefinitionNode) -> list[tuple[DefinitionNode, DefinitionNode]]:
    """Which definitions of the file the text's replace: the whole of one, or some methods of a class."""
    if not isinstance(own, ast.ClassDef) or not isinstance(node, ast.ClassDef):
        if isinstance(own, ast.ClassDef) != isinstance(node, ast.ClassDef):
            raise _Unfit(f"{own.name} is a class in one and a function in the other.")
        return [(own, node)]
    pairs: list[tuple[DefinitionNode, DefinitionNode]] = []
    methods = _definitions(own.body)
    for method in node.body:
        theirs = methods.get(method.name) if isinstance(method, DefinitionNode) else None
        if isinstance(method, DefinitionNode) and theirs is not None:
            pairs.append((theirs, method))
    if len(pairs) == len(node.body) < len(own.body):
        if _header(node) and _header(node) != _header(own):
            raise _Unfit(
                f"The head of class {node.name} is another than in the file; send all of the class to change it."
            )
        return pairs
    if _bound(own.body) <= _bound(node.body):
        return [(own, node)]
    raise _Unfit(f"class {node.name} is neither whole nor only methods that the file has in it, each once.")
