"""Folders that commands look in: templates, ideas, prepared data and environments."""

from __future__ import annotations

import os
from pathlib import Path

from agent.cli.terminal import read_redactor
from agent.core.inputs.idea import Idea, parse_ideas
from agent.errors import UsageError


def template_roots() -> list[Path]:
    """./templates, then the folders of SCIENTIST_TEMPLATES."""
    extra = os.environ.get("SCIENTIST_TEMPLATES", "")
    return [Path("templates"), *(Path(p) for p in extra.split(os.pathsep) if p)]


def data_cache() -> Path:
    """Where the data that templates prepared is kept, a folder for each template."""
    return environment_cache() / "data"


def data_limit_gib() -> float | None:
    """Size to which each template's data is held; None leaves it to the template.

    Raises: UsageError where SCIENTIST_DATA_MAX_GIB is no size.
    """
    text = os.environ.get("SCIENTIST_DATA_MAX_GIB", "").strip()
    if not text:
        return None
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise UsageError(f"SCIENTIST_DATA_MAX_GIB={text}", "is no size in GiB", "set it to a number such as 100")
    return limit


def environment_cache() -> Path:
    """Where the experiments' virtual environments are kept."""
    base = os.environ.get("SCIENTIST_CACHE")
    if base:
        return Path(base)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scientist"


def read_ideas(path: Path) -> list[Idea]:
    """Raises: UsageError where the file cannot be read or used."""
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise UsageError(
            str(path), f"cannot be read: {error.strerror}", "name an ideas file, as ideas/sae_synth.json"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(str(path), f"is not UTF-8: {error}") from error
    return parse_ideas(read_redactor()(text), str(path))
