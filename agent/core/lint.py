"""Findings in Python source: which of them an edit brought in, and calls that can only fail."""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

BAD_CALL = "C001"

# Bases under which calling a class is calling its own __init__. Any other may come with a metaclass or a __new__.
_PLAIN_BASES = {
    "abc.ABC",
    "torch.nn.Module",
    "torch.nn.modules.Module",
    "torch.optim.Optimizer",
    "torch.optim.optimizer.Optimizer",
    "torch.utils.data.Dataset",
    "torch.utils.data.IterableDataset",
} | {"object", "Exception", "ValueError", "RuntimeError", "TypeError", "KeyError", "LookupError", "OSError"}

# Words in the name of a context manager or function that expects a failure: raises, assertRaises, suppress, ...
_SWALLOWING = ("raise", "suppress", "expect", "error", "catch", "fail", "warn", "throw", "except", "ignor")

# Names that can change a definition behind the reader's back.
_UNSETTLING_NAMES = {"globals", "vars", "locals", "exec", "setattr", "__builtins__"}
_UNSETTLING_ATTRIBUTES = {"__init__", "__new__", "__call__", "__defaults__", "__kwdefaults__", "__code__", "__class__"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault; line and column count from 1, `text` is the source line."""

    path: str
    line: int
    column: int
    code: str
    message: str
    text: str


def new_findings(before: Iterable[Finding], after: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those of `after` that `before` lacks, however lines moved: compared by path, code and message, with their number.

    Where only some of several alike are new, those whose source line is known are the old ones.
    """
    known = list(before)
    by_text = Counter((f.path, f.code, f.message, f.text) for f in known)
    unknown: list[Finding] = []
    for finding in after:
        key = (finding.path, finding.code, finding.message, finding.text)
        if by_text[key]:
            by_text[key] -= 1
        else:
            unknown.append(finding)
    moved: Counter[tuple[str, str, str]] = Counter()
    for (path, code, message, _), count in by_text.items():
        moved[path, code, message] += count
    fresh: list[Finding] = []
    for finding in unknown:
        kind = (finding.path, finding.code, finding.message)
        if moved[kind]:
            moved[kind] -= 1
        else:
            fresh.append(finding)
    return tuple(fresh)


def check_calls(files: Mapping[str, str]) -> tuple[Finding, ...]:
    """Calls of a function or class of the same file with arguments that it does not take.

    Silent whenever unsure: about decorated, redefined, shadowed or patched definitions, `*` and `**` on either side,
    inherited constructors, unknown base classes, and calls where a TypeError would be caught.
    """
    found: list[Finding] = []
    for path, text in sorted(files.items()):
        if not path.endswith(".py"):
            continue
        try:
            module = ast.parse(text.removeprefix("\ufeff"))
            calls = list(_bad_calls(module))
        except (SyntaxError, ValueError, RecursionError):
            continue  # the syntax check says so
        lines = text.split("\n")  # as Python counts them: not at form feeds
        for call, message in calls:
            line = lines[call.lineno - 1].strip() if call.lineno <= len(lines) else ""
            found.append(Finding(path, call.lineno, call.col_offset + 1, BAD_CALL, message, line))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Signature:
    """What a call may pass; `positional` in order, those that may not be named in `positional_only`."""

    name: str
    positional: tuple[str, ...]
    positional_only: frozenset[str]
    keyword_only: frozenset[str]
    required: tuple[str, ...]

    def objection(self, call: ast.Call) -> str | None:
        """Why the call must raise TypeError."""
        given = {keyword.arg for keyword in call.keywords if keyword.arg}
        takes = [name for name in self.positional if name not in self.positional_only] + sorted(self.keyword_only)
        for name in sorted(given.difference(takes)):
            return f"{self.name}() has no parameter {name!r}; it takes {', '.join(takes) or 'no keywords'}"
        if len(call.args) > len(self.positional):
            return f"{self.name}() takes {len(self.positional)} positional arguments, {len(call.args)} are given"
        filled = self.positional[: len(call.args)]
        for name in filled:
            if name in given:
                return f"{self.name}() is given {name!r} twice, by position and by name"
        missing = [name for name in self.required if name not in given and name not in filled]
        if missing:
            return f"{self.name}() needs {', '.join(map(repr, missing))}, which the call does not pass"
        return None


def _bad_calls(module: ast.Module) -> Iterator[tuple[ast.Call, str]]:
    signatures = _signatures(module)
    if not signatures:
        return
    for call in _certain_calls(module):
        signature = signatures.get(call.func.id) if isinstance(call.func, ast.Name) else None
        is_open = any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords)
        if signature is not None and not is_open:
            message = signature.objection(call)
            if message is not None:
                yield call, message


def _certain_calls(node: ast.AST, *, in_class: bool = False) -> Iterator[ast.Call]:
    """Calls whose failure nobody catches; not those run in a class body, which has names of its own."""
    if isinstance(node, ast.Try | ast.TryStar) and node.handlers:
        parts: list[ast.AST] = [*node.handlers, *node.orelse, *node.finalbody]
    elif isinstance(node, ast.With | ast.AsyncWith):
        parts = [item.context_expr for item in node.items]
        if not any(map(_may_swallow, parts)):
            parts += node.body
    elif isinstance(node, ast.ClassDef):
        for outer in [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]:
            yield from _certain_calls(outer, in_class=in_class)
        for inner in node.body:
            yield from _certain_calls(inner, in_class=True)
        return
    elif isinstance(node, _Function):
        in_class, parts = False, list(node.body)
    elif isinstance(node, ast.Call) and _may_swallow(node.func):
        parts = []  # assertRaises(TypeError, lambda: f())
    else:
        parts = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Call) and not in_class:
        yield node
    for part in parts:
        yield from _certain_calls(part, in_class=in_class)


def _may_swallow(expression: ast.AST) -> bool:
    names = (getattr(node, "id", getattr(node, "attr", "")).lower() for node in ast.walk(expression))
    return any(word in name for name in names for word in _SWALLOWING)


def _signatures(module: ast.Module) -> dict[str, _Signature]:
    """Signatures of the functions and classes of the module's top level that are surely what their name means."""
    if _is_unsettled(module):
        return {}
    bound = Counter(_bindings(module))
    definitions = {
        node.name: node
        for node in module.body
        if isinstance(node, _Function | ast.ClassDef) and bound[node.name] == 1 and not node.decorator_list
    }
    imports = _imported_names(module)
    found: dict[str, _Signature] = {}
    for name, node in definitions.items():
        if isinstance(node, _Function):
            signature = _signature(name, node.args)
        else:
            signature = _constructor(node, definitions, imports, bound)
        if signature is not None:
            found[name] = signature
    return found


def _is_unsettled(module: ast.Module) -> bool:
    for node in ast.walk(module):
        match node:
            case ast.Name(id=name) if name in _UNSETTLING_NAMES:
                return True
            case ast.Attribute(attr=name, ctx=ast.Store() | ast.Del()) if name in _UNSETTLING_ATTRIBUTES:
                return True
            case ast.Attribute(attr="modules" | "__dict__"):
                return True
            case ast.ImportFrom(names=[ast.alias(name="*")]):
                return True
    return False


def _bindings(module: ast.Module) -> Iterator[str]:
    """Every name the module binds in any scope, once for each time; methods aside, which a bare name never means."""
    methods = {
        id(inner)
        for node in ast.walk(module)
        if isinstance(node, ast.ClassDef)
        for inner in node.body
        if isinstance(inner, _Function)
    }
    for node in ast.walk(module):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                yield name
            case ast.alias(name=name, asname=asname):
                yield asname or name.split(".")[0]
            case ast.arg(arg=name):
                yield name
            case ast.MatchMapping(rest=str(name)):
                yield name
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                yield from names
            case _:
                other = getattr(node, "name", None)  # def, class, except, case, type parameter
                if isinstance(other, str) and id(node) not in methods:
                    yield other


def _imported_names(module: ast.Module) -> dict[str, str]:
    """Full dotted names of what the module's top level imports, by the name it has here."""
    names: dict[str, str] = {}
    for node in module.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _constructor(
    node: ast.ClassDef,
    definitions: Mapping[str, _Function | ast.ClassDef],
    imports: Mapping[str, str],
    bound: Mapping[str, int],
) -> _Signature | None:
    """The signature of a class by its own `__init__`, self left out."""
    if not _is_plain(node, definitions, imports, bound):
        return None
    own = [inner for inner in node.body if getattr(inner, "name", "") == "__init__"]
    nested = sum(getattr(inner, "name", "") == "__init__" for inner in ast.walk(node))
    if len(own) != 1 or nested != 1 or not isinstance(own[0], ast.FunctionDef) or own[0].decorator_list:
        return None
    signature = _signature(node.name, own[0].args)
    if signature is None or not signature.positional or signature.positional[0] not in signature.required:
        return None
    first = signature.positional[0]
    return _Signature(
        signature.name,
        signature.positional[1:],
        signature.positional_only - {first},
        signature.keyword_only,
        tuple(name for name in signature.required if name != first),
    )


def _is_plain(
    node: ast.ClassDef,
    definitions: Mapping[str, _Function | ast.ClassDef],
    imports: Mapping[str, str],
    bound: Mapping[str, int],
) -> bool:
    """Whether neither a metaclass nor a `__new__` stands between a call of the class and its `__init__`."""
    if node.keywords or any(getattr(inner, "name", "") == "__new__" for inner in ast.walk(node)):
        return False
    for base in node.bases:
        name = _dotted(base)
        head, _, rest = name.partition(".")
        local = definitions.get(name)
        if isinstance(local, ast.ClassDef) and local is not node:
            if not _is_plain(local, definitions, imports, bound):
                return False
        elif head in imports and bound[head] == 1:
            if (f"{imports[head]}.{rest}" if rest else imports[head]) not in _PLAIN_BASES:
                return False
        elif bound[head] or not hasattr(builtins, name) or name not in _PLAIN_BASES:
            return False
    return True


def _signature(name: str, arguments: ast.arguments) -> _Signature | None:
    """None when the definition takes `*` or `**`."""
    if arguments.vararg or arguments.kwarg:
        return None
    positional = tuple(argument.arg for argument in (*arguments.posonlyargs, *arguments.args))
    keyword_only = tuple(argument.arg for argument in arguments.kwonlyargs)
    required = positional[: len(positional) - len(arguments.defaults)]
    required += tuple(key for key, default in zip(keyword_only, arguments.kw_defaults, strict=True) if default is None)
    return _Signature(
        name, positional, frozenset(a.arg for a in arguments.posonlyargs), frozenset(keyword_only), required
    )


def _dotted(expression: ast.expr) -> str:
    if isinstance(expression, ast.Name):
        return expression.id
    if isinstance(expression, ast.Attribute):
        head = _dotted(expression.value)
        return f"{head}.{expression.attr}" if head else ""
    return ""
