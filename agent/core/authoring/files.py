"""The files of a new template, as text, from what a script told."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.core.authoring.proposals import FILL, step_name
from agent.core.authoring.reported import Reported
from agent.core.authoring.script import Argument, Script

__all__ = ["PROFILE", "Requirement", "direction_of", "prompt_text", "requirements_text", "template_text"]

PROFILE = "full"

_HIGHER = {
    "acc", "accuracy", "auc", "auroc", "bleu", "correlation", "elbo", "f1", "iou", "likelihood", "map", "mcc", "npmi",
    "precision", "psnr", "r2", "recall", "return", "reward", "rouge", "score", "ssim",
}  # fmt: skip
_LOWER = {
    "cost", "error", "fid", "fvu", "loss", "mae", "mse", "nll", "perplexity", "ppl", "regret", "rmse", "seconds",
    "time", "variance", "wer",
}  # fmt: skip
_HELD_OUT = {"dev", "eval", "heldout", "holdout", "test", "val", "valid", "validation"}
_SECONDS = {"seconds", "time", "elapsed", "duration"}
_CONTROL = re.compile(
    r"(n|num|max|total|train|training)?_?(steps|epochs|iterations|tokens|params|parameters|samples|train|test)"
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package to install: its name on the index, the version in use ("" where unknown), what imports it."""

    name: str
    version: str
    module: str
    note: str = ""


def direction_of(name: str) -> str:
    """Which way is better, guessed from a metric's name; "unknown" where the name does not say."""
    words = set(name.lower().split("_"))
    if words & _LOWER:
        return "lower"
    return "higher" if words & _HIGHER else "unknown"


def template_text(
    name: str, script: Script, modules: Sequence[str], requirements: Sequence[Requirement], python: str
) -> str:
    """template.toml: what was read, and a FILL line for what was not."""
    parts = [
        "schema_version = 1",
        f"name = {_quoted(name)}",
        *_summary(script),
        *_command(script),
        f"run_files = {_listed(['experiment.py', *modules])}",
        "# What the model may change.",
        f"editable = {_listed(['experiment.py', *modules, 'plot.py', 'notes.txt'])}",
        *_smoke(script),
        f"default_profile = {_quoted(PROFILE)}",
        "",
        "[limits]",
        "# Seconds of wall time; `scientist template check` says how long a run takes.",
        "run_s = 1800",
        "smoke_s = 120",
        "# Also memory_gib, processes (threads count), file_gib (one file), disk_gib (all that a step writes).",
        "",
        "# A run sees its own folder, sealed/ and its interpreter. Where it needs more:",
        "# [sandbox]",
        "# network = true",
        '# read = ["/data/mnist"]',
        "",
        "[environment]",
        f"python = {_quoted(python)}",
    ]
    if requirements:
        parts += ['install = [["-r", "requirements.txt"]]']
        parts += [f"check = {_quoted('import ' + ', '.join(dict.fromkeys(r.module for r in requirements)))}"]
    parts += ["", f"[profiles.{PROFILE}]"]
    parts += [f'summary = "The script as it is; it may read profiles/{PROFILE}.json as profile.json."']
    parts += ["", f"# What runs are compared with: the script as it is, with five seeds (scientist baseline {name})."]
    parts += [f"[[profiles.{PROFILE}.baselines]]", 'name = "plain"', "seeds = 5"]
    controls = [m for m in script.results.metrics if _CONTROL.fullmatch(m.name)]
    metrics = [m for m in script.results.metrics if m not in controls]
    if not metrics:
        parts += ["", *_no_metrics()]
    primary = _choose_primary(metrics)
    for metric in sorted(metrics, key=lambda m: m is not primary):
        parts += ["", *_metric(metric, is_primary=metric is primary)]
    for control in controls:
        parts += ["", "# Runs compare only where this is the same.", "[[controls]]"]
        parts += [f"name = {_quoted(control.name)}", f"path = {_listed(control.path)}"]
    return "\n".join(parts) + "\n"


def _summary(script: Script) -> list[str]:
    if script.summary:
        return [f"summary = {_quoted(script.summary)}"]
    return [f'# {FILL} what is studied, in one sentence, as "Classify digits with a small network."', 'summary = ""']


def _command(script: Script) -> list[str]:
    output = script.output
    option = "--out_dir={out_dir}"
    if output:
        option = f"{output.flag}={{out_dir}}" if output.flag.startswith("--") else "{out_dir}"
        if output.flag.startswith("-") and not output.flag.startswith("--"):
            option = f"{output.flag} {{out_dir}}"
    missing = [a for a in script.arguments if a.required and a is not output]
    lines = [f"# {FILL} {_name(a)} has no default: add {_example(a)} to the command" for a in missing]
    return [*lines, f"command = {_quoted('python experiment.py ' + option)}"]


def _name(argument: Argument) -> str:
    return argument.flag if argument.flag.startswith("-") else f"the argument {argument.flag}"


def _example(argument: Argument) -> str:
    return f"{argument.flag}=..." if argument.flag.startswith("--") else f"{argument.flag} ..."


def _smoke(script: Script) -> list[str]:
    if script.reads_smoke or step_name(script):
        return ["smoke = true"]
    return [
        "# true once SCIENTIST_SMOKE=1 makes the experiment pass through all of its code in seconds.",
        "smoke = false",
    ]


def _choose_primary(metrics: Sequence[Reported]) -> Reported | None:
    def rank(metric: Reported) -> tuple[bool, bool]:
        words = set(metric.name.split("_"))
        return direction_of(metric.name) == "unknown" or bool(words & _SECONDS), not words & _HELD_OUT

    return min(metrics, key=rank, default=None)


def _metric(metric: Reported, *, is_primary: bool) -> list[str]:
    direction = direction_of(metric.name)
    lines = ["[[metrics]]", f"name = {_quoted(metric.name)}", f"path = {_listed(metric.path)}"]
    if direction == "unknown" and is_primary:
        lines += [f'# {FILL} which way {metric.name} is better, as direction = "higher", or "lower"']
    lines += [f"direction = {_quoted(direction)}"]
    if set(metric.name.split("_")) & _SECONDS:
        lines += ['unit = "s"']
    if is_primary:
        lines += [f"# {FILL} below which difference none counts, as 0.002 where one test example in 500 makes 0.002"]
        lines += ["resolution = 0.0"]
        lines += [
            f'# {FILL} what {metric.name} says, in one sentence, as "Share of test images named right; chance is 0.1."'
        ]
    lines += ['reading = ""']
    return [*lines, *(["primary = true"] if is_primary else [])]


def _no_metrics() -> list[str]:
    return [
        f"# {FILL} no result was found in the script: name the numbers that final_info.json holds, as",
        "# [[metrics]]",
        '# name = "accuracy"',
        '# path = ["accuracy"]',
        '# direction = "higher"',
        "# resolution = 0.002",
        '# reading = "Share of test images named right."',
        "# primary = true",
    ]


def requirements_text(requirements: Sequence[Requirement]) -> str:
    """requirements.txt: a pin where a version is known, a FILL remark where it is not."""
    lines = []
    for found in requirements:
        pin = f"{found.name}=={found.version}" if found.version else found.name
        remark = found.note or (
            "" if found.version else f"which version, as {found.name}==1.0; imported as {found.module}"
        )
        lines.append(f"{pin}  # {FILL} {remark}" if remark else pin)
    return "".join(f"{line}\n" for line in lines)


def prompt_text(name: str, script: Script) -> str:
    """prompt.md: headings, and under each what to write there."""
    metric = _choose_primary(script.results.metrics)
    goal = metric.name if metric else "the accuracy"
    return (
        "\n\n".join(
            (
                f"# {name}",
                f"{FILL} the task, as: experiment.py trains a small network on digits. Improve {goal}.",
                "## What may change",
                f"{FILL} what an idea may alter, as: the network, its optimiser, its regularisation.",
                "## What must stay",
                f"{FILL} what makes runs comparable, as: the data, their split, the number of epochs.",
                "## The field",
                f"{FILL} what a newcomer must know: results so far, what was tried, traps.",
            )
        )
        + "\n"
    )


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _listed(names: Sequence[str]) -> str:
    return "[" + ", ".join(map(_quoted, names)) + "]"
