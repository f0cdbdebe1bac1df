from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.edges.template.variables import preparation_environment, resolve_command, run_environment
from agent.errors import UsageError

PYTHON = Path("/opt/env with space/bin/python")
INHERITED = {
    "PATH": "/usr/bin::relative:/bin:/opt/env with space/bin",
    "LANG": "de_DE.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "HOME": "/root",
    "CUDA_VISIBLE_DEVICES": "1",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "OMP_NUM_THREADS": "4",
    "LD_LIBRARY_PATH": "/opt/lib",
}
SECRETS = dict.fromkeys(
    (
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "NVIDIA_API_KEY",
        "NVIDIA_NIM_API_KEY",
        "HF_TOKEN",
        "GITHUB_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "https_proxy",
        "HTTP_PROXY",
        "SSH_AUTH_SOCK",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "LD_PRELOAD",
        "LC_MY_TOKEN",
        "BASH_FUNC_x%%",
        "SCIENTIST_SMOKE",
    ),
    "canary",
)


def make(*, smoke: bool = False, sealed: Path | None = None, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    return run_environment(
        interpreter=PYTHON,
        sealed=sealed,
        home=Path("/step/home"),
        seed=7,
        smoke=smoke,
        extra=extra or {},
        inherited=INHERITED | SECRETS,
    )


def test_allowed_variables_pass_and_the_rest_is_set() -> None:
    assert make() == {
        "PATH": "/opt/env with space/bin:/usr/bin:/bin",
        "HOME": "/step/home",
        "USER": "experiment",
        "LOGNAME": "experiment",
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "MPLBACKEND": "Agg",
        "SCIENTIST_SEED": "7",
    } | {name: INHERITED[name] for name in INHERITED if name not in ("PATH", "HOME")}


def test_no_secret_reaches_a_real_process() -> None:
    code = "print(open('/proc/self/environ').read().replace(chr(0), chr(10)))"
    seen = subprocess.check_output([sys.executable, "-I", "-c", code], env=make(smoke=True), text=True)
    assert "canary" not in seen
    assert "SCIENTIST_SMOKE=1" in seen and "HOME=/step/home" in seen


def test_smoke_and_sealed_are_set_only_when_they_apply() -> None:
    assert not {"SCIENTIST_SMOKE", "PYTHONPATH"} & make(extra={"SCIENTIST_SMOKE": "1", "PYTHONPATH": "/x"}).keys()
    environment = make(smoke=True, sealed=Path("/t/sealed"))
    assert (environment["SCIENTIST_SMOKE"], environment["PYTHONPATH"]) == ("1", "/t/sealed")


def test_template_variables_change_settings_but_not_what_is_ours() -> None:
    environment = make(extra={"OMP_NUM_THREADS": "1", "TORCH_DETERMINISTIC": "1", "HOME": "/root"})
    assert (environment["OMP_NUM_THREADS"], environment["TORCH_DETERMINISTIC"]) == ("1", "1")
    assert environment["HOME"] == "/step/home"


def test_defaults_without_anything_inherited() -> None:
    environment = run_environment(
        interpreter=PYTHON, sealed=None, home=Path("/h"), seed=0, smoke=False, extra={}, inherited={}
    )
    assert environment["PATH"] == "/opt/env with space/bin:/usr/local/bin:/usr/bin:/bin"
    assert environment["LANG"] == "C.UTF-8"


def test_a_preparation_gets_what_downloads_need_and_the_templates_word_comes_first() -> None:
    inherited = INHERITED | SECRETS | {"HF_HUB_OFFLINE": "0", "ALL_PROXY": "socks5://p"}
    environment = preparation_environment(
        interpreter=PYTHON, sealed=None, home=Path("/store"), extra={"HF_HUB_OFFLINE": "1"}, inherited=inherited,
        max_gib=0.5,
    )  # fmt: skip
    added = {name: environment[name] for name in environment.keys() - make().keys()}
    assert added == {
        "HF_HUB_OFFLINE": "1",
        "HF_TOKEN": "canary",
        "https_proxy": "canary",
        "HTTP_PROXY": "canary",
        "ALL_PROXY": "socks5://p",
        "SCIENTIST_DATA_MAX_GIB": "0.5",
    }
    assert environment["HOME"] == "/root" and "SCIENTIST_SEED" not in environment


@pytest.mark.parametrize("name", ["python", "python3", "python3.11"])
def test_python_in_front_is_the_experiments_interpreter(name: str) -> None:
    command = f"{name} experiment.py --out_dir=run_3 --note 'a b'"
    assert resolve_command(command, PYTHON) == (str(PYTHON), "experiment.py", "--out_dir=run_3", "--note", "a b")


def test_other_programs_are_left_alone() -> None:
    assert resolve_command("bash run.sh python", PYTHON) == ("bash", "run.sh", "python")
    assert resolve_command("/usr/bin/python3 x.py", PYTHON) == ("/usr/bin/python3", "x.py")
    assert resolve_command("pythonic x.py", PYTHON) == ("pythonic", "x.py")


@pytest.mark.parametrize("command", ["", "  ", "python 'x"])
def test_command_that_is_none_is_refused(command: str) -> None:
    with pytest.raises(UsageError):
        resolve_command(command, PYTHON)
