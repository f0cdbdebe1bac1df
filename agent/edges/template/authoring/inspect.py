"""Faults in a template's folder, all at once, before anything is run."""

from __future__ import annotations

import json
import re
import shlex
from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from pydantic import ValidationError

from agent.core.authoring.ranges import offer_ranges
from agent.core.authoring.survey import Survey, survey_scripts
from agent.core.code.search_marks import search_ranges
from agent.core.evidence.means import means_problems
from agent.core.inputs.spec import TemplateSpec
from agent.core.inputs.toml import parse_toml
from agent.core.text.remark import Remark
from agent.core.text.wording import say_not_toml, without_echoes
from agent.edges.template.authoring.new import FILL, find_fills
from agent.edges.template.frozen import walk_template
from agent.edges.template.load import GIVEN_RUN, TEMPLATE_FILE, place_fault
from agent.errors import UsageError

__all__ = ["check_files", "check_given_run", "check_marks", "find_bad_file", "read_given_run", "spec_faults"]

# "# search: log 1e-4..1e-2"
_MARK = re.compile(r"#\s*search:")


def find_bad_file(folder: Path, shown: Path) -> Remark | None:
    """The first file of a template that a launch would not copy, such as a link that leads nowhere."""
    try:
        deque(walk_template(folder), maxlen=0)
    except UsageError as error:
        return Remark("mend", str(error).replace(str(folder), str(shown)))
    return None


def spec_faults(folder: Path) -> list[Remark]:
    """Every field of template.toml that cannot be read. Empty if there is no such file."""
    path = folder / TEMPLATE_FILE
    if not path.is_file():
        return []
    text = ""
    try:
        text = path.read_text("utf-8")
        TemplateSpec.model_validate(parse_toml(text))
    except OSError as error:
        return [Remark("mend", f"{path}: cannot be read: {error.strerror}")]
    except ValidationError as error:
        return [Remark("mend", ": ".join(place_fault(path, text, fault))) for fault in without_echoes(error.errors())]
    except ValueError as error:
        return [Remark("mend", f"{path}: {say_not_toml(error)}")]
    return []


def check_files(folder: Path, spec: TemplateSpec, profile: str) -> Iterator[Remark]:
    """Check the files that the description names, the marks left to fill, and the brief."""
    where = folder / TEMPLATE_FILE
    for name in dict.fromkeys((*spec.run_files, *(n for n in spec.editable if n != "notes.txt"))):
        if not (folder / name).is_file():
            field = "run_files" if name in spec.run_files else "editable"
            yield Remark(
                "mend", f"{where}: {field} names {name}, which is not there; add it, or take it out", blocks=True
            )
    for name in dict.fromkeys((*_scripts(spec, folder), *_requirement_files(spec))):
        if not (folder / name).is_file():
            yield Remark(
                "mend", f"{where}: a command names {name}, which is not there; add it, or mend the command", blocks=True
            )
    profiles = sorted(p.stem for p in (folder / "profiles").glob("*.json"))
    there = ", ".join(profiles) or "none"
    for name in sorted({profile, spec.default_profile, *spec.profiles} - {""} - set(profiles)):
        yield Remark(
            "mend", f"{folder / 'profiles' / name}.json: is not there; add it: a JSON object (there are: {there})"
        )
    if profiles and not profile:
        yield Remark("mend", f'{where}: names no default profile; add: default_profile = "{profiles[0]}"')
    for name in profiles:
        try:
            json.loads((folder / "profiles" / f"{name}.json").read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            yield Remark("mend", f"{folder / 'profiles' / name}.json: is not JSON: {error}", blocks=True)
    for fill in find_fills(folder):
        in_code = fill.partition(":")[0].endswith(".py")
        yield Remark("mend", f"{fill} (do it, then delete this mark)", blocks=in_code)
    if where.is_file() and ((folder / "prompt.md").is_file() or not (folder / "prompt.json").is_file()):
        yield from _check_brief(folder / "prompt.md")


def survey_folder(folder: Path, spec: TemplateSpec) -> Survey:
    """What the code of a run tells by its text."""
    there = [folder / name for name in spec.run_files if name.endswith(".py") and (folder / name).is_file()]
    texts = {str(path.relative_to(folder)): path.read_bytes().decode("utf-8", "replace") for path in there}
    return survey_scripts(texts)


def check_given_run(folder: Path) -> Iterator[Remark]:
    """Metrics of a folder's own run_0/final_info.json that cannot be a baseline. Its template.toml declares none."""
    path = folder / GIVEN_RUN
    if not path.is_file():
        return
    try:
        info = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        yield Remark("mend", f"{path}: is not JSON: {error}", blocks=True)
        return
    if not isinstance(info, dict):
        yield Remark("mend", f"{path}: holds no object")
        return
    for problem in means_problems(info, (), path.name):
        yield Remark("note" if problem.endswith("is null") else "mend", f"{path.parent}: {problem}")


def read_given_run(folder: Path) -> dict[str, object] | None:
    """The results that a folder's own run_0 holds. None if there are none that can be read."""
    try:
        info = json.loads((folder / GIVEN_RUN).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return info if isinstance(info, dict) else None


def _check_brief(path: Path) -> Iterator[Remark]:
    text = path.read_text("utf-8", errors="replace") if path.is_file() else ""
    words = [line for line in text.splitlines() if line.strip() and not line.startswith("#") and FILL not in line]
    if not words and FILL not in text:
        state = "is empty" if path.is_file() else "is not there"
        yield Remark(
            "mend", f"{path}: {state}, so a model is not told its task; write what is studied and what must stay"
        )


def _scripts(spec: TemplateSpec, folder: Path) -> Iterator[str]:
    """Python files of the template that commands start, by their place in it."""
    commands = [spec.command, spec.plot]
    commands += [step.command for step in (spec.evaluate, spec.prepare) if step]
    for command in commands:
        try:
            words = shlex.split(command)
        except ValueError:
            continue  # loading the template says so
        for word in words[1:2]:
            name = word.replace("{sealed}", "sealed")
            if name.endswith(".py") and not Path(name).is_absolute():
                yield name


def _requirement_files(spec: TemplateSpec) -> Iterator[str]:
    for environment in (spec.environment, *(p.environment for p in spec.profiles.values())):
        for arguments in environment.install if environment else ():
            for option, value in pairwise(arguments):
                if option in ("-r", "--requirement", "-c", "--constraint"):
                    yield value


def check_marks(folder: Path, spec: TemplateSpec) -> Iterator[Remark]:
    """Name the search ranges for offline/sweep, the marks that cannot be read, or settings that could be marked."""
    found: list[str] = []
    texts: dict[str, str] = {}
    for name in spec.run_files:
        text = (folder / name).read_bytes().decode("utf-8", "replace") if (folder / name).is_file() else ""
        texts |= {name: text} if name in spec.editable else {}
        for number, line in enumerate(text.split("\n"), start=1):
            ranges = search_ranges(line)
            found += [r.name for r in ranges] if name in spec.editable else []
            if ranges and name not in spec.editable:
                how = f"take {name} into editable, if ideas may change it"
                yield Remark(
                    "mend", f"{folder / name}:{number}: this search range is of a file that may not change; {how}"
                )
            elif not ranges and _MARK.search(line) and not line.lstrip().startswith("#"):
                how = "write: LR = 1e-3  # search: log 1e-4..1e-2"
                yield Remark("mend", f"{folder / name}:{number}: this search range cannot be read; {how}")
    if found:
        yield Remark("ok", f"offline/sweep can vary {', '.join(found)}")
        return
    offers = list(offer_ranges(texts, str(folder)))
    how = (
        "mark a constant, as below"
        if offers
        else "mark one at the module's first level: LR = 1e-3  # search: log 1e-4..1e-2"
    )
    yield Remark("note", f"{folder}: offline/sweep has nothing to vary; {how}")
    yield from offers
