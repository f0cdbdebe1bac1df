"""Reference texts on their way from beside an ideas file into a workspace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.core.inputs.refs import Reference
from agent.edges.workspace.refs import MOST_BYTES, find_refs, read_refs, write_refs
from agent.errors import IntegrityError, UsageError


@pytest.fixture
def ideas(tmp_path: Path) -> Path:
    """An ideas file with texts for all and for one idea, and files that are none."""
    for name, text in {
        "refs/z common.md": "For all.",
        "refs/momentum/b.md": "B\r\nfor momentum.",
        "refs/momentum/a.md": "\ufeffA é.\n",
        "refs/momentum/data.csv": "1,2",
        "refs/momentum/empty.md": " \n",
        "refs/other/c.md": "Not this one.",
    }.items():
        path = tmp_path / "my ideas" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return tmp_path / "my ideas" / "ideas.json"


def test_an_idea_has_its_own_texts_and_those_of_the_file(ideas: Path) -> None:
    assert find_refs(ideas, "momentum") == (
        Reference("refs/momentum/a.md", "A é."),
        Reference("refs/momentum/b.md", "B\nfor momentum."),
        Reference("refs/z common.md", "For all."),
    )
    assert [ref.name for ref in find_refs(ideas, "another")] == ["refs/z common.md"]
    assert find_refs(Path("ideas.json"), "momentum") == ()


def test_a_text_that_is_no_text_or_far_too_large_is_named(ideas: Path) -> None:
    (ideas.parent / "refs/momentum/a.md").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"refs/momentum/a\.md: is not UTF-8"):
        find_refs(ideas, "momentum")
    (ideas.parent / "refs/momentum/a.md").write_bytes(b"x" * (MOST_BYTES + 1))
    with pytest.raises(UsageError, match="larger than 1 MiB"):
        find_refs(ideas, "momentum")


def test_a_workspace_keeps_its_copies(ideas: Path, tmp_path: Path) -> None:
    refs = find_refs(ideas, "momentum")
    assert read_refs(tmp_path) == ()
    write_refs(tmp_path, ())
    assert not (tmp_path / "refs").exists()
    write_refs(tmp_path, refs)
    (ideas.parent / "refs/momentum/a.md").write_text("Changed later.")
    assert read_refs(tmp_path) == refs


@pytest.mark.parametrize("harm", ["change", "remove", "index"])
def test_a_copy_that_was_changed_is_refused(ideas: Path, tmp_path: Path, harm: str) -> None:
    write_refs(tmp_path, find_refs(ideas, "momentum"))
    if harm == "change":
        (tmp_path / "refs/2.md").write_text("Something else.")
    elif harm == "remove":
        (tmp_path / "refs/2.md").unlink()
    else:
        (tmp_path / "refs/index.json").write_text(json.dumps([{"name": "x"}]))
    with pytest.raises(IntegrityError, match="refs"):
        read_refs(tmp_path)
