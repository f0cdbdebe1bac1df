"""Every option of every command and every variable, given a wrong value: one line that holds it and its origin."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from enum import EnumType
from pathlib import Path
from typing import Any

import pytest

from agent.cli import app
from agent.cli.table import COMMANDS
from tests.cli.conftest import Scientist
from tests.paths import QUADRATIC

FOREIGN = ("Input", "valid integer", "valid number", "unable to parse", "pydantic", "Traceback", "unexpected", " int,")
TEMPLATE = str(QUADRATIC)
# What each command needs before its own option is looked at, and the wrong value of an option that takes any text
NEEDS: dict[str, list[str]] = {
    "launch": ["ideas.json", "--template", TEMPLATE],
    "resume": ["--all"],
    "stop": ["--all"],
    "show": ["."],
    "export": ["ideas.json"],
    "setup": [TEMPLATE],
    "template new": ["walk", "--from", "train.py"],
    "template check": [TEMPLATE],
    "baseline": [TEMPLATE],
    "idea new": ["Warm up"],
}
TEXTS = {
    "--idea": "gravity",
    "--template": "no-such-template",
    "--profile": "enormous",
    "--model": "nothing",
    "--fallback-model": "nothing",
    "--editor-model": "nothing",
    "--reviewer-model": "nothing",
    "--ideas": "no-such-ideas",
    "--python": "/no/python",
    "--data": "/no/data",
    "--workspaces": "/dev/null/x",
    "--from": "/no/script.py",
    "--into": "/dev/null/x",
    "--out": "/dev/null/x",
}
# A filter of rows, and doctor's options, which it examines one by one and calls FAIL
EXAMINED = {("baseline", "--only")} | {("doctor", option) for option in TEXTS}


def leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for inner, found in command.commands.items():
            yield from leaves(f"{name} {inner}", found)
    else:
        yield name, command


def wrong_values(parameter: Any) -> list[str]:
    kind = parameter.type_descriptor.annotation
    if kind is bool:
        return []
    if kind in (int, float):
        low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
        values = ["many", "", *(["1.5"] if kind is int else ["nan", "inf"])]
        return values + [str(bound) for bound in (low is not None and low - 1, high is not None and high + 1) if bound]
    if isinstance(kind, EnumType) or "Choice" in str(kind) or parameter.opts[0] in ("--editor", "--pause-before"):
        return ["sideways"]
    return [TEXTS[parameter.opts[0]]] if parameter.opts[0] in TEXTS else []


def cases() -> Iterator[tuple[str, Any, str]]:
    for name in COMMANDS:
        for title, command in leaves(name, app.load_command(name)):
            for parameter in command.params:
                if parameter.param_type_name == "option" and (title, parameter.opts[0]) not in EXAMINED:
                    yield from ((title, parameter, value) for value in wrong_values(parameter))


def assert_told(done: Any, value: str, *origins: str) -> None:
    assert done.returncode == 2 and not done.stdout, done
    assert done.stderr.count("\n") == 1, done.stderr
    assert value in done.stderr and any(origin in done.stderr for origin in origins), (value, done.stderr)
    assert not any(word in done.stderr for word in FOREIGN), done.stderr


def test_every_option_with_a_wrong_value(scientist: Scientist, folder: Path) -> None:
    (folder / "train.py").write_text("print('loss: 1')\n")
    seen = set()
    for title, parameter, value in cases():
        option = parameter.opts[0]
        needs = list(NEEDS.get(title, []))
        if option in needs:
            del needs[needs.index(option) : needs.index(option) + 2]
        done = scientist(*title.split(), *needs, option, value, COLUMNS="200")
        assert_told(done, value, option)
        assert not list(folder.glob("workspaces/*/*"))
        seen.add((title, option))
    assert len(seen) > 50


def test_every_option_with_a_wrong_value_in_the_file(scientist: Scientist, folder: Path) -> None:
    for title, parameter, value in cases():
        option, kind = parameter.opts[0].removeprefix("--"), parameter.type_descriptor.annotation
        if title not in ("launch", "resume") or not value or "list" in str(kind):
            continue
        shown = value if kind in (int, float) and value != "many" else f'"{value}"'
        (folder / "scientist.toml").write_text(f"# mine\n[{title}]\n{option} = {shown}\n")
        needs = ["ideas.json", *(["--template", TEMPLATE] if option != "template" else [])]
        done = scientist(title, *(needs if title == "launch" else ["--all"]))
        assert_told(done, value, f"scientist.toml:3: [{title}] {option} = {shown}")


VARIABLES = {
    "SCIENTIST_MODEL": "nothing",
    "SCIENTIST_TEMPLATE": "no-such-template",
    "SCIENTIST_PROFILE": "enormous",
    "SCIENTIST_PATIENCE_S": "soon",
    "SCIENTIST_SANDBOX": "sideways",
    "SCIENTIST_WORKSPACES": "/dev/null/x",
    "SCIENTIST_TEMPLATES": "/no/templates",
    "SCIENTIST_DATA_MAX_GIB": "lots",
    "SCIENTIST_AIDER": "/no/aider",
}


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_with_a_wrong_value(scientist: Scientist, name: str) -> None:
    needs = ["ideas.json", *(["--template", TEMPLATE] if name != "SCIENTIST_TEMPLATE" else [])]
    needs += ["--model", "openai/gpt-4o", "--editor", "aider"] if name == "SCIENTIST_AIDER" else []
    value = VARIABLES[name]
    assert_told(
        scientist("launch", *needs, OPENAI_API_KEY="sk-0123456789abcdef", **{name: value}), value, f"{name}={value}: "
    )


@pytest.mark.parametrize("option", ["--data", "--python", "--workspaces"])
def test_an_empty_path_as_of_an_unset_variable_is_refused(scientist: Scientist, option: str) -> None:
    for typed in ([option, ""], [f"{option}="]):
        done = scientist("launch", "ideas.json", "--template", TEMPLATE, *typed)
        assert done.returncode == 2 and f"{option} '': is empty" in done.stderr, done.stderr


def test_an_argument_with_a_wrong_value_is_told(scientist: Scientist) -> None:
    assert_told(scientist("show", ".", "first"), '"first": is no run number', "show: RUN")


def test_a_place_that_is_empty_is_refused_wherever_it_stands(scientist: Scientist, folder: Path) -> None:
    (folder / "train.py").write_text("print('loss: 1')\n")
    for title, command in (pair for name in COMMANDS for pair in leaves(name, app.load_command(name))):
        for parameter in command.params:
            is_argument, kind = parameter.param_type_name == "argument", str(parameter.type_descriptor.annotation)
            name = (parameter.metavar or "").rstrip(".") if is_argument else parameter.opts[0]
            if "Path" not in kind and name not in ("IDEAS", "TEMPLATE", "--template"):
                continue
            needs = {"tell": [["x"]], "diff": [["1"]], "idea new": [["Warm up"]]}.get(title, [[]])[0]
            before = [word for word in NEEDS.get(title, []) if name != "--template" or word not in (name, TEMPLATE)]
            given = ["", *needs] if is_argument else [*before, name, ""]
            if not is_argument and title == "init":
                continue  # --template of init names several
            done = scientist(*title.split(), *given)
            assert_told(done, f"{name} ''", "is empty")
    for option in ("data", "python", "workspaces", "template"):
        (folder / "scientist.toml").write_text(f'[launch]\n{option} = ""\n')
        done = scientist("launch", "ideas.json", *([] if option == "template" else ["--template", TEMPLATE]))
        assert_told(done, f'{option} = ""', "scientist.toml:2")
    assert not list(folder.glob("*/*"))


def test_a_value_with_line_breaks_is_told_in_one_line(scientist: Scientist, folder: Path) -> None:
    launch = ("launch", "ideas.json", "--template", TEMPLATE)
    for option in ("--template", "--model", "--python", "--data", "--profile", "--idea", "--sandbox", "--max-runs"):
        assert_told(scientist(*launch, option, "a\nb\rc"), "a\\nb\\rc", option)
    for name in ("SCIENTIST_MODEL", "SCIENTIST_SANDBOX", "SCIENTIST_PATIENCE_S", "SCIENTIST_PROFILE"):
        assert_told(scientist(*launch, **{name: "a\nb"}), "a\\nb", f"{name}=")
    for command in ("show", "status", "launch", "stop", "lau\nnch"):
        done = scientist(command, "a\nb")
        assert (done.returncode == 2 and done.stderr.count("\n") == 1) or command == "status", done


def test_the_value_that_is_wrong_is_named_and_not_one_beside_it(scientist: Scientist, folder: Path) -> None:
    shutil.copytree(QUADRATIC, folder / "mine")
    for arguments, told in (
        (("launch", "mine", "--template", "mine"), "mine: cannot be read: Is a directory"),
        (("launch", "ideas.json", "--template", "mine", "--python", "mine"), "--python mine: is a folder"),
        (("launch", "ideas.json", "--template", "mine", "--profile", "huge"), "--profile huge: template mine: has no"),
        (("launch", "ideas.json", "--template", "mine", "--data", "ideas.json"), "--data ideas.json: is not a folder"),
    ):
        assert scientist(*arguments).stderr.startswith(f"scientist: {told}")
    told = scientist("launch", "ideas.json", "--template", "mine", SCIENTIST_PROFILE="huge").stderr
    assert told.startswith("scientist: SCIENTIST_PROFILE=huge: template mine: has no profile 'huge'")


def test_a_name_that_is_nearly_right_is_proposed(scientist: Scientist, folder: Path) -> None:
    for text, meant in (
        ("[launch]\nmax_runz = 3", "did you mean max-runs?"),
        ("[launch]\nmodle = 'x'", "did you mean model?"),
        ("[lanch]\nmodel = 'x'", "did you mean [launch]?"),
        ("[Launch]", "did you mean [launch]?"),
        ("[launch]\nzzz = 3", "see: scientist launch --help"),
    ):
        (folder / "scientist.toml").write_text(text)
        assert_told(scientist("launch", "ideas.json"), meant, "scientist.toml:")
    (folder / "scientist.toml").write_bytes(b"\xef\xbb\xbf[launch]\r\nmax-runs = 0\r\n")
    assert_told(scientist("launch", "ideas.json"), "max-runs = 0", "scientist.toml:2")


def test_an_ideas_file_that_never_ends_is_refused(scientist: Scientist, folder: Path) -> None:
    os.mkfifo(folder / "pipe.json")
    (folder / "zero.json").symlink_to("/dev/zero")
    with (folder / "large.json").open("wb") as file:
        file.truncate((64 << 20) + 1)
    for name, told in (
        ("pipe.json", "pipe.json:1:1: not JSON"),
        ("zero.json", "zero.json: is no file"),
        ("large.json", "large.json: is larger than 64 MiB"),
    ):
        assert_told(scientist("launch", name, "--template", TEMPLATE), told, name)
