"""What `scientist template check` does: faults of the files, then trial runs, one line for each thing found."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import typer

from agent.cli.environment import check_python, choose_interpreter, hold_own_code, prepare
from agent.cli.places import template_roots
from agent.cli.terminal import say
from agent.core.authoring.check import Remark, check_repeats, check_results, check_spec, check_spread, find_number
from agent.core.inputs.spec import TemplateSpec
from agent.core.journal.events import Step
from agent.edges.lint import Linter
from agent.edges.run.prepare_step import FIGURES, limits_of
from agent.edges.run.trial import Trial, run_trial
from agent.edges.sandbox.choose import Sandbox
from agent.edges.system.untrusted import read_untrusted
from agent.edges.template.inspect import check_files, check_marks, spec_faults
from agent.edges.template.load import TEMPLATE_FILE, Template, at_profile, find_template, load_template, read_spec
from agent.errors import ScientistError, UsageError

SEEDS = (1, 2)
NAMES = ("first run", "run again", "other seed")  # runs: seed A, seed A, seed B
LONG_SHARE = 0.5
OUTSIDE = re.compile(
    r"FileNotFoundError|PermissionError|Read-only file system|A run has no network|ModuleNotFoundError"
)
REACH = (
    "a run reaches its own folder, sealed/ and its interpreter alone; where it needs more: [sandbox] with "
    'network = true or read = ["/data/mnist"]'
)


class Report:
    """Prints remarks as they come, and counts what is to mend."""

    def __init__(self) -> None:
        self.to_mend = 0
        self.blocked = False

    def add(self, remarks: Iterable[Remark]) -> None:
        for remark in remarks:
            self.blocked |= remark.blocks
            self.to_mend += remark.level == "mend"
            typer.echo(f"{remark.level:<5} {' '.join(remark.text.split())}")


def check_template(path: str, *, python: Path | None, profile: str, data: Path | None, keep: bool) -> int:
    """The exit code: 0 nothing to mend, 1 something.

    Raises: UsageError where there is no template at `path`, or an option cannot be used.
    """
    folder = find_template(path, template_roots())
    interpreter = check_python(python) if python else None
    if data and not data.is_dir():
        raise UsageError(f"--data {data}", "is not a folder")
    report = Report()
    shown = Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder
    faults = spec_faults(shown)
    report.add(faults)
    if faults:
        report.add(check_files(shown, TemplateSpec(name=folder.name), ""))
    else:
        spec = at_profile(read_spec(folder), profile or read_spec(folder).default_profile)
        where = str(shown / TEMPLATE_FILE)
        report.add(check_files(shown, spec, profile or spec.default_profile))
        if (folder / TEMPLATE_FILE).is_file():
            report.add(check_spec(spec, where))
        else:
            report.add([Remark("note", f"{shown}: no template.toml, so metrics are its `means` and get no verdict")])
        report.add(check_marks(shown, spec))
        try:
            try_template(report, folder, shown, profile, interpreter, data, keep=keep)
        except ScientistError as error:
            report.add([Remark("mend", str(error))])
    return finish(report, folder.name, shown)


def finish(report: Report, name: str, shown: Path) -> int:
    quoted = shlex.quote(str(shown))
    if report.to_mend:
        typer.echo(f"{report.to_mend} to mend, then again: scientist template check {quoted}")
        return 1
    typer.echo(f"{name} is good; next: scientist launch IDEAS.json --template {quoted} --model offline/sweep")
    return 0


def try_template(
    report: Report,
    folder: Path,
    shown: Path,
    profile: str,
    interpreter: Path | None,
    data: Path | None,
    *,
    keep: bool,
) -> None:
    """Environment, lint and runs; runs only of what has no fault that would end them.

    Raises: ScientistError.
    """
    beside = [p for p in sorted(folder.glob("*.py")) if p.is_file()]
    code = {p.name: p.read_bytes().decode("utf-8", "surrogateescape") for p in beside}
    own, problem = interpreter, None
    try:
        template = load_template(folder, profile)
        code |= {n: text for n, text in template.files.items() if n.endswith(".py")}
        own = own or choose_interpreter(template)
    except UsageError as error:
        problem = error  # lint all the same, with our own interpreter
    findings = Linter().check(code, own)
    report.add(Remark("mend", f"{shown / f.path}:{f.line}: {f.code} {f.message}") for f in findings)
    if problem:
        raise problem
    assert own
    report.add([Remark("ok", f"runs with {own}")])
    if findings or report.blocked:
        report.add([Remark("note", "nothing was run: mend the above first")])
        return
    scratch = Path(tempfile.mkdtemp(prefix="scientist-check-"))
    try:
        run_all(report, load_template(folder, profile), shown, own, data, scratch, keep=keep)
    finally:
        if keep:
            say(f"kept: {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)


def run_all(
    report: Report, template: Template, shown: Path, python: Path, data: Path | None, scratch: Path, *, keep: bool
) -> None:
    """A smoke test, seed A twice, seed B once, each evaluated; the first that fails is the last."""
    prepared, sandbox = prepare(template, python), hold_own_code()
    where = str(shown / TEMPLATE_FILE)
    runs: dict[str, Trial] = {}
    plan: dict[str, tuple[int, tuple[Step, ...]]] = (
        {"smoke test": (SEEDS[0], (Step.SMOKE,))} if template.spec.smoke else {}
    )
    plan |= {name: (seed, (Step.RUN, Step.EVALUATE)) for name, seed in zip(NAMES, (*SEEDS[:1], *SEEDS), strict=True)}
    for name, (seed, steps) in plan.items():
        say(f"{name}: seed {seed} ...")
        trial = run_trial(
            scratch / name.replace(" ", "_"),
            template,
            template.files,
            seed=seed,
            interpreter=python,
            inherited=os.environ,
            data=data,
            prepared=prepared,
            sandbox=sandbox,
            steps=steps,
        )
        runs[name] = trial
        if trial.failure:
            report.add(describe_failure(trial, template, name, where, keep=keep))
            if sandbox.kind != "off" and OUTSIDE.search(trial.failure.detail):
                report.add([Remark("note", f"{where}: {REACH}")])
            return
        if name in ("smoke test", NAMES[0]):
            report.add(describe_times(trial, template))
    first, again, other = (runs[name] for name in NAMES)
    reads_seed = any("SCIENTIST_SEED" in text for text in template.files.values())
    report.add(check_results(template.spec, first.final_info, where))
    report.add(check_repeats(template.spec, first.values, again.values, other.values, SEEDS, reads_seed))
    report.add(check_spread(template.spec, first.values, other.values, where))
    report.add(try_plot(first, template, python, scratch / "plot", sandbox))
    if not template.baselines:
        report.add([Remark("note", no_baselines(template))])


def no_baselines(template: Template) -> str:
    """How to get what verdicts need."""
    here = template.spec.profiles.get(template.profile)
    how = f"make them: scientist baseline {shlex.quote(template.folder.name)}"
    if not here or not here.baselines:
        name = template.profile or "NAME"
        how = f'declare them: [[profiles.{name}.baselines]] name = "plain", seeds = 5'
        how += "" if template.profile else " (and profiles/NAME.json, which may be {})"
    return f"no baseline results, so no verdicts; {how}"


def try_plot(run: Trial, template: Template, python: Path, scratch: Path, sandbox: Sandbox) -> list[Remark]:
    """plot.py on one published run."""
    if not template.spec.plot:
        return [Remark("note", "no plot command, so no figures are drawn")]
    published = scratch / f"run_{run.seed}"
    shutil.copytree(run.outputs, published, symlinks=True)
    if run.evaluation:
        (published / "evaluation.json").write_text(json.dumps(run.evaluation), "utf-8")
    plot = run_trial(
        scratch,
        template,
        template.files,
        seed=run.seed,
        interpreter=python,
        inherited=os.environ,
        sandbox=sandbox,
        steps=(Step.PLOT,),
    )
    if plot.failure:
        return [Remark("mend", f"{template.spec.plot}: {plot.failure.summary}")]
    figures = sorted(p.name for p in plot.outputs.parent.glob("*") if p.name.endswith(FIGURES))
    if not figures:
        return [Remark("note", f"{template.spec.plot} left no figure ({', '.join(FIGURES)}) in its folder")]
    return [Remark("ok", f"{template.spec.plot} drew {', '.join(figures)}")]


def describe_times(trial: Trial, template: Template) -> list[Remark]:
    """What each step took beside its limit."""
    limits = limits_of(template)
    found = []
    for step, seconds in trial.seconds.items():
        field = f"{step.value}_s"
        limit = getattr(limits, field)
        said = f"{step.value} took {seconds:.1f} s of at most {limit:g} s"
        if seconds > LONG_SHARE * limit:
            found.append(Remark("note", f"{said}; a busier machine may need more: {field} = {seconds * 4:.2g}"))
        elif max(10, seconds * 10) < limit / 10 and step is not Step.SMOKE:
            found.append(
                Remark("note", f"{said}; a hung one is found sooner with: {field} = {max(10, seconds * 10):.2g}")
            )
        else:
            found.append(Remark("ok", said))
    return found


def describe_failure(trial: Trial, template: Template, name: str, where: str, *, keep: bool) -> list[Remark]:
    """The failed step in one line, and for each metric that was not found the line that would find it."""
    assert trial.failure and trial.failed
    more = "" if keep else "; its logs stay with --keep"
    place = f"{trial.failure.location.file}:{trial.failure.location.line}" if trial.failure.location else ""
    at = "" if place in trial.failure.summary else f" ({place})"
    what = f"seed {trial.seed}" if trial.failed is Step.SMOKE else f"{trial.failed.value}, {name}, seed {trial.seed}"
    remarks = [Remark("mend", f"{what}: {trial.failure.summary}{at}{more}")]
    if trial.failed in (Step.SMOKE, Step.RUN):
        info = read_info(trial.outputs / "final_info.json")
        for metric in template.spec.metrics:
            line = find_number(info, metric) if info and metric.source == "final_info" else ""
            if line and line != f"path = {json.dumps(list(metric.path))}":
                remarks.append(Remark("mend", f"{where}: metric {metric.name}: write {line}"))
    return remarks


def read_info(path: Path) -> Mapping[str, object] | None:
    content = read_untrusted(path, 1 << 20)
    try:
        data = json.loads(content) if isinstance(content, bytes) else None
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None
