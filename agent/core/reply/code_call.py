"""Calls of tools and commands of a shell that would show code: `cat experiment.py`, {"name": "read_file", ...}."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent.core.edit.formats.foreign.tool_calls import json_parts, parse_json, plain_key
from agent.core.edit.formats.names import mentioned, named_files
from agent.core.text.lexer import Line

__all__ = ["CodeCall", "read_calls", "read_command"]

MOST_CALLS: Final = 20
JSON_CHARS: Final = 4_000  # of one line
_DEEPEST: Final = 6
# Words in the name of a tool that shows something.
_SHOWS: Final = frozenset(
    (
        *("read", "view", "open", "show", "cat", "get", "fetch", "see", "inspect", "display", "load", "find", "search"),
        *("grep", "list", "getsource", "print", "look"),
    )
)
_NAME_KEYS: Final = ("name", "tool", "toolname", "function", "action", "command", "type")
_PATH_KEYS: Final = (
    "path",
    "file",
    "filename",
    "filepath",
    "targetfile",
    "relativepath",
    "absolutepath",
    "paths",
    "files",
)
_SYMBOL_KEYS: Final = (
    *("symbol", "symbolname", "functionname", "classname", "definition", "query", "pattern", "identifier", "object"),
    *("regex", "symbols", "functions", "searchterm", "keyword"),
)
_FIRST_KEYS: Final = ("startline", "linestart", "firstline", "start", "offset", "begin", "from", "startlinenumber")
_LAST_KEYS: Final = ("endline", "lineend", "lastline", "end", "to", "endlinenumber")
_RANGE_KEYS: Final = ("viewrange", "lines", "range", "linerange")
_COMMAND_KEYS: Final = ("command", "cmd", "script", "code", "commands")
_WRITES: Final = ("oldstring", "oldstr", "oldtext", "newstring", "newstr", "newtext", "content", "contents", "filetext")
_READERS: Final = frozenset(
    ("cat", "less", "more", "nl", "bat", "view", "open", "type", "vim", "nano", "code", "show", "read")
)
_ENDS: Final = frozenset(("head", "tail"))
_SEARCHES: Final = frozenset(("grep", "egrep", "rg", "ack", "ag"))
_LISTS: Final = frozenset(("ls", "dir", "tree", "find", "pwd"))
_PROMPTS: Final = ("$ ", "> ", "% ", "!")
_USUAL_LINES: Final = 10  # of head and tail
# "<", "read_file", ">" in "<read_file>", "<function=view>", '<invoke name="open">'
_TAG: Final = re.compile(r"<(?:function=|invoke name=\"|tool name=\")?([A-Za-z_][\w.-]{0,40})")
# "<parameter=start_line>10<", "<end_line>40<"
_NUMBER: Final = re.compile(r"(start|begin|offset|first|end|last)[\w\"]{0,12}>\s{0,4}(\d{1,6})")
# "<path>", "</command>"
_ANY_TAG: Final = re.compile(r"<[^<>\n]{1,80}>")
# 'read_file("experiment.py", 10, 40)', "print(open('experiment.py').read())", "inspect.getsource(train)"
_PYTHON: Final = re.compile(r"(?:print\()?(?:[A-Za-z_]\w{0,40}\.){0,3}([A-Za-z_]\w{0,40})\(([^()\n]{0,200})\)")
# "20", "-20", "-n20"
_COUNT: Final = re.compile(r"-{0,2}n?(\d{1,6})")
# "10,40p", "7p"
_SED: Final = re.compile(r"(\d{1,6})(?:,(\d{1,6}|\$))?p")
# "10"
_INTEGER: Final = re.compile(r"\b\d{1,6}\b")
# "read", "file", "Show", "Code" in "read_fileShowCode"
_PARTS: Final = re.compile(r"[A-Z]?[a-z]{2,30}")
# "Action: read_file", "**Tool:** view"
_ACTION: Final = re.compile(
    r"\W{0,4}(?:action|tool|function|tool_name|name)\W{0,4}:\W{0,4}(\w{1,40})\W{0,4}$", re.IGNORECASE
)
_TAGS_BELOW: Final = 10  # lines that belong to a call in tags


@dataclass(frozen=True, slots=True)
class CodeCall:
    """What a call or a command would show: a file, lines of it (last 0: all), names in it, or a list of the files."""

    path: str = ""
    first: int = 0
    last: int = 0
    names: str = ""
    lists: bool = False


def read_calls(lines: Sequence[Line], files: Mapping[str, str]) -> Iterator[CodeCall]:
    """Calls of tools in lines of prose or of one fence."""
    done: set[int] = set()
    for part in json_parts(lines):
        found = list(_in_json(parse_json(part), files))
        done.update(line.number for line in part if found)
        yield from found[:MOST_CALLS]
    shows = False
    for i, line in enumerate(lines):
        text = line.text.strip()
        action = _ACTION.match(text[:120])
        shows = _shows(action[1]) if action else shows
        if line.number in done or len(text) > JSON_CHARS:
            continue
        start, stop = text.find("{"), text.rfind("}") + 1
        if 0 < start < stop and '"' in text:
            yield from _in_json(parse_json([Line(line.number, text[start:stop], line.kind)]), files, shows=shows)
        elif (tag := _TAG.match(text)) and _shows(tag[1]):
            yield from _in_tags([each.text[:400] for each in lines[i : i + _TAGS_BELOW]], files)
        elif text.startswith("<"):
            yield from read_command(_ANY_TAG.sub(" ", text[:400]), files)
        elif call := _PYTHON.match(text):
            yield from _in_python(call[1], call[2], files)


def _shows(name: str) -> bool:
    return any(part.lower() in _SHOWS for part in _PARTS.findall(name[:80]))


def _in_json(value: Any, files: Mapping[str, str], depth: int = 0, *, shows: bool = False) -> Iterator[CodeCall]:
    if depth > _DEEPEST:
        return
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = parse_json([Line(1, value[:JSON_CHARS], None)])  # type: ignore[arg-type]
    if isinstance(value, list):
        for item in value[:MOST_CALLS]:
            yield from _in_json(item, files, depth + 1, shows=shows)
    if not isinstance(value, dict):
        return
    held = {plain_key(str(key)): inner for key, inner in value.items()}
    if any(held.get(key) for key in _WRITES):
        return
    shows = shows or any(isinstance(held.get(key), str) and _shows(held[key]) for key in _NAME_KEYS)
    commands = [held[key] for key in _COMMAND_KEYS if isinstance(held.get(key), str)]
    for command in commands:
        yield from (call for line in command.split("\n")[:MOST_CALLS] for call in read_command(line[:400], files))
    if shows:
        yield from _of_arguments(held, files)
    for key, inner in held.items():
        if isinstance(inner, dict | list) or key in ("arguments", "parameters", "input", "args", "actioninput"):
            yield from _in_json(inner, files, depth + 1, shows=shows)


def _of_arguments(held: Mapping[str, Any], files: Mapping[str, str]) -> Iterator[CodeCall]:
    names = " ".join(text for key in _SYMBOL_KEYS for text in _texts(held.get(key)))
    paths = [path for key in _PATH_KEYS for text in _texts(held.get(key)) for path in _meant(text, files)]
    first = next((held[key] for key in _FIRST_KEYS if isinstance(held.get(key), int)), 0)
    last = next((held[key] for key in _LAST_KEYS if isinstance(held.get(key), int)), 0)
    if not last and isinstance(count := held.get("limit"), int):
        last = max(first, 1) + count - 1
    pair = next((held[key] for key in _RANGE_KEYS if isinstance(held.get(key), list) and len(held[key]) == 2), None)
    if pair and all(isinstance(number, int) for number in pair):
        first, last = pair
    if names:
        yield CodeCall(paths[0] if paths else "", names=names)
    else:
        yield from (CodeCall(path, first, last) for path in paths)


def _meant(path: str, files: Mapping[str, str]) -> tuple[str, ...]:
    """The files that a path means, which may lie in a folder of another machine."""
    return named_files(path, files) or named_files(path.replace("\\", "/").rpartition("/")[2], files)


def _texts(value: Any) -> list[str]:
    return [
        text[:400] for text in (value if isinstance(value, list) else [value])[:MOST_CALLS] if isinstance(text, str)
    ]


def _in_tags(lines: Sequence[str], files: Mapping[str, str]) -> Iterator[CodeCall]:
    """A call in XML: the first file that its tags hold, and the numbers in tags that begin or end a range."""
    text = "\n".join(lines)
    numbers = {("first" if found[0] in ("start", "begin", "offset", "first") else "last"): int(found[1])
               for found in reversed(_NUMBER.findall(text))}  # fmt: skip
    paths = mentioned(text, files)
    if paths:
        yield CodeCall(paths[0], numbers.get("first", 0), numbers.get("last", 0))
    else:
        yield CodeCall(names=_ANY_TAG.sub(" ", text))


def _in_python(name: str, arguments: str, files: Mapping[str, str]) -> Iterator[CodeCall]:
    if not _shows(name) or name == "print":
        return
    paths = mentioned(arguments, files)
    numbers = [int(found) for found in _INTEGER.findall(arguments)[:2]]
    if paths:
        yield CodeCall(paths[0], *(numbers if len(numbers) == 2 else ()))
    elif name != "open":
        yield CodeCall(names=arguments.replace('"', " ").replace("'", " "))


def read_command(text: str, files: Mapping[str, str], *, is_alone: bool = False) -> Iterator[CodeCall]:
    """What a command of a shell would show of the files. is_alone: it stands on a line of prose, which may be words."""
    bare = text.strip().strip("`").strip()
    prompt = next((sign for sign in _PROMPTS if bare.startswith(sign)), "")
    bare = bare[len(prompt) :].strip()
    if any(sign in bare for sign in (">", "<<")) and not prompt:
        return
    for command in re.split(r"\|\||&&|[|;]", bare)[:4]:
        try:
            words = shlex.split(command)
        except ValueError:
            words = command.split()
        if words and (call := _shown_by(words, files, is_alone=is_alone and not prompt)):
            yield call
            return


def _shown_by(words: Sequence[str], files: Mapping[str, str], *, is_alone: bool) -> CodeCall | None:
    program, rest = words[0].lower(), words[1:]
    paths = [path for word in rest for path in _meant(word, files)]
    path = paths[0] if paths else ""
    if program in _LISTS:
        return CodeCall(lists=True) if not is_alone or len(words) <= 2 else None
    if not path:
        return None
    if is_alone and (len(words) > 6 or any(word.lower() in ("and", "the", "to") for word in rest)):
        return None  # a sentence
    count = next((int(found[1]) for word in rest if (found := _COUNT.fullmatch(word))), _USUAL_LINES)
    if program in _READERS:
        return CodeCall(path)
    if program in _ENDS:
        end = files[path].count("\n") + 1
        return CodeCall(path, 1, count) if program == "head" else CodeCall(path, max(1, end - count), end)
    if program == "sed" and (found := next((m for word in rest if (m := _SED.search(word))), None)):
        last = found[2] if found[2] and found[2] != "$" else "0"
        return CodeCall(path, int(found[1]), int(last) or (files[path].count("\n") + 1 if found[2] else int(found[1])))
    if program in _SEARCHES:
        return CodeCall(path, names=" ".join(word for word in rest if not word.startswith("-") and word not in paths))
    return None
