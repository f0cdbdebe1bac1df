"""Requests to see code: in prose, as `SHOW: train`, as a command of a shell, or as a call of a tool.

Each line is read once. What is read as a request must name a file, a definition, a constant or lines that are there, or
a name in the form of a definition's. Prose must also ask to be shown it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from agent.core.code.entry import training_places
from agent.core.code.places import name_places
from agent.core.edit.apply import lines_of
from agent.core.edit.formats.names import mentioned
from agent.core.reply.code_call import CodeCall, read_calls, read_command
from agent.core.reply.plan import without_plan
from agent.core.text.lexer import Kind, Line
from agent.core.text.markers import read_fence

__all__ = ["CodeRequest", "find_code_request"]

MOST_PLACES: Final = 8
MOST_LINES: Final = 1_000  # at either end of a reply
MOST_LINE: Final = 9_999_999  # number of a line
MOST_NAMES: Final = 400  # looked up for one reply
MOST_IN_FENCE: Final = 6  # lines with text of a fence that may be a command
STRICT_CHARS: Final = 600
_NEAR: Final = 8  # lines around one that a search finds
LINE_CHARS: Final = 400
_COMMAND_FENCES: Final = frozenset(
    ("", "bash", "sh", "shell", "zsh", "console", "terminal", "tool_code", "tool_call", "json", "xml", "python", "text")
)

# "SHOW: train", "**View:** experiment.py", "READ_FILE: experiment.py", "SHOW train"
_SHOW: Final = re.compile(
    r"[\s>*_`#-]{0,8}(?:(?i:show|view|read|open|cat|display|print|see|request|inspect)"
    r"(?:[_ ](?i:file|code|me|function))?[*_`]{0,3}:|(?:SHOW|VIEW|READ|OPEN|CAT)\b)(?P<what>.{1,300})"
)
# "show me ...", "give us ..."
_TELLS: Final = re.compile(r"\b(?:show|give|send|tell|provide|share|paste|print|display) (?:me|us)\b", re.IGNORECASE)
# "Please provide ...", "Could you share ..."
_ASKS: Final = re.compile(
    r"\b(?:please|kindly|(?:can|could|would|will) (?:you|we))\b.{0,60}?"
    r"\b(?:show|provide|share|send|paste|print|display|post|give|output|reveal|include|open|list|upload|attach|dump)\b",
    re.IGNORECASE,
)
# "I need to see ...", "let me look at ...", "may I view ...", "I cannot see ...", "I will read ..."
_WANTS: Final = re.compile(
    r"\b(?:(?:I|we)(?:'d|'ll| would| will| am going to)?(?: also| first| still)?"
    r" (?:need|want|like|wish|have|must|should|cannot|can't|can not|couldn't|could not|don't|do not)"
    r"|(?:I|we)(?:'ll| will| am going to)|let me|let us|let's|(?:may|can|could|might) (?:I|we))\b.{0,60}?"
    r"\b(?:see|view|read|look|inspect|examine|check|review|open|know|access|have)\b",
    re.IGNORECASE,
)
# "I need the definition of ...", "we require the full code of ..."
_NEEDS: Final = re.compile(
    r"\b(?:need|want|require)s? .{0,40}?\b(?:definition|body|code|source|contents?|implementation|signature)s?\b",
    re.IGNORECASE,
)
# "Show train()", "First, view experiment.py"
_ORDERS: Final = re.compile(r"(?:first,? |please,? |now,? )?(?:show|view|display|print|cat|inspect)\b", re.IGNORECASE)
# "What does train() look like?", "Where is the loss computed?"
_QUESTION: Final = re.compile(r"\b(?:what|where|how|which)\b.{0,200}\?", re.IGNORECASE)
# "lines 10-40", "line 12", "lines 10 to 40"
_LINES: Final = re.compile(
    r"\b(?:lines?|L)\s?(\d{1,6})(?:\s?(?:-|–|—|to|through|until|and)\s?L?(\d{1,6}))?\b", re.IGNORECASE
)
# "experiment.py:10-40"
_AT: Final = re.compile(r":(\d{1,6})(?:-(\d{1,6}))?\b")
# "the whole file", "the full contents", "rest of the code", "the current code", "its contents"
_WHOLE: Final = re.compile(
    r"\b(?:the|its|your|all|rest|whole|full|entire|complete|current|hidden|missing)\b.{0,30}?"
    r"\b(?:file|code|script|source|program|implementation|contents?|lines|parts?)\b",
    re.IGNORECASE,
)
# "the training loop"
_LOOP: Final = re.compile(r"\b(?:train(?:ing)?|main|optimi[sz]ation|inner|outer) loop\b", re.IGNORECASE)
# "which files are there", "list the files"
_FILES: Final = re.compile(r"\b(?:which|what|list|all|the) (?:of )?(?:the )?(?:other )?files\b", re.IGNORECASE)
# "train()", "`Net.forward`", "the function warm_up", "MAX_STEPS", "model.py"
_TOKEN: Final = re.compile(
    r"(?P<kind>\b(?:function|method|class|def|definition of|constant) )?(?P<tick>`?)"
    r"(?P<name>[A-Za-z_]\w{0,80}(?:\.[A-Za-z_]\w{0,80}){0,3})(?P<call>\(\)?)?"
)
# Words of a request that may be names of definitions, too.
_ASKING: Final = frozenset(
    (
        "show",
        "view",
        "read",
        "open",
        "print",
        "display",
        "list",
        "see",
        "look",
        "get",
        "give",
        "send",
        "check",
        "inspect",
    )
)
# Words after "function" or "class" that are no names.
_LITTLE: Final = frozenset(
    (
        *("a", "and", "as", "at", "called", "for", "from", "in", "is", "it", "named", "of", "on", "or", "that", "the"),
        *("to", "which", "with"),
    )
)
# "experiment.py"
_SOURCE: Final = re.compile(r"\.(?:py|toml|json|ya?ml|txt|cfg|ini)$")


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """Code that a reply asks to see."""

    # In the form of agent/core/code/places.py.
    places: tuple[str, ...] = ()
    # Names that stand in no file.
    missing: tuple[str, ...] = ()


@dataclass(slots=True)
class _FoundRequest:
    """What was asked for so far."""

    # All texts that may be shown.
    files: Mapping[str, str]
    # The file that is meant if none is named.
    main: str
    # In the form of agent/core/code/places.py, in order.
    places: dict[str, None] = field(default_factory=dict)
    # Names that stand in no file, in order.
    missing: dict[str, None] = field(default_factory=dict)
    # Whether it asks which files there are.
    lists: bool = False
    # Names that were looked up.
    tried: int = 0

    def add(self, text: str, *, is_list: bool = False) -> None:
        """All that a text names. is_list: it is nothing but names."""
        named = mentioned(text, self.files)
        path = named[0] if len(named) == 1 else self.main
        places = self._names(text, is_list=is_list) | self._lines(text, path, has_file=bool(named))
        if _LOOP.search(text) and path in self.files:
            places |= dict.fromkeys(training_places({path: self.files[path]}))
        if not places and named:
            places = dict.fromkeys(named)
        if not places and not self.missing and path in self.files and _WHOLE.search(text):
            places = {path: None}
        self.places |= places
        self.lists = self.lists or (not places and _FILES.search(text) is not None)

    def call(self, call: CodeCall) -> None:
        """What a call or a command would show."""
        self.lists = self.lists or call.lists
        if not call.names and call.path:
            first = min(max(1, call.first), MOST_LINE)
            last = min(call.last, MOST_LINE) if call.last >= first else MOST_LINE
            whole = not call.first and not call.last
            self.places[call.path if whole else f"{call.path}:{first}-{last}"] = None
        elif call.names:
            known = dict(self.places)
            self.add(call.names)
            if self.places == known and call.path:
                self.places |= _lines_with(call.names, call.path, self.files[call.path])

    def _lines(self, text: str, path: str, *, has_file: bool) -> dict[str, None]:
        ranges = [*_LINES.findall(text), *(_AT.findall(text) if has_file else ())]
        pairs = [(int(first), int(last or first)) for first, last in ranges[:MOST_PLACES]]
        return {f"{path}:{a}-{b}": None for a, b in pairs if a <= b and path in self.files}

    def _names(self, text: str, *, is_list: bool) -> dict[str, None]:
        found: dict[str, None] = {}
        tokens = list(_TOKEN.finditer(text))
        for token in tokens:
            name = token["name"]
            is_marked = bool(token["kind"] or token["tick"] or token["call"])
            if _SOURCE.search(name):
                self.missing |= {} if mentioned(name, self.files) else {name: None}
                continue
            if name.lower() in _ASKING and not is_marked and not is_list:
                continue
            self.tried += 1
            places = name_places(name, self.files) if self.tried <= MOST_NAMES else ()
            found |= dict.fromkeys(places)
            is_named = token["call"] or ((token["kind"] or (is_list and len(tokens) <= 2)) and name not in _LITTLE)
            if not places and is_named:
                self.missing[name] = None
        return found


def find_code_request(
    reply: str, files: Mapping[str, str], main: str = "", *, strict: bool = False
) -> CodeRequest | None:
    """The code that a reply asks to see, None if it asks for none.

    files: all texts that may be shown. main: the file that is meant if none is named. strict: the reply may be words to
    an editor, so it must be short and ask for nothing else.
    """
    words = without_plan(reply)
    if strict and (len(words) > STRICT_CHARS or "=" in words.replace("==", "")):
        return None
    lines = lines_of(words)
    lines = lines if len(lines) <= 2 * MOST_LINES else (*lines[:MOST_LINES], *lines[-MOST_LINES:])
    found = _FoundRequest(files, main)
    for call in _calls(lines, files):
        found.call(call)
    forms = (_TELLS, _WANTS) if strict else (_TELLS, _ASKS, _WANTS, _NEEDS, _QUESTION)
    for line in lines:
        if line.kind is Kind.PROSE and not line.text.lstrip().startswith(">"):
            _take_prose(found, line.text[:LINE_CHARS], forms)
    places, missing = tuple(found.places)[:MOST_PLACES], tuple(found.missing)[:MOST_PLACES]
    return CodeRequest(places, missing) if places or missing or found.lists else None


def _take_prose(found: _FoundRequest, text: str, forms: Sequence[re.Pattern[str]]) -> None:
    if show := _SHOW.match(text):
        found.add(show["what"], is_list=True)
        return
    for sentence in _sentences(text):
        is_order = _ASKS in forms and _ORDERS.match(sentence.lstrip(" *-_#"))
        if is_order or any(form.search(sentence) for form in forms):
            found.add(sentence)


def _sentences(text: str) -> Iterator[str]:
    """The sentences of a line. A dot inside a name ends none."""
    start = 0
    for i, sign in enumerate(text):
        if sign in ".!?;" and (i + 1 == len(text) or text[i + 1] in " \t*_\"'"):
            yield text[start : i + 1]
            start = i + 1
    yield text[start:]


def _calls(lines: Sequence[Line], files: Mapping[str, str]) -> Iterator[CodeCall]:
    """Calls and commands in short fences, and those that stand alone on lines of prose."""
    heads = {line.number: line.text for line in lines if line.kind is Kind.FENCE}
    for fence, group in groupby(lines, key=lambda line: line.fence):
        part = [line for line in group if line.kind in (Kind.PROSE, Kind.CODE) and line.text.strip()]
        if fence:
            mark = read_fence(heads.get(fence, ""))
            language = mark.info.lower().partition(" ")[0] if mark else "?"
            if language not in _COMMAND_FENCES or len(part) > MOST_IN_FENCE:
                continue
        yield from read_calls(part, files)
        for line in part:
            yield from read_command(line.text[:LINE_CHARS], files, is_alone=not fence)


def _lines_with(pattern: str, path: str, text: str) -> dict[str, None]:
    """Places of the first lines that hold a pattern, word for word."""
    wanted = pattern.strip("'\"^$ ")
    numbers = [n for n, line in enumerate(text.split("\n"), start=1) if wanted and wanted in line]
    return {f"{path}:{max(1, n - _NEAR)}-{n + _NEAR}": None for n in numbers[:MOST_PLACES]}
