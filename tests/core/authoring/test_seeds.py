"""Seeds that are given to the generators that a script has."""

from __future__ import annotations

import ast

import pytest

from agent.core.authoring.seeds import SEED, SeedChange, find_generators, seed_added, seed_given
from tests.core.timing import takes_at_most

GENERATORS = {
    "import numpy as np\nrng = np.random.RandomState(cfg['seed'])": f"np.random.RandomState({SEED})",
    "from numpy.random import default_rng\nrng = default_rng()": f"default_rng({SEED})",
    "from numpy import random as nr\nrng = nr.default_rng(seed=args.seed)": f"nr.default_rng(seed={SEED})",
    "import torch\ng = torch.Generator(device='cpu').manual_seed(3 + rank)": f".manual_seed(3 + rank + 1000 * {SEED})",
    "import jax\nkey = jax.random.PRNGKey(0)": f"jax.random.PRNGKey({SEED})",
    "from jax import random\nkey = random.key(0)": f"random.key({SEED})",
    "import random\nr = random.Random(hash('é') % 7)": f"random.Random(hash('é') % 7 + 1000 * {SEED})",
    "import torch\ndef fix_seed(s):\n    torch.manual_seed(s)\nfix_seed(5)": f"\nfix_seed({SEED})",
    "from transformers import set_seed\ndef main():\n    set_seed(training_args.seed)": f"    set_seed({SEED})",
    "import lightning as L\nL.seed_everything(cfg.seed, workers=True)": f"L.seed_everything({SEED}, workers=True)",
    "import keras\nkeras.utils.set_random_seed(812)": f"keras.utils.set_random_seed({SEED})",
    "import tensorflow as tf\ntf.random.set_seed(1)": f"tf.random.set_seed({SEED})",
    "from sklearn.svm import SVC\nm = SVC(C=1.0, random_state=0)": f"SVC(C=1.0, random_state={SEED})",
    "import random\nfor fold in range(5):\n    random.seed(fold)": f"    random.seed(fold + 1000 * {SEED})",
    "import random\ndef fold(s):\n    return random.Random(s)": f"random.Random(s + 1000 * {SEED})",
    "import numpy as np\nr = [np.random.default_rng(i) for i in range(3)]": f"default_rng(i + 1000 * {SEED}) for",
    "import torch\nSEED = 42\ntorch.manual_seed(SEED)\nother(SEED)": f"SEED = {SEED}",
}


@pytest.mark.parametrize("code", GENERATORS)
def test_the_seed_goes_to_the_generator_that_the_code_has(code: str) -> None:
    change = seed_given({"experiment.py": code})
    assert change is not None
    new = change.files["experiment.py"]
    assert GENERATORS[code] in new and new.count("SCIENTIST_SEED") == 1
    ast.parse(new)
    assert "import os\n" in new and new.count("\n") == code.count("\n") + 1
    assert any(GENERATORS[code].strip() in text for _, text in change.lines)


@pytest.mark.parametrize(
    "code",
    [
        "x = 1",
        "def broken(:",
        "import sklearn.model_selection as ms\na = ms.train_test_split(X, random_state=0)",
        'import os, random\nrandom.seed(int(os.environ["SCIENTIST_SEED"]))',
        "import numpy as np\nx = np.random.rand(3)",
        "seed = 1\nrandom_walk(seed)",
    ],
)
def test_where_no_generator_takes_a_seed_none_is_given(code: str) -> None:
    assert seed_given({"experiment.py": code}) is None


def test_every_generator_of_every_file_gets_it_and_the_docstring_stays_first() -> None:
    code = {
        "experiment.py": '"""Doc."""\nfrom __future__ import annotations\nimport numpy as np\nimport torch\n'
        "torch.manual_seed(1); np.random.seed(1)\nfrom data import load\n",
        "data.py": "import os\nimport numpy\ndef load():\n    return numpy.random.default_rng(7).normal()\n",
    }
    change = seed_given(code)
    assert change is not None
    lines = change.files["experiment.py"].split("\n")
    assert lines[:3] == ['"""Doc."""', "from __future__ import annotations", "import os"]
    assert lines[5] == f"torch.manual_seed({SEED}); np.random.seed({SEED})"
    assert (
        f"default_rng({SEED}).normal()" in change.files["data.py"] and change.files["data.py"].count("import os") == 1
    )
    remark = change.remark("templates/t", "tried")
    assert "templates/t/experiment.py:5" in remark.text and "templates/t/data.py:4" in remark.text
    assert [call.describe() for call in find_generators(code)][-1] == "data.py:4 numpy.random.default_rng(7)"


def test_shared_generators_are_seeded_below_the_imports_of_the_libraries_that_are_there() -> None:
    code = "import numpy as np\nfrom torch import nn\n\nx = np.random.rand(3)\n"
    change = seed_added({"experiment.py": code})
    assert change is not None
    new = change.files["experiment.py"].split("\n")
    assert new[2:5] == [
        "import os",
        f"import numpy; numpy.random.seed({SEED})",
        f"import torch; torch.manual_seed({SEED})",
    ]
    assert seed_added({"experiment.py": "import json\n"}) is None and seed_added({"experiment.py": "def ("}) is None


def test_thousands_of_calls_are_read_in_one_pass() -> None:
    code = "import random\n" + "random.seed(1)\n" * 1000
    found: list[SeedChange | None] = []
    assert takes_at_most(2, lambda: found.append(seed_given({"experiment.py": code})))
    change = found[0]
    assert change is not None and change.files["experiment.py"].count("SCIENTIST_SEED") == 1000


@pytest.mark.parametrize("text", ["# a\rimport random\nrandom.seed(1)\n", "import random\r\rrandom.seed(1)\n"])
def test_a_script_whose_lines_only_python_sees_is_left_as_it_is(text: str) -> None:
    files = {"experiment.py": text}
    assert find_generators(files) == [] and seed_given(files) is None and seed_added(files) is None


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("from sklearn.neural_network import MLPClassifier\n", "numpy.random.seed"),
        ("import pandas as pd\n", "numpy.random.seed"),
        ("import torchvision\n", "torch.manual_seed"),
        ("import numpy, scipy.stats\n", "numpy.random.seed"),
    ],
)
def test_a_library_is_seeded_by_the_generator_that_it_draws_from(code: str, call: str) -> None:
    change = seed_added({"experiment.py": code})
    assert change and change.files["experiment.py"].count(f"{call}({SEED})") == 1
