"""Find the parts of a reply that look like changes of its files and are no edit that can be read.

They are judged by the files' own lines: a fence, a value of JSON or bare lines that hold some lines of a file and
others that it has neither before the edits nor after them are a change. Lines that the file has are a quotation.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise, takewhile
from textwrap import dedent
from typing import Any, Final

from agent.core.code.source import find_bad_python
from agent.core.edit.formats.foreign.tool_calls import json_parts, parse_json, read_calls
from agent.core.edit.formats.heads import calls_example
from agent.core.edit.formats.names import find_name, mentioned
from agent.core.edit.formats.pairs import paired_fences
from agent.core.text.hunks import BEGIN, SECTIONS, read_hunk_head
from agent.core.text.lexer import Kind, Line
from agent.core.text.markers import read_fence
from agent.core.text.placeholders import is_elision

__all__ = ["UnreadChange", "find_unread"]

SHORTEST: Final = 8  # characters of a line that is enough to know its file by
_FEWEST_NEW: Final = 3  # lines of a fence of Python
_MOST_BELOW: Final = 6  # lines below a name
_SHORTEST_NAME: Final = 4
FEWEST_BARE: Final = 4  # lines of a file that stand without a fence
_DEEPEST: Final = 6
# Fences of these hold commands, output or data.
_SHELLS: Final = ("bash", "sh", "shell", "zsh", "console", "terminal")
_NOT_CODE: Final = frozenset((*_SHELLS, "output", "log", "csv", "text", "txt", "plaintext", "markdown"))
_PYTHON: Final = frozenset(["python", "py", "python3"])
_DIFFS: Final = frozenset(["diff", "patch", "udiff"])
_MARKS_OF_OUTPUT: Final = ("Traceback (most recent call last)", '  File "', ">>> ")
# How words begin that announce a change, and how they end.
_VERBS: Final = frozenset(
    (
        *("add", "append", "apply", "change", "edit", "extend", "insert", "modify", "put", "remove", "rename"),
        *("replace", "rewrite", "set", "swap", "switch", "update"),
    )
)
_LAST_WORDS: Final = frozenset(("with", "to", "by"))
_FILLERS: Final = frozenset(
    ("also", "and", "finally", "first", "i", "ll", "let", "next", "now", "please", "s", "second", "then")
)
# Names of arguments by which a call that changes a file is known, in whatever form it is written.
_SIGNS: Final = (
    *("old_string", "old_str", "old_text", "old_code", "oldString", "oldText", "search_text", "original_code"),
    *("new_string", "new_str", "new_text", "new_code", "newString", "newText", "replace_text", "insert_line"),
    *("file_text", "insert_text", "code_edit"),
)
_WRITES: Final = ("write_text(", ".write(", ", 'w')", ', "w")')
_INDENTS: Final = ("    ", "\t")
# "def train(x):", "class Net:"
_DEFINED: Final = re.compile(r"\s*(?:async )?(?:def|class) (\w+)")
# "change", "LR"
_WORD: Final = re.compile(r"[A-Za-z_]+")


@dataclass(frozen=True, slots=True)
class UnreadChange:
    """A part of a reply that looks like a change. line: its first line. what: the part, in words."""

    line: int
    what: str


def find_unread(
    lines: Sequence[Line], read: Collection[int], before: Mapping[str, str], after: Mapping[str, str]
) -> UnreadChange | None:
    """The first such part. read: numbers of the lines at which edits begin that were read."""
    known = _Known(before, after)
    free = [line for line in lines if line.kind in (Kind.PROSE, Kind.CODE)]
    _, taken = read_calls(free, known.names)
    free = [line for line in free if line.number not in taken]
    parts = (*_calls(lines, free, known), *_fences(lines, read, known), *_bare(lines, free, known))
    return next((part for part in parts if part), None)


class _Known:
    """The lines of the files, before the reply's edits and after them."""

    def __init__(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        texts = [(name, text) for held in (before, after) for name, text in held.items()]
        self.names = tuple(dict.fromkeys(name for name, _ in texts))
        self.lines = {line.strip() for _, text in texts for line in text.split("\n")}
        self.code: dict[str, str] = {}  # a line of some Python file that says much, and its file
        self.defined: dict[str, str] = {}  # a function or class, and its file
        self.targets: dict[str, str] = {}  # a name that is given a value, and its file
        for name, text in texts:
            for line in text.split("\n") if name.endswith(".py") else ():
                if _says_much(line.strip()):
                    self.code.setdefault(line.strip(), name)
                if found := _DEFINED.match(line):
                    self.defined.setdefault(found[1], name)
                if target := _target(line):
                    self.targets.setdefault(target, name)

    def is_held(self, line: str) -> bool:
        return line.strip() in self.lines

    def changed_by(self, body: Sequence[str]) -> str:
        """The file that the lines change in part, "" if they quote it or have nothing to do with it."""
        if all(self.is_held(line) or line.lstrip().startswith(("#", "...", "…")) for line in body):
            return ""
        mine = (self.code.get(line.strip(), "") for line in body)
        named = (self.defined.get(found[1], "") for line in body if (found := _DEFINED.match(line)))
        if name := next((name for name in (*mine, *named) if name), ""):
            return name
        set_anew = [self.targets.get(_target(line), "") for line in body if not self.is_held(line)]
        return set_anew[0] if all(set_anew) else ""


def _says_much(line: str) -> bool:
    """Whether a line is code that hardly stands in two programs by chance."""
    is_code = any(sign in line for sign in "=()[]:.")
    is_common = line.startswith(("import ", "from ", "#", "@", '"""', "if __name__"))
    return len(line) >= SHORTEST and is_code and not is_common


def _calls(lines: Sequence[Line], free: Sequence[Line], known: _Known) -> Iterator[UnreadChange]:
    """Lines with an argument of a call that changes a file: `"old_str": `, `<old_str>`, `old_str=`."""
    for line in free:
        if any(_is_argument(line.text, sign) for sign in _SIGNS):
            mark = read_fence(lines[line.fence - 1].text) if line.kind is Kind.CODE else None
            is_python = mark is not None and mark.info.lower().partition(" ")[0] in _PYTHON
            if not is_python or mentioned(line.text, known.names):
                yield UnreadChange(line.number, "a call of a tool that is not read")


def _is_argument(text: str, name: str) -> bool:
    at = text.find(name)
    after = text[at + len(name) : at + len(name) + 1]
    return at >= 0 and after in ('"', "'", "<", ">", "=") and (at == 0 or text[at - 1] in "\"'<>=(, ")


def _target(line: str) -> str:
    """The name that a line gives a value, as an argument or by itself: "rate" of `rate = 3`, "" if it is short."""
    name, sign, value = line.strip().partition("=")
    name = name.partition(":")[0].strip()
    is_name = sign and value and value[0] != "=" and name.replace(".", "_").isidentifier()
    return name if is_name and (len(name) >= _SHORTEST_NAME or name.isupper()) else ""


# fences


def _fences(lines: Sequence[Line], read: Collection[int], known: _Known) -> Iterator[UnreadChange | None]:
    paired = paired_fences(lines)
    for number, part in groupby(lines, key=lambda line: line.fence):
        fence = list(part)
        if not number or lines[number - 1].kind is not Kind.FENCE:
            continue
        has_blocks = any(line.kind in (Kind.BLOCK, Kind.PATCH) for line in fence)
        if number not in paired and (has_blocks or not any(line.number in read for line in fence)):
            body = [line.text for line in fence[1:] if line.kind is Kind.CODE and line.text.strip()]
            body = [line for line in body if not find_name(line, known.names)] if has_blocks else body
            yield _judge_fence(lines, number, body, has_blocks, known)


def _judge_fence(
    lines: Sequence[Line], number: int, body: Sequence[str], has_blocks: bool, known: _Known
) -> UnreadChange | None:
    mark = read_fence(lines[number - 1].text)
    language = mark.info.lower().partition(" ")[0].partition(":")[0] if mark else ""
    is_output = any(line.startswith(_MARKS_OF_OUTPUT) for line in body)
    if not body or is_output:
        return None
    if language in _NOT_CODE:
        return _writes_by_program(number, body, known) if language not in ("output", "log", "csv") else None
    signs = {line[:1] for line in body}
    if {"+", "-"} <= signs <= {"+", "-", " ", "@"} or (language in _DIFFS and not signs.isdisjoint(("+", "-"))):
        new = [line[1:] for line in body if line[:1] == "+"]
        return None if all(map(known.is_held, new)) else UnreadChange(number, "a diff that is not read")
    what = "lines outside of its edits" if has_blocks else "code"
    if name := known.changed_by(body):
        return UnreadChange(number, f"{what} that would change {name}")
    if any(is_elision(line) for line in body) and not all(known.is_held(line) or is_elision(line) for line in body):
        return UnreadChange(number, "code with marks for lines left out")
    if (language in _PYTHON or not language) and not has_blocks and _is_introduced(lines, number - 1, known):
        is_code = language in _PYTHON or (
            all(_says_much(line.strip()) for line in body) and find_bad_python("\n".join(body)) is None
        )
        if is_code and not all(map(known.is_held, body)):
            return UnreadChange(number, "code that the words above it put into a file")
    if language in _PYTHON and not has_blocks and _is_new_code(lines, number - 1, body, known):
        return UnreadChange(number, "code that is in no file")
    return _writes_by_program(number, body, known)


def _is_new_code(lines: Sequence[Line], end: int, body: Sequence[str], known: _Known) -> bool:
    """Whether several lines of code are in no file, and the words above index `end` do not call them an example."""
    new = [line for line in body if not known.is_held(line) and not line.lstrip().startswith("#")]
    is_code = len(new) >= _FEWEST_NEW and sum(map(_looks_like_code, new)) >= _FEWEST_NEW - 1
    if not is_code or find_bad_python(dedent("\n".join(body))) is not None:
        return False
    return not calls_example(lines, end)


def _is_introduced(lines: Sequence[Line], end: int, known: _Known) -> bool:
    """Whether the words just above index `end` announce a change: "Then change the rate:"."""
    above = next((line for line in reversed(lines[max(0, end - 3) : end]) if line.text.strip()), None)
    if above is None or above.kind is not Kind.PROSE or not above.text.rstrip(" *_").endswith(":"):
        return False
    words = [word for word in _WORD.findall(above.text[:400].lower()) if word not in _FILLERS]
    says = bool(words) and (words[0] in _VERBS or words[-1] in _LAST_WORDS)
    return says or bool(mentioned(above.text, known.names))


def _writes_by_program(number: int, body: Sequence[str], known: _Known) -> UnreadChange | None:
    """A program that would write a file of the experiment."""
    names = next((found for line in body if (found := mentioned(line, known.names))), ())
    if names and any(sign in line for line in body for sign in _WRITES):
        return UnreadChange(number, f"a program that would change {names[0]}")
    return None


# lines without a fence


def _bare(lines: Sequence[Line], free: Sequence[Line], known: _Known) -> Iterator[UnreadChange | None]:
    for line in free:
        if form := _looks_like_patch(line):
            yield UnreadChange(line.number, f"a line of {form} that is not read")
    for part in json_parts(free):
        texts = [text for text in _texts(parse_json(part)) if len(text) >= SHORTEST]
        if any(map(known.is_held, texts)) and not all(map(known.is_held, texts)):
            name = next((known.code[text] for text in texts if text in known.code), "a file")
            yield UnreadChange(part[0].number, f"JSON that would change {name}")
    numbers = {line.number for line in free}
    for is_prose, group in groupby(lines, key=lambda line: line.kind is Kind.PROSE and line.number in numbers):
        run = [line for line in group if line.text.strip()]
        if is_prose:
            yield _judge_bare(run, known)
            yield _find_indented(lines, run, known)


def _looks_like_patch(line: Line) -> str:
    """The kind of patch whose line stands indented, quoted or in other letters, "" if it is none."""
    text = line.text.lstrip(" \t>")
    lower = text.lower()
    if lower.startswith((BEGIN.lower(), *(section.lower().rstrip() for section in SECTIONS))):
        return f"a {BEGIN} patch"
    head = read_hunk_head(text) if text != line.text else None
    return "a unified diff" if head and head.counts else ""


def _is_code_below(below: Sequence[Line], known: _Known) -> bool:
    """Whether most lines below a name look like code, and not all of them are the file's."""
    held = [known.is_held(line.text) for line in below]
    code = [_looks_like_code(line.text) or line.text.lstrip().startswith("#") for line in below]
    is_new = any(_looks_like_code(line.text) and not has for line, has in zip(below, held, strict=True))
    return is_new and sum(a or b for a, b in zip(held, code, strict=True)) * 2 > len(below)


def _looks_like_code(line: str) -> bool:
    """Whether a line gives a value or calls something."""
    text = line.strip()
    calls = any(before.isalnum() and sign == "(" for before, sign in pairwise(text[:200]))
    return bool(_target(text)) or (calls and text.endswith((")", ",", ":", "(", "]", "}")))


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    """The lines of all strings of a JSON value."""
    if isinstance(value, str):
        yield from (line.strip() for line in value.split("\n"))
    elif depth < _DEEPEST and isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner, depth + 1)


def _judge_bare(run: Sequence[Line], known: _Known) -> UnreadChange | None:
    """A program without a fence: several lines of a file, with others between them."""
    marks = [line for line in run if is_elision(line.text)]
    new = (line for line in run if line not in marks and _says_much(line.text.strip()))
    if marks and not all(known.is_held(line.text) for line in new):
        return UnreadChange(marks[0].number, "code with marks for lines left out")
    hits = [line for line in run if line.text.strip() in known.code]
    if len({line.text.strip() for line in hits}) < FEWEST_BARE:
        return None
    held = [i for i, line in enumerate(run) if known.is_held(line.text)]
    span = run[held[0] : held[-1] + 1]
    if len(held) == len(span):
        return None
    name = known.code[hits[0].text.strip()]
    return UnreadChange(span[0].number, f"code without a fence that would change {name}")


def _find_indented(lines: Sequence[Line], run: Sequence[Line], known: _Known) -> UnreadChange | None:
    """Indented code under words that announce a change of a file."""
    for k, line in enumerate(run):
        above = find_name(run[k - 1].text, known.names) if k else None
        if above in known.names and _is_code_below(run[k : k + _MOST_BELOW], known):
            return UnreadChange(line.number, f"code without a fence below the name {above}")
        if not line.text.startswith(_INDENTS) or not k or run[k - 1].text.startswith(_INDENTS):
            continue
        code = list(takewhile(lambda other: other.text.startswith(_INDENTS), run[k:]))
        says_much = any(_says_much(other.text.strip()) and not known.is_held(other.text) for other in code)
        if says_much and mentioned(run[k - 1].text, known.names) and _is_introduced(lines, line.number - 1, known):
            return UnreadChange(line.number, "indented code that the words above it put into a file")
    return None
