"""Paths that a script names, as far as its text tells them, and calls that need the network."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from agent.core.authoring.reading.script import Script, Site, full_name

__all__ = ["OWN_FOLDER", "NamedPath", "find_downloads", "find_paths"]

OWN_FOLDER: Final = "@"  # stands for the folder of the file that names the path
MOST_CHARS: Final = 200  # of a path
MOST_DEPTH: Final = 12  # of calls and operators in one path

# "config.yaml", "conf", "../data/a b.csv", "~/.cache/x"
_PATH: Final = re.compile(r"[\w@~./-][\w@~./ +=,-]*")
# Calls that write what they name: torch.save, df.to_csv, plt.savefig, SummaryWriter
_WRITES: Final = re.compile(
    r"save|savez|savetxt|savefig|write\w*|to_\w+|dump|mkdir|makedirs|\w*(Writer|Logger|Handler)"
)
# Calls that read what they name: np.load, pd.read_csv, OmegaConf.load, load_config
_READS: Final = re.compile(r"open|load\w*|read\w*|genfromtxt|memmap|fromfile|File|run_path|Image|unpack_archive")
_MODE: Final = re.compile(r"[wax]\+?[bt]?\+?|[rbt]+\+[bt]?")  # "wb"
_KEPT: Final = frozenset({"Path", "PurePath", "str", "abspath", "realpath", "expanduser", "to_absolute_path", "fspath"})
_SAME: Final = frozenset({"resolve", "absolute", "expanduser", "as_posix"})
# Calls that download, by their last name.
_DOWNLOADS: Final = frozenset(
    {
        "urlretrieve", "urlopen", "load_dataset", "from_pretrained", "hf_hub_download", "snapshot_download",
        "load_dataset_builder", "download", "cached_download", "get_file", "load_state_dict_from_url",
    }
)  # fmt: skip
# Full names or their beginnings: keras.datasets.mnist.load_data, sklearn.datasets.fetch_openml
_FETCHES: Final = re.compile(
    r"(\w+\.)?keras\.datasets\.\w+\.load_data|sklearn\.datasets\.fetch_\w+|requests\.(get|post)|torch\.hub\.load"
    r"|tensorflow_datasets\.load|evaluate\.load|wandb\.init"
)


@dataclass(frozen=True, slots=True)
class NamedPath:
    """A path in a script."""

    # "experiment.py"
    file: str
    line: int
    # "config.yaml", "~/.cache/x", "@/conf" for a path beside the file
    path: str
    # Whether the text tells all of it. "data/" of os.path.join("data", name) is a beginning.
    is_whole: bool
    # "read", "write", "hydra" (a folder of configurations) or "" if nothing tells.
    use: str


def find_paths(script: Script) -> list[NamedPath]:
    """Paths that the script names, each once, without those that it writes."""
    known = _Known(_constants(script), script.names)
    covered: set[int] = set()
    found: dict[str, NamedPath] = {}
    written: set[str] = set()
    for site in script.sites:
        if id(site.node) in covered or not isinstance(site.node, ast.expr):
            continue
        folded = _fold(site.node, known, 0)
        if folded is None:
            covered |= _unknown_parts(site.node)
            continue
        if not isinstance(site.node, ast.Constant):
            covered |= {id(part) for part in ast.walk(site.node)}
        path, is_whole = folded
        if not 0 < len(path) <= MOST_CHARS or not _PATH.fullmatch(path):
            continue
        use = _use(site, script.names)
        if use == "write":
            written.add(path)
        elif path not in found or use:
            found[path] = NamedPath(script.file, getattr(site.node, "lineno", 1), path, is_whole, use)
    return [named for path, named in found.items() if path not in written]


def _constants(script: Script) -> dict[str, ast.expr]:
    """Names that the module or a function assigns once, with their values."""
    found: dict[str, ast.expr] = {}
    twice: set[str] = set()
    for site in script.sites:
        match site.node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                twice |= {name} & found.keys()
                found[name] = value
            case _:
                pass
    return {name: value for name, value in found.items() if name not in twice}


# The path as far as it is known, and whether that is all of it.
_Folded = tuple[str, bool]


@dataclass(frozen=True, slots=True)
class _Known:
    """Names of a script, and the paths that its expressions make."""

    constants: Mapping[str, ast.expr]
    imports: Mapping[str, str]
    # By the expression and whether it is a part of another: each is looked at once, however often a name stands for it.
    folded: dict[tuple[int, bool], _Folded | None] = field(default_factory=dict)


def _fold(node: ast.expr, known: _Known, depth: int) -> _Folded | None:
    """The path that an expression makes. None if not even its beginning is known."""
    if depth > MOST_DEPTH:
        return None
    key = id(node), depth > 0
    if key not in known.folded:
        path = _fold_anew(node, known, depth)
        known.folded[key] = (path[0][: MOST_CHARS + 1], path[1]) if path else None
    return known.folded[key]


def _fold_anew(node: ast.expr, known: _Known, depth: int) -> _Folded | None:
    def inner(part: ast.expr) -> _Folded | None:
        return _fold(part, known, depth + 1)

    match node:
        case ast.Constant(value=str(text)):
            return text, True
        case ast.Name(id="__file__"):
            return f"{OWN_FOLDER}/_", True
        case ast.Name(id=name) if depth and name in known.constants:
            return inner(known.constants[name])
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *rest]):
            return text, not rest
        case ast.BinOp(op=ast.Div(), left=left, right=right):
            return _join([inner(left), inner(right)])
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            begun, end = inner(left), inner(right)
            if begun and begun[1] and end:
                return begun[0] + end[0], end[1]
            return (begun[0], False) if begun else None
        case ast.Attribute(attr="parent", value=value):
            return _above(inner(value))
        case ast.Call():
            return _fold_call(node, known, depth)
        case _:
            return None


def _fold_call(node: ast.Call, known: _Known, depth: int) -> _Folded | None:
    full = full_name(node.func, known.imports)
    last = full.rpartition(".")[2]
    if full.endswith("Path.home"):
        return "~", True
    parts = [_fold(part, known, depth + 1) for part in node.args[:MOST_DEPTH]]
    if full == "os.path.dirname" and parts:
        return _above(parts[0])
    if (full.endswith("path.join") or last in _KEPT) and parts:
        return _join(parts)
    if last in _SAME and isinstance(node.func, ast.Attribute) and not node.args:
        return _fold(node.func.value, known, depth + 1)
    return None


def _join(parts: list[_Folded | None]) -> _Folded | None:
    if not parts or parts[0] is None:
        return None
    path = ""
    for part in parts:
        if part is None:
            return path, False
        path = str(PurePosixPath(path, part[0])) if path else part[0]
        if len(path) > MOST_CHARS or not part[1]:
            return path, False
    return path, True


def _above(folded: _Folded | None) -> _Folded | None:
    if folded is None or not folded[1]:
        return folded
    path = folded[0]
    if path == OWN_FOLDER or path.endswith(".."):
        return f"{path}/..", True
    return str(PurePosixPath(path).parent), True


def _unknown_parts(node: ast.expr) -> set[int]:
    """Texts in an expression whose beginning is not known: they are no paths by themselves."""
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod)):
        return {id(part) for part in ast.iter_child_nodes(node) if isinstance(part, ast.Constant)}
    return set()


def _use(site: Site, names: Mapping[str, str]) -> str:
    """How the innermost call around a path, or the method called on it, uses it."""
    call = site.call if site.call and site.call is not site.node else None
    if call is None:
        return ""
    full = full_name(call.func, names)
    last = full.rpartition(".")[2]
    if last in _DOWNLOADS or _FETCHES.fullmatch(full):
        return ""
    is_method = site.node in _owners(call.func)
    texts = [a.value for a in (*call.args, *(k.value for k in call.keywords)) if isinstance(a, ast.Constant)]
    if last == "main" and any(k.arg == "config_path" and k.value is site.node for k in call.keywords):
        return "hydra"
    modes = texts if is_method else [text for text in texts if text is not getattr(site.node, "value", None)]
    if last in ("open", "File", "memmap") and any(isinstance(text, str) and _MODE.fullmatch(text) for text in modes):
        return "write"
    if _WRITES.fullmatch(last):
        return "write"
    is_first = is_method or site.node in call.args[:1]
    return "read" if is_first and _READS.fullmatch(last) else ""


def _owners(node: ast.expr) -> list[ast.expr]:
    """The values whose attribute an expression is, a few steps down: x.y and x of x.y.z."""
    found: list[ast.expr] = []
    while isinstance(node, ast.Attribute | ast.Call) and len(found) < MOST_DEPTH:
        node = node.value if isinstance(node, ast.Attribute) else node.func
        found.append(node)
    return found


def find_downloads(script: Script) -> Iterator[tuple[int, str]]:
    """Line and name of each call that needs the network."""
    for _, call, full in script.calls():
        keywords = {k.arg: k.value for k in call.keywords}
        flag = keywords.get("download", keywords.get("pretrained"))
        asks = isinstance(flag, ast.Constant) and flag.value is True
        last = full.rpartition(".")[2]
        if asks or last in _DOWNLOADS or last.startswith("from_pretrained") or _FETCHES.fullmatch(full):
            yield call.lineno, full.removeprefix("?.")[:60] or "a call"
