"""What the journal says, as values: one event a line, the results of effects inside `Finished`.

Launched            once, first
Started, Finished   around every effect; same key
Paused, Resumed     work stopped for a reason that time or a person can remove
Ended               once, last
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from agent.core.failure import ExitRecord, Failure
from agent.core.limits import Limits
from agent.core.reply import PlanItem

JOURNAL_VERSION = 1


class Stage(StrEnum):
    """Where an idea stands."""

    BASELINE = "baseline"
    EXPERIMENTS = "experiments"
    PLOT = "plot"
    NOTES = "notes"


class Step(StrEnum):
    """A supervised process."""

    SMOKE = "smoke"
    RUN = "run"
    EVALUATE = "evaluate"
    PLOT = "plot"


class Purpose(StrEnum):
    """Why the model is asked."""

    PLAN = "plan"
    NEXT = "next"
    FIX = "fix"
    REPAIR = "repair"
    WHOLE = "whole"
    PLOT = "plot"
    NOTES = "notes"


class Intent(StrEnum):
    """What a reply leads to once its edit is in place."""

    RUN = "run"
    REPLICATE = "replicate"
    FINISH = "finish"
    PLOT = "plot"
    NOTES = "notes"


class PauseKind(StrEnum):
    """What has to change before work can go on."""

    PROVIDER = "provider"
    INFRASTRUCTURE = "infrastructure"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Asked:
    """A reply arrived; `request` and `reply` are blobs. Unknown cost is None, never zero."""

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


@dataclass(frozen=True, slots=True)
class AskFailed:
    """The call failed for good; the conversation is as it was."""

    type: Literal["ask_failed"] = "ask_failed"
    reason: str = ""
    refused: bool = False


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


@dataclass(frozen=True, slots=True)
class Published:
    """A completed run lies in run_N/ under tag run/N. `settings` are the searched constants of its code."""

    type: Literal["published"] = "published"
    run: int = 0
    tag: str = ""
    commit: str = ""
    values: dict[str, float] = field(default_factory=dict)
    settings: dict[str, float | int | str | bool] = field(default_factory=dict)
    seed: int = 0
    self_reported: str = ""


@dataclass(frozen=True, slots=True)
class Restored:
    """The last good code is back as a new commit; with `gives_up` the run number is spent."""

    type: Literal["restored"] = "restored"
    commit: str = ""
    restores: str = ""
    gives_up: bool = False


Result = Annotated[
    Asked | AskFailed | Applied | Refused | Linted | Opened | Voided | Closed | Published | Restored,
    Field(discriminator="type"),
]


@dataclass(frozen=True, slots=True)
class Launched:
    """What was launched. `code` is the digest of the template's run files, `commit` the first commit.

    verified: the template's claim, which a run's own `self_reported` can only lower. training, evaluation: names of
    the folders of prepared data, which tell one content from another; empty where the template prepares none.
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
    """Work stopped; `resume` goes on."""

    kind: PauseKind
    reason: str
    type: Literal["paused"] = "paused"


@dataclass(frozen=True, slots=True)
class Resumed:
    """Work goes on after a pause or a crash."""

    type: Literal["resumed"] = "resumed"


@dataclass(frozen=True, slots=True)
class Ended:
    """The idea is over."""

    completed: bool
    summary: str
    warnings: tuple[str, ...] = ()
    type: Literal["ended"] = "ended"


Event = Annotated[Launched | Started | Finished | Paused | Resumed | Ended, Field(discriminator="type")]

_ADAPTER: TypeAdapter[Any] = TypeAdapter(Event)


def to_json(event: Launched | Started | Finished | Paused | Resumed | Ended) -> Any:
    """The event as JSON values, every field named."""
    return _ADAPTER.dump_python(event, mode="json")


def from_json(value: object) -> Launched | Started | Finished | Paused | Resumed | Ended:
    """Raises: pydantic.ValidationError on anything that is not an event of this version."""
    event: Launched | Started | Finished | Paused | Resumed | Ended = _ADAPTER.validate_python(value, strict=False)
    return event
