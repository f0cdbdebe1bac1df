"""scientist.toml: options by command, below the command line and SCIENTIST_*, and rules by model."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from agent.cli.table import COMMANDS
from agent.errors import UsageError

SETTINGS_FILE = Path("scientist.toml")
MODELS_SECTION = "models"


def read_file(path: Path = SETTINGS_FILE) -> dict[str, Any]:
    """The sections of the file; none if there is no file.

    Raises: UsageError naming the file.
    """
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(str(path), f"is not TOML: {error}") from error


def read_settings(name: str, command: Any, path: Path = SETTINGS_FILE) -> dict[str, Any]:
    """The options that the file gives to the command `name`, by parameter.

    Raises: UsageError naming the file, and the section or option.
    """
    sections = read_file(path)
    sections.pop(MODELS_SECTION, None)  # rules by model, read if a model is made
    for section, options in sections.items():
        if section not in COMMANDS or not isinstance(options, dict):
            raise UsageError(str(path), f"[{section}] is no command", "write [launch] and below it max-runs = 5")
    return check_options(command, sections.get(name, {}), name, path)


def check_options(command: Any, options: dict[str, Any], title: str, path: Path) -> dict[str, Any]:
    """The options by parameter, as `max_runs`; those of a group by command.

    Raises: UsageError naming the file, the section and the option.
    """
    given: dict[str, Any] = {}
    names = parameters_of(command)
    for option, value in options.items():
        parameter = names.get(option.replace("-", "_"))
        if parameter is None:
            raise UsageError(str(path), f"[{title}] has no option {option}", f"see: scientist {title} --help")
        given[parameter] = value
    return given


def parameters_of(command: Any) -> dict[str, str]:
    """Parameters by each name that a file may use: their own, as `as_json`, and that of the option, as `json`."""
    if hasattr(command, "commands"):
        return {name: name for name in command.commands}
    return {
        name.lstrip("-").replace("-", "_"): parameter.name
        for parameter in command.params
        for name in (parameter.name, *parameter.opts)
    }
