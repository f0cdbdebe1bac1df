"""Advice on what a trial run lacked: files, packages, network, or a template.toml to write things into."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from agent.core.authoring.reading.labels import direction_of, slug
from agent.core.evidence.means import means_paths
from agent.core.text.plain import plain_line
from agent.core.text.remark import Remark

__all__ = ["Surroundings", "describe_foreign", "explain_failure"]

PATH_CHARS: Final = 200
MOST_METRICS: Final = 8

# No such file or directory: 'config.yaml'
_MISSING: Final = re.compile(r"(?:No such file or directory|Permission denied): b?'([^'\n]{1,300})'")
# FileNotFoundError: data/train.csv not found.
_NOT_FOUND: Final = re.compile(r"FileNotFoundError: ([^\s'\n]{1,300}) not found")
# Check that the config directory '/x/work/conf' exists and readable
_HYDRA: Final = re.compile(r"config directory '?([^'\n]{1,300}?)'? (?:exists|not found)")
# OSError: [Errno 30] Read-only file system: '/data/cache'
_READ_ONLY: Final = re.compile(r"Read-only file system: '([^'\n]{1,300})'")
# ModuleNotFoundError: No module named 'yaml.nodes'
_MODULE: Final = re.compile(r"ModuleNotFoundError: No module named '([\w.]{1,200})'")
_NETWORK: Final = "A run has no network"
_REACH: Final = (
    "a run reaches its own folder, sealed/ and its interpreter alone; if it needs more: [sandbox] with "
    'network = true or read = ["/data/mnist"], or --data FOLDER, which it finds as ./data'
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a trial run had around it."""

    # The template's folder, as it is shown.
    folder: str
    # Files of the template, by their place in it.
    names: Collection[str]
    # The interpreter's path.
    python: str
    # Whether the interpreter was built for the template, from requirements.txt.
    is_built: bool
    # Whether a folder was given with --data.
    has_data: bool
    # Whether the folder has a template.toml.
    is_described: bool
    # The folder in which the run worked.
    work: str
    # The distribution that brings a module.
    distribution_of: Callable[[str], str]


def explain_failure(output: str, around: Surroundings) -> Iterator[Remark]:
    """What to do about the file, package or network that a failed run lacked."""
    if found := _MODULE.search(output):
        yield Remark("note", _say_module(found[1].partition(".")[0], around))
    elif found := _MISSING.search(output) or _NOT_FOUND.search(output) or _HYDRA.search(output):
        yield Remark("note", plain_line(_say_file(found[1], around)))
    elif found := _READ_ONLY.search(output):
        path = plain_line(found[1], PATH_CHARS)
        yield Remark("note", f"a run cannot write {path}: let it write below the folder of --out_dir")
    elif _NETWORK in output:
        how = "load the data once and name its folder with --data, or write network = true"
        yield Remark("note", f"{_toml(around)}: a run has no network; {how} into [sandbox]")
    elif "FileNotFoundError" in output or "PermissionError" in output:
        yield Remark("note", f"{_toml(around)}: {_REACH}")


def _toml(around: Surroundings) -> str:
    return f"{around.folder}/template.toml"


def _say_module(module: str, around: Surroundings) -> str:
    own = f"if {module}.py is yours, copy it into {around.folder}"
    name = around.distribution_of(module)
    if around.is_built:
        return f"{around.folder}/requirements.txt: {module} is missing; add a line {name}, or {own}"
    return f"{around.python} has no module {module}: {around.python} -m pip install {name}, or {own}"


def _say_file(path: str, around: Surroundings) -> str:
    """Advice on a file that is not there, or not to be read."""
    inside = _place_of(path, around.work)
    if path.startswith("/") and inside.startswith("../home/"):
        named = f"~/{inside.removeprefix('../home/')}"
        return f"{named}: a run has a home of its own; write the whole path there, and {_say_read('THAT PATH', around)}"
    if path.startswith("/") and inside.startswith("../"):
        return f"{path[:PATH_CHARS]} is not seen by a run; {_say_read(path[:PATH_CHARS], around)}"
    alike = [name for name in sorted(around.names) if PurePosixPath(name).name == PurePosixPath(inside).name]
    down = inside.lstrip("./")  # of ../../data, where AI-Scientist's runs look
    first = down.split("/")[0]
    if first == "data" and not around.has_data:
        return f"{inside}: give the folder that holds {down.removeprefix('data/')} with --data FOLDER"
    if alike:
        return f"{inside} is not there, but {alike[0]} is: write that path"
    if first == "data":
        return f"{inside} is not in the folder of --data"
    if inside.startswith(".."):
        return f"{inside} lies outside a run's folder: copy it into {around.folder}, or read data/... of --data FOLDER"
    how = f"copy it there, or give its folder with --data FOLDER and read data/{PurePosixPath(inside).name}"
    return f"{inside} is not in {around.folder}: {how}"


def _place_of(path: str, work: str) -> str:
    """The path as it is seen from the folder `work`, "../..." if it lies elsewhere."""
    if not path.startswith("/"):
        return path.removeprefix("./")
    parts, base = PurePosixPath(path).parts, PurePosixPath(work).parts
    same = next((n for n, (one, other) in enumerate(zip(parts, base, strict=False)) if one != other), len(base))
    same = min(same, len(parts))
    return str(PurePosixPath(*[".."] * (len(base) - same), *parts[same:]))


def _say_read(path: str, around: Surroundings) -> str:
    line = f'[sandbox] read = ["{path}"]'
    return f"in {_toml(around)}: {line}" if around.is_described else f"with a template.toml: {line}"


def describe_foreign(
    name: str, final_info: Mapping[str, object], files: Collection[str], added: tuple[str, ...]
) -> tuple[str, ...]:
    """A whole template.toml for a folder in AI-Scientist's layout, with its `means` as metrics. added: more lines."""
    lines = ["schema_version = 1", f"name = {json.dumps(name)}", *added]
    if "plot.py" not in files:
        lines += ['plot = ""', 'editable = ["experiment.py", "notes.txt"]']
    if "requirements.txt" in files:
        lines += ["[environment]", 'install = [["-r", "requirements.txt"]]']
    paths = dict(list(means_paths(final_info).items())[:MOST_METRICS])
    better = {metric: direction_of("_".join(slug(key) for key in path[-2:])) for metric, path in paths.items()}
    primary = next((metric for metric in paths if better[metric]), next(iter(paths), ""))
    for metric, path in paths.items():
        lines += ["[[metrics]]", f"name = {json.dumps(metric)}", f"path = {json.dumps(list(path))}"]
        lines.append(f'direction = "{better[metric]}"' if better[metric] else 'direction = "higher"  # or "lower"')
        lines += ["primary = true"] if metric == primary else []
    return tuple(lines)
