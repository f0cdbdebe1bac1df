"""Commands of the documents, run as they stand, page by page; transcripts are compared with what is printed today.

A comment above each block of commands says when it is run:

    <!-- run -->              always
    <!-- run: slow -->        with -m slow, together with the blocks that are always run
    <!-- run: deepseek -->    with -m slow, the strict server playing the model
    <!-- run: sae -->         with -m sae, in the environments that the sae tests use
    <!-- run: aider -->       with -m aider
    <!-- not run: REASON -->  never

Every `scientist` command, in the text too, is held against the options that it has.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Scientist
from tests.docs.conftest import Shell, parts_of
from tests.docs.pages import Block, blocks, first_launch, name_of, pages, prose
from tests.fakes import block
from tests.loop.lines import FASTER, LR, MOMENTUM, NO_PLOT_EDIT, NOTES, PLAN
from tests.paths import ROOT
from tests.provider.server import StrictServer

LEVELS = {"always", "slow", "deepseek", "sae", "aider", ""}
SLOWER = block("experiment.py", LR, "LR = 0.05  # search: log 1e-3..0.4\n")
# By page, what the model says in the blocks of level deepseek.
SAID = {
    "docs/models.md": ["ready"],
    "docs/operate.md": [PLAN + FASTER, SLOWER],
    "docs/budgets-and-settings.md": [PLAN + FASTER, MOMENTUM, NO_PLOT_EDIT, NOTES],
}
# Words after `scientist` that stand for no command: "`scientist COMMAND --help`".
PLACEHOLDERS = {"COMMAND"}


def of_level(*levels: str) -> list[Path]:
    """Pages with a block of one of these levels."""
    return [page for page in pages() if any(found.level in levels for found in blocks(page))]


# Run

# "07:06:47", "20261129-070645", "72ddd867f4", "1.3", "2,497", "6.725e-13"
_CHANGES = re.compile(r"\b[0-9a-f]{10,40}\b|\d[\d,:]*(?:\.\d+)?(?:e[-+]?\d+)?")


def mask(text: str) -> str:
    """Text without what differs from one run to the next: numbers, hashes, times, and how wide they are."""
    return re.sub(r" +", " ", _CHANGES.sub("N", text))


def agrees(expected: str, printed: str) -> bool:
    """Whether a transcript holds; in it a line `...` stands for any lines, and `…` or `...` for any text of a line."""
    pattern = ""
    for line in mask(expected).splitlines():
        if line.strip() == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += "[^\n]*".join(re.escape(part) for part in re.split(r"…|\.\.\.", line)) + "\n"
    return re.fullmatch(pattern, mask(printed)) is not None


def play(page: Path, levels: set[str], shell: Shell, variables: dict[str, str] | None = None, **more: Path) -> None:
    """Run the blocks of a page in order, in one folder."""
    for found in blocks(page):
        if found.level not in levels:
            continue
        for command, expected in found.commands:
            done = shell(command, variables, **more)
            cache = (variables or {}).get("SCIENTIST_CACHE")
            printed = done.stdout.replace(cache, "~/.cache/scientist") if cache else done.stdout
            place = f"{name_of(page)}:{found.line}: {command}"
            if found.language == "console":
                assert agrees(expected, printed), f"{place}--- expected\n{expected}--- printed\n{printed}"
            else:
                assert done.returncode == 0, f"{place}--- printed\n{printed}"


# operate.md launches, pauses and resumes, as tests/cli does.
LONGEST = ROOT / "docs" / "operate.md"


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, marks=[pytest.mark.slow] if p == LONGEST else [], id=name_of(p)) for p in of_level("always")],
)
def test_commands_that_take_seconds(page: Path, shell: Shell) -> None:
    play(page, {"always"}, shell)


@pytest.mark.slow
@pytest.mark.parametrize("page", of_level("slow"), ids=name_of)
def test_commands_that_take_minutes(page: Path, shell: Shell, own_python: Path) -> None:
    play(page, {"always", "slow"}, shell, programs=own_python)


@pytest.mark.slow
@pytest.mark.parametrize("page", of_level("deepseek"), ids=name_of)
def test_commands_that_ask_a_model(page: Path, shell: Shell) -> None:
    with StrictServer(mode="deepseek", replies=SAID[name_of(page)], api_key="sk-canary-0123456789") as server:
        play(page, {"always", "deepseek"}, shell, server.environment())


@pytest.mark.sae
@pytest.mark.skipif("SCIENTIST_SAE_PYTHON" not in os.environ, reason="no SCIENTIST_SAE_PYTHON")
@pytest.mark.parametrize("page", of_level("sae"), ids=name_of)
def test_commands_of_the_sae_template(page: Path, shell: Shell) -> None:
    """README.md begins with the main job, whose results its transcript of `status` shows."""
    variables = {"SCIENTIST_CACHE": os.environ.get("SCIENTIST_CACHE", "")}
    if page.name == "README.md":
        launched = shell(first_launch(), variables)
        assert launched.returncode == 0, launched.stdout
    play(page, {"sae"}, shell, variables)


@pytest.mark.aider
@pytest.mark.skipif("SCIENTIST_AIDER" not in os.environ, reason="no SCIENTIST_AIDER")
@pytest.mark.parametrize("page", of_level("aider"), ids=name_of)
def test_commands_of_aider(page: Path, shell: Shell) -> None:
    play(page, {"aider"}, shell, {"SCIENTIST_CACHE": os.environ.get("SCIENTIST_CACHE", "")})


def test_every_block_says_when_it_is_run() -> None:
    told = [found for page in pages() for found in blocks(page)]
    assert [f"{name_of(found.page)}:{found.line}" for found in told if found.level not in LEVELS] == []
    assert all(found.why for found in told if not found.level)
    assert {name_of(page) for page in of_level("deepseek")} == SAID.keys()


# Parsed

# "`scientist diff WS start 2`" in a line of text
_IN_TEXT = re.compile(r"`(scientist [^`\n]+)`")


def scientist_commands() -> dict[str, str]:
    """Each command line that begins with `scientist`, with the place of its first use."""
    found = {first_launch(): "README.md"}
    for page in pages():
        for line in blocks(page):
            for part in re.split(r"\n|&&|\$\(", line.text.replace("\\\n", " ")):
                words = part.removeprefix("$ ").strip()
                if words.startswith("scientist "):
                    found.setdefault(words, f"{name_of(page)}:{line.line}")
        for number, text in prose(page):
            for command in _IN_TEXT.findall(text):
                found.setdefault(command, f"{name_of(page)}:{number}")
    return found


def split(command: str) -> list[str]:
    """Its words, without a comment, a redirection and what follows; quotes that are cut in two are no fault."""
    try:
        words = shlex.split(command, comments=True)
    except ValueError:
        words = command.split()
    words = [word.rstrip(")") for word in words]
    return words[: next((at for at, word in enumerate(words) if word in ("|", ">", "||")), len(words))]


def test_commands_have_the_options_that_are_named(scientist: Scientist) -> None:
    helps: dict[tuple[str, ...], str] = {}

    def help_of(*name: str) -> str:
        if name not in helps:
            done = scientist(*name, "--help")
            helps[name] = done.stdout if done.returncode == 0 else ""
        return helps[name]

    wrong = []
    commands = scientist_commands()
    for command, place in commands.items():
        name, *words = split(command)[1:]
        if name in PLACEHOLDERS:
            continue
        text = help_of(name) if not name.startswith("-") else help_of()
        if words and re.search(rf"^Usage: scientist {name} .*COMMAND", text, re.MULTILINE):
            text = help_of(name, words[0])
        options = [word.partition("=")[0] for word in (name, *words) if re.match(r"--?[a-z]", word)]
        if not text or any(not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text) for option in options):
            wrong.append(f"{place}: {command}")
    assert wrong == [] and len(commands) > 30


def test_a_transcript_is_compared() -> None:
    """What may differ does; a word that differs is seen."""
    printed = "[a] 07:06:47 commit 72ddd867f4 Run 1: LR=0.186 no improvement\nmore\ndone in 3 s\n"
    assert agrees("[a] 10:00:00 commit 0123456789 Run 1: LR=… improvement\n...\ndone in 12.5 s\n", printed)
    assert not agrees("[a] 10:00:00 commit 0123456789 Run 1: LR=0.1 no improvement\ndone in 3 s\n", printed)
    assert not agrees("...\nended in 3 s\n", printed)


def test_plain_commands_are_told_from_those_of_a_shell() -> None:
    assert parts_of('scientist idea new "a b"  # (c)\ngit log\nls\nscientist\n', whole=False) == [
        ('scientist idea new "a b"  # (c)', True),
        ("git log\nls", False),
        ("scientist", True),
    ]
    for line in ("scientist a | head", "scientist a && scientist b", "x=$(scientist setup sae)", "scientist a > b"):
        assert parts_of(line, whole=False) == [(line, False)]
    for script in ("scientist a \\\n  b\n", "export A=b\nscientist a\n", "cd x\nscientist a\n"):
        assert parts_of(script, whole=False) == [(script, False)]
    assert parts_of("scientist a", whole=True) == [("scientist a", False)]


def test_a_page_is_read(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- run: slow -->\n```console\n$ a \\\n  b\nout\n$ c\n```\n\n```bash\nd\n```\n\n```text\n$ e\n```\n"
    )
    first, second = blocks(page)
    assert first == Block(page, 2, "console", "$ a \\\n  b\nout\n$ c\n", "slow", "")
    assert first.commands == [("a \\\n  b\n", "out\n"), ("c\n", "")]
    assert (second.level, second.commands) == ("untold", [("d\n", "")])
