"""scientist launch --from: an idea begins at the code of another workspace's run."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from agent.cli.commands.replicate import choose_run
from agent.cli.options import LaunchSettings
from agent.cli.places import open_idea, template_roots
from agent.cli.terminal import note
from agent.core.journal.events import Launched
from agent.core.journal.kinds import Begun
from agent.core.text.plain import plain_line
from agent.edges.template.load import Template, find_template, load_template
from agent.edges.workspace.layout import frozen_template, read_state
from agent.errors import UsageError

TITLE_CHARS = 120
# "workspaces/b/idea@run/4", "idea@4", "idea@best"
_AT_RUN = re.compile(r"(?P<workspace>.+)@(?:run[/_])?(?P<run>[0-9]+|best)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Beginning:
    """A run of another workspace, with its code and the launch that it came of."""

    option: str  # as it was typed
    launched: Launched
    template: Template
    begun: Begun
    texts: dict[str, str]  # of the files that may be edited and those that run, but notes.txt

    def is_copy(self, template: Template) -> bool:
        """Whether the template is the frozen copy that the other workspace uses."""
        return template.folder == self.template.folder


def find_beginning(context: typer.Context, settings: LaunchSettings) -> tuple[LaunchSettings, Beginning | None]:
    """The run that --from names, and the settings as it changes those that nobody typed.

    Raises: UsageError; IntegrityError if the workspace of the run is damaged.
    """
    if not settings.from_:
        return settings, None

    def is_typed(option: str) -> bool:
        source = context.get_parameter_source(option)
        return source is not None and source.name == "COMMANDLINE"

    start = read_beginning(settings.from_)
    settings = take_over(settings, start, is_typed)
    if is_typed("template"):
        check_fit(load_template(find_template(settings.template, template_roots()), settings.profile), start)
    return settings, start


def read_beginning(named: str) -> Beginning:
    """The run that `WS@run/4`, `WS@4` or `WS@best` names. The best one, if no run is named.

    Raises: UsageError if there is no such workspace, or no completed run of it; IntegrityError if it is damaged.
    """
    option = f"--from {named}"
    found = None if os.path.lexists(named) else _AT_RUN.fullmatch(named)  # a folder's own name may look like that
    typed, run = (found["workspace"], found["run"]) if found else (named, "best")
    place = expand_pattern(typed, option)
    if not os.path.lexists(place):
        raise UsageError(option, f"there is no folder {place}", "write WS@run/4: a workspace and a completed run of it")
    workspace = open_idea(Path(place), "launch IDEAS --from")
    state = read_state(workspace)
    template = frozen_template(workspace, state.launched)
    number = choose_run(workspace, state, template, run)
    if number == 0:
        raise UsageError(option, "run 0 is the template's own code", "leave --from out, or name a completed run")
    row = next(row for row in state.rows if row.run == number)
    names = tuple({*template.spec.editable, *template.spec.run_files} - {"notes.txt"})
    begun = Begun(
        workspace=workspace.path.name,
        title=plain_line(state.launched.title, TITLE_CHARS),
        run=number,
        subject=plain_line(row.subject.partition(": ")[2] or row.subject, TITLE_CHARS),
        values=row.values,
        source=row.commit,
    )
    return Beginning(option, state.launched, template, begun, workspace.repo().read(row.commit, names))


def expand_pattern(place: str, option: str) -> str:
    """The one path that a pattern fits: a shell leaves workspaces/*/idea@run/4 as it is.

    Raises: UsageError if it fits several.
    """
    if os.path.lexists(place) or not glob.has_magic(place):
        return place
    found = sorted(glob.glob(place))  # noqa: PTH207  # Path.glob refuses some patterns, as "a**"
    if len(found) > 1:
        raise UsageError(option, f"{place} fits {len(found)} folders", f"name one, as {found[-1]}")
    return found[0] if found else place


def take_over(settings: LaunchSettings, start: Beginning, is_typed: Callable[[str], bool]) -> LaunchSettings:
    """The settings of the new launch: those that nobody typed are as the other workspace was launched with.

    Raises: UsageError if the folder of its --data is gone.
    """
    if is_typed("template"):
        return settings
    old = start.launched
    python = settings.python or (Path(old.python) if os.access(old.python, os.X_OK) else None)
    if old.data and not settings.data and not Path(old.data).is_dir():
        raise UsageError(start.option, f"was launched with --data {old.data}, which is gone", "name it with --data")
    return replace(
        settings,
        template=str(start.template.folder),
        profile=settings.profile if is_typed("profile") else old.profile,
        python=python,
        data=settings.data or (Path(old.data) if old.data else None),
        run_s=settings.run_s or old.run_s or None,
        smoke_s=settings.smoke_s or old.smoke_s or None,
        memory_gib=settings.memory_gib or old.memory_gib or None,
    )


def check_fit(source: Template, start: Beginning) -> None:
    """Raises: UsageError if the code cannot be that of this template: other files are run, or may be edited."""
    for what, own, other in (
        ("lets others be edited", source.spec.editable, start.template.spec.editable),
        ("runs other files", source.spec.run_files, start.template.spec.run_files),
    ):
        if set(own) != set(other):
            problem = f"{what} ({_list(own)}) than that of {start.begun.workspace} ({_list(other)})"
            raise UsageError(f"--template {source.spec.name}", problem, "leave --template out, or --from")


def _list(names: Collection[str]) -> str:
    return ", ".join(sorted(names))


def announce_beginning(start: Beginning) -> None:
    """Print at which code the ideas begin, and what they are compared with."""
    begun = start.begun
    note(f"begins at the code of run {begun.run} of {begun.workspace} ({begun.title}): {begun.subject}")
    note("  runs are compared with the baselines of the template, not with that run")
