"""A profile's data, made before its runs by the template's own script and kept in a store that all workspaces share."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter, ValidationError

from agent.core.failure.folding import clean, cut_line
from agent.edges.template.environment import Progress
from agent.edges.template.load import Template
from agent.edges.template.variables import preparation_environment, resolve_command
from agent.errors import IntegrityError, StopRequested, UsageError

__all__ = ["Prepared", "PreparedData", "prepare_data", "store_of", "store_size"]

POLL_S = 0.1
GRACE_S = 1.0
ANSWER_CAP_BYTES = 1 << 20
REASON_CHARS = 1500


@dataclass(frozen=True, slots=True)
class Prepared:
    """The folders that hold a profile's data, `made` by this call in `seconds` or found; `bytes` is their size.

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
    """The data of one workspace: asked for once, and again where a folder was evicted since.

    training, evaluation: names of the folders at launch; empty in a journal that does not know them.
    """

    prepare: Callable[[], Prepared]
    training: str = ""
    evaluation: str = ""
    _found: Prepared | None = None

    def folders(self) -> Prepared:
        """Raises: UsageError where they cannot be made; IntegrityError where they hold other data than at launch."""
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
    return cache.absolute() / (re.sub(r"[^A-Za-z0-9._-]+", "_", template.spec.name).strip(".") or "_")


def store_size(path: Path) -> int:
    """Bytes of the regular files below `path`, links not followed; 0 where there is no such folder."""
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
    """Make the data of the template's profile, or find it made; what the command says meanwhile goes to `on_progress`.

    `inherited` is what its environment may draw from, `max_gib` the size to which the store is held. Whatever ends
    this call, no process of the command stays behind.

    Raises: UsageError naming template and profile, with the last line of what failed; StopRequested.
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
        try:
            process = _start(argv, store, environment, output)
        except OSError as error:
            raise UsageError(where, f"its data cannot be prepared: {argv[0]}: {error.strerror}") from error
        with process:
            try:
                last = _listen(process, time.monotonic() + spec.deadline_s, on_progress, is_stopped)
            except TimeoutError as error:
                problem = f"preparing its data took longer than {spec.deadline_s:g} s and was stopped"
                raise UsageError(where, problem, "raise prepare.deadline_s in template.toml") from error
            finally:
                _end(process)
        answer = _last_line(output)
    if process.returncode != 0:
        said = f": {last}" if last else " without a word"
        raise UsageError(where, f"its data cannot be prepared, {_say_end(process.returncode)}{said}")
    return _read_answer(answer, where)


def _start(
    argv: Sequence[str], store: Path, environment: Mapping[str, str], output: IO[bytes]
) -> subprocess.Popen[bytes]:
    """The command in a process group of its own, its standard error as a pipe."""
    return subprocess.Popen(
        argv,
        cwd=store,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _last_line(output: IO[bytes]) -> str:
    output.seek(max(0, output.seek(0, os.SEEK_END) - ANSWER_CAP_BYTES))
    lines = output.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""


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


def _listen(
    process: subprocess.Popen[bytes], deadline_s: float, on_progress: Progress, is_stopped: Callable[[], bool]
) -> str:
    """Pass on each line of its standard error until it ends, and return the last.

    Raises: TimeoutError; StopRequested.
    """
    assert process.stderr
    descriptor = process.stderr.fileno()
    open_streams, begun, last = [descriptor], b"", ""
    while True:
        has_exited = _has_exited(process)  # asked first: what it wrote before its end is still read
        ready, _, _ = select.select(open_streams, [], [], 0 if has_exited else POLL_S)
        chunk = os.read(descriptor, ANSWER_CAP_BYTES) if ready else b""
        if ready and not chunk:
            open_streams = []
        *lines, begun = re.split(rb"[\r\n]", begun + chunk)
        for line in [*lines, begun] if has_exited else lines:
            text = cut_line(clean(line.decode("utf-8", "replace")), REASON_CHARS)
            if text:
                last = text
                on_progress(text)
        if has_exited:
            return last
        if is_stopped():
            raise StopRequested("stopped by request while data was prepared")
        if time.monotonic() > deadline_s:
            raise TimeoutError


def _has_exited(process: subprocess.Popen[bytes]) -> bool:
    """Whether it is over; it is not waited for, so that its number still stands for its group."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the command and all in its group; it may clear up for a second."""
    try:
        if not _has_exited(process):
            os.killpg(process.pid, signal.SIGTERM)
            until = time.monotonic() + GRACE_S
            while not _has_exited(process) and time.monotonic() < until:
                time.sleep(POLL_S / 4)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _say_end(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    known = {member.value: member.name for member in signal.Signals}
    return f"killed by {known.get(-code, f'signal {-code}')}"
