"""A profile's data, made before its runs by the template's own script and kept in a store that all workspaces share."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter, ValidationError

from agent.core.failure.folding import clean, cut_line
from agent.edges.system.child import ChildCommand, run_child
from agent.edges.template.environment import Progress
from agent.edges.template.load import Template
from agent.edges.template.variables import preparation_environment, resolve_command
from agent.errors import IntegrityError, StopRequested, UsageError

__all__ = ["Prepared", "PreparedData", "find_store", "prepare_data", "store_of", "store_size"]

ANSWER_CAP_BYTES = 1 << 20
REASON_CHARS = 1500
# "my template/2" has two: " " and "/".
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Prepared:
    """The folders that hold a profile's data, `made` by this call in `seconds` or found. `bytes` is their size.

    Their names tell one content from another.
    """

    training: Path
    evaluation: Path
    bytes: int
    made: bool
    seconds: float

    def is_there(self) -> bool:
        return self.training.is_dir() and self.evaluation.is_dir()


_ANSWER: TypeAdapter[Prepared] = TypeAdapter(Prepared)


@dataclass(slots=True)
class PreparedData:
    """The data of one workspace: asked for once, and again if a folder was evicted since.

    training, evaluation: names of the folders at launch. They are empty in a journal that does not know them.
    """

    prepare: Callable[[], Prepared]
    training: str = ""
    evaluation: str = ""
    _found: Prepared | None = None

    def folders(self) -> Prepared:
        """Raises: UsageError if they cannot be made; IntegrityError if they hold other data than at launch."""
        if self._found is None or not self._found.is_there():
            found = self.prepare()
            for before, now in ((self.training, found.training), (self.evaluation, found.evaluation)):
                if before and before != now.name:
                    raise IntegrityError(
                        str(now),
                        f"is other data than this idea was launched with ({before})",
                        "bring back the settings of that time (HF_*, the model's revision), or launch the idea again",
                    )
            self._found = found
        return self._found

    def is_there(self) -> bool:
        """Whether the folders last found are still in the store."""
        return self._found is not None and self._found.is_there()


def store_of(cache: Path, template: Template) -> Path:
    """The template's own folder in the cache of all data."""
    return find_store(cache, template.spec.name)


def find_store(cache: Path, name: str) -> Path:
    """The folder in the cache of all data of the template with this name."""
    return cache.absolute() / (_ODD.sub("_", name).strip(".") or "_")


def store_size(path: Path) -> int:
    """Bytes of the regular files below `path`, links not followed. 0 if there is no such folder."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # evicted meanwhile
                total += Path(folder, name).lstat().st_size
    return total


def prepare_data(
    template: Template,
    interpreter: Path,
    store: Path,
    inherited: Mapping[str, str],
    on_progress: Progress,
    *,
    max_gib: float | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Prepared:
    """Make the data of the template's profile, or find it made.

    inherited: variables that the command's environment may draw from. on_progress: takes each line that it says
    meanwhile. max_gib: size to which the store is held. At return, or if interrupted, no process of the command is
    left.

    Raises: UsageError naming template and profile, with the last line of the command that failed; StopRequested.
    """
    where = f"template {template.spec.name}" + (f", profile {template.profile}" if template.profile else "")
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(str(store), f"cannot be made: {error.strerror}", "set SCIENTIST_CACHE elsewhere") from error
    environment = preparation_environment(
        interpreter=interpreter,
        sealed=template.sealed,
        home=store,
        extra=template.spec.environment.variables,
        inherited=inherited,
        max_gib=max_gib,
    )
    spec = template.spec.prepare
    assert spec, "a template that prepares nothing has no data"
    argv = resolve_command(_command(template, store), interpreter)
    with tempfile.TemporaryFile() as output:
        command = ChildCommand(argv, store, environment, output)
        _run(command, where, on_progress, spec.deadline_s, is_stopped)
        answer = _last_line(output)
    return _read_answer(answer, where)


def _run(
    command: ChildCommand, where: str, on_progress: Progress, deadline_s: float, is_stopped: Callable[[], bool]
) -> None:
    """Raises: UsageError if the command cannot be started, fails or takes too long; StopRequested."""
    last = ""

    def hear(line: str) -> None:
        nonlocal last
        if text := cut_line(clean(line), REASON_CHARS):
            last = text
            on_progress(text)

    try:
        end = run_child(command, hear, deadline_s=deadline_s, is_stopped=is_stopped)
    except OSError as error:
        raise UsageError(where, f"its data cannot be prepared: {command.argv[0]}: {error.strerror}") from error
    if end.stopped:
        raise StopRequested("stopped by request while data was prepared")
    if end.timed_out:
        problem = f"preparing its data took longer than {deadline_s:g} s and was stopped"
        raise UsageError(where, problem, "raise prepare.deadline_s in template.toml")
    if end.code != 0:
        said = f": {last}" if last else " without a word"
        raise UsageError(where, f"its data cannot be prepared, {end.told}{said}")


def _last_line(output: IO[bytes]) -> str:
    output.seek(max(0, output.seek(0, os.SEEK_END) - ANSWER_CAP_BYTES))
    lines = output.read().decode("utf-8", "replace").strip().split("\n")
    return lines[-1]


def _command(template: Template, store: Path) -> str:
    """The command line, placeholders filled in."""
    assert template.spec.prepare
    command = template.spec.prepare.command
    profile = template.folder / "profiles" / f"{template.profile}.json" if template.profile else ""
    for field, value in (("{sealed}", template.sealed or ""), ("{profile}", profile), ("{store}", store)):
        command = command.replace(field, shlex.quote(str(value)))
    return command


def _read_answer(line: str, where: str) -> Prepared:
    try:
        prepared = _ANSWER.validate_json(line)
    except ValidationError as error:
        problem = "its preparation does not end with a JSON object of training, evaluation, bytes, made and seconds"
        raise UsageError(where, f"{problem}, but with {line[:200]!r}", "print it as the last line") from error
    for folder in (prepared.training, prepared.evaluation):
        if not (folder.is_absolute() and folder.is_dir()):
            raise UsageError(where, f"its preparation names {folder}, which is no folder", "print its absolute path")
    return prepared
