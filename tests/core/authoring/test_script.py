"""What is read from a training script: every shape that researchers write, and what is no script."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest

from agent.core.authoring.proposals import additions, mark_constants, with_additions
from agent.core.authoring.script import Script, read_script
from agent.core.code.search_marks import search_ranges
from agent.errors import UsageError

ARGPARSE = dedent(
    """\
    '''Train.'''
    import argparse
    import numpy as np

    def train(lr, epochs):
        for epoch in range(epochs):
            loss = lr * epoch
            print(f"epoch {epoch} loss {loss:.3f}")
        return loss

    def main():
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float, default=1e-3)
        parser.add_argument("-e", "--epochs", type=int, default=3)
        parser.add_argument("--no-cache", action="store_true")
        parser.add_argument("--seed", type=int, default=7)
        args = parser.parse_args()
        loss = train(args.lr, args.epochs)
        print("final loss:", loss, "in %.1f s" % 3.0)

    if __name__ == "__main__":
        main()
    """
)


def read(text: str) -> Script:
    return read_script(dedent(text), "train.py")


def filled(text: str) -> str:
    """The script as it is once a person takes every mark off."""
    marked = with_additions(text, additions(read_script(text, "train.py")))
    lines = [line for line in marked.splitlines() if "# FILL:" not in line and "# OPTIONAL:" not in line]
    return "\n".join(line.replace("#+ ", "", 1) for line in lines) + "\n"


def metrics(text: str) -> dict[tuple[str, ...], str]:
    return {m.path: m.expression for m in read(text).results.metrics}


def test_arguments_and_their_defaults() -> None:
    script = read(ARGPARSE)
    assert [(a.flag, a.dest, a.default, a.line) for a in script.arguments] == [
        ("--lr", "lr", 1e-3, 13),
        ("--epochs", "epochs", 3, 14),
        ("--no-cache", "no_cache", False, 15),
        ("--seed", "seed", 7, 16),
    ]
    assert script.seed is not None and script.output is None and script.args == "args"
    assert script.summary == "Train." and script.imports == ("argparse", "numpy")


@pytest.mark.parametrize("flag", ["--out_dir", "--output-dir", "--save_path", "--outdir", "--logdir", "-o --out"])
def test_an_argument_that_names_the_output(flag: str) -> None:
    names = ", ".join(repr(f) for f in flag.split())
    script = read(f"import argparse\np = argparse.ArgumentParser()\np.add_argument({names})\na = p.parse_args()\n")
    assert script.output is not None and script.output.flag == flag.split()[-1]


def test_required_arguments_are_those_without_a_default() -> None:
    script = read(
        """
        import argparse
        p = argparse.ArgumentParser()
        p.add_argument("data")
        p.add_argument("more", nargs="?")
        p.add_argument("--config", required=True)
        p.parse_args()
        """
    )
    assert [a.flag for a in script.arguments if a.required] == ["data", "--config"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('print(f"test accuracy: {acc:.4f}, test loss = {nll:.3f}")', {"test_accuracy": "acc", "test_loss": "nll"}),
        ('print("accuracy:", model.score(x, y))', {"accuracy": "model.score(x, y)"}),
        ('print("val acc %.3f (epoch %d)" % (best, 3))', {"val_acc": "best"}),
        ('print("F1 {:.3f}".format(f1))', {"f1": "f1"}),
        ('logger.info(f"perplexity {math.exp(loss):.2f}")', {"perplexity": "math.exp(loss)"}),
        ('print(f"{accuracy=}")', {"accuracy": "accuracy"}),
        ('print(f"epoch {n} of {m} at lr {lr:.5f} took {t:.1f}")', {}),
        ('print("done")', {}),
    ],
)
def test_numbers_that_are_printed(text: str, found: dict[str, str]) -> None:
    assert metrics(text) == {(name,): expression for name, expression in found.items()}


def test_prints_after_training_count_before_those_in_its_loop() -> None:
    script = read(ARGPARSE)
    assert [(m.name, m.expression) for m in script.results.metrics] == [("final_loss", "loss")]
    assert script.results.scope == "main" and script.results.how == "printed"
    only_loop = read("for e in range(3):\n    loss = e\n    print(f'loss {loss:.2f}')\nx = 1\n")
    assert [m.name for m in only_loop.results.metrics] == ["loss"]
    assert only_loop.results.place is not None and only_loop.results.place.line == 3  # after the loop, not in it


@pytest.mark.parametrize(
    "text",
    [
        'json.dump({"acc": acc, "test": {"loss": a.item()}, "model": "mlp"}, open("results.json", "w"))',
        'out = {"acc": acc}\nout["test"] = {"loss": a.item()}\nout["curve"] = [1, 2]\n'
        'with open(f"{d}/results.json", "w") as f:\n    json.dump(out, f)',
        'test = dict(loss=a.item())\nout = {"acc": acc, "test": test, "args": vars(args), "host": str(h)}\n'
        'Path("results.json").write_text(json.dumps(out))',
    ],
)
def test_keys_of_a_json_file_that_is_written(text: str) -> None:
    results = read("import json\n" + text).results
    assert (results.how, results.file) == ("written", "results.json")
    assert {m.path: m.expression for m in results.metrics} == {("acc",): "acc", ("test", "loss"): "a.item()"}


def test_a_script_in_the_protocol_needs_nothing() -> None:
    text = dedent(
        """\
        import argparse, json, os, random
        LR = 1e-3  # search: log 1e-4..1e-2
        parser = argparse.ArgumentParser()
        parser.add_argument("--out_dir", required=True)
        args = parser.parse_args()
        random.seed(int(os.environ["SCIENTIST_SEED"]))
        with open(os.path.join(args.out_dir, "final_info.json"), "w") as f:
            json.dump({"loss": random.random()}, f)
        """
    )
    script = read_script(text, "train.py")
    assert script.reads_seed and script.marked == ("LR",)
    assert additions(script) == () and with_additions(text, ()) == text


def test_marks_taken_off_give_a_script_that_keeps_the_protocol() -> None:
    script = read_script(filled(ARGPARSE), "train.py")
    assert script.reads_seed and script.reads_smoke
    assert script.marked == ("LR",)
    assert additions(script) == ()


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_marks_change_no_meaning_and_keep_line_ends(ends: str, bom: str) -> None:
    text = bom + ARGPARSE.replace("\n", ends)
    marked = with_additions(text, additions(read_script(text, "train.py")))
    assert ast.dump(ast.parse(marked.removeprefix("\ufeff"))) == ast.dump(ast.parse(ARGPARSE))
    assert marked.startswith(bom) and marked.count("\ufeff") == len(bom)
    assert marked.count("\n") == marked.count(ends) and marked.count("#+ ") > 5


def test_a_script_without_arguments_gets_a_folder_a_seed_and_results() -> None:
    text = "import numpy as np\nSEED = 3\nEPOCHS = 50\nacc = np.float64(0.5)\nprint(f'accuracy: {acc:.3f}')\n"
    script = read_script(filled(text), "train.py")
    assert script.reads_seed and script.reads_smoke
    assert read_script(text, "t").seed_constant is not None


def test_literal_seeds_are_named_at_their_lines() -> None:
    script = read("import torch\ntorch.manual_seed(42)\nsplit(x, random_state=1)\nrng = np.random.default_rng()\n")
    assert [(c.text, c.value, c.line) for c in script.seed_calls] == [("torch.manual_seed", "42", 2), ("split", "1", 3)]
    said = [a.why for a in additions(script) if "in the next line write" in a.why]
    assert ("import os",) in [a.lines for a in additions(read("import json, pathlib, argparse\nrandom.seed(1)\n"))]
    (shifted,) = read("torch.manual_seed(1337 + rank)\ndef f(seed):\n    random.seed(seed)\n").seed_calls
    assert shifted.value == "1337 + rank"
    assert len(said) == 2 and "SCIENTIST_SEED" in said[0] and "42" in said[0]


def test_arguments_that_do_not_reach_the_results_are_said() -> None:
    text = ARGPARSE.replace(
        '    print("final loss:", loss', '    report(loss)\n\n\ndef report(loss):\n    print("final loss:", loss'
    )
    (said,) = [a.why for a in additions(read_script(text, "t")) if "final_info" in "".join(a.lines)]
    assert "args is not known here: pass it to report" in said


def test_what_cannot_work_in_a_run_is_said() -> None:
    script = read(
        """
        from . import utils
        from .model import Net
        import sys, click
        sys.path.append("..")
        n = int(sys.argv[1])
        get_ipython().run_line_magic("matplotlib", "inline")
        """
    )
    said = [a.why for a in additions(script)]
    assert any("write instead: import utils" in why for why in said)
    assert any("write instead: from model import Net" in why for why in said)
    for word in ("sys.path", "sys.argv", "get_ipython", "click"):
        assert any(word in why for why in said), word


def test_no_main_and_no_metrics_are_said() -> None:
    script = read("def main():\n    pass\n")
    assert not script.runs and script.results.metrics == ()
    said = [a.why for a in additions(script)]
    assert any("calls none of its functions" in why for why in said)
    assert any("no result was found" in why for why in said)


def test_constants_that_look_like_hyper_parameters_are_marked() -> None:
    text = "LR = 1e-3\r\nHIDDEN = 64\r\nEPOCHS = 3\r\nN = 10\r\nDROPOUT = 0.1  # fixed\r\nTITLE = 'x'\r\n"
    marked = mark_constants(text, read_script(text, "t"))
    assert [(r.name, r.low, r.high, r.integer) for r in search_ranges(marked)] == [
        ("LR", 1e-4, 1e-2, False),
        ("HIDDEN", 16.0, 256.0, True),
    ]
    assert marked.count("\r\n") == text.count("\r\n") and "# fixed\r\n" in marked


def test_a_place_inside_a_string_is_not_used() -> None:
    text = 'x = f("""\n""", random_state=3)\ny = """\n# a\n"""\nimport numpy\n'
    marked = with_additions(text, additions(read_script(text, "t")))
    assert ast.dump(ast.parse(marked)) == ast.dump(ast.parse(text)) and "FILL:" in marked


def test_one_line_blocks_get_no_line_between() -> None:
    text = "import argparse\np = argparse.ArgumentParser()\nif True: a = p.parse_args()\nelse: a = None\n"
    script = read_script(text, "t")
    assert script.before_parse is None
    assert ast.dump(ast.parse(with_additions(text, additions(script)))) == ast.dump(ast.parse(text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(:\n", "train.py:1: is not Python: invalid syntax"),
        ("import os\n%matplotlib inline\n", "train.py:2: is not Python: invalid syntax; take out the notebook's lines"),
        ("x = 1\n!pip install torch\n", "take out the notebook's lines"),
        ('{"cells": [], "nbformat": 4}', "is a notebook; export it first"),
        ("", "is empty"),
        ("\ufeff \r\n", "is empty"),
        ("x = 1\0", "is not Python"),
        ("(" * 5000 + ")" * 5000, "is not Python"),
        ("print 'hello'\n", "train.py:1: is not Python"),
    ],
)
def test_what_is_no_script(text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_script(text, "train.py")
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_a_long_script_is_read_in_reasonable_time() -> None:
    script = read("import os\n" + "".join(f"def f{i}(x):\n    return x + {i}\n" for i in range(5000)))
    assert not script.runs
