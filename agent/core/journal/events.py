"""Events of the journal as values: one event a line, results of effects inside `Finished`.

Launched            once, first
Started, Finished   around every effect, with the same key
Paused, Resumed     work stopped for a reason that time or a person can remove
Told                a word of the researcher for the model, at any time
Ended               once, last
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from agent.core.failure.diagnose import Failure
from agent.core.failure.record import ExitRecord
from agent.core.journal.budget import Paid
from agent.core.journal.kinds import Intent, Measured, PauseKind, PlanItem, Purpose, Role, Step
from agent.core.journal.limits import Limits

JOURNAL_VERSION = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """A reply arrived."""

    type: Literal["asked"] = "asked"
    purpose: Purpose = Purpose.PLAN
    # Blobs: the names of texts in the journal's store. `reasoning` is empty if the provider does not tell it.
    request: str = ""
    reply: str = ""
    model: str = ""
    # Includes tokens_cached.
    tokens_in: int = 0
    tokens_out: int = 0
    # None if the cost is unknown, never zero for that.
    cost_usd: float | None = None
    # Time from the request to the reply.
    seconds: float = 0.0
    # A crash cut off an earlier try of the same call, which may be charged too.
    repeated: bool = False
    role: Role = Role.PLANNER
    tokens_cached: int = 0
    # Length of the request as rendered; 0 if it is not known.
    chars: int = 0
    # HTTP requests that were sent, with those that were refused.
    requests: int = 1
    # The provider's word for the end of the reply: "length" if it was cut.
    finish_reason: str = ""
    reasoning: str = ""

    @property
    def paid(self) -> Paid:
        return Paid(self.tokens_in, self.tokens_out, self.tokens_cached, self.cost_usd, self.requests)


@dataclass(frozen=True, slots=True)
class AskFailed:
    """The call failed for good, or a budget forbade it. The conversation stays as it was."""

    type: Literal["ask_failed"] = "ask_failed"
    reason: str = ""
    # The provider will not answer this request, however often it is sent.
    refused: bool = False
    # Options of `resume` that would allow the call; empty if a provider, not a budget, prevented it.
    remedy: str = ""
    role: Role = Role.PLANNER
    # Tokens and cost of answers that were of no use.
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    cost_usd: float | None = None
    requests: int = 0
    chars: int = 0
    # The same call was sent before a crash, and may be charged.
    repeated: bool = False

    @property
    def paid(self) -> Paid:
        return Paid(self.tokens_in, self.tokens_out, self.tokens_cached, self.cost_usd, self.requests)


@dataclass(frozen=True, slots=True)
class Applied:
    """A reply was carried out."""

    type: Literal["applied"] = "applied"
    intent: Intent = Intent.RUN
    # Empty if no file changed.
    commit: str = ""
    changed: tuple[str, ...] = ()
    subject: str = ""
    # Digest of the run files.
    code: str = ""
    # The new plan; None if the reply had none.
    plan: tuple[PlanItem, ...] | None = None
    # Number of the plan item that the edit is for.
    item: int | None = None
    # Why a part of the reply was left out.
    dropped: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A reply led to no attempt."""

    type: Literal["refused"] = "refused"
    summary: str = ""
    # Blobs: the text for the model, and the files with the accepted blocks applied.
    feedback: str = ""
    staged: str | None = None
    plan: tuple[PlanItem, ...] | None = None


@dataclass(frozen=True, slots=True)
class Handed:
    """The planner's prose goes to the editor."""

    type: Literal["handed"] = "handed"
    # Blobs: the prose, and the files that the planner's own blocks changed.
    instruction: str = ""
    staged: str | None = None
    plan: tuple[PlanItem, ...] | None = None
    item: int | None = None


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The reviewer judged the idea by one run."""

    type: Literal["reviewed"] = "reviewed"
    run: int = 0
    judgement: str = ""
    reason: str = ""
    suggestions: tuple[str, ...] = ()
    # The commit of the judgement in notes.txt and of the revised idea.
    commit: str = ""
    # Version of idea.json after it.
    version: int = 1
    # Why a revision of the idea was left out.
    refused: str = ""
    # No round of reflection follows.
    final: bool = True


@dataclass(frozen=True, slots=True)
class Linted:
    """Lint is done. `failure` holds the findings that are not in the last good code."""

    type: Literal["linted"] = "linted"
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A supervised step has a supervisor."""

    type: Literal["opened"] = "opened"
    step: Step = Step.RUN
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Voided:
    """A step folder without a supervisor was closed, so that no late supervisor can take it."""

    type: Literal["voided"] = "voided"
    step: Step = Step.RUN
    folder: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Closed:
    """A supervised step ended."""

    type: Literal["closed"] = "closed"
    step: Step = Step.RUN
    folder: str = ""
    # None if the step was lost.
    exit: ExitRecord | None = None
    failure: Failure | None = None
    # The machine failed, not the code.
    infrastructure: bool = False
    # The declared metrics and controls that it reported.
    values: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    # Why its evaluation is not verified; empty if it does not say so.
    self_reported: str = ""

    @property
    def measured(self) -> Measured:
        return Measured(self.values, self.self_reported, self.exit.sandbox if self.exit else "")


@dataclass(frozen=True, slots=True)
class Published:
    """A completed run lies in run_N/ under tag run/N."""

    type: Literal["published"] = "published"
    run: int = 0
    tag: str = ""
    commit: str = ""
    values: dict[str, float] = field(default_factory=dict)
    # The searched constants of its code.
    settings: dict[str, float | int | str | bool] = field(default_factory=dict)
    seed: int = 0
    self_reported: str = ""
    # The weakest sandbox that held one of its steps: "off" if one had none.
    # Empty in journals that are older than sandboxes.
    sandbox: str = ""

    @property
    def measured(self) -> Measured:
        return Measured(self.values, self.self_reported, self.sandbox)


@dataclass(frozen=True, slots=True)
class Restored:
    """The last good code is back as a new commit. If `gives_up`, the run number is spent."""

    type: Literal["restored"] = "restored"
    commit: str = ""
    restores: str = ""
    gives_up: bool = False


Result = Annotated[
    Asked
    | AskFailed
    | Applied
    | Refused
    | Handed
    | Reviewed
    | Linted
    | Opened
    | Voided
    | Closed
    | Published
    | Restored,
    Field(discriminator="type"),
]


@dataclass(frozen=True, slots=True)
class Launched:
    """An idea was launched with these settings."""

    type: Literal["launched"] = "launched"
    version: int = JOURNAL_VERSION
    # Name of the workspace, made from the idea's name.
    workspace: str = ""
    # Title of the idea.
    title: str = ""
    template: str = ""
    # Digest of the frozen template.
    template_hash: str = ""
    profile: str = ""
    model: str = ""
    # Why this is a control and not a test of the idea; empty if it is a test.
    control: str = ""
    # The interpreter of the experiment.
    python: str = ""
    limits: Limits = field(default_factory=Limits)
    # The first commit of the workspace.
    commit: str = ""
    # Digest of the template's run files.
    code: str = ""
    # Whether a smoke test comes before each run.
    smoke: bool = False
    # Whether a sealed evaluation follows each run.
    evaluates: bool = False
    plots: bool = True
    # Whether the template stores baselines; if not, run 0 makes one.
    has_baseline: bool = False
    # Name of the primary metric.
    primary: str = ""
    # The template's claim that results are verified. A run can only lower it.
    verified: bool = False
    # Folder that the experiment finds as ./data.
    data: str = ""
    # Folders of prepared data, named by their content; empty if the template prepares none.
    training: str = ""
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

    @property
    def separate_editor(self) -> bool:
        """Whether somebody else than the planner writes the edits."""
        return bool(self.editor_model) or self.editor != "blocks"

    @property
    def remark(self) -> str:
        """The remark that every line about this idea must carry: it is a control, or a replay of another workspace."""
        replayed = f"replay of {self.model.removeprefix('replay/')}" if self.model.startswith("replay/") else ""
        return "; ".join(part for part in (self.control, replayed) if part)


@dataclass(frozen=True, slots=True)
class Started:
    """An effect is about to happen."""

    key: str
    kind: str
    run: int
    attempt: int
    turn: int
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

    A setting that is None stays as it was.
    """

    limits: Limits | None = None
    pause_before: str | None = None
    sandbox: str | None = None
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


Event = Annotated[Launched | Started | Finished | Paused | Resumed | Told | Ended, Field(discriminator="type")]


def replies_of(events: Iterable[object], role: Role) -> list[Asked]:
    """Every reply that a role gave, in order."""
    results = (event.result for event in events if isinstance(event, Finished))
    return [result for result in results if isinstance(result, Asked) and result.role == role]
