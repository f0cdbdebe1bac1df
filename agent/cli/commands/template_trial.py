"""Trial runs of `scientist template check`: two seeds, an evaluation, a plot, and advice on what they lack."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agent.cli.display import RemarkPrinter
from agent.cli.environment import give, weigh_baselines
from agent.cli.options import Chosen
from agent.cli.terminal import say
from agent.core.authoring.advice import Surroundings, describe_foreign, explain_failure
from agent.core.authoring.arguments import mend_out_dir, refuses_out_dir
from agent.core.authoring.check import (
    check_bands,
    check_repeats,
    check_results,
    check_smoke,
    check_spread,
    describe_times,
    find_number,
    lack_baselines,
    numbers_in,
)
from agent.core.authoring.proposals import SeedLine, mend_import, mend_smoke
from agent.core.authoring.records import mend_results, offer_curve
from agent.core.authoring.seeds import SeedChange, propose_seeds
from agent.core.failure.diagnose import NO_WORKERS
from agent.core.inputs.spec import TemplateSpec
from agent.core.journal.kinds import Step
from agent.core.text.remark import Remark
from agent.edges.run.figures import find_figures
from agent.edges.run.prepare_step import Equipment, deadline_of, limits_of
from agent.edges.run.trial import Trial, run_trial
from agent.edges.system.untrusted import read_untrusted
from agent.edges.template.load import TEMPLATE_FILE, Template
from agent.edges.template.requirements import known_distribution

SEEDS = (1, 2)
NAMES, ORDER = ("first run", "run again", "other seed"), (SEEDS[0], *SEEDS)  # seed A, seed A, seed B
SMOKE_S = 10.0  # a smoke test may take so long, however short a run is
TRY_AGAIN_S = 600.0  # a longer run is not repeated to try a line


@dataclass(frozen=True, slots=True)
class Runs:
    """The trial runs of one check."""

    printer: RemarkPrinter  # prints remarks and counts the faults
    shown: Path  # the template's folder, as it is printed
    template: Template  # the one that is checked, at one profile
    equipment: Equipment  # interpreter, variables and sandbox of every run
    scratch: Path  # holds one folder for each run
    chosen: Chosen  # the template and options as they were typed
    keep: bool  # the scratch folder stays

    @property
    def where(self) -> str:
        return str(self.shown / TEMPLATE_FILE)

    @property
    def code(self) -> dict[str, str]:
        """The Python files of a run, the one that the command starts first."""
        words = self.template.spec.command.split()
        run = dict.fromkeys([*words[1:2], *self.template.spec.run_files])
        return {name: self.template.files[name] for name in run if name in self.template.files}

    def run(self, name: str, seed: int, steps: Sequence[Step], code: Mapping[str, str] | None = None) -> Trial:
        """Run the steps in a folder of that name, with other code than the template's if some is given."""
        say(f"{name}: seed {seed} ...")
        return run_trial(
            self.scratch / name.replace(" ", "_"),
            self.template,
            self.template.files | dict(code or {}),
            self.equipment,
            seed=seed,
            steps=steps,
        )

    def try_all(self) -> None:
        """A smoke test, seed A twice, seed B once, each evaluated; the first that fails is the last."""
        spec, printer = self.template.spec, self.printer
        runs: dict[str, Trial] = {}
        plan: list[tuple[str, int, tuple[Step, ...]]]
        plan = [("smoke test", SEEDS[0], (Step.SMOKE,))] if spec.smoke else []
        plan += [(name, seed, (Step.RUN, Step.EVALUATE)) for name, seed in zip(NAMES, ORDER, strict=True)]
        for name, seed, steps in plan:
            trial = runs[name] = self.run(name, seed, steps)
            if trial.failure:
                printer.add(self.describe_failure(trial, name))
                return
            if name in ("smoke test", NAMES[0]):
                limits = {step: deadline_of(limits_of(self.template), step) for step in trial.seconds}
                printer.add(describe_times(trial.seconds, limits, is_set=not self.template.foreign))
        if smoke := runs.get("smoke test"):
            printer.add(check_smoke(smoke.seconds[Step.SMOKE], runs[NAMES[0]].seconds[Step.RUN], SMOKE_S))
        first, again, other = (runs[name] for name in NAMES)
        if not self.template.foreign:  # all of its `means` are read
            printer.add(check_results(spec, first.final_info, self.where))
        printer.add(self.check_seeds(first, again, other))
        if not self.template.foreign:
            printer.add(check_spread(spec, first.values, other.values, self.where))
        printer.add(self.try_plot(first))
        if not (first.outputs / "metrics.jsonl").is_file():
            printer.add(offer_curve(self.code, str(self.shown)))
        if not spec.smoke and not self.template.foreign:
            printer.add(mend_smoke(self.code, str(self.shown)))
        printer.add(self.check_baselines())

    def check_baselines(self) -> Iterator[Remark]:
        """Whether stored baselines judge runs of what is here."""
        template = self.template
        if not template.baselines:
            command = self.chosen.say("baseline")
            yield lack_baselines(template.spec, template.profile, command, is_foreign=template.foreign)
            return
        equipment, redo = self.equipment, f"{self.chosen.say('baseline')} --redo"
        given = give(equipment.interpreter, equipment.data, equipment.prepared)
        found = weigh_baselines(template, given, self.chosen)
        if found.doubt:
            yield Remark("mend", f"baselines give no verdicts: {found.doubt}")
        elif found.remark:
            yield Remark("note", f"baselines: {found.remark}")
        if not found.doubt:
            yield from check_bands(template.spec, template.baselines, self.where, redo)

    def check_seeds(self, first: Trial, again: Trial, other: Trial) -> Iterator[Remark]:
        """Whether runs repeat and seeds differ; if not, a line that was seen to make them."""
        reads_seed = any("SCIENTIST_SEED" in text for text in self.template.files.values())
        remarks = list(self.compare_seeds(first, again, other, reads_seed))
        if self.template.foreign:
            remarks = [self.allow_foreign(remark, first) for remark in remarks]
        yield from remarks
        is_wrong = any(remark.level == "mend" for remark in remarks)
        if reads_seed or self.template.spec.deterministic or not is_wrong or first.seconds[Step.RUN] > TRY_AGAIN_S:
            return
        for number, change in enumerate(propose_seeds(self.code), start=1):
            if self.is_seeded_by(change, f"seed line {number}, "):
                yield change.remark(str(self.shown), "tried: a seed then repeats its numbers, and another gives others")
                return

    def allow_foreign(self, remark: Remark, first: Trial) -> Remark:
        """A fault of seeds in AI-Scientist's layout, which gets no verdicts: nothing to mend, but what to write."""
        if remark.level != "mend":
            return remark
        names = set(self.template.given)
        same = ("deterministic = true",) if "gave the same" in remark.text else ()
        lines = describe_foreign(self.template.spec.name, first.final_info, names, same)
        text = f"{remark.text}. It runs as it is, without verdicts; for verdicts write the whole of {self.where}"
        return Remark("note", text, lines=lines)

    def is_seeded_by(self, change: SeedLine | SeedChange, title: str) -> bool:
        """Whether runs of the changed code repeat with their seed, and differ with another."""
        code, steps = change.apply(self.code), (Step.RUN, Step.EVALUATE)
        first, again, other = (
            self.run(title + name, seed, steps, code) for name, seed in zip(NAMES, ORDER, strict=True)
        )
        told = self.compare_seeds(first, again, other, reads_seed=True)
        failed = first.failure or again.failure or other.failure
        return not failed and any(remark.level == "ok" for remark in told)

    def compare_seeds(self, first: Trial, again: Trial, other: Trial, reads_seed: bool) -> Iterator[Remark]:
        a, b, c = (trial.values or numbers_in(trial.final_info) for trial in (first, again, other))
        return check_repeats(self.template.spec, a, b, c, SEEDS, reads_seed)

    def describe_failure(self, trial: Trial, name: str) -> Iterator[Remark]:
        """The failed step in one line, and the lines that would mend it, if the failure tells them."""
        failure, spec, folder = trial.failure, self.template.spec, str(self.shown)
        assert failure and trial.failed
        more = "" if self.keep else "; its logs stay with --keep"
        place = f"{failure.location.file}:{failure.location.line}" if failure.location else ""
        at = "" if place in failure.summary else f" ({place})"
        step = "" if trial.failed is Step.SMOKE else f"{trial.failed.value}, {name}, "
        own = trial.failed in (Step.SMOKE, Step.RUN)
        mended: list[Remark] = []
        if own and refuses_out_dir(failure.detail):
            mended = [self.complete(mend_out_dir(self.code, folder, spec))]
        elif own and "wrote no run_" in failure.summary:
            mended = [mend_results(self.code, folder, spec, failure.detail.partition("Last lines of ")[2])]
        elif failure.location:
            mended = list(mend_import(self.code, folder, failure.location.file, failure.location.line))
        yield Remark("note" if mended else "mend", f"{step}seed {trial.seed}: {failure.summary}{at}{more}")
        yield from mended
        if NO_WORKERS in failure.detail:
            yield Remark("note", f"{NO_WORKERS} Or install bubblewrap.")
        elif not mended:
            yield from explain_failure(failure.detail, self.surround(trial))
        if own:
            yield from find_metrics(trial, spec, self.where)

    def complete(self, remark: Remark) -> Remark:
        """A remark on template.toml with all of the file's lines, if the folder has none."""
        if not self.template.foreign or TEMPLATE_FILE not in remark.text:
            return remark
        lines = describe_foreign(self.template.spec.name, {}, set(self.template.given), remark.lines)
        return replace(remark, lines=lines)

    def surround(self, trial: Trial) -> Surroundings:
        return Surroundings(
            folder=str(self.shown),
            names=self.template.given,
            python=str(self.equipment.interpreter),
            is_built=self.chosen.python is None and bool(self.template.spec.environment.install),
            has_data=self.chosen.data is not None,
            is_described=not self.template.foreign,
            work=str(trial.outputs.parent),
            distribution_of=known_distribution,
        )

    def try_plot(self, run: Trial) -> list[Remark]:
        """plot.py on one published run."""
        command = self.template.spec.plot
        if not command:
            return [Remark("note", "no plot command, so no figures are drawn")]
        published = self.scratch / "plot" / f"run_{run.seed}"
        shutil.copytree(run.outputs, published, symlinks=True)
        if run.evaluation:
            (published / "evaluation.json").write_text(json.dumps(run.evaluation), "utf-8")
        plot = self.run("plot", run.seed, (Step.PLOT,))
        if plot.failure:
            return [Remark("mend", f"{command}: {plot.failure.summary}")]
        figures = find_figures(plot.outputs.parent, self.template.given)
        return [Remark("ok", f"{command} drew {', '.join(figures.paths.values())}")]


def find_metrics(trial: Trial, spec: TemplateSpec, where: str) -> Iterator[Remark]:
    """For each metric that final_info.json holds elsewhere, the line that would find it."""
    info = read_info(trial.outputs / "final_info.json")
    for metric in spec.metrics if info else ():
        line = find_number(info, metric) if metric.source == "final_info" else ""
        if line and line != f"path = {json.dumps(list(metric.path))}":
            yield Remark("mend", f"{where}: metric {metric.name}: write {line}")


def read_info(path: Path) -> Mapping[str, object] | None:
    content = read_untrusted(path, 1 << 20)
    try:
        data = json.loads(content) if isinstance(content, bytes) else None
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None
