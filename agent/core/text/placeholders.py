"""Lines that stand for text left out, such as "# rest unchanged", and marks that a hint put in place of lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["find_doubtful", "find_placeholders", "is_elision"]

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
# "pass  # as before"
_STUB = re.compile(r"(?:\.{3}|pass)\s*#(.*)$")
# "...", "[...]", "# ..."
_BARE_DOTS = re.compile(rf"^(?:{_DOTS}|\[{_DOTS}\]|\({_DOTS}\)|(?:#|//)\s*{_DOTS})$")
# "unchanged"
_LETTERS = re.compile(r"[a-z]+")
_DOT_SIGNS = ".…⋮⋯"
_FILLERS = frozenset(("the", "your", "my", "our", "this", "that", "then", "and", "with", "of", "is", "are"))
# Words that say that something stays: alone, or one after the other.
_STAYS_ALONE = frozenset(("unchanged", "unmodified", "untouched", "omitted", "snip", "snipped", "truncated", "elided"))
_STAYS = ("the same", "as is", "as before", "as they are", "as it is", "as original", "same as", "stay as", "stays as")
_WHAT_IS_LEFT = frozenset(("rest", "remainder", "everything"))
_LEFT = frozenset(("existing", "remaining", "unchanged", "rest", "remainder"))
_CODE = frozenset(("code", "implementation", "logic"))
_WHERE = frozenset(("before", "after", "above", "below", "here"))
_GOES_ON = frozenset(
    ("continue", "continues", "continued", "etc", "stay", "stays", "remain", "remains", "kept", "keep")
)
_AFTER_CODE = _WHERE | _GOES_ON | _STAYS_ALONE
_LEFT_OUT = (["snip"], ["etc"], ["same"], ["no", "other", "changes"], ["no", "more", "changes"])
_MOST_WORDS = 12


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


def _words_of(line: str) -> str | None:
    """The words of a line that is nothing but a comment or a string in triple quotes, None for any other line."""
    text = line.strip()
    for quotes in ('"""', "'''"):
        if text.startswith(quotes) and text.endswith(quotes) and len(text) > 2 * len(quotes):
            return text[len(quotes) : -len(quotes)].strip()
    comment = _COMMENT_MARK.match(text)
    return _without_end(text[comment.end() :].strip()) if comment else None


def _says_all_stays(said: str) -> bool:
    """Whether the words of a comment say of all that is left, or of code, that it stays or is left out."""
    text = said.strip(" \t-=*")
    words = [word for word in _LETTERS.findall(text.lower()) if word not in _FILLERS]
    if not words or len(words) > _MOST_WORDS:
        bare = text.strip(" ()[]<>{}")
        return bool(bare) and not bare.strip(_DOT_SIGNS + " ") and (len(bare) > 2 or bare in "…⋮⋯")
    starts, ends = text[:2] in ("..", "…") or text[0] in "…⋮⋯", text.endswith(("..", "…", "⋮", "⋯"))
    spoken = " ".join(_LETTERS.findall(text.lower()))
    stays = not _STAYS_ALONE.isdisjoint(words) or any(phrase in spoken for phrase in _STAYS)
    is_left_out = "brevity" in words or words in _LEFT_OUT
    is_bracketed = len(text) > 1 and text[0] + text[-1] in ("<>", "[]", "{}")
    named = _WHICH_NOUN.search(text) is not None
    return (
        (starts and ends)
        or is_left_out
        or (stays and (words[0] in _WHAT_IS_LEFT or words[:2] == ["all", "other"]))
        or (stays and words[0] == "other" and _WHICH_NOUN.match(text) is not None)
        or (starts and ("keep" in words or not _LEFT.isdisjoint(words)))
        or (is_bracketed and (named or stays))
        or (words[0] in _LEFT and not _CODE.isdisjoint(words[1:2]) and set(words[2:]) <= _AFTER_CODE)
    )


def is_elision(line: str) -> bool:
    """Whether a line is a comment with dots that stands for lines left out, as "# ... existing code ..."."""
    said = _words_of(line)
    return said is not None and ("..." in said or "…" in said) and _is_placeholder(line)


def find_doubtful(lines: Sequence[str]) -> list[int]:
    """Indices of comments that may stand for text left out: whether they do, the lines that go with them say."""
    return [i for i, line in enumerate(lines) if (said := _words_of(line)) is not None and _may_stay(said)]


def _may_stay(said: str) -> bool:
    """Whether the words of a comment may say that something stays, or name code without any of it."""
    words = _LETTERS.findall(said.lower()[:400])
    if not words or len(words) > _MOST_WORDS:
        return False
    spoken = " ".join(words)
    stays = not (_STAYS_ALONE | _GOES_ON).isdisjoint(words) or any(phrase in spoken for phrase in _STAYS)
    which = _WHICH_NOUN.search(said)
    is_bare = which is not None and len(words) <= 4
    is_where = len(words) <= 3 and not _WHERE.isdisjoint(words) and not _CODE.isdisjoint(words)
    return stays or is_bare or is_where or said.lstrip(" -=*([<").startswith(("...", "…")) or "so on" in spoken


def _is_placeholder(line: str) -> bool:
    if _CUT.search(line) or _GAP.match(line.strip()):
        return True
    if (said := _words_of(line)) is not None and _says_all_stays(said):
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
