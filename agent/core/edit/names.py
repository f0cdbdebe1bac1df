"""Which file a block means: names as models write them, and which of them are allowed."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePosixPath

from agent.core.edit.result import Reason

__all__ = ["find_info_name", "find_name", "is_heading", "mentioned", "resolve_path"]

_LEADERS = re.compile(r"^(?:#{1,6}(?=\s)|>|[-*+•](?=\s)|\d{1,3}[.)](?=\s)|//|<!--|/\*)\s*")
_PREFIX = re.compile(
    r"^(?:(?:the\s+)?(?:new\s+)?file(?:\s*name|\s*path)?|filename|path|in|for|to|update|updated|edit|modify|change|create|changes\s+(?:to|in|for))"
    r"(?:\s*:\s*|\s+)(?:(?:the\s+)?file\s+)?",
    re.IGNORECASE,
)
_WRAPPING = "*_`\"'()[]<>{} \t"
_EXTENSION = re.compile(
    r"^(?:pyi?|txt|md|rst|jsonl?|toml|ya?ml|cfg|ini|in|sh|bash|csv|tsv|ipynb|tex|bib|html|"
    r"css|js|ts|lock|env|log|c|h|cpp|cu|xml|sql|r)$",
    re.IGNORECASE,
)
_BARE_NAMES = frozenset({"Makefile", "Dockerfile", "LICENSE", "README", ".env", ".git", ".gitignore"})
_TOKEN = re.compile(r"[\w./\\~-]*\w")
_HEADING = re.compile(r"^\s*(?:#{1,6}\s|\*\*.*\*\*:?\s*$)")


def resolve_path(name: str, editable: Collection[str]) -> str | Reason:
    """The editable file that a name means: the exact relative path, else a basename that only one of them has."""
    path = name.replace("\\", "/")
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    parts = path.split("/")
    if (
        path.startswith(("/", "~"))
        or re.match(r"^[A-Za-z]:", path)
        or ".." in parts
        or any(p.lower() == ".git" for p in parts)
        or any(ord(c) < 32 for c in path)
    ):
        return Reason.UNSAFE_PATH
    if path in editable:
        return path
    same_base = [e for e in editable if PurePosixPath(e).name == path]
    if len(set(same_base)) == 1:
        return same_base[0]
    return Reason.UNCLEAR_FILE if same_base else Reason.NOT_EDITABLE


def _is_name(token: str, editable: Collection[str]) -> bool:
    """Whether a token is a path rather than a word; names that are not editable count too, to be refused."""
    if token in editable:
        return True
    if not token or re.search(r"\s", token) or "://" in token:
        return False
    parts = re.split(r"[/\\]", token)
    stem, dot, extension = parts[-1].rpartition(".")
    if parts[-1] in _BARE_NAMES or any(PurePosixPath(e).name == parts[-1] for e in editable):
        return True
    if dot and (_EXTENSION.match(extension) if stem else len(parts) > 1):
        return True
    hidden = any(part.startswith(".") for part in parts)
    return len(parts) > 1 and (parts[0] in ("", "~") or bool(dot) or hidden or bool(re.match(r"^[A-Za-z]:$", parts[0])))


def _bare(text: str) -> str:
    """Text without the quotes, brackets and punctuation around it; a leading dot belongs to the path."""
    before = None
    while text != before:
        before = text
        text = text.strip(_WRAPPING).rstrip(":,;.!")
    return text


def find_name(line: str, editable: Collection[str]) -> str | None:
    """The path that a line consists of, however decorated: `**experiment.py**`, `# File: x.py`, `1. x.py (new):`."""
    text, before = line.strip(), None
    while text != before:
        before = text
        text = _LEADERS.sub("", text)
    text = re.sub(r"\s*(?:-->|\*/)$", "", text)
    head = re.split(r":\s|\s[-–—]\s", text, maxsplit=1)[0]
    for candidate in (text, re.sub(r"\s*\([^()]*\)[*_:\s]*$", "", text), head):
        for token in (_bare(candidate), _bare(_PREFIX.sub("", _bare(candidate), count=1))):
            if _is_name(token, editable):
                return token
    return None


def find_info_name(info: str, editable: Collection[str]) -> str | None:
    """The path on a fence line: ```python experiment.py, ```python:experiment.py, ```python title="experiment.py"."""
    for token in re.split(r"[\s,]+|(?<=\w):(?=\w)", info.strip()):
        value = _bare(token.rpartition("=")[2])
        if _is_name(value, editable):
            return value
    return None


def is_heading(line: str) -> bool:
    return bool(_HEADING.match(line))


def mentioned(line: str, editable: Collection[str]) -> str | None:
    """The one editable file that a sentence mentions, None where it mentions several."""
    found = {
        path
        for token in _TOKEN.findall(line)
        if isinstance(path := resolve_path(token, editable), str) and path in editable
    }
    return found.pop() if len(found) == 1 else None
