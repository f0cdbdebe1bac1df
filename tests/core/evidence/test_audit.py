"""What agrees with a journal and what does not, on values alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from agent.core.evidence.audit import (
    BranchCommit,
    NamedBlob,
    NamedCommit,
    PublishedRun,
    compare_branch,
    compare_idea,
    compare_reading,
    compare_tag,
    named_blobs,
    named_commits,
)
from agent.core.inputs.idea import Idea
from agent.core.journal.action_results import Applied, Asked, Closed, Handed, Published, Refused, Restored, Reviewed
from agent.core.journal.events import Event, Finished, Launched, Started
from agent.core.journal.fold import begin
from agent.core.journal.kinds import Measured, Step

LAUNCHED = Launched(workspace="momentum", title="Momentum helps", commit="c0", has_baseline=True)
STATE = replace(begin(LAUNCHED), code=replace(begin(LAUNCHED).code, head="c1"))
NAMED = [NamedCommit(0, "c0", ""), NamedCommit(2, "c1", "k1")]
BRANCH = [BranchCommit("c0", "", "Start"), BranchCommit("c1", "k1", "Edit")]
RUN = PublishedRun(
    seq=9,
    commit="c1",
    published=Published(run=1, tag="run/1", values={"loss": 0.5}),
    closed={Step.RUN: Closed(values={"loss": 0.5}), Step.EVALUATE: Closed(values={"score": 1.0}, self_reported="no")},
)


def test_every_blob_is_named_once_with_its_first_event() -> None:
    events: list[Event] = [
        LAUNCHED,
        Finished("k1", Asked(request="a", reply="b")),
        Finished("k2", Refused(feedback="c", staged=None)),
        Finished("k3", Asked(request="a", reply="d", reasoning="e")),
        Finished("k4", Handed(instruction="f", staged="g")),
    ]
    assert named_blobs(events) == [
        NamedBlob(1, "request", "a"),
        NamedBlob(1, "reply", "b"),
        NamedBlob(2, "feedback", "c"),
        NamedBlob(3, "reply", "d"),
        NamedBlob(3, "reasoning", "e"),
        NamedBlob(4, "instruction", "f"),
        NamedBlob(4, "staged", "g"),
    ]


def test_every_commit_is_named_with_the_key_of_its_effect() -> None:
    made = [Applied(commit="c1"), Applied(), Published(commit="c2"), Restored(commit="c3"), Reviewed(commit="c4")]
    events: list[Event] = [LAUNCHED, *(Finished(f"k{n}", result) for n, result in enumerate(made))]
    assert named_commits(events) == [
        NamedCommit(0, "c0", ""),
        NamedCommit(1, "c1", "k0"),
        NamedCommit(3, "c2", "k2"),
        NamedCommit(4, "c3", "k3"),
        NamedCommit(5, "c4", "k4"),
    ]


def test_a_branch_as_the_journal_has_it_agrees() -> None:
    assert compare_branch(STATE, NAMED, BRANCH, {"c0", "c1"}) == []


def test_a_commit_of_the_open_effect_may_be_on_top() -> None:
    on_top = [*BRANCH, BranchCommit("c2", "k2", "More")]
    open_state = replace(STATE, pending=Started("k2", "ApplyReply", 1, 1, 0))
    assert compare_branch(open_state, NAMED, on_top, {"c0", "c1"}) == []
    for state in (STATE, replace(STATE, pending=Started("k2", "Lint", 1, 1, 0))):
        (problem,) = compare_branch(state, NAMED, on_top, {"c0", "c1"})
        assert problem.where == "commit c2 (More)" and "no event made it" in problem.problem


def test_a_commit_with_another_step_is_named() -> None:
    other = [BRANCH[0], BranchCommit("c1", "", "Edit")]
    (problem,) = compare_branch(STATE, NAMED, other, {"c0", "c1"})
    assert str(problem) == "commit c1 of event 2: carries Step-Id none, not k1; restore .git from a copy"


def test_commits_that_git_lost_are_told_from_those_off_the_branch() -> None:
    lost, head = compare_branch(STATE, NAMED, BRANCH[:1], {"c0"})
    assert (lost.where, lost.problem) == ("commit c1 of event 2", "is missing")
    assert (head.where, head.problem) == ("branch main", "is at c0, the journal at c1")
    off, _ = compare_branch(STATE, NAMED, BRANCH[:1], {"c0", "c1"})
    assert off.problem == "is not on branch main"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"metrics": {"loss": 0.4}}', "[" * 100_000])
def test_a_tag_whose_metrics_are_not_the_journals_is_named(text: str) -> None:
    assert [problem.where for problem in compare_tag(RUN, "c1", f"Run 1\n\n{text}\n")] == ["tag run/1"]


def test_a_tag_with_the_journals_metrics_agrees() -> None:
    assert compare_tag(RUN, "c1", "Run 1\n\n" + json.dumps({"metrics": {"loss": 0.5}}, indent=2) + "\n") == []


def test_results_are_compared_name_by_name() -> None:
    assert compare_reading(RUN, Step.RUN, "f", Measured({"loss": 0.5})) == []
    found = compare_reading(RUN, Step.RUN, "f", Measured({"extra": 1.0}))
    assert [problem.problem for problem in found] == [
        "extra is 1.0, the journal recorded absent",
        "loss is absent, the journal recorded 0.5",
    ]


def test_an_evaluation_that_no_longer_calls_itself_self_reported_is_named() -> None:
    (problem,) = compare_reading(RUN, Step.EVALUATE, "f", Measured({"score": 1.0}))
    assert problem.problem == "says of being self-reported: nothing; the journal recorded: no"


def test_the_idea_is_the_launched_one() -> None:
    idea = Idea(Name="momentum", Title="Momentum helps", Experiment="Try.")
    assert compare_idea(LAUNCHED, idea) == []
    assert compare_idea(LAUNCHED, None)[0].problem == "holds no idea"
    assert "is about 'Other'" in compare_idea(LAUNCHED, idea.model_copy(update={"Title": "Other"}))[0].problem
