"""Folders of workspaces and batches: made whole or not at all, and found again."""

from __future__ import annotations

import errno
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from agent.core.code.digest import digest_code
from agent.core.inputs.idea import Idea
from agent.core.inputs.refs import Reference
from agent.core.journal.events import STEP_LIMITS, Launched
from agent.core.journal.fold import fold
from agent.core.journal.kinds import Begun
from agent.core.journal.state import State
from agent.core.prompt.facts import begun_facts
from agent.core.prompt.notes import append_facts
from agent.core.text.redact import Redactor
from agent.edges.git.repo import Repo
from agent.edges.system.files import clock_of, fsync_folder, write_durably
from agent.edges.template.frozen import check_frozen
from agent.edges.template.load import Template, load_template, withhold
from agent.edges.workspace.journal import Journal
from agent.edges.workspace.litter import MAKER, remove_litter, remove_unfinished, write_maker
from agent.edges.workspace.refs import write_refs
from agent.errors import IntegrityError, JournalCorrupt, UsageError

BATCH_FILE = "batch.json"
GONE = f"is gone, though {BATCH_FILE} lists it; put it back, or take its name out there"
TEMPLATES = ".templates"
BATCH_SCHEMA = 1
REPLICATIONS = "replications"
CLOCK_S = 1.0  # a filesystem's clock goes in steps


def go_on() -> None:
    """Let the work on an idea go on, for whoever asks."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What the ideas of a batch are given beside the template."""

    # Reference texts by the idea's slug.
    refs: Mapping[str, Sequence[Reference]] = field(default_factory=dict)
    # Texts of the files of another workspace's run, if the launch says that the ideas begin there.
    code: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder of one idea: a git work tree with a journal under .agent/."""

    path: Path
    # Called at every wait for this idea. An exception ends the work as Ctrl-C does: nothing is stored, a run goes on.
    heed: Callable[[], None] = field(default=go_on, repr=False, compare=False)

    def is_stopped(self) -> bool:
        """Whether `scientist stop` asked for the end. Raises any exception of `heed`."""
        self.heed()
        return self.stop_file.exists()

    def sleep(self, seconds: float) -> None:
        """Wait, a fraction of a second at a time. Raises any exception of `heed`."""
        time.sleep(seconds)
        self.heed()

    @property
    def agent(self) -> Path:
        return self.path / ".agent"

    @property
    def attempts(self) -> Path:
        return self.agent / "attempts"

    @property
    def stop_file(self) -> Path:
        return self.agent / "stop"

    def step_folder(self, name: str) -> Path:
        return self.attempts / name

    def run_folder(self, run: int) -> Path:
        return self.path / f"run_{run}"

    def replication_folder(self, run: int, seed: int) -> Path:
        return self.path / REPLICATIONS / f"run_{run}.seed_{seed}"

    def journal(self, redact: Redactor | None = None) -> Journal:
        """Open the journal. `redact` takes keys out of everything that is written.

        Raises: JournalCorrupt if it is damaged, empty or gone.
        """
        journal = Journal(self.agent, redact=redact)
        if not journal.count:
            raise JournalCorrupt(journal.path, 1, "the launch is missing")
        return journal

    def repo(self) -> Repo:
        return Repo(self.path)

    def idea(self, repo: Repo, commit: str) -> Idea:
        return Idea.model_validate_json(repo.read(commit, ("idea.json",))["idea.json"])


def template_store(workspaces: Path) -> Path:
    return workspaces / TEMPLATES


def frozen_template(workspace: Workspace, launched: Launched) -> Template:
    """The template that the workspace was launched with, from its copy, with the limits of steps that the launch gave.

    Raises: IntegrityError if it is gone or was changed.
    """
    copy = find_template_copy(workspace, launched)
    check_frozen(copy)
    template = with_name(load_template(copy, launched.profile), launched.template)
    given = {name: getattr(launched, name) for name in STEP_LIMITS}
    template = replace(template, spec=template.spec.with_limits(**given))
    return withhold(template, launched.doubt) if launched.doubt else template


def find_template_copy(workspace: Workspace, launched: Launched) -> Path:
    """The folder that holds the copy of the template that the workspace was launched with.

    Raises: IntegrityError if it is gone.
    """
    copies = (folder / TEMPLATES / launched.template_hash for folder in workspace.path.parents)
    if copy := next((copy for copy in copies if copy.is_dir()), None):
        return copy
    remedy = f"put {TEMPLATES} back; scientist export WS makes a copy of a workspace with all that belongs to it"
    raise IntegrityError(f"template {launched.template_hash}", f"no frozen copy above {workspace.path}", remedy)


def with_name(template: Template, name: str) -> Template:
    """The template under the name that it had where it was launched: a copy of an AI-Scientist folder lost it."""
    return replace(template, spec=template.spec.model_copy(update={"name": name})) if template.foreign else template


def create_batch(
    workspaces: Path,
    name: str,
    ideas: Sequence[Idea],
    template: Template,
    launched: Launched,
    extras: Extras | None = None,
) -> list[Workspace]:
    """Make `workspaces`/`name` with one workspace an idea. All appear at once, by one rename.

    If another launch took that name, it is `name`-2, and so on.

    Raises: UsageError if the folder cannot be written.
    """
    building, extras = workspaces / f".{name}.{os.getpid()}", extras or Extras()
    try:
        remove_litter(workspaces)
        building.mkdir(parents=True)
        write_maker(building)
    except OSError as error:
        raise UsageError(
            str(workspaces), f"cannot be written: {error.strerror}", "name another with --workspaces"
        ) from error
    try:
        titles = launched.titles if launched.is_replay else "plan"
        for idea in ideas:
            own = replace(launched, workspace=idea.slug, title=idea.Title, titles=titles)
            _create(building / idea.slug, idea, template, own, extras.code)
            write_refs(building / idea.slug / ".agent", extras.refs.get(idea.slug, ()))
        index = {"schema_version": BATCH_SCHEMA, "workspaces": [idea.slug for idea in ideas]}
        write_durably(building / BATCH_FILE, json.dumps(index, indent=2).encode() + b"\n")
        final = _take_name(building, workspaces / name)
    except OSError as error:
        problem = f"cannot be made: {error.strerror}"
        raise UsageError(str(workspaces / name), problem, "launch again, or elsewhere") from error
    finally:
        remove_unfinished(building)
    (final / MAKER).unlink(missing_ok=True)
    fsync_folder(workspaces)
    return [Workspace(final / idea.slug) for idea in ideas]


def _take_name(building: Path, wanted: Path) -> Path:
    """Rename the finished batch to the first name that nobody has."""
    for number in count(1):
        final = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            if not os.path.lexists(final):  # of an empty folder too, which a rename would replace
                building.rename(final)
                return final
        except OSError as error:  # taken meanwhile
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
    raise AssertionError


def _create(path: Path, idea: Idea, template: Template, launched: Launched, code: Mapping[str, str]) -> None:
    workspace = Workspace(path)
    for folder in (path, workspace.agent, workspace.agent / "tmp", workspace.attempts):
        folder.mkdir()
    message = f"Start from template {template.spec.name}\n\n{idea.Title}"
    first = workspace.repo().create(template.files | {"idea.json": idea.to_json()}, message)
    digest = digest_code(template.files, template.spec.run_files)
    begun = launched.begun and _begin_at(workspace, template, launched.begun, code)
    Journal(workspace.agent).append(replace(launched, commit=first, code=digest, begun=begun))


def _begin_at(workspace: Workspace, template: Template, begun: Begun, code: Mapping[str, str]) -> Begun:
    """Commit the code of another workspace's run on top of the template, with a section of notes.txt that names it."""
    notes = append_facts(template.files.get("notes.txt", ""), begun_facts(begun))
    changes = {name: text for name, text in code.items() if template.files.get(name) != text} | {"notes.txt": notes}
    message = f"Begin at run {begun.run} of {begun.workspace}\n\n{begun.title}: {begun.subject}"
    made = workspace.repo().commit(changes, message, {"Begins-At": begun.source})
    return replace(begun, commit=made, code=digest_code({**template.files, **changes}, template.spec.run_files))


def open_workspace(path: Path) -> Workspace:
    """Raises: UsageError if the folder is no workspace."""
    if not (path / ".agent" / "journal.jsonl").is_file():
        raise UsageError(str(path), "is not a workspace: it has no .agent/journal.jsonl", "see: scientist status")
    return Workspace(path.resolve())


def find_workspaces(root: Path) -> list[Workspace]:
    """Every workspace at or below `root`, which is a workspace, a batch or a folder of batches."""
    if (root / ".agent" / "journal.jsonl").is_file():
        return [Workspace(root.resolve())]
    if not root.is_dir():
        return []
    return [Workspace(path.resolve()) for path in _listed(root) if (path / ".agent").is_dir()]


def find_missing(root: Path) -> list[Path]:
    """Workspaces that a batch at or below `root` lists, and that are gone."""
    return [path for path in _listed(root) if not (path / ".agent").is_dir()]


def _listed(root: Path) -> list[Path]:
    """Workspace folders listed by the batch at `root` or by batches below it."""
    if not root.is_dir():
        return []
    batches = [root] if (root / BATCH_FILE).is_file() else sorted(p.parent for p in root.glob(f"[!.]*/{BATCH_FILE}"))
    return [batch / name for batch in batches for name in _read_batch(batch / BATCH_FILE)]


def _read_batch(path: Path) -> list[str]:
    try:
        return [str(name) for name in json.loads(path.read_text("utf-8"))["workspaces"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(str(path), f"is not a batch's index: {error}", "name the workspaces themselves") from error


def withdraw_stop(workspace: Workspace, age_s: float) -> None:
    """Remove a request to stop that came before the command that runs for `age_s` by now.

    Times are by the clock of the folder's filesystem. A request of the future came before that clock was set back.
    """
    scratch = workspace.agent / "tmp"
    if workspace.stop_file.exists():
        scratch.mkdir(exist_ok=True)
        now_s = clock_of(scratch)
        if not now_s - age_s <= workspace.stop_file.stat().st_mtime <= now_s + CLOCK_S:
            workspace.stop_file.unlink(missing_ok=True)


def mend_folders(workspace: Workspace) -> None:
    """Make folders of .agent that somebody removed, as to free their space. A file in their place is moved aside."""
    for folder in (workspace.agent / "tmp", workspace.attempts) if workspace.agent.is_dir() else ():
        if os.path.lexists(folder) and not folder.is_dir():
            folder.rename(folder.with_name(f"{folder.name}.{time.time_ns()}"))
        folder.mkdir(exist_ok=True)


def find_extra_runs(workspace: Workspace, state: State) -> list[Path]:
    """Files in the place of the outputs of this run and later ones that no open publication put there."""
    opened = state.run.number if state.pending and state.pending.kind == "Publish" else 0
    # "run_12"
    found = [path for path in sorted(workspace.path.iterdir()) if re.fullmatch(r"run_[1-9]\d{0,8}", path.name)]
    published = {row.run for row in state.rows} | {opened}
    numbered = [(int(path.name.removeprefix("run_")), path) for path in found]
    return [path for number, path in numbered if number >= state.run.number and number not in published]


def read_state(workspace: Workspace) -> State:
    """The workspace's journal, folded."""
    return fold(workspace.journal().events)
