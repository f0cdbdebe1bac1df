"""The line at a terminal's foot: what it says, what is cut first, and the guess of the time left."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from agent.core.journal.action_results import Closed, Linted, Opened
from agent.core.journal.budget import Limits
from agent.core.journal.events import Ended, Finished
from agent.core.journal.kinds import Step
from agent.core.journal.replications import Replicate, Seeded
from agent.report.cells import cut, pad, settle, wrap
from agent.report.foot import Pace, ShownWork, describe_activity, draw_line, last_words, read_tail, say_span
from tests.core.journal_by_hand import Story

TRAINING = ShownWork("training", "use_momentum_0_9", (2, 5), (3, 10), 150.0, 4000.0)
LOG = "epoch 3/90 loss 0.1234 accuracy 0.91 learning rate 0.001"


def test_a_line_says_idea_run_step_time_and_the_logs_last_line() -> None:
    assert draw_line(TRAINING, 72.9, LOG, 160) == (
        f"idea 2 of 5 use_momentum_0_9: run 3 of 10, training 1:12 of about 2:30, about 65 min left in all | {LOG}"
    )
    assert draw_line(TRAINING, 72.9, LOG, 80) == (
        "2/5 use_momentum_0_9: run 3/10, training 1:12 of ~2:30, ~65 min left | epoch 3/…"
    )
    assert draw_line(ShownWork("Collecting torch"), 3700, "", 80) == "Collecting torch 1:01:40"
    assert draw_line(ShownWork("asking the model", "a"), 3, "", 80) == "a: asking the model 0:03"


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 160])
@pytest.mark.parametrize(
    "log", ["", LOG, "\u4f60\u597d" * 200, "a\u0301\u0302\u0303\u0304" * 50, "\U0001f1e9\U0001f1ea" * 80]
)
def test_a_line_is_never_wider_than_there_is_room(width: int, log: str) -> None:
    for name in ("a", "x" * 60):
        work = ShownWork("training", name, (2, 5), (3, 10), 150.0, 4000.0)
        line = draw_line(work, 72.9, log, width)
        assert cell_len(line) <= width and "\n" not in line
        if width >= 60:
            assert re.search("run 3(/| of )10, training 1:12 of (~|about )2:30", line), "log and name are cut first"


def test_the_activity_of_an_idea() -> None:
    story = Story(Limits(max_runs=4))
    assert describe_activity(story.state) == ShownWork("asking the model", "momentum", run=(1, 4))
    story.apply()
    story.tell(Linted(), Opened(step=Step.RUN, folder="run_1.1"))
    assert describe_activity(story.state).what == "training"


def test_the_time_left_is_guessed_from_the_runs_that_ended() -> None:
    story, pace = Story(Limits(max_runs=4)), Pace(3)
    work = describe_activity(story.state)
    pace.see(story.events[0], story.state, 0.0)
    assert pace.guess(work, story.state, 1, 10.0).left_s is None, "no run has ended"
    story.complete_run(0.5)
    pace.see(story.events[-1], story.state, 60.0)
    pace.see(Finished("k", Closed(step=Step.RUN, folder="run_1.1", seconds=40.0)), story.state, 60.0)
    guessed = pace.guess(work, story.state, 1, 70.0)
    assert guessed.left_s == 60.0 * (3 + 2 * 4) - 10.0, "3 runs of this idea, 4 of each of two others"
    story.apply()
    story.tell(Linted(), Opened(step=Step.RUN, folder="run_2.1"))
    assert pace.guess(work, story.state, 1, 70.0).expected_s == 40.0


@pytest.mark.parametrize(("seconds", "said"), [(40, "40 s"), (700, "12 min"), (12600, "3.5 h")])
def test_a_guess_is_said_as_one(seconds: float, said: str) -> None:
    assert say_span(seconds) == said


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (b"", ""),
        (b"one\ntwo\n\n  \n", "two"),
        (b"a\r 10%|#  |\r 20%|## |", "20%|## |"),
        (b"\xff\xfe\x1b[31mred\x1b[0m\x1b]0;title\x07 end\n", "\ufffd\ufffdred end"),
        (b"x" * 5000, "x" * 5000),
    ],
)
def test_the_last_words_of_a_log(log: bytes, said: str) -> None:
    assert last_words(log) == said


def test_a_line_whose_begin_is_not_read_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"key-0123456789 one\rtwo\nthree")
    assert read_tail(log) == b"key-0123456789 one\rtwo\nthree"
    assert read_tail(log, 20) == b"two\nthree" and read_tail(log, 4) == b""


def test_text_is_cut_padded_and_wrapped_by_the_columns_that_it_takes() -> None:
    assert (
        settle("\U0001f1e9\U0001f1ea x\u0301\u0302\u0303 \u2764\ufe0f \U0001f44d\U0001f3fd")
        == "DE x\u0301\u0302 \u2764 \U0001f44d"
    )
    assert cut("\u4f60\u597d\u4f60", 5) == "\u4f60\u597d…" and cut("abc", 3) == "abc" and cut("abc", 0) == ""
    assert pad("\u4f60", 4) == "\u4f60  " and pad("1", 3, right=True) == "  1"
    assert wrap("one two three", 16, "> ", "    ") == ["> one two three"]
    assert wrap("one two three", 9, "> ", "  ") == ["> one two", "  three"]
    assert wrap("one two", None, "> ") == ["> one two"] and wrap("", 10, "> ") == [">"]
    assert max(map(cell_len, wrap("\u4f60\u597d " * 40, 30))) <= 30


def test_a_replication_shows_its_seed() -> None:
    story = Story()
    story.complete_run(0.5)
    story.hear(Ended(True, "1 run completed"))
    story.hear(Replicate(1, (7, 8), "key"))
    assert describe_activity(story.state) == ShownWork("run 1 again, seed 7 (1 of 2)", "momentum")
    story.hear(Seeded(1, 7, Opened(folder="run_1.seed_7.1")))
    assert story.state.going == Opened(folder="run_1.seed_7.1") and story.state.opened is None
