"""What the journal says, as values: one event a line, the results of effects inside `Finished`.

Launched            once, first
Started, Finished   around every effect; same key
Paused, Resumed     work stopped for a reason that time or a person can remove
Told                a researcher's word for the model, at any time
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
from agent.core.journal.kinds import Intent as Intent
from agent.core.journal.kinds import Measured, PlanItem
from agent.core.journal.kinds import PauseKind as PauseKind
from agent.core.journal.kinds import Purpose as Purpose
from agent.core.journal.kinds import Role as Role
from agent.core.journal.kinds import Stage as Stage
from agent.core.journal.kinds import Step as Step
from agent.core.journal.limits import Limits

JOURNAL_VERSION = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """A reply arrived; `request`, `reply` and `reasoning` are blobs. Unknown cost is None, never zero.

    tokens_cached: part of tokens_in. chars: of the request as rendered; 0 where that is not known. finish_reason: the
    provider's word for why the reply ends; "length" where it was cut. reasoning: empty where the provider tells none.
    """

    type: Literal["asked"] = "asked"
    purpose: Purpose = Purpose.PLAN
    request: str = ""
    reply: str = ""
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float | None = None
    seconds: float = 0.0
    repeated: bool = False
    role: Role = Role.PLANNER
    tokens_cached: int = 0
    chars: int = 0
    requests: int = 1
    finish_reason: str = ""
    reasoning: str = ""

    @property
    def paid(self) -> Paid:
        return Paid(self.tokens_in, self.tokens_out, self.tokens_cached, self.cost_usd, self.requests)


@dataclass(frozen=True, slots=True)
class AskFailed:
    """The call failed for good, or a budget forbade it; the conversation is as it was.

    remedy: options of `resume` that would allow it; empty where the provider, not a budget, stood in the way. tokens
    and cost: of answers that were of no use. repeated: the same call was sent before a crash, and may be charged.
    """

    type: Literal["ask_failed"] = "ask_failed"
    reason: str = ""
    refused: bool = False
    remedy: str = ""
    role: Role = Role.PLANNER
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    cost_usd: float | None = None
    requests: int = 0
    chars: int = 0
    repeated: bool = False

    @property
    def paid(self) -> Paid:
        return Paid(self.tokens_in, self.tokens_out, self.tokens_cached, self.cost_usd, self.requests)


@dataclass(frozen=True, slots=True)
class Applied:
    """A reply was carried out. `code` is the digest of the run files, `commit` empty where nothing changed."""

    type: Literal["applied"] = "applied"
    intent: Intent = Intent.RUN
    commit: str = ""
    changed: tuple[str, ...] = ()
    subject: str = ""
    code: str = ""
    plan: tuple[PlanItem, ...] | None = None
    item: int | None = None
    dropped: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A reply led to no attempt: `feedback` and `staged` (files with the good blocks applied) are blobs."""

    type: Literal["refused"] = "refused"
    summary: str = ""
    feedback: str = ""
    staged: str | None = None
    plan: tuple[PlanItem, ...] | None = None


@dataclass(frozen=True, slots=True)
class Handed:
    """The planner's prose goes to the editor: `instruction` is its blob, `staged` files that its own blocks changed."""

    type: Literal["handed"] = "handed"
    instruction: str = ""
    staged: str | None = None
    plan: tuple[PlanItem, ...] | None = None
    item: int | None = None


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The reviewer judged the idea by one run.

    final: no round of reflection follows. commit: of the judgement in notes.txt and of the revised idea, where there
    is one; version: of idea.json after it. refused: why a revision was left out.
    """

    type: Literal["reviewed"] = "reviewed"
    run: int = 0
    judgement: str = ""
    reason: str = ""
    suggestions: tuple[str, ...] = ()
    commit: str = ""
    version: int = 1
    refused: str = ""
    final: bool = True


@dataclass(frozen=True, slots=True)
class Linted:
    """Lint was done; `failure` holds findings that the last good code lacks."""

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
    """A step folder was found without a supervisor and is closed to late ones."""

    type: Literal["voided"] = "voided"
    step: Step = Step.RUN
    folder: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Closed:
    """A supervised step ended. `values` are the declared metrics and controls that it left.

    self_reported: why its evaluation is no verified one; empty where it does not say so.
    """

    type: Literal["closed"] = "closed"
    step: Step = Step.RUN
    folder: str = ""
    exit: ExitRecord | None = None
    failure: Failure | None = None
    infrastructure: bool = False
    values: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    self_reported: str = ""

    @property
    def measured(self) -> Measured:
        return Measured(self.values, self.self_reported, self.exit.sandbox if self.exit else "")


@dataclass(frozen=True, slots=True)
class Published:
    """A completed run lies in run_N/ under tag run/N. `settings` are the searched constants of its code.

    sandbox: the weakest that held one of its steps, "off" where nothing did; empty in journals older than sandboxes.
    """

    type: Literal["published"] = "published"
    run: int = 0
    tag: str = ""
    commit: str = ""
    values: dict[str, float] = field(default_factory=dict)
    settings: dict[str, float | int | str | bool] = field(default_factory=dict)
    seed: int = 0
    self_reported: str = ""
    sandbox: str = ""

    @property
    def measured(self) -> Measured:
        return Measured(self.values, self.self_reported, self.sandbox)


@dataclass(frozen=True, slots=True)
class Restored:
    """The last good code is back as a new commit; with `gives_up` the run number is spent."""

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
    """What was launched. `code` is the digest of the template's run files, `commit` the first commit.

    verified: the template's claim, which a run's own `self_reported` can only lower. training, evaluation: names of
    the folders of prepared data, which tell one content from another; empty where the template prepares none.
    editor_model: who turns the planner's prose into blocks, reviewer_model: who judges runs; empty where nobody does.
    reflections: rounds in which the reviewer may change a review. sandbox: the one that was asked for.
    """

    type: Literal["launched"] = "launched"
    version: int = JOURNAL_VERSION
    workspace: str = ""
    title: str = ""
    template: str = ""
    template_hash: str = ""
    profile: str = ""
    model: str = ""
    control: str = ""
    python: str = ""
    limits: Limits = field(default_factory=Limits)
    commit: str = ""
    code: str = ""
    smoke: bool = False
    evaluates: bool = False
    plots: bool = True
    has_baseline: bool = False
    primary: str = ""
    verified: bool = False
    data: str = ""
    training: str = ""
    evaluation: str = ""
    pause_before: str = ""
    editor: str = "blocks"
    editor_model: str = ""
    reviewer_model: str = ""
    fallbacks: tuple[str, ...] = ()
    reflections: int = 0
    sandbox: str = "auto"

    @property
    def separate_editor(self) -> bool:
        """Whether another than the planner writes the edits."""
        return bool(self.editor_model) or self.editor != "blocks"

    @property
    def remark(self) -> str:
        """What every line about this idea must say: that it is a control, or a replay of another workspace."""
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
    """Work stopped; `resume` goes on, with the options of `remedy` where there are any."""

    kind: PauseKind
    reason: str
    remedy: str = ""
    type: Literal["paused"] = "paused"


@dataclass(frozen=True, slots=True)
class Resumed:
    """Work goes on after a pause or a crash; what waited for approval has it. None leaves a setting as it was."""

    limits: Limits | None = None
    pause_before: str | None = None
    sandbox: str | None = None
    type: Literal["resumed"] = "resumed"


@dataclass(frozen=True, slots=True)
class Told:
    """A researcher's word; an `id` that came before tells nothing new."""

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
