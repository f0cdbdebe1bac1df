"""Faults of a template, found in its description and in the numbers of its trial runs."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence

from agent.core.evidence.baseline import Baseline, primary_metric
from agent.core.evidence.numbers import is_cost, read_number
from agent.core.evidence.verdict import is_rounding
from agent.core.inputs.spec import Control, Diagnostic, Metric, TemplateSpec
from agent.core.journal.kinds import Step
from agent.core.text.remark import Remark

__all__ = [
    "check_bands",
    "check_repeats",
    "check_results",
    "check_smoke",
    "check_spec",
    "check_spread",
    "describe_times",
    "find_number",
    "lack_baselines",
    "numbers_in",
]

_SHOWN = 12
LONG_SHARE = 0.5  # of a limit: a step that takes more may reach it on a busier machine
SMOKE_SHARE = 0.5  # a smoke test that takes more of a run's time is no short cut
ROUNDING_SHARE = 1e-3  # of a number: a larger difference is no rounding
CHANCE_SHARE = 0.05  # of the distance between seeds: more than that is no rounding of threads or GPUs


def check_spec(spec: TemplateSpec, where: str, metric_lines: Sequence[str] = ()) -> Iterator[Remark]:
    """Remarks on gaps and contradictions of the description. `where` names its file.

    metric_lines: sections for the results that the code was seen to have.
    """
    if not spec.metrics:
        text = f"{where}: declares no metric; add a section [[metrics]] with a name that final_info.json holds, as"
        yield Remark("mend", text, lines=tuple(metric_lines) or _metric_lines(("accuracy",)))
    primaries = [m.name for m in spec.metrics if m.primary]
    if len(primaries) > 1:
        names = " and ".join(primaries)
        yield Remark("mend", f"{where}: {names} are both primary; take primary = true off all but one")
    if spec.metrics and not primaries:
        name = spec.metrics[0].name
        yield Remark("note", f"{where}: no metric is primary, so {name} is; say so with primary = true")
    primary = primary_metric(spec)
    if primary and primary.direction == "unknown":
        yield Remark("mend", f'{where}: {primary.name} has no direction, so no verdict; add: direction = "higher"')
    if primary and primary.optional:
        yield Remark("mend", f"{where}: {primary.name} is primary and optional; take optional = true off")
    for kind, called in (("metric", [m.name for m in spec.metrics]), ("control", [c.name for c in spec.controls])):
        for name in sorted({n for n in called if called.count(n) > 1}):
            yield Remark("mend", f"{where}: two {kind}s are called {name}; give each a name of its own")
    declared: list[Metric | Control] = [*spec.metrics, *spec.controls]
    evaluated = [m.name for m in declared if m.source == "evaluation"]
    if evaluated and spec.evaluate is None:
        command = "python {sealed}/evaluate.py --run_dir={out_dir} --out={evaluation}"
        lines = ("[evaluate]", f'command = "{command}"', "runs_experiment_code = false")
        text = f'{where}: {evaluated[0]} is of source "evaluation", and there is none; add a section [evaluate], as'
        yield Remark("mend", text, lines=lines)
    if spec.evaluate and not evaluated:
        yield Remark("mend", f'{where}: no metric reads the evaluation; add to one: source = "evaluation"')
    if spec.frontier and spec.frontier not in {m.name for m in declared}:
        yield Remark("mend", f"{where}: frontier {spec.frontier!r} is no metric; name one that is declared")
    yield from _check_varied(spec, where)
    yield from _check_same_seeds(spec, where)
    if not spec.smoke:
        how = "let SCIENTIST_SMOKE=1 pass through all code in seconds, then add: smoke = true"
        yield Remark("note", f"{where}: no smoke test, so a typo at the end costs a whole run; {how}")


def _check_same_seeds(spec: TemplateSpec, where: str) -> Iterator[Remark]:
    """Note baselines that run a deterministic program several times."""
    for variant in (one for profile in spec.profiles.values() for one in profile.baselines):
        if spec.deterministic and (variant.seeds > 1 or (variant.vary and variant.middle_seeds > 1)):
            less = "seeds = 1, middle_seeds = 1" if variant.vary else "seeds = 1"
            what = f"deterministic = true, so one run of baseline {variant.name} is enough"
            yield Remark("note", f"{where}: {what}; write {less}")


def _check_varied(spec: TemplateSpec, where: str) -> Iterator[Remark]:
    """Note profiles whose baselines vary a constant of which no frontier tells."""
    for profile, entry in spec.profiles.items():
        varied = [variant.name for variant in entry.baselines if variant.vary]
        if varied and not spec.frontier:
            only = f"only the first setting of {entry.baselines[0].name} is compared with"
            how = 'name the metric that the varied constant moves: frontier = "l0"'
            yield Remark("note", f"{where}: profile {profile} varies {varied[0]} without a frontier, so {only}; {how}")


def check_results(spec: TemplateSpec, final_info: Mapping[str, object], where: str) -> Iterator[Remark]:
    """Remark on numbers that a run reports and the description does not name."""
    numbers: list[Metric | Control | Diagnostic] = [*spec.metrics, *spec.controls, *spec.diagnostics]
    declared = {m.path for m in numbers if m.source == "final_info"}
    extra = [path for path in _number_paths(final_info) if path not in declared]
    if extra:
        shown = ", ".join(".".join(path) for path in extra[:_SHOWN]) + (", ..." if len(extra) > _SHOWN else "")
        if spec.metrics:
            lines = (line for line in _metric_lines(extra[0]) if not line.startswith("primary"))
            yield Remark("note", f"{where}: final_info.json also holds {shown}; to show one add", lines=tuple(lines))
        else:
            yield Remark(
                "note", f"{where}: final_info.json holds {shown}; for a metric add", lines=_metric_lines(extra[0])
            )


def _metric_lines(path: tuple[str, ...]) -> tuple[str, ...]:
    return (
        "[[metrics]]",
        f"name = {json.dumps('_'.join(path))}",
        f"path = {json.dumps(list(path))}",
        'direction = "higher"  # or "lower"',
        "primary = true",
    )


def find_number(data: object, metric: Metric) -> str:
    """The line of template.toml that would find the metric elsewhere in the results, "" if nothing fits."""
    if not isinstance(data, Mapping):
        return ""
    wanted = {metric.name, metric.path[-1]}
    for path in _number_paths(data):
        if path[-1] in wanted or "_".join(path) in wanted:
            return f"path = {json.dumps(list(path))}"
    return ""


def numbers_in(data: Mapping[str, object]) -> dict[str, float]:
    """Every number of a results object by its dotted path."""
    found = {".".join(path): read_number(data, path) for path in _number_paths(data)}
    return {name: value for name, value in found.items() if value is not None}


def _number_paths(data: Mapping[str, object], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _number_paths(value, (*path, key)) if len(path) < 4 else ()
        elif read_number(value, ()) is not None:
            yield (*path, key)


def check_repeats(
    spec: TemplateSpec,
    first: Mapping[str, float],
    again: Mapping[str, float],
    other: Mapping[str, float],
    seeds: tuple[int, int],
    reads_seed: bool,
) -> Iterator[Remark]:
    """Check that one seed gives the same numbers twice and another seed gives others. Times are left out."""
    names = [n for n in first if n in again and n in other and not is_cost(n, spec.metrics)]
    moved = {n: abs(first[n] - again[n]) for n in names if first[n] != again[n]}
    apart = [n for n in names if first[n] != other[n]]
    a, b = seeds
    line = 'seed = int(os.environ["SCIENTIST_SEED"]), given to all that draws at random'
    unread = f"SCIENTIST_SEED is read nowhere; add: {line}"
    yield from _say_timed(spec, first, other)
    if not names:
        return
    if spec.deterministic:
        yield _check_sameness([*moved, *apart], (first, again, other))
    elif not apart and not moved:
        what = f"seeds {a} and {b} gave the same {', '.join(names[:3])}, and seeds that give one number give no verdict"
        why = "the seed does not reach what draws at random" if reads_seed else unread
        yield Remark("mend", f"{what}: {why}; or if nothing does, write in template.toml: deterministic = true")
    elif not moved:
        yield Remark("ok", f"seed {a} twice gave the same numbers, seed {b} others")
    else:
        name, size = max(moved.items(), key=lambda item: item[1] / (abs(first[item[0]]) or 1.0))
        what = f"seed {a} twice gave {name} {first[name]:.6g} and {again[name]:.6g}"
        if not reads_seed:
            yield Remark("mend", f"{what}: {unread}")
        elif size >= CHANCE_SHARE * abs(first[name] - other[name]):
            yield Remark("mend", f"{what}, and seed {b} {other[name]:.6g}: something random is not seeded; add: {line}")
        else:
            yield _say_jitter(what, size / (abs(first[name]) or 1.0))


def _say_timed(spec: TemplateSpec, first: Mapping[str, float], other: Mapping[str, float]) -> Iterator[Remark]:
    """Say that the primary metric is a time or a speed, if it is one."""
    primary = primary_metric(spec, first)
    if primary and is_cost(primary.name, spec.metrics) and first.get(primary.name) != other.get(primary.name):
        what = f"{primary.name} is a time, a speed or a size of memory"
        why = "it differs with the machine and its load whatever the seed, so verdicts by it hold on one machine alone"
        yield Remark("note", f"{what}: {why}")


def _check_sameness(differing: Sequence[str], runs: Sequence[Mapping[str, float]]) -> Remark:
    """Whether a program that is declared to be deterministic gave one number three times."""
    if not differing:
        return Remark("ok", "three runs gave the same numbers, as a deterministic program does")
    name = differing[0]
    numbers = ", ".join(f"{run[name]:.6g}" for run in runs)
    how = "take deterministic = true out, or find what differs"
    return Remark("mend", f"the program is declared to be deterministic, and gave {name} {numbers}; {how}")


def _say_jitter(what: str, share: float) -> Remark:
    """One seed gave two numbers that differ by much less than two seeds do."""
    if share > ROUNDING_SHARE:
        return Remark("note", f"{what}, {share:.1%} apart: more than rounding; is it a time, or not seeded in part?")
    return Remark("note", f"{what}: threads or a GPU may do that; differences that small mean nothing")


def describe_times(seconds: Mapping[Step, float], limits_s: Mapping[Step, float], *, is_set: bool) -> Iterator[Remark]:
    """The time that each step took beside its limit. is_set: template.toml can hold another limit."""
    for step, took in seconds.items():
        field, limit = f"{step.value}_s", limits_s[step]
        said = f"{step.value} took {took:.1f} s of at most {limit:g} s"
        if took > LONG_SHARE * limit:
            yield Remark("note", f"{said}; a busier machine may need more: {field} = {took * 4:.0f}")
        elif max(10, took * 10) < limit / 10 and step is not Step.SMOKE and is_set:
            yield Remark("note", f"{said}; a hung one is found sooner with: {field} = {max(10, took * 10):.0f}")
        else:
            yield Remark("ok", said)


def check_smoke(short_s: float, whole_s: float, least_s: float) -> Iterator[Remark]:
    """Whether the smoke test is a short cut. It may take `least_s` however short a run is."""
    if short_s > max(least_s, SMOKE_SHARE * whole_s):
        how = "read it, and take few steps of few examples if it is set"
        yield Remark(
            "mend", f"smoke took {short_s:.1f} s, a run {whole_s:.1f} s: SCIENTIST_SMOKE=1 shortens little; {how}"
        )


def lack_baselines(spec: TemplateSpec, profile: str, command: str, *, is_foreign: bool) -> Remark:
    """The way to baseline results, which verdicts need. command: `scientist baseline` with its options."""
    if is_foreign:
        return Remark("note", "no baseline results: the code as it is runs first, as run 0")
    if spec.deterministic:
        return Remark(
            "note", "no baseline results: the code as it is runs first, as run 0, and runs are compared with it"
        )
    here, how = spec.profiles.get(profile), f"make them: {command}"
    if not here or not here.baselines:
        lines = (f"[[profiles.{profile or 'full'}.baselines]]", 'name = "plain"', "seeds = 5")
        how = "declare them in template.toml" if profile else "write {} into profiles/full.json, and into template.toml"
        first = () if profile else ('default_profile = "full"  # above all sections',)
        return Remark("note", f"no baseline results, so no verdicts; {how}", lines=(*first, *lines))
    return Remark("note", f"no baseline results, so no verdicts; {how}")


def check_bands(spec: TemplateSpec, baselines: Sequence[Baseline], where: str, redo: str) -> Iterator[Remark]:
    """Whether the seeds of the stored baselines show a band of the primary metric.

    redo: the command that makes them anew.
    """
    primary = primary_metric(spec, baselines[0].values if baselines else None)
    if primary is None or primary.direction == "unknown":
        return  # one of `means` has no direction, so nothing is judged by it
    settings: dict[tuple[str, str], list[float]] = {}
    for b in baselines:
        if primary.name in b.values:
            settings.setdefault((b.name, b.setting), []).append(b.values[primary.name])
    several = [values for values in settings.values() if len(values) > 1]
    flat = [values for values in several if is_rounding(statistics.fmean(values), statistics.stdev(values))]
    if spec.deterministic and len(flat) < len(several):
        yield Remark("mend", f"{where}: deterministic = true, and runs of one baseline differ; take it out")
    elif not spec.deterministic and several and len(flat) == len(several):
        what = f"the seeds of the stored baselines gave one number ({primary.name} {flat[0][0]:.6g})"
        how = f"let the seed reach what draws at random, then {redo}; or if nothing does: deterministic = true"
        yield Remark("mend", f"{where}: {what}, so no verdict; {how}")
    elif not spec.deterministic and not several:
        yield Remark("mend", f"{where}: no baseline was run with two seeds, so no verdict; give it seeds = 5")


def check_spread(
    spec: TemplateSpec, first: Mapping[str, float], other: Mapping[str, float], where: str
) -> Iterator[Remark]:
    """Compare the primary metric's spread over two seeds with its resolution, and name controls that seeds move."""
    for control in spec.controls:
        here, there = first.get(control.name), other.get(control.name)
        if here is None or there is None:
            at = f"{control.source}.json: {json.dumps(list(control.path))}"
            yield Remark("mend", f"{where}: control {control.name} ({at}) is not reported; report it or take it out")
        elif abs(here - there) > (control.tolerance + 1e-12) * abs(there):
            share = abs(here - there) / (abs(there) or 1.0)
            add = f"tolerance = {share * 3:.1g}"
            yield Remark("mend", f"{where}: control {control.name} moves by {share:.2g} with the seed; add: {add}")
    primary = primary_metric(spec, first)
    if primary is None or primary.name not in first or primary.name not in other:
        return
    spread = abs(first[primary.name] - other[primary.name])
    said = f"{primary.name} {first[primary.name]:.6g} and {other[primary.name]:.6g}: {spread:.3g} apart"
    if spec.deterministic:
        return
    if primary.resolution == 0 and spread == 0:
        how = "if it moves in steps, name one: resolution = 0.001; if nothing is drawn at random: deterministic = true"
        yield Remark("mend", f"{where}: {said}, and seeds that give one number give no verdict; {how}")
    elif spread == 0:
        yield Remark("note", f"{said}; if all seeds of a baseline give one number, there is no verdict")
    elif primary.resolution > spread > 0:
        why = "differences between the two count for nothing"
        yield Remark("note", f"{where}: {said}, less than its resolution {primary.resolution:g}; {why}")
    else:
        yield Remark("ok", f"{said} over two seeds, resolution {primary.resolution:g}")
