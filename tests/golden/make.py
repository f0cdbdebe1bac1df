"""Write journals of today's version as golden files: python -m tests.golden.make tests/golden/v1.

To be run into a new folder when the journal gets another version; what is there stays as it is.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.core.inputs.idea import Idea
from agent.core.journal.budget import Limits
from agent.core.journal.codec import from_json, to_json
from agent.core.journal.events import Event, Launched
from agent.core.journal.fold import fold
from agent.core.journal.state import State
from agent.edges.model.protocol import Models
from agent.edges.template.frozen import freeze_template
from agent.edges.template.load import load_template
from agent.edges.workspace.inbox import put_word
from agent.edges.workspace.journal import Journal
from agent.edges.workspace.layout import Workspace, create_batch, template_store
from agent.errors import ProviderRefused
from tests.fakes import FakeClock, ScriptedModel, block
from tests.faults.fault_idea import whole_runner
from tests.golden.summary import blobs_of, summarise
from tests.loop.conftest import Study
from tests.loop.instant import Crash
from tests.loop.lines import DONE, FASTER, LR, MOMENTUM, NO_PLOT_EDIT, NOTES, PLAN
from tests.loop.test_roles import PLAN as EXPECTING
from tests.loop.test_roles import PROSE, REVISION
from tests.paths import QUADRATIC

PYTHON = "/data/python/bin/python"
BROKEN = [PLAN + block("experiment.py", LR, f"LR = undefined_{n}\n") for n in range(3)]

Watch = Callable[[Event, State], None]


def watch_nothing(event: Event, state: State) -> None:
    """The story goes on."""


def crash_in_run_2(event: Event, state: State) -> None:
    if (
        getattr(event, "kind", "") == "AwaitStep"
        and state.run.number == 2
        and state.opened
        and state.opened.folder == "run_2.1"
    ):
        raise Crash


def tell(
    root: Path, name: str, models: Models, limits: Limits, watch: Watch = watch_nothing, **roles: str
) -> Workspace:
    """One story, in a workspace of its own, to its end, its pause or its crash."""
    template = load_template(freeze_template(QUADRATIC, template_store(root)))
    launched = Launched(
        template=template.spec.name,
        template_hash=template.hash,
        profile=template.profile,
        model=models.planner.name,
        python=sys.executable,
        limits=limits,
        smoke=template.spec.smoke,
        evaluates=True,
        has_baseline=True,
        verified=True,
        primary="score",
    )
    idea = Idea(Name=name, Title=f"The story of {name}", Experiment="Try momentum and learning rates.")
    (workspace,) = create_batch(root, name, [idea], template, replace(launched, **roles))  # type: ignore[arg-type]
    if name == "crashed":
        put_word(workspace.agent, "Keep the rate below 0.2.", now=1_700_000_000.0, token="0123abcd")
    with contextlib.suppress(Crash):
        Study(workspace, template).loop(models, runner=whole_runner(), watch=watch).run()
    return workspace


def tell_all(root: Path) -> list[Workspace]:
    planner, editor, reviewer = [EXPECTING + PROSE, DONE, NO_PLOT_EDIT, NOTES], [FASTER], [REVISION, REVISION]
    three = Models(*(ScriptedModel(lines, f"scripted/{n}") for n, lines in enumerate((planner, editor, reviewer))))
    refused = ScriptedModel(["no edit at all", ProviderRefused("scripted/model", "insufficient balance")])
    return [
        tell(root, "roles", three, Limits(max_runs=2), editor_model="scripted/1", reviewer_model="scripted/2"),
        tell(root, "provider", Models(refused), Limits(max_runs=2)),
        tell(root, "given_up", Models(ScriptedModel(BROKEN)), Limits(max_runs=3, attempts=1)),
        tell(root, "crashed", Models(ScriptedModel([PLAN + FASTER, MOMENTUM])), Limits(max_runs=3), crash_in_run_2),
    ]


def write(workspace: Workspace, folder: Path) -> None:
    """The journal without this machine's paths and times, what of its blobs a resume reads, and what it means."""
    here = str(workspace.path.parent.parent)
    agent = folder / workspace.path.name / ".agent"
    agent.mkdir(parents=True)
    clock = FakeClock()
    journal = Journal(agent, clock=clock)
    for event in workspace.journal().events:
        journal.append(from_json(neutral(to_json(event), here)))
        clock.sleep(1.5)
    state = fold(journal.events)
    for name in blobs_of(state):
        text = workspace.journal().get(name)
        assert here not in text and journal.put(text) == name
    meaning = json.dumps(summarise(state), indent=1, ensure_ascii=False) + "\n"
    (folder / f"{workspace.path.name}.json").write_text(meaning, "utf-8")


def neutral(value: Any, here: str) -> Any:
    match value:
        case dict():
            return {name: 0.25 if name == "seconds" else neutral(inner, here) for name, inner in value.items()}
        case list():
            return [neutral(inner, here) for inner in value]
        case str():
            return value.replace(sys.executable, PYTHON).replace(here, "/data/workspaces")
        case _:
            return value


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for told in tell_all(Path(scratch)):
            write(told, Path(sys.argv[1]))
