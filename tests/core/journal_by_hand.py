"""A journal told by hand: every result answers the action that is due, as it would behind the driver."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from agent.core.decide import (
    Action,
    ApplyReply,
    AskModel,
    AwaitStep,
    Lint,
    Pause,
    Publish,
    ReadReview,
    Restore,
    StartStep,
    decide,
)
from agent.core.failure.diagnose import Failure, FailureKind
from agent.core.failure.record import ExitRecord
from agent.core.journal.action_results import (
    Answered,
    Applied,
    Asked,
    AskFailed,
    Closed,
    Handed,
    Linted,
    Opened,
    Published,
    Refused,
    Restored,
    Result,
    Reviewed,
    Voided,
)
from agent.core.journal.budget import Limits
from agent.core.journal.events import Event, Finished, Launched, Resumed, Started
from agent.core.journal.fold import advance, begin
from agent.core.journal.kinds import Intent, PlanItem, Purpose, Role, Step
from agent.core.journal.roles import role_of
from agent.core.journal.state import State

ANSWERS: dict[type, tuple[type, ...]] = {
    AskModel: (Asked, AskFailed),
    ApplyReply: (Answered, Applied, Handed, Refused),
    ReadReview: (Reviewed, Refused),
    Lint: (Linted,),
    StartStep: (Opened, Voided),
    AwaitStep: (Closed,),
    Publish: (Published,),
    Restore: (Restored,),
}
PLAN = (PlanItem(1, "Raise the learning rate"), PlanItem(2, "Add momentum"), PlanItem(3, "Replicate the best run"))
WELL = ExitRecord(0, None, False, False, 60.0, 2.0, 0.5)


def failure(text: str = "ValueError: shapes differ", kind: FailureKind = FailureKind.EXCEPTION) -> Failure:
    return Failure(kind, text, f"{text}\nand where", None, f"{kind.value}:{text}")


@dataclass
class Story:
    """Where an idea stands, and what to tell next. Commits are c1, c2, ...; the template is c0 with code k0."""

    limits: Limits = field(default_factory=Limits)
    smoke: bool = False
    evaluates: bool = False
    has_baseline: bool = True
    control: str = ""
    verified: bool = False
    editor_model: str = ""
    reviewer_model: str = ""
    reflections: int = 0

    def __post_init__(self) -> None:
        launched = Launched(
            workspace="momentum",
            title="Momentum helps",
            limits=self.limits,
            commit="c0",
            code="k0",
            smoke=self.smoke,
            evaluates=self.evaluates,
            has_baseline=self.has_baseline,
            control=self.control,
            verified=self.verified,
            editor_model=self.editor_model,
            reviewer_model=self.reviewer_model,
            reflections=self.reflections,
        )
        self.events: list[Event] = [launched]
        self.state: State = begin(launched)
        self._commits = 0

    @property
    def action(self) -> Action:
        return decide(self.state, self.state.limits)

    def hear(self, event: Event) -> None:
        self.events.append(event)
        self.state = advance(self.state, event)

    def tell(self, *results: Result) -> State:
        """Fold in what the due actions came to; a result that answers none of them fails the test."""
        for result in results:
            action = self.action
            assert isinstance(result, ANSWERS.get(type(action), ())), f"{action} is due, not {result}"
            key = f"key{len(self.events)}"
            self.hear(Started(key, type(action).__name__, self.state.run.number, self.state.attempt.serial, 0))
            self.hear(Finished(key, result))
        return self.state

    def resume(self) -> State:
        """Go on after a pause, as the driver does: the pause is stored, then the resumption."""
        action = self.action
        assert isinstance(action, Pause), action
        self.hear(action.pause)
        self.hear(Resumed())
        return self.state

    def commit(self) -> str:
        self._commits += 1
        return f"c{self._commits}"

    def ask(self) -> Purpose:
        action = self.action
        assert isinstance(action, AskModel), action
        role = role_of(self.state, action.purpose)
        blob = f"{role}{len(self.events)}" if role is not Role.PLANNER else "reply"
        self.tell(Asked(purpose=action.purpose, request="request", reply=blob, tokens_in=100, tokens_out=10, role=role))
        return action.purpose

    def hand(self, staged: str | None = None) -> None:
        """The planner is asked and its prose goes to the editor."""
        self.ask()
        self.tell(Handed(instruction="instruction", staged=staged))

    def review(self, judgement: str = "supported", **rest: object) -> Purpose:
        """The reviewer is asked and its reply read."""
        purpose = self.ask()
        version = self.state.idea_version
        told = {"run": self.state.rows[-1].run, "judgement": judgement, "reason": "why", "version": version}
        self.tell(Reviewed(**(told | rest)))  # type: ignore[arg-type]
        return purpose

    def apply(
        self,
        intent: Intent = Intent.RUN,
        code: str = "",
        plan: tuple[PlanItem, ...] | None = None,
        item: int | None = None,
    ) -> str:
        """The model is asked and its edit committed; the commit's name."""
        self.ask()
        commit = self.commit()
        subject = f"Run {self.state.run.number}: edit {commit}"
        code = code or (f"k-{commit}" if intent is Intent.RUN else self.state.code.good_digest)
        self.tell(Applied(intent=intent, commit=commit, subject=subject, code=code, plan=plan, item=item))
        return commit

    def refuse(
        self, summary: str = "experiment.py: SEARCH not found", staged: str | None = None, stuck: str = ""
    ) -> Purpose:
        purpose = self.ask()
        self.tell(Refused(summary=summary, feedback="feedback", staged=staged, stuck=stuck))
        return purpose

    def answer(self, *wanted: str) -> Purpose:
        """The model is asked, asks to see code, and is answered."""
        purpose = self.ask()
        self.tell(Answered(wanted=wanted, feedback="answer", shown={"experiment.py": ((1, 9),)}))
        return purpose

    def run_step(self, values: dict[str, float] | None = None, failed: Failure | None = None) -> StartStep:
        """The due step is started and ends, well or by its code's fault."""
        action = self.action
        assert isinstance(action, StartStep), action
        self.tell(Opened(step=action.step, folder=action.folder))
        self.tell(
            Closed(
                step=action.step,
                folder=action.folder,
                exit=WELL if failed is None else replace(WELL, exit_code=1),
                failure=failed,
                values=values or {},
                seconds=2.0,
            )
        )
        return action

    def break_step(self, exit: ExitRecord | None, problem: str = "No space left on device") -> StartStep:
        """The due step is started, and the machine fails it; with no exit record it was lost."""
        action = self.action
        assert isinstance(action, StartStep), action
        failed = failure(problem, FailureKind.INFRASTRUCTURE)
        self.tell(
            Opened(step=action.step, folder=action.folder),
            Closed(step=action.step, folder=action.folder, exit=exit, failure=failed, infrastructure=True),
        )
        return action

    def fail_attempt(self, failed: Failure | None = None) -> None:
        """An edit whose run fails by its code's fault."""
        self.apply()
        self.tell(Linted())
        self.run_step(failed=failed or failure())

    def publish(self, values: dict[str, float] | None = None, seed: int = 0) -> None:
        run = self.state.run.number
        self.tell(Published(run=run, tag=f"run/{run}", commit=self.commit(), values=values or {}, seed=seed or run))

    def complete_run(self, score: float = 0.5, *, code: str = "", intent: Intent = Intent.RUN, **edit: object) -> None:
        self.apply(intent, code, **edit)  # type: ignore[arg-type]
        self.finish_run({"score": score})

    def finish_run(self, values: dict[str, float]) -> None:
        """All checks of the candidate end well."""
        if isinstance(self.action, Lint):
            self.tell(Linted())
        while isinstance(self.action, StartStep):
            self.run_step(values)
        self.publish(values)

    def give_up_run(self) -> None:
        """Every attempt fails, each in its own way."""
        run = self.state.run.number
        for attempt in range(self.limits.attempts):
            self.fail_attempt(failure(f"Error{attempt}: no"))
        self.restore(gives_up=True)
        assert self.state.rows[-1].run == run

    def restore(self, *, gives_up: bool) -> None:
        assert self.action == Restore(gives_up), self.action
        self.tell(Restored(commit=self.commit(), restores=self.state.code.good, gives_up=gives_up))


def purposes(story: Story) -> list[Purpose]:
    asked = [e.result for e in story.events if isinstance(e, Finished)]
    return [result.purpose for result in asked if isinstance(result, Asked)]


__all__ = ["PLAN", "WELL", "Step", "Story", "failure", "purposes"]
