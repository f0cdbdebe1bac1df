"""The words that events and decisions are told apart by."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Stage(StrEnum):
    """Where an idea stands."""

    BASELINE = "baseline"
    EXPERIMENTS = "experiments"
    PLOT = "plot"
    NOTES = "notes"


class Role(StrEnum):
    """Who is asked: one model may play all parts."""

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
    """Why the model is asked."""

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
    BUDGET = "budget"
    APPROVAL = "approval"


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One numbered item; `text` keeps its continuation lines and sub-bullets, and with them the parts it labels.

    hypothesis, expected (a metric and a size), refuted_if: in the model's words, "" where the item has no such label.
    """

    number: int
    text: str
    hypothesis: str = ""
    expected: str = ""
    refuted_if: str = ""


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

    def join(self, later: Measured) -> Measured:
        """The results of a run once a later step of it has ended too."""
        weaker = next((kind for kind in _STRENGTH if kind in (self.sandbox, later.sandbox)), "")
        return Measured(self.values | later.values, later.self_reported or self.self_reported, weaker)
