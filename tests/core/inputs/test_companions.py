from __future__ import annotations

import pytest

from agent.core.inputs.companions import is_drawn, select_companions

GIVEN = [
    "points.tsv", "pairs.json", "README.md", "datasets/cat.npz", "datasets/img/target.png", "loaders/__init__.py",
    "configs/base.txt", "run_configs/a.yaml", "ideas/corpus.json", "plots/style.py", "run_time.json",
]  # fmt: skip
NOT_GIVEN = [
    "template.toml", "prompt.json", "prompt.md", "ideas.json", "seed_ideas.json", "ideas_20250127.json",
    "requirements.txt", "requirements-dev.txt", "notes.txt", "profile.json", "baselines.json", "evaluation.json",
    "idea.json", "run_0/final_info.json", "run_12/a/b.bin", "run_1.log", "latex/template.tex", "profiles/tiny.json",
    "sealed/answers.json", "baselines/tiny/plain.json", "refs/a/b.md", ".env", ".git/config", "data/.cache/x",
    "lib/__pycache__/m.pyc", "lib/m.pyc", "loss.png", "plots/loss.svg", "figures/a/b.pdf",
]  # fmt: skip


@pytest.mark.parametrize("path", GIVEN)
def test_files_of_a_folder_are_given_to_its_runs(path: str) -> None:
    assert select_companions([path], (), ("import torch",)) == (path,)


@pytest.mark.parametrize("path", NOT_GIVEN)
def test_files_about_the_template_and_outputs_of_runs_are_not_given(path: str) -> None:
    assert select_companions([path], (), ("import torch",)) == ()


def test_a_virtual_environment_is_not_given() -> None:
    inside = ["venv/pyvenv.cfg", "venv/lib/a.py", "tools/env/pyvenv.cfg", "tools/env/bin/python", "wandb/run/x.json"]
    assert select_companions([*inside, "tools/a.sh", "venv.txt"], (), ()) == ("tools/a.sh", "venv.txt")


def test_files_that_are_edited_are_no_companions_and_figures_are_if_code_reads_them() -> None:
    paths = ["config.yaml", "loss.png", "photo.png", "model/net.py"]
    code = ['image = Image.open("photo.png")']
    assert select_companions(paths, {"config.yaml", "model/net.py"}, code) == ("photo.png",)
    assert is_drawn("photo.png") and not is_drawn("datasets/photo.png") and is_drawn("plots/x/photo.PNG")
