"""A workspace that somebody removes while it is worked on ends that idea, and nothing of it comes back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.cli.drive import say_trouble
from agent.core.journal.budget import Limits
from agent.edges.model.protocol import Request
from agent.edges.run.step_folder import StepSpec
from agent.errors import ScientistError
from tests.fakes import InstantRunner, ScriptedModel
from tests.loop.conftest import Study
from tests.loop.instant import leave_results
from tests.loop.lines import FASTER


@pytest.mark.parametrize("moment", ["a question", "a smoke test", "a run", "a step that starts"])
def test_nothing_of_a_removed_workspace_is_made_again(
    moment: str, make_study: Callable[..., Study], capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study(limits=Limits(max_runs=1))
    path = study.workspace.path

    def answer(request: Request) -> str:
        if moment == "a question":
            shutil.rmtree(path)
        return FASTER

    def act(folder: Path, spec: StepSpec) -> None:
        leave_results(folder, spec)
        if moment == ("a smoke test" if folder.name.endswith("smoke") else "a run"):
            shutil.rmtree(path)

    loop = study.loop(ScriptedModel([answer]), runner=InstantRunner(act))
    if moment == "a step that starts":
        object.__setattr__(loop._edges.linter, "check", lambda *_, **__: shutil.rmtree(path) or ())
    with pytest.raises((ScientistError, OSError)) as caught:
        loop.run()
    assert not path.exists()
    assert say_trouble(study.workspace, caught.value) == 6  # type: ignore[arg-type]
    assert (
        capsys.readouterr().err
        == f"scientist: {path}: is gone, though batch.json lists it; put it back, or take its name out there\n"
    )


def test_a_folder_in_its_place_is_not_taken_for_it(study: Study) -> None:
    path = study.workspace.path

    def answer(request: Request) -> str:
        shutil.rmtree(path)
        (path / ".agent").mkdir(parents=True)
        return FASTER

    with pytest.raises(ScientistError):
        study.loop(ScriptedModel([answer])).run()
    assert not (path / ".agent" / "journal.jsonl").exists()
