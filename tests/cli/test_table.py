"""The table of commands: what it says of each is true, and finding one loads no other."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import agent.cli
from agent.cli.app import load_command
from agent.cli.environment import VARIABLES
from agent.cli.table import COMMANDS
from tests.test_rooms import cycle_in, imported

CLI = Path(agent.cli.__file__).parent
SHORT_CHARS = 62  # what 80 columns leave beside the longest name


def commands_below(name: str, command: Any) -> list[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    return [(f"{name} {n}", c) for n, c in children.items()] if children else [(name, command)]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_what_the_table_says(name: str) -> None:
    command = load_command(name)
    first = command.help.partition("\n\n")[0]
    assert command.name == name and first == COMMANDS[name].help
    assert first.endswith(".") and ". " not in first and len(first) <= SHORT_CHARS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_argument_has_a_help(name: str) -> None:
    for title, command in commands_below(name, load_command(name)):
        assert command.help, title
        assert [p.name for p in command.params if not p.help and p.name != "help"] == [], title


@pytest.mark.parametrize("name", COMMANDS)
def test_the_variable_of_every_option_is_known_to_the_check_of_variables(name: str) -> None:
    """Else it is refused as one that no option has."""
    for title, command in commands_below(name, load_command(name)):
        named = {variable for p in command.params if (variable := getattr(p, "envvar", None))}
        assert named <= set(VARIABLES), title


READING = {"status", "show", "history", "ideas", "templates", "doctor", "verify", "baseline"}


def test_every_command_that_reads_prints_json_on_request() -> None:
    with_json = {name for name in COMMANDS if any("--json" in p.opts for p in load_command(name).params)}
    assert with_json >= READING


def module_of(path: Path) -> str:
    parts = path.relative_to(CLI.parent.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_modules_of_the_command_line_import_each_other_in_one_direction() -> None:
    modules = {module_of(path): path for path in CLI.rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        found = {n if n in modules else n.rpartition(".")[0] for n in imported(path)}
        graph[name] = (found & modules.keys()) - {name}
    assert len(graph) > 20 and graph["agent.cli.commands.launch"] and cycle_in(graph) == []


def test_imports_stand_at_the_top_of_a_module() -> None:
    """One inside a function has its reason beside it."""
    hidden = []
    for path in CLI.rglob("*.py"):
        text = path.read_text("utf-8")
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            inside = isinstance(node, ast.ImportFrom | ast.Import) and node.col_offset
            if inside and "  # " not in lines[node.lineno - 1]:
                hidden.append(f"{path.name}:{node.lineno}")
    assert hidden == []


LIGHT = """
import sys
from agent.cli.app import run
run(sys.argv[1:])
heavy = {"git", "jinja2", "litellm", "optuna", "pydantic", "rich", "agent.cli.drive"} & set(sys.modules)
sys.exit(", ".join(sorted(heavy)) or None)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_what_needs_no_command_loads_none(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
