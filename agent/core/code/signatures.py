"""The arguments that functions and classes of a module surely take, read from its source alone."""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

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

_HARMLESS_OPTIONS = {"repr", "eq", "order", "unsafe_hash", "frozen", "match_args", "slots"}  # of dataclass()

# Names that can change a definition behind the reader's back.
_UNSETTLING_NAMES = {"globals", "locals", "exec", "__builtins__"}
_UNSETTLING_ATTRIBUTES = {"__init__", "__new__", "__call__", "__defaults__", "__kwdefaults__", "__code__", "__class__"}


@dataclass(frozen=True, slots=True)
class Signature:
    """The arguments that a call may pass. `positional` is in order, `positional_only` may not be named."""

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


def read_signatures(module: ast.Module) -> dict[str, Signature]:
    """Signatures of the top-level functions and classes whose name surely means them and nothing else.

    Left out are decorated (`dataclass` apart), redefined, shadowed and patched ones, those that take `*` or `**`, and
    classes that inherit their constructor or have a base which is not known to leave it alone.
    """
    if _is_unsettled(module):
        return {}
    bound = Counter(_bindings(module))
    imports = {name: full for name, full in _imported_names(module).items() if bound[name] == 1}
    found: dict[str, Signature] = {}
    definitions: dict[str, _Function | ast.ClassDef] = {}
    for node in module.body:
        if isinstance(node, _Function | ast.ClassDef) and bound[node.name] == 1:
            if not node.decorator_list:
                definitions[node.name] = node
            elif isinstance(node, ast.ClassDef) and (fields := _dataclass(node, imports)):
                found[node.name] = fields
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
            case ast.Call(func=ast.Name(id="vars"), args=[]) | ast.Attribute(value=ast.Name(id="sys"), attr="modules"):
                return True
            case ast.Call(func=ast.Name(id="setattr"), args=[_, ast.Constant(value=name), _]):
                if name in _UNSETTLING_ATTRIBUTES:
                    return True
            case ast.Call(func=ast.Name(id="setattr"), args=[ast.Name(id="self"), _, _]):
                pass
            case ast.Call(func=ast.Name(id="setattr")):
                return True
            case ast.ImportFrom(names=[ast.alias(name="*")]):
                return True
    return False


def _bindings(module: ast.Module) -> Iterator[str]:
    """Every name that the module binds in any scope, once for each time, but methods, which no bare name means."""
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
    """Full dotted names of the imports at the module's top level, by their name in the module."""
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
) -> Signature | None:
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
    return Signature(
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
        elif head in imports:
            if (f"{imports[head]}.{rest}" if rest else imports[head]) not in _PLAIN_BASES:
                return False
        elif bound[head] or not hasattr(builtins, name) or name not in _PLAIN_BASES:
            return False
    return True


def _dataclass(node: ast.ClassDef, imports: Mapping[str, str]) -> Signature | None:
    """The signature that `dataclasses.dataclass` gives a class without bases, if each of its fields is a plain one."""
    decorator, *others = node.decorator_list
    if isinstance(decorator, ast.Call):
        others += [keyword.value for keyword in decorator.keywords if keyword.arg not in _HARMLESS_OPTIONS]
        decorator = decorator.func
    head, _, rest = _dotted(decorator).partition(".")
    full = f"{imports.get(head)}.{rest}" if rest else imports.get(head)
    if full != "dataclasses.dataclass" or others or node.bases or node.keywords:
        return None
    has_default: dict[str, bool] = {}
    for inner in node.body:
        match inner:
            case ast.AnnAssign(target=ast.Name(id=name)) if name not in has_default and _is_field(inner, imports):
                value = inner.value
                is_field_call = isinstance(value, ast.Call) and _dotted(value.func).split(".")[-1] == "field"
                given = {keyword.arg for keyword in value.keywords} if isinstance(value, ast.Call) else set()
                if is_field_call and given & {"init", "kw_only", None}:
                    return None
                has_default[name] = bool(given & {"default", "default_factory"}) if is_field_call else value is not None
            case ast.FunctionDef(name=name) if name not in ("__init__", "__new__"):
                pass
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                pass
            case _:
                return None
    required = tuple(name for name, has in has_default.items() if not has)
    return Signature(node.name, tuple(has_default), frozenset(), frozenset(), required)


def _is_field(node: ast.AnnAssign, imports: Mapping[str, str]) -> bool:
    """Whether the annotation is surely that of a field: not ClassVar, InitVar or KW_ONLY, nor a string."""
    for inner in ast.walk(node.annotation):
        name = getattr(inner, "id", getattr(inner, "attr", ""))
        if imports.get(name, name).split(".")[-1] in ("ClassVar", "InitVar", "KW_ONLY"):
            return False
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            return False
    return True


def _signature(name: str, arguments: ast.arguments) -> Signature | None:
    """None when the definition takes `*` or `**`."""
    if arguments.vararg or arguments.kwarg:
        return None
    positional = tuple(argument.arg for argument in (*arguments.posonlyargs, *arguments.args))
    keyword_only = tuple(argument.arg for argument in arguments.kwonlyargs)
    required = positional[: len(positional) - len(arguments.defaults)]
    required += tuple(key for key, default in zip(keyword_only, arguments.kw_defaults, strict=True) if default is None)
    return Signature(
        name, positional, frozenset(a.arg for a in arguments.posonlyargs), frozenset(keyword_only), required
    )


def _dotted(expression: ast.expr) -> str:
    if isinstance(expression, ast.Name):
        return expression.id
    if isinstance(expression, ast.Attribute):
        head = _dotted(expression.value)
        return f"{head}.{expression.attr}" if head else ""
    return ""
