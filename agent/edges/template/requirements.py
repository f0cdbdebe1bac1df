"""Packages that a script imports, as they are installed for an interpreter."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agent.edges.system.child import run_probe
from agent.errors import UsageError

__all__ = ["Requirement", "find_requirements", "known_distribution", "requirements_text"]

TIME_LIMIT_S = 60.0

# Distributions that are named otherwise than the module that they bring. "-" and "_" are the same on an index.
_KNOWN = {
    "Box2D": "box2d-py", "Crypto": "pycryptodome", "Levenshtein": "python-Levenshtein", "OpenSSL": "pyOpenSSL",
    "PIL": "pillow", "absl": "absl-py", "antlr4": "antlr4-python3-runtime", "attr": "attrs", "bs4": "beautifulsoup4",
    "community": "python-louvain", "cv2": "opencv-python-headless", "dateutil": "python-dateutil",
    "docx": "python-docx", "dotenv": "python-dotenv", "faiss": "faiss-cpu", "fitz": "PyMuPDF", "git": "GitPython",
    "haiku": "dm-haiku", "hydra": "hydra-core", "hydra_plugins": "hydra-core", "ignite": "pytorch-ignite",
    "imblearn": "imbalanced-learn", "jose": "python-jose", "jwt": "PyJWT", "lightning_fabric": "lightning-fabric",
    "magic": "python-magic", "mpl_toolkits": "matplotlib", "open_clip": "open-clip-torch", "osgeo": "GDAL",
    "pkg_resources": "setuptools", "pl_bolts": "lightning-bolts", "pywt": "PyWavelets", "serial": "pyserial",
    "simple_parsing": "simple-parsing", "skbio": "scikit-bio", "skimage": "scikit-image", "sklearn": "scikit-learn",
    "skopt": "scikit-optimize", "sksurv": "scikit-survival", "skvideo": "scikit-video", "slugify": "python-slugify",
    "stable_baselines3": "stable-baselines3", "tap": "typed-argument-parser", "tree": "dm-tree", "umap": "umap-learn",
    "yaml": "PyYAML", "zmq": "pyzmq",
}  # fmt: skip

# Run by the interpreter in question; answers its version and for each module "standard", the distributions that it is
# of, or "of none" if it is there and none brought it.
_ASK = """
import importlib.metadata as m, importlib.util, json, re, sys
packages = m.packages_distributions()
found = {}


def below(dist):
    seen, waiting = {}, [dist]
    while waiting:
        name = re.sub("[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        try:
            one = m.distribution(name)
        except (m.PackageNotFoundError, ValueError):
            continue
        seen[name] = one.version
        plain = [line for line in one.requires or [] if "extra ==" not in line.replace("extra==", "extra ==")]
        waiting += [part.group() for part in (re.match("[A-Za-z0-9._-]+", line.strip()) for line in plain) if part]
    return sorted(name + "==" + str(version) for name, version in seen.items())


for name in json.load(sys.stdin):
    if name in sys.stdlib_module_names:
        found[name] = "standard"
        continue
    found[name] = []
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    places = list(spec and spec.submodule_search_locations or [])
    for dist in sorted(set(packages.get(name, []))):
        origin = json.loads(m.distribution(dist).read_text("direct_url.json") or "{}")
        edited = places[0] if places and origin.get("dir_info", {}).get("editable") else ""
        found[name].append([dist, m.version(dist), origin.get("url", ""), edited, below(dist)])
    if not found[name] and spec and spec.origin:
        found[name] = "of none"
print(json.dumps(["%d.%d" % sys.version_info[:2], found]))
"""


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package to install."""

    # Its name on the index.
    name: str
    # The installed one; empty if unknown.
    version: str
    # The module that it provides.
    module: str
    # A question to a person, if name and version do not settle it.
    note: str = ""
    # The version with its build, as "2.4.0+cu121".
    full: str = ""
    # Its sources, if it is installed as editable.
    folder: str = ""
    # It and all packages that it needs, as "numpy==2.4.1".
    below: tuple[str, ...] = ()
    # Whether it can be imported, be its version known or not.
    is_there: bool = True


def find_requirements(modules: Sequence[str], python: Path) -> tuple[str, list[Requirement]]:
    """The Python version range of the interpreter `python`, and what it has installed for `modules`.

    Raises: UsageError if the interpreter cannot be asked.
    """
    try:
        done = run_probe([python, "-I", "-c", _ASK], TIME_LIMIT_S, stdin=json.dumps(list(modules)))
        version, answers = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"--python {python}", "cannot say what is installed", "name a Python 3.10 or newer") from error
    found: dict[str, Requirement] = {}
    for module, answer in answers.items():
        if answer != "standard":
            requirement = _requirement(module, answer if answer != "of none" else [])
            requirement = replace(requirement, is_there=bool(answer))
            found.setdefault(requirement.name, requirement)
    return f">={version}", list(found.values())


def _requirement(module: str, answer: list[tuple[str, str, str, str, list[str]]]) -> Requirement:
    if not answer:
        name = known_distribution(module)
        return Requirement(name, "", module, f"which version, as {name}==1.0; imported as {module}")
    name, version, origin, folder, below = answer[0]
    note = f"it was installed from {origin}: say how others get it" if origin else ""
    if len(answer) > 1:
        note = f"{module} comes with {', '.join(dist for dist, *_ in answer)}: which is it"
    pinned = version.partition("+")[0]  # "+cpu" names a build that an index may lack
    return Requirement(name, pinned, module, note, version, folder, tuple(below))


def known_distribution(module: str) -> str:
    """The distribution that brings a module which is not installed, as far as it is known."""
    return _KNOWN.get(module, module)


def requirements_text(requirements: Sequence[Requirement]) -> str:
    """requirements.txt: a pin for each known version, a FILL remark for each question."""
    pins = [(r, f"{r.name}=={r.version}" if r.version else r.name) for r in requirements]
    return "".join(f"{pin}  # FILL: {r.note}\n" if r.note else f"{pin}\n" for r, pin in pins)
