"""Lines proposed for scripts of every shape, once a run has shown that they are needed."""

from __future__ import annotations

from textwrap import dedent

import pytest

from agent.core.authoring.arguments import mend_out_dir, refuses_out_dir
from agent.core.authoring.proposals import mend_import, mend_smoke, seed_line
from agent.core.authoring.records import mend_results
from agent.core.inputs.spec import TemplateSpec

ARGPARSE = dedent(
    """\
    import argparse, os

    def main():
        parser = argparse.ArgumentParser()
        parser.add_argument("--random-seed", type=int, default=7)
        parser.add_argument("--max_steps", type=int, default=100)
        options, rest = parser.parse_known_args()
        logger.info("test acc %.4f", accuracy)
    """
)
SPEC = TemplateSpec(name="t")


def files(text: str) -> dict[str, str]:
    return {"experiment.py": text}


@pytest.mark.parametrize(
    "output",
    [
        "experiment.py: error: unrecognized arguments: --out_dir=run_1",  # argparse, hydra
        "Error: No such option: --out_dir",  # click
        "Unrecognized options: --out_dir=run_1",  # tyro
        "  Unknown command line flag 'out_dir'. Did you mean: log_dir ?",  # absl
        "ERROR: Could not consume arg: --out_dir=run_1",  # fire
        "ValueError: Unknown config key: out_dir",  # a configurator that is exec'd
        "ValueError: Some specified arguments are not used by the HfArgumentParser: ['--out_dir=run_1']",
        "Key 'out_dir' is not in struct",
    ],
)
def test_a_refused_option_is_known_whatever_reads_the_arguments(output: str) -> None:
    assert refuses_out_dir(f"Traceback\n{output}\n")


def test_an_error_in_a_line_that_uses_out_dir_is_no_refusal() -> None:
    assert not refuses_out_dir("  open(args.out_dir + '/x')\nFileNotFoundError: [Errno 2] No such file: 'run_1/x'\n")
    assert not refuses_out_dir("NameError: name 'x' is not defined\n")


def test_the_folder_of_results_is_an_argument_before_the_parsing() -> None:
    remark = mend_out_dir(files(ARGPARSE), "t", SPEC)
    assert remark.text.startswith("t/experiment.py:7: ") and remark.level == "mend"
    assert remark.lines == ('parser.add_argument("--out_dir", default="run_0")',)


@pytest.mark.parametrize(
    ("option", "command"),
    [("--save-dir", "--save-dir={out_dir}"), ("--output_path", "--output_path={out_dir}")],
)
def test_an_option_of_the_script_may_be_named_in_the_command(option: str, command: str) -> None:
    remark = mend_out_dir(files(f'p.add_argument("{option}")\na = p.parse_args()\n'), "t", SPEC)
    assert remark.lines == (f'command = "python experiment.py {command}"',) and f"if {option} names" in remark.text


def test_a_script_that_reads_arguments_in_another_way_gets_no_line_of_code() -> None:
    remark = mend_out_dir(files("import tyro\nconfig = tyro.cli(Config)\n"), "t", SPEC)
    assert remark.lines == ('command = "python experiment.py --out_dir={out_dir}"',)


@pytest.mark.parametrize(
    ("code", "printed", "line", "info"),
    [
        ('print(f"test accuracy: {acc:.4f}")', "test accuracy: 0.8759", 3, '{"test_accuracy": float(acc)}'),
        ('print("val loss", loss)', "2026-01-01 INFO val loss 0.25", 3, '{"val_loss": float(loss)}'),
        ('log({"eval_loss": x})', "{'eval_loss': 0.5, 'epoch': 3}", 3, '{"eval_loss": float(x)}'),
        ('print(f"acc {100 * acc:.1f}")', "acc 87.5", 3, '{"acc": float(100 * acc)}'),
        ('print("done")', "epoch 3", 0, '{"accuracy": float(accuracy)}'),
    ],
)
def test_results_are_written_below_the_line_that_prints_them(code: str, printed: str, line: int, info: str) -> None:
    text = f"import json\na = p.parse_args()\n{code}\n"
    remark = mend_results(files(text), "t", SPEC, f"stdout:\nepoch 1\n{printed}\n")
    assert remark.text.startswith(f"t/experiment.py:{line}: " if line else "t/experiment.py: ")
    assert remark.lines[0] == "import pathlib" and remark.lines[1] == "out = pathlib.Path(a.out_dir)"
    assert info in remark.lines[-1]


def test_a_script_without_arguments_takes_the_folder_from_the_command_line() -> None:
    remark = mend_results(files("x = 1\n"), "t", SPEC, "")
    assert remark.lines[:2] == ("import json, pathlib, sys", 'out = pathlib.Path(sys.argv[-1].rpartition("=")[2])')


def test_an_executed_configurator_gives_the_folder_only_to_a_script_that_has_the_variable() -> None:
    code = "lr = 0.1\nexec(open('configurator.py').read())\nprint(f'val loss {lr:.4f}')\n"
    assert "out = pathlib.Path(out_dir)" in mend_results(files("out_dir = 'out'\n" + code), "t", SPEC, "").lines
    assert 'out = pathlib.Path(sys.argv[-1].rpartition("=")[2])' in mend_results(files(code), "t", SPEC, "").lines


def test_declared_metrics_name_the_results() -> None:
    spec = TemplateSpec.model_validate({"name": "t", "metrics": [{"name": "a", "path": ["auc"]}]})
    assert '{"auc": float(auc)}' in mend_results(files("x = 1\n"), "t", spec, "").lines[-1]


def test_the_line_for_a_seed_is_the_scripts_own_option() -> None:
    line = seed_line(files(ARGPARSE))
    assert line and line.text == ('parser.set_defaults(random_seed=int(os.environ.get("SCIENTIST_SEED", 0)))',)
    assert line.line == 7 and line.apply(files(ARGPARSE))["experiment.py"].splitlines()[7].startswith("    ")
    assert seed_line(files('p.add_argument("--lr")\na = p.parse_args()\n')) is None and seed_line(files("")) is None


def test_a_smoke_test_makes_one_step() -> None:
    (remark,) = mend_smoke(files(ARGPARSE), "t")
    assert remark.lines[-1] == "    parser.set_defaults(max_steps=1)" and remark.text.startswith("t/experiment.py:7: ")
    assert list(mend_smoke(files(ARGPARSE + "# SCIENTIST_SMOKE"), "t")) == []


@pytest.mark.parametrize(
    ("line", "absolute"),
    [
        ("from .net import Net", "from net import Net"),
        ("from . import net", "import net"),
        ("from ..a import b", "from a import b"),
    ],
)
def test_a_relative_import_is_made_absolute(line: str, absolute: str) -> None:
    (remark,) = mend_import(files(f"import os\n{line}\n"), "t", "experiment.py", 2)
    assert remark.lines == (absolute,) and "t/experiment.py:2: " in remark.text
    assert list(mend_import(files("import os\n"), "t", "experiment.py", 9)) == []


@pytest.mark.parametrize("text", ["", "\0", "(" * 9999, "p.parse_args(\n" * 99, "x" * 99_999, "\ufeff\r\n", "💥 = {"])
def test_no_text_is_too_odd(text: str) -> None:
    found = files(text)
    assert mend_out_dir(found, "t", SPEC).lines and mend_results(found, "t", SPEC, text + "\nloss: 0.5").lines
    assert seed_line(found) is None and list(mend_smoke(found, "t")) == []
    assert list(mend_import(found, "t", "experiment.py", 1)) == []
