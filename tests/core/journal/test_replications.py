"""Replications as events: what is due, what a crash leaves, and that the idea itself stays as it stands."""

from __future__ import annotations

from dataclasses import replace

from agent.core.decide import AwaitStep, PublishSeed, RecordSeeds, StartStep, decide_seed
from agent.core.journal.action_results import Closed, Opened, Published, Voided
from agent.core.journal.events import Ended
from agent.core.journal.kinds import Step
from agent.core.journal.replications import FIRST_SEED, Replicate, Replicated, Seeded, choose_seeds
from tests.core.journal_by_hand import WELL, Story, failure


def asked(*seeds: int) -> Story:
    """An idea with two runs that has ended, of whose first run these seeds are asked for."""
    story = Story(evaluates=True, smoke=True)
    for score in (0.5, 0.6):
        story.complete_run(score)
    story.hear(Ended(True, "2 runs completed"))
    story.hear(Replicate(1, seeds, "key"))
    return story


def do(story: Story, result: Opened | Voided | Closed | Published) -> None:
    one = story.state.replications.next
    assert one
    story.hear(Seeded(one.run, one.seed, result))


def step(story: Story, score: float = 0.5, **closed: object) -> StartStep:
    action = decide_seed(story.state)
    assert isinstance(action, StartStep), action
    do(story, Opened(step=action.step, folder=action.folder))
    assert decide_seed(story.state) == AwaitStep(action.step, action.folder)
    how = {"exit": WELL, "values": {"score": score}} | closed
    do(story, Closed(step=action.step, folder=action.folder, **how))  # type: ignore[arg-type]
    return action


def test_each_seed_is_run_evaluated_and_published_and_then_all_are_recorded() -> None:
    story = asked(7, 8)
    before = story.state
    for seed in (7, 8):
        run, evaluate = step(story), step(story, 0.1 * seed)
        assert (run.step, run.folder) == (Step.RUN, f"run_1.seed_{seed}.1")  # no smoke test: the code is the same
        assert (evaluate.step, evaluate.folder) == (Step.EVALUATE, f"run_1.seed_{seed}.1.evaluate")
        assert run.commit == before.rows[0].commit
        assert isinstance(decide_seed(story.state), PublishSeed)
        do(story, Published(run=1, seed=seed))
    assert decide_seed(story.state) == RecordSeeds(1, "key") and story.state.open_keys == ("key",)
    story.hear(Replicated(1, "key", "c9"))
    assert decide_seed(story.state) is None and story.state.open_keys == ()
    found = story.state.replications.results_of(1)
    assert {seed: round(measured.values["score"], 3) for seed, measured in found.items()} == {7: 0.7, 8: 0.8}
    code = replace(before.code, head="c9")
    assert story.state == replace(before, replications=story.state.replications, code=code)  # all else as it was


def test_code_that_fails_with_a_seed_is_not_tried_again() -> None:
    story = asked(7, 8)
    step(story, failure=failure("ValueError: unlucky"), values={})
    assert decide_seed(story.state) == StartStep(Step.RUN, "run_1.seed_8.1", story.state.rows[0].commit)
    first = story.state.replications.all[0]
    assert first.is_over and not first.published and "unlucky" in first.failure
    assert story.state.replications.results_of(1) == {}


def test_a_lost_step_is_begun_again_in_a_new_folder_and_a_machines_fault_halts() -> None:
    story = asked(7)
    lost = {"infrastructure": True, "failure": failure("gone"), "exit": None, "values": {}}
    for serial in (1, 2):
        assert step(story, **lost).folder == f"run_1.seed_7.{serial}" and not story.state.replications.halt
    assert step(story, **lost).folder == "run_1.seed_7.3" and "gone" in story.state.replications.halt
    step(story, **(lost | {"exit": WELL, "failure": failure("No space left on device")}))
    assert "No space" in story.state.replications.halt
    do(story, Voided(step=Step.RUN, folder="run_1.seed_7.5"))
    assert not story.state.replications.halt
    assert step(story).folder == "run_1.seed_7.6" and not story.state.replications.halt


def test_seeds_are_fresh() -> None:
    assert choose_seeds(2, []) == (FIRST_SEED, FIRST_SEED + 1)
    assert choose_seeds(3, [FIRST_SEED + 1, 5, FIRST_SEED]) == tuple(FIRST_SEED + n for n in (2, 3, 4))


def test_replications_that_were_asked_for_later_do_not_hold_up_the_facts_of_the_first() -> None:
    story = asked(7)
    step(story), step(story)
    do(story, Published(run=1, seed=7))
    story.hear(Replicate(2, (9,), "later"))
    assert decide_seed(story.state) == RecordSeeds(1, "key")
