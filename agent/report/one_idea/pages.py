"""An idea or a run in lines for a terminal: the result first, words never broken, commands whole for copying."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rich.text import Text

from agent.report.cells import wrap
from agent.report.one_idea.metrics import say_metrics
from agent.report.standings import nearby
from agent.report.table import STYLES

__all__ = ["idea_lines", "run_lines"]

# What is said of an idea besides its runs, in this order, each if there is something to say.
_HEAD: Final = ("best", "baseline", "verdict", "luck", "results")
_FOOT: Final = ("begins_at", "idea", "template", "model", "editor", "reviewer", "limits", "spent")
_RUN_HEAD: Final = ("subject", "state", "verdict")
_RUN_FOOT: Final = ("hypothesis", "expected", "refuted_if", "judgement", "review")


def idea_lines(found: Mapping[str, Any], width: int | None) -> Iterator[Text]:
    """An idea, as `describe_idea` found it, on a terminal of `width` columns or in a pipe (None)."""
    short = _Shortener(Path(found["workspace"]))
    yield from _paragraph(found["title"] or Path(found["workspace"]).name, width, style="bold")
    yield Text(f"workspace: {short.path}")
    yield from _field("state", found["state"], width)
    yield from _paragraph(found["control"], width, style="yellow") if found["control"] else ()
    for name in _HEAD:
        yield from _field(name, found[name], width)
    for way in (*found["next"], *found["further"]):
        purpose, _, command = way.partition(": ")
        yield Text(f"{purpose}: {short.within(command)}", "cyan")
    for warning in (*found["warnings"], *filter(None, (found["no_verdicts"], found["caveat"]))):
        yield from _field("warning", warning, width, style="yellow")
    if found["runs"]:
        yield Text("runs:")
    for line, row in zip(found["runs"], found["rows"], strict=True):
        yield from _paragraph(line, width, "  ", style_of=row["verdict"])
        if row["others"]:
            yield from _paragraph(row["others"], width, "      ", style="dim")
    yield from _list("replications", found["replications"], width)
    yield from _list("plan", found["plan"], width)
    yield from _list("figures", map(short.within, found["figures"]), width)
    yield Text(f"notes: {short.within(found['notes'])}")
    yield from _list("baselines", found["baselines"], width)
    for name in _FOOT:
        yield from _field(name.replace("_", " "), found[name], width)
    yield from _list("told", found["told"], width)


def run_lines(found: Mapping[str, Any], width: int | None) -> Iterator[Text]:
    """A run, as `describe_run` found it."""
    short = _Shortener(Path(found["workspace"]))
    yield Text(f"run {found['run']} of {short.path}", "bold")
    for name in _RUN_HEAD:
        yield from _field(name, found[name], width)
    yield from _paragraph(found["control"], width, style="yellow") if found["control"] else ()
    apart = {*found["controls"], *found["identities"]}
    yield from _field("metrics", say_metrics(found["metrics"], [n for n in found["metrics"] if n not in apart]), width)
    yield from _field("settings", " ".join(f"{k}={v}" for k, v in found["settings"].items()), width)
    for name in ("controls", "identities"):
        yield from _field(name, say_metrics(found["metrics"], found[name]), width)
    for name in _RUN_FOOT:
        yield from _field(name.replace("_", " "), found[name], width)
    yield from _list("replications", found["replications"], width)
    yield from _list("suggestions", found["suggestions"], width)
    yield from _list("failures", found["failures"], width)
    for name in ("results", "sandbox", "commit"):
        yield from _field(name, found[name], width)
    for name in ("outputs", "log", "changes", "repeat"):
        if found[name]:
            yield Text(f"{name}: {short.within(found[name]) if name != 'repeat' else found[name]}")


class _Shortener:
    """Writes paths of a workspace as they can be typed where one stands."""

    def __init__(self, path: Path) -> None:
        self._long, self.path = str(path), nearby(path)

    def within(self, text: str) -> str:
        """A path below the workspace, or a command that names the workspace."""
        if text.startswith(self._long):
            return self.path + text.removeprefix(self._long)
        begin = f"'{self._long}@", f"'{self.path}@"  # of a run, in quotes with its number
        return text.replace(shlex.quote(self._long), shlex.quote(self.path)).replace(*begin)


def _field(name: str, value: object, width: int | None, style: str = "") -> Iterator[Text]:
    if value in ("", None):
        return
    text = str(value)
    style_of = text.partition(":")[0] if name in ("state", "verdict") else ""
    yield from _paragraph(f"{name}: {text}", width, rest="  ", style=style, style_of=style_of)


def _list(name: str, items: Iterable[object], width: int | None) -> Iterator[Text]:
    lines = [line for item in items for line in _paragraph(str(item), width, "  ")]
    if lines:
        yield Text(f"{name}:")
    yield from lines


def _paragraph(
    text: str, width: int | None, indent: str = "", *, rest: str = "", style: str = "", style_of: str = ""
) -> Iterator[Text]:
    """Lines of a text. style_of: a verdict or state in it that has a colour of its own."""
    for number, part in enumerate(text.split("\n")):
        first = indent if number == 0 else indent + "  "
        for folded in wrap(part, width, first, indent + (rest or "    ")):
            line = Text(folded, style)
            if style_of in STYLES:
                line.highlight_words([style_of], STYLES[style_of])
            yield line
