"""The environment of a run: an allow-list, and an interpreter put first."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from agent.core.text.redact import names_a_secret
from agent.errors import UsageError

# "CUDA_VISIBLE_DEVICES", "LC_ALL"
_INHERITED = re.compile(
    r"""
    LANG | LANGUAGE | LC_[A-Z]+ | TZ
    | PATH | LD_LIBRARY_PATH
    | CUDA_(VISIBLE_DEVICES|DEVICE_ORDER|HOME|PATH|MODULE_LOADING|CACHE_PATH) | NVIDIA_[A-Z_]+
    | (HIP|ROCR)_VISIBLE_DEVICES | ROCM_PATH
    | (OMP|MKL|OPENBLAS|NUMEXPR|NUMBA|RAYON|TORCH)_NUM_THREADS
    """,
    re.VERBOSE,
)
# "HF_HUB_CACHE", "https_proxy"
_DOWNLOADS = re.compile(
    r"""
    HF_[A-Z0-9_]+ | HUGGING_?FACE_[A-Z_]+ | TRANSFORMERS_[A-Z_]+
    | HOME | XDG_CACHE_HOME
    | (HTTPS?|ALL|NO)_PROXY | (https?|all|no)_proxy
    | SSL_CERT_(FILE|DIR) | (REQUESTS|CURL)_CA_BUNDLE
    """,
    re.VERBOSE,
)
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
# "python3.12"
_PYTHON = re.compile(r"python(3(\.\d+)?)?")


def run_environment(
    *,
    interpreter: Path,
    sealed: Path | None,
    home: Path,
    seed: int,
    smoke: bool,
    extra: Mapping[str, str],
    inherited: Mapping[str, str],
) -> dict[str, str]:
    """The complete environment of a step.

    Of `inherited` only locale, time zone, device and thread settings pass. `extra`, the template's variables, may
    change those, but no variable that is set here.

    Raises: UsageError if no variable can name the folder of sealed sources.
    """
    passed = {n: value for n, value in inherited.items() if _INHERITED.fullmatch(n) and not names_a_secret(n)}
    environment = {"LANG": "C.UTF-8"} | passed | dict(extra)
    search = environment.get("PATH") or _DEFAULT_PATH
    folders = [str(interpreter.parent), *(folder for folder in search.split(":") if folder.startswith("/"))]
    environment |= {
        "PATH": ":".join(dict.fromkeys(folders)),
        "HOME": str(home),
        "USER": "experiment",  # getpass asks for these before the password database, which a sandbox may hide
        "LOGNAME": "experiment",
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "MPLBACKEND": "Agg",
        "SCIENTIST_SEED": str(seed),
    }
    for name, value in (("SCIENTIST_SMOKE", "1" if smoke else None), ("PYTHONPATH", sealed and _as_entry(sealed))):
        environment.pop(name, None)
        if value:
            environment[name] = value
    return environment


def _as_entry(folder: Path) -> str:
    if ":" in str(folder):
        problem = "has a colon in its path, at which PYTHONPATH is divided"
        raise UsageError(str(folder), problem, "use a folder without one")
    return str(folder)


def preparation_environment(
    *,
    interpreter: Path,
    sealed: Path | None,
    home: Path,
    extra: Mapping[str, str],
    inherited: Mapping[str, str],
    max_gib: float | None,
) -> dict[str, str]:
    """The environment of a template's preparation, in which no code of a model runs: a step's, and variables for
    downloads.

    Those are the user's HOME (else `home`) with its caches, hub settings and keys, proxies and certificates.
    """
    environment = run_environment(
        interpreter=interpreter, sealed=sealed, home=home, seed=0, smoke=False, extra=extra, inherited=inherited
    )
    del environment["SCIENTIST_SEED"]
    environment |= {
        name: value for name, value in inherited.items() if _DOWNLOADS.fullmatch(name) and name not in extra
    }
    if max_gib is not None:
        environment["SCIENTIST_DATA_MAX_GIB"] = f"{max_gib:g}"
    return environment


def resolve_command(command: str, interpreter: Path) -> tuple[str, ...]:
    """Split a command line as a shell would, with `python` in front replaced by the experiment's interpreter.

    Raises: UsageError when it is empty or a quote is not closed.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError("command", f"{command!r}: {error}") from error
    if not words:
        raise UsageError("command", "is empty")
    if _PYTHON.fullmatch(words[0]):
        words[0] = str(interpreter)
    return tuple(words)
