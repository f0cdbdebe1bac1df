"""Feedback from the files that a run left beside its results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.core.failure.diagnose import FailureKind
from agent.core.inputs.spec import TemplateSpec
from agent.core.journal.kinds import Purpose
from agent.core.prompt.view import Traces
from agent.edges.workspace.layout import Workspace
from agent.effects.feedback import read_feedback
from tests.core.journal_by_hand import Story, failure

SPEC = TemplateSpec.model_validate(
    {
        "name": "t",
        "metrics": [{"name": "other", "path": ["other"]}, {"name": "score", "path": ["score"], "primary": True}],
        "diagnostics": [{"name": "alive", "source": "evaluation", "path": ["alive"], "warn": {"below": 0.5}}],
    }
)
CURVES = "".join(
    json.dumps({"step": n, "name": name, "value": n}) + "\n" for name in ("x", "score", "loss") for n in range(9)
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def completed() -> Story:
    story = Story()
    story.complete_run()
    return story


def failed(kind: FailureKind = FailureKind.TIMED_OUT) -> Story:
    story = completed()
    story.fail_attempt(failure("too slow", kind))
    return story


def leave(folder: Path, evaluation: str = '{"alive": 0.25}', curves: str = CURVES) -> None:
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text(curves)
    (folder / "evaluation.json").write_text(evaluation)


def read(workspace: Workspace, story: Story, purpose: Purpose = Purpose.NEXT) -> Traces:
    return read_feedback(workspace, story.state, SPEC, purpose)


def test_the_last_published_run_is_read_whenever_asked(workspace: Workspace) -> None:
    leave(workspace.run_folder(1))
    found = read(workspace, completed())
    assert [line.partition(":")[0] for line in found.curves] == ["loss", "score", "x"]
    assert found.diagnostics == ("warning: alive = 0.25, below 0.5",)
    assert read(workspace, completed()) == found


def test_a_failed_attempt_is_read_from_its_own_folder(workspace: Workspace) -> None:
    leave(workspace.run_folder(1))
    story = failed()
    leave(workspace.step_folder("run_2.1") / "work" / "run_2", "no JSON", CURVES + '{"step": 9, "name": "lo')
    found = read(workspace, story, Purpose.FIX)
    assert len(found.curves) == 3 and found.diagnostics == ()


@pytest.mark.parametrize("kind", [FailureKind.LINT, FailureKind.SMOKE, FailureKind.EDIT])
def test_code_that_never_ran_left_nothing(workspace: Workspace, kind: FailureKind) -> None:
    leave(workspace.step_folder("run_2.1") / "work" / "run_2")
    assert read(workspace, failed(kind), Purpose.FIX) == Traces()


def test_a_run_that_left_nothing_and_a_run_given_up_tell_nothing(workspace: Workspace) -> None:
    assert read(workspace, completed()) == Traces() == read(workspace, Story())
    story = completed()
    story.give_up_run()
    leave(workspace.run_folder(1))
    assert read(workspace, story) == Traces()


def test_a_folder_or_a_device_in_place_of_the_curves_is_told_and_not_read(workspace: Workspace) -> None:
    (workspace.run_folder(1) / "metrics.jsonl").mkdir(parents=True)
    assert read(workspace, completed()).curves == ("metrics.jsonl is not a regular file",)
    (workspace.run_folder(1) / "metrics.jsonl").rmdir()
    (workspace.run_folder(1) / "metrics.jsonl").symlink_to("/dev/zero")
    (line,) = read(workspace, completed()).curves
    assert "symbolic link" in line
