"""What a template's runs are made by, as digests that a baseline's row records."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from agent.core.code.digest import imported_modules
from agent.core.evidence.baseline import primary_metric
from agent.core.evidence.numbers import is_cost
from agent.core.inputs.companions import is_run_folder, select_companions
from agent.core.inputs.spec import TemplateSpec
from agent.edges.sandbox.gpus import name_gpus
from agent.edges.template.contents import digest_files, digest_place, digest_text, walk_files
from agent.edges.template.requirements import Requirement, find_requirements
from agent.errors import UsageError

__all__ = ["Given", "data_digest", "given_origin", "modules_of", "needed_modules", "template_origin"]

_SKIPPED = frozenset({"baselines", "profiles", "sealed", "latex", "refs"})
_WORDS = frozenset({"template.toml", "prompt.json", "notes.txt", "seed_ideas.json", "ideas.json"})
# Variables of the caller by which a run's arithmetic differs, and its speed.
_PRECISION = ("NVIDIA_TF32_OVERRIDE",)
_THREADS = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "NUMBA", "RAYON", "TORCH")
# Packages that compute without a GPU and bring none that does.
_ON_CPU = frozenset(
    {
        "joblib", "matplotlib", "networkx", "numpy", "pandas", "pillow", "psutil", "pyyaml", "requests", "rich",
        "scikit-learn", "scipy", "seaborn", "statsmodels", "sympy", "tqdm", "typer",
    }
)  # fmt: skip
# "model name\t: AMD EPYC 9654 96-Core Processor"
_CPU = re.compile(r"^model name\s*: (.+)$", re.MULTILINE)


def template_origin(folder: Path, spec: TemplateSpec, files: Mapping[str, str], profile_text: str) -> dict[str, str]:
    """The parts of an origin that the template's folder holds, but for the code that `run_files` names.

    spec: at the profile. files: those that go into a run.
    """
    return {
        "sealed": digest_files(folder / "sealed", walk_files(folder / "sealed", hidden=True)),
        "files": digest_files(folder, _others(folder, spec, files)),
        "profile": digest_text(json.dumps(json.loads(profile_text), sort_keys=True) if profile_text else ""),
        "settings": digest_text(json.dumps(_settings(spec), sort_keys=True)),
    } | ({"order": _say_order(spec, files)} if spec.run_files[1:] else {})


def _say_order(spec: TemplateSpec, files: Mapping[str, str]) -> str:
    """Lengths of several files of code: their hash is that of one text after the other."""
    return " ".join(f"{name}:{len(files.get(name, ''))}" for name in spec.run_files)


def _settings(spec: TemplateSpec) -> list[object]:
    """The fields of template.toml on which a number may depend."""
    evaluate = spec.evaluate
    return [
        spec.command,
        [evaluate.command, evaluate.runs_experiment_code] if evaluate else [],
        spec.prepare.command if spec.prepare else "",
        [list(arguments) for arguments in spec.environment.install],
        dict(spec.environment.variables),
        list(spec.sandbox.read),
    ]


def _others(folder: Path, spec: TemplateSpec, files: Mapping[str, str]) -> Iterator[Path]:
    """Files on which a run's numbers may depend, and that neither run_files nor sealed/ hold."""
    wanted = {value for line in spec.environment.install for name, value in pairwise(line) if name in ("-r", "-c")}
    passed = _WORDS | _plots(spec, files) | set(spec.run_files)
    for path in walk_files(folder):
        name = path.relative_to(folder)
        top = name.parts[0]
        if len(name.parts) > 1 and (top in _SKIPPED or is_run_folder(top)):
            continue
        is_words = len(name.parts) == 1 and name.suffix == ".md" and not any(top in text for text in files.values())
        is_other_list = name.name.startswith("requirements") and str(name) not in wanted
        if not (str(name) in passed or is_words or is_other_list):
            yield path


def _plots(spec: TemplateSpec, files: Mapping[str, str]) -> set[str]:
    """Scripts that draw figures and that no run imports."""
    used = {module for name in spec.run_files for module in imported_modules(files.get(name, ""))}
    return {word for word in spec.plot.split() if word.endswith(".py") and Path(word).stem not in used}


@dataclass(frozen=True, slots=True)
class Given:
    """All that a call brings to a template's runs."""

    # Python that runs the experiment.
    interpreter: Path
    # Folder of --data.
    data: Path | None = None
    # Name of the folder of prepared data; empty if the template prepares none, None if it is not known yet.
    training: str | None = ""
    # The same of prepared data for evaluation.
    evaluation: str | None = ""
    # Variables of the caller. None: nobody asks where the runs are made.
    inherited: Mapping[str, str] | None = None
    # File in which digests of large files are remembered.
    store: Path | None = None


def given_origin(given: Given, folder: Path, spec: TemplateSpec, files: Mapping[str, str]) -> dict[str, str]:
    """The parts of an origin that options and the machine bring: data, packages that the code imports, the device.

    files: those that go into a run.

    Raises: UsageError if the data cannot be read.
    """
    parts = {
        "data": data_digest(given.data, given.store) if given.data else "",
        "training": given.training,
        "evaluation": given.evaluation,
    }
    origin = {part: name for part, name in parts.items() if name is not None}
    if spec.sandbox.read:
        places = (f"{path} {data_digest(Path(path), given.store, 'sandbox.read')}" for path in spec.sandbox.read)
        origin["read"] = digest_text("\n".join(places))
    found: list[Requirement] = []
    try:
        version, found = find_requirements(modules_of(folder, spec, files), given.interpreter)
        pins = sorted(_pin(one) for one in found)
        origin["packages"] = " ".join([f"python=={version.removeprefix('>=')}", *pins])
        origin["below"] = " ".join(sorted({pin for one in found for pin in one.below}))
    except UsageError:  # too old a Python to say
        origin |= {"packages": f"unknown:{given.interpreter}", "below": ""}
    if given.inherited is None:
        return origin
    has_own = all(one.name.lower() in _ON_CPU for one in found) and not origin["packages"].startswith("unknown")
    return origin | _place_of(spec, {**given.inherited, **spec.environment.variables}, on_cpu=has_own)


def _pin(one: Requirement) -> str:
    """Package and version, and the digest of its sources if they lie in a folder that somebody edits."""
    folder = Path(one.folder) if one.folder else None
    code = (path for path in walk_files(folder) if path.suffix == ".py") if folder and folder.is_dir() else None
    return f"{one.name}=={one.full or 'unknown'}" + (f"@{digest_files(folder, code)}" if folder and code else "")


def _place_of(spec: TemplateSpec, variables: Mapping[str, str], *, on_cpu: bool) -> dict[str, str]:
    """Device and machine of a run. Of a metric that is a time they decide. on_cpu: no package uses a GPU."""
    gpus = () if on_cpu else name_gpus(variables.get("CUDA_VISIBLE_DEVICES"))
    threads = [f"{name}={variables[name]}" for name in (f"{t}_NUM_THREADS" for t in _THREADS) if variables.get(name)]
    count = len(os.sched_getaffinity(0))
    machine = "; ".join([*gpus, _name_cpu(), "1 CPU" if count == 1 else f"{count} CPUs", *threads])
    precision = " ".join(f"{name}={variables[name]}" for name in _PRECISION if gpus and variables.get(name))
    primary = primary_metric(spec)
    timed = {"clock": machine} if primary and is_cost(primary.name, spec.metrics) else {}
    return {"device": "GPU" if gpus else "CPU", "machine": machine, "precision": precision} | timed


def _name_cpu() -> str:
    try:
        found = _CPU.search(Path("/proc/cpuinfo").read_text("utf-8", "replace"))
    except OSError:
        return "CPU"
    return found[1].strip() if found else "CPU"


def data_digest(place: Path, store: Path | None = None, origin: str = "--data") -> str:
    """Digest of the names and contents of a folder. origin: where it was named.

    Raises: UsageError if it cannot be read.
    """
    try:
        return digest_place(place, store)
    except OSError as error:
        problem = f"{error.filename or place} cannot be read: {error.strerror}"
        raise UsageError(f"{origin} {place}", problem) from error


def modules_of(folder: Path, spec: TemplateSpec, files: Mapping[str, str]) -> list[str]:
    """Top-level names of the modules that runs and evaluations import, but for the template's own."""
    texts = [text for name, text in files.items() if name.endswith(".py") and name not in _plots(spec, files)]
    beside = _packages_beside(folder, files)
    texts += _imported_texts(texts, beside)
    sealed = [path for path in walk_files(folder / "sealed") if path.suffix == ".py" and path.is_file()]
    texts += [path.read_bytes().decode("utf-8", "replace") for path in sealed]
    own = {Path(name).parts[0].removesuffix(".py") for name in files} | beside.keys()
    own |= {path.relative_to(folder / "sealed").parts[0].removesuffix(".py") for path in sealed}
    return sorted({module for text in texts for module in imported_modules(text)} - own - {"__future__"})


def needed_modules(folder: Path, spec: TemplateSpec, files: Mapping[str, str]) -> list[str]:
    """Top-level names of the modules that `run_files` import, also by modules of the folder, but for those modules."""
    texts = [files[name] for name in spec.run_files if name.endswith(".py") and name in files]
    beside = _packages_beside(folder, files)
    own = {name.removesuffix(".py"): [text] for name, text in files.items() if name.endswith(".py")} | beside
    texts += _imported_texts(texts, own)
    sealed = {path.name.removesuffix(".py") for path in (folder / "sealed").glob("*")}
    return sorted({module for text in texts for module in imported_modules(text)} - own.keys() - sealed)


def _packages_beside(folder: Path, files: Mapping[str, str]) -> dict[str, list[str]]:
    """Texts of Python files in the folder's sub-folders that runs find, by the sub-folder."""
    inside = (str(path.relative_to(folder)) for path in walk_files(folder) if path.suffix == ".py")
    found: dict[str, list[str]] = {}
    for name in select_companions((name for name in inside if "/" in name), files, ()):
        text = (folder / name).read_bytes().decode("utf-8", "replace")
        found.setdefault(Path(name).parts[0], []).append(text)
    return found


def _imported_texts(texts: Sequence[str], packages: Mapping[str, Sequence[str]]) -> list[str]:
    """Code of the packages that the texts import, and of those that these import."""
    found: list[str] = []
    waiting, seen = list(texts), set[str]()
    while waiting:
        for name in sorted((imported_modules(waiting.pop()) & packages.keys()) - seen):
            seen.add(name)
            found += packages[name]
            waiting += packages[name]
    return found
