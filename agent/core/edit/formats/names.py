"""Names of files as models write them into a reply, and the editable files that they mean."""

from __future__ import annotations

import re
from collections.abc import Collection

from agent.core.text.markers import INVISIBLE

__all__ = ["find_info_name", "find_name", "is_heading", "is_unsafe", "mentioned", "named_files"]

# "### ", "> ", "1. ", "// ", "<!-- "
_LEADERS = re.compile(r"^(?:#{1,6}(?=\s)|>|[-*+•](?=\s)|\d{1,3}[.)](?=\s)|//|<!--|/\*)\s*")
# "File: ", "the new file ", "Changes to "
_PREFIX = re.compile(
    r"^(?:(?:the\s+)?(?:new\s+)?file(?:\s*name|\s*path)?|filename|path|in|for|to|update|updated|edit|modify|change|create|changes\s+(?:to|in|for))"
    r"(?:\s*:\s*|\s+)(?:(?:the\s+)?file\s+)?",
    re.IGNORECASE,
)
LONGEST = 1000  # characters of a line that may hold a name; a longer one is prose
_WHITE = " \t\r\n\f\v\u00a0" + INVISIBLE
_WRAPPING = "*_`\"'()[]<>{} \t" + INVISIBLE
# "py", "yaml"
_EXTENSION = re.compile(
    r"^(?:pyi?|txt|md|rst|jsonl?|toml|ya?ml|cfg|ini|in|sh|bash|csv|tsv|ipynb|tex|bib|html|"
    r"css|js|ts|lock|env|log|c|h|cpp|cu|xml|sql|r)$",
    re.IGNORECASE,
)
_BARE_NAMES = frozenset({"Makefile", "Dockerfile", "LICENSE", "README", ".env", ".git", ".gitignore"})
# "src/plot.py."
_TOKEN = re.compile(r"[\w./\\~-]+")
# "## "
_HASHES = re.compile(r"#{1,6}\s")
# "C:"
_DRIVE = re.compile(r"[A-Za-z]:")
# ": " in "x.py: the change", " - " in "x.py - the change"
_END_OF_NAME = re.compile(r":\s|\s[-–—]\s")
# ", " and the colon in "python:x.py"
_BETWEEN_WORDS = re.compile(r"[\s,]+|(?<=\w):(?=\w)")


def is_unsafe(name: str) -> bool:
    """Whether a name may lead out of the files' folder or into git's own."""
    path = _relative(name)
    parts = path.split("/")
    return (
        path.startswith(("/", "~"))
        or _DRIVE.match(path) is not None
        or ".." in parts
        or any(part.lower() == ".git" for part in parts)
        or any(ord(c) < 32 for c in path)
    )


def named_files(name: str, editable: Collection[str]) -> tuple[str, ...]:
    """The editable files that a name means: the exact relative path, else all that have it as their last part."""
    path = _relative(name)
    if is_unsafe(name):
        return ()
    return (path,) if path in editable else tuple({e: None for e in editable if _last_part(e) == path})


def _last_part(path: str) -> str:
    return path.rpartition("/")[2]


def _relative(name: str) -> str:
    path = name.replace("\\", "/")
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    return path


def _is_name(token: str, editable: Collection[str]) -> bool:
    """Whether a token is a path rather than a word. Names that are not editable count too, so that they are refused."""
    if token in editable:
        return True
    if not token or any(map(str.isspace, token)) or "://" in token:
        return False
    parts = token.replace("\\", "/").split("/")
    stem, dot, extension = parts[-1].rpartition(".")
    if parts[-1] in _BARE_NAMES or any(_last_part(e) == parts[-1] for e in editable):
        return True
    if dot and (_EXTENSION.match(extension) if stem else len(parts) > 1):
        return True
    hidden = any(part.startswith(".") for part in parts)
    return len(parts) > 1 and (parts[0] in ("", "~") or bool(dot) or hidden or _DRIVE.fullmatch(parts[0]) is not None)


def _bare(text: str) -> str:
    """Text without the quotes, brackets and punctuation around it. A leading dot belongs to the path."""
    before = None
    while text != before:
        before = text
        text = text.strip(_WRAPPING).rstrip(":,;.!")
    return text


def find_name(line: str, editable: Collection[str]) -> str | None:
    """The path that a line consists of, however decorated: `**experiment.py**`, `# File: x.py`, `1. x.py (new):`."""
    text, before = line.strip(_WHITE), None
    if len(text) > LONGEST:
        return None
    if text.startswith("<") and not text.startswith("<!"):
        return _name_in_tags(text, editable)
    while text != before:
        before = text
        text = _LEADERS.sub("", text)
    text = text.removesuffix("-->").removesuffix("*/").rstrip()
    text = text.partition("](")[0] if text.startswith("[") else text
    for candidate in (text, _without_remark(text), _END_OF_NAME.split(text, maxsplit=1)[0]):
        for token in (_bare(candidate), _bare(_PREFIX.sub("", _bare(candidate), count=1))):
            if _is_name(token, editable):
                return token
    return None


def _name_in_tags(text: str, editable: Collection[str]) -> str | None:
    """The path that tags hold: `<file path="x.py">`, `<summary>x.py</summary>`."""
    tags = [part.partition(">") for part in text.split("<")[1:]]
    words = "".join(after for _, _, after in tags).strip()
    values = (find_info_name(tag.partition(" ")[2], editable) for tag, _, _ in tags if "=" in tag)
    return find_name(words, editable) if words else next((value for value in values if value), None)


def _without_remark(text: str) -> str:
    """The text without brackets at its end: "x.py" of "x.py (new):"."""
    whole = text.rstrip("*_: \t")
    start = whole.rfind("(") if whole.endswith(")") else -1
    return text if start < 0 or ")" in whole[start:-1] else whole[:start].rstrip()


def find_info_name(info: str, editable: Collection[str]) -> str | None:
    """The path on a fence line: ```python experiment.py, ```python:experiment.py, ```python title="experiment.py"."""
    for token in _BETWEEN_WORDS.split(info[:LONGEST].strip()):
        value = _bare(token.rpartition("=")[2])
        if _is_name(value, editable):
            return value
    return None


def is_heading(line: str) -> bool:
    """Whether a line is a heading: `## x.py`, or bold alone as `**x.py**:`."""
    text = line.strip()
    is_bold = len(text) > 4 and text.startswith("**") and text.removesuffix(":").endswith("**")
    return is_bold or _HASHES.match(text) is not None


def mentioned(line: str, editable: Collection[str]) -> tuple[str, ...]:
    """The editable files that a sentence mentions, those alone that one name means for certain."""
    meant = (named_files(token.rstrip("./\\~-"), editable) for token in _TOKEN.findall(line[:LONGEST]))
    return tuple({files[0]: None for files in meant if len(files) == 1})
