"""Documents: links and anchors resolve, named files are there, the map names every room, the README stays short."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from agent.cli.table import COMMANDS
from tests.docs.pages import anchors, links, name_of, pages, prose
from tests.paths import ROOT
from tests.test_rooms import AGENT

README_BYTES = 8192
# "`agent/core/edit/apply.py`", "`core/journal/`": a path in backticks, from the root or from agent/.
_PATH = re.compile(r"`(?P<path>(?:agent|tests|docs|core|edges|effects|cli|report)/[\w./-]*)`")


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_resolve(page: Path) -> None:
    for number, target in links(page):
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{name_of(page)}:{number}: {target}"
        assert found.is_relative_to(ROOT), f"{name_of(page)}:{number}: {target}"
        if anchor:
            assert anchor in anchors(found), f"{name_of(page)}:{number}: {target}"


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_files_that_are_named_are_there(page: Path) -> None:
    for number, line in prose(page):
        for match in _PATH.finditer(line):
            if f"| `{match['path']}` | new:" in line:  # a recipe's: to be made
                continue
            places = (ROOT / match["path"], ROOT / "agent" / match["path"])
            assert any(place.exists() for place in places), f"{name_of(page)}:{number}: {match['path']}"


def test_the_map_names_every_room() -> None:
    told = set(re.findall(r"^\| `([\w/]+)/`", (ROOT / "agent/README.md").read_text("utf-8"), re.MULTILINE))
    there = {room.removeprefix("agent.").replace(".", "/") for room in AGENT.rooms() if room != "agent"}
    assert told == there


# "`Launched`", "`Asked.role`", "`Started{key}`": a class, or a class and what belongs to it
_CLASS = re.compile(r"`(?P<name>[A-Z][a-z]+[A-Za-z]*)(?:\.(?P<part>[a-z_]+))?[`{]")


def test_classes_that_the_contracts_name_are_in_the_code() -> None:
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "agent").rglob("*.py"))
    named = [match.groups() for match in _CLASS.finditer((ROOT / "docs/architecture.md").read_text("utf-8"))]
    gone = [name for name, _ in named if not re.search(rf"^class {name}\b", code, re.MULTILINE)]
    gone += [part for _, part in named if part and not re.search(rf"^    (?:def )?{part}\b", code, re.MULTILINE)]
    assert len(named) > 30 and gone == []


def test_messages_of_failures_are_in_the_files_that_the_recipe_names() -> None:
    """Rows as: | "timed out after", "could not start" | `agent/core/failure/diagnose.py` |."""
    rows = re.findall(
        r"^\| (.*\".*) \| `(agent/[^`|]+)` \|$", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE
    )
    wrong = [
        (phrase, path)
        for told, path in rows
        for phrase in re.findall(r"\"([^\"]+)\"", told)
        if phrase not in (ROOT / path).read_text("utf-8")
    ]
    assert len(rows) > 8 and wrong == []


def test_the_page_about_operation_lists_every_command() -> None:
    page = (ROOT / "docs/operate.md").read_text("utf-8")
    assert set(re.findall(r"^\| `scientist (\w+)\b", page, re.MULTILINE)) == set(COMMANDS)


def test_the_readme_is_a_page() -> None:
    assert (ROOT / "README.md").stat().st_size <= README_BYTES


def test_every_document_is_linked_from_the_readme() -> None:
    linked = {(ROOT / target.partition("#")[0]).resolve() for _, target in links(ROOT / "README.md")}
    missing = [page for page in (ROOT / "docs").glob("*.md") if page not in linked]
    assert missing == [] and ROOT / "CONTRIBUTING.md" in linked and ROOT / "CHANGELOG.md" in linked


def test_ci_runs_the_readmes_test_command_on_every_python_that_is_promised() -> None:
    """The command's line is found in README.md, and the hosted workflow names jobs that there are."""
    script = (ROOT / ".ci/run").read_text("utf-8")
    (pattern,) = re.findall(r"sed -n \"s\|\^ {4}\\\((.*)\\\)", script)
    assert pattern.startswith("pip install -e '.")
    readme = (ROOT / "README.md").read_text("utf-8")
    assert readme.count("\n    pip install -e '.[test]' -c constraints.txt && python -m pytest -n 4\n") == 1

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    promised = [word.rpartition(" ")[2] for word in project["classifiers"] if "Python :: 3." in word]
    workflow = (ROOT / ".github/workflows/ci.yml").read_text("utf-8")
    assert promised and f'required="{" ".join(promised)}"' in script
    assert "python: [" + ", ".join(f'"{version}"' for version in promised) + "]" in workflow

    jobs = set(re.findall(r"^job_(\w+)\(\)", script, re.MULTILINE))
    (listed,) = re.findall(r"job: \[(.*)\]", workflow)
    assert jobs == {"locked", *listed.split(", ")}
    assert all(re.search(rf"^ +run {job}\b", script, re.MULTILINE) for job in jobs)
