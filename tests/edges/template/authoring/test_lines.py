"""Lines that are proposed for scripts of many kinds are Python without unknown names where they are said to go."""

from __future__ import annotations

import re

import pytest

from agent.core.authoring.arguments import COMMAND, mend_out_dir
from agent.core.authoring.proposals import mend_smoke
from agent.core.authoring.ranges import offer_ranges
from agent.core.authoring.records import mend_results, offer_curve
from agent.core.authoring.seeds import propose_seeds
from agent.core.code.search_marks import search_ranges
from agent.core.inputs.spec import TemplateSpec
from agent.core.text.remark import Remark
from agent.edges.lint import Linter
from tests.core.authoring.kinds import KINDS

# "t/experiment.py:12: ..."
PLACE = re.compile(r"t/([\w.]+):(\d+): ")


def follow(files: dict[str, str], remark: Remark) -> dict[str, str]:
    """The files after a person has done what the remark says, word for word."""
    if "for seeds write instead" in remark.text:
        return follow_seeds(files, remark)
    placed = PLACE.match(remark.text)
    assert placed, remark.text
    name, number = placed[1], int(placed[2])
    code = files[name].split("\n")
    old = code[number - 1]
    indent = old[: len(old) - len(old.lstrip())]
    new = [indent + line for line in remark.lines]
    if "insert before this line" in remark.text:
        code[number - 1 : number - 1] = new
    elif "add below this line" in remark.text:
        code[number:number] = new
    elif below := re.search(r"add below this statement, indented alike \(its last line is (\d+)\)", remark.text):
        code[int(below[1]) : int(below[1])] = new
    elif first := re.search(r"add the first line below the imports \(line (\d+)\)", remark.text):
        code[number - 1] = new[1]
        code[int(first[1]) - 1 : int(first[1]) - 1] = [remark.lines[0]]
    else:
        assert "write instead" in remark.text, remark.text
        code[number - 1 : number] = new
    return files | {name: "\n".join(code)}


def follow_seeds(files: dict[str, str], remark: Remark) -> dict[str, str]:
    """The files with the lines in their places, and the import before the ones that are named for it."""
    changed = {name: text.split("\n") for name, text in files.items()}
    places, _, rest = remark.text.partition(": for seeds")
    for (name, number), line in zip(re.findall(r"t/([\w.]+):(\d+)", places), remark.lines, strict=True):
        old = changed[name][int(number) - 1]
        changed[name][int(number) - 1] = old[: len(old) - len(old.lstrip())] + line
    for name, number in re.findall(r"t/([\w.]+):(\d+)", rest):
        changed[name].insert(int(number) - 1, "import os")
    return {name: "\n".join(code) for name, code in changed.items()}


def proposals(files: dict[str, str]) -> list[Remark]:
    """Every remark that can be followed by itself."""
    seeds = [c.remark("t", "tried") for c in propose_seeds(files)]
    found = [mend_results(files, "t", TemplateSpec(name="t"), ""), *offer_curve(files, "t"), *mend_smoke(files, "t")]
    out_dir = mend_out_dir(files, "t", TemplateSpec(name="t"))
    if PLACE.match(out_dir.text) and "read by their place" not in out_dir.text:
        found.append(out_dir)
    return [*found, *offer_ranges(files, "t"), *seeds]


def test_every_line_can_be_put_where_it_is_said_to_go() -> None:
    changed: dict[str, str] = {}
    for kind, given in KINDS.items():
        files = {n: text.replace("get_ipython", "print") for n, text in given.files.items()}
        versions = [follow(files, remark) for remark in proposals(files)]
        assert versions, kind
        for number, version in enumerate(versions):
            changed |= {f"{kind.replace(' ', '_')}_{number}/{n}": text for n, text in version.items()}
    found = Linter().check(changed)
    assert not found, "\n".join(f"{f.path}:{f.line}: {f.message}: {changed[f.path]}" for f in found[:5])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].ranges])
def test_a_mark_that_is_offered_is_read_by_the_sweep(kind: str) -> None:
    files = KINDS[kind].files
    for remark in offer_ranges(files, "t"):
        found = [r for text in follow(files, remark).values() for r in search_ranges(text)]
        assert len(found) == 1 and found[0].low <= found[0].value <= found[0].high


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("tyro", '    out_dir: str = "run_0"'),
        ("fire", 'def train(lr=0.05, steps=100, weight_decay=0.0, out_dir: str = "run_0"):'),
        ("typer", 'def main(lr: float = 0.01, epochs: int = 2, out_dir: str = "run_0"):'),
        ("absl", 'flags.DEFINE_string("out_dir", "run_0", "Folder of results.")'),
        ("click", '@click.option("--out_dir", default="run_0", expose_value=False)'),
        ("several files", '    p.add_argument("--out_dir", default="run_0")'),
    ],
)
def test_the_folder_of_results_is_an_option_wherever_options_are_made(kind: str, line: str) -> None:
    files = KINDS[kind].files
    spec = TemplateSpec(name="t", command=COMMAND.replace("out_dir=", "out-dir=") if kind == "typer" else COMMAND)
    changed = follow(files, mend_out_dir(files, "t", spec))
    assert any(line in text.split("\n") for text in changed.values())
