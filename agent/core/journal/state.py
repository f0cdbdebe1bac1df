"""The journal folded into one value: everything that `decide` and the prompts need to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from agent.core.failure.diagnose import Failure
from agent.core.journal.action_results import Opened, Reviewed
from agent.core.journal.budget import Limits, Paid, Tally
from agent.core.journal.events import Ended, Launched, Paused, Started
from agent.core.journal.kinds import Measured, PlanItem, Purpose, Role, Stage, Step
from agent.core.journal.replications import Replications
from agent.core.journal.words import Word


@dataclass(frozen=True, slots=True)
class Candidate:
    """Code on trial: its commit, the checks it passed, the values it measured."""

    # The commit that holds it.
    commit: str
    # First line of its commit message.
    subject: str
    # Number of the plan item that the code is for.
    item: int | None = None
    # Lint passed, or need not be run.
    linted: bool = False
    # Supervised steps that ended well, in order.
    passed: tuple[Step, ...] = ()
    # Folder of every step that ended, well or not.
    folders: dict[Step, str] = field(default_factory=dict)
    # Results of all its steps so far.
    measured: Measured = field(default_factory=Measured)
    # Seconds of its supervised steps.
    step_s: float = 0.0
    # Tries of its steps that somebody else killed.
    kills: int = 0
    # `tried` of the state before this code, for a candidate that is set aside.
    tried_before: str = ""
    # A person let it run.
    approved: bool = False


@dataclass(frozen=True, slots=True)
class Chat:
    """The last exchange with a model: names of blobs, "" for each that is not there yet."""

    request: str = ""
    reply: str = ""
    cut: bool = False  # the reply ended at its length limit
    feedback: str = ""  # the text that told the model why its reply was refused
    instruction: str = ""  # the planner's words, if the chat is the editor's


@dataclass(frozen=True, slots=True)
class Conversation(Chat):
    """The chat of one attempt."""

    purpose: Purpose = Purpose.PLAN  # of the last request
    role: Role = Role.PLANNER  # who wrote the last reply
    refusals: int = 0  # replies that led to no attempt
    summary: str = ""  # the last refusal in one line
    staged: str | None = None  # blob: texts of files after the accepted blocks of refused replies
    stuck: str = ""  # why a longer request would get the last refused reply again, as "repeat"
    asked_by: Conversation | None = None  # the planner's chat, which goes on if the editor makes no edit
    answers: int = 0  # replies that asked to see code and were answered
    is_answered: bool = False  # the last reply was such a one
    revealed: tuple[tuple[str, tuple[tuple[int, int], ...]], ...] = ()  # lines that its answer shows, by file


@dataclass(frozen=True, slots=True)
class ReviewChat(Chat):
    """The chat about one completed run."""

    run: int = field(kw_only=True)
    draft: str = ""  # blob: the last review that could be read
    rounds: int = 0  # reviews that could be read
    misses: int = 0  # replies that could not be read


MOST_WANTED = 24  # places of code that a run number's prompts show because they were asked for
UNHELD = "without a sandbox"


@dataclass(frozen=True, slots=True)
class RunRow:
    """Outcome of one run number that is spent."""

    # Run number, from 1.
    run: int
    # Whether its results were published; else the run number was given up.
    completed: bool
    # The purpose of the run, in the words of its first edit.
    subject: str
    # The commit that ran; empty if the run number was given up.
    commit: str
    # How many attempts it took.
    attempts: int
    # Its results; without values if the run number was given up.
    measured: Measured = field(default_factory=Measured)
    # The searched constants of its code.
    settings: dict[str, float | int | str | bool] = field(default_factory=dict)
    # Summaries of the attempts that failed, in order.
    failures: tuple[str, ...] = ()
    # Time of its supervised steps.
    seconds: float = 0.0
    # The plan item that it was for, as the plan had it then.
    item: PlanItem | None = None
    # The reviewer's judgement of it; None if there is none.
    review: Reviewed | None = None

    @property
    def values(self) -> dict[str, float]:
        return self.measured.values


def say_trust(launched: Launched, measured: Measured) -> str:
    """The words "verified", or "self-reported" with the reason. A run can only lower the claim of its template.

    If no sandbox held the run, that is added.
    """
    held = f", {UNHELD}" if measured.sandbox == "off" else ""
    if measured.self_reported:
        return f"self-reported: {measured.self_reported}{held}"
    return ("verified" if launched.verified else "self-reported") + held


@dataclass(frozen=True, slots=True)
class Spent:
    """Sums over everything that an idea has used up."""

    # Calls to models that were answered.
    calls: int = 0
    # Tokens, requests and known costs of all calls.
    paid: Paid = field(default_factory=Paid)
    # Calls whose price nobody knows.
    unknown_costs: int = 0
    # Seconds from requests to replies.
    model_s: float = 0.0
    # Seconds of supervised steps.
    step_s: float = 0.0
    # By role: the calls that budgets are checked against.
    by_role: dict[str, Tally] = field(default_factory=dict)
    # By role: how many of its replies were kept.
    replies: dict[str, int] = field(default_factory=dict)

    @property
    def cost_usd(self) -> float:
        """The sum of the costs that are known."""
        return self.paid.cost_usd or 0.0


@dataclass(frozen=True, slots=True)
class CodeState:
    """The commits and digests that new code is compared with. A digest is that of the run files."""

    # The newest commit.
    head: str
    # The newest commit whose run completed (at first the template's), and the digest of its code.
    good: str
    good_digest: str
    # Digest of the code of the last attempt.
    tried: str
    # Head holds the good code.
    clean: bool = True


@dataclass(frozen=True, slots=True)
class RunAtWork:
    """The run number at work: the attempts that it used up and the failures that struck in it."""

    # From 1; 0 is the baseline run.
    number: int = 1
    # The purpose of the run, in the words of its first edit.
    subject: str = ""
    # Attempts used up, those without code to run included.
    attempts_spent: int = 0
    # The failures of its attempts, in order.
    failures: tuple[Failure, ...] = ()
    # Commit of the last attempt that failed.
    failed_commit: str = ""
    # The last edit asked for the same code again, and no plan item says so.
    replicates: bool = False
    # Places of the code that replies asked to see: its next prompts show them.
    wanted: tuple[str, ...] = ()
    # Those that the edit under way asked for, which the next run number's prompts show.
    noted: tuple[str, ...] = ()

    @property
    def attempt(self) -> int:
        """Number of the attempt that is under way or comes next."""
        return self.attempts_spent + 1

    @property
    def failure(self) -> Failure | None:
        """The last failed attempt."""
        return self.failures[-1] if self.failures else None

    @property
    def repeats(self) -> int:
        """How often the last failure has struck in this run number."""
        return sum(f.fingerprint == self.failures[-1].fingerprint for f in self.failures) if self.failures else 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a run number: the chat that leads to code, then the code on trial."""

    # Number of the attempt folder. No number is used twice in a run.
    serial: int = 1
    conversation: Conversation = field(default_factory=Conversation)
    candidate: Candidate | None = None
    # A candidate that a person did not approve and that no other has replaced yet.
    set_aside: Candidate | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """Answers of a person who is asked before work goes on."""

    # The run number that a person let begin.
    run: int | None = None
    # The researcher said something while a candidate waited for approval.
    objected: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """One idea, as its journal tells it."""

    # The settings of the launch, with changes that a resume made.
    launched: Launched
    # Baseline, experiments, figures or closing notes.
    stage: Stage
    # Commits and digests that new code is compared with.
    code: CodeState
    # The run number at work.
    run: RunAtWork = field(default_factory=RunAtWork)
    # Its attempt that is under way or comes next.
    attempt: Attempt = field(default_factory=Attempt)
    # Blob of a reply that nobody has read yet: the planner's, the editor's or the reviewer's.
    reply: str | None = None
    # The review at work.
    reviewing: ReviewChat | None = None
    # Answers of a person who is asked before runs or plans.
    approval: Approval = field(default_factory=Approval)
    # Effects that happened since the launch.
    steps: int = 0
    # Items of the newest plan, those that are done included.
    plan: tuple[PlanItem, ...] = ()
    # Numbers of the plan items that a run number was spent on.
    done_items: tuple[int, ...] = ()
    # Run numbers that are spent, in order.
    rows: tuple[RunRow, ...] = ()
    # Run numbers given up since the last completed run.
    given_up_in_row: int = 0
    # Replies refused since the last one that was carried out, or since a resume.
    refused_in_row: int = 0
    # Supervised steps lost, or killed by somebody else, one after the other.
    lost_in_row: int = 0
    # Version of idea.json; a review may revise it.
    idea_version: int = 1
    # The supervised step that is going on.
    opened: Opened | None = None
    # An effect that began and has no result yet.
    pending: Started | None = None
    # Why work stopped; None while it goes on.
    pause: Paused | None = None
    # How the idea ended; None before that, and once it goes on.
    ended: Ended | None = None
    # Runs were added; the experiments go on as soon as nothing of the study's end is open.
    reopens: bool = False
    # Run number at which the experiments went on after an end; 0 if they never did.
    went_on_at: int = 0
    # Blob of the planner's last reply about the whole study: its notes, or that it is done.
    last_words: str = ""
    # Number of the last attempt folder in which figures were drawn.
    plots: int = 0
    # Runs again with fresh seeds, as a person asked for them.
    replications: Replications = field(default_factory=Replications)
    # Results of run 0, the template's own code.
    baseline: Measured = field(default_factory=Measured)
    # Lines for a person about parts that were left out.
    warnings: tuple[str, ...] = ()
    # Why blocks of notes.txt in the last edit were left out while the rest was applied; "" if none was.
    notes_left_out: str = ""
    # Tokens, money and time used up.
    spent: Spent = field(default_factory=Spent)
    # Everything that the researcher told.
    words: tuple[Word, ...] = ()

    @property
    def limits(self) -> Limits:
        return self.launched.limits

    def want(self, places: Sequence[str]) -> State:
        """The state in which the next prompts of the run number show these places of the code, too."""
        wanted = tuple(dict.fromkeys((*self.run.wanted, *places)))[-MOST_WANTED:]
        return replace(self, run=replace(self.run, wanted=wanted))

    @property
    def going(self) -> Opened | None:
        """The supervised step that is going on: the idea's own, or that of a replication."""
        one = self.replications.next
        return self.opened or (one.opened if one else None)

    @property
    def open_keys(self) -> tuple[str, ...]:
        """Keys of commits that may be on the branch already, though no event names them."""
        pending = (self.pending.key,) if self.pending else ()
        return (*pending, *(key for key, _ in self.replications.unrecorded))

    @property
    def tries(self) -> int:
        """How many replies one attempt may have: the first, its repairs, and one for a whole function.

        At the end of a study it is one.
        """
        return self.limits.repairs + 2 if self.stage is Stage.EXPERIMENTS else 1

    @property
    def completed_runs(self) -> int:
        return sum(row.completed for row in self.rows)

    @property
    def next_item(self) -> PlanItem | None:
        return next((item for item in self.plan if item.number not in self.done_items), None)
