"""Lines that no edit may put into a file: placeholders for text left out, and marks around lines that a hint quoted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from agent.core.edit.lines import shorten, split_body
from agent.core.edit.result import Block

__all__ = ["as_in_file", "find_placeholders"]

_NOUN = (
    r"(?:code|content|contents|text|file|function|functions|method|methods|class|classes|script|implementation|logic|"
    r"notes?|details?|sections?|lines?|part|parts|body|imports?|results?|entries|entry|runs?)"
)
_KEPT = (
    r"(?:unchanged|unmodified|the\s+same|same\s+as\s+(?:before|above|original)|as\s+(?:before|is)|remains?|"
    r"omitted|not\s+shown|truncated|goes\s+here|here)"
)
_WHICH = (
    r"(?:rest|remainder|remaining|existing|previous|original|other|earlier|prior|same|unchanged|preceding|following)"
)
_DOTS = r"(?:\.{3}|…)"
# "for x in y:  # each"
_COLON_BEFORE_COMMENT = re.compile(r":\s{0,80}#")
# "# ", "// ", "<!-- "
_COMMENT_MARK = re.compile(r"#+|//+|--+|/\*+|<!--+|;+|%+")
# "the rest of the training code"
_REST_OF = re.compile(
    rf"^(?:the\s+)?(?:rest|remainder)\s+of\s+(?:(?:the|your|my|this)\s+)?(?:\w+\s+){{0,3}}{_NOUN}\b", re.IGNORECASE
)
# "previous helper functions"
_WHICH_NOUN = re.compile(rf"\b{_WHICH}\b(?:\s+\w+){{0,2}}?\s+{_NOUN}\b", re.IGNORECASE)
# "remains", "same as before"
_KEPT_RE = re.compile(rf"\b{_KEPT}\b", re.IGNORECASE)
# "keep" in "keep the other imports unchanged"
_KEEP = re.compile(r"keep\b", re.IGNORECASE)
_WHICH_OR_NOUN = re.compile(rf"\b(?:{_WHICH}|{_NOUN})\b", re.IGNORECASE)
# "Existing", at the beginning
_WHICH_FIRST = re.compile(rf"{_WHICH}\b", re.IGNORECASE)
# "unchanged", "no changes needed."
_WHOLE_KEPT = re.compile(rf"^(?:{_KEPT}|no\s+changes?(?:\s+(?:here|needed))?)[.!]?$", re.IGNORECASE)
# Marks of our own: "[... 12 lines left out ...]", "(lines 41 to 80 not shown)", "[and 40 more lines]"
_GAP = re.compile(
    r"[\[(](?:\.{3} \d{1,9} lines left out \.{3}|lines \d{1,9} to \d{1,9} not shown|and \d{1,9} more(?: lines)?)[\])]$"
)
# In a line that was cut: "x = [... 900 characters ...] 1", "x = 1 [and 900 characters more]"
_CUT = re.compile(r"\[\.{3} \d{1,9} characters \.{3}\]|\[and \d{1,9} characters more\]$")
# " 12 | x = 1", as hints number lines
_NUMBERED = re.compile(r"\s{0,9}(\d{1,7}) \|(?: (.*))?$")
# "pass  # as before"
_STUB = re.compile(r"(?:\.{3}|pass)\s*#(.*)$")
# "...", "[...]", "# ..."
_BARE_DOTS = re.compile(rf"^(?:{_DOTS}|\[{_DOTS}\]|\({_DOTS}\)|(?:#|//)\s*{_DOTS})$")


def _is_placeholder_text(text: str, dotted: bool) -> bool:
    """Whether the words of a comment or bracket stand for text left out. dotted: an ellipsis stands beside them."""
    text = text.strip(" \t.…-=*()[]")
    if not text:
        return False
    rest = _REST_OF.match(text)
    after = text[rest.end() :].split() if rest else []
    if rest and (len(after) < 2 or dotted or _KEPT_RE.search(text, rest.end())):
        return True
    if _WHOLE_KEPT.match(text) or _is_request_to_keep(text):
        return True
    which = _WHICH_NOUN.search(text)
    outside = f"{text[: which.start()]} | {text[which.end() :]}" if which else text
    is_kept = _KEPT_RE.search(outside) is not None
    if which:
        return dotted or is_kept
    words = _KEPT_RE.findall(outside)
    names_code = _WHICH_OR_NOUN.search(text) is not None
    is_said = any(word.lower() != "here" or names_code for word in words)
    return dotted and (is_said or _WHICH_FIRST.match(text) is not None)


def _is_request_to_keep(text: str) -> bool:
    """Whether a comment asks to keep lines that it does not repeat."""
    what = _WHICH_OR_NOUN.search(text, 4) if _KEEP.match(text) else None
    return what is not None and _KEPT_RE.search(text, what.end()) is not None


def _is_placeholder(line: str) -> bool:
    if _CUT.search(line) or _GAP.match(line.strip()):
        return True
    text = line.strip()
    if not text or (text[0] not in "#/-*<;%[({.…p"):
        return False
    dotted = "..." in text or "…" in text
    if stub := _STUB.match(text):
        return _is_placeholder_text(stub[1], dotted=True)
    comment = _COMMENT_MARK.match(text)
    inner = _without_end(text[comment.end() :].strip()) if comment else text
    bracketed = _in_brackets(inner)
    if not comment and bracketed is None:
        is_between_dots = text.startswith(("...", "…")) and text.endswith(("...", "…"))
        return is_between_dots and _is_placeholder_text(text, dotted=True)
    return _is_placeholder_text(inner if bracketed is None else bracketed, dotted)


def _without_end(text: str) -> str:
    """The words of a comment without the mark that ends it."""
    if text.endswith("*/"):
        return text[:-1].rstrip("*").rstrip()
    return text[:-1].rstrip("-").rstrip() if text.endswith("-->") else text


def _in_brackets(text: str) -> str | None:
    """The words between a bracket at the beginning and one at the end, None if they are not all in brackets."""
    whole = text.removesuffix(".") if text.endswith(".") else text.removesuffix(":")
    return whole[1:-1].strip() if len(whole) > 1 and whole[0] in "[(<{" and whole[-1] in "])>}" else None


def _is_bare_dots(line: str, above: str, is_python: bool) -> bool:
    """Whether a line is an ellipsis for text left out. In Python it may also be a body, or stand in brackets.

    above: the last line before it that is not blank.
    """
    if not _BARE_DOTS.match(line.strip()):
        return False
    if not is_python or line.strip() not in ("...",):
        return True
    return not above.endswith((":", ",", "(", "[", "{", '"""', "'''", "=")) and not _COLON_BEFORE_COMMENT.search(above)


def find_placeholders(path: str, replace: Sequence[str]) -> list[int]:
    """Indices of REPLACE lines that are placeholders. The caller still accepts a line that the file has."""
    is_python = path.endswith(".py")
    found: list[int] = []
    above = ""
    for i, line in enumerate(replace):
        if _is_placeholder(line) or _is_bare_dots(line, above, is_python):
            found.append(i)
        above = line.strip() or above
    return found


def as_in_file(block: Block, *versions: Sequence[str]) -> Block | str:
    """The block without marks that a hint put around lines of the file, or why they cannot be taken off.

    versions: lines of the file before the reply and by now. If every line of SEARCH has its own number in the file, the
    numbers are taken off both halves. A line that a hint cut stands for the whole one.
    """
    search, replaced = list(split_body(block.search)), list(split_body(block.replace))
    held = {line for lines in versions for line in lines}
    words = [line for line in search if line.strip()]
    if words and all(map(_read_number, words)) and held.isdisjoint(words):
        if not all(_has_own_number(line, versions) for line in words):
            return "its SEARCH begins with numbers that are not those of its lines; leave the numbers out"
        search = [_without_number(line) for line in search]
        are_all = all(_read_number(line) for line in replaced if line.strip())
        replaced = [_without_number(line) if are_all or _has_own_number(line, versions) else line for line in replaced]
    given = [line for line in replaced if line.strip() and line not in held]
    numbered = [line for line in given if _read_number(line)]
    quoted = [line for line in numbered if _without_number(line).strip() and _has_own_number(line, versions)]
    if quoted or (numbered and len(numbered) == len(given)):
        return f"its REPLACE begins with line numbers, as in {numbered[0].strip()[:60]!r}; leave them out"
    whole = {shorten(line): line for lines in versions for line in lines if shorten(line) != line}
    search, replaced = [whole.get(line, line) for line in search], [whole.get(line, line) for line in replaced]
    old, new = ("".join(f"{line}\n" for line in half) for half in (search, replaced))
    return block if (old, new) == (block.search, block.replace) else replace(block, search=old, replace=new)


def _read_number(line: str) -> tuple[int, str] | None:
    """Number and text of a line as hints quote it."""
    found = _NUMBERED.match(line)
    return (int(found[1]), found[2] or "") if found else None


def _without_number(line: str) -> str:
    read = _read_number(line)
    return read[1] if read else line


def _has_own_number(line: str, versions: Sequence[Sequence[str]]) -> bool:
    """Whether a line begins with its number in one of the texts."""
    read = _read_number(line)
    if read is None:
        return False
    number, text = read
    own = [lines[number - 1] for lines in versions if 0 < number <= len(lines)]
    return any(text.rstrip() in (line.rstrip(), shorten(line)) for line in own)
