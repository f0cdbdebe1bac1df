from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zipfile import ZipFile

import pytest

from agent.core.inputs.spec import Environment
from agent.edges.template.environment import MARKER, build_environment, environment_for
from agent.edges.template.interpreters import PythonPlaces, find_python
from agent.errors import UsageError
from tests.edges.supervisor.made_steps import wait_for
from tests.paths import ROOT

WHEEL = "tiny-1.0-py3-none-any.whl"
VERSION = ".".join(map(str, sys.version_info[:3]))
NAME = "python{}.{}".format(*sys.version_info)
BARE_PYTHON = """#!/bin/sh
if [ "$3" = venv ]; then exec '{python}' -I -m venv --without-pip "$4"; fi
exec '{python}' "$@"
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """A template folder with a package that pip can install without a network."""
    template = tmp_path / "my template"
    template.mkdir()
    with ZipFile(template / WHEEL, "w") as wheel:
        wheel.writestr("tiny.py", "ANSWER = 42\n")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    return template


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """A search path with a Python whose environments come without pip, and so at once."""
    folder = tmp_path / "bare bin"
    folder.mkdir()
    python = folder / NAME
    python.write_text(BARE_PYTHON.format(python=sys.executable))
    python.chmod(0o755)
    return str(folder)


def silent(_: str) -> None:
    pass


@pytest.fixture
def own_pip(bare: str) -> str:
    """The same, with the real pip of these tests in the environments."""
    found = importlib.util.find_spec("pip")
    if found is None or found.origin is None:
        pytest.skip("these tests run without pip")
    python, packages = Path(bare) / NAME, f"$4/lib/{NAME}/site-packages"
    link = f'mkdir -p "{packages}"; ln -s "{Path(found.origin).parent}" "{packages}/pip"; '
    python.write_text(python.read_text().replace("then exec", f"then {link}exec"))
    return bare


def test_what_the_real_pip_says_is_told(template: Path, tmp_path: Path, own_pip: str) -> None:
    cache, places = tmp_path / "cache", PythonPlaces(own_pip)
    env = Environment(python=f"=={VERSION}", install=(("--no-index", "nowhere-at-all"),))
    with pytest.raises(UsageError) as caught:
        build_environment(env, template, cache, silent, inherited=os.environ, places=places)
    assert "`pip install --no-index nowhere-at-all` failed with exit code 1:" in caught.value.problem
    assert "No matching distribution found for nowhere-at-all" in caught.value.problem
    assert environment_for(env, template, cache, places) is None


@pytest.mark.parametrize("made", [pytest.param("with a pip of its own", marks=pytest.mark.slow), "own_pip"])
def test_package_is_installed_checked_and_found_again(
    template: Path, tmp_path: Path, made: str, request: pytest.FixtureRequest
) -> None:
    places = PythonPlaces(request.getfixturevalue(made)) if made == "own_pip" else None
    env = Environment(
        python=f"=={VERSION}",
        install=(("--no-index", f"./{WHEEL}"),),
        check="import tiny, os; assert os.environ['LEVEL'] == '3' and 'PYTHONPATH' not in os.environ",
        variables={"LEVEL": "3"},
    )
    cache = tmp_path / "cache"
    assert environment_for(env, template, cache, places) is None
    news: list[str] = []
    inherited = {**os.environ, "PYTHONPATH": "/nowhere"}
    python = build_environment(env, template, cache, news.append, inherited=inherited, places=places)
    assert python.is_relative_to(cache) and python == environment_for(env, template, cache, places)
    assert news[0] == f"Creating an environment with Python {VERSION}"
    assert "Successfully installed tiny-1.0" in news and news[-1] == "Checking the environment"
    code = "import tiny, sys; print(tiny.ANSWER, sys.prefix)"
    assert subprocess.check_output([python, "-c", code], text=True) == f"42 {python.parent.parent}\n"

    news.clear()
    assert build_environment(env, template, cache, news.append, inherited=os.environ, places=places) == python
    assert news == []

    other = env.model_copy(update={"check": "raise SystemExit('no kernels')"})
    with pytest.raises(UsageError, match="`check` failed with exit code 1:\nno kernels"):
        build_environment(other, template, cache, news.append, inherited=os.environ, places=places)
    assert news == ["Checking the environment"]  # a changed check installs nothing anew
    assert environment_for(other, template, cache, places) is None


def test_failing_install_is_named_with_its_last_lines(template: Path, tmp_path: Path, bare: str) -> None:
    cache = tmp_path / "cache"
    env = Environment(python=f"=={VERSION}", install=(("--quiet", "a"), ("-r", "requirements.txt")))
    with pytest.raises(UsageError, match=r"`pip install --quiet a` failed with exit code 1:\n.*No module named pip"):
        build_environment(env, template, cache, silent, inherited=os.environ, places=PythonPlaces(bare))

    pip = "import sys\nassert '--quiet' not in sys.argv or sys.exit(0)\n"
    pip += "print(*range(30), 'ERROR: no match', sep='\\n', file=sys.stderr)\nsys.exit(2)\n"
    python = Path(bare) / NAME
    place = f"$4/lib/{NAME}/site-packages/pip"
    make_pip = f'mkdir -p "{place}"; cp "{tmp_path}/pip.py" "{place}/__main__.py"; '
    (tmp_path / "pip.py").write_text(pip)
    python.write_text(python.read_text().replace("then exec", f"then {make_pip}exec"))
    with pytest.raises(UsageError) as caught:
        build_environment(env, template, cache, silent, inherited=os.environ, places=PythonPlaces(bare))
    first, *last = caught.value.problem.strip().splitlines()
    assert first == "`pip install -r requirements.txt` failed with exit code 2:"
    assert last == [*map(str, range(16, 30)), "ERROR: no match"]
    assert caught.value.where == "template environment"
    assert environment_for(env, template, cache, PythonPlaces(bare)) is None


def test_interrupted_build_is_begun_anew(template: Path, tmp_path: Path, bare: str) -> None:
    env, cache = Environment(python=f"=={VERSION}"), tmp_path / "cache"
    python = build_environment(env, template, cache, silent, inherited=os.environ, places=PythonPlaces(bare))
    (python.parent.parent / MARKER).unlink()
    (python.parent.parent / "half").touch()
    assert environment_for(env, template, cache, PythonPlaces(bare)) is None
    assert build_environment(env, template, cache, silent, inherited=os.environ, places=PythonPlaces(bare)) == python
    assert not (python.parent.parent / "half").exists()


def test_environment_whose_interpreter_is_gone_is_built_anew(template: Path, tmp_path: Path, bare: str) -> None:
    env, cache = Environment(python=f"=={VERSION}"), tmp_path / "cache"
    python = build_environment(env, template, cache, silent, inherited=os.environ, places=PythonPlaces(bare))
    python.unlink()
    assert environment_for(env, template, cache, PythonPlaces(bare)) is None
    assert build_environment(env, template, cache, silent, inherited=os.environ, places=PythonPlaces(bare)).exists()


def test_two_builds_at_once_build_once(template: Path, tmp_path: Path, bare: str) -> None:
    env = Environment(python=f"=={VERSION}", check="import time; time.sleep(0.3)")
    news: list[str] = []

    def build(_: int) -> Path:
        return build_environment(
            env, template, tmp_path / "cache", news.append, inherited=os.environ, places=PythonPlaces(bare)
        )

    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(build, range(2)))) == 1
    assert sum(line.startswith("Creating") for line in news) == 1
    assert "Waiting for another process that builds this environment" in news


BUILDS = """
import os, sys
from pathlib import Path
from agent.core.inputs.spec import Environment
from agent.edges.template.environment import build_environment
from agent.edges.template.interpreters import PythonPlaces
version, check, template, cache, bare = sys.argv[1:]
env = Environment(python=version, check=check)
build_environment(env, Path(template), Path(cache), print, inherited=os.environ, places=PythonPlaces(bare))
"""
WRITES_ON = """
import os, sys, time
from pathlib import Path
os.fork()
while True:
    for name in range(200):
        place = Path(sys.prefix, "lib", f"{os.getpid()}.{name}")
        place.mkdir(parents=True, exist_ok=True)
    Path(sys.prefix, "writes").touch()
"""


def test_a_build_whose_caller_was_killed_is_ended_and_begun_anew_by_the_next(
    template: Path, tmp_path: Path, bare: str
) -> None:
    cache = tmp_path / "cache"
    words = [f"=={VERSION}", WRITES_ON, str(template), str(cache), bare]
    killed = subprocess.Popen([sys.executable, "-c", BUILDS, *words], env={**os.environ, "PYTHONPATH": str(ROOT)})
    wait_for(lambda: list(cache.glob("*/writes")), 20.0)
    killed.kill()
    killed.wait()
    env = Environment(python=f"=={VERSION}")
    python = build_environment(env, template, cache, silent, inherited=os.environ, places=PythonPlaces(bare))
    assert python == environment_for(env, template, cache, PythonPlaces(bare))
    assert not list((python.parent.parent / "lib").glob("*.199"))


def test_a_command_that_was_killed_or_met_a_full_disk_says_so(template: Path, tmp_path: Path, bare: str) -> None:
    for check, problem, remedy in (
        ("import os; os.kill(os.getpid(), 9)", "`check` was killed by SIGKILL", "try again"),
        (
            "raise OSError(28, os.strerror(28))",
            "`check` failed with exit code 1",
            "No space left on device: free space",
        ),
    ):
        env = Environment(python=f"=={VERSION}", check=f"import os; {check}")
        with pytest.raises(UsageError, match=problem) as caught:
            build_environment(
                env, template, tmp_path / "cache", silent, inherited=os.environ, places=PythonPlaces(bare)
            )
        assert remedy in caught.value.remedy


def test_hash_follows_requirements_local_packages_and_arguments(template: Path, tmp_path: Path, bare: str) -> None:
    (template / "requirements.txt").write_text("-r more.txt  # and these\n")
    (template / "more.txt").write_text("--constraint=pins.txt\n")
    (template / "pins.txt").write_text("a==1\n")
    (template / "pkg" / "tiny").mkdir(parents=True)
    seen: set[Path] = set()
    cache = tmp_path / "cache"

    def folder(install: tuple[tuple[str, ...], ...]) -> Path:
        from agent.edges.template.environment import _choose_folder

        places = PythonPlaces(bare)
        return _choose_folder(
            Environment(install=install), template, cache, find_python(f"=={VERSION}", places), places
        )

    lists = (("-r", "requirements.txt"), ("--no-deps", "./pkg[extra]"))
    seen.add(folder(lists))
    for name in ("requirements.txt", "more.txt", "pins.txt", "pkg/tiny/__init__.py"):
        with (template / name).open("a") as file:
            file.write("# changed\n")
        seen.add(folder(lists))
    seen.add(folder(lists[:1]))
    assert len(seen) == 6
    assert folder(lists[:1]) in seen
    (template / "experiment.py").write_text("x = 1\n")
    assert folder(lists[:1]) in seen


def shim(folder: Path) -> str:
    """A folder as of pyenv's shims, in which a script starts the interpreter of the fixture `bare`."""
    folder.mkdir()
    (folder / NAME).write_text(BARE_PYTHON.format(python=sys.executable))
    (folder / NAME).chmod(0o755)
    return str(folder)


def test_an_interpreter_found_under_two_paths_has_one_environment(template: Path, tmp_path: Path, bare: str) -> None:
    env, cache = Environment(python=f"=={VERSION}"), tmp_path / "cache"
    first = PythonPlaces(bare)
    other = PythonPlaces(shim(tmp_path / "shims"))
    python = build_environment(env, template, cache, silent, inherited=os.environ, places=first)
    assert environment_for(env, template, cache, other) == python


def test_an_environment_of_an_earlier_version_is_found_under_the_path_in_its_name(
    template: Path, tmp_path: Path, bare: str
) -> None:
    env, cache = Environment(python=f"=={VERSION}"), tmp_path / "cache"
    places = PythonPlaces(os.pathsep.join((shim(tmp_path / "shims"), bare)))
    python = build_environment(env, template, cache, silent, inherited=os.environ, places=places)
    named = [[], str(Path(bare) / NAME), VERSION]  # as version 0.1 named it when `bare` came first on PATH
    text = f"{json.dumps(named)}{platform.system()} {platform.machine()} {' '.join(platform.libc_ver())}"
    older = cache / hashlib.sha256(text.encode()).hexdigest()[:16]
    python.parent.parent.rename(older)
    assert environment_for(env, template, cache, places) == older / "bin" / "python"
    other = Path(shim(tmp_path / "another of that version"))
    (other / NAME).rename(other / "python")
    (older / "pyvenv.cfg").write_text(f"home = {other}\n")
    assert environment_for(env, template, cache, places) is None


def test_building_an_empty_environment_is_quick(template: Path, tmp_path: Path, bare: str) -> None:
    started_s = time.monotonic()
    python = build_environment(
        Environment(python=f"=={VERSION}"),
        template,
        tmp_path / "c",
        silent,
        inherited=os.environ,
        places=PythonPlaces(bare),
    )
    assert subprocess.call([python, "-c", "pass"]) == 0
    assert time.monotonic() - started_s < 10
