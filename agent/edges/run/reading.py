"""Results of a supervised step that has ended: its numbers, or the reason why there are none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import ParamSpec

from agent.core.evidence.means import NO_MEANS, means_metrics
from agent.core.evidence.numbers import read_number
from agent.core.evidence.results import Results, ResultsProblem, parse_results
from agent.core.failure.diagnose import (
    Failure,
    as_smoke,
    bad_results,
    blame_machine,
    diagnose,
    no_results,
    unread_output,
)
from agent.core.failure.folding import cut_line
from agent.core.failure.record import ExitRecord
from agent.core.inputs.spec import Source
from agent.core.journal.kinds import Measured, Step
from agent.core.text.plain import plain_line
from agent.edges.run.figures import find_figures
from agent.edges.run.prepare_step import EVALUATION, read_output
from agent.edges.run.runner import Runner
from agent.edges.sandbox.gpus import has_nvidia_driver
from agent.edges.system.reader import Unread, is_never_stopped, read_apart
from agent.edges.system.untrusted import Untrusted
from agent.edges.template.load import Template

__all__ = ["EndedStep", "StepReading", "read_self_report", "read_step", "read_values"]

P = ParamSpec("P")

STREAM_CAP_BYTES = 2 << 20
REASON_CHARS = 400


@dataclass(frozen=True, slots=True)
class StepReading:
    """Results of a step, or its failure. `data` is the whole object that the step wrote, null for NaN."""

    measured: Measured = field(default_factory=Measured)
    failure: Failure | None = None
    data: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EndedStep:
    """Step that has ended: its folder, its kind, the number of its run, and how it ended."""

    folder: Path
    step: Step
    run: int
    record: ExitRecord
    is_stopped: Callable[[], bool] = is_never_stopped  # asked while its texts are read


def read_step(
    runner: Runner,
    ended: EndedStep,
    template: Template,
    *,
    own: Collection[str],
    known: Collection[str] = (),
    edited_imports: frozenset[str] = frozenset(),
) -> StepReading:
    """Read the results of an ended step, or its failure.

    own: files whose frames matter in a traceback. known: metrics of the baseline, which a run in AI-Scientist's layout
    must have, too.
    """
    stdout, stderr = runner.read_streams(ended.folder, STREAM_CAP_BYTES)
    step, record, files = ended.step, ended.record, tuple(own)

    def fail(*problems: str) -> StepReading:
        return _fail(ended, bad_results, record, stdout, stderr, list(problems), own_files=files)

    if not record.is_well:
        gpu = has_nvidia_driver() if record.has_gpu is None else record.has_gpu
        tell = partial(diagnose, own_files=files, edited_imports=edited_imports, gpu_expected=gpu)
        return _fail(ended, tell, record, stdout, stderr)
    if step is Step.PLOT:
        figures = find_figures(ended.folder / "work", template.given)
        return StepReading() if figures.paths else fail(figures.say_none(template.spec.plot))
    parts = (EVALUATION,) if step is Step.EVALUATE else (f"run_{ended.run}", "final_info.json")
    name = "/".join(parts)
    text = read_output(ended.folder / "work", *parts)
    if text is None:
        return _fail(ended, no_results, record, stdout, stderr, name, own_files=files)
    if isinstance(text, Untrusted):
        return fail(f"{name} {text.problem}")
    source: Source = "evaluation" if step is Step.EVALUATE else "final_info"
    results = read_values(text, template, source, name, known)
    if isinstance(results, ResultsProblem):
        return fail(*results.problems)
    trust = read_self_report(results.data) if step is Step.EVALUATE else ""
    return StepReading(Measured(results.values, trust), data=results.data)


def read_values(
    text: str, template: Template, source: Source, name: str, known: Collection[str] | None = None
) -> Results | ResultsProblem:
    """Metrics and controls of a results file, all in `values`. `name` is the file's, for problems.

    known: see read_step. None: a metric of AI-Scientist's layout that is not usable is left out.
    """
    wanted = known if template.foreign else None
    results = read_apart(is_never_stopped, parse_results, text, template.spec.metrics, source, known_means=wanted)
    if isinstance(results, Unread):
        return ResultsProblem(source, (f"{name} {results.why}",))
    if isinstance(results, ResultsProblem):
        return results
    means = means_metrics(results.data) if template.reads_means and source == "final_info" else {}
    if template.foreign and not means and source == "final_info":
        return ResultsProblem(source, (f"{name} {NO_MEANS}",))
    controls = ((c.name, read_number(results.data, c.path)) for c in template.spec.controls if c.source == source)
    known = {control: value for control, value in controls if value is not None}
    return replace(results, values=results.values | means | known)


def read_self_report(evaluation: Mapping[str, object]) -> str:
    """Reason why an evaluation calls itself self-reported, in one line. Empty if it does not."""
    reason = evaluation.get("self_reported")
    if reason in (None, False, ""):
        return ""
    line = plain_line(reason) if isinstance(reason, str) else ""
    return cut_line(line, REASON_CHARS) or "evaluation.json gives no reason"


def _fail(ended: EndedStep, tell: Callable[P, Failure], *args: P.args, **kwargs: P.kwargs) -> StepReading:
    """The reading of a step that failed, in the words of `tell`."""
    found = read_apart(ended.is_stopped, tell, *args, **kwargs)
    failure = unread_output(ended.record, found.why) if isinstance(found, Unread) else found
    failure = blame_machine(failure, ended.record)
    return StepReading(failure=as_smoke(failure) if ended.step is Step.SMOKE else failure)
