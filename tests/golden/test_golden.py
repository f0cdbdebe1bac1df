"""Journals written by older versions are read for ever; what this version cannot know is refused, never passed over."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.core.journal.codec import from_json, to_json
from agent.core.journal.events import Paused, Resumed
from agent.core.journal.fold import fold
from agent.core.journal.kinds import PauseKind
from agent.core.prompt.conversation import load_request
from agent.edges.workspace.journal import FIRST_LINK, Journal
from agent.edges.workspace.layout import Workspace
from agent.errors import JournalCorrupt
from tests.golden.summary import blobs_of, summarise

HERE = Path(__file__).parent
STORIES = sorted(HERE.glob("v*/*.json"))
assert len(STORIES) >= 4

Json = dict[str, Any]


@pytest.fixture(params=STORIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def story(request: pytest.FixtureRequest) -> Path:
    """What the journal of one older workspace means; the workspace lies beside it."""
    return Path(request.param)


def workspace_of(story: Path) -> Workspace:
    return Workspace(story.with_suffix(""))


def events_of(journal: Path) -> list[Json]:
    return [json.loads(line)["event"] for line in journal.read_text("utf-8").splitlines()]


def test_it_means_what_it_meant_when_it_was_written(story: Path) -> None:
    state = fold(workspace_of(story).journal().events)
    assert json.loads(json.dumps(summarise(state))) == json.loads(story.read_text("utf-8"))


def test_what_a_resume_reads_of_it_can_be_read(story: Path) -> None:
    journal = workspace_of(story).journal()
    state = fold(journal.events)
    for name in blobs_of(state):
        assert journal.get(name)
    if state.attempt.conversation.request:
        assert load_request(journal.get(state.attempt.conversation.request)).messages


def keeps(old: object, new: object) -> bool:
    """Whether everything that was said is said still; more may be said."""
    if isinstance(old, dict) and isinstance(new, dict):
        return all(name in new and keeps(value, new[name]) for name, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(keeps, old, new))
    return type(old) is type(new) and old == new


def test_its_events_written_again_say_all_that_they_said(story: Path) -> None:
    workspace = workspace_of(story)
    for old, event in zip(events_of(workspace.agent / "journal.jsonl"), workspace.journal().events, strict=True):
        assert keeps(old, to_json(event)), (old, event)
        assert from_json(to_json(event)) == event


def test_its_journal_goes_on_with_events_of_today(story: Path, tmp_path: Path) -> None:
    copy = Workspace(Path(shutil.copytree(story.with_suffix(""), tmp_path / "copy")))
    before = copy.journal().events
    copy.journal().append(Resumed())
    copy.journal().append(Paused(PauseKind.STOP, "as asked"))
    assert copy.journal().events == [*before, Resumed(), Paused(PauseKind.STOP, "as asked")]
    assert fold(copy.journal().events).steps == fold(before).steps


def test_no_path_of_a_machine_stands_in_it(story: Path) -> None:
    for path in story.with_suffix("").rglob("*"):
        if path.is_file():
            found = re.findall(r"(?<![\w.~/])/[a-z]+/[\w./]+", path.read_text("utf-8"))
            assert all(name.startswith(("/data/", "/usr/bin/env")) for name in found), (path, found)


# What a later version may have written


def rewrite(source: Path, folder: Path, change: Callable[[list[Json]], None]) -> Path:
    """The journal with other events, chained as it must be."""
    lines = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    change([line["event"] for line in lines])
    link, out = FIRST_LINK, []
    for line in lines:
        body = {"seq": line["seq"], "time": line["time"], "event": line["event"]}
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":")) + "\n"
        link = hashlib.sha256((link + text).encode()).hexdigest()
        out.append(json.dumps(body | {"sha256": link}, ensure_ascii=False, separators=(",", ":")) + "\n")
    path = folder / "journal.jsonl"
    path.write_text("".join(out), "utf-8")
    return path


ROLES = HERE / "v1" / "roles" / ".agent" / "journal.jsonl"


def refusal(folder: Path, change: Callable[[list[Json]], None]) -> str:
    path = rewrite(ROLES, folder, change)
    before = path.read_bytes()
    with pytest.raises(JournalCorrupt) as caught:
        Journal(folder)
    assert path.read_bytes() == before and "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}:")


def test_a_journal_that_is_only_chained_anew_is_read(tmp_path: Path) -> None:
    assert len(Journal(rewrite(ROLES, tmp_path, lambda events: None).parent).events) > 20


def test_a_journal_of_a_later_version_is_refused_and_told_what_reads_it(tmp_path: Path) -> None:
    told = refusal(tmp_path, lambda events: events[0].update(version=2, unheard="of"))
    assert told.startswith("1: the journal has version 2, and this program reads up to 1; go on with the version")


def first(events: list[Json], result: str) -> tuple[int, Json]:
    return next((n, e["result"]) for n, e in enumerate(events) if e.get("result", {}).get("type") == result)


@pytest.mark.parametrize(
    "result", ["asked", "applied", "handed", "reviewed", "linted", "opened", "closed", "published"]
)
def test_a_field_that_is_not_known_is_refused_with_its_line(tmp_path: Path, result: str) -> None:
    number, _ = first(events_of(ROLES), result)
    told = refusal(tmp_path, lambda events: first(events, result)[1].update(unheard="of"))
    assert told.startswith(f"{number + 1}: is not an event of this version (finished.result.{result}.unheard: "), told


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda events: events[0].update(unheard=1), "1: is not an event of this version (launched.unheard: "),
        (lambda events: events[0]["limits"].update(unheard=1), "1: is not an event of this version (launched.limits."),
        (lambda events: events[1].update(type="forgotten"), "2: is not an event of this version ("),
        (lambda events: events[2]["result"].update(type="forgotten"), "3: is not an event of this version (finished.r"),
        (lambda events: events[2]["result"].update(tokens_in="many"), "3: is not an event of this version (finished.r"),
        (lambda events: events[1].pop("key"), "2: is not an event of this version (started.key: "),
    ],
)
def test_other_events_are_refused_with_line_and_field(
    tmp_path: Path, change: Callable[[list[Json]], None], field: str
) -> None:
    assert refusal(tmp_path, change).startswith(field)
