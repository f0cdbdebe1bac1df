"""The documents of this repository: links, anchors, and blocks of commands with what is said about running them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.paths import ROOT

_LEFT_OUT: Final = frozenset({".git", ".venv", "node_modules", "workspaces"})

# [text](target "title") and ![text](target); not a target with a scheme.
_LINK: Final = re.compile(r"!?\[[^\]\n]*\]\((?P<target>[^)\s]+)(?:\s+\"[^\"\n]*\")?\)")
# "## Facts about a model"
_HEADING: Final = re.compile(r"^#{1,6} (?P<text>.+)$")
# "<!-- run: slow -->" or "<!-- not run: needs a key -->"
_NOTE: Final = re.compile(r"^<!-- (?P<word>run|not run)(?:: (?P<rest>[^>\n]+))? -->$")
# "    pip install . && scientist launch ideas/sae_synth.json", in README.md alone: the first of its commands.
_FIRST: Final = re.compile(r"^    pip install \. && (?P<command>scientist .+)$", re.MULTILINE)
# "```console"
_FENCE: Final = re.compile(r"^```(?P<language>\w*)$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of commands.

    level: "always", "slow", "deepseek", "aider" or "sae" says when it is run; empty: never, for the reason in `why`.
    """

    page: Path
    line: int
    language: str
    text: str
    level: str
    why: str

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Each command, with its output for a transcript: lines after `$ `; a block of bash is one command."""
        if self.language != "console":
            return [(self.text, "")]
        found: list[tuple[str, str]] = []
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            lines = part.splitlines(keepends=True)
            count = 1
            while lines[count - 1].endswith("\\\n"):
                count += 1
            found.append(("".join(lines[:count]), "".join(lines[count:])))
        return found


def pages() -> list[Path]:
    """All Markdown files, but those that a run or a tool left."""
    found = ROOT.rglob("*.md")
    return sorted(page for page in found if not _LEFT_OUT & set(page.relative_to(ROOT).parts))


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines outside of fenced blocks."""
    fenced = False
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, line


def links(page: Path) -> list[tuple[int, str]]:
    """Targets inside this repository, with their lines."""
    found = ((number, match["target"]) for number, line in prose(page) for match in _LINK.finditer(line))
    return [(number, target) for number, target in found if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """The anchors that a hosting site gives to the headings of a page."""
    found = (match["text"] for _, line in prose(page) if (match := _HEADING.match(line)))
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in found}


def first_launch() -> str:
    """The command with which README.md begins."""
    match = _FIRST.search((ROOT / "README.md").read_text("utf-8"))
    assert match, "README.md has no line that installs and launches"
    return match["command"]


def blocks(page: Path) -> list[Block]:
    """Blocks of language bash and console. A block without a note above it has the level "untold"."""
    found: list[Block] = []
    lines = page.read_text("utf-8").splitlines()
    at = 0
    while at < len(lines):
        fence = _FENCE.match(lines[at])
        if not fence:
            at += 1
            continue
        end = lines.index("```", at + 1)
        if fence["language"] in ("bash", "console"):
            note = _NOTE.match(lines[at - 1]) if at else None
            level, why = "untold", ""
            if note and note["word"] == "run":
                level = note["rest"] or "always"
            elif note:
                level, why = "", note["rest"] or ""
            text = "\n".join(lines[at + 1 : end]) + "\n"
            found.append(Block(page, at + 1, fence["language"], text, level, why))
        at = end + 1
    return found
