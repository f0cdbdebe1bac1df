"""What may be imported where: core decides on values alone, no module of agent needs torch, importing does nothing."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import agent
from tests.bench.house import parse

ROOT = Path(agent.__file__).parent
CORE = sorted((ROOT / "core").rglob("*.py"))
MODULES = sorted(ROOT.rglob("*.py"))
PROMPTS = ROOT / "core" / "prompt" / "render.py"

# All that core may import of what is not its own. Of a set, only these names; None: everything.
PURE: dict[str, set[str] | None] = {
    "__future__": None,
    "ast": None,
    "bisect": None,
    "builtins": None,
    "collections": None,
    "collections.abc": None,
    "dataclasses": None,
    "difflib": None,
    "enum": None,
    "functools": None,
    "hashlib": {"sha256"},
    "html": {"unescape"},
    "io": {"StringIO"},
    "ipaddress": {"ip_address"},
    "itertools": None,
    "json": {"JSONDecodeError", "JSONDecoder", "dumps", "loads"},
    "math": None,
    "pathlib": {"PurePosixPath"},
    "pydantic": None,
    "re": None,
    "shlex": {"split"},
    "signal": {"SIGBUS", "SIGKILL", "SIGTERM", "SIGXCPU", "Signals"},
    "statistics": None,
    "symtable": None,
    "tokenize": {"COMMENT", "ENDMARKER", "OP", "STRING", "TokenError", "TokenInfo", "generate_tokens"},
    "textwrap": {"dedent"},
    "tomllib": {"loads"},
    "typing": None,
    "urllib.parse": {"quote", "quote_plus", "urlsplit"},
    "unicodedata": None,
    "warnings": {"catch_warnings", "simplefilter"},
}
TEMPLATES = {"jinja2": {"Environment", "PackageLoader", "StrictUndefined"}}  # the packaged prompts, read by one module
EXPERIMENTS = {"torch", "numpy", "scipy", "tensorflow", "jax", "sae_lens"}
IMPURE_CALLS = {"open", "exec", "eval", "compile", "input", "print", "breakpoint", "__import__", "hash"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str]]:
    """Every import among them: the module, and the name taken of it or "" for the module itself."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (("." * node.level + (node.module or ""), alias.name) for alias in node.names)


def impurities(tree: ast.Module, allowed: dict[str, set[str] | None]) -> list[str]:
    """What a module uses beyond what is allowed: imports, names taken of them, calls of impure builtins."""
    found = []
    modules = {}
    nodes = list(ast.walk(tree))
    for module, taken in imports(nodes):
        if module.split(".")[0] == "agent":
            if not module.startswith(("agent.core", "agent.errors")):
                found.append(f"import {module}")
        elif module not in allowed:
            found.append(f"import {module}")
        elif not taken:
            modules[module] = allowed[module]
        elif (names := allowed[module]) is not None and taken not in names:
            found.append(f"from {module} import {taken}")
    for node in nodes:
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=attr) if modules.get(module) is not None:
                if attr not in (modules[module] or ()):
                    found.append(f"{module}.{attr}")
            case ast.Call(func=ast.Name(id=called)) if called in IMPURE_CALLS:
                found.append(f"{called}()")
            case _:
                pass
    return found


@pytest.mark.parametrize("path", CORE, ids=name_of)
def test_core_has_no_clock_socket_subprocess_randomness_or_files(path: Path) -> None:
    allowed = PURE | TEMPLATES if path == PROMPTS else PURE
    assert impurities(parse(path), allowed) == []


@pytest.mark.parametrize(
    "code",
    [
        "import os",
        "import time",
        "from time import monotonic",
        "import datetime",
        "def f():\n    from datetime import datetime",
        "import random",
        "from secrets import token_hex",
        "import uuid",
        "import socket",
        "import subprocess",
        "import shutil",
        "import tempfile",
        "import threading",
        "import asyncio",
        "import importlib",
        "import litellm",
        "import torch",
        "import agent.edges.git.repo",
        "from agent.loop import Loop",
        "from pathlib import Path",
        "import pathlib\npathlib.Path('x')",
        "import io\nio.open('x')",
        "import io\nio.FileIO('x')",
        "import tokenize\ntokenize.open('x')",
        "import signal\nsignal.alarm(1)",
        "from jinja2 import FileSystemLoader",
        "open('x')",
        "print('x')",
        "exec('import os')",
        "__import__('os')",
    ],
)
def test_what_core_may_not_do_is_noticed(code: str) -> None:
    assert len(impurities(ast.parse(code), PURE)) == 1


def test_the_walk_sees_the_whole_of_core() -> None:
    names = {name_of(path) for path in CORE}
    assert {"agent.core", "agent.core.decide", "agent.core.prompt.render", "agent.core.edit.apply"} <= names
    assert len(names) > 20


def test_no_module_of_the_orchestrator_imports_an_experiments_library() -> None:
    suspects = [path for path in MODULES if any(name in path.read_text("utf-8") for name in EXPERIMENTS)]
    users = [
        name_of(p) for p in suspects if EXPERIMENTS & {name.split(".")[0] for name, _ in imports(ast.walk(parse(p)))}
    ]
    assert suspects and users == []


def reads_environment(tree: ast.Module) -> bool:
    nodes = list(ast.walk(tree))
    taken = {f"{module}.{name}" for module, name in imports(nodes)}
    set_only = {id(n.value.func.value) for n in nodes if is_setdefault(n)}
    read = {
        f"os.{n.attr}"
        for n in nodes
        if isinstance(n, ast.Attribute) and getattr(n.value, "id", "") == "os" and id(n) not in set_only
    }
    return bool((taken | read) & {"os.environ", "os.environb", "os.getenv", "os.getenvb"})


def is_setdefault(node: ast.AST) -> bool:
    """Whether this statement sets a variable for a library, as `os.environ.setdefault("A", "b")`, and reads none."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="setdefault"))):
            return True
        case _:
            return False


def test_environment_variables_are_read_by_the_command_line_alone() -> None:
    suspects = [path for path in MODULES if re.search(r"environb?\b|getenvb?\b", path.read_text("utf-8"))]
    readers = [name_of(path) for path in suspects if reads_environment(parse(path))]
    assert readers and [name for name in readers if not name.startswith("agent.cli")] == []


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.environ['A']",
        "from os import getenv",
        "import os\nos.getenv('A')",
        "import os\nx = os.environ.setdefault('A', 'b')",
    ],
)
def test_a_reader_of_environment_variables_is_noticed(code: str) -> None:
    assert reads_environment(ast.parse(code))


WATCHED_IMPORT = """
import os, sys
seen = []
def watch(event, args):
    if event == "open" and (args[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        seen.append(f"open {args[0]}")
    elif event in ("os.mkdir", "os.rename", "os.remove", "os.system", "socket.connect", "subprocess.Popen", "os.fork"):
        seen.append(f"{event} {args}")
sys.addaudithook(watch)
for name in sys.argv[1:]:
    __import__(name)
heavy = {"torch", "numpy", "litellm", "git", "optuna"} & set(sys.modules)
sys.exit("; ".join(seen + sorted(heavy)) or None)
"""


def test_importing_the_command_and_core_prints_creates_and_loads_nothing() -> None:
    names = ["agent.cli", *(name_of(path) for path in CORE)]
    done = subprocess.run(
        [sys.executable, "-B", "-c", WATCHED_IMPORT, *names],
        cwd=ROOT.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
