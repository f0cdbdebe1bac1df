"""Texts that cannot be read: a journal that holds one goes on, also if an orchestrator died in reading it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from agent.core.journal.action_results import Closed, Refused
from agent.core.journal.events import Finished
from agent.edges.run import reading
from agent.edges.system import reader
from agent.effects import apply
from agent.effects import review as reviewing
from tests.fakes import ScriptedModel, block
from tests.loop.conftest import Study
from tests.loop.lines import DONE, FASTER, LR, NO_PLOT_EDIT, NOTES, PLAN

POISON = "a word that no reader ever comes to the end of"
READERS = (apply, reading, reviewing)


def hang(patch: pytest.MonkeyPatch) -> None:
    """As in a version whose readers take exponential time for the poison."""
    patch.setattr(reader, "CPU_LIMIT_S", 0.2)

    def read(is_stopped: Callable[[], bool], tell: Any, *args: Any, **kwargs: Any) -> Any:
        if POISON in getattr(args[-1], "reply", str(args)):
            return reader.read_apart(is_stopped, re.match, r"(a+)+$", "a" * 60 + "b")
        return reader.read_apart(is_stopped, tell, *args, **kwargs)

    for module in READERS:
        patch.setattr(module, "read_apart", read)


def die(patch: pytest.MonkeyPatch) -> None:
    """As an orchestrator that somebody kills because it does not go on."""

    def read(is_stopped: Callable[[], bool], tell: Any, *args: Any, **kwargs: Any) -> Any:
        if POISON in getattr(args[-1], "reply", str(args)):
            raise KeyboardInterrupt
        return reader.read_apart(is_stopped, tell, *args, **kwargs)

    for module in READERS:
        patch.setattr(module, "read_apart", read)


def test_a_reply_is_refused_and_the_idea_goes_on(study: Study) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        die(patch)
        study.loop([PLAN + FASTER + POISON]).run()
    model = ScriptedModel([PLAN + FASTER, DONE, NO_PLOT_EDIT, NOTES])
    with pytest.MonkeyPatch.context() as patch:
        hang(patch)
        loop = study.loop(model)
        state = loop.run()
    assert state.ended and state.ended.completed
    refused = [e.result for e in loop.journal.events if isinstance(e, Finished) and isinstance(e.result, Refused)]
    assert [r.summary for r in refused] == ["the reply could not be read within 0.2 s"]
    assert "send it again, much shorter" in model.requests[0].messages[-1].content


def test_the_output_of_a_step_is_left_out_and_the_idea_goes_on(study: Study) -> None:
    fault = f"raise ValueError('{POISON}')\n"
    failing = block("experiment.py", LR, LR + fault)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        die(patch)
        patch.setattr(apply, "read_apart", reader.read_apart)
        study.loop([PLAN + failing]).run()
    mended = block("experiment.py", LR + fault, LR.replace("0.02", "0.1"))
    with pytest.MonkeyPatch.context() as patch:
        hang(patch)
        patch.setattr(apply, "read_apart", reader.read_apart)
        loop = study.loop([mended, DONE, NO_PLOT_EDIT, NOTES])
        state = loop.run()
    assert state.ended and state.ended.completed
    failed = [e.result for e in loop.journal.events if isinstance(e, Finished) and isinstance(e.result, Closed)]
    failure = next(closed.failure for closed in failed if closed.failure)
    assert "the text that it left could not be read within 0.2 s" in failure.summary
