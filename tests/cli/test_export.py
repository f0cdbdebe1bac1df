"""An idea and a batch in one file, read again where nothing else of them is."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

from agent.edges.workspace.lock import hold_lock
from tests.cli.conftest import Launched, Scientist, only_workspace


def test_an_exported_idea_is_read_and_verified_elsewhere(
    launched: Launched, scientist: Scientist, folder: Path
) -> None:
    launched("--idea", "momentum", "--max-runs", 2)
    workspace = only_workspace(folder)
    (workspace / ".agent/inbox").mkdir()
    with (workspace / ".git/config").open("a") as config:
        config.write('[remote "o"]\n\turl = https://me:p4ssw0rd@example.com/x.git\n')
    done = scientist("export", workspace)
    assert done.returncode == 0 and "wrote momentum.tar.gz (" in done.stdout, done.stderr
    assert "look before you send it: it holds momentum/.git/config, perhaps secret" in done.stderr
    batch = workspace.parent.name
    assert f"tar -xzf momentum.tar.gz && scientist show {batch}/momentum" in done.stdout
    before = [scientist(name, workspace, "--json").stdout for name in ("show", "history")]
    there = folder / "elsewhere"
    with tarfile.open(folder / "momentum.tar.gz") as archive:
        names = archive.getnames()
        assert {(info.uid, info.gid, info.uname) for info in archive} == {(0, 0, "")}
        archive.extractall(there, filter="data")
    assert not [name for name in names if "/home" in name or name.endswith(("/.agent/tmp", "/.agent/inbox"))]
    shutil.rmtree(folder / "workspaces")
    copy = there / batch / "momentum"
    verified = scientist("verify", copy)
    assert verified.returncode == 0 and ": ok: " in verified.stdout, verified.stdout + verified.stderr
    after = [json.loads(scientist(name, copy, "--json").stdout) for name in ("show", "history")]
    assert after[1] == json.loads(before[1]) | {"workspace": str(copy)}
    assert after[0]["runs"] == json.loads(before[0])["runs"] and len(after[0]["runs"]) == 2
    assert "+LR = " in scientist("diff", copy, "start", 1).stdout
    assert scientist("logs", copy, 1).returncode == 0
    (standing,) = json.loads(scientist("status", there / batch, "--json").stdout)["workspaces"]
    assert standing["name"] == "momentum"


def test_what_cannot_be_exported_is_one_line_and_leaves_nothing(
    launched: Launched, scientist: Scientist, folder: Path
) -> None:
    launched("--max-runs", 1)
    workspace = only_workspace(folder)
    (folder / "there.tar.gz").write_text("mine")
    with hold_lock(workspace / ".agent"):
        locked = scientist("export", workspace)
    for done, code, said in (
        (locked, 5, "locked by process"),
        (scientist("export", workspace, "--out", "there.tar.gz"), 2, "there.tar.gz: is there already"),
        (scientist("export", workspace, "--out", "no/where.tar.gz"), 2, "lies in a folder that is not there"),
        (scientist("export", folder / "ideas.json"), 2, "is not a workspace"),
        (scientist("export", workspace, "--out", "/proc/x.tar.gz"), 2, "/proc/x.tar.gz: "),
    ):
        assert done.returncode == code and said in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert sorted(p.name for p in folder.iterdir()) == ["ideas.json", "there.tar.gz", "workspaces"]
    assert (folder / "there.tar.gz").read_text() == "mine"
    whole = scientist("export", workspace.parent, "--out", "batch.tar.gz")
    assert whole.returncode == 0, whole.stderr
    with tarfile.open(folder / "batch.tar.gz") as archive:
        top = workspace.parent.name
        index = json.load(archive.extractfile(f"{top}/batch.json"))  # type: ignore[arg-type]
        assert index["workspaces"] == ["momentum", "rates"]
        assert {f"{top}/momentum/notes.txt", f"{top}/rates/notes.txt"} <= set(archive.getnames())
    shutil.rmtree(workspace.parent / "rates")
    part = scientist("export", workspace.parent, "--out", "part.tar.gz")
    assert part.returncode == 0 and "rates: is gone" in part.stderr, part.stderr
