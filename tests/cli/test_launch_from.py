"""scientist launch --from, as a user types it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from agent.cli.commands.launch_from import read_beginning
from agent.errors import UsageError
from tests.cli.conftest import Launched, Scientist, only_workspace
from tests.paths import QUADRATIC


@pytest.fixture
def done(launched: Launched, folder: Path) -> Path:
    launched("--max-runs", 1)
    (folder / "more.json").write_text(json.dumps({"Name": "again", "Title": "More", "Experiment": "Try more."}))
    return only_workspace(folder)


def test_an_idea_begins_at_another_ones_code_which_may_then_go(scientist: Scientist, done: Path, folder: Path) -> None:
    code = (done / "experiment.py").read_text()
    pattern = f"{done.parent.parent}/*/{done.name}@run/1"  # no shell expands it
    said = scientist("launch", "more.json", "--from", pattern, "--max-runs", 1, "--pause-before", "run")
    assert said.returncode == 3 and "begins at the code of run 1 of momentum (Momentum helps)" in said.stderr
    again = only_workspace(folder, "again")
    shutil.rmtree(done)
    (launch, *_) = (json.loads(line)["event"] for line in (again / ".agent/journal.jsonl").read_text().splitlines())
    assert launch["begun"]["run"] == 1 and launch["template"] == "quadratic" and launch["has_baseline"]
    log = scientist("history", again, "--json").stdout
    assert "Begin at run 1 of momentum" in log
    shown = scientist("diff", again, "start", launch["begun"]["commit"]).stdout
    assert all(f"+{line}" in shown for line in code.splitlines() if line.startswith(("LR =", "MOMENTUM =")))
    assert "run 1 of momentum (Momentum helps)" in scientist("show", again).stdout
    request = "".join(path.read_text() for path in (again / ".agent/blobs").rglob("*") if path.is_file())
    assert "# Where the code begins" in request and "The baseline is still the template's own." in request
    assert scientist("resume", again, "--pause-before", "none").returncode == 0
    assert "ok: " in scientist("verify", again).stdout


def test_what_cannot_be_begun_at_is_one_line(
    scientist: Scientist, done: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shutil.copytree(QUADRATIC, folder / "other")
    spec = other / "template.toml"
    spec.write_text(spec.read_text().replace('"plot.py", ', ""))
    before = sorted(folder.glob("workspaces/*"))
    for where, options, problem in (
        (f"{done}@run/9", (), "run 9: is not finished, or does not exist; completed are: 1"),
        (f"{done}@0", (), "run 0 is the template's own code"),
        ("nowhere@1", (), "there is no folder nowhere"),
        (f"{done}@last", (), "write WS@run/4"),
        (f"{done.parent}@1", (), "name one: scientist launch IDEAS --from "),
        (f"{done.parent}/*@1", (), "fits 3 folders; name one, as "),
        (f"{done.parent}/nothing*@1", (), "there is no folder "),
        (f"{folder}@1", (), "is not a workspace"),
        (done, ("--template", other), "than that of momentum (experiment.py, notes.txt, plot.py)"),
    ):
        refused = scientist("launch", "more.json", "--from", where, *options)
        assert refused.returncode == 2 and problem in refused.stderr, (where, refused.stderr)
        assert len(refused.stderr.splitlines()) == 1
    assert sorted(folder.glob("workspaces/*")) == before

    assert read_beginning(str(done)).begun.run == read_beginning(f"{done}@best").begun.run == 1
    odd = shutil.copytree(done, done.with_name("momentum@2"), symlinks=True)
    assert read_beginning(str(odd)).begun.run == 1  # the folder's own name
    assert read_beginning(f"{odd}@1").begun.workspace == "momentum@2"
    with pytest.raises(UsageError, match="there is no folder"):
        read_beginning(f"{done}@last")
