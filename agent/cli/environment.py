"""Parts that a run needs: git, an interpreter, data and a sandbox. Each is found or made, with progress shown."""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from agent.cli.display import open_foot
from agent.cli.options import Chosen, LaunchSettings, SandboxChoice
from agent.cli.places import data_cache, data_limit_gib, digest_store, environment_cache, template_roots, writing_cache
from agent.cli.terminal import note, say
from agent.core.evidence.origin import say_given, say_moved, say_remedy
from agent.core.inputs.spec import Environment
from agent.edges.doctor.machine import INSTALL_BWRAP, check_cache
from agent.edges.run.baselines import weigh
from agent.edges.sandbox.choose import NOT_INSTALLED, Sandbox, choose_sandbox
from agent.edges.system.child import run_probe
from agent.edges.template.cache.claim import claim, claimed_path
from agent.edges.template.data import Prepared, prepare_data, store_of
from agent.edges.template.environment import build_environment, environment_for
from agent.edges.template.interpreters import python_places
from agent.edges.template.load import Template
from agent.edges.template.origin import Given, data_digest, given_origin
from agent.errors import UsageError

ANSWER_S = 60.0
LINE_CHARS = 100  # of a line of pip's, where none moves


def check_python(path: Path) -> Path:
    """Path of the interpreter. A shim, as of pyenv, is replaced by what it starts: a sandbox lacks its files.

    Raises: UsageError if it is not a Python interpreter.
    """
    named, is_name = path, path.parent == Path() and not os.access(path, os.X_OK)  # a name, as python3.11
    found = shutil.which(path.name) if is_name else str(path)
    if found is None and not os.path.lexists(path):
        raise UsageError(f"--python {named}", "is no file here, and is not on PATH", "name the interpreter's path")
    path = Path(found or path)
    if problem := _say_not_executable(path):
        raise UsageError(f"--python {named}", problem, "name the interpreter's path")
    ask = [str(path.absolute()), "-c", "import sys; print(6 * 7, sys.executable)"]
    try:
        done = run_probe(ask, ANSWER_S)
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"--python {named}", f"gave no answer within {ANSWER_S:g} s") from error
    except OSError as error:
        raise UsageError(f"--python {named}", f"cannot be run: {error.strerror}") from error
    answer, _, started = done.stdout.strip().partition(" ")
    if answer != "42":
        raise UsageError(f"--python {named}", "is not a Python interpreter")
    place = without_steps_up(path)
    return Path(started) if place.parent.name == "shims" and started else place


def _say_not_executable(path: Path) -> str:
    """Why the path cannot be a program. Empty if it can."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"cannot be run: {error.strerror}"
    if stat.S_ISDIR(mode):
        return "is a folder"
    if not stat.S_ISREG(mode):
        return "is no file"
    return "" if os.access(path, os.X_OK) else "is not executable (chmod +x)"


def without_steps_up(path: Path) -> Path:
    """The absolute path, with no "..", which a sandbox cannot make. A virtual environment's python must stay a link."""
    return path.parent.resolve() / path.name if ".." in path.parts else path.absolute()


def check_data(path: Path | None) -> Path | None:
    """Absolute path of the folder that --data names: a run has a working folder of its own.

    Raises: UsageError if it is no folder.
    """
    if path and not os.path.isdir(path):  # noqa: PTH112 - Path raises if a folder above cannot be entered
        raise UsageError(f"--data {path}", "is not a folder")
    return path.absolute() if path else None


def give(interpreter: Path, data: Path | None, prepared: Prepared | None) -> Given:
    """Everything that a call brings to a template's runs."""
    names = (prepared.training.name, prepared.evaluation.name) if prepared else ("", "")
    return Given(interpreter, data, *names, dict(os.environ), digest_store())


@dataclass(frozen=True, slots=True)
class Weighed:
    """Remarks on a template's baselines before a launch. All is empty if all is well."""

    # Why they judge no run, with the command that helps.
    doubt: str = ""
    # What must be believed if they do.
    remark: str = ""
    # The part of the remark that is about another machine.
    caveat: str = ""


def weigh_baselines(template: Template, given: Given, chosen: Chosen) -> Weighed:
    """Hold the template's baselines against this launch.

    Raises: UsageError if the data cannot be read.
    """
    lineage, doubt = weigh(template, given)
    if doubt:
        return Weighed(f"{doubt}; {say_remedy(lineage, chosen.say('baseline'))}")
    return Weighed("", say_given(lineage, f"{chosen.say('baseline')} --vouch"), say_moved(lineage))


def known_origin(template: Template, named: Path | None, data: Path | None) -> dict[str, str]:
    """The parts of an origin that a person can vouch for: data, and packages if the interpreter is there already.

    named: as --python has it.
    Raises: UsageError if the data cannot be read.
    """
    python, environment = named, template.spec.environment
    if not python and environment.install:
        python = environment_for(environment, template.folder, environment_cache(), python_places(os.environ))
    elif not python:
        python = Path(sys.executable)
    if not python:
        return {"data": data_digest(data, digest_store()) if data else ""}
    given = Given(python, data, None, None, None, digest_store())
    return given_origin(given, template.folder, template.spec, template.files)


def build(environment: Environment, template: Path, cache: Path, whose: str = "") -> Path:
    """The environment's interpreter. The environment is built first if it does not exist.

    whose: owner for the messages, by default the template.
    Raises: UsageError with pip's last lines if it cannot be built.
    """
    return claimed_path(lambda: _build(environment, template, cache, whose), cache)


def _build(environment: Environment, template: Path, cache: Path, whose: str) -> Path:
    places = python_places(os.environ)
    ready = environment_for(environment, template, cache, places)
    if ready:
        return ready
    started = time.monotonic()
    whose = whose or f"template {template.name}"
    title = f"building the environment of {whose} (once; it is kept under {cache})"
    with shown(title) as tell, writing_cache(cache):
        python = build_environment(environment, template, cache, tell, inherited=os.environ, places=places)
    note(f"environment ready in {time.monotonic() - started:.0f} s: {python}")
    return python


def prepare(template: Template, interpreter: Path, is_stopped: Callable[[], bool] = lambda: False) -> Prepared | None:
    """The data of the template's profile, made first if it does not exist. None if the template prepares none.

    Raises: UsageError with the last line of a command that failed; StopRequested.
    """
    if template.spec.prepare is None:
        return None
    store = store_of(data_cache(), template)
    name = template.spec.name + (f" at profile {template.profile}" if template.profile else "")
    limit_gib = data_limit_gib()
    title = f"preparing the data of template {name} (once; it is kept under {store})"
    with contextlib.suppress(OSError):
        store.parent.mkdir(parents=True, exist_ok=True)
    claim(store)
    with shown(title) as tell, writing_cache(store):
        prepared = prepare_data(
            template, interpreter, store, os.environ, tell, max_gib=limit_gib, is_stopped=is_stopped
        )
    if prepared.made:
        note(f"data ready in {prepared.seconds:.0f} s: {prepared.bytes / 2**30:.3g} GiB in {prepared.training}")
    return prepared


@contextmanager
def shown(title: str) -> Iterator[Callable[[str], None]]:
    """Take lines of progress. A terminal shows the last one at its foot. Without one, each is printed below `title`."""
    with open_foot() as foot:
        told = False

        def tell(line: str) -> None:
            nonlocal told
            if not told:
                note(title)
                told = True
            if foot:
                foot.update(line)
            else:
                note(f"  {line[:LINE_CHARS]}")

        yield tell


WITHOUT_SANDBOX = (
    "WARNING: --sandbox off: code that a model writes runs with your rights. It can read your keys and files, change "
    "them and reach the network, and every result says that it was made without a sandbox."
)


def announce_sandbox(sandbox: Sandbox) -> None:
    """Print the sandbox of the runs, and what it does not prevent."""
    if sandbox.kind == "off":
        say(WITHOUT_SANDBOX)
    else:
        missed = f" ({sandbox.missed})" if sandbox.missed else ""
        note(
            f"sandbox: {sandbox.kind}{missed}"
            + (f"; it leaves open: {'; '.join(sandbox.gaps)}" if sandbox.gaps else "")
            + (f"; {INSTALL_BWRAP}" if NOT_INSTALLED in sandbox.missed else "")
        )


def hold_own_code() -> str:
    """Sandbox to ask for around a template's own code, which no model wrote: that of its later runs, or none."""
    wanted = os.environ.get("SCIENTIST_SANDBOX") or "auto"
    try:
        choose_sandbox(wanted)
    except UsageError as error:
        if wanted != "auto":
            raise
        say(f"{error}. The template's own code runs without one.")
        return "off"
    return wanted


def choose_interpreter(template: Template) -> Path:
    """The template's environment, built if needed, or our own interpreter if the template has none.

    Raises: UsageError if the environment cannot be built, or if the preparation of data would refuse its setting.
    """
    data_limit_gib()
    if not template.spec.environment.install:
        return without_steps_up(Path(sys.executable))
    return build(template.spec.environment, template.folder, environment_cache())


def check_variables() -> None:
    """Read the variables that are needed late, before anything is made.

    Raises: UsageError naming the one that cannot be used.
    """
    refuse_typing_errors(os.environ)
    template_roots()
    data_limit_gib()
    sandbox, known = os.environ.get("SCIENTIST_SANDBOX") or "auto", [choice.value for choice in SandboxChoice]
    if sandbox not in known:
        raise UsageError(f"SCIENTIST_SANDBOX={sandbox}", f"is not one of {', '.join(known)}", "set one, or unset it")


# Variables that a person sets, without those that a template names for itself.
VARIABLES = (
    "SCIENTIST_AIDER",
    "SCIENTIST_CACHE",
    "SCIENTIST_DATA_MAX_GIB",
    "SCIENTIST_MODEL",
    "SCIENTIST_PATIENCE_S",
    "SCIENTIST_PROFILE",
    "SCIENTIST_SANDBOX",
    "SCIENTIST_TEMPLATE",
    "SCIENTIST_TEMPLATES",
    "SCIENTIST_WORKSPACES",
)
OPTIONS = frozenset(option.name for option in fields(LaunchSettings))
# Those that a run is given.
OF_A_RUN = frozenset(f"SCIENTIST_{name}" for name in ("CONFINE", "EVALUATION_DATA", "SEED", "SMOKE", "TRAINING_DATA"))


def refuse_typing_errors(environment: Mapping[str, str]) -> None:
    """Refuse a variable that is nearly one of ours, or an option that none sets: it would be passed over in silence.

    Raises: UsageError that names both.
    """
    for name in sorted(environment):
        if not name.upper().startswith("SCIENTIST") or name in OF_A_RUN or name in VARIABLES:
            continue
        option = name.removeprefix("SCIENTIST_").lower()
        if option in OPTIONS:
            flag = f"--{option.replace('_', '-')}"
            raise UsageError(f"{name}={environment[name]}", "is no variable of scientist", f"give {flag}, or unset it")
        if near := difflib.get_close_matches(name.upper().replace("-", "_"), VARIABLES, 1, 0.88):
            raise UsageError(
                f"{name}={environment[name]}", "is no variable of scientist", f"write {near[0]}, or unset it"
            )


def check_writable(folder: Path) -> None:
    """Make the workspaces folder and write to it, and leave nothing there.

    Raises: UsageError if it cannot be made or written.
    """
    made: list[Path] = []
    try:
        made = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            str(folder), f"cannot be written: {error.strerror}", "name another folder with --workspaces"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # another launch uses it already
            for place in made:
                place.rmdir()


def refuse_colon(folder: Path) -> None:
    """Raises: UsageError if a run could not import what lies in the folder: PYTHONPATH is divided at a colon."""
    if ":" in str(folder.absolute()):
        problem = "has a colon in its path, and runs could not import sealed/"
        where = f"--workspaces {folder}" + ("" if folder.is_absolute() else f": {folder.absolute()}")
        raise UsageError(where, problem, "name another folder")


def require_cache(template: Template, interpreter: Path | None) -> None:
    """Look, before anything is said, whether what the runs lack can be made. interpreter: as --python has it.

    Raises: UsageError if the environment or the data are missing, and there is no folder for them that can be written.
    """
    environment, missing = template.spec.environment, None
    if environment.install and not interpreter:
        is_ready = environment_for(environment, template.folder, environment_cache(), python_places(os.environ))
        missing = None if is_ready else environment_cache()
    if template.spec.prepare and not missing:
        store = store_of(data_cache(), template)
        missing = None if store.is_dir() else store
    if missing and (remark := check_cache(missing, is_needed=True)).is_fault:
        raise UsageError(f"cache {missing}", f"cannot be written: {remark.detail}", remark.remedy)


def require_git() -> None:
    """Raises: UsageError if git is not installed."""
    if shutil.which("git") is None:
        raise UsageError("git", "is not installed, or not on PATH", "install it: every edit becomes a git commit")
