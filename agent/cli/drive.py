"""Take workspaces to their end or to a pause, for launch and resume."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from dotenv import load_dotenv

from agent.cli.display import INTERRUPTED, Watch, open_foot, report
from agent.cli.environment import announce_sandbox, prepare
from agent.cli.models import ModelSettings, make_models, read_model_settings
from agent.cli.places import digest_store, environment_cache
from agent.cli.terminal import VOICE, describe_surprise, detail, note, raise_end_behind, say, show_activity
from agent.core.journal.approval import change_step_limits
from agent.core.journal.events import Event, Resumed, Started
from agent.core.journal.fold import fold
from agent.core.journal.kinds import PauseKind, say_action
from agent.core.journal.state import State
from agent.edges.git.repo import Repo
from agent.edges.lint import Linter
from agent.edges.model.ledger import Ledger
from agent.edges.model.litellm_table import price_of
from agent.edges.model.replay import PREFIX, is_replay
from agent.edges.model.sweep import CONTROL, SWEEP
from agent.edges.run.choose_runner import runner_for
from agent.edges.run.runner import Queued, Runner, Running
from agent.edges.sandbox.choose import choose_sandbox
from agent.edges.system.faults import say_fault
from agent.edges.template.cache.claim import claim
from agent.edges.template.data import Prepared, PreparedData
from agent.edges.template.frozen import unplant
from agent.edges.template.load import Template
from agent.edges.verify import check_agreement
from agent.edges.workspace.hand_edits import check_untouched, discard_edits
from agent.edges.workspace.layout import GONE, Workspace, frozen_template, mend_folders, read_state, withdraw_stop
from agent.edges.workspace.lock import hold_lock
from agent.effects.edges import Edges
from agent.effects.run_step import Steps
from agent.errors import ScientistError, UsageError
from agent.loop import Loop
from agent.report.foot import Pace, ShownWork
from agent.report.progress import Yardstick, describe, style_of
from agent.report.standings import nearby

SECOND_INTERRUPT_S = 1.5
# Worst first: a batch exits with the worst of its workspaces.
SEVERITY = (INTERRUPTED, 6, 5, 2, 1, 4, 3, 0)


def announce_model(name: str) -> None:
    """Print what a person must know about the model before anything runs."""
    if is_replay(name):
        note(f"replay of {name.removeprefix(PREFIX)}: no model is asked.")
    if name == SWEEP:
        note(f"{CONTROL}.")


def load_keys() -> None:
    """Add the keys of .env to the environment. A variable that is set already stays. A blank key counts as missing."""
    for name in [n for n, value in os.environ.items() if n.endswith("_API_KEY") and not value.strip()]:
        del os.environ[name]
    try:
        load_dotenv(Path(".env"), encoding="utf-8-sig")  # Windows begins a file with a mark
    except UnicodeDecodeError as error:
        raise UsageError(".env", f"is not UTF-8: {error}") from error
    except OSError as error:
        raise UsageError(".env", f"cannot be read: {error.strerror}", "mend or remove it") from error


def drive_all(
    workspaces: Sequence[Workspace],
    *,
    resumed: Callable[[State], Resumed] | None = None,
    discards_edits: bool = False,
) -> int:
    """Run each workspace in turn, and return the worst exit code.

    resumed: the changes that a person makes to a workspace as it goes on. They withdraw earlier requests to stop.
    discards_edits: changes made by hand are kept in git, and the workspace goes on without them.
    """
    settings = read_model_settings()
    ledger = Ledger(lambda model: price_of(model, settings.rules))
    at_work: list[Workspace] = []
    pace, began_s = Pace(len(workspaces)), time.monotonic()

    def work(number: int, workspace: Workspace) -> int:
        at_work.append(workspace)
        watch = Watch(workspace, number, pace, began_s)
        show_activity(watch.place(ShownWork("starting", workspace.path.name)))
        try:
            code = drive(workspace, ledger, settings, resumed=resumed, discards_edits=discards_edits, watch=watch)
        except Exception as error:  # one idea's surprise must not cost the others their night
            raise_end_behind(error)
            code = say_trouble(workspace, error)
        at_work.remove(workspace)
        return code

    try:
        with open_foot():
            return worst([work(number, workspace) for number, workspace in enumerate(workspaces, start=1)])
    except KeyboardInterrupt:
        interrupt(at_work)
        return INTERRUPTED


def say_trouble(workspace: Workspace, error: Exception) -> int:
    """Print in one line what ended the work on an idea, and return the exit code for it."""
    if not workspace.agent.is_dir():
        say(f"scientist: {workspace.path}: {GONE}")
        return 6
    if isinstance(error, ScientistError):
        say(f"scientist: {error}")
        return error.exit_code
    if isinstance(error, OSError | MemoryError):
        say(f"scientist: {say_fault(error, workspace.path)}")
    else:
        say(f"scientist: {workspace.path}: unexpected {describe_surprise(error, workspace.agent / 'rescue')}")
    return 3


def worst(codes: Sequence[int]) -> int:
    return min(codes, key=SEVERITY.index, default=0)


def drive(
    workspace: Workspace,
    ledger: Ledger,
    settings: ModelSettings,
    *,
    resumed: Callable[[State], Resumed] | None = None,
    discards_edits: bool = False,
    watch: Watch | None = None,
) -> int:
    """Run one workspace under its lock, and return its exit code.

    watch: prints what happens; None: that of an idea by itself.
    Raises: Locked; IntegrityError; KeyboardInterrupt, and the run goes on.
    """
    if resumed:
        mend_folders(workspace)
    with hold_lock(workspace.agent):
        if resumed:
            withdraw_stop(workspace, VOICE.age_s())
        if discards_edits:
            say_discarded(workspace)
        watch = watch or Watch(workspace)
        loop, change = open_loop(workspace, ledger, settings, resumed, watch, heeds=not discards_edits)
        if loop.state.ended and not (change and change.more_runs):
            path = nearby(workspace.path)
            say(f"{path}: has ended already: {loop.state.ended.summary.splitlines()[0]}")
            if one := loop.state.replications.next:
                say(f"  seeds that are left: scientist replicate {shlex.quote(path)} {one.run}")
            say(f"  more runs: scientist resume {shlex.quote(path)} --max-runs {len(loop.state.rows) + 3}")
            return exit_code(loop.state)
        state = loop.run(change)
    report(workspace, state, watch)
    return exit_code(state)


def say_discarded(workspace: Workspace) -> None:
    """Bring a workspace back to its journal, and print the git refs that keep the edits."""
    state = read_state(workspace)
    for name in discard_edits(workspace, workspace.repo(), state):
        say(f"{nearby(workspace.path)}: kept as {name}")


def exit_code(state: State) -> int:
    if state.ended:
        return 0 if state.ended.completed else 1
    return 4 if state.pause and state.pause.kind is PauseKind.BUDGET else 3


def open_loop(
    workspace: Workspace,
    ledger: Ledger,
    settings: ModelSettings,
    resumed: Callable[[State], Resumed] | None,
    watch: Watch,
    *,
    heeds: bool = True,
) -> tuple[Loop, Resumed | None]:
    """A loop on the workspace's journal, and the change that a person makes to it. heeds: as `check_agreement` has it.

    Raises: IntegrityError if code, template and journal disagree; UsageError if the experiment's interpreter is gone,
    its data cannot be made again, or no sandbox works here.
    """
    journal, repo = workspace.journal(settings.redact), workspace.repo()
    state = fold(journal.events)
    change = resumed(state) if resumed else None
    launched = change_step_limits(state.launched, change) if change else state.launched
    template = frozen_template(workspace, launched)
    sandbox = (change and change.sandbox) or state.launched.sandbox
    warn = partial(watch.tell, say)
    models = make_models(state.launched, state.limits, workspace, settings, on_wait=warn)
    runner, prepared = runner_for(state.launched), None
    if not state.ended or (change and change.more_runs):
        works_here = choose_sandbox(sandbox)
        check_workspace(workspace, repo, state, change, heeds, warn)
        check_interpreter(state, template)
        prepared = find_data(workspace, state, template)
        if change:
            announce_model(state.launched.model)
            announce_sandbox(works_here)
    detail_launch(workspace, state, template, sandbox)
    inherited, digests = dict(os.environ), digest_store()
    steps = Steps(workspace, repo, template, runner, inherited, watch.sleep, prepared, sandbox, warn, digests)
    edges = Edges(workspace, journal, repo, template, models, Linter(), steps, ledger)
    watch.by = Yardstick(template.spec, template.baselines)
    return Loop(edges, watch=partial(show_event, watch)), change


def check_workspace(
    workspace: Workspace, repo: Repo, state: State, change: Resumed | None, heeds: bool, warn: Callable[[str], None]
) -> None:
    """Raises: IntegrityError if the workspace was changed by hand or, on a resume, is not what its journal says."""
    check_untouched(workspace, repo, state)
    if change:
        check_agreement(workspace, warn, heeds=heeds)


def show_event(watch: Watch, event: Event, state: State) -> None:
    """Print an event that was just stored, and show at the foot what comes next."""
    style = style_of(event, state, watch.by)
    for part in (describe(event, state, watch.by) or "").splitlines():
        watch.tell(note, part, style)
    if isinstance(event, Started):
        watch.tell(detail, f"begins to {say_action(event.kind)}")
    show_activity(watch.follow(event, state), watch.read_log(state))


def check_interpreter(state: State, template: Template) -> None:
    """Raises: UsageError if the interpreter that runs were started with is no longer there."""
    if Path(state.launched.python).is_relative_to(cache := environment_cache()):
        claim(cache / Path(state.launched.python).relative_to(cache).parts[0])
    if not os.access(state.launched.python, os.X_OK):
        raise UsageError(
            state.launched.python,
            "the experiment's interpreter is gone",
            f"rebuild it: scientist setup {template.folder}"
            + (f" --profile {template.profile}" if template.profile else ""),
        )


def find_data(workspace: Workspace, state: State, template: Template) -> PreparedData | None:
    """The data that the workspace was launched with, made again if it is gone. None if the template prepares none.

    Raises: UsageError if it cannot be made; IntegrityError if it would be other data.
    """
    if template.spec.prepare is None:
        return None

    def make() -> Prepared:
        unplant(template.folder)  # no step's compiled code runs where the user's keys are
        prepared = prepare(template, Path(state.launched.python), workspace.is_stopped)
        assert prepared
        return prepared

    found = PreparedData(make, state.launched.training, state.launched.evaluation)
    found.folders()
    return found


def detail_launch(workspace: Workspace, state: State, template: Template, sandbox: str) -> None:
    """Print with --verbose the template, interpreter, data and limits of a workspace."""
    launched, head = state.launched, f"[{workspace.path.name}]"
    detail(f"{head} template {template.folder} ({launched.template_hash}), profile {launched.profile or '-'}")
    detail(f"{head} interpreter {launched.python}; sandbox asked for: {sandbox}")
    for name, data in (("training", launched.training), ("evaluation", launched.evaluation)):
        if data:
            detail(f"{head} {name} data {data}")
    limits = state.limits
    detail(f"{head} limits: {limits.max_runs} runs, {limits.max_tokens or 'no limit of'} tokens per idea")


def interrupt(workspaces: Sequence[Workspace], command: str = "") -> None:
    """After Ctrl-C, for the ideas at work: runs go on, unless a second Ctrl-C follows at once.

    command: goes on with them. Empty: a resume.
    """
    going: list[tuple[Runner, Path, str]] = []
    for workspace in workspaces:
        quoted = shlex.quote(nearby(workspace.path))
        try:
            found = find_going(workspace)
        except (ScientistError, OSError, KeyboardInterrupt):
            continue
        if found is None:
            say(f"interrupted; nothing is running; go on: scientist {command or f'resume {quoted}'}")
            continue
        going.append((*found, quoted))
        say(f"interrupted; {found[1].name} goes on. Ctrl-C again within {SECOND_INTERRUPT_S:g} s kills it.")
        say(f"  go on: scientist {command or f'resume {quoted}'}")
        say(f"  stop it: scientist stop {quoted}")
    try:
        time.sleep(SECOND_INTERRUPT_S if going else 0)
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            say("")  # the terminal wrote ^C at the begin of the line
        for runner, folder, quoted in going:
            runner.kill(folder)
            say(f"killed {folder.name}; go on: scientist {command or f'resume {quoted}'}")


def find_going(workspace: Workspace) -> tuple[Runner, Path] | None:
    """The runner and the folder of the step that is going or waits, None if there is none."""
    state = read_state(workspace)
    folder = workspace.step_folder(state.going.folder) if state.going else None
    if folder is None and state.pending and state.pending.kind == "StartStep":
        folder = max(workspace.attempts.glob("*.*"), key=lambda p: p.stat().st_mtime, default=None)
    runner = runner_for(state.launched)
    return (runner, folder) if folder and isinstance(runner.poll(folder), Queued | Running) else None
