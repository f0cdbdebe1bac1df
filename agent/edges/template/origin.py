"""What a template's runs are made by, as digests that a baseline's row records."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from agent.core.code.digest import imported_modules
from agent.core.inputs.spec import TemplateSpec
from agent.edges.template.requirements import find_requirements
from agent.errors import UsageError

__all__ = ["Given", "data_digest", "given_origin", "modules_of", "template_origin"]

_SKIPPED = frozenset({"baselines", "profiles", "sealed", "latex", "refs"})
_WORDS = frozenset({"template.toml", "prompt.json", "notes.txt", "seed_ideas.json", "ideas.json"})
WHOLE_BYTES = 1 << 26  # data beyond this much are read in samples
SAMPLES, SAMPLE_BYTES = 16, 1 << 16


def template_origin(folder: Path, spec: TemplateSpec, files: Mapping[str, str], profile_text: str) -> dict[str, str]:
    """The parts of an origin that the template's folder holds, but for the code that `run_files` names.

    spec: at the profile. files: those that go into a run.
    """
    return {
        "sealed": _digest_files(folder / "sealed", _walk(folder / "sealed")),
        "files": _digest_files(folder, _others(folder, spec, files)),
        "profile": _digest(json.dumps(json.loads(profile_text), sort_keys=True) if profile_text else ""),
        "settings": _digest(json.dumps(_settings(spec), sort_keys=True)),
    }


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
    for path in _walk(folder):
        name = path.relative_to(folder)
        top = name.parts[0]
        if len(name.parts) > 1 and (top in _SKIPPED or top.startswith("run_")):
            continue
        is_words = len(name.parts) == 1 and name.suffix == ".md"
        is_other_list = name.name.startswith("requirements") and str(name) not in wanted
        if not (str(name) in passed or is_words or is_other_list):
            yield path


def _plots(spec: TemplateSpec, files: Mapping[str, str]) -> set[str]:
    """Scripts that draw figures and that no run imports."""
    used = {module for name in spec.run_files for module in imported_modules(files.get(name, ""))}
    return {word for word in spec.plot.split() if word.endswith(".py") and Path(word).stem not in used}


def _walk(folder: Path) -> Iterator[Path]:
    """Regular files below a folder in a fixed order, without hidden and compiled ones. Links are followed once."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def _digest_files(base: Path, paths: Iterator[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        if path.is_file():
            total.update(os.fsencode(path.relative_to(base)) + b"\0")
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Given:
    """What a call brings to a template's runs."""

    interpreter: Path
    data: Path | None = None
    # Names of the folders of prepared data; empty if the template prepares none, None if they are not known yet.
    training: str | None = ""
    evaluation: str | None = ""


def given_origin(given: Given, folder: Path, spec: TemplateSpec, files: Mapping[str, str]) -> dict[str, str]:
    """The parts of an origin that options and the machine bring: data, and the packages that the code imports.

    files: those that go into a run.

    Raises: UsageError if the data cannot be read.
    """
    parts = {
        "data": data_digest(given.data) if given.data else "",
        "training": given.training,
        "evaluation": given.evaluation,
    }
    origin = {part: name for part, name in parts.items() if name is not None}
    try:
        version, found = find_requirements(modules_of(folder, spec, files), given.interpreter)
    except UsageError:  # an old Python: its packages stay unknown
        return origin
    pins = sorted(f"{one.name}=={one.version}" for one in found if one.version)
    return origin | {"packages": " ".join([f"python=={version.removeprefix('>=')}", *pins])}


def modules_of(folder: Path, spec: TemplateSpec, files: Mapping[str, str]) -> list[str]:
    """Top-level names of the modules that runs and evaluations import, but for the template's own."""
    texts = [text for name, text in files.items() if name.endswith(".py") and name not in _plots(spec, files)]
    sealed = [path for path in _walk(folder / "sealed") if path.suffix == ".py" and path.is_file()]
    texts += [path.read_bytes().decode("utf-8", "replace") for path in sealed]
    own = {Path(name).parts[0].removesuffix(".py") for name in files}
    own |= {path.relative_to(folder / "sealed").parts[0].removesuffix(".py") for path in sealed}
    return sorted({module for text in texts for module in imported_modules(text)} - own - {"__future__"})


def data_digest(folder: Path) -> str:
    """Digest of a folder's names, sizes and contents. Of files in large data, evenly spread samples are read.

    Raises: UsageError if it cannot be read.
    """
    total = hashlib.sha256()
    try:
        sizes = [(path, path.stat().st_size) for path in _walk(folder) if path.is_file()]
        whole = sum(size for _, size in sizes) <= WHOLE_BYTES
        for path, size in sizes:
            total.update(os.fsencode(path.relative_to(folder)) + f"\0{size}\0".encode())
            for chunk in _chunks(path, size, whole=whole):
                total.update(chunk)
    except OSError as error:
        raise UsageError(f"--data {folder}", f"{error.filename or folder} cannot be read: {error.strerror}") from error
    return total.hexdigest()[:16]


def _chunks(path: Path, size: int, *, whole: bool) -> Iterator[bytes]:
    with path.open("rb") as file:
        if whole or size <= SAMPLES * SAMPLE_BYTES:
            while chunk := file.read(1 << 20):
                yield chunk
            return
        for n in range(SAMPLES):
            file.seek((size - SAMPLE_BYTES) * n // (SAMPLES - 1))
            yield file.read(SAMPLE_BYTES)
