"""scientist.toml: options by command, below the command line and SCIENTIST_*, and rules by model."""

from __future__ import annotations

import errno
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, get_origin

import typer
from typer.exceptions import TyperException

from agent.cli.table import COMMANDS
from agent.core.inputs.toml import parse_toml
from agent.core.text.wording import find_near, find_toml_line, say_not_toml, say_reason, show_value
from agent.errors import ScientistError, UsageError, in_one_line

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
            problem = f"[{section}] is no command"
            meant = find_near(section, COMMANDS)
            remedy = f"did you mean [{meant}]?" if meant else "write [launch] and below it max-runs = 5"
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
            meant = find_near(option.replace("-", "_"), names).replace("_", "-")
            remedy = f"did you mean {meant}?" if meant else f"see: scientist {title} --help"
            raise UsageError(place, f"[{title}] has no option {option}", remedy)
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
    """Take a leading ~ of a path for a home, as no shell does behind "=" or in a file.

    Raises: UsageError for a number that is not finite, and for a path or a name that is empty, as of an unset variable.
    """
    for parameter in context.command.params:
        value = context.params.get(parameter.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(say_origin(context, parameter, CALL.arguments), "is not a finite number")
        if is_empty(context, parameter):
            remedy = "name one" if parameter.required else "name one, or leave it out"
            raise UsageError(say_empty(context, parameter), "is empty", remedy)
        if isinstance(value, Path):
            context.params[parameter.name] = Path(at_home(str(value)))
        elif isinstance(value, list | tuple):
            context.params[parameter.name] = [Path(at_home(str(v))) if isinstance(v, Path) else v for v in value]
        elif is_place(parameter):
            context.params[parameter.name] = at_home(str(value or "")) or value


def is_place(parameter: Any) -> bool:
    """Whether it takes a name as well as a path, so that it is a text: IDEAS, TEMPLATE, --template."""
    return parameter.opts[0] == "--template" or (parameter.metavar or "").rstrip(".") in ("IDEAS", "TEMPLATE")


def at_home(path: str) -> str:
    """The path with the home for a leading ~ or ~user, unless there is a file of such a name, or no such home."""
    return os.path.expanduser(path) if path.startswith("~") and not os.path.lexists(path) else path  # noqa: PTH111


def is_empty(context: Any, parameter: Any) -> bool:
    """Whether "" was given for a path or a place."""
    value = context.params.get(parameter.name)
    values = value if isinstance(value, list | tuple) else [value]
    if not any(one == Path() or (one == "" and is_place(parameter)) for one in values):
        return False
    source = context.get_parameter_source(parameter.name).name
    if source == "DEFAULT_MAP":
        return bool(context.lookup_default(parameter.name) == "")
    if source != "COMMANDLINE":
        return False
    if parameter.param_type_name == "argument":
        return "" in CALL.arguments
    return say_typed(parameter.opts, CALL.arguments) in (f"{parameter.opts[0]} ''", f"{parameter.opts[0]}=")


def say_empty(context: Any, parameter: Any) -> str:
    if context.get_parameter_source(parameter.name).name == "DEFAULT_MAP":
        return say_origin(context, parameter, CALL.arguments)
    return f"{name_of(parameter)} ''"


def name_of(parameter: Any) -> str:
    """The parameter as help names it: an option, or WS."""
    return str(parameter.metavar).rstrip(".") if parameter.param_type_name == "argument" else str(parameter.opts[0])


@dataclass(frozen=True, slots=True)
class GivenValue:
    """A value that a person gave to a parameter of the call that is going on."""

    # The value itself: one of them, if the parameter takes several.
    value: object
    # "--max-runs 5" as it is typed, also if it came from elsewhere.
    typed: str
    # The option, variable or line of a file that gave it.
    origin: str
    # Names of the option; () for an argument.
    names: tuple[str, ...]
    # Whether it stands on the command line.
    is_typed: bool


def given_values() -> Iterator[GivenValue]:
    """Every value of the call that is not a default."""
    context = CALL.context
    for parameter in context.command.params if context else ():
        source = context.get_parameter_source(parameter.name)
        if source is None or source.name == "DEFAULT":
            continue
        is_typed, is_argument = source.name == "COMMANDLINE", parameter.param_type_name == "argument"
        value = context.params.get(parameter.name)
        for one in value if isinstance(value, list | tuple) else [value]:
            typed = in_one_line(f"{name_of(parameter)} {one}")
            origin = typed if is_typed else say_origin(context, parameter, CALL.arguments)
            yield GivenValue(one, typed, origin, () if is_argument else tuple(parameter.opts), is_typed)


def say_refusal(error: ScientistError) -> str:
    """The error in one line. A wrong setting is named with its origin, if the error does not say it."""
    text, given = str(error), list(given_values())
    if not isinstance(error, UsageError):
        return text
    for one in given:
        if one.names and text.startswith(one.typed):
            return one.origin + text.removeprefix(one.typed)
    if any(text.startswith(one.names) for one in given if one.names):
        return text
    options = [one for one in given if one.names and isinstance(one.value, str | Path)]
    untold = [one for one in options if not (one.is_typed and any(name in text for name in one.names))]
    named = [one for one in untold if mentions(error, str(one.value))]
    culprit = next((one for one in named if repr(str(one.value)) in error.problem), None)
    if not culprit and any(not one.names and one.is_typed and text.startswith(f"{one.value}:") for one in given):
        return text  # it speaks of what an argument names
    culprit = culprit or next(iter(named), None)
    return f"{culprit.origin}: {text}" if culprit and not text.startswith(culprit.origin) else text


# What is wrong with a place, rather than with the machine or with us
_PLACE_FAULTS = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR}
)


def say_unusable(error: Exception) -> str:
    """One line for a path that cannot be entered, read or written, if a person named it or a folder above. Else ""."""
    if not isinstance(error, OSError) or error.errno not in _PLACE_FAULTS or not isinstance(error.filename, str):
        return ""
    path = os.path.abspath(error.filename)  # noqa: PTH100 - resolve() follows links, which may be the fault
    for one in given_values():
        place = os.path.abspath(str(one.value)) if isinstance(one.value, str | Path) else ""  # noqa: PTH100
        if place and (path == place or path.startswith(f"{place.rstrip('/')}/")):
            which = "" if path == place else f"{in_one_line(error.filename)} "
            return f"{one.origin}: {which}cannot be used: {error.strerror}"
    return ""


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
        return in_one_line(f"{title}: {error.format_message()}")
    origin = say_origin(context, parameter, arguments)
    if parameter.param_type_name == "argument":
        origin = f"{name_of(parameter)} {find_input(error)}".rstrip()
    return in_one_line(f"{title}: {origin}: {say_reason(error.message)}; see: {title} --help")


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
            return in_one_line(f"{parameter.envvar}={os.environ.get(parameter.envvar, '')}")
        case _:
            return in_one_line(say_typed(parameter.opts, arguments))


def say_typed(names: Sequence[str], arguments: Sequence[str]) -> str:
    """An option as it was typed, with its value: the last one counts."""
    found = names[0]
    for argument, following in pairwise([*arguments, ""]):
        if argument in names:
            found = f"{argument} {following or repr('')}"
        elif argument.partition("=")[0] in names:
            found = argument
    return found


def say_place(path: Path, *keys: str) -> str:
    """The file, with the line that sets the key."""
    try:
        line = find_toml_line(path.read_text("utf-8"), keys)
    except (OSError, ValueError):
        line = None
    return f"{path}:{line}" if line else str(path)
