"""Warnings before a launch about what a template's code asks for and a run will not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.edges.doctor.demands import check_demands
from agent.edges.sandbox.walls import SandboxKind
from agent.edges.template.load import load_template

CODE = """import os
import urllib.request
from torch.utils.data import DataLoader
device = "cuda"
urllib.request.urlretrieve("https://example.org/x", "x")
loader = DataLoader(open(os.path.join("../../data", "words")), num_workers=2)
"""


def warned(place: Path, sandbox: SandboxKind = "bwrap", data: Path | None = None, gpu: str = "") -> dict[str, str]:
    """By subject."""
    remarks = check_demands(load_template(place), place, sandbox, data, {"CUDA_VISIBLE_DEVICES": gpu})
    return {remark.what: remark.text for remark in remarks}


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    folder = tmp_path / "suite" / "templates" / "toy"
    folder.mkdir(parents=True)
    (folder / "experiment.py").write_text(CODE)
    return folder


def test_network_gpu_and_data_that_a_run_lacks_are_told_with_the_remedy(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = warned(toy)
    assert said.keys() == {"network", "GPU", "data"}
    assert said["network"].startswith(
        "network: experiment.py:5 calls urllib.request.urlretrieve, and runs have no netw"
    )
    assert "give the folder with --data, or set [sandbox] network = true in template.toml" in said["network"]
    assert 'GPU: none is here, and experiment.py:4 asks for one (device = "cuda")' in said["GPU"]
    assert said["data"] == "data: experiment.py:6 names ../../data/words, which no run has; name its folder: --data DIR"
    (tmp_path / "suite" / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    assert warned(toy)["data"].endswith("; add: --data suite/data"), "where the folder's own code would find it"


def test_nothing_is_told_of_what_a_run_has(toy: Path, tmp_path: Path) -> None:
    assert warned(toy, data=tmp_path).keys() == {"GPU"}
    assert warned(toy, "off").keys() == {"GPU", "data"}
    assert "apt install bubblewrap" in warned(toy, "landlock")["worker processes"]
    (toy / "template.toml").write_text('name = "t"\nplot = ""\n[sandbox]\nnetwork = true\n')
    assert "network" not in warned(toy)
    (toy / "experiment.py").write_text("open('./data/words.txt')\n")
    assert warned(toy).keys() == {"data"}
    (toy / "data").mkdir()
    (toy / "data" / "words.txt").write_text("a")
    assert warned(toy) == {}
    assert "in the place of the template's own data/" in warned(toy, data=tmp_path)["data"]
