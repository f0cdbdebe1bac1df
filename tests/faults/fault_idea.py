"""One idea with a bad reply, a repaired edit, a replicated run and closing notes. Its steps end as they start."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agent.core.journal.events import Event, Finished, Started
from agent.core.journal.state import State
from agent.edges.model.protocol import ModelReply, Request
from agent.edges.run.runner import Runner
from agent.edges.run.step_folder import StepSpec
from agent.edges.workspace.hand_edits import check_untouched
from agent.edges.workspace.journal import Journal
from agent.edges.workspace.layout import Workspace, read_state
from agent.errors import ScientistError
from tests.fakes import InstantRunner, block
from tests.loop.conftest import Study
from tests.loop.instant import leave_results
from tests.loop.lines import DONE, LR, NO_PLOT_EDIT, NOTES, PLAN

BROKEN = PLAN + block("experiment.py", LR, "LR = undefined_rate\n")
MENDED = block("experiment.py", "LR = undefined_rate\n", "LR = 0.1\n")
STORY = ["no edit at all", BROKEN, MENDED, "REPLICATE\n", DONE, NO_PLOT_EDIT, NOTES]


@dataclass
class Recalled:
    """Says the line that the journal has not acknowledged yet."""

    journal: Journal
    lines: list[str] = field(default_factory=lambda: STORY)
    name: str = "scripted/model"

    window_tokens, takes_files = None, False

    def ask(self, request: Request) -> ModelReply:
        done = sum(isinstance(e, Finished) and e.result.type == "asked" for e in self.journal.events)
        return ModelReply(self.lines[done], self.name)


@dataclass
class WholeRunner(InstantRunner):
    """A step that could not leave all its files has not begun."""

    def start(self, folder: Path, spec: StepSpec) -> None:
        (folder / "log.txt").write_text("step by step\n")
        self.act(folder, spec)
        self.started.append(folder)


def whole_runner() -> WholeRunner:
    return WholeRunner(leave_results)


def place(event: Event, state: State) -> object:
    """The state of an idea without the step's folder: a step that never began is begun anew in another one."""
    passed = state.attempt.candidate.passed if state.attempt.candidate else None
    return (
        getattr(event, "kind", event.type),
        state.stage,
        state.run.number,
        state.run.attempts_spent,
        state.attempt.conversation,
        passed,
    )


def tell(
    study: Study, runner: InstantRunner, watch: Callable[[Event, State], None] = lambda event, state: None
) -> State:
    """Go on with the idea from the end of its journal, as a resume does."""
    check_untouched(study.workspace, study.workspace.repo(), read_state(study.workspace))
    model = Recalled(study.workspace.journal())
    loop = study.loop(model, runner=runner, watch=watch)
    model.journal = loop.journal
    return loop.run()


@dataclass
class Faults:
    """Something is wrong from the beginning of each effect on, once an effect, until the idea has stopped."""

    study: Study
    begin: Callable[[], object]
    end: Callable[[], object]
    said: list[str] = field(default_factory=list)
    _seen: set[object] = field(default_factory=set)

    def tell(self, runner: Runner) -> State:
        """The story to its end, resumed after every fault."""
        for _ in range(200):
            try:
                state = tell(self.study, runner, self._watch)
            except (ScientistError, OSError) as error:
                assert getattr(error, "exit_code", 3) == 3, error
                self.said.append(str(error))
            else:
                if state.ended:
                    return state
                assert state.pause
                self.said.append(state.pause.reason)
            finally:
                self.end()
        raise AssertionError("did not end in 200 resumes")

    def _watch(self, event: Event, state: State) -> None:
        if isinstance(event, Started) and place(event, state) not in self._seen:
            self._seen.add(place(event, state))
            self.begin()


def tale_of(workspace: Workspace) -> dict[str, object]:
    """The end of the idea, without ids and times."""
    repo, state = workspace.repo(), read_state(workspace)
    runs = sorted(p for p in workspace.path.glob("run_*"))
    assert state.ended
    return {
        "ended": (state.ended.completed, state.ended.summary, state.ended.warnings),
        "rows": [(row.run, row.completed, row.attempts, row.values, row.failures) for row in state.rows],
        "commits": [(c.subject, sorted(c.files), c.trailers.get("Run"), c.trailers.get("Attempt")) for c in repo.log()],
        "files": repo.read(repo.head()),
        "runs": {p.name: json.loads((p / "evaluation.json").read_text()) for p in runs},
        "logs": {p.name: (p / "log.txt").read_text() for p in runs},
        "tags": sorted(name for name in repo.refs() if name.startswith("refs/tags/")),
    }
