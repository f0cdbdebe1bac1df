"""Models of a launch, one for each role."""

from __future__ import annotations

from agent.core.journal.kinds import Role
from agent.edges.model.protocol import Models
from tests.fakes import ScriptedModel


def test_the_planner_plays_each_part_that_nobody_else_has() -> None:
    planner, editor, reviewer = (ScriptedModel([], name) for name in ("p", "e", "r"))
    assert [Models(planner).of(role).name for role in Role] == ["p", "p", "p"]
    models = Models(planner, editor, reviewer)
    assert [models.of(role) for role in (Role.PLANNER, Role.EDITOR, Role.REVIEWER)] == [planner, editor, reviewer]
