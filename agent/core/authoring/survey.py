"""A training script in a few lines: its options, its results, its generators, and what a sweep could vary."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from agent.core.authoring.arguments import Arguments, find_arguments, own_command
from agent.core.authoring.ranges import find_length, range_of
from agent.core.authoring.reading.labels import direction_of, is_held_out
from agent.core.authoring.reading.results import SeenResults, best_results, curve_of, find_results
from agent.core.authoring.reading.settings import Setting, find_settings
from agent.core.authoring.seeds import find_generators
from agent.core.text.plain import plain_line

__all__ = ["Survey", "survey_scripts"]

MOST_CALLS: Final = 5
MOST_NAMES: Final = 6
MOST_CHARS: Final = 100  # of a call


@dataclass(frozen=True, slots=True)
class Survey:
    """What was read in the code of a template, nothing of it run."""

    # How it takes options.
    arguments: Arguments
    # The place of the results that count most. None if none was found.
    results: SeenResults | None
    # The place of numbers in a loop.
    curve: SeenResults | None
    # Calls that take a seed, as "experiment.py:12 np.random.RandomState(cfg['seed'])".
    generators: tuple[str, ...]
    # The number of epochs or steps.
    length: Setting | None
    # Names and ranges of settings that a sweep could vary.
    ranges: tuple[str, ...]
    # Lines that only a notebook understands.
    magic: tuple[str, ...]

    @property
    def command(self) -> str:
        return own_command(self.arguments)

    def describe(self) -> tuple[tuple[str, str], ...]:
        return tuple(self._describe())

    def _describe(self) -> Iterator[tuple[str, str]]:
        yield "options", self.arguments.describe()
        missing = "none was found in the code; print them, as print(f'val loss: {loss:.4f}')"
        yield "results", plain_line(self.results.describe() if self.results else missing)
        if self.curve:
            yield "curve", f"{plain_line(self.curve.describe())}: check offers the lines for metrics.jsonl"
        if self.generators:
            yield "draws with", f"{'; '.join(self.generators)}: give it SCIENTIST_SEED, as check proposes"
        if self.length:
            yield "length", f"{self.length.name} = {self.length.value} ({self.length.file}:{self.length.line})"
        if self.ranges:
            yield "to search", f"{', '.join(self.ranges)}: check offers the lines"
        if self.magic:
            yield "notebook", f"{', '.join(self.magic)}: take these lines out, Python alone does not know them"

    def metric_lines(self) -> list[str]:
        """[[metrics]] sections for the results that were found, the primary one first."""
        names = _by_weight(self.results) or ["accuracy"]
        lines: list[str] = []
        for number, name in enumerate(names[:MOST_NAMES]):
            lines += ["[[metrics]]", f"name = {json.dumps(name)}", f"path = {json.dumps([name])}"]
            guess = direction_of(name)
            lines.append(f'direction = "{guess or "higher"}"' + ("" if guess else '  # or "lower"'))
            if number == 0:
                lines.append("resolution = 0.002  # smaller differences count for nothing")
                lines.append('reading = "What it measures, with a value to compare it with, as that of chance."')
                lines.append("primary = true")
        return lines

    def task(self, summary: str) -> str:
        """An example of the words that a model is told."""
        name = next(iter(_by_weight(self.results)), "")
        subject = summary.rstrip(" .,;:") if summary else "experiment.py trains a network on your data"
        return f"{subject}. Improve {name}." if name else f"{subject}. Improve its results."


def _by_weight(results: SeenResults | None) -> list[str]:
    """Names of the results, held-out ones first, and of those the ones that are no loss."""
    names = [value.name for value in results.values if value.name] if results else []
    return sorted(names, key=lambda name: (not is_held_out(name), direction_of(name) != "higher"))


def survey_scripts(files: Mapping[str, str]) -> Survey:
    """Read the Python files of a template, the one that is run first."""
    found, first = find_results(files), next(iter(files), "")
    calls = find_generators(files)[:MOST_CALLS]
    settings = [s for s in find_settings(files) if s.kind != "keyword" and range_of(s.name, s.value)]
    ranges = {s.name: f"{s.name} {range_of(s.name, s.value)}" for s in settings}
    return Survey(
        find_arguments(files),
        best_results(found, first),
        curve_of(found, first),
        tuple(plain_line(call.describe(), MOST_CHARS) for call in calls),
        find_length(files),
        tuple(list(ranges.values())[:MOST_NAMES]),
        tuple(_magic_in(files))[:MOST_CALLS],
    )


def _magic_in(files: Mapping[str, str]) -> Iterator[str]:
    for file, text in files.items():
        for number, line in enumerate(text.split("\n"), start=1):
            if line.lstrip().startswith("get_ipython()"):
                yield f"{file}:{number}"
