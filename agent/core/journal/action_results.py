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

    # Tells the kinds of results apart.
    type: Literal["asked"] = "asked"
    # Why the model was asked.
    purpose: Purpose = Purpose.PLAN
    # Blob of the request: the name of its text in the journal's store.
    request: str = ""
    # Blob of the reply.
    reply: str = ""
    # Name of the model that answered, as it was asked. Journals of version 0.1 hold the provider's name for it.
    model: str = ""
    # Includes tokens_cached.
    tokens_in: int = 0
    # Tokens received, over all answers to the question.
    tokens_out: int = 0
    # None if the cost is unknown, never zero for that.
    cost_usd: float | None = None
    # Time from the request to the reply.
    seconds: float = 0.0
    # A crash cut off an earlier try of the same call, which may be charged too.
    repeated: bool = False
    # Whose reply it is.
    role: Role = Role.PLANNER
    # Part of tokens_in that the provider had in its cache.
    tokens_cached: int = 0
    # Length of the request as rendered; 0 if it is not known.
    chars: int = 0
    # HTTP requests that were sent, with those that were refused.
    requests: int = 1
    # The provider's word for the end of the reply: "length" if it was cut.
    finish_reason: str = ""
    # Blob of the model's reasoning; empty if the provider does not tell it.
    reasoning: str = ""
    # Answers whose tokens the provider did not count.
    uncounted: int = 0
    # The provider's own name for the model, if it is another one; else empty, and left out of the JSON.
    served: str = ""

    @property
    def paid(self) -> Paid:
        return Paid(self.tokens_in, self.tokens_out, self.tokens_cached, self.cost_usd, self.requests, self.uncounted)


@dataclass(frozen=True, slots=True)
class AskFailed:
    """The call failed for good, or a budget forbade it. The conversation stays as it was."""

    # Tells the kinds of results apart.
    type: Literal["ask_failed"] = "ask_failed"
    # The provider's error or the budget that was met.
    reason: str = ""
    # The provider will not answer this request, however often it is sent.
    refused: bool = False
    # Options of `resume` that would allow the call; empty if a provider, not a budget, prevented it.
    remedy: str = ""
    # Who was asked.
    role: Role = Role.PLANNER
    # Tokens sent for answers that were of no use.
    tokens_in: int = 0
    # Tokens of the answers that were of no use.
    tokens_out: int = 0
    # Part of tokens_in that the provider had in its cache.
    tokens_cached: int = 0
    # Cost of those answers; None if it is unknown or there were none.
    cost_usd: float | None = None
    # HTTP requests that were sent, with those that were refused.
    requests: int = 0
    # Length of the request as rendered.
    chars: int = 0
    # The same call was sent before a crash, and may be charged.
    repeated: bool = False
    # Answers of no use whose tokens the provider did not count.
    uncounted: int = 0

    @property
    def paid(self) -> Paid:
        return Paid(self.tokens_in, self.tokens_out, self.tokens_cached, self.cost_usd, self.requests, self.uncounted)


@dataclass(frozen=True, slots=True)
class Applied:
    """A reply was carried out."""

    # Tells the kinds of results apart.
    type: Literal["applied"] = "applied"
    # The next action.
    intent: Intent = Intent.RUN
    # Empty if no file changed.
    commit: str = ""
    # Names of the files that changed.
    changed: tuple[str, ...] = ()
    # First line of the commit message.
    subject: str = ""
    # Digest of the run files.
    code: str = ""
    # The new plan; None if the reply had none.
    plan: tuple[PlanItem, ...] | None = None
    # Number of the plan item that the edit is for.
    item: int | None = None
    # Why a part of the reply was left out.
    dropped: str = ""
    # Places of the code that it asks to see beside its edits. Left out of the JSON if there are none.
    wanted: tuple[str, ...] = ()

    @property
    def left_out(self) -> str:
        """The same without the name of the file if that is notes.txt."""
        parts = self.dropped.split("; ")
        is_of_notes = all(part.startswith("notes.txt: ") for part in parts)
        return "; ".join(part.removeprefix("notes.txt: ") for part in parts) if is_of_notes else self.dropped


@dataclass(frozen=True, slots=True)
class Refused:
    """A reply led to no attempt."""

    # Tells the kinds of results apart.
    type: Literal["refused"] = "refused"
    # The main reason in one line.
    summary: str = ""
    # Blob of the text for the model.
    feedback: str = ""
    # Blob of the files with the accepted blocks applied.
    staged: str | None = None
    # The new plan; None if the reply had none.
    plan: tuple[PlanItem, ...] | None = None
    # Why the same request would get the same reply, as "repeat". Empty if it may not, and then left out of the JSON.
    stuck: str = ""
    # Places of the code that it asks to see beside its edits. Left out of the JSON if there are none.
    wanted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply asked to see code, which the next request shows. It leads to no attempt and is no refusal."""

    # Tells the kinds of results apart.
    type: Literal["answered"] = "answered"
    # Places of the code: "experiment.py:train".
    wanted: tuple[str, ...] = ()
    # Blob of the text for the model.
    feedback: str = ""
    # By file: the lines of the newest commit's text that it shows.
    shown: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    # Blob of files with the accepted blocks of earlier replies applied.
    staged: str | None = None
    # The new plan; None if the reply had none.
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

    # Tells the kinds of results apart.
    type: Literal["reviewed"] = "reviewed"
    # Number of the completed run that was judged.
    run: int = 0
    # The reviewer's verdict on the idea, as "supported" or "revise".
    judgement: str = ""
    # The reviewer's reason for the judgement.
    reason: str = ""
    # Proposals for the next runs; may be empty.
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

    # Tells the kinds of results apart.
    type: Literal["closed"] = "closed"
    # Which of a run's steps it was.
    step: Step = Step.RUN
    # Name of the step's folder below the attempts.
    folder: str = ""
    # None if the step was lost.
    exit: ExitRecord | None = None
    # Why the step failed; None if it went well.
    failure: Failure | None = None
    # The machine failed, not the code.
    infrastructure: bool = False
    # The declared metrics and controls that it reported.
    values: dict[str, float] = field(default_factory=dict)
    # Wall time of the step; 0 if it was lost.
    seconds: float = 0.0
    # Why its evaluation is not verified; empty if it does not say so.
    self_reported: str = ""
    # Why the run compares with no baseline; empty if it may.
    doubt: str = ""

    @property
    def measured(self) -> Measured:
        return Measured(self.values, self.self_reported, self.exit.sandbox if self.exit else "", self.doubt)


@dataclass(frozen=True, slots=True)
class Published:
    """A completed run lies in run_N/ under tag run/N."""

    # Tells the kinds of results apart.
    type: Literal["published"] = "published"
    # Run number; 0 is the template's own code.
    run: int = 0
    # Git tag of the code that ran.
    tag: str = ""
    # The commit that records the results in notes.txt.
    commit: str = ""
    # Declared metrics and controls by name.
    values: dict[str, float] = field(default_factory=dict)
    # The searched constants of its code.
    settings: dict[str, float | int | str | bool] = field(default_factory=dict)
    # Seed of the run: its number.
    seed: int = 0
    # Why the results are not verified; empty if they do not say so.
    self_reported: str = ""
    # The weakest sandbox that held one of its steps: "off" if one had none.
    # Empty in journals that are older than sandboxes.
    sandbox: str = ""
    # Why the run compares with no baseline; empty if it may.
    doubt: str = ""

    @property
    def measured(self) -> Measured:
        return Measured(self.values, self.self_reported, self.sandbox, self.doubt)


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
    | Answered
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
