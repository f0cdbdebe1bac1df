"""The journal folded into one value: everything that `decide` and the prompts need to know."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.core.failure.diagnose import Failure
from agent.core.journal.budget import Tally
from agent.core.journal.events import (
    Ended,
    Launched,
    Paused,
    Purpose,
    Reviewed,
    Role,
    Stage,
    Started,
    Step,
)
from agent.core.journal.kinds import PlanItem
from agent.core.journal.limits import Limits
from agent.core.journal.words import Word


@dataclass(frozen=True, slots=True)
class Candidate:
    """Code on trial: a commit, what it has passed, what it has measured.

    tried_before: the state's `tried` before this code, for one that is set aside. approved: a person let it run.
    """

    commit: str
    subject: str
    item: int | None = None
    linted: bool = False
    passed: tuple[Step, ...] = ()
    folders: dict[Step, str] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    step_s: float = 0.0
    self_reported: str = ""
    tried_before: str = ""
    sandbox: str = ""
    approved: bool = False


@dataclass(frozen=True, slots=True)
class Conversation:
    """The chat of one attempt: blobs of the last request and reply, and what was said of the reply.

    cut: the reply ended at its length limit. The editor's chat has the planner's `instruction`, a blob, and the
    planner's own chat, `asked_by`, to which it goes back where no edit comes of it.
    """

    purpose: Purpose = Purpose.PLAN
    request: str = ""
    reply: str = ""
    refusals: int = 0
    feedback: str = ""
    staged: str | None = None
    summary: str = ""
    role: Role = Role.PLANNER
    cut: bool = False
    instruction: str = ""
    asked_by: Conversation | None = None


@dataclass(frozen=True, slots=True)
class ReviewTalk:
    """The chat about one completed run: blobs, as in a Conversation.

    draft: the last review that could be read, `rounds` how many there were. misses: replies that could not be read.
    """

    run: int
    request: str = ""
    reply: str = ""
    cut: bool = False
    draft: str = ""
    rounds: int = 0
    misses: int = 0
    feedback: str = ""


UNHELD = "without a sandbox"


@dataclass(frozen=True, slots=True)
class RunRow:
    """What became of one run number. `self_reported` is why its results are no verified ones, where they said so.

    item: the plan's item that it was for, as the plan had it then.
    """

    run: int
    completed: bool
    subject: str
    commit: str
    attempts: int
    values: dict[str, float] = field(default_factory=dict)
    settings: dict[str, float | int | str | bool] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    seconds: float = 0.0
    self_reported: str = ""
    item: PlanItem | None = None
    review: Reviewed | None = None
    sandbox: str = ""


def say_trust(launched: Launched, self_reported: str, sandbox: str = "") -> str:
    """The words "verified", or "self-reported" with the reason: the template's claim, which a run can only lower.

    Where nothing held the run, that is said too.
    """
    held = f", {UNHELD}" if sandbox == "off" else ""
    if self_reported:
        return f"self-reported: {self_reported}{held}"
    return ("verified" if launched.verified else "self-reported") + held


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used up. `unknown_costs` counts calls whose price nobody knows, `by_role` is what budgets go by.

    replies: how many each role gave that were kept.
    """

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    unknown_costs: int = 0
    model_s: float = 0.0
    step_s: float = 0.0
    tokens_cached: int = 0
    requests: int = 0
    by_role: dict[str, Tally] = field(default_factory=dict)
    replies: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """One idea, as its journal tells it.

    run: the run number at work, from 1 (0: the baseline run). serial: number of the attempt folder, never used twice
    in a run. head: the newest commit. good, good_code: the newest commit whose run completed (at first the
    template's) and the digest of its run files. tried: digest of the code of the last attempt. clean: head holds
    the good code. subject: what the run number at work is for, in the words of its first edit. replicates: its last
    edit asked for the same code again, as no plan item says. reviewing: the review at work. words: all that the
    researcher told. set_aside: a candidate that was not approved and that no other has replaced. approved_run: the
    run number that a person let begin. objected: something was told while a candidate waited for approval.
    """

    launched: Launched
    stage: Stage
    head: str
    good: str
    good_code: str
    tried: str
    run: int = 1
    serial: int = 1
    steps: int = 0
    attempts_spent: int = 0
    clean: bool = True
    plan: tuple[PlanItem, ...] = ()
    done_items: tuple[int, ...] = ()
    rows: tuple[RunRow, ...] = ()
    given_up_in_row: int = 0
    failures: tuple[Failure, ...] = ()
    lost_in_row: int = 0
    conversation: Conversation = field(default_factory=Conversation)
    reply: str | None = None
    candidate: Candidate | None = None
    failed_commit: str = ""
    subject: str = ""
    replicates: bool = False
    reviewing: ReviewTalk | None = None
    idea_version: int = 1
    open_step: Step | None = None
    open_folder: str = ""
    pending: Started | None = None
    pause: Paused | None = None
    ended: Ended | None = None
    baseline_values: dict[str, float] = field(default_factory=dict)
    baseline_self_reported: str = ""
    warnings: tuple[str, ...] = ()
    spent: Spent = field(default_factory=Spent)
    words: tuple[Word, ...] = ()
    set_aside: Candidate | None = None
    approved_run: int | None = None
    objected: bool = False

    @property
    def limits(self) -> Limits:
        return self.launched.limits

    @property
    def tries(self) -> int:
        """Replies of one attempt: the first, its repairs, one for a whole function; at the end of a study, one."""
        return self.limits.repairs + 2 if self.stage is Stage.EXPERIMENTS else 1

    @property
    def completed_runs(self) -> int:
        return sum(row.completed for row in self.rows)

    @property
    def failure(self) -> Failure | None:
        """The last failed attempt of the run number at work."""
        return self.failures[-1] if self.failures else None

    @property
    def repeats(self) -> int:
        """How often the last failure has struck in this run number."""
        return sum(f.fingerprint == self.failures[-1].fingerprint for f in self.failures) if self.failures else 0

    @property
    def next_item(self) -> PlanItem | None:
        return next((item for item in self.plan if item.number not in self.done_items), None)
