"""Files that a script needs beside itself, as `template new` copies or names them."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from agent.edges.template.authoring import gather
from agent.edges.template.authoring.gather import EXPERIMENT, Gathered, gather_files, local_modules
from agent.edges.template.authoring.new import make_template
from agent.edges.template.load import load_template
from agent.edges.template.requirements import known_distribution
from agent.errors import UsageError

SCRIPT = '''\
"""Train it."""
import os
from pathlib import Path

import hydra
import yaml
import numpy as np
from evaluation import score
from shared.loss import mse
try:
    import apex_that_nobody_has
except ImportError:
    apex_that_nobody_has = None

HERE = Path(__file__).parent
NAMES = HERE / "names.json"
TABLE = os.path.join("tables", "train.csv")
exec(open("configurator.py").read())


@hydra.main(config_path="conf", config_name="base")
def main(cfg):
    settings = yaml.safe_load(open("config.yaml"))
    cache = os.path.expanduser("~/.cache/words")
    images = np.load("/mnt/images/train.npy")
    big = np.load("big.npy")
    bins = np.memmap(os.path.join("data", cfg.set, "train.bin"))
    words = open("nowhere.txt").read()
    with open("log.txt", "w") as file:
        file.write("x")
    print(f"val loss {score(mse(1)):.3f}")


main()
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A script in a folder of its project, with everything that it opens."""
    files = {
        "setup.py": "",
        "shared/__init__.py": "",
        "shared/loss.py": "from shared import base\n\n\ndef mse(x):\n    return x\n",
        "shared/base.py": "",
        "shared/other.py": "",
        "train/run.py": SCRIPT,
        "train/evaluation.py": "def score(x):\n    return x\n",
        "train/configurator.py": "lr = 1\n",
        "train/config.yaml": "lr: 0.1\n",
        "train/conf/base.yaml": "lr: 0.1\n",
        "train/conf/model/small.yaml": "width: 8\n",
        "train/conf/secrets.yaml": "token: hf_0123456789",
        "train/conf/local/.env": "KEY=0123456789",
        "train/names.json": "[]",
        "train/tables/train.csv": "1,2\n",
        "train/log.txt": "of an earlier run",
        "train/README.md": "README.md",
        "train/big.npy": "x" * 3000,
        "train/data/a/train.bin": "x",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_what_a_script_opens_is_copied_read_only_or_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "FILE_CAP_BYTES", 2000)
    made = make_template("t", project / "train" / "run.py", project / "templates", Path(sys.executable))
    names = {p.relative_to(made.folder).as_posix() for p in made.folder.rglob("*") if p.is_file()}
    copied = {"config.yaml", "conf/base.yaml", "conf/model/small.yaml", "configurator.py", "names.json"}
    copied |= {"evaluation.py", "tables/train.csv", "shared/__init__.py", "shared/base.py", "shared/loss.py"}
    copied.add("shared/other.py")  # hydra's configurations may name it
    assert set(made.copied) == copied and copied <= names
    assert not names & {"log.txt", "big.npy", "README.md", "run.py"}
    spec = tomllib.loads((made.folder / "template.toml").read_text())
    assert spec["editable"] == ["experiment.py", "plot.py", "notes.txt"]
    assert {"evaluation.py", "configurator.py", "config.yaml", "names.json"} < set(spec["run_files"])
    assert "tables/train.csv" not in spec["run_files"] and spec["command"].endswith("hydra.run.dir={out_dir}")
    text = (made.folder / "template.toml").read_text()
    assert "cannot change them: data and evaluation must" in text and "Add one here if ideas should change it" in text
    assert f'# read = ["{Path.home()}/.cache/words", "/mnt/images/train.npy"]' in text
    said = "\n".join(made.notes)
    assert f"reads ~/.cache/words (a run has a home of its own): write {Path.home()}/.cache/words" in said
    assert 'reads /mnt/images/train.npy, and in template.toml: [sandbox] read = ["/mnt/images/train.npy"]' in said
    assert "reads big.npy (0 MiB): give its folder with --data, and read it as data/big.npy" in said
    assert f"a run finds the folder data as --data {project}/train/data" in said
    assert all(f"does not get conf/{one}: it is hidden, or may" in said for one in ("secrets.yaml", "local/.env"))
    assert "reads nowhere.txt, which is not beside the script" in said
    assert made.data == project / "train" / "data"
    pins = (made.folder / "requirements.txt").read_text()
    assert (
        "hydra-core  # FILL" in pins and "PyYAML" in pins and not {"shared", "apex", "evaluation"} & set(pins.split())
    )
    assert "Train it. Improve val_loss." in (made.folder / "prompt.md").read_text()
    loaded = load_template(made.folder)
    assert {"conf/base.yaml", "tables/train.csv"} <= loaded.given


def gathered(folder: Path, text: str, **files: str) -> Gathered:
    source = folder / "train.py"
    source.write_text(text)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    return gather_files(source, {EXPERIMENT: text}, {EXPERIMENT: source})


def test_calls_that_need_the_network_are_named_once(tmp_path: Path) -> None:
    text = 'import wandb\nfrom torchvision import datasets\nwandb.init()\ndatasets.MNIST("../data", download=True)\n'
    text += 'datasets.MNIST("../data", download=True)\nfrom datasets import load_dataset\nload_dataset("glue")\n'
    said = gathered(tmp_path, text).notes
    assert len(said) == 4 and 'WANDB_MODE = "offline"' in "\n".join(said)
    assert sum("may download" in line for line in said) == 2 and any("reads ../data, outside" in line for line in said)


def test_texts_that_are_no_paths_are_passed_over(tmp_path: Path) -> None:
    text = 'print("words.txt")\nname = x + "/words.txt"\ny = f"{x}/words.txt"\nz = "a\\0b"\nw = "x" * 9\nopen(9)\n'
    found = gathered(tmp_path, text, words__txt="x")
    assert set(found.copied) == {"words.txt"} and not found.notes and not found.outside


@pytest.mark.parametrize("name", ["notes.txt", "requirements.txt", "profiles/a.json"])
def test_names_that_a_template_has_for_itself_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("x")
    found = gathered(tmp_path, f"open({name!r})\n")
    assert not found.copied and "a name that a template has for files of its own" in found.notes[0]


@pytest.mark.parametrize("name", [".env", "aws_credentials.json", "hf_token.txt", "server.pem"])
def test_files_that_may_hold_secrets_are_not_copied(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    (tmp_path / "tokenizer.json").write_text("{}")
    found = gathered(tmp_path, f"open({name!r})\nopen('tokenizer.json')\n")
    assert list(found.copied) == ["tokenizer.json"] and "may hold a secret" in found.notes[0]


def test_a_link_out_of_the_folder_and_a_file_of_bytes_are_copied_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "x.bin").write_bytes(b"\xff\x00")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "x.bin").symlink_to(tmp_path / "far" / "x.bin")
    found = gathered(tmp_path / "here", 'open("x.bin", "rb")\n')
    assert list(found.copied) == ["x.bin"] and found.run_files == []


def test_a_large_package_of_the_project_is_no_part_of_the_script(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    for number in range(60):
        place = tmp_path / "src" / "lib" / f"m{number}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("")
    (tmp_path / "src/lib/__init__.py").write_text("".join(f"from . import m{n}\n" for n in range(60)))
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "run.py").write_text("import lib\n")
    assert len(local_modules(tmp_path / "examples/run.py", "import lib\n")) == 61
    made = make_template("t", tmp_path / "examples" / "run.py", tmp_path / "templates", Path(sys.executable))
    assert made.copied == () and [r.name for r in made.requirements] == ["lib"]


@pytest.mark.parametrize("text", ["{}", '{"cells": [], "nbformat": 4}', '\ufeff{"metadata": {}}'])
def test_a_notebook_is_named_with_the_command_that_exports_it(tmp_path: Path, text: str) -> None:
    notebook = tmp_path / "my nb.ipynb"
    notebook.write_text(text)
    with pytest.raises(UsageError) as raised:
        make_template("t", notebook, tmp_path / "templates", Path(sys.executable))
    assert "is a notebook" in str(raised.value)
    assert f"jupyter nbconvert --to script '{notebook}'" in str(raised.value)


def test_distributions_are_known_by_their_modules() -> None:
    known = {"hydra": "hydra-core", "sklearn": "scikit-learn", "yaml": "PyYAML", "PIL": "pillow", "absl": "absl-py"}
    known |= {"cv2": "opencv-python-headless", "skimage": "scikit-image", "torch": "torch"}
    assert {module: known_distribution(module) for module in known} == known
