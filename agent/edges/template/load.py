"""Templates on disk: found by name, checked, and read as one value."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent.core.evidence.baseline import Baseline, in_declared_order
from agent.core.evidence.means import means_metrics
from agent.core.evidence.numbers import read_number
from agent.core.evidence.origin import HELD, Lineage, say_doubt, say_remedy, sum_up
from agent.core.evidence.variants import Bearings, plan_tasks, trace_rows
from agent.core.inputs.companions import select_companions
from agent.core.inputs.foreign import describe_foreign
from agent.core.inputs.named import check_frontier, check_profiles
from agent.core.inputs.spec import Control, Environment, Metric, TemplateSpec
from agent.core.inputs.toml import parse_toml
from agent.core.text.wording import find_toml_line, say_field, say_not_toml
from agent.edges.template.frozen import hash_folder, walk_template
from agent.edges.template.origin import template_origin
from agent.edges.template.variables import resolve_command
from agent.errors import UsageError

TEMPLATE_FILE = "template.toml"
GIVEN_RUN = Path("run_0", "final_info.json")  # of an AI-Scientist folder
HIDDEN = "hidden"
_NOT_CODE = frozenset({TEMPLATE_FILE, "prompt.md", "prompt.json", "seed_ideas.json", "requirements.txt", "README.md"})


@dataclass(frozen=True, slots=True)
class Template:
    """A template at one of its profiles."""

    # Its metrics, controls and environment are this profile's.
    spec: TemplateSpec
    # Holds template.toml and the experiment.
    folder: Path
    # Of all files in the folder.
    hash: str
    # Task and field, for the model.
    brief: str
    # Texts that go into a workspace's repository, by path.
    files: dict[str, str]
    # Empty if the template has no profiles.
    profile: str
    # The profile's whole file. Empty if the template has no profiles.
    profile_text: str
    # Stored runs of this profile; () if there are none. Each carries the doubt in it, if there is one.
    baselines: tuple[Baseline, ...]
    # What is known of their making.
    lineage: Lineage
    # An AI-Scientist folder, without template.toml.
    foreign: bool
    # Paths of other files in the folder, which steps find beside the code.
    companions: tuple[str, ...] = ()

    @property
    def sealed(self) -> Path | None:
        folder = self.folder / "sealed"
        return folder if folder.is_dir() else None

    @property
    def reads_means(self) -> bool:
        """Whether all numbers under `means` of final_info.json are metrics, since none is declared."""
        return not self.spec.metrics

    @property
    def given(self) -> frozenset[str]:
        """Paths of files that a step finds, and has not written."""
        return frozenset({*self.files, *self.companions})

    @property
    def public_profile(self) -> str:
        """The profile without its key "hidden", as a run may know it."""
        profile = json.loads(self.profile_text) if self.profile_text else None
        if not isinstance(profile, dict) or HIDDEN not in profile:
            return self.profile_text
        return json.dumps({key: value for key, value in profile.items() if key != HIDDEN}, indent=1) + "\n"


def find_template(name: str, roots: Sequence[Path]) -> Path:
    """The folder that `name` means: itself a folder, or one of that name under a root.

    Raises: UsageError listing the templates there are.
    """
    candidates = [Path(name), *(root / name for root in roots)]
    for folder in candidates:
        marks = (folder / TEMPLATE_FILE, folder / "experiment.py")
        if any(mark.is_file() or mark.is_symlink() for mark in marks):  # loading it says where a link leads
            return folder.resolve()
    for folder in candidates:
        if folder.is_dir():
            raise UsageError(f"template {folder}", "has no experiment.py", "add one, or name another template")
    known = sorted({f.name for f in list_templates(roots)})
    raise UsageError(f"template {name!r}", "not found", "there are: " + (", ".join(known) or "none"))


def list_templates(roots: Sequence[Path]) -> list[Path]:
    """Every template folder under the roots. Of two with the same name, the one under the earlier root."""
    folders = [f for root in roots if root.is_dir() for f in sorted(root.iterdir()) if f.is_dir()]
    found: dict[str, Path] = {}
    for folder in folders:
        if (folder / TEMPLATE_FILE).is_file() or (folder / "experiment.py").is_file():
            found.setdefault(folder.name, folder)
    return list(found.values())


def read_spec(folder: Path) -> TemplateSpec:
    """template.toml of the folder, or the description that stands for it in an AI-Scientist folder.

    Raises: UsageError naming file and field.
    """
    path = folder / TEMPLATE_FILE
    if not path.exists():
        return describe_foreign(folder.name, [one.name for one in folder.glob("*") if one.is_file()])
    text = ""
    try:
        text = path.read_text("utf-8")
        return TemplateSpec.model_validate(parse_toml(text))
    except OSError as error:
        raise UsageError(str(path), f"cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise UsageError(*place_fault(path, text, error.errors()[0])) from error
    except ValueError as error:
        raise UsageError(str(path), say_not_toml(error)) from error


def place_fault(path: Path, text: str, fault: Mapping[str, Any]) -> tuple[str, str]:
    """File, line and words of one of pydantic's errors about template.toml."""
    line = find_toml_line(text, fault["loc"])
    return f"{path}:{line}" if line else str(path), f"field {say_field(fault)}"


def load_template(folder: Path, profile: str = "", brought: Mapping[str, str] | None = None) -> Template:
    """Read a template folder at a profile (its default one if none is named).

    brought: parts of an origin that the folder does not hold, as data. Baselines must agree with them too.

    Raises: UsageError naming the file at fault.
    """
    folder_hash = hash_folder(folder)
    whole = read_spec(folder)
    for name in whole.run_files:
        if not (folder / name).is_file():
            raise UsageError(f"template {folder}", f"has no {name}", "its command runs that file")
    steps = (whole.prepare, whole.evaluate)
    for command in (whole.command, whole.plot, *(step.command for step in steps if step)):
        if command:
            resolve_command(command, Path("python"))
    check_profiles(whole, profile_names(folder), str(folder / TEMPLATE_FILE))
    foreign = not (folder / TEMPLATE_FILE).is_file()
    profile = profile or whole.default_profile
    spec = at_profile(whole, profile)
    check_frontier(spec, str(folder / TEMPLATE_FILE))
    files, profile_text = _read_code(folder, spec), _read_profile(folder, profile)
    parts = _Parts(folder, spec, profile, files, profile_text, brought or {})
    baselines, lineage = _read_baselines(parts)
    template = Template(
        spec=spec,
        folder=folder,
        hash=folder_hash,
        brief=_read_brief(folder, profile),
        files=files,
        profile=profile,
        profile_text=profile_text,
        baselines=baselines,
        lineage=lineage,
        foreign=foreign,
        companions=_find_companions(folder, spec, files),
    )
    doubt = say_doubt(lineage, strict=False)
    return withhold(template, f"{doubt}; {_say_remedy(template)}") if doubt else template


def withhold(template: Template, doubt: str) -> Template:
    """The template with baselines that judge no run, for that reason."""
    return replace(template, baselines=tuple(replace(b, doubt=doubt) for b in template.baselines))


def _say_remedy(template: Template) -> str:
    profile = f" --profile {template.profile}" if template.profile != template.spec.default_profile else ""
    return say_remedy(template.lineage, f"scientist baseline {shlex.quote(template.spec.name)}{profile}")


def origin_of(template: Template) -> dict[str, str]:
    """The parts of an origin that the template's folder holds, but for its code."""
    return template_origin(template.folder, template.spec, template.files, template.profile_text)


def environment_of(spec: TemplateSpec, profile: str) -> Environment:
    """The profile's own environment, else the template's."""
    own = spec.profiles.get(profile)
    return (own and own.environment) or spec.environment


def at_profile(spec: TemplateSpec, profile: str) -> TemplateSpec:
    """The template's description with the metrics, controls and environment of one profile alone."""
    return spec.model_copy(
        update={
            "metrics": tuple(m for m in spec.metrics if not m.profiles or profile in m.profiles),
            "controls": tuple(c for c in spec.controls if not c.profiles or profile in c.profiles),
            "diagnostics": tuple(d for d in spec.diagnostics if not d.profiles or profile in d.profiles),
            "environment": environment_of(spec, profile),
        }
    )


def profile_names(folder: Path) -> list[str]:
    return sorted(p.stem for p in (folder / "profiles").glob("*.json"))


def _read_text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def _read_code(folder: Path, spec: TemplateSpec) -> dict[str, str]:
    """The named files, every other Python file beside them, and a notes.txt to write in."""
    names = {*spec.editable, *spec.run_files} | {p.name for p in folder.glob("*.py")}
    found = {n: _read_text(folder / n) for n in sorted(names - _NOT_CODE) if (folder / n).is_file()}
    return {"notes.txt": "# Notes\n"} | found


def _find_companions(folder: Path, spec: TemplateSpec, files: Mapping[str, str]) -> tuple[str, ...]:
    code = (text for name, text in files.items() if name.endswith(".py") and name not in spec.plot.split())
    return select_companions((str(path.relative_to(folder)) for path in walk_template(folder)), files, code)


def _read_brief(folder: Path, profile: str) -> str:
    """prompt.md, followed by profiles/<profile>.md if there is one."""
    if (folder / "prompt.md").is_file():
        parts = [folder / "prompt.md", folder / "profiles" / f"{profile}.md"]
        return "\n\n".join(_read_text(path).strip() for path in parts if path.is_file())
    if (folder / "prompt.json").is_file():
        prompt = _read_json(folder / "prompt.json")
        if isinstance(prompt, dict):
            return "\n\n".join(str(prompt[key]) for key in ("system", "task_description") if prompt.get(key))
    return ""


def _read_json(path: Path) -> object:
    try:
        return json.loads(_read_text(path))
    except OSError as error:
        raise UsageError(str(path), f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(str(path), f"is not JSON: {error}") from error


def _read_profile(folder: Path, profile: str) -> str:
    profiles = profile_names(folder)
    if not profile and not profiles:
        return ""
    path = folder / "profiles" / f"{profile}.json"
    if profile not in profiles:
        raise UsageError(
            f"template {folder.name}", f"has no profile {profile!r}", "it has: " + (", ".join(profiles) or "none")
        )
    _read_json(path)
    return _read_text(path)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of a template that its baselines are held against."""

    # Holds template.toml.
    folder: Path
    # At the profile.
    spec: TemplateSpec
    # Name of the profile.
    profile: str
    # Those that go into a run.
    files: dict[str, str]
    # The profile's whole file.
    profile_text: str
    # Parts of the origin that the folder does not hold.
    brought: Mapping[str, str]


def _read_baselines(parts: _Parts) -> tuple[tuple[Baseline, ...], Lineage]:
    """The stored rows of a profile, and what is known of their making."""
    folder, spec, profile = parts.folder, parts.spec, parts.profile
    if not (folder / TEMPLATE_FILE).is_file():
        return _given_baseline(folder), Lineage()
    rows = {path.stem: _read_row(path) for path in sorted((folder / "baselines" / profile).glob("*.json"))}
    if not rows:
        return () if spec.metrics else _given_baseline(folder), Lineage()
    variants = spec.profiles[profile].baselines if profile in spec.profiles else ()
    try:
        tasks, problem = {task.stem: task for task in plan_tasks(variants, str(folder / TEMPLATE_FILE))}, ""
    except UsageError as error:
        tasks, problem = {}, str(error)
    is_recorded = any(HELD in raw for raw in rows.values())
    origin = template_origin(folder, spec, parts.files, parts.profile_text) if is_recorded else {}
    here = Bearings(parts.files, spec.run_files, profile, origin | dict(parts.brought))
    known = trace_rows(rows, tasks, here)
    found = in_declared_order([_to_baseline(raw, spec) for raw in rows.values()], variants)
    return found, sum_up(known, tasks.keys(), f"baselines/{profile}", problem)


def _read_row(path: Path) -> dict[str, object]:
    raw = _read_json(path)
    if not isinstance(raw, dict) or not isinstance(raw.get("name"), str) or type(raw.get("seed", 0)) is not int:
        problem = "is not a baseline: it needs name, seed, final_info and evaluation"
        raise UsageError(str(path), problem, "delete it; `scientist baseline` makes a declared one again")
    return raw


def _to_baseline(raw: Mapping[str, object], spec: TemplateSpec) -> Baseline:
    declared: list[Metric | Control] = [*spec.metrics, *spec.controls]
    readings = [(m.name, read_number(raw.get(m.source), m.path)) for m in declared]
    values = {n: v for n, v in readings if v is not None}
    seed = raw.get("seed", 0)
    assert isinstance(seed, int)
    return Baseline(str(raw["name"]), seed, values, setting=str(raw.get("setting", "")))


def _given_baseline(folder: Path) -> tuple[Baseline, ...]:
    path = folder / GIVEN_RUN
    if not path.is_file():
        return ()
    info = _read_json(path)
    means = means_metrics(info) if isinstance(info, dict) else {}
    return (Baseline("run_0", 0, means),) if means else ()
