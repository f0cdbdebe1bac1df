"""scientist replicate: the code of a run again, with fresh seeds."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from agent.cli.display import Watch, open_foot, put_prose
from agent.cli.drive import check_interpreter, find_data, interrupt, say_trouble, show_event
from agent.cli.environment import announce_sandbox, check_variables, require_git
from agent.cli.models import read_model_settings
from agent.cli.options import Json, Quiet, Verbose, WorkspaceArg
from agent.cli.places import digest_store, open_idea
from agent.cli.terminal import VOICE, note, say
from agent.core.journal.fold import fold
from agent.core.journal.replications import Replicate, choose_seeds
from agent.core.journal.state import State
from agent.core.prompt.facts import say_replications
from agent.edges.lint import Linter
from agent.edges.model.protocol import Models
from agent.edges.model.sweep import SweepModel
from agent.edges.run.choose_runner import runner_for
from agent.edges.sandbox.choose import choose_sandbox
from agent.edges.template.load import Template
from agent.edges.verify import check_agreement
from agent.edges.workspace.hand_edits import check_untouched
from agent.edges.workspace.layout import (
    Workspace,
    frozen_template,
    mend_folders,
    read_state,
    withdraw_stop,
)
from agent.edges.workspace.lock import hold_lock
from agent.effects.edges import Edges
from agent.effects.run_step import Steps
from agent.errors import StopRequested, UsageError
from agent.loop import Loop
from agent.report.one_idea.steps import read_run
from agent.report.progress import Yardstick
from agent.report.standings import nearby
from agent.report.status import best_run


def replicate(
    path: WorkspaceArg,
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="Run number, 0 for the template's own code, or best.")
    ] = "best",
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=99, help="How many fresh seeds.")] = 3,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run a run's code again with fresh seeds.

    The results are replications of that run, not runs of the idea, and no model is asked.
    """
    require_git()
    check_variables()
    workspace = open_idea(path, "replicate", *([run] if run != "best" else []))
    mend_folders(workspace)
    try:
        with open_foot(), hold_lock(workspace.agent):
            number = run_seeds(workspace, run, seeds)
    except KeyboardInterrupt:
        interrupt([workspace], f"replicate {shlex.quote(nearby(workspace.path))} {run}")
        raise typer.Exit(130) from None
    except (OSError, MemoryError) as error:  # what is done is stored
        raise typer.Exit(say_trouble(workspace, error)) from error
    raise typer.Exit(tell_end(workspace, read_state(workspace), number, as_json=as_json))


def run_seeds(workspace: Workspace, run: str, count: int) -> int:
    """Run the replications of a run, as far as nobody asks for the end, and return its number. The lock is held.

    Raises: UsageError, IntegrityError, OSError.
    """
    withdraw_stop(workspace, VOICE.age_s())
    before = read_state(workspace)
    number = choose_run(workspace, before, frozen_template(workspace, before.launched), run)
    loop = open_seeds(workspace)
    asked = plan_seeds(workspace, loop, number, count)
    with contextlib.suppress(StopRequested):
        loop.replicate(asked)
    return number


def open_seeds(workspace: Workspace) -> Loop:
    """A loop that can run steps and asks no model.

    Raises: IntegrityError if code, template and journal disagree; UsageError if the interpreter is gone, the data
    cannot be made again, no sandbox works here, or a step of the idea itself is under way.
    """
    redact = read_model_settings().redact
    journal, repo = workspace.journal(redact), workspace.repo()
    state = fold(journal.events)
    template = frozen_template(workspace, state.launched)
    if state.opened or (state.pending and state.pending.kind != "AskModel"):
        at = state.opened.folder if state.opened else "an edit"
        way = f"scientist resume {shlex.quote(nearby(workspace.path))}"
        raise UsageError(nearby(workspace.path), f"{at} is under way, though nobody waits for it", f"first: {way}")
    works_here = choose_sandbox(state.launched.sandbox)
    check_untouched(workspace, repo, state)
    watch = Watch(workspace, by=Yardstick(template.spec, template.baselines))
    warn = partial(watch.tell, say)
    check_agreement(workspace, warn)
    check_interpreter(state, template)
    prepared = find_data(workspace, state, template)
    announce_sandbox(works_here)
    steps = Steps(
        workspace,
        repo,
        template,
        runner_for(state.launched),
        dict(os.environ),
        workspace.sleep,
        prepared,
        state.launched.sandbox,
        warn,
        digest_store(),
    )
    asks_nobody = Models(SweepModel())
    edges = Edges(workspace, journal, repo, template, asks_nobody, Linter(), steps)
    return Loop(edges, watch=partial(show_event, watch))


def choose_run(workspace: Workspace, state: State, template: Template, run: str) -> int:
    """The run that is meant.

    Raises: UsageError if it was not completed, or is no number.
    """
    done = [row.run for row in state.rows if row.completed]
    there_are = f"completed are: {', '.join(map(str, done)) or 'none'}; 0 is the template's own code"
    if run == "best":
        best = best_run(state, template.spec, template.baselines)
        if best is None and not done:
            raise UsageError(nearby(workspace.path), "has no completed run", there_are)
        return best.run if best else done[-1]
    number = read_run(run)
    if number is None:
        raise UsageError(f"run {run or repr(run)}", "is no run number", there_are)
    if number not in (0, *done):
        known = next((row for row in state.rows if row.run == number), None)
        problem = "was given up, so it has no result" if known else "is not finished, or does not exist"
        raise UsageError(f"{nearby(workspace.path)}: run {number}", problem, there_are)
    return number


def plan_seeds(workspace: Workspace, loop: Loop, run: int, count: int) -> Replicate | None:
    """The new replications of a run. None if some that were asked for earlier are not over: they go on.

    Raises: UsageError if those are of another run.
    """
    state = loop.state
    if waiting := state.replications.next:
        left = sum(not one.is_over for one in state.replications.all)
        if waiting.run != run:
            way = f"first: scientist replicate {shlex.quote(nearby(workspace.path))} {waiting.run}"
            raise UsageError(f"{nearby(workspace.path)}: run {waiting.run}", f"has {left} seeds left to run", way)
        note(f"run {run} again: {left} of the seeds that were asked for earlier are left; no others are added")
        return None
    template = frozen_template(workspace, state.launched)
    used = [baseline.seed for baseline in template.baselines]
    used += [one.seed for one in state.replications.all]
    seeds = choose_seeds(count, used)
    launched = state.launched
    named = repr((launched.workspace, launched.commit, "replicate", run, seeds))
    return Replicate(run, seeds, hashlib.sha256(named.encode()).hexdigest()[:20])


def tell_end(workspace: Workspace, state: State, run: int, *, as_json: bool) -> int:
    """Print the run's replications, those of earlier calls too, and return the exit code."""
    template, path = frozen_template(workspace, state.launched), nearby(workspace.path)
    lines = say_replications(state, template.spec, template.baselines, run)
    if as_json:
        typer.echo(json.dumps(describe(workspace, state, run, lines), indent=2, ensure_ascii=False))
    else:
        control = [state.launched.control] if state.launched.control else []
        for line in (f"{path}: run {run} again", *(f"  {line}" for line in (*lines, *control))):
            put_prose(line, "")
    if waiting := state.replications.next:
        say(f"{path}: paused: {state.replications.halt or 'stopped by request'}")
        say(f"  go on: scientist replicate {shlex.quote(path)} {waiting.run}")
        return 3
    last = state.replications.under(state.replications.of(run)[-1].key)
    return 0 if any(one.published for one in last) else 1


def describe(workspace: Workspace, state: State, run: int, lines: Sequence[str]) -> dict[str, object]:
    return {
        "schema_version": 1,
        "workspace": str(workspace.path),
        "run": run,
        "control": state.launched.control,
        "replications": [
            {"seed": one.seed, "values": one.measured.values, "failure": one.failure, "completed": one.published}
            for one in state.replications.of(run)
        ],
        "summary": list(lines),
    }
