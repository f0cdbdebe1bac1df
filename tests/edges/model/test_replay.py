"""The recorded replies of a workspace as a model, asked alone. tests/loop/test_replay.py runs the whole loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.core.journal.action_results import Asked
from agent.core.journal.events import Finished, Launched
from agent.core.journal.kinds import Purpose, Role
from agent.edges.model.protocol import Request
from agent.edges.model.replay import PREFIX, ReplayModel, read_launch, replay_name
from agent.edges.workspace.journal import Journal
from agent.errors import ProviderRefused, UsageError


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A journal in which a planner spoke twice, and an editor and a reviewer once."""
    folder = tmp_path / "an idea" / ".agent"
    folder.mkdir(parents=True)
    journal = Journal(folder)
    journal.append(Launched(control="control: x", editor_model="e/e"))
    said = (
        (Role.PLANNER, Purpose.PLAN, "the plan"),
        (Role.EDITOR, Purpose.EDIT, "the edit"),
        (Role.REVIEWER, Purpose.REVIEW, "the review"),
        (Role.PLANNER, Purpose.NEXT, "the next step"),
    )
    for number, (role, purpose, text) in enumerate(said):
        journal.append(Finished(str(number), Asked(purpose=purpose, reply=journal.put(text), role=role, tokens_in=9)))
    return folder.parent


def request(role: Role, asked: int, purpose: Purpose) -> Request:
    return Request((), SimpleNamespace(purpose=purpose), role, asked)  # type: ignore[arg-type]


def test_each_role_gets_its_own_replies_in_order_whoever_asks(recording: Path) -> None:
    """A resumed replay is a new model: which reply is due comes with the request."""
    for role, asked, purpose, text in (
        (Role.PLANNER, 1, Purpose.NEXT, "the next step"),
        (Role.EDITOR, 0, Purpose.EDIT, "the edit"),
        (Role.PLANNER, 0, Purpose.PLAN, "the plan"),
        (Role.REVIEWER, 0, Purpose.REVIEW, "the review"),
    ):
        reply = ReplayModel(f"{PREFIX}{recording}").ask(request(role, asked, purpose))
        assert (reply.text, reply.paid.tokens_in, reply.paid.tokens_out, reply.paid.cost_usd) == (text, 0, 0, 0.0)
        assert reply.model == "replay/an idea"


@pytest.mark.parametrize(
    ("role", "asked", "purpose", "problem"),
    [
        (Role.PLANNER, 2, Purpose.FIX, r"no reply 3 of the planner \(asked to fix\): the recording holds 2"),
        (Role.PLANNER, 1, Purpose.FIX, "reply 2 of the planner was given when asked to next, and now .* to fix"),
        (Role.EDITOR, 1, Purpose.EDIT, r"no reply 2 of the editor \(asked to edit\): the recording holds 1"),
    ],
)
def test_a_reply_that_is_not_there_is_named(
    recording: Path, role: Role, asked: int, purpose: Purpose, problem: str
) -> None:
    with pytest.raises(ProviderRefused, match=problem):
        ReplayModel(f"{PREFIX}{recording}").ask(request(role, asked, purpose))


def test_a_recording_that_lost_a_reply_is_refused_and_not_guessed(recording: Path) -> None:
    for blob in (recording / ".agent" / "blobs").glob("*/*"):
        blob.unlink()
    with pytest.raises(ProviderRefused, match=r"reply 1 of the planner cannot be read: .* is missing"):
        ReplayModel(f"{PREFIX}{recording}").ask(request(Role.PLANNER, 0, Purpose.PLAN))


def test_the_launch_of_the_recording_is_read_and_its_absence_named(recording: Path, tmp_path: Path) -> None:
    assert read_launch(f"{PREFIX}{recording}").control == "control: x"
    with pytest.raises(UsageError, match=r"--model replay/.*nowhere: is not a workspace: .* see: scientist status"):
        read_launch(f"{PREFIX}{tmp_path}/nowhere")
    (tmp_path / "fresh" / ".agent").mkdir(parents=True)
    Journal(tmp_path / "fresh" / ".agent").append(Launched())
    with pytest.raises(UsageError, match="holds no reply"):
        read_launch(f"{PREFIX}{tmp_path}/fresh")
    journal = recording / ".agent" / "journal.jsonl"
    journal.write_text(journal.read_text().replace("plan", "PLAN", 1))
    with pytest.raises(UsageError, match="does not match its sha256"):
        read_launch(f"{PREFIX}{recording}")


def test_a_name_holds_the_whole_path_and_every_line_says_that_it_is_a_replay(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recording.parent)
    name = replay_name("replay/an idea")
    assert name == f"replay/{recording}" == replay_name(name)
    launched = Launched(model=name)
    assert launched.remark == f"replay of {recording}"
    assert replace(launched, control="control: x").remark == f"control: x; replay of {recording}"
    assert Launched(model="offline/sweep", control="control: x").remark == "control: x"
