"""sealed/fast_kernels/paths.py: which path is taken, and that timing them changes no run."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.sae

from fast_kernels import paths  # noqa: E402
from fast_steps import choose_path, time_paths  # noqa: E402

from tests.templates.sae.fast_kernels.plain_pytorch import PATHS  # noqa: E402


def test_path_on_cpu_follows_from_the_shapes():
    assert choose_path(512, 4096, 1024, 32, "cpu") == "sparse"
    assert choose_path(512, 4096, 1024, 4096, "cpu") == "dense"


def test_both_paths_are_timed_without_touching_a_runs_random_numbers():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    seconds = time_paths(32, 512, 64, 4, "cpu", rounds=3)
    assert torch.equal(torch.rand(1), expected)
    assert set(seconds) == set(PATHS) and all(s > 0 for s in seconds.values())


def test_timed_path_is_the_faster_one_and_is_timed_once(monkeypatch):
    asked = []

    def answer(*args):
        asked.append(args)
        return {"dense": 1.0, "sparse": 2.0} if args[3] > 100 else {"dense": 1.0, "sparse": 1.01}

    monkeypatch.setattr(paths, "time_paths", answer)
    paths.timed_path.cache_clear()
    assert [paths.timed_path(8, 512, 4, k, "cuda:0", None) for k in (320, 40, 320)] == ["dense", "sparse", "dense"]
    assert len(asked) == 2
    paths.timed_path.cache_clear()
