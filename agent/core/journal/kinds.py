"""Kinds of stages, roles, steps and pauses, and the small values that events and states share."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Stage(StrEnum):
    """The stages of an idea."""

    BASELINE = "baseline"
    EXPERIMENTS = "experiments"
    PLOT = "plot"
    NOTES = "notes"


class Role(StrEnum):
    """The role that is asked. One model may play all of them."""

    PLANNER = "planner"
    EDITOR = "editor"
    REVIEWER = "reviewer"


class Step(StrEnum):
    """A supervised process."""

    SMOKE = "smoke"
    RUN = "run"
    EVALUATE = "evaluate"
    PLOT = "plot"


class Purpose(StrEnum):
    """The reason why a model is asked."""

    PLAN = "plan"
    NEXT = "next"
    FIX = "fix"
    REPAIR = "repair"
    WHOLE = "whole"
    PLOT = "plot"
    NOTES = "notes"
    EDIT = "edit"
    REVIEW = "review"
    REFLECT = "reflect"


class Intent(StrEnum):
    """The next action once the edit of a reply is in place."""

    RUN = "run"
    REPLICATE = "replicate"
    FINISH = "finish"
    PLOT = "plot"
    NOTES = "notes"


class PauseKind(StrEnum):
    """The thing that has to change before work can go on."""

    PROVIDER = "provider"
    INFRASTRUCTURE = "infrastructure"
    STOP = "stop"
    BUDGET = "budget"
    APPROVAL = "approval"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One numbered item of a plan. The last three are in the words of the model, "" if the item has no such label."""

    number: int
    # The item with its continuation lines and sub-bullets, and with them the labelled parts.
    text: str
    hypothesis: str = ""
    # A metric and the size of its change.
    expected: str = ""
    refuted_if: str = ""


# Actions of the loop by the names that journals have for them, worded to follow "could not".
_ACTIONS = {
    "AskModel": "ask the model",
    "ApplyReply": "apply the reply",
    "ReadReview": "read the review",
    "Lint": "check the code",
    "StartStep": "start the step",
    "AwaitStep": "wait for the step",
    "Publish": "publish the run",
    "Restore": "restore the last good code",
}


def say_action(kind: str) -> str:
    """An action in words, as "start the step"."""
    return _ACTIONS.get(kind, kind)


_STRENGTH = ("off", "landlock", "bwrap")


@dataclass(frozen=True, slots=True)
class Measured:
    """Results of one step or run, and how far they can be trusted."""

    # Declared metrics and controls by name.
    values: dict[str, float] = field(default_factory=dict)
    # Why the results are not verified; empty if they do not say so.
    self_reported: str = ""
    # The sandbox that held the step, the weakest of several: "off" if there was none, empty if it is not recorded.
    sandbox: str = ""
    # Why the run compares with no baseline; empty if it may.
    doubt: str = ""

    def join(self, later: Measured) -> Measured:
        """The results of a run after one more of its steps."""
        weaker = next((kind for kind in _STRENGTH if kind in (self.sandbox, later.sandbox)), "")
        reported = later.self_reported or self.self_reported
        return Measured(self.values | later.values, reported, weaker, later.doubt or self.doubt)


@dataclass(frozen=True, slots=True)
class Begun:
    """A run of another workspace, as it was when an idea began at its code. That workspace may be gone since."""

    # Name of that workspace.
    workspace: str
    # Title of its idea.
    title: str
    # Number of the run.
    run: int
    # Purpose of the run.
    subject: str
    # What it measured there.
    values: dict[str, float] = field(default_factory=dict)
    # The commit of its code there.
    source: str = ""
    # The commit here that holds the code.
    commit: str = ""
    # Digest of the run files with it.
    code: str = ""

    def __str__(self) -> str:
        return f"run {self.run} of {self.workspace} ({self.title}): {self.subject}"
