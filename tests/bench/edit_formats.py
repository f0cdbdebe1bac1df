"""Measure how many real edits are understood in each format that models write: `python -m tests.bench.edit_formats`.

The edits come from a folder with cases.jsonl.xz and files.jsonl.xz (`--edits FOLDER`; a case has `files` and `after`,
name -> key of a text), or else are made from the scripts of this repository. Each is written in every format and
applied again. The last column must be 0.
"""

from __future__ import annotations

import argparse
import difflib
import json
import lzma
import random
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from agent.core.code.comments import without_comment
from agent.core.edit.apply import apply_reply, apply_whole
from agent.core.edit.from_texts import Unwritable, blocks_of

ROOT: Final = Path(__file__).parents[2]
Texts = Mapping[str, str]
Writer = Callable[[Texts, Texts], str]
# "    rate = 0.1"
_NUMBER: Final = re.compile(r"(?<![\w.])\d{1,6}(?![\w.])")
# "def train(rate):"
_DEFINITION: Final = re.compile(r"\s*(?:async def|def|class) ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=Path, help="folder with cases.jsonl.xz and files.jsonl.xz")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--show", action="store_true", help="the first reason for each refusal")
    asked = parser.parse_args()
    edits = list(_read(asked.edits) if asked.edits else _make(asked.count * 3))
    random.Random(0).shuffle(edits)
    edits = edits[: asked.count]
    print(f"{len(edits)} edits\n{'format':44} as meant  refused  not seen  silently different")
    for name, write in FORMATS.items():
        _measure(name, write, edits, asked.show)


def _measure(name: str, write: Writer, edits: list[tuple[Texts, Texts]], show: bool) -> None:
    counts = {"meant": 0, "refused": 0, "unseen": 0, "different": 0}
    reasons: dict[str, int] = {}
    apply = apply_whole if name.endswith("(last turn)") else apply_reply
    for before, after in edits:
        try:
            reply = write(before, after)
        except Unwritable:
            continue
        result = apply(before, reply, editable=[*dict.fromkeys([*before, *after])])
        read = _code if write is _without_comments else str
        if {n: read(t).rstrip("\n") for n, t in result.files.items()} == {
            n: read(t).rstrip("\n") for n, t in after.items()
        }:
            counts["meant"] += 1
        elif result.changed:
            counts["different"] += 1
        else:
            counts["refused" if result.rejected else "unseen"] += 1
            for rejected in result.rejected[:1]:
                said = f"{rejected.reason}: {rejected.hint.splitlines()[0][:110]}"
                reasons[said] = reasons.get(said, 0) + 1
    meant, refused, unseen, different = counts.values()
    print(f"{name:44} {meant:8} {refused:8} {unseen:9} {different:19}")
    if show:
        for said, count in sorted(reasons.items(), key=lambda item: -item[1])[:4]:
            print(f"{'':8}{count:4} {said}")


def _read(folder: Path) -> Iterator[tuple[Texts, Texts]]:
    def lines(name: str) -> Iterator[list[object]]:
        with lzma.open(folder / name, "rt", encoding="utf-8", newline="") as file:
            yield from map(json.loads, file)

    texts = dict(lines("files.jsonl.xz"))
    for case in lines("cases.jsonl.xz"):
        before = {name: texts[key] for name, key in case["files"].items()}
        changed = {name: texts[key] for name, key in case["after"].items()}
        if changed and any(before.get(name) != text for name, text in changed.items()):
            yield before, {**before, **changed}


def _make(count: int) -> Iterator[tuple[Texts, Texts]]:
    """Edits made up: numbers changed, lines taken out, repeated or added, in one or two places of a script."""
    scripts = [*sorted((ROOT / "templates").rglob("*.py")), *sorted((ROOT / "tests" / "data").rglob("*.py"))]
    sources = [text for path in scripts if 20 < len((text := path.read_text()).splitlines()) < 500]
    chance = random.Random(1)
    for _ in range(count):
        text = chance.choice(sources)
        lines = text.splitlines()
        for _ in range(chance.randint(1, 3)):
            _change(lines, chance)
        new = "\n".join(lines) + "\n"
        try:
            compile(new, "experiment.py", "exec")
        except SyntaxError:
            continue
        if new != text:
            notes = "# Study\n\nRun 0: baseline\n"
            added = f"{notes}\nRun 1: changed\n" if chance.random() < 0.3 else notes
            yield {"experiment.py": text, "notes.txt": notes}, {"experiment.py": new, "notes.txt": added}


def _change(lines: list[str], chance: random.Random) -> None:
    at = chance.randrange(len(lines))
    match chance.randrange(4):
        case 0:
            lines[at] = _NUMBER.sub(lambda found: str(int(found[0]) + 1), lines[at])
        case 1:
            indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
            lines.insert(at, f"{indent}step_{at} = {at}  # added")
        case 2:
            del lines[at]
        case _:
            lines[at : at + 1] = [lines[at], "", f"# line {at}"]


# formats


def _changed(before: Texts, after: Texts) -> Iterator[tuple[str, str, str]]:
    for name, text in after.items():
        if before.get(name, "") != text:
            yield name, before.get(name, ""), text


def _blocks(before: Texts, after: Texts) -> str:
    return blocks_of(before, after)


def _diff(name: str, old: str, new: str, *, prefix: bool = True) -> str:
    a, b = (f"a/{name}", f"b/{name}") if prefix else (name, name)
    a = a if old else "/dev/null"
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), a, b, lineterm="")
    return "".join(f"{line}\n" for line in lines)


def _marked(head: str, divider: str, closer: str) -> Writer:
    def write(before: Texts, after: Texts) -> str:
        swaps = {"<<<<<<< SEARCH": head, "=======": divider, ">>>>>>> REPLACE": closer}
        return "".join(f"{swaps.get(line, line)}\n" for line in blocks_of(before, after).splitlines())

    return write


def _headed(before: Texts, after: Texts) -> str:
    """SEARCH: and REPLACE: in one fence, without markers."""
    swaps = {"<<<<<<< SEARCH": "SEARCH:\n", "=======": "REPLACE:\n", ">>>>>>> REPLACE": ""}
    return "".join(swaps.get(line, f"{line}\n") for line in blocks_of(before, after).splitlines())


def _without_comments(before: Texts, after: Texts) -> str:
    """Blocks whose SEARCH lacks the comments at the ends of lines of Python."""
    said, is_search = [], False
    for name in after:
        blocks = blocks_of({n: t for n, t in before.items() if n == name}, {name: after[name]})
        for line in blocks.splitlines():
            is_search = (is_search or line == "<<<<<<< SEARCH") and line != "======="
            bare = without_comment(line).rstrip() if is_search and name.endswith(".py") else ""
            said.append(bare or line)
    return "".join(f"{line}\n" for line in said)


def _code(text: str) -> str:
    """The lines without comments at their ends, which an edit that does not quote them cannot delete."""
    return "\n".join(without_comment(line).rstrip() for line in text.split("\n"))


def _each(write: Callable[[str, str, str], str], *, between: str = "\n") -> Writer:
    return lambda before, after: "I change this.\n\n" + between.join(write(*one) for one in _changed(before, after))


def _fenced(text: str, info: str = "") -> str:
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{ticks}{info}\n{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{ticks}\n"


def _numberless(diff: str) -> str:
    return re.sub(r"^@@ .* @@.*$", "@@ ... @@", diff, flags=re.MULTILINE)


def _patch_section(name: str, old: str, new: str) -> str:
    """A section of a *** Begin Patch, with the definition above each hunk as its head."""
    if not old:
        return f"*** Add File: {name}\n" + "".join(f"+{line}\n" for line in new.splitlines())
    lines = old.splitlines()
    said = [f"*** Update File: {name}"]
    for line in _diff(name, old, new).splitlines()[2:]:
        if line.startswith("@@"):
            first = int(line.split()[1].lstrip("-").split(",")[0])
            above = [text for text in lines[: max(0, first - 1)] if _DEFINITION.match(text)]
            line = f"@@ {above[-1].strip()}" if above else "@@"
        said.append(line)
    return "\n".join(said) + "\n"


def _patch(before: Texts, after: Texts) -> str:
    sections = "".join(_patch_section(*one) for one in _changed(before, after))
    return f"*** Begin Patch\n{sections}*** End Patch\n"


def _strings(before: Texts, after: Texts) -> Iterator[tuple[str, str, str]]:
    """File, old and new string of every change, with four lines around it."""
    for name, old, new in _changed(before, after):
        lines, wanted = old.splitlines(), new.splitlines()
        matcher = difflib.SequenceMatcher(None, lines, wanted, autojunk=False)
        for group in matcher.get_grouped_opcodes(4):
            first, last = group[0], group[-1]
            yield name, "\n".join(lines[first[1] : last[2]]), "\n".join(wanted[first[3] : last[4]])


def _json(before: Texts, after: Texts) -> str:
    edits = [{"file_path": name, "old_string": old, "new_string": new} for name, old, new in _strings(before, after)]
    return "\n".join(_fenced(json.dumps(edit, indent=2), "json") for edit in edits)


def _xml(before: Texts, after: Texts) -> str:
    return "\n".join(
        f"<str_replace>\n<path>{name}</path>\n<old_str>\n{old}\n</old_str>\n<new_str>\n{new}\n</new_str>\n</str_replace>\n"
        for name, old, new in _strings(before, after)
    )


def _git(name: str, old: str, new: str) -> str:
    return f"diff --git a/{name} b/{name}\nindex 1a2b3c..4d5e6f 100644\n{_diff(name, old, new)}"


def _headless(name: str, old: str, new: str) -> str:
    return _diff(name, old, new).split("\n", 2)[2]


def _whole(above: str = "", info: str = "", inside: str = "") -> Writer:
    """The whole new text, with the name NAME above its fence, on it or inside."""

    def write(name: str, _: str, new: str) -> str:
        language = "python" if name.endswith(".py") else ""
        fence = _fenced(inside.replace("NAME", name) + new, f"{language} {info.replace('NAME', name)}".strip())
        return above.replace("NAME", name) + fence

    return _each(write)


FORMATS: Final[dict[str, Writer]] = {
    "SEARCH/REPLACE": _blocks,
    "SEARCH/REPLACE, lines end with \\r\\n": lambda b, a: blocks_of(b, a).replace("\n", "\r\n"),
    "SEARCH/REPLACE, in a four-backtick fence": lambda b, a: f"Here:\n\n````markdown\n{blocks_of(b, a)}````\n",
    "SEARCH/REPLACE, after an unopened </think>": lambda b, a: f"So I think.\n</think>\n\n{blocks_of(b, a)}",
    "markers of 4": _marked("<<<< SEARCH", "====", ">>>> REPLACE"),
    "markers of 12": _marked("<" * 12 + " SEARCH", "=" * 12, ">" * 12 + " REPLACE"),
    "markers ORIGINAL and UPDATED": _marked("<<<<<<< ORIGINAL", "=======", ">>>>>>> UPDATED"),
    "SEARCH without marks above a block": _marked("SEARCH", "=======", ">>>>>>> REPLACE"),
    "SEARCH: and REPLACE: in one fence": _headed,
    "SEARCH lacks comments at ends of lines": _without_comments,
    "cline's markers": _marked("------- SEARCH", "=======", "+++++++ REPLACE"),
    "doubled divider": _marked("<<<<<<< SEARCH", "=======\n=======", ">>>>>>> REPLACE"),
    "divider above the closing marker": _marked("<<<<<<< SEARCH", "=======", "=======\n>>>>>>> REPLACE"),
    "markers in bold": _marked("**<<<<<<< SEARCH**", "**=======**", "**>>>>>>> REPLACE**"),
    "every line quoted": lambda b, a: "".join(f"> {line}\n" for line in blocks_of(b, a).splitlines()),
    "unified diff, fenced": _each(lambda n, o, w: _fenced(_diff(n, o, w), "diff")),
    "unified diff, bare": lambda b, a: _each(_diff, between="")(b, a) + "\nThat is all.\n- Done.\n",
    "unified diff, git's": _each(lambda n, o, w: _fenced(_git(n, o, w), "diff")),
    "unified diff, @@ ... @@": _each(lambda n, o, w: _fenced(_numberless(_diff(n, o, w, prefix=False)), "diff")),
    "unified diff under the name, without head": _each(lambda n, o, w: f"{n}\n{_fenced(_headless(n, o, w), 'diff')}"),
    "*** Begin Patch, fenced": lambda b, a: "Here:\n\n" + _fenced(_patch(b, a)),
    "*** Begin Patch, bare": _patch,
    "*** Begin Patch, behind <<": lambda b, a: _fenced(f"apply_patch <<'EOF'\n{_patch(b, a)}EOF\n", "bash"),
    "JSON, old_string and new_string": _json,
    "XML, str_replace": _xml,
    "whole file, name above": _whole("NAME\n"),
    "whole file, name on the fence": _whole(info="NAME"),
    "whole file, heading and sentence": _whole("### NAME\n\nIt changes a little.\n\n"),
    "whole file, Here is the full `x`:": _whole("Here is the full `NAME`:\n\n"),
    "whole file, name as a comment": _whole(inside="# NAME\n"),
    "whole file, no name": _whole("All of it:\n"),
    "whole file, name above (last turn)": _whole("NAME\n"),
    "whole file, heading, sentence (last turn)": _whole("### NAME\n\nAll of it.\n\n"),
    "whole file, Here is the full `x`: (last turn)": _whole("Here is the full `NAME`:\n"),
    "whole file, name as a comment (last turn)": _whole(inside="# NAME\n"),
}

if __name__ == "__main__":
    main()
