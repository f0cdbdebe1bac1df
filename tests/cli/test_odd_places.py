"""Homes, caches, interpreters and paths as machines really have them: they work, or are refused in one line."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli import app, drive, environment, places
from agent.cli.commands import launch
from agent.cli.commands.launch import announce_given_run
from agent.cli.drive import load_keys
from agent.cli.environment import check_python, check_variables, refuse_typing_errors
from agent.cli.settings import at_home
from agent.cli.terminal import read_redactor
from agent.edges.doctor.machine import check_cache, check_git
from agent.edges.template.load import load_template
from agent.errors import UsageError
from tests.cli.conftest import Scientist
from tests.paths import QUADRATIC


def nobody(uid: int) -> None:
    raise KeyError(uid)


@pytest.fixture
def needy(folder: Path) -> Path:
    """A template with an environment, which cannot be built."""
    shutil.copytree(QUADRATIC, folder / "needy")
    spec = folder / "needy" / "template.toml"
    spec.write_text(spec.read_text() + '\n[environment]\ninstall = [["--no-index", "nothing==1"]]\n')
    return folder / "needy"


@pytest.mark.parametrize(
    ("home", "xdg", "cache", "found"),
    [
        ("/a b", None, None, "/a b/.cache/scientist"),
        ("/a", "/x", None, "/x/scientist"),
        ("/a", "x", None, "/a/.cache/scientist"),
        ("rel", None, "/c", "/c"),
        (None, None, None, "/of/the/database/.cache/scientist"),
        ("", None, None, "/of/the/database/.cache/scientist"),
        ("/", None, None, "/.cache/scientist"),
        ("rel", "/x", None, "/x/scientist"),
    ],
)
def test_the_cache_lies_where_the_variables_say(
    home: str | None, xdg: str | None, cache: str | None, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = pwd.struct_passwd(("a", "x", 1, 1, "", "/of/the/database", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: entry)
    for name, value in (("HOME", home), ("XDG_CACHE_HOME", xdg), ("SCIENTIST_CACHE", cache)):
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    assert places.environment_cache() == Path(found)


def test_a_cache_that_is_named_by_a_relative_path_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCIENTIST_CACHE", "my cache")
    assert places.environment_cache() == tmp_path / "my cache"


@pytest.mark.parametrize(
    ("home", "said"),
    [
        ("", "HOME: is not set, and user "),
        ("work", "HOME=work: is no absolute path; set HOME, or SCIENTIST_CACHE to a folder of yours"),
    ],
)
def test_without_a_home_what_needs_one_is_refused_and_the_rest_works(
    scientist: Scientist, needy: Path, home: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    variables = {"HOME": home, "SCIENTIST_CACHE": "", "XDG_CACHE_HOME": ""}
    for arguments in (("setup", needy), ("launch", "ideas.json", "--template", needy)):
        done = scientist(*arguments, **variables)
        assert done.returncode == 2 and done.stderr.startswith(f"scientist: {said}"), done.stderr
        assert done.stderr.count("\n") == 1
    assert f"FAIL  cache: {said}" in scientist("doctor", "--template", needy, **variables).stdout
    for arguments in (("status",), ("status", "--json"), ("templates",), ("baseline", QUADRATIC, "--dry-run")):
        assert "unexpected" not in scientist(*arguments, **variables).stderr
    assert scientist("status", "--json", **variables).returncode == 0


@pytest.mark.parametrize(
    "cache",
    [
        "/dev/null/x",
        "/" + "a" * 300,
        # Found by the same probe.
        *(pytest.param(cache, marks=pytest.mark.slow) for cache in ("/proc/x", "/etc/passwd")),
    ],
)
def test_a_cache_that_cannot_be_written_is_one_line_and_a_fail_in_doctor(
    scientist: Scientist, needy: Path, cache: str
) -> None:
    for arguments in (("setup", needy), ("launch", "ideas.json", "--template", needy)):
        done = scientist(*arguments, SCIENTIST_CACHE=cache)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
        assert f"cache {cache}: " in done.stderr and "set SCIENTIST_CACHE to a folder of yours" in done.stderr
    assert "FAIL  cache: " in scientist("doctor", "--template", needy, SCIENTIST_CACHE=cache).stdout


def test_a_cache_that_holds_all_need_not_be_written() -> None:
    assert check_cache(Path("/proc/x"), is_needed=False).level == "ok"
    assert check_cache(Path("/proc/x"), is_needed=True).level == "FAIL"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SCIENTIST_DATA_MAX_GIB", "lots", "is no size in GiB"),
        ("SCIENTIST_DATA_MAX_GIB", "-1", "is no size in GiB"),
        ("SCIENTIST_DATA_MAX_GIB", "nan", "is no size in GiB"),
        ("SCIENTIST_SANDBOX", "maybe", "is not one of auto, bwrap, landlock, off"),
        ("SCIENTIST_TEMPLATES", "/nowhere", "is not a folder"),
    ],
)
def test_a_variable_is_refused_before_an_environment_is_built(
    scientist: Scientist, needy: Path, tmp_path: Path, name: str, value: str, said: str
) -> None:
    for arguments in (
        ("launch", "ideas.json", "--template", needy, "--sandbox", "off"),
        ("setup", needy),
        ("template", "check", needy),
        ("resume", "--all"),
    ):
        if arguments[0] == "launch" and name == "SCIENTIST_SANDBOX":
            continue  # the option counts
        done = scientist(*arguments, SCIENTIST_CACHE=str(tmp_path / "cache"), **{name: value})
        assert done.returncode == 2 and done.stderr.startswith(f"scientist: {name}={value}: {said}"), done.stderr
        assert done.stderr.count("\n") == 1 and not (tmp_path / "cache").exists()


def test_an_interpreter_may_be_named_as_on_path_or_by_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / "my bin"
    odd.mkdir()
    (odd / "python3.x").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{odd}:{os.environ['PATH']}")
    assert check_python(Path("python3.x")) == odd / "python3.x"
    monkeypatch.chdir(odd)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert check_python(Path("./python3.x")) == odd / "python3.x"
    monkeypatch.chdir(tmp_path)
    assert check_python(Path("my bin/python3.x")) == odd / "python3.x"
    with pytest.raises(UsageError, match=r"--python python3\.x: is no file here, and is not on PATH"):
        check_python(Path("python3.x"))


def test_variables_that_can_be_used_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIENTIST_DATA_MAX_GIB", " 1e3 ")
    monkeypatch.setenv("SCIENTIST_SANDBOX", "")
    check_variables()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("SCIENTIST_PATIENCE", "write SCIENTIST_PATIENCE_S"),
        ("SCIENTIST_DATA_MAX_GB", "write SCIENTIST_DATA_MAX_GIB"),
        ("scientist_model", "write SCIENTIST_MODEL"),
        ("SCIENTIST_MAX_RUNS", "give --max-runs"),
        ("SCIENTIST_EDITOR_MODEL", "give --editor-model"),
    ],
)
def test_a_variable_that_would_be_passed_over_is_refused(name: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"^{name}=7: is no variable of scientist; {told}, or unset it"):
        refuse_typing_errors({name: "7"})


def test_a_mark_at_the_beginning_of_env_is_no_part_of_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Windows begins a file with it."""
    monkeypatch.setenv("ODD_API_KEY", "x")  # so that it is forgotten afterwards
    monkeypatch.delenv("ODD_API_KEY")
    monkeypatch.chdir(tmp_path)
    Path(".env").write_bytes(b'\xef\xbb\xbfODD_API_KEY="sk-0123456789"\r\n')
    load_keys()
    assert os.environ["ODD_API_KEY"] == "sk-0123456789" and "0123456789" not in read_redactor()("sk-0123456789")


def test_variables_of_templates_and_runs_are_let_alone() -> None:
    names = ("SCIENTIST_SAE_PYTHON", "SCIENTIST_SAE_LM_PYTHON", "SCIENTIST_SBATCH", "SCIENTIST_SEED", "SCIENTISTS_HOME")
    refuse_typing_errors(dict.fromkeys(names, "7"))


def test_a_colon_in_the_path_of_the_workspaces_is_refused_before_anything_is_made(
    scientist: Scientist, folder: Path
) -> None:
    done = scientist("launch", "ideas.json", "--template", QUADRATIC, "--workspaces", "12:30", "--sandbox", "off")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"{folder}/12:30: has a colon in its path, and runs could not import sealed/" in done.stderr
    assert not list(folder.glob("12:30/*"))


def test_a_leading_tilde_is_the_home_also_where_no_shell_sees_it(
    scientist: Scientist, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder / "home"))
    assert scientist("idea", "new", "Warm up", "--out=~/mine.json").returncode == 0
    assert (folder / "home" / "mine.json").is_file() and not (folder / "~").exists()
    (folder / "scientist.toml").write_text('[launch]\ndata = "~/no data"\n')
    told = scientist("launch", "ideas.json", "--template", QUADRATIC).stderr
    assert told.startswith('scientist: scientist.toml:2: [launch] data = "~/no data": is not a folder')
    monkeypatch.setenv("SCIENTIST_CACHE", "~/cache")
    assert places.environment_cache() == folder / "home" / "cache"
    monkeypatch.chdir(folder)
    (folder / "~draft").mkdir()
    for path in ("~draft", "~no-such-user/x", "a~", "./~"):
        assert at_home(path) == path


def test_a_folder_that_was_removed_around_the_call_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    for command in ("status", "doctor", "template check x", "init", "resume --all", ""):
        assert app.run(command.split()) == 2
        told = capsys.readouterr().err
        assert told.startswith("scientist: the folder in which you stand: cannot be used: ") and told.count("\n") == 1
    assert app.run(["--help"]) == 0


def test_git_settings_that_do_not_parse_and_python_told_to_stay_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / ".gitconfig").write_text("[broken\n")
    call = [sys.executable, "-c", "from agent.cli.app import main; main(['show', 'nothing'])"]
    variables = os.environ | {"HOME": str(tmp_path), "PYTHONINSPECT": "1"}
    done = subprocess.run(call, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("scientist: nothing: is not a workspace"), done.stderr
    assert done.stderr.count("\n") == 1 and not done.stdout
    assert check_git().is_fault is False


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("folder", "is a folder"),
        ("./plain", "is not executable (chmod +x)"),
        ("plain", "is not executable (chmod +x)"),
        ("pipe", "is no file"),
        ("nowhere", "cannot be run: No such file or directory"),
        ("none", "is no file here, and is not on PATH"),
        ("./silent", "gave no answer within 0.2 s"),
        ("./odd", "is not a Python interpreter"),
    ],
)
def test_what_is_no_interpreter_is_called_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(environment, "ANSWER_S", 0.2 if name == "./silent" else 60.0)
    (tmp_path / "folder").mkdir()
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to("gone")
    for program, line in (("silent", "exec sleep 60"), ("odd", "printf '\\377'")):
        (tmp_path / program).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / program).chmod(0o755)
    with pytest.raises(UsageError) as raised:
        check_python(Path(name))
    assert str(raised.value).startswith(f"--python {Path(name)}: {said}")


def test_a_name_that_is_too_long_is_refused_by_every_command(scientist: Scientist, folder: Path) -> None:
    long = "n" * 300
    for command in (
        *(f"{name} {long}" for name in ("status", "show", "history", "logs", "stop", "resume", "verify", "unlock")),
        *(f"{name} {long}" for name in ("init", "setup", "baseline", "template check", "ideas", "launch")),
        f"tell {long} x",
        f"diff {long} a b",
        f"template new x --from {long}",
        f"idea new x --out {long}",
        *(f"launch ideas.json --template {QUADRATIC} {name} {long}" for name in ("--workspaces", "--data", "--python")),
        f"launch ideas.json --template {long}",
        f"launch ideas.json --template {QUADRATIC} --model replay/{long}",
    ):
        done = scientist(*command.split())
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done
        assert long in done.stderr and "unexpected" not in done.stderr, done
    assert sorted(path.name for path in folder.iterdir()) == ["ideas.json"]


def test_a_path_that_cannot_be_entered_is_named_with_its_origin(
    scientist: Scientist, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str, _: object) -> Path:  # as of a folder of another user; root may enter each
        raise PermissionError(13, "Permission denied", name + below[0])

    monkeypatch.setattr(launch, "find_template", find)
    below = [""]
    for file, told in (("", ""), ("/template.toml", "closed/template.toml ")):
        below[0] = file
        done = scientist("launch", "ideas.json", "--template", "closed")
        assert done.stderr == f"scientist: --template closed: {told}cannot be used: Permission denied\n"
        assert done.returncode == 2
    done = scientist("launch", "ideas.json", SCIENTIST_TEMPLATE="closed")
    assert done.stderr.startswith("scientist: SCIENTIST_TEMPLATE=closed: closed/template.toml cannot be used")


def test_a_file_of_keys_that_cannot_be_read_is_named(scientist: Scientist, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(drive, "load_dotenv", refuse)
    done = scientist("launch", "ideas.json", "--template", QUADRATIC)
    assert done.returncode == 2
    assert done.stderr == "scientist: .env: cannot be read: Permission denied; mend or remove it\n"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ('{"d": {"means": {"loss": 1}}}', ""),
        ('{"loss": 1}', "final_info.json has no number under `means`; the code as it is runs as run 0 instead"),
        ("[1]", "final_info.json: holds no object; the code as it is runs as run 0 instead"),
        ('{"d": {"means": {"loss": NaN, "acc": 1}}}', "loss (final_info.json: ['d', 'means', 'loss']) is NaN"),
        ('{"d": {"means": {"loss": "0.5", "acc": 1}}}', 'is the string "0.5", not a number'),
    ],
)
def test_a_launch_says_what_it_cannot_use_of_a_given_run(
    given: str, told: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "old" / "run_0").mkdir(parents=True)
    (folder / "old" / "experiment.py").write_text("LR = 1\n")
    (folder / "old" / "run_0" / "final_info.json").write_text(given)
    announce_given_run(load_template(folder / "old"))
    said = capsys.readouterr().err
    assert said.endswith(f"{told}\n") if told else not said
    how = """it holds loss; have them read by template.toml: [[metrics]], name = "loss", path = ["loss"]"""
    assert (how in said) == (given == '{"loss": 1}')


def test_a_description_that_is_a_folder_is_named(scientist: Scientist, folder: Path) -> None:
    shutil.copytree(QUADRATIC, folder / "mine")
    (folder / "mine" / "template.toml").unlink()
    (folder / "mine" / "template.toml").mkdir()
    told = scientist("launch", "ideas.json", "--template", "mine").stderr
    assert told == f"scientist: {folder}/mine/template.toml: cannot be read: Is a directory\n"


def test_completion_that_cannot_be_written_is_one_line(scientist: Scientist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/bash")
    monkeypatch.setenv("HOME", "/dev/null")
    done = scientist("--install-completion", "bash")
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done
    assert done.stderr.startswith("scientist: HOME=/dev/null: /dev/null") and "cannot be written" in done.stderr
