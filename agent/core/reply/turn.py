"""One request to a model, its reply, and the decision on it: values that prompts and the reading of replies share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from agent.core.edit.apply import Rejected
from agent.core.edit.seen import Ranges, carry
from agent.core.journal.kinds import Intent, PlanItem, Purpose, Stage
from agent.core.model.messages import Message
from agent.core.reply.example import Example, example_of
from agent.core.reply.misses import Miss

__all__ = ["Edit", "Handover", "Refusal", "Turn", "editable_at"]


@dataclass(frozen=True, slots=True)
class Turn:
    """A place in a chat with a model: the request that is due, or the reply to it once there is one."""

    # Why the model is asked.
    purpose: Purpose
    # Texts of the newest commit.
    files: Mapping[str, str]
    # Names of the files that a reply may change at this stage.
    editable: tuple[str, ...]
    # Names of the files that the run command uses.
    run_files: tuple[str, ...]
    # Texts of some of the files after accepted blocks of earlier replies. They are not committed yet.
    staged: Mapping[str, str] = field(default_factory=dict)
    # Messages of the chat's last request; () at the start of a chat.
    past: tuple[Message, ...] = ()
    # For each file that the last request showed in part: the lines of `files` that it showed.
    seen: Mapping[str, Ranges] = field(default_factory=dict)
    # The last reply; empty before there is one.
    reply: str = ""
    # The text that told the model why that reply was refused.
    feedback: str = ""
    # The planner's words, if the editor is asked.
    instruction: str = ""
    # The example in the rules, if they hold one. None: it is made of `files`.
    example: Example | None = None
    # Texts that runs find beside those of the commit: a model may see them and not change them.
    beside: Mapping[str, str] = field(default_factory=dict)
    # Whether the request was made by a version that answers requests to see code.
    answers: bool = True

    @property
    def base(self) -> dict[str, str]:
        """Texts that the blocks of the reply are applied to: the newest commit's and, instead of some, the staged."""
        return {**self.files, **self.staged}

    @property
    def readable(self) -> dict[str, str]:
        """All texts that may be shown."""
        return {**self.beside, **self.base}

    @property
    def seen_in_base(self) -> dict[str, Ranges]:
        """`seen` as lines of `base`."""
        base = self.base
        return {n: carry(ranges, self.files[n], base[n]) for n, ranges in self.seen.items() if n in self.files}

    @property
    def goes_on(self) -> bool:
        """Whether the request follows the last reply in the same chat."""
        if self.purpose in (Purpose.REVIEW, Purpose.REFLECT):
            return bool(self.past)
        return self.purpose in (Purpose.REPAIR, Purpose.WHOLE)

    @property
    def shown_example(self) -> Example:
        """The example in the rules of this chat."""
        return self.example or example_of(self.files, self.run_files)

    def edits_code(self, names: Collection[str]) -> bool:
        """Whether one of the files is used by the run command."""
        return any(name in self.run_files for name in names)

    def changes_in(self, texts: Mapping[str, str]) -> dict[str, str]:
        """The texts that differ from the newest commit."""
        return {name: text for name, text in texts.items() if self.files.get(name) != text}


@dataclass(frozen=True, slots=True)
class Edit:
    """A reply that can be carried out."""

    # The next action once the edit is in place.
    intent: Intent
    # New texts of the files that it alters.
    changes: dict[str, str]
    # First line of the commit message.
    subject: str
    # Digest of the code that it leads to.
    code: str
    # The plan as the reply changes it. None if it says nothing of the plan.
    plan: tuple[PlanItem, ...] | None = None
    # Number of the plan item that it carries out.
    item: int | None = None
    # Blocks of files that no run uses, refused while the rest is carried out.
    dropped: str = ""
    # Places of code that it asks to see.
    wanted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Handover:
    """A planner's prose, which the editor is to carry out. `staged` holds the files that its own blocks changed."""

    instruction: str
    staged: dict[str, str] = field(default_factory=dict)
    plan: tuple[PlanItem, ...] | None = None
    item: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply that leads to no attempt."""

    # The main reason in one line.
    summary: str
    # Blocks that were refused, each with its reason.
    rejected: tuple[Rejected, ...] = ()
    # How many blocks were accepted.
    applied: int = 0
    # Texts of the files that the accepted blocks changed. They wait for a repair.
    staged: dict[str, str] = field(default_factory=dict)
    # The plan as the reply changes it. None if it says nothing of the plan.
    plan: tuple[PlanItem, ...] | None = None
    # Places in the reply that miss its form.
    misses: tuple[Miss, ...] = ()
    # It ended at its length limit.
    cut: bool = False
    # It could not be read, so none of its words is quoted.
    is_unread: bool = False
    # Why the same request would get the same reply, as "repeat"; empty if it may not.
    stuck: str = ""
    # Places of code that it asks to see beside its edits.
    wanted: tuple[str, ...] = ()


def editable_at(stage: Stage, editable: Collection[str]) -> tuple[str, ...]:
    """The files that a reply may change at this stage, of those that the template allows."""
    match stage:
        case Stage.NOTES:
            return ("notes.txt",)
        case Stage.PLOT:
            return tuple(name for name in editable if name in ("plot.py", "notes.txt"))
        case Stage.EXPERIMENTS | Stage.BASELINE:
            return tuple(editable)
        case _:
            assert_never(stage)
