"""Sizes that a reader can take in: short modules, short functions, few parameters, and a comment for each field."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.bench.house import LONG_FUNCTION, MANY_PARAMETERS, functions, is_command, parameters, sources

ROOT = Path(__file__).resolve().parents[1]
PATHS = [path for folder in ("agent", "templates/sae/sealed") for path in sources(ROOT / folder)]
# A class with as many fields has a comment for each.
MANY_FIELDS = 6
LONG_MODULE = 350

# Exceptions, as "module" or "module function". Each goes from its list once it keeps the rule.
LONG_MODULES = {"templates/sae/sealed/data/language_model.py"}
LONG_FUNCTIONS: set[str] = set()
MANY_PARAMETER_FUNCTIONS = {
    "agent/edges/run/trial.py run_trial",
    "agent/edges/template/data.py prepare_data",
    "agent/edges/template/variables.py run_environment",
    "templates/sae/sealed/bench/bench_sae.py __init__",
    "templates/sae/sealed/encoder/run_encoder.py open_encoder",
    "templates/sae/sealed/fast_kernels/codes.py forward",
    "templates/sae/sealed/fast_kernels/dense.py forward",
    "templates/sae/sealed/fast_kernels/paths.py time_paths",
    "templates/sae/sealed/fast_kernels/topk.py attach_encoder",
    "templates/sae/sealed/fast_steps.py auxk_reconstruction",
    "templates/sae/sealed/scores/language_model.py skip_reason",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def all_functions() -> list[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    return list(functions(PATHS))


def commented_lines(text: str) -> dict[int, bool]:
    """Lines with a comment, counted from 1, and whether the comment has the line for itself."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {t.start[0]: not t.line[: t.start[1]].strip() for t in tokens if t.type == tokenize.COMMENT}


def helped_names(module: ast.Module) -> set[str]:
    """Names of the module's types of command line options that have a help text."""
    assigned = [node for node in module.body if isinstance(node, ast.Assign) and "help=" in ast.unparse(node.value)]
    return {target.id for node in assigned for target in node.targets if isinstance(target, ast.Name)}


def uncommented_fields(text: str) -> Iterator[str]:
    """Fields without a comment above them or beside them. The help text of an option is as good as a comment."""
    module = ast.parse(text)
    classes = [node for node in ast.walk(module) if isinstance(node, ast.ClassDef)]
    fields_of = {node: [line for line in node.body if isinstance(line, ast.AnnAssign)] for node in classes}
    wide = {node: fields for node, fields in fields_of.items() if len(fields) >= MANY_FIELDS}
    comments, helped = (commented_lines(text), helped_names(module)) if wide else ({}, set())
    for node, fields in wide.items():
        for field in fields:
            above = comments.get(field.lineno - 1, False)
            beside = any(line in comments for line in range(field.lineno, (field.end_lineno or field.lineno) + 1))
            annotation = ast.unparse(field.annotation)
            if not (above or beside or "help=" in annotation or annotation in helped):
                yield f"{node.name}.{ast.unparse(field.target)}"


def test_classes_of_six_fields_or_more_comment_each_field() -> None:
    found = {
        f"{name_of(path)} {field}"
        for path in sources(ROOT / "agent")
        for field in uncommented_fields(path.read_text("utf-8"))
    }
    assert not found


def test_a_comment_counts_for_the_one_field_below_or_before_it() -> None:
    fields = ["# Seconds.", "a: int", "b: int  # metres", "c: int", 'd: str = "#"', "# Here.", "", "e: int", "f: int"]
    text = "class Six:\n" + "".join(f"    {line}\n" for line in fields)
    assert list(uncommented_fields(text)) == ["Six.c", "Six.d", "Six.e", "Six.f"]
    assert not list(uncommented_fields(text.replace("    f: int\n", "")))


def test_the_help_text_of_an_option_is_its_comment() -> None:
    text = 'Quiet = Annotated[bool, Option(help="Say less.")]\nclass Settings:\n    a: Quiet = False\n'
    text += "    b: Annotated[int, Option(help='Runs.')] = 1\n" + "".join(f"    {name}: int\n" for name in "cdef")
    assert list(uncommented_fields(text)) == [f"Settings.{name}" for name in "cdef"]


def test_modules_are_short() -> None:
    found = {name_of(path) for path in PATHS if len(path.read_text("utf-8").splitlines()) > LONG_MODULE}
    assert found == LONG_MODULES


def test_functions_are_short() -> None:
    found = {
        f"{name_of(path)} {node.name}"
        for path, node in all_functions()
        if (node.end_lineno or node.lineno) - node.lineno + 1 > LONG_FUNCTION
    }
    assert found == LONG_FUNCTIONS


def test_functions_have_few_parameters() -> None:
    """Commands are left out: typer fills their parameters from the command line."""
    found = {
        f"{name_of(path)} {node.name}"
        for path, node in all_functions()
        if parameters(node) > MANY_PARAMETERS and not is_command(node)
    }
    assert found == MANY_PARAMETER_FUNCTIONS
