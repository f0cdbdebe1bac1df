"""Search ranges for settings by name and value, and the length of a run."""

from __future__ import annotations

import pytest

from agent.core.authoring.ranges import find_length, offer_ranges, range_of


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("GAMMA", 0.99, "0.9..0.999"),
        ("gae_lambda", 0.95, "0.5..0.995"),
        ("beta1", 0.9, "0.5..0.99"),
        ("adam_beta2", 0.999, "0.99..0.9999"),
        ("momentum", 0.9, "0.5..0.99"),
        ("ema_decay", 0.9999, "0.999..0.99999"),
        ("gamma", 1.0, ""),
        ("dropout", 0.1, "0..0.5"),
        ("attn_dropout", 0.5, "0..0.9"),
        ("label_smoothing", 0.0, "0..0.5"),
        ("lr", 20, "log 2..200"),
        ("learning_rate", 6e-4, "log 6e-05..0.006"),
        ("weight_decay", 0.0, "0..0.1"),
        ("tau", 1.0, ""),
        ("tau", 0.005, "log 0.0005..0.05"),
        ("clip_coef", 0.2, "log 0.02..1"),
        ("batch_size", 64, "int 16..256"),
        ("n_layers", 2, "int 1..6"),
        ("test_batch_size", 1000, ""),
        ("eval_interval", 2000, ""),
        ("epochs", 14, ""),
        ("seed", 0, ""),
        ("vocab_size", 50257, ""),
        ("step", 0, ""),
        ("lr", -1.0, ""),
    ],
)
def test_a_range_is_one_that_makes_sense(name: str, value: float, text: str) -> None:
    assert range_of(name, value) == text


def test_a_comment_behind_a_constant_stays_above_it() -> None:
    (remark,) = offer_ranges({"experiment.py": "lr = 6e-4 # max\r\nn = 3\n"}, "t")
    assert remark.lines == ("# max", "lr = 6e-4  # search: log 6e-05..0.006")
    (shared,) = offer_ranges({"experiment.py": "lr = 6e-4; n = 3\n"}, "t")
    assert "shares its line; give it one of its own" in shared.text


def test_a_name_that_is_taken_is_not_taken_again() -> None:
    text = 'LR = "rate"\np.add_argument("--lr", default=0.1)\n'
    (remark,) = offer_ranges({"experiment.py": text}, "t")
    assert remark.lines == ("LR_START = 0.1  # search: log 0.01..1", 'p.add_argument("--lr", default=LR_START)')


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("step = 0\nwhile step < 9:\n    step += 1\n", ""),
        ("n_epochs = 8\nbatch_size = 4\n", "n_epochs"),
        ("for epoch in range(30):\n    pass\n", "epoch"),
        ("for i in range(30):\n    pass\n", ""),
        ("trainer = T(max_steps=100, log_every_n_steps=5)\n", "max_steps"),
        ("eval_steps = 100\nlog_interval = 10\n", ""),
        ("steps_per_epoch = 10\nnum_train_epochs = 2\n", "num_train_epochs"),
    ],
)
def test_the_length_of_a_run_is_no_counter(text: str, name: str) -> None:
    found = find_length({"experiment.py": text})
    assert (found.name if found else "") == name
