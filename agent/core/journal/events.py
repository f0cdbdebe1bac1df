"""Events of the journal as values, one a line. Results of actions stand inside `Finished`; results.py has them.

Launched            once, first
Started, Finished   around every effect, with the same key
Paused, Resumed     work stopped for a reason that time or a person can remove
Told                a word of the researcher for the model, at any time
Ended               last, unless a resume adds runs after it
Replicate, Seeded, Replicated   a run again with fresh seeds, at any time: replications.py has them
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from agent.core.journal.action_results import Asked, Result
from agent.core.journal.budget import Limits
from agent.core.journal.kinds import Begun, PauseKind, Role
from agent.core.journal.replications import Replicate, Replicated, Seeded

JOURNAL_VERSION = 1
# Fields of a launch and of a resume that change the template's limits of a step.
STEP_LIMITS = ("run_s", "smoke_s", "memory_gib")


@dataclass(frozen=True, slots=True)
class Launched:
    """An idea was launched with these settings."""

    # Tells the kinds of events apart.
    type: Literal["launched"] = "launched"
    # Version of the journal's format.
    version: int = JOURNAL_VERSION
    # Name of the workspace, made from the idea's name.
    workspace: str = ""
    # Title of the idea.
    title: str = ""
    # Name of the template.
    template: str = ""
    # Digest of the frozen template.
    template_hash: str = ""
    # Name of the profile; empty if the template has none.
    profile: str = ""
    # Name of the planner's model.
    model: str = ""
    # Why this is a control and not a test of the idea; empty if it is a test.
    control: str = ""
    # The interpreter of the experiment.
    python: str = ""
    # Budgets at the launch; a resume may change them.
    limits: Limits = field(default_factory=Limits)
    # The first commit of the workspace.
    commit: str = ""
    # Digest of the template's run files.
    code: str = ""
    # Whether a smoke test comes before each run.
    smoke: bool = False
    # Whether a sealed evaluation follows each run.
    evaluates: bool = False
    # Whether the template draws figures at the end.
    plots: bool = True
    # Whether the template stores baselines; if not, run 0 makes one.
    has_baseline: bool = False
    # Name of the primary metric.
    primary: str = ""
    # The template's claim that results are verified. A run can only lower it.
    verified: bool = False
    # Folder that the experiment finds as ./data.
    data: str = ""
    # Folder of prepared data for runs, named by its content; empty if the template prepares none.
    training: str = ""
    # Folder of prepared data for evaluations, likewise.
    evaluation: str = ""
    # "run" or "plan" if a person is asked first.
    pause_before: str = ""
    # The way of editing: "blocks", or a program such as aider.
    editor: str = "blocks"
    # The model that turns the planner's prose into blocks; empty if the planner writes them.
    editor_model: str = ""
    # The model that judges runs; empty if none does.
    reviewer_model: str = ""
    # Models to ask if the first one cannot answer, in order.
    fallbacks: tuple[str, ...] = ()
    # Rounds in which the reviewer may change a review.
    reflections: int = 0
    # The sandbox that was asked for.
    sandbox: str = "auto"
    # Why the template's baselines judge no run of this idea; empty if they do. Left out of the JSON if it is empty.
    doubt: str = ""
    # Remark on baselines of another machine, whose numbers may differ; else empty, and left out of the JSON.
    caveat: str = ""
    # Seconds that a run may take, in place of the template's limit; 0: the template's. Left out of the JSON if 0.
    run_s: float = 0.0
    # The same of a smoke test.
    smoke_s: float = 0.0
    # GiB of memory that a step may use, likewise.
    memory_gib: float = 0.0
    # "plan" if edits are titled by their plan item. Empty in older journals and in their replays.
    titles: str = ""
    # The run of another workspace at whose code the idea begins; None, and left out of the JSON, if it is the
    # template's.
    begun: Begun | None = None

    @property
    def separate_editor(self) -> bool:
        """Whether somebody else than the planner writes the edits."""
        return bool(self.editor_model) or self.editor != "blocks"

    @property
    def is_replay(self) -> bool:
        """Whether the replies are those of another workspace."""
        return self.model.startswith("replay/")

    @property
    def is_deaf(self) -> bool:
        """Whether the planner reads no prompt: a search at random, or recorded replies."""
        return self.is_replay or self.model == "offline/sweep"

    @property
    def remark(self) -> str:
        """The remark that every line about this idea must carry: it is a control, or a replay of another workspace."""
        replayed = f"replay of {self.model.removeprefix('replay/')}" if self.is_replay else ""
        return "; ".join(part for part in (self.control, replayed) if part)


@dataclass(frozen=True, slots=True)
class Started:
    """An effect is about to happen."""

    # Key of the effect, the same one if it is tried again after a crash.
    key: str
    # Class name of the action, as "AskModel".
    kind: str
    # The run number at work.
    run: int
    # Number of the attempt folder.
    attempt: int
    # Replies of this attempt that were refused before.
    turn: int
    # Tells the kinds of events apart.
    type: Literal["started"] = "started"


@dataclass(frozen=True, slots=True)
class Finished:
    """The effect named by `key` happened."""

    key: str
    result: Result
    type: Literal["finished"] = "finished"


@dataclass(frozen=True, slots=True)
class Paused:
    """Work stopped. `resume` goes on, with the options of `remedy` if there are any."""

    kind: PauseKind
    reason: str
    remedy: str = ""
    type: Literal["paused"] = "paused"


@dataclass(frozen=True, slots=True)
class Resumed:
    """Work goes on after a pause or a crash, and a candidate that waited is approved.

    A setting that is None stays as it was. Later settings are left out of the JSON if they change nothing.
    """

    # Budgets.
    limits: Limits | None = None
    # "run" or "plan" if a person is asked first, "" if not.
    pause_before: str | None = None
    # The sandbox that is asked for.
    sandbox: str | None = None
    # Whether runs were added to an idea that had ended or was about to, so that its experiments go on.
    more_runs: bool = False
    # Limits of steps, as in Launched.
    run_s: float | None = None
    # Of a smoke test.
    smoke_s: float | None = None
    # Of any step.
    memory_gib: float | None = None
    # Tells the kinds of events apart.
    type: Literal["resumed"] = "resumed"


@dataclass(frozen=True, slots=True)
class Told:
    """A word of the researcher. If the same `id` came before, nothing new is told."""

    id: str
    text: str
    type: Literal["told"] = "told"


@dataclass(frozen=True, slots=True)
class Ended:
    """The idea is over."""

    completed: bool
    summary: str
    warnings: tuple[str, ...] = ()
    type: Literal["ended"] = "ended"


AnyEvent = Launched | Started | Finished | Paused | Resumed | Told | Ended | Replicate | Seeded | Replicated
Event = Annotated[AnyEvent, Field(discriminator="type")]


def replies_of(events: Iterable[object], role: Role) -> list[Asked]:
    """Every reply that a role gave, in order."""
    results = (event.result for event in events if isinstance(event, Finished))
    return [result for result in results if isinstance(result, Asked) and result.role == role]
