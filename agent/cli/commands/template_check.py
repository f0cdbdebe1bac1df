"""scientist template check: find faults of the files, then make trial runs, with one line per finding."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from agent.cli.environment import (
    check_data,
    check_python,
    check_variables,
    choose_interpreter,
    give,
    hold_own_code,
    prepare,
    weigh_baselines,
)
from agent.cli.options import Chosen
from agent.cli.places import short_name, template_roots
from agent.cli.terminal import RemarkPrinter, say
from agent.core.authoring.arguments import mend_out_dir, refuses_out_dir
from agent.core.authoring.check import (
    check_bands,
    check_repeats,
    check_results,
    check_smoke,
    check_spec,
    check_spread,
    describe_times,
    find_number,
    lack_baselines,
    numbers_in,
)
from agent.core.authoring.proposals import SeedLine, mend_import, mend_smoke
from agent.core.authoring.records import mend_results
from agent.core.authoring.seeds import SeedChange, propose_seeds
from agent.core.failure.diagnose import NO_WORKERS
from agent.core.inputs.spec import TemplateSpec
from agent.core.journal.kinds import Step
from agent.core.text.remark import Remark
from agent.edges.lint import Linter
from agent.edges.run.baselines import check_plan
from agent.edges.run.figures import find_figures
from agent.edges.run.prepare_step import Equipment, deadline_of, limits_of
from agent.edges.run.trial import Trial, run_trial
from agent.edges.system.untrusted import read_untrusted
from agent.edges.template.authoring.inspect import check_files, check_given_run, check_marks, find_bad_file, spec_faults
from agent.edges.template.load import (
    TEMPLATE_FILE,
    Template,
    at_profile,
    find_template,
    load_template,
    profile_names,
    read_spec,
)
from agent.errors import ScientistError, UsageError

SEEDS = (1, 2)
NAMES, ORDER = ("first run", "run again", "other seed"), (SEEDS[0], *SEEDS)  # seed A, seed A, seed B
SMOKE_S = 10.0  # a smoke test may take so long, however short a run is
TRY_AGAIN_S = 600.0  # a longer run is not repeated to try a line
# "FileNotFoundError: [Errno 2] No such file or directory: '/data/mnist'"
OUTSIDE = re.compile(
    r"FileNotFoundError|PermissionError|Read-only file system|A run has no network|ModuleNotFoundError"
)
REACH = (
    "a run reaches its own folder, sealed/ and its interpreter alone; if it needs more: [sandbox] with "
    'network = true or read = ["/data/mnist"], or --data FOLDER, which it finds as ./data'
)


def check_template(chosen: Chosen, *, keep: bool) -> int:
    """The exit code: 0 nothing to mend, 1 something.

    Raises: UsageError if there is no such template, or an option cannot be used.
    """
    check_variables()
    folder, profile = find_template(chosen.template, template_roots()), chosen.profile
    if profile and profile not in (known := profile_names(folder)):
        raise UsageError(f"--profile {profile}", "is none of the template's", f"it has: {', '.join(known) or 'none'}")
    interpreter = check_python(chosen.python) if chosen.python else None
    check_data(chosen.data)
    chosen = replace(chosen, template=short_name(folder, chosen.template))
    printer, can_sweep = RemarkPrinter(), False
    shown = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    if fault := find_bad_file(folder, shown):
        printer.add([fault])
        return finish(printer, folder.name, replace(chosen, template=str(shown)), can_sweep=False)
    printer.add(faults := spec_faults(shown))
    if faults:
        printer.add(check_files(shown, TemplateSpec(name=folder.name), next(iter(profile_names(folder)), "")))
    else:
        spec = at_profile(read_spec(folder), profile or read_spec(folder).default_profile)
        where = str(shown / TEMPLATE_FILE)
        printer.add(check_files(shown, spec, profile or spec.default_profile))
        if (folder / TEMPLATE_FILE).is_file():
            printer.add(check_spec(spec, where))
        else:
            printer.add([Remark("note", f"{shown}: no template.toml, so metrics are its `means` and get no verdict")])
            printer.add(check_given_run(shown))
        marks = list(check_marks(shown, spec))
        can_sweep = any(remark.level == "ok" for remark in marks)
        printer.add(marks)
        try:
            if template := check_code(printer, folder, shown, profile, interpreter):
                try_template(printer, shown, *template, chosen, keep=keep)
        except ScientistError as error:
            printer.add([Remark("mend", str(error))])
    return finish(printer, folder.name, replace(chosen, template=str(shown)), can_sweep=can_sweep)


def finish(printer: RemarkPrinter, name: str, chosen: Chosen, *, can_sweep: bool) -> int:
    """Print the command to go on with, with the options that were given. Return the exit code."""
    if printer.faults:
        typer.echo(f"{printer.faults} to mend, then again: {chosen.say('template check')}")
        return 1
    model = "offline/sweep" if can_sweep else "PROVIDER/MODEL"
    typer.echo(f"{name} is good; next: {chosen.say('launch IDEAS.json --template')} --model {model}")
    return 0


def check_code(
    printer: RemarkPrinter, folder: Path, shown: Path, profile: str, interpreter: Path | None
) -> tuple[Template, Path] | None:
    """Lint the code; the template and its interpreter if nothing was found that would end a run.

    Raises: ScientistError if the template cannot be loaded or has no interpreter.
    """
    beside = [p for p in sorted(folder.glob("*.py")) if p.is_file()]
    code = {p.name: p.read_bytes().decode("utf-8", "surrogateescape") for p in beside}
    template, python, problem = None, interpreter, None
    try:
        template = load_template(folder, profile)
        code |= {n: text for n, text in template.files.items() if n.endswith(".py")}
        python = python or choose_interpreter(template)
    except UsageError as error:
        problem = error  # lint all the same, with our own interpreter
    findings = Linter().check(code, python)
    printer.add(Remark("mend", f"{shown / f.path}:{f.line}: {f.code} {f.message}") for f in findings)
    if problem:
        raise problem
    assert template and python
    printer.add([*check_plan(template), Remark("ok", f"runs with {python}")])
    if findings or printer.blocked:
        printer.add([Remark("note", "nothing was run: mend the above first")])
        return None
    return template, python


def try_template(
    printer: RemarkPrinter, shown: Path, template: Template, python: Path, chosen: Chosen, *, keep: bool
) -> None:
    """Run the template in a scratch folder, which goes unless it is to be kept.

    Raises: ScientistError.
    """
    for asked in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(asked, lambda number, _: sys.exit(128 + number))  # the trial run ends too
    scratch = Path(tempfile.mkdtemp(prefix="scientist-check-"))
    try:
        prepared = prepare(template, python)
        equipment = Equipment(python, os.environ, hold_own_code(), check_data(chosen.data), prepared)
        Runs(printer, shown, template, equipment, scratch, chosen, keep).try_all()
    finally:
        if keep:
            say(f"kept: {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)


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
        if not spec.smoke:
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
        yield from remarks
        is_wrong = any(remark.level == "mend" for remark in remarks)
        if reads_seed or self.template.spec.deterministic or not is_wrong or first.seconds[Step.RUN] > TRY_AGAIN_S:
            return
        for number, change in enumerate(propose_seeds(self.code), start=1):
            if self.is_seeded_by(change, f"seed line {number}, "):
                yield change.remark(str(self.shown), "tried: a seed then repeats its numbers, and another gives others")
                return

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
            mended = [mend_out_dir(self.code, folder, spec)]
        elif own and "wrote no run_" in failure.summary:
            mended = [mend_results(self.code, folder, spec, failure.detail.partition("Last lines of ")[2])]
        elif failure.location:
            mended = list(mend_import(self.code, folder, failure.location.file, failure.location.line))
        yield Remark("note" if mended else "mend", f"{step}seed {trial.seed}: {failure.summary}{at}{more}")
        yield from mended
        if NO_WORKERS in failure.detail:
            yield Remark("note", f"{NO_WORKERS} Or install bubblewrap.")
        elif self.equipment.sandbox != "off" and OUTSIDE.search(failure.detail):
            yield Remark("note", f"{self.where}: {REACH}")
        if own:
            yield from find_metrics(trial, spec, self.where)

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
