"""Places of a script at which its results are known: printed, written, logged, or returned by a trainer."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Final

from agent.core.authoring.reading.labels import (
    Labelled,
    direction_of,
    is_held_out,
    is_metric,
    is_progress,
    labelled,
    slug,
)
from agent.core.authoring.reading.script import Function, Script, Site, full_name, read_script, read_scripts
from agent.core.code.source import show_code
from agent.core.text.plain import plain_line

__all__ = ["SeenResults", "best_results", "curve_of", "find_results"]

# print, logger.info, tqdm.write, accelerator.print, console.print, logging.info
_PRINTS: Final = re.compile(r"(\w+\.)*(print|pprint|info|warning|debug|write|echo|secho|rprint|print_rank_0|log_print)")
# wandb.log, run.log, mlflow.log_metrics, accelerator.log, self.log_dict, nni.report_final_result
_LOGS: Final = re.compile(r"(\w+\.)*(log|log_dict|log_metrics|log_metric|track|report|report_metrics|set_postfix)")
_SCALARS: Final = re.compile(
    r".*\b(add_scalar|add_scalars|scalar|log_metric|log_value|logkv|record)"
)  # writer.add_scalar
_SCORES: Final = re.compile(r"\w*(score|accuracy|error|loss|auc|f1|precision|recall|perplexity)")
# Functions and methods that measure: model.evaluate, validate, test_epoch, eval_model
_MEASURES: Final = re.compile(r"score|cross_val_score|(test|valid|validate|val|eval|evaluate)(_\w+)?")
# "metrics" in "{k: float(v) for k, v in metrics.items()}"
_ITEMS: Final = re.compile(r" in ([\w.]+?)(?:\.history)?\.items")
MOST_NAMED: Final = 6
MOST_KEY_CHARS: Final = 100
MOST_KEYS: Final = 100  # of a dictionary that has a name
MOST_PLACES: Final = 1000  # of a file
BY_TRAINER: Final = "of the trainer"
LOGGED_BY_MODULE: Final = "logged by a module"  # self.log(...) of Lightning: a trainer holds the numbers


@dataclass(frozen=True, slots=True)
class SeenResults:
    """SeenResults that are known below one statement."""

    # "experiment.py"
    file: str
    # The first line of the statement.
    line: int
    # Its last line.
    end: int
    # "printed", "a dictionary printed", "written as JSON", "logged", "of the trainer", "of keras", "a variable".
    kind: str
    # Each metric with its expression. Empty if only a run knows the names.
    values: tuple[Labelled, ...]
    # An expression of the whole object, for json.dumps. "" to make one of the values.
    whole: str = ""
    # The variable that counts the loop around it, None outside of loops, "" if it has none.
    counter: str | None = None
    # Whether it is reached only if a number is better than another, as in `if acc > best`.
    is_rare: bool = False

    def describe(self) -> str:
        source = _ITEMS.search(self.whole)
        names = ", ".join(v.name for v in self.values[:MOST_NAMED]) or f"all of {source[1] if source else self.whole}"
        more = ", ..." if len(self.values) > MOST_NAMED else ""
        return f"{names}{more} ({self.kind}, {self.file}:{self.line})"

    def expression(self) -> str:
        """An expression of the object to write."""
        if self.whole:
            return self.whole
        return "{" + ", ".join(f'"{v.name}": {_as_float(v.code)}' for v in self.values) + "}"


def _as_float(code: str) -> str:
    """The expression as a number of JSON: float(x), once."""
    is_float = code.startswith("float(") and code.endswith(")") and "(" not in code[6:-1]
    return code if is_float else f"float({code})"


def find_results(files: Mapping[str, str]) -> list[SeenResults]:
    """Every place at which results are known, in the order of the files."""
    found = [results for script in read_scripts(files) for results in islice(_results_in(script), MOST_PLACES)]
    hooks = [v for r in found if r.kind == LOGGED_BY_MODULE for v in r.values]
    named = tuple({v.name: v for v in hooks if is_metric(v.name)}.values())
    found = [replace(r, values=named) if r.kind == BY_TRAINER and not r.values else r for r in found]
    return list({(r.file, r.line, r.kind): r for r in found if r.kind != LOGGED_BY_MODULE}.values())


def best_results(found: list[SeenResults], first: str, printed: Sequence[str] = ()) -> SeenResults | None:
    """The place whose numbers count most: held-out ones at the end of a run.

    first: the file that is run, whose places count more. printed: labels that a run was seen to print.
    """
    seen = {slug(label) for label in printed}

    def weigh(item: tuple[int, SeenResults]) -> tuple[int, int]:
        number, r = item
        names = [v.name for v in r.values]
        points = 8 * any(is_held_out(name) for name in names) + 4 * any(is_metric(name) for name in names)
        points += 2 * any(direction_of(name) == "higher" for name in names)
        points += 3 * (r.counter is None) + 2 * bool(r.whole) - 20 * (r.file != first)
        points -= 10 * r.is_rare + 4 * (r.kind == "a variable") + 2 * (names == ["loss"])
        points += 16 * any(name in seen or name.partition("_")[2] in seen for name in names)
        return points - 5 * (not names and not r.whole), number

    return max(enumerate(found), key=weigh)[1] if found else None


def curve_of(found: list[SeenResults], first: str) -> SeenResults | None:
    """SeenResults inside a loop, which make a learning curve."""
    loops = [r for r in found if r.counter and r.values and any(is_metric(v.name) for v in r.values)]
    return best_results(loops, first)


def _results_in(script: Script) -> Iterator[SeenResults]:
    known = _dictionaries(script)
    for site, call, full in script.calls():
        dicts = known.get(None, {}) | known.get(site.function, {})
        if site.call is not None and _PRINTS.fullmatch(full_name(site.call.func, script.names)):
            continue  # read with the print around it
        kind, values, whole = _read_call(script, site, call, full, dicts)
        if kind:
            yield _at(script, site, kind, values, whole)


# What a call tells: the kind of results, the metrics, and the expression of the whole.
_Told = tuple[str, list[Labelled], str]
_NOTHING: Final[_Told] = ("", [], "")


def _read_call(script: Script, site: Site, call: ast.Call, full: str, dicts: Mapping[str, list[str]]) -> _Told:
    last = full.rpartition(".")[2]
    first = call.args[0] if call.args else None
    if last in ("dump", "dumps") and full.startswith(("json.", "yaml.")) and first is not None:
        return _whole("written as JSON", first, dicts)
    if _PRINTS.fullmatch(full) and first is not None:
        return _read_print(call, dicts, script)
    if (_SCALARS.fullmatch(full) or last == "log") and len(call.args) > 1 and _text(first):
        name, value = _key(_text(first)), show_code(call.args[1])
        kind = LOGGED_BY_MODULE if full == "self.log" else "logged"
        return (kind, [Labelled(name, value)], "") if value and not is_progress(name) else _NOTHING
    if _LOGS.fullmatch(full) and first is not None and not full.startswith(("math.", "numpy.", "torch.", "jax.")):
        return _whole("logged", first, dicts)
    return _read_trainer(script, site, call, full)


def _read_print(call: ast.Call, dicts: Mapping[str, list[str]], script: Script) -> _Told:
    first, is_json = call.args[0], False
    if isinstance(first, ast.Call) and full_name(first.func, script.names) in ("json.dumps", "pprint.pformat", "str"):
        is_json = full_name(first.func, script.names) == "json.dumps"
        first = first.args[0] if first.args else first
    if isinstance(first, ast.Dict) or (isinstance(first, ast.Name) and first.id in dicts):
        kind, values, whole = _whole("a dictionary printed", first, dicts)
        return kind, values, whole if is_json or not whole else _numbers(whole)
    for part in call.args if script.modules & {"evaluate", "datasets"} else ():
        if isinstance(part, ast.Name) and re.search(
            rf"^[ \t]*{re.escape(part.id)} = \w+\.compute\(", script.text, re.M
        ):
            return "a dictionary printed", [], _numbers(part.id)
    values = [v for v in labelled(call.args) if is_metric(v.name)]
    return ("printed", values, "") if values else _NOTHING


def _whole(kind: str, node: ast.expr, dicts: Mapping[str, list[str]]) -> _Told:
    """A dictionary, by its literal or by the keys that its name is given."""
    if isinstance(node, ast.Dict):
        pairs = [(_text(k), show_code(v)) for k, v in zip(node.keys, node.values, strict=True) if k is not None]
        values = [Labelled(_key(k), v) for k, v in pairs if k and v]
        values = [v for v in values if not is_progress(v.name)]
        return (kind, values, "") if values else _NOTHING
    if isinstance(node, ast.Name) and node.id in dicts:
        keys = [key for key in dict.fromkeys(dicts[node.id]) if not is_progress(slug(key)) and '"' not in key]
        if kind == "logged":
            values = [Labelled(_key(key), f'{node.id}["{key}"]') for key in keys]
            return (kind, values, "") if values else _NOTHING
        return kind, [Labelled(plain_line(key, 60), "") for key in keys], node.id
    return _NOTHING


def _dictionaries(script: Script) -> dict[Function | None, dict[str, list[str]]]:
    """Names that are assigned a dictionary, with the keys that the text tells, by the function that assigns them."""
    found: dict[Function | None, dict[str, list[str]]] = {}
    for site in script.sites:
        own = found.setdefault(site.function, {})
        match site.node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(keys=keys))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict(keys=keys))
            ):
                own[name] = [*own.get(name, ()), *filter(None, map(_text, keys))][:MOST_KEYS]
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id="dict"), keywords=keywords)):
                own[name] = [*own.get(name, ()), *(k.arg for k in keywords if k.arg)][:MOST_KEYS]
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=key)]) if name in own and _text(key):
                own[name] = [*own[name], _text(key)][:MOST_KEYS]
            case _:
                pass
    return found


def _key(text: str) -> str:
    """The name of a metric under its key: "charts/episodic_return" gives episodic_return, "val/loss" val_loss."""
    if text.isidentifier() and text.islower():
        return text  # the script's own name, as "mean_reward"
    last = slug(text.rpartition("/")[2])
    whole = slug(text.replace("/", " "))
    return last if is_metric(last) and not is_held_out(whole) and not whole.startswith("train_") else whole


def _text(node: ast.expr | None) -> str:
    text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    return text if len(text) <= MOST_KEY_CHARS else ""


def _read_trainer(script: Script, site: Site, call: ast.Call, full: str) -> _Told:
    """SeenResults that a library's trainer or model returns, if the statement keeps them in a variable."""
    last, holder = full.rpartition(".")[2], full.rpartition(".")[0].removeprefix("?.")
    target = _target(site.statement, call)
    modules = script.modules
    if modules & {"lightning", "pytorch_lightning"} and last in ("test", "validate", "fit") and "." not in holder:
        metrics = f"{holder}.callback_metrics"
        return BY_TRAINER, [], f"{{k: float(v) for k, v in {metrics}.items()}}" if holder else ""
    if modules & {"transformers", "trl", "sentence_transformers"} and last in ("evaluate", "train") and holder:
        metrics = target if last == "evaluate" else f"{target}.metrics"
        names = _evaluated(script.file, script.text) if last == "evaluate" else ("train_loss",)
        return (BY_TRAINER, [Labelled(name, "") for name in names], _numbers(metrics)) if target else _NOTHING
    if modules & {"keras", "tensorflow"} and last in ("evaluate", "fit") and holder and target:
        return _read_keras(script, last, call, target)
    if last == "LightningCLI" and target:
        return BY_TRAINER, [], f"{{k: float(v) for k, v in {target}.trainer.callback_metrics.items()}}"
    if "," in target and (_MEASURES.fullmatch(last) or _SCORES.fullmatch(last)):
        values = [Labelled(slug(name), name) for name in target.split(", ") if is_metric(slug(name))]
        return ("a variable", values, "") if values else _NOTHING
    if target and (_MEASURES.fullmatch(last) or _SCORES.fullmatch(last)) and is_metric(slug(target)):
        code = f"{target}.mean()" if last.startswith("cross_val") else target
        return "a variable", [Labelled(slug(target), code)], ""
    return _NOTHING


@lru_cache(maxsize=4)  # asked at each call of a trainer
def _evaluated(file: str, text: str) -> tuple[str, ...]:
    """Names of what Trainer.evaluate returns: eval_loss, and the keys that compute_metrics returns."""
    script, names = read_script(file, text), ["eval_loss"]
    for site in script.sites if script else ():
        if site.function and site.function.name == "compute_metrics" and isinstance(site.node, ast.Return):
            keys = site.node.value.keys if isinstance(site.node.value, ast.Dict) else []
            names += [f"eval_{text}" for key in keys if (text := _text(key))]
    return tuple(names[:MOST_KEYS])


def _fitted(script: Script, call: ast.Call) -> list[str]:
    """Names of what Model.fit records: the loss, and the metrics that compile was given, held out too."""
    names = ["loss", *_compiled(script.file, script.text)]
    has_more = any(k.arg in ("validation_data", "validation_split") for k in call.keywords)
    return [f"val_{name}" for name in names] + names if has_more else names


@lru_cache(maxsize=4)  # asked at each call of fit
def _compiled(file: str, text: str) -> tuple[str, ...]:
    """Metrics that a call of compile names."""
    script, names = read_script(file, text), list[str]()
    for _, call, full in script.calls() if script else ():
        if full.rpartition(".")[2] == "compile":
            lists = [k.value.elts for k in call.keywords if k.arg == "metrics" and isinstance(k.value, ast.List)]
            names += [text for elements in lists for element in elements if (text := _text(element))]
    return tuple(names[:MOST_KEYS])


def _read_keras(script: Script, last: str, call: ast.Call, target: str) -> _Told:
    if last == "fit":
        whole = f"{{k: float(v[-1]) for k, v in {target}.history.items()}}"
        return "of keras", [Labelled(name, "") for name in _fitted(script, call)], whole
    if "," in target:
        names = [name.strip() for name in target.split(",")]
        return "of keras", [Labelled(slug(name), name) for name in names], ""
    if any(k.arg == "return_dict" for k in call.keywords):
        return "of keras", [], _numbers(target)
    return "of keras", [Labelled("test_loss", f"{target}[0]"), Labelled("test_accuracy", f"{target}[1]")], ""


def _numbers(name: str) -> str:
    return f"{{k: float(v) for k, v in {name}.items() if hasattr(v, '__float__')}}"


def _target(statement: ast.stmt, call: ast.Call) -> str:
    """The variable that is assigned the call's value. For several, "a, b"."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is call:
            return name
        case ast.Assign(targets=[ast.Tuple(elts=parts)], value=value) if value is call:
            names = [part.id for part in parts if isinstance(part, ast.Name)]
            return ", ".join(names) if len(names) == len(parts) else ""
        case _:
            return ""


def _at(script: Script, site: Site, kind: str, values: list[Labelled], whole: str) -> SeenResults:
    statement = site.statement
    unique = tuple({v.name: v for v in values}.values())
    counter = None if site.loop is None else _counter(site)
    end = statement.end_lineno or statement.lineno
    return SeenResults(script.file, statement.lineno, end, kind, unique, whole, counter, _is_comparison(site.condition))


def _is_comparison(condition: ast.expr | None) -> bool:
    match condition:
        case ast.Compare(ops=[ast.Gt() | ast.Lt() | ast.GtE() | ast.LtE()], comparators=[other]):
            return not isinstance(other, ast.Constant)
        case _:
            return False


def _counter(site: Site) -> str:
    """The variable that counts the loop: a target of a for, or what is printed after "step" or "epoch"."""
    match site.loop:
        case ast.For(target=ast.Name(id=name)) | ast.For(target=ast.Tuple(elts=[ast.Name(id=name), *_])):
            return name if is_progress(slug(name)) or len(name) <= 2 else ""
        case ast.While():
            names = [n.id for n in ast.walk(site.node) if isinstance(n, ast.Name)]
            return next((name for name in names if is_progress(slug(name)) and "time" not in name), "")
        case _:
            return ""
