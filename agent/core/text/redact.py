"""Take keys out of text: values that the environment holds, and words in the well-known form of a key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, quote_plus

from agent.core.text.plain import map_texts

__all__ = ["SHORTEST_SECRET", "Redactor", "collect_secrets", "names_a_secret"]

SHORTEST_SECRET: Final = 8
LONGEST_WORD: Final = 15
SHORTEST_LINE: Final = 20

# "OPENAI_API_KEY", "HF_TOKEN", "DB_PASSWORD", "BASIC_AUTH", but not "KEYBOARD", "TOKENIZERS", "COMPASS", "AUTHOR"
_NAMES: Final = re.compile(
    r"(?<!MON)KEY(?!BOARD|MAP|WORD|FRAME)|TOKEN(?!I[SZ])|SECRET|(?<!COM)(?<!BY)PASS(?!THROUGH|IVE)|CREDENTIAL"
    r"|AUTH(?!OR(?!I[SZ]))",
    re.IGNORECASE,
)
# "HF_TOKEN"
_SECRET_NAMES: Final = re.compile(r"API|TOKEN|SECRET|PASS|CREDENTIAL", re.IGNORECASE)
# "explained_variance"
_WORDS: Final = re.compile(r"[a-z]+(?:[_-][a-z]+)*")
# "0.001", "10:30", "1e-4"
_NUMBER: Final = re.compile(r"(?!\d{10})[-+]?[\d_.,:]+(?:e[-+]?\d+)?", re.IGNORECASE)
# "/home/me/key.pem", "C:\keys"
_PATH: Final = re.compile(r"(?:/|~|\.\.?/|[A-Za-z]:\\).*", re.DOTALL)
# "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
_AWS_SECRET: Final = re.compile(r"[A-Za-z0-9/+]{40}")
# "https://api.example.org/v1", without a password
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^@]*", re.IGNORECASE)
# "disabled", "Disabled", "DISABLED"
_WORD: Final = re.compile(rf"[a-z]{{1,{LONGEST_WORD}}}|[A-Z][a-z]{{0,{LONGEST_WORD}}}|[A-Z]{{1,{LONGEST_WORD}}}")


def names_a_secret(variable: str) -> bool:
    """Whether the name of a variable says that it holds a key: OPENAI_API_KEY does, KEYBOARD and TOKENIZERS do not."""
    return _NAMES.search(variable) is not None


def collect_secrets(environment: Mapping[str, str | None]) -> dict[str, str]:
    """The name of a variable that holds it, by each value of the environment that is a key.

    The variable's name tells whether it holds a key. A path, an address, a number, a plain word or a text shorter than
    SHORTEST_SECRET is no key even then, because such texts stand everywhere.
    """
    found: dict[str, str] = {}
    for name in sorted(environment):
        value = (environment[name] or "").strip()
        is_word = _WORDS.fullmatch(value) and not _SECRET_NAMES.search(name)  # as in SORT_KEY=explained_variance
        if names_a_secret(name) and _may_be_secret(value) and not is_word:
            found.setdefault(value, name)
    return found


def _may_be_secret(value: str) -> bool:
    if len(value) < SHORTEST_SECRET or _WORD.fullmatch(value) or _NUMBER.fullmatch(value) or _ADDRESS.fullmatch(value):
        return False
    return not _PATH.fullmatch(value) or _AWS_SECRET.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class _Shape:
    """A form of keys: `begin` stands in every text that has one, group 1 of `pattern` is the key."""

    begin: tuple[str, ...]
    pattern: re.Pattern[str]
    is_key: Callable[[str], bool] = lambda text: True


# "-" between the parts of a key
_NO_LETTER: Final = re.compile(r"[^A-Za-z0-9]")


def _is_random(text: str) -> bool:
    """Letters and figures mixed as no name has them."""
    longest = max(map(len, _NO_LETTER.split(text)))
    figures = sum(c.isdigit() for c in text)
    return figures >= 3 and any(c.isalpha() for c in text) and (longest >= 16 or len(text) >= 40)


def _has_both_cases(text: str) -> bool:
    return text.lower() != text != text.upper()


def _is_no_placeholder(text: str) -> bool:
    return text.lower().strip("*x.") not in ("", "password", "passwd", "pass", "pwd", "secret", "token")


# Not within a word. JSON writes the end of the line before as a letter.
_START = r"(?:(?<![\w-])|(?<=\\[nrt]))"
# A key's own lines, as they are and as JSON writes them. No quotation mark, so that a match stays within its string.
_PEM_BODY = r"(?:[A-Za-z0-9+/=\s]|\\[nrt])"
# The example of each names how it begins and how much follows: a whole one would itself be a key.
_SHAPES: Final = (
    # "sk-" + 20 letters and figures
    _Shape(("sk-", "rk-", "pk-"), re.compile(_START + r"([srp]k-[\w-]{20,})"), _is_random),
    # "sk_live_" + 16
    _Shape(("_live_", "_test_"), re.compile(_START + r"([srp]k_(?:live|test)_[A-Za-z0-9]{16,})"), _is_random),
    # "hf_" + 30
    _Shape(("hf_",), re.compile(_START + r"(hf_[A-Za-z0-9]{30,})(?!\w)"), _has_both_cases),
    # "AKIA" + 16
    _Shape(("AKIA", "ASIA"), re.compile(_START + r"(A[KS]IA[A-Z0-9]{16})(?![A-Za-z0-9+/=])")),
    # "ghp_" + 36, "github_pat_" + 50
    _Shape(("gh", "github_pat_"), re.compile(_START + r"(gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{50,})")),
    # "glpat-" + 20
    _Shape(("glpat-",), re.compile(_START + r"(glpat-[\w-]{20,})")),
    # "xoxb-" + 20
    _Shape(
        ("xox",), re.compile(_START + r"(xox[abeoprs]-[A-Za-z0-9-]{20,})"), lambda text: any(map(str.isdigit, text))
    ),
    # "AIza" + 35
    _Shape(("AIza",), re.compile(_START + r"(AIza[\w-]{35})(?![\w-])")),
    # "gsk_" + 24, "xai-" + 24
    _Shape(
        ("gsk_", "xai-", "nvapi-", "pplx-", "r8_", "csk-", "fw_", "tgp_v1_"),
        re.compile(_START + r"((?:gsk|r8|fw)_[A-Za-z0-9]{24,}|(?:xai-|nvapi-|pplx-|csk-|tgp_v1_)[\w-]{24,})"),
        _is_random,
    ),
    # "eyJhbGciOiJIUzI" + "." + "eyJzdWIiOiIxMjM" + "." + "dozjgNryP4J", a JSON web token
    _Shape(("eyJ",), re.compile(_START + r"(eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})")),
    # "Authorization: Bearer " + 20
    _Shape(("earer ", "EARER "), re.compile(_START + r"(?i:bearer) +([A-Za-z0-9._~+/-]{20,}=*)"), _is_random),
    # "postgres://user:" + "password" + "@host"
    _Shape(
        ("://",),
        re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@\"'<>\\{}]{0,100}:([^\s/@\"'<>\\{}$]{3,200})@"),
        _is_no_placeholder,
    ),
    # "-----BEGIN RSA " + "PRIVATE KEY-----" with its lines
    _Shape(
        ("PRIVATE KEY",),
        re.compile(
            rf"(-----BEGIN [A-Z0-9 ]{{0,30}}PRIVATE KEY(?: BLOCK)?-----{_PEM_BODY}{{0,60}}"
            rf"(?:(?:Proc-Type|DEK-Info|Version|Comment): [^\"\\\n]{{0,120}}{_PEM_BODY}{{0,60}}){{0,4}}"
            rf"{_PEM_BODY}{{40,}}"
            r"(?:-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?)"
        ),
    ),
)

# Keys as a provider quotes the one that it refuses, cut or made up: sk-0123456789ab, AKIAIOSFODNN7EX, Bearer a1b2c3d4
_QUOTED_KEY: Final = re.compile(
    r"\b(?:sk|gsk|xai|pplx|hf|r8|nvapi|fw|tgp|csk|rk|pk|key)[-_][\w-]{12,}|\bAIza[\w-]{20,}|\bAKIA[A-Z0-9]{12,}"
    r"|(?<=[Bb]earer )[^\s\[]\S{7,}"
)


# " " in a variable's name
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_.-]")
# "  12 | " before a line of an excerpt
_LINE_NUMBER: Final = re.compile(r" *\d{1,7} \| ")


class Redactor:
    """Puts `[redacted: NAME]` in place of each secret, in whatever form JSON, Python or an address gives it.

    secrets: names by value. Well-known forms of keys become `[redacted: key]` whatever their value. Doing it twice
    changes nothing more.
    """

    def __init__(self, secrets: Mapping[str, str] | None = None) -> None:
        self._names = {form: name for value, name in (secrets or {}).items() for form in _forms(value)}
        self._known: re.Pattern[str] | None = None
        if self._names:
            markers = {_marker(name) for name in self._names.values()}
            forms = sorted(self._names, key=len, reverse=True)
            self._known = re.compile("|".join(map(re.escape, (*sorted(markers), *forms))))

    def __call__(self, text: str) -> str:
        if self._known:
            text = self._known.sub(lambda found: self._replace(found[0]), text)
        for shape in _SHAPES:
            if any(begin in text for begin in shape.begin):
                text = shape.pattern.sub(lambda found, shape=shape: _replace_shape(found, shape), text)  # type: ignore[misc]
        return text

    def in_error(self, text: str) -> str:
        """The text of a provider's error, in which a word that only begins like a key is one too."""
        return _QUOTED_KEY.sub(_marker("key"), self(text))

    def undo_in(self, originals: Iterable[str]) -> Callable[[str], str]:
        """Put keys back into whole lines, and into lines that an excerpt quotes with their numbers.

        The model saw files without keys, so its edits would otherwise not match or would write markers into code.
        """
        held: dict[str, set[str]] = {}
        for line in {line for text in originals if self(text) != text for line in text.split("\n")}:
            if (bare := self(line)) != line:
                held.setdefault(bare, set()).add(line)
        known = {bare: lines.pop() for bare, lines in held.items() if len(lines) == 1}  # of two nobody knows which

        def undo(line: str) -> str:
            quoted = _LINE_NUMBER.match(line)
            number = quoted[0] if quoted and line not in known else ""
            bare = line[len(number) :]
            return number + known.get(bare, bare)

        return lambda text: "\n".join(map(undo, text.split("\n"))) if known else text

    def in_json(self, value: Any) -> Any:
        """JSON values with every text in them redacted."""
        return map_texts(value, self)

    def _replace(self, found: str) -> str:
        return _marker(self._names[found]) if found in self._names else found


def _replace_shape(found: re.Match[str], shape: _Shape) -> str:
    if not shape.is_key(found[1]):
        return found[0]
    start, end = found.start(1) - found.start(), found.end(1) - found.start()
    return f"{found[0][:start]}{_marker('key')}{found[0][end:]}"


def _marker(name: str) -> str:
    return f"[redacted: {_UNFIT.sub('_', name)}]"


def _forms(value: str) -> set[str]:
    """The value as it may stand in a text. If it has several lines, each long one is a form too."""
    lines = [line.strip() for line in value.splitlines()] if "\n" in value else []
    forms: set[str] = set()
    for text in (value, *(line for line in lines if len(line) >= SHORTEST_LINE and " " not in line)):
        quoted = _quoted(text)
        forms |= {text, quote(text, safe=""), quote(text), quote_plus(text), *quoted}
        forms |= {again for form in quoted for again in _quoted(form)}
    return {form for form in forms if len(form) >= SHORTEST_SECRET}


def _quoted(text: str) -> set[str]:
    """The text as JSON and Python write it between quotation marks."""
    return {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1]}
