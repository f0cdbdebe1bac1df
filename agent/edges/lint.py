"""Static checks of an experiment before it is run: whether its interpreter can parse it, and whether every name is
defined.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.core.code.findings import LintFinding
from agent.core.code.source import python_lines
from agent.edges.system.child import run_probe
from agent.edges.system.faults import is_machine_fault
from agent.errors import ScientistError

RULES = ("E9", "F821", "F823", "F831", "F406", "F407", "F701", "F702", "F704", "F706")
SYNTAX_ERROR = "E999"
TIME_LIMIT_S = 60.0
MOST_FINDINGS = 50_000

_FORMAT = "%(path)s\t%(row)d\t%(col)d\t%(code)s\t%(text)s"

# Run by the experiment's interpreter, whose grammar may be older or newer than ours.
_COMPILE = """
import json, sys, warnings
warnings.simplefilter("ignore")
errors = []
for path, text in json.load(sys.stdin).items():
    try:
        compile(text.encode("utf-8", "surrogateescape"), path, "exec", dont_inherit=True)
    except SyntaxError as error:
        errors.append([path, error.lineno or 1, error.offset or 1, "%s: %s" % (type(error).__name__, error.msg)])
    except (ValueError, OverflowError, RecursionError, MemoryError) as error:
        errors.append([path, 1, 1, "%s: %s" % (type(error).__name__, error)])
print(json.dumps(errors))
"""


@dataclass(frozen=True, slots=True)
class Linter:
    """The interpreter's own compiler, and flake8's rules for undefined names. `python` is one that has flake8."""

    python: Path = Path(sys.executable)

    def check(self, files: Mapping[str, str], interpreter: Path | None = None) -> tuple[LintFinding, ...]:
        """Faults that would end a run, by path and line. Syntax is that of `interpreter`, by default our own.

        Raises: ScientistError if flake8 or the interpreter cannot be run.
        """
        sources = {path: text for path, text in files.items() if path.endswith(".py")}
        if not sources:
            return ()
        errors = _syntax_errors(sources, interpreter or self.python)
        names = [found for found in self._flake8(sources) if not found.code.startswith("E9")]
        return tuple(sorted([*errors, *names], key=lambda found: (found.path, found.line, found.column, found.code)))

    def _flake8(self, sources: Mapping[str, str]) -> list[LintFinding]:
        options = ["--isolated", "--jobs=1", f"--select={','.join(RULES)}", f"--format={_FORMAT}"]
        with tempfile.TemporaryDirectory(prefix="lint-") as name:
            for path, text in sources.items():
                copy = Path(name, path)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(text, "utf-8", errors="surrogateescape", newline="")
            command = [str(self.python), "-P", "-m", "flake8", *options, *(f"./{path}" for path in sources)]
            done = _run(command, "", name)
        if "No module named" in done.stderr and "flake8" in done.stderr:
            raise ScientistError(f"flake8 is not installed for {self.python}")
        return read_findings(done.stdout, sources)


def read_findings(output: str, sources: Mapping[str, str]) -> list[LintFinding]:
    """Findings in flake8's output. A crash of flake8 on strange code has none: the smoke run comes next."""
    lines = {path: python_lines(text) for path, text in sources.items()}
    found = (_parse_line(line, lines) for line in output.split("\n")[:MOST_FINDINGS])
    return [finding for finding in found if finding is not None]


def _syntax_errors(sources: Mapping[str, str], interpreter: Path) -> list[LintFinding]:
    done = _run([str(interpreter), "-I", "-S", "-c", _COMPILE], json.dumps(dict(sources)), "/")
    if done.returncode != 0:
        if done.returncode < 0:
            return []  # source so deeply nested that the compiler itself died; running it will tell
        raise ScientistError(f"{interpreter} cannot check syntax: {done.stderr.strip().splitlines()[-1:]}")
    return [
        LintFinding(path, line, column, SYNTAX_ERROR, message, _line_of(python_lines(sources[path]), line))
        for path, line, column, message in json.loads(done.stdout)
    ]


def _run(command: list[str], stdin: str, folder: str) -> subprocess.CompletedProcess[str]:
    try:
        return run_probe(command, TIME_LIMIT_S, stdin=stdin, folder=folder)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, -1, "", "")
    except OSError as error:
        if is_machine_fault(error):
            raise
        raise ScientistError(f"{command[0]} cannot be run: {error.strerror}") from error


def _parse_line(line: str, sources: Mapping[str, Sequence[str]]) -> LintFinding | None:
    fields = line.split("\t", 4)
    if len(fields) != 5:
        return None
    path = fields[0].removeprefix("./")
    if path not in sources:
        return None
    row = int(fields[1])
    return LintFinding(path, row, int(fields[2]), fields[3], fields[4], _line_of(sources[path], row))


def _line_of(lines: Sequence[str], line: int) -> str:
    return lines[line - 1].strip() if 0 < line <= len(lines) else ""
