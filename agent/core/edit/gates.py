"""Placeholders that stand for text left out, which no edit may put in place of text."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["find_placeholders"]

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
# "pass  # as before"
_STUB = re.compile(r"(?:\.{3}|pass)\s*#(.*)$")
# "...", "[...]", "# ..."
_BARE_DOTS = re.compile(rf"^(?:{_DOTS}|\[{_DOTS}\]|\({_DOTS}\)|(?:#|//)\s*{_DOTS})$")


def _is_placeholder_text(text: str, dotted: bool) -> bool:
    """Whether the words of a comment or bracket stand for text left out. dotted: an ellipsis stands beside them."""
    text = text.strip(" \t.…-=*()[]")
    if not text:
        return False
    if _REST_OF.match(text) or _WHOLE_KEPT.match(text) or _is_request_to_keep(text):
        return True
    which, kept = bool(_WHICH_NOUN.search(text)), bool(_KEPT_RE.search(text))
    return (which and (kept or dotted)) or (dotted and kept) or (dotted and _WHICH_FIRST.match(text) is not None)


def _is_request_to_keep(text: str) -> bool:
    """Whether a comment asks to keep lines that it does not repeat."""
    what = _WHICH_OR_NOUN.search(text, 4) if _KEEP.match(text) else None
    return what is not None and _KEPT_RE.search(text, what.end()) is not None


def _is_placeholder(line: str) -> bool:
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
