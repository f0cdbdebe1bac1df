"""scientist template check: find faults of the files, then make trial runs, with one line per finding."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import typer

from agent.cli.commands.template_trial import Runs
from agent.cli.display import RemarkPrinter
from agent.cli.environment import (
    check_data,
    check_python,
    check_variables,
    choose_interpreter,
    hold_own_code,
    prepare,
)
from agent.cli.options import Chosen
from agent.cli.places import short_name, template_roots
from agent.cli.terminal import say
from agent.core.authoring.check import check_spec
from agent.core.inputs.spec import TemplateSpec
from agent.core.text.remark import Remark
from agent.edges.lint import Linter
from agent.edges.run.baselines import check_plan
from agent.edges.run.prepare_step import Equipment
from agent.edges.template.authoring.inspect import (
    check_files,
    check_given_run,
    check_marks,
    find_bad_file,
    spec_faults,
    survey_folder,
)
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


def check_template(chosen: Chosen, *, keep: bool) -> int:
    """The exit code: 0 nothing to fix, 1 something.

    Raises: UsageError if there is no such template, or an option cannot be used.
    """
    check_variables()
    folder, profile = find_template(chosen.template, template_roots()), chosen.profile
    if profile and profile not in (known := profile_names(folder)):
        raise UsageError(f"--profile {profile}", "is none of the template's", f"it has: {', '.join(known) or 'none'}")
    interpreter = check_python(chosen.python) if chosen.python else None
    check_data(chosen.data)
    chosen = replace(chosen, template=short_name(folder, chosen.template))
    heed_signals(chosen)
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
            printer.add(check_spec(spec, where, survey_folder(folder, spec).metric_lines()))
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


def heed_signals(chosen: Chosen) -> None:
    """Let a request to end end the trial runs too, and say how to begin again."""

    def end(number: int, _frame: object) -> None:
        with contextlib.suppress(OSError, RuntimeError):  # the second: it came while another line was printed
            name = signal.Signals(number).name
            say(f"scientist: ended by {name}, and the trial runs with it; again: {chosen.say('template check')}")
        sys.exit(128 + number)

    for asked in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(asked) != signal.SIG_IGN:
            signal.signal(asked, end)


def finish(printer: RemarkPrinter, name: str, chosen: Chosen, *, can_sweep: bool) -> int:
    """Print the command to go on with, with the options that were given. Return the exit code."""
    if printer.faults:
        typer.echo(f"{printer.faults} to fix, then again: {chosen.say('template check')}")
        return 1
    model = "offline/sweep" if can_sweep else "PROVIDER/MODEL"
    beside = [Path(chosen.template, file) for file in ("ideas.json", "seed_ideas.json")]
    ideas = next((shlex.quote(str(path)) for path in beside if path.is_file()), "IDEAS.json")
    typer.echo(f"{name} is good; next: {chosen.say(f'launch {ideas} --template')} --model {model}")
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
        printer.add([Remark("note", "nothing was run: fix the above first")])
        return None
    return template, python


def try_template(
    printer: RemarkPrinter, shown: Path, template: Template, python: Path, chosen: Chosen, *, keep: bool
) -> None:
    """Run the template in a scratch folder, which goes unless it is to be kept.

    Raises: ScientistError.
    """
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
