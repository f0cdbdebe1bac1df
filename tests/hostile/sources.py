"""Collect the regular expressions of all modules of agent, and of the templates."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.hostile.patterns import ANCHORED, METHODS, ROOT, Pattern, find_slow

__all__ = ["collect"]

SKIPPED: Final = {"agent.edges.supervise"}  # runs when it is imported


def collect() -> list[Pattern]:
    """All patterns, those of module level as they are compiled, those in functions as they are written."""
    compiled = _import_all()
    found: list[Pattern] = []
    texts = {path: path.read_text("utf-8") for name in ("agent", "templates") for path in (ROOT / name).rglob("*.py")}
    everything = "\n".join(texts.values())
    for path, text in texts.items():
        where = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(text)):
            if not _is_call_of_re(node):
                continue
            assert isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            known = [made for (file, line), made in compiled.items() if file == where and line in lines]
            for pattern in known or _written(node):
                anchored = node.func.attr in ANCHORED or _is_anchored(text, everything, node.lineno)
                found.append(Pattern(where, node.lineno, pattern, anchored))
    return found


def _is_call_of_re(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
        return False
    return getattr(node.func.value, "id", "") == "re" and node.func.attr in {*METHODS, "compile"}


def _import_all() -> dict[tuple[str, int], re.Pattern[str]]:
    """The patterns that the modules of agent compile when they are imported, by file and line."""
    found: dict[tuple[str, int], re.Pattern[str]] = {}
    compile_as_ever = re.compile

    def compile_and_note(pattern: Any, flags: Any = 0) -> Any:
        made = compile_as_ever(pattern, flags)
        caller = sys._getframe(1)
        while caller.f_code.co_name in ("<genexpr>", "<listcomp>") and caller.f_back:
            caller = caller.f_back
        path = Path(caller.f_code.co_filename)
        if path.is_relative_to(ROOT / "agent"):
            key = str(path.relative_to(ROOT)), sys._getframe(1).f_lineno
            while key in found:  # several on one line
                key = key[0], key[1] + 1
            found[key] = made
        return made

    assert not any(name.startswith("agent.") for name in sys.modules), "import agent after this"
    re.compile = compile_and_note
    try:
        for path in sorted((ROOT / "agent").rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            if name not in SKIPPED and "skeleton" not in name:
                importlib.import_module(name)
    finally:
        re.compile = compile_as_ever
    return found


def _written(node: ast.Call) -> Iterator[re.Pattern[str]]:
    """The pattern of a call in a function, in which a word stands for all that is only known later."""
    text = _text_of(node.args[0])
    if text is not None:
        given = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
        flags = {part.attr for each in given for part in ast.walk(each) if isinstance(part, ast.Attribute)}
        yield re.compile(text, sum(getattr(re, flag, 0) for flag in flags))


def _text_of(node: ast.expr) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Constant(value=bytes(raw)):
            return raw.decode("latin-1")
        case ast.JoinedStr(values=parts):
            return "".join(_text_of(part) or "word" for part in parts)
        case ast.BinOp(left=left, right=right):
            return (_text_of(left) or "word") + (_text_of(right) or "word")
        case _:
            return None


def _is_anchored(text: str, everything: str, line: int) -> bool:
    """Whether the name that the pattern is given is used for matches at one place alone."""
    named = re.match(r"\s*(\w+)\b[^=\n(]*= re\.compile\(", text.split("\n")[line - 1])
    if named is None:
        return False
    uses = set(re.findall(rf"\b{named[1]}\.(\w+)\(", text if named[1].startswith("_") else everything))
    is_passed_on = re.search(rf"[(\[ ]{named[1]}[,)\]]", text) is not None
    return bool(uses) and uses <= ANCHORED and not is_passed_on


def main() -> int:
    patterns = collect()
    slow = [(pattern, found) for pattern in patterns if (found := find_slow(pattern))]
    for pattern, (text, seconds) in slow:
        said = f"{text[:40]!r} ... {text[-8:]!r}"
        print(f"{pattern.path}:{pattern.line}: {seconds:.2f} s for {len(text)} characters: {said}")
    print(f"{len(patterns)} regular expressions, {len(slow)} of them slow")
    return bool(slow)


if __name__ == "__main__":
    sys.exit(main())
