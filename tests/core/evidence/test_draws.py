"""Seeds that do not reach the code, seen in the code and in the numbers."""

from __future__ import annotations

import pytest

from agent.core.evidence.baseline import Baseline, verdict_of
from agent.core.evidence.draws import doubt_repeat, doubt_seed
from agent.core.evidence.verdict import VerdictKind
from agent.core.inputs.spec import Control, Metric, TemplateSpec
from agent.core.journal.kinds import Measured

READS = 'import os\nseed = int(os.environ["SCIENTIST_SEED"])\n'
CHOSEN = '"""Takes\nSCIENTIST_SEED."""\nseed = 3  # int(os.environ["SCIENTIST_SEED"])\n'
LOSS = Metric(name="loss", path=("loss",), direction="lower", primary=True)
HITS = Metric(name="hits", path=("hits",), direction="higher", resolution=0.01)
SPEC = TemplateSpec(name="t", metrics=(LOSS, HITS), controls=(Control(name="steps", path=("steps",)),))


@pytest.mark.parametrize(
    ("before", "after", "is_chosen"),
    [
        ({"experiment.py": READS}, {"experiment.py": READS}, False),
        ({"experiment.py": READS}, {"experiment.py": CHOSEN}, True),
        ({"experiment.py": READS}, {"experiment.py": "seed = 3\n", "seeds.py": READS}, False),
        ({"experiment.py": READS}, {"experiment.py": "seed = 3\n", "notes.txt": READS}, True),
        ({"experiment.py": "seed = 1\n"}, {"experiment.py": "seed = 2\n"}, False),
        ({"experiment.py": READS}, {"experiment.py": 'os.environ["SCIENTIST_SEED"] = "7"\n' + READS}, True),
        ({"experiment.py": READS}, {"experiment.py": READS, "m.py": 'os.putenv("SCIENTIST_SEED", "7")\n'}, True),
        ({"experiment.py": READS}, {"experiment.py": 'os.environ.update({"SCIENTIST_SEED": "7"})\n' + READS}, True),
        ({"experiment.py": READS}, {"experiment.py": 'os.environ.update(SCIENTIST_SEED="7")\n' + READS}, True),
        ({"experiment.py": READS}, {"experiment.py": 'os.environ |= {"SCIENTIST_SEED": "7"}\n' + READS}, True),
        (
            {"experiment.py": READS},
            {"experiment.py": READS + "child = dict(os.environ, SCIENTIST_SEED=str(seed))\n"},
            False,
        ),
        ({"experiment.py": READS}, {"experiment.py": 'seed = int(os.environ.get("SCIENTIST_SEED", "0"))\n'}, False),
        ({"experiment.py": CHOSEN}, {"experiment.py": "seed = 2\n"}, False),
    ],
)
def test_a_seed_that_the_code_no_longer_reads_was_chosen(
    before: dict[str, str], after: dict[str, str], is_chosen: bool
) -> None:
    assert ("its seed was chosen" in doubt_seed(before, after)) is is_chosen


@pytest.mark.parametrize(
    ("values", "known", "repeats"),
    [
        ({"loss": 0.25, "hits": 0.5, "steps": 9.0, "train_seconds": 3.0}, {"loss": 0.25, "hits": 0.5}, True),
        ({"loss": 0.25000001, "hits": 0.5}, {"loss": 0.25, "hits": 0.5}, False),
        ({"loss": 0.25, "hits": 0.6}, {"loss": 0.25, "hits": 0.5}, False),
        ({"hits": 0.5, "steps": 9.0}, {"hits": 0.5, "steps": 9.0}, False),
        ({"steps": 9.0, "train_seconds": 3.0}, {"steps": 9.0, "train_seconds": 3.0}, False),
    ],
)
def test_the_very_numbers_of_another_seed_are_no_new_draw(
    values: dict[str, float], known: dict[str, float], repeats: bool
) -> None:
    assert ("the very numbers of run 2" in doubt_repeat(SPEC, values, {2: known})) is repeats


def test_a_run_in_doubt_has_no_verdict_and_the_reason_is_the_doubt() -> None:
    seeds = [Baseline("plain", n, {"loss": 0.5 + n / 100, "steps": 9.0}) for n in range(3)]
    values = {"loss": 0.1, "steps": 9.0}
    better = verdict_of(SPEC, LOSS, Measured(values), seeds)
    assert better and better.kind is VerdictKind.BETTER
    doubted = verdict_of(SPEC, LOSS, Measured(values, doubt="chosen"), seeds)
    assert doubted and (doubted.kind, doubted.reason) == (VerdictKind.NO_VERDICT, "chosen")
    unfair = verdict_of(SPEC, LOSS, Measured({**values, "steps": 8.0}, doubt="chosen"), seeds)
    assert unfair and unfair.kind is VerdictKind.NOT_COMPARABLE


def test_a_doubt_outlives_the_next_step() -> None:
    assert Measured(doubt="a").join(Measured({"loss": 1.0})).doubt == "a"
    assert Measured().join(Measured(doubt="b")).doubt == "b"


@pytest.mark.parametrize(
    ("loss", "seconds", "said"), [(0.25, 9.0, False), (0.25 + 1e-12, 3.0, False), (0.2501, 3.0, True)]
)
def test_a_template_that_says_it_is_deterministic_is_held_to_it(loss: float, seconds: float, said: bool) -> None:
    exact = SPEC.model_copy(update={"deterministic": True})
    values = {"loss": loss, "train_seconds": seconds}
    doubt = doubt_repeat(exact, values, {3: {"loss": 0.25, "train_seconds": 3.0}})
    assert ("the same code gave loss 0.25 in run 3 and 0.2501 here" in doubt) is said
