"""Lines by which a script writes its results and its learning curve."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final

from agent.core.authoring.arguments import find_arguments
from agent.core.authoring.reading.labels import Labelled, slug
from agent.core.authoring.reading.results import SeenResults, best_results, curve_of, find_results
from agent.core.authoring.reading.script import Function, read_scripts
from agent.core.inputs.spec import TemplateSpec
from agent.core.text.remark import Remark

__all__ = ["import_lines", "mend_results", "offer_curve"]

# test accuracy: 0.8759
_PRINTED: Final = re.compile(r"""([A-Za-z][A-Za-z_ @/-]{0,40}?)['" :=]{1,4}(?=-?\d{1,12}(?:\.\d|e[-+]?\d))""")
_ARGUMENT: Final = 'sys.argv[-1].rpartition("=")[2]'  # the folder is the command's last word
_HYDRA: Final = "HydraConfig.get().runtime.output_dir"


def mend_results(files: Mapping[str, str], folder: str, spec: TemplateSpec, output: str) -> Remark:
    """Lines for a run that ended well and wrote no final_info.json. `output` is the end of its log."""
    labels = [label.strip() for label in _PRINTED.findall(output)]
    found = best_results(find_results(files), next(iter(files), ""), labels)
    if found is None:
        found = _guess(files, spec, labels)
    lines = (
        *import_lines(files.get(found.file, ""), ["json", "pathlib", *_needs(files, found)]),
        *_hydra_import(files, found),
        f"out = pathlib.Path({_out_dir(files, found)})",
        "out.mkdir(parents=True, exist_ok=True)",
        f'(out / "final_info.json").write_text(json.dumps({found.expression()}))',
    )
    place = f"{folder}/{found.file}:{found.line}" if found.line else f"{folder}/{found.file}"
    said = f"{_below(found)}, where they are known" if found.line else "add where they are known, under their names"
    return Remark("mend", f"{place}: results are not written to final_info.json; {said}", lines=lines)


def _guess(files: Mapping[str, str], spec: TemplateSpec, labels: list[str]) -> SeenResults:
    """Names of results whose place in the code is not known."""
    names = [metric.path[0] for metric in spec.metrics if len(metric.path) == 1 and metric.source == "final_info"]
    names = names or [slug(label) for label in labels[-1:]] or ["accuracy"]
    values = tuple(Labelled(name, re.sub(r"\W+", "_", name)) for name in names)
    return SeenResults(next(iter(files), "experiment.py"), 0, 0, "", values)


def offer_curve(files: Mapping[str, str], folder: str) -> Iterator[Remark]:
    """Lines that write metrics.jsonl, for a script that prints numbers in its loop."""
    found = curve_of(find_results(files), next(iter(files), ""))
    if found is None or any("metrics.jsonl" in text for text in files.values()):
        return
    row = f'json.dumps({{"step": {found.counter}, "name": name, "value": value}}) + "\\n"'
    lines = (
        *import_lines(files[found.file], ["json", "pathlib", *_needs(files, found)]),
        *_hydra_import(files, found),
        f'curve = pathlib.Path({_out_dir(files, found)}, "metrics.jsonl")',
        "curve.parent.mkdir(parents=True, exist_ok=True)",
        'with curve.open("a") as rows:',
        f"    rows.writelines({row} for name, value in {found.expression()}.items())",
    )
    place = f"{folder}/{found.file}:{found.line}"
    yield Remark("note", f"{place}: for learning curves, which a model is told, {_below(found)}", lines=lines)


def _below(found: SeenResults) -> str:
    if found.end == found.line:
        return "add below this line"
    return f"add below this statement, indented alike (its last line is {found.end})"


def _needs(files: Mapping[str, str], found: SeenResults) -> list[str]:
    return ["sys"] if _out_dir(files, found) == _ARGUMENT else []


def _hydra_import(files: Mapping[str, str], found: SeenResults) -> tuple[str, ...]:
    return ("from hydra.core.hydra_config import HydraConfig",) if _out_dir(files, found) == _HYDRA else ()


def _out_dir(files: Mapping[str, str], found: SeenResults) -> str:
    """An expression of the run's folder that can be used at that place."""
    arguments = find_arguments(files)
    option = (arguments.folder or "--out_dir").lstrip("-").replace("-", "_")
    if arguments.kind == "hydra":
        return _HYDRA
    if arguments.file != found.file:
        return _ARGUMENT
    if arguments.kind == "configurator" and _is_visible(files, found, option):
        return option
    if arguments.kind == "argparse" and _is_visible(files, found, arguments.holder):
        return f"{arguments.holder}.{option}"
    return _ARGUMENT


def _is_visible(files: Mapping[str, str], found: SeenResults, name: str) -> bool:
    """Whether a variable is known at the place of the results: the module's, or of the function around it."""
    scripts = read_scripts({found.file: files[found.file]})
    if not scripts:
        return True  # nothing tells otherwise
    around = None
    for site in scripts[0].sites:
        if site.statement.lineno == found.line and site.node is site.statement:
            around = site.function
    tops, inner = _assigned(scripts[0].tree.body, name), False
    if isinstance(around, Function):
        own = (*around.args.args, *around.args.kwonlyargs, *around.args.posonlyargs)
        inner = any(argument.arg == name for argument in own) or _assigned(around.body, name)
    return tops or inner or not found.line


def _assigned(body: list[ast.stmt], name: str) -> bool:
    """Whether statements, those inside their blocks too but not inside functions, assign the name."""
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Function | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
            return True
        waiting += ast.iter_child_nodes(node)
    return False


def import_lines(text: str, modules: list[str]) -> tuple[str, ...]:
    """The import that the file lacks, as one line."""
    needed = [m for m in modules if not re.search(rf"^import [\w, ]*\b{m}\b", text, re.MULTILINE)]  # import json, os
    return (f"import {', '.join(needed)}",) if needed else ()
