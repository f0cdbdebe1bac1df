"""Results of the loop's actions, as the journal keeps them in Finished."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from agent.core.failure.diagnose import Failure
from agent.core.failure.record import ExitRecord
from agent.core.journal.budget import Paid
from agent.core.journal.kinds import Intent, Measured, PlanItem, Purpose, Role, Step


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
