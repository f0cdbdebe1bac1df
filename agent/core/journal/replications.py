"""Replications: a run's code again with fresh seeds, as a person asks for it. Their events, and the fold of these."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, assert_never

from pydantic import Field

from agent.core.journal.action_results import Closed, Opened, Published, Voided
from agent.core.journal.kinds import Measured, Step

FIRST_SEED = 10_001  # above every run number, which is the seed of its run


@dataclass(frozen=True, slots=True)
class Replicate:
    """A person asked for a run again, once with each of these seeds. `key` will name the commit of their facts."""

    run: int
    seeds: tuple[int, ...]
    key: str
    type: Literal["replicate"] = "replicate"


@dataclass(frozen=True, slots=True)
class Seeded:
    """A step of a replication began or ended, or its results were published."""

    run: int
    seed: int
    result: Annotated[Opened | Voided | Closed | Published, Field(discriminator="type")]
    type: Literal["seeded"] = "seeded"


@dataclass(frozen=True, slots=True)
class Replicated:
    """The facts of all replications under the key are in notes.txt."""

    run: int
    key: str
    # Empty if there was nothing to record.
    commit: str
    type: Literal["replicated"] = "replicated"


@dataclass(frozen=True, slots=True)
class Replication:
    """One run with one fresh seed, as far as it has come."""

    # Number of the run whose code it is; 0 is the template's own.
    run: int
    # Seed of its draws.
    seed: int
    # The key under which it was asked for.
    key: str
    # Number of its next folder.
    serial: int = 1
    # The step that is going on.
    opened: Opened | None = None
    # Steps that ended well, in order.
    passed: tuple[Step, ...] = ()
    # Folder of every step that ended well.
    folders: dict[Step, str] = field(default_factory=dict)
    # Results of its steps so far.
    measured: Measured = field(default_factory=Measured)
    # Why its code failed; empty if it did not.
    failure: str = ""
    # What the machine did to its last step; empty once another one began.
    setback: str = ""
    # Steps lost or killed by somebody else, one after the other.
    lost_in_row: int = 0
    # Seconds of its steps.
    seconds: float = 0.0
    # Its results are published.
    published: bool = False

    @property
    def is_over(self) -> bool:
        return self.published or bool(self.failure)


@dataclass(frozen=True, slots=True)
class Replications:
    """All replications of an idea's runs, in the order in which they were asked for."""

    all: tuple[Replication, ...] = ()
    # Keys whose facts are not in notes.txt yet, each with its run.
    unrecorded: tuple[tuple[str, int], ...] = ()
    # The machine's fault that ended the work on them for now.
    halt: str = ""

    @property
    def next(self) -> Replication | None:
        """The replication at work, or else the next one."""
        return next((one for one in self.all if not one.is_over), None)

    def of(self, run: int) -> tuple[Replication, ...]:
        return tuple(one for one in self.all if one.run == run)

    def under(self, key: str) -> tuple[Replication, ...]:
        return tuple(one for one in self.all if one.key == key)

    def results_of(self, run: int) -> dict[int, Measured]:
        """Results of the run's finished replications by seed."""
        return {one.seed: one.measured for one in self.of(run) if one.published}


def advance_replications(before: Replications, event: Replicate | Seeded | Replicated, most_lost: int) -> Replications:
    """The replications after one more event of theirs. most_lost: steps that may be lost in a row before a halt."""
    match event:
        case Replicate(run, seeds, key):
            asked = tuple(Replication(run, seed, key) for seed in seeds)
            return Replications((*before.all, *asked), (*before.unrecorded, (key, run)))
        case Replicated(_, key, _):
            return replace(before, unrecorded=tuple(one for one in before.unrecorded if one[0] != key))
        case Seeded(run, seed, result):
            old = next(one for one in before.all if (one.run, one.seed) == (run, seed))
            new = _advance_one(old, result)
            # A step that was only lost or killed is begun again, but not too often in a row.
            halt = new.setback if not new.lost_in_row or new.lost_in_row % most_lost == 0 else ""
            return replace(before, all=tuple(new if one is old else one for one in before.all), halt=halt)
        case _:
            assert_never(event)


def _advance_one(one: Replication, result: Opened | Voided | Closed | Published) -> Replication:
    match result:
        case Opened():
            return replace(one, opened=result, setback="")
        case Voided():
            return replace(one, serial=one.serial + 1, setback="")
        case Published():
            return replace(one, published=True)
        case Closed():
            one = replace(one, opened=None, seconds=one.seconds + result.seconds)
            if result.infrastructure:
                assert result.failure
                was_lost = result.exit is None or result.exit.was_killed
                lost = one.lost_in_row + 1 if was_lost else 0
                return replace(one, serial=one.serial + 1, lost_in_row=lost, setback=result.failure.summary)
            if result.failure:
                return replace(one, failure=result.failure.summary)
            return replace(
                one,
                lost_in_row=0,
                passed=(*one.passed, result.step),
                folders=one.folders | {result.step: result.folder},
                measured=one.measured.join(result.measured),
            )
        case _:
            assert_never(result)


def choose_seeds(count: int, used: Iterable[int]) -> tuple[int, ...]:
    """That many seeds that nothing was drawn with."""
    taken, seeds, seed = set(used), list[int](), FIRST_SEED
    while len(seeds) < count:
        if seed not in taken:
            seeds.append(seed)
        seed += 1
    return tuple(seeds)


def folder_of_seed(one: Replication, step: Step) -> str:
    """The step's folder under .agent/attempts: run_3.seed_10001.1 for the run itself."""
    return f"run_{one.run}.seed_{one.seed}.{one.serial}" + ("" if step is Step.RUN else f".{step}")
