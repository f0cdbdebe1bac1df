"""What a script asks of the machine, as its text tells."""

from __future__ import annotations

import pytest

from agent.core.authoring.reading.demands import find_demands
from agent.core.authoring.reading.script import read_scripts


def demands(text: str) -> list[tuple[str, int, str]]:
    return [(one.kind, one.line, one.what) for one in find_demands(read_scripts({"experiment.py": text}))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from torchvision import datasets\nd = datasets.MNIST('x', download=True)", ("network", 2)),
        ("m = HookedTransformer.from_pretrained_no_processing(name)", ("network", 1)),
        ("import requests\n\nrequests.get(url)", ("network", 3)),
        ("DataLoader(d, num_workers=2)", ("workers", 1)),
        ("class C:\n    num_workers: int = 2\nDataLoader(d, num_workers=config.num_workers)", ("workers", 3)),
        ("p.add_argument('--num-workers', default=4)\nDataLoader(d, num_workers=args.num_workers)", ("workers", 2)),
        ("import multiprocessing as mp\nmp.Pool(4)", ("workers", 2)),
        ("def f():\n    device = 'cuda'", ("GPU", 2)),
        ("p.add_argument('--device', type=str, default='cuda:0')", ("GPU", 1)),
        ("model = Net().cuda()", ("GPU", 1)),
        ("x = x.to('cuda')", ("GPU", 1)),
        ("torch.load(path, map_location='cuda')", ("GPU", 1)),
        ("import os\nopen(os.path.join('../../../data', name))", ("data", 2)),
        ("pd.read_csv('data/train.csv')", ("data", 1)),
        ("p.add_argument('--root', default='./data')", ("data", 1)),
    ],
)
def test_a_demand_is_found_with_its_line(text: str, found: tuple[str, int]) -> None:
    assert [(kind, line) for kind, line, _ in demands(text)] == [found]


@pytest.mark.parametrize(
    "text",
    [
        "device = 'cuda' if torch.cuda.is_available() else 'cpu'",
        "device = 'cuda'\nif not torch.cuda.is_available():\n    device = 'cpu'",
        "if torch.cuda.is_available():\n    model = model.cuda()",
        "DataLoader(d, num_workers=0)",
        "p.add_argument('--num_workers', default=0)\nDataLoader(d, num_workers=args.num_workers)",
        "datasets.MNIST('x', download=False)",
        "batch['data']\nname = 'data'",
        "df.to_csv('data/out.csv')",
        "kinds = ['cuda', 'cpu']",
        "not Python (",
    ],
)
def test_what_a_run_can_do_is_no_demand(text: str) -> None:
    assert demands(text) == []


def test_the_words_of_a_line_are_told() -> None:
    text = 'device = "cuda"  # always\nDataLoader(d, num_workers=2)\nopen("../../data/words/train.bin")\n'
    assert [what for _, _, what in demands(text)] == ["num_workers=2", 'device = "cuda"', "../../data/words/train.bin"]
