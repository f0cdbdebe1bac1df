"""What a script reports: the keys of a JSON file that it writes, else numbers that it prints with their labels."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from agent.core.authoring.syntax import Place, Tree

__all__ = ["Found", "Reported", "find_results"]

How = Literal["written", "printed", "returned", ""]

METRIC_WORDS = {
    "acc", "accuracy", "auc", "auroc", "bleu", "correlation", "cost", "elbo", "error", "f1", "fid", "fvu",
    "iou", "likelihood", "loss", "mae", "map", "mcc", "mse", "nll", "npmi", "perplexity", "ppl", "precision",
    "psnr", "r2", "recall", "regret", "return", "reward", "rmse", "rouge", "score", "ssim", "variance", "wer",
}  # fmt: skip
_NO_METRIC = {
    "batch", "batches", "day", "elapsed", "epoch", "epochs", "eta", "iter", "iteration", "lr", "minutes",
    "rate", "seconds", "seed", "step", "steps", "time", "took", "version",
}  # fmt: skip
_FLOAT_FORMAT = re.compile(r"[^{}]*\.\d+[efgEFG%]?")
_PERCENT = re.compile(r"%[-+ #0]*\d*(\.\d+)?[diouxXeEfFgGrsa]")
_BRACES = re.compile(r"\{[^{}]*\}")
_WRITERS = frozenset({"info", "log", "print", "write", "secho", "echo", "warning", "debug"})


@dataclass(frozen=True, slots=True)
class Reported:
    """A number: the keys that lead to it (one where it is only printed), and the expression that gives it, if known."""

    path: tuple[str, ...]
    expression: str
    line: int

    @property
    def name(self) -> str:
        return "_".join(slug(part) for part in self.path)


@dataclass(frozen=True, slots=True)
class Found:
    """How results were found; `file` is the JSON file written, `place` where final_info.json could be written.

    scope: the function that the place is in; parameters: its names. variable: what is written as JSON.
    """

    how: How
    file: str
    metrics: tuple[Reported, ...]
    place: Place | None
    scope: str
    parameters: tuple[str, ...]
    variable: str = ""


def find_results(tree: Tree) -> Found:
    """The best source there is: final_info.json, another JSON file, prints after training, prints in it, returns."""
    written = [found for call in _dumps(tree) if (found := _read_dump(tree, call))]
    best = [f for f in written if f.file == "final_info.json" and f.metrics]
    best += [f for f in written if f.file == "final_info.json"]
    best += [f for f in reversed(written) if f.metrics]
    return next(iter(best), None) or _read_prints(tree) or _read_returns(tree) or _nothing(tree)


def _nothing(tree: Tree) -> Found:
    names_file = any(isinstance(n.value, str) and "final_info.json" in n.value for n in tree.nodes(ast.Constant))
    return Found("", "final_info.json" if names_file else "", (), None, "", ())


def slug(text: str) -> str:
    return re.sub(r"\W+", "_", text.lower()).strip("_")


def _dumps(tree: Tree) -> Iterator[ast.Call]:
    for name in ("dump", "dumps"):
        for call in tree.calls(name):
            module = call.func.value if isinstance(call.func, ast.Attribute) else None
            if isinstance(module, ast.Name) and module.id in ("json", "simplejson", "orjson") and call.args:
                yield call


def _read_dump(tree: Tree, call: ast.Call) -> Found | None:
    file = _file_of(tree, call)
    if not file:
        return None
    statement = tree.loop_of(call) or tree.statement_of(call)
    outer = next((n for n in tree.above(call) if isinstance(n, ast.With)), None)
    metrics = tuple(_keys(tree, call.args[0], ()))
    place = tree.after(statement if tree.loop_of(call) else outer or statement)
    return Found("written", file, metrics, place, *_scope(tree, call), variable=ast.unparse(call.args[0]))


def _file_of(tree: Tree, call: ast.Call) -> str:
    """The last JSON file that is named around the call: in its statement, its `with`, then its function."""
    for place in tree.above(call):
        if isinstance(place, ast.stmt | ast.Module):
            names = [
                n.value
                for n in ast.walk(place)
                if isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value.endswith(".json")
            ]
            if names:
                return names[-1].rpartition("/")[2]
    return ""


def _keys(tree: Tree, value: ast.expr, path: tuple[str, ...], depth: int = 0) -> Iterator[Reported]:
    """Every key that leads to what may be a number."""
    if depth > 4:
        return
    if isinstance(value, ast.Name):
        for name, inner in _entries(tree, value):
            yield from _entry(tree, (*path, name), inner, depth)
    else:
        for name, inner in _items(value):
            yield from _entry(tree, (*path, name), inner, depth)


def _entry(tree: Tree, path: tuple[str, ...], value: ast.expr, depth: int) -> Iterator[Reported]:
    is_dict = isinstance(value, ast.Dict) or (isinstance(value, ast.Call) and ast.unparse(value.func) == "dict")
    if is_dict or (isinstance(value, ast.Name) and any(True for _ in _entries(tree, value))):
        yield from _keys(tree, value, path, depth + 1)
    elif _may_be_number(value):
        yield Reported(path, ast.unparse(value), value.lineno)


def _items(value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(value, ast.Dict):
        for key, inner in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, inner
    elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "dict":
        yield from ((k.arg, k.value) for k in value.keywords if k.arg)


def _entries(tree: Tree, name: ast.Name) -> Iterator[tuple[str, ast.expr]]:
    """What a variable of the same function is filled with by literals, name["key"] = ... and name.update(...)."""
    for node in ast.walk(tree.block_of(name)):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id == name.id:
                    yield from _items(node.value)
                elif isinstance(target, ast.Subscript) and ast.unparse(target.value) == name.id:
                    key = target.slice
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        yield key.value, node.value
        elif isinstance(node, ast.Call) and node.args and ast.unparse(node.func) == f"{name.id}.update":
            yield from _items(node.args[0])


def _may_be_number(value: ast.expr) -> bool:
    if isinstance(value, ast.Constant):
        return isinstance(value.value, int | float) and not isinstance(value.value, bool)
    if isinstance(value, ast.Call) and ast.unparse(value.func) in ("vars", "list", "str", "dict", "asdict", "sorted"):
        return False
    kinds = ast.List | ast.Tuple | ast.Set | ast.ListComp | ast.DictComp | ast.JoinedStr | ast.Compare
    if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name) and value.value.id in ("args", "opt"):
        return False
    return not isinstance(value, kinds) and not ast.unparse(value).endswith(".tolist()")


def _read_prints(tree: Tree) -> Found | None:
    """Numbers printed after the loops, else in them, where the place is after the loop."""
    calls = [c for c in tree.nodes(ast.Call) if _name_of(c.func) in _WRITERS and isinstance(_parent(tree, c), ast.Expr)]
    for in_loop in (False, True):
        found: dict[str, tuple[Reported, ast.Call]] = {}
        for call in calls:
            if bool(tree.loop_of(call)) == in_loop:
                found |= {reported.name: (reported, call) for reported in _printed(call)}
        if found:
            last = max((call for _, call in found.values()), key=lambda call: call.lineno)
            scope = tree.function_of(last)
            kept = tuple(reported for reported, call in found.values() if tree.function_of(call) == scope)
            place = tree.after(tree.loop_of(last) or tree.statement_of(last))
            return Found("printed", "", kept, place, *_scope(tree, last))
    return None


def _parent(tree: Tree, node: ast.AST) -> ast.AST:
    above = tree.above(node)
    next(above)
    return next(above)


def _name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _printed(call: ast.Call) -> Iterator[Reported]:
    for label, value, format_ in _labelled(call):
        words = re.findall(r"[A-Za-z_]\w*", re.split(r"[,;|(\]]", label.rstrip(" :=,(|"))[-1])
        name = slug("_".join(words[-3:]) or (value.id if isinstance(value, ast.Name) else ""))
        parts = set(re.split(r"_", name)) | {name}
        known = parts & METRIC_WORDS or (_FLOAT_FORMAT.fullmatch(format_) and not parts & _NO_METRIC)
        if name and known and not isinstance(value, ast.Constant):
            yield Reported((name,), ast.unparse(value), call.lineno)


def _labelled(call: ast.Call) -> Iterator[tuple[str, ast.expr, str]]:
    """(text before it, expression, format) of the values in print("x", x), f"x {x:.3f}", "x %f" % x, "{}".format(x)."""
    label = ""
    for argument in call.args:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            label = argument.value
        elif isinstance(argument, ast.JoinedStr):
            yield from _in_f_string(argument)
        elif isinstance(argument, ast.BinOp) and isinstance(argument.op, ast.Mod):
            values = argument.right.elts if isinstance(argument.right, ast.Tuple) else [argument.right]
            yield from _in_text(argument.left, _PERCENT, values)
        elif isinstance(argument, ast.Call) and _name_of(argument.func) == "format":
            text = argument.func.value if isinstance(argument.func, ast.Attribute) else argument
            yield from _in_text(text, _BRACES, argument.args)
        else:
            yield label, argument, ""
            label = ""


def _in_f_string(text: ast.JoinedStr) -> Iterator[tuple[str, ast.expr, str]]:
    label = ""
    for part in text.values:
        if isinstance(part, ast.FormattedValue):
            format_ = part.format_spec.values if isinstance(part.format_spec, ast.JoinedStr) else []
            yield label, part.value, "".join(str(c.value) for c in format_ if isinstance(c, ast.Constant))
            label = ""
        elif isinstance(part, ast.Constant):
            label = str(part.value)


def _in_text(text: ast.expr, fields: re.Pattern[str], values: list[ast.expr]) -> Iterator[tuple[str, ast.expr, str]]:
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        end = 0
        for match, value in zip(fields.finditer(text.value), values, strict=False):
            yield text.value[end : match.start()], value, match[0].strip("{}%").lstrip(":")
            end = match.end()


def _read_returns(tree: Tree) -> Found | None:
    """The last function that returns something named as a metric is."""
    for node in reversed(list(tree.nodes(ast.Return))):
        values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
        names = [v for v in values if isinstance(v, ast.Name) and set(v.id.lower().split("_")) & METRIC_WORDS]
        if names:
            metrics = tuple(Reported((slug(v.id),), v.id, v.lineno) for v in names)
            place = None if tree.loop_of(node) else tree.before(node)
            return Found("returned", "", metrics, place, *_scope(tree, node))
    return None


def _scope(tree: Tree, node: ast.AST) -> tuple[str, tuple[str, ...]]:
    function = tree.function_node(node)
    if function is None:
        return "", ()
    given = function.args
    return function.name, tuple(a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs))
