"""scientist.toml: options by command, below the command line and SCIENTIST_*, and rules by model."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, get_origin

import typer
from typer.exceptions import TyperException

from agent.cli.table import COMMANDS
from agent.core.inputs.toml import parse_toml
from agent.core.text.wording import find_toml_line, say_not_toml, say_reason, show_value
from agent.errors import ScientistError, UsageError

SETTINGS_FILE = Path("scientist.toml")
MODELS_SECTION = "models"


def read_file(path: Path = SETTINGS_FILE) -> dict[str, Any]:
    """The sections of the file. There are none if there is no file.

    Raises: UsageError naming the file.
    """
    if not (path.exists() or path.is_symlink()):
        return {}
    try:
        return parse_toml(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(str(path), f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(str(path), say_not_toml(error)) from error


def read_settings(name: str, command: Any, path: Path = SETTINGS_FILE) -> dict[str, Any]:
    """The options that the file gives to the command `name`, by parameter.

    Raises: UsageError naming the file, and the section or option.
    """
    sections = read_file(path)
    sections.pop(MODELS_SECTION, None)  # rules by model, read if a model is made
    for section, options in sections.items():
        if not isinstance(options, dict):
            where = f"{say_place(path, section)}: {section} = {say_value(options)}"
            raise UsageError(where, "stands in no section", "write [launch] and below it max-runs = 5")
        if section not in COMMANDS:
            problem, remedy = f"[{section}] is no command", "write [launch] and below it max-runs = 5"
            raise UsageError(say_place(path, section), problem, remedy)
    given: dict[str, Any] = {}
    for section in sections_of(name):
        given |= check_options(command, sections.get(section, {}), section, path)
    return given


def sections_of(name: str) -> tuple[str, ...]:
    """Sections from which a command takes its options. If an option is in both, the last section counts."""
    return ("launch", "doctor") if name == "doctor" else (name,)


def check_options(command: Any, options: dict[str, Any], title: str, path: Path) -> dict[str, Any]:
    """The options by parameter, as `max_runs`. The options of a group are by command.

    Raises: UsageError naming the file, the section and the option.
    """
    given: dict[str, Any] = {}
    names = parameters_of(command)
    for option, value in options.items():
        parameter = names.get(option.replace("-", "_"))
        if parameter is None:
            place = say_place(path, *title.split(), option)
            raise UsageError(place, f"[{title}] has no option {option}", f"see: scientist {title} --help")
        wanted = say_type(parameter)
        if not TYPES[wanted](value):
            place = say_place(path, *title.split(), option)
            raise UsageError(f"{place}: [{title}] {option} = {say_value(value)}", f"is not {wanted}")
        given[getattr(parameter, "name", option)] = value
    return given


TYPES: dict[str, Callable[[object], bool]] = {
    "a section": lambda value: isinstance(value, dict),
    "true or false": lambda value: isinstance(value, bool),
    "a whole number": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "a number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "a list of texts in quotes": lambda value: isinstance(value, list) and all(isinstance(v, str) for v in value),
    "a text in quotes": lambda value: isinstance(value, str),
}


def say_type(parameter: Any) -> str:
    """The type of value that TOML must give to a parameter, or to a command of a group."""
    if hasattr(parameter, "params"):
        return "a section"
    kind = parameter.type_descriptor.annotation
    if get_origin(kind) is list:
        return "a list of texts in quotes"
    return {bool: "true or false", int: "a whole number", float: "a number"}.get(kind, "a text in quotes")


def say_value(value: object) -> str:
    """A value as TOML writes it, near enough."""
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')


def parameters_of(command: Any) -> dict[str, Any]:
    """Parameters by each name that a file may use: their own, as `as_json`, and that of the option, as `json`."""
    if hasattr(command, "commands"):
        return dict(command.commands)
    return {
        name.lstrip("-").replace("-", "_"): parameter
        for parameter in command.params
        for name in (parameter.name, *parameter.opts)
    }


@dataclass(slots=True)
class CurrentCall:
    """The call that is going on, for messages about its settings. `agent.cli.app` sets it for each."""

    context: Any = None
    arguments: Sequence[str] = ()


CALL = CurrentCall()


def watch(command: Any) -> Any:
    """Have each call of a command noted, and its numbers and paths looked at before it runs."""
    for inner in getattr(command, "commands", {}).values():
        watch(inner)
    invoke = command.invoke

    def noted(context: Any) -> Any:
        CALL.context = context
        refuse_odd_values(context)
        return invoke(context)

    command.invoke = noted
    return command


def refuse_odd_values(context: Any) -> None:
    """Raises: UsageError for a number that is not finite, and for a path that is empty, as of an unset variable."""
    for parameter in context.command.params:
        value = context.params.get(parameter.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(say_origin(context, parameter, CALL.arguments), "is not a finite number")
        typed = say_typed(parameter.opts, CALL.arguments)
        if value == Path() and typed in (f"{parameter.opts[0]} ''", f"{parameter.opts[0]}="):
            raise UsageError(f"{parameter.opts[0]} ''", "is empty", "name a path, or leave the option out")


def say_refusal(error: ScientistError) -> str:
    """The error in one line. A wrong setting is named with its origin, if the error does not say it."""
    text, context = str(error), CALL.context
    if context is None or not isinstance(error, UsageError):
        return text
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name)
        if source is None or source.name == "DEFAULT":
            continue
        is_typed = source.name == "COMMANDLINE"
        if is_typed and parameter.param_type_name == "argument":
            continue
        if is_typed and any(name in text for name in parameter.opts):
            if text.startswith(tuple(parameter.opts)):
                return text
            continue
        value = context.params.get(parameter.name)
        for one in value if isinstance(value, list | tuple) else [value]:
            named = f"{parameter.opts[0]} {one}"
            origin = named if is_typed else say_origin(context, parameter, CALL.arguments)
            if text.startswith(named):
                return origin + text.removeprefix(named)
            if not text.startswith(origin) and isinstance(one, str | Path) and mentions(error, str(one)):
                return f"{origin}: {text}"
    return text


def mentions(error: UsageError, value: str) -> bool:
    """Whether the error speaks of the value: quoted, or as a word of its own."""
    said = f"{error.where}: {error.problem}"
    return repr(value) in said or (len(value) > 1 and value in re.findall(r"[^\s:;,']+", said))  # "/a b/c: is not"


def say_misuse(error: TyperException, arguments: Sequence[str]) -> str:
    """One line about a wrong option, variable or line of a file, with the reason."""
    context = getattr(error, "ctx", None)
    title = context.command_path if context else "scientist"
    parameter = getattr(error, "param", None)
    if not isinstance(error, typer.BadParameter) or parameter is None or not error.message:
        return f"{title}: {error.format_message()}"
    origin = say_origin(context, parameter, arguments)
    if parameter.param_type_name == "argument":
        wrong = find_input(error)
        origin += f" {wrong}" if wrong else ""
    return f"{title}: {origin}: {say_reason(error.message)}; see: {title} --help"


def find_input(error: BaseException | None) -> str:
    """The value that a chain of errors began with. Empty if it is not known."""
    from pydantic import ValidationError  # it loads slowly, and `scientist --help` needs none

    while error is not None:
        if isinstance(error, ValidationError):
            return show_value(error.errors()[0]["input"])
        error = error.__cause__ or error.__context__
    return ""


def say_origin(context: Any, parameter: Any, arguments: Sequence[str]) -> str:
    """Origin and value of a setting: an option, SCIENTIST_MODEL=x, or scientist.toml: [launch] model = "x"."""
    match context.get_parameter_source(parameter.name).name:
        case "DEFAULT_MAP":
            file = read_file()
            names = {parameter.name, *(name.lstrip("-").replace("-", "_") for name in parameter.opts)}
            found = [
                f"{say_place(SETTINGS_FILE, section, option)}: [{section}] {option} = {say_value(value)}"
                for section in sections_of(context.info_name)
                for option, value in file.get(section, {}).items()
                if option.replace("-", "_") in names
            ]
            return found[-1] if found else f"{SETTINGS_FILE}: {parameter.name}"
        case "ENVIRONMENT":
            return f"{parameter.envvar}={os.environ.get(parameter.envvar, '')}"
        case _:
            return say_typed(parameter.opts, arguments)


def say_typed(names: Sequence[str], arguments: Sequence[str]) -> str:
    """An option as it was typed, with its value."""
    for argument, following in pairwise([*arguments, ""]):
        if argument in names:
            return f"{argument} {following or repr('')}"
        if argument.partition("=")[0] in names:
            return argument
    return names[0]


def say_place(path: Path, *keys: str) -> str:
    """The file, with the line that sets the key."""
    try:
        line = find_toml_line(path.read_text("utf-8"), keys)
    except (OSError, ValueError):
        line = None
    return f"{path}:{line}" if line else str(path)
