"""Requests in words, filled into Jinja2 files. Core reads no files but these."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from agent.core.edit.apply import LAST_FORMATS, Reason, Rejected, explain_edits, name_edits
from agent.core.evidence.baseline import BaselineRow, leading_rows
from agent.core.failure.diagnose import Failure
from agent.core.failure.folding import cut_middle
from agent.core.inputs.spec import Control, Metric
from agent.core.journal.kinds import PlanItem, Purpose
from agent.core.model.messages import Message
from agent.core.prompt.columns import choose_columns
from agent.core.prompt.excerpt import render_excerpt
from agent.core.prompt.view import RowView, TurnView
from agent.core.reply.example import HYPOTHESIS, example_of
from agent.core.reply.expectation import Reading, headline
from agent.core.reply.inquiry import MOST_ANSWERS
from agent.core.reply.turn import Refusal
from agent.core.text.plain import plain, plain_line

SUBJECT_CHARS = 60
FAILURE_CHARS = 90
MOST_DECIMALS = 6
DIRECTIONS = {"higher": "higher is better", "lower": "lower is better", "unknown": "no direction"}
NOTES_CHARS = 6000
LAST_WORDS_CHARS = 600
HEAD_LINES = 12
# "```"
_TICKS = re.compile("`+")


def render_opening(view: TurnView) -> list[Message]:
    """The opening of a chat: fixed rules, then the parts that stay for the whole idea, then those of this turn."""
    match view.purpose:
        case Purpose.EDIT:
            system, user = "edit_system.j2", "edit.j2"
        case Purpose.REVIEW | Purpose.REFLECT:
            system, user = "review_system.j2", "review.j2"
        case Purpose.PLOT | Purpose.NOTES:
            system, user = "closing.j2", "turn.j2"
        case _:
            system, user = "system.j2", "turn.j2"
    return [Message("system", _fill(system, view=view)), Message("user", _fill(user, view=view))]


def render_repair(view: TurnView) -> str:
    """The user's message after a reply that led to no attempt, or after a review to reflect on."""
    return _fill("reflect.j2" if view.purpose in (Purpose.REVIEW, Purpose.REFLECT) else "repair.j2", view=view)


def render_answer(parts: Sequence[object], missing: Sequence[str], outlines: Sequence[str]) -> str:
    """The answer to a reply that asks to see code. parts: files with `name`, `text`, `is_editable` and `cut`."""
    return _fill("answer.j2", parts=parts, missing=missing, outlines=outlines)


def render_no_change(summary: str, last_words: str) -> str:
    """The message to the planner if the editor, after its repairs, changed nothing."""
    return _fill("no_change.j2", summary=summary, last_words=cut_middle(last_words.strip(), LAST_WORDS_CHARS))


def render_refusal(refusal: Refusal, shown: Mapping[str, str]) -> str:
    """The reasons against a reply, with the real lines, and the staged files that its accepted blocks changed."""
    staged = {name: text for name, text in refusal.staged.items() if shown.get(name) != text}
    blocks = {r.path for r in refusal.rejected}
    return _fill(
        "refusal.j2",
        refusal=refusal,
        staged={name: text for name, text in staged.items() if name in blocks},
        kept=sorted(name for name in staged if name not in blocks),
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("agent.core.prompt", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        autoescape=False,
    )
    environment.filters |= {
        "fenced": fenced,
        "row": row_line,
        "columns": choose_columns,
        "number": number,
        "rejected": rejected_title,
    }
    environment.filters |= {
        "frontier": frontier_curves,
        "leading": leading_rows,
        "without": without_told,
        "control": control_line,
        "capitalise": capitalise,
        "excerpt": render_excerpt,
        "outline": outline,
        "head_lines": head_lines,
        "reading": reading_line,
        "metric": metric_line,
        "metric_names": metric_names,
        "detail": detail_of,
        "headline": headline,
        "inset": inset,
        "notes_cut": lambda text: cut_middle(text, NOTES_CHARS),
    }
    environment.globals |= {"Purpose": Purpose, "Reason": Reason}
    environment.globals |= {"LAST_FORMATS": LAST_FORMATS, "explain_edits": explain_edits}
    environment.globals |= {"name_edits": name_edits, "example_of": example_of, "HYPOTHESIS": HYPOTHESIS}
    environment.globals |= {"MOST_ANSWERS": MOST_ANSWERS}
    return environment


def _fill(name: str, **values: Any) -> str:
    return _environment().get_template(name).render(**values).strip()


def fenced(text: str, language: str = "") -> str:
    """The text in a fence longer than any run of backticks within it."""
    longest = max(map(len, _TICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def inset(text: object) -> str:
    """The text, plain, with all lines but the first indented, so that none looks like a heading of ours."""
    lines = plain(str(text)).split("\n")
    return "\n".join(f"  {line}" if at and line.strip() else line for at, line in enumerate(lines))


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def row_line(judged: RowView, view: TurnView, columns: Sequence[str] | None = None) -> str:
    """One past run in one line of bounded length, so that the last prompt is hardly longer than the second.

    columns: its metrics, named in the first completed row of the view and in those that lack one. None: those that
    matter most in this row, with their names.
    """
    row = judged.row
    aim = row.subject.partition(": ")[2] or row.subject or (headline(row.item.text) if row.item else "")
    if not row.completed:
        parts = [f"run {row.run}", "given up", *(plain_line(failure, FAILURE_CHARS) for failure in row.failures[-1:])]
        return " | ".join([*parts, plain_line(aim, SUBJECT_CHARS)]).removesuffix(" | ")
    names = columns if columns is not None else choose_columns(replace(view, rows=(judged,)))
    primary = view.primary.name if view.primary else ""
    named = [f"{name}={number(row.values[name])}" for name in names if name in row.values]
    first = next((each.row.run for each in view.rows if each.row.completed), row.run)
    is_named = columns is None or row.run == first or len(named) < len(names)
    numbers = " ".join(named if is_named else [number(row.values[name]) for name in names])
    remarks = [judged.verdict.kind.value] if judged.verdict else []
    remarks += ["self-reported"] if row.measured.self_reported else []
    remarks += [f"idea {row.review.judgement}"] if row.review else []
    remarks += _again(view, row.run, primary)
    verdict = f" ({', '.join(remarks)})" if remarks else ""
    return f"run {row.run} | {numbers}{verdict} | {plain_line(aim, SUBJECT_CHARS)}"


def _again(view: TurnView, run: int, primary: str) -> list[str]:
    """Mean and spread of the run's replications, which a person asked for."""
    found = view.state.replications.results_of(run).values()
    values = [measured.values[primary] for measured in found if primary in measured.values]
    if not values:
        return []
    spread = f" ± {number(statistics.stdev(values))}" if len(values) > 1 else ""
    return [f"again with {len(values)} other seeds: {number(statistics.fmean(values))}{spread}"]


def without_told(lines: Sequence[str], values: Mapping[str, float]) -> list[str]:
    """The lines of diagnostics but those that say what the metrics above them say."""
    told = {f"{name} = {number(value)}" for name, value in values.items()}
    return [line for line in lines if line not in told]


def frontier_curves(rows: Sequence[BaselineRow], primary: Metric | None, axis: str) -> list[str]:
    """A head and a line for each baseline, with the primary metric, its spread and its place at every setting."""
    name = primary.name if primary else ""
    counts = sorted({str(row.seeds) for row in rows}, key=int)
    seeds = f"{' to '.join(dict.fromkeys([counts[0], counts[-1]]))} seed{'s' if counts != ['1'] else ''} each"
    lines = [f"Each setting={name}{'±sd' if name else ''}@{axis}, {seeds}"]
    for baseline in dict.fromkeys(row.name for row in rows):
        points = [_point(row, name, axis) for row in rows if row.name == baseline]
        lines.append(f"{baseline}: {', '.join(points)}")
    return lines


def _point(row: BaselineRow, name: str, axis: str) -> str:
    mean, spread = row.means.get(name), row.deviations.get(name)
    place = f"{row.means[axis]:.3g}" if axis in row.means else "-"
    value = number(mean)
    if mean is not None and spread:
        digits = max(0, 1 - int(f"{spread:.0e}".partition("e")[2]))  # one more than the spread's own
        value = f"{mean:.{digits}f}" if digits <= MOST_DECIMALS else value
        value += f"±{spread:.1g}"
    return f"{row.setting}={value}@{place}" if row.setting else f"{value}@{place}"


def metric_line(metric: Metric) -> str:
    """A metric with its direction, a good value and its unit."""
    direction = DIRECTIONS[metric.direction]
    name = f"{metric.name} (primary)" if metric.primary else metric.name
    good = f", good: {number(metric.target)}" if metric.target is not None else ""
    return f"{name}: {direction}{good}{f', in {metric.unit}' if metric.unit else ''}"


def metric_names(metrics: Sequence[Metric]) -> list[str]:
    """The names of the metrics by direction, for a model that was told how to read them."""
    lines = []
    for direction, said in DIRECTIONS.items():
        names = []
        for metric in (m for m in metrics if m.direction == direction):
            notes = ["primary"] if metric.primary else []
            notes += [f"good: {number(metric.target)}"] if metric.target is not None else []
            notes += [metric.unit] if metric.unit else []
            names.append(f"{metric.name} ({', '.join(notes)})" if notes else metric.name)
        lines += [f"{said}: {', '.join(names)}"] if names else []
    return lines


def detail_of(failure: Failure) -> str:
    """The detail of a failure, fenced. Its first line is left out if it is the summary, which stands above it."""
    first, _, rest = failure.detail.strip().partition("\n")
    return fenced(rest.strip("\n") if first.strip() == failure.summary.strip() and rest.strip() else failure.detail)


def control_line(control: Control) -> str:
    """A control and how near to the baseline's it must be."""
    return f"{control.name} (within {control.tolerance:.0%})" if control.tolerance else control.name


def capitalise(text: str) -> str:
    """The text with its first letter large."""
    return text[:1].upper() + text[1:]


def head_lines(text: str) -> str:
    """The first lines of a text of any length."""
    lines = text.splitlines()
    more = [f"[and {len(lines) - HEAD_LINES} more lines]"] if len(lines) > HEAD_LINES else []
    return "\n".join(lines[:HEAD_LINES] + more)


def reading_line(reading: Reading) -> str:
    """A measured value beside its bound, and the margin by which the bound was met or missed."""
    comparison = reading.comparison
    held = f"{comparison.metric} = {number(reading.measured)} against {comparison.sign} {number(reading.bound)}"
    held += f" ({reading.reference} {comparison.value:+.4g})" if reading.reference else ""
    return f"{held}: {'met' if reading.met else 'not met'}, by {number(reading.margin)}"


def outline(item: PlanItem) -> str:
    """A plan item that is not due yet: its change and its expectation."""
    return f"{headline(item.text)}. Expected: {item.expected}" if item.expected else item.text


def rejected_title(rejected: Rejected) -> str:
    where = f"{rejected.path}: " if rejected.path else ""
    return f"{where}{rejected.reason} (block at line {rejected.block.line} of your reply)"
