"""Lines to add to a script, proposed after a trial run has shown that they are missing.

Their places are found by patterns, not by syntax. A person reads each proposal, and the next check tries it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.core.inputs.spec import TemplateSpec
from agent.core.text.remark import Remark

__all__ = ["SeedLine", "mend_import", "mend_out_dir", "mend_results", "mend_smoke", "refuses_out_dir", "seed_line"]

# args = parser.parse_args()
_PARSE = re.compile(r"^[ \t]*(?:(\w+)(?:, *\w+)? *= *|return +)?(\w+)\.parse_(?:known_)?args\(", re.MULTILINE)
# add_argument("--weight-decay"
_OPTION = re.compile(r"""["'](--?[A-Za-z][\w-]*)["']""")
# --output_dir
_FOLDER = re.compile(r"--?(out|output|save|log|results?|run|exp|work|ckpt|checkpoint)[-_]?(dir|path|folder|root)")
# --random-seed
_SEED = re.compile(r"--((random|rng|manual)[-_])?(seed|random[-_]state)")
# --num_epochs
_STEPS = re.compile(r"--((n|num|max|train|total)[-_])*(epochs?|steps?|iters?|iterations?)")
# error: unrecognized arguments: --out_dir=run_1
_REFUSES = re.compile(
    r"(unrecogni[sz]ed|unknown|no such|not consume|not used|invalid|unexpected)[^\n]{0,200}out_dir"
    r"|out_dir[^\n]{0,9}not in struct",
    re.IGNORECASE,
)
# test accuracy: 0.8759
_PRINTED = re.compile(r"""([A-Za-z][A-Za-z_ @/-]{0,40}?)['" :=]{1,4}(?=-?\d{1,12}(?:\.\d|e[-+]?\d))""")
# from .layers import Norm
_RELATIVE = re.compile(r"[ \t]*from \.+(?=[\w ])")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class _Parser:
    """The line at which a script reads its arguments with argparse."""

    file: str
    line: int
    name: str  # variable of the parser
    holder: str  # variable of the arguments, "args" if it is not seen
    options: tuple[str, ...]

    def option(self, pattern: re.Pattern[str]) -> str:
        return next((option for option in self.options if pattern.fullmatch(option)), "")


def _find_parser(files: Mapping[str, str]) -> _Parser | None:
    for file, text in files.items():
        if found := _PARSE.search(text):
            line = text.count("\n", 0, found.start()) + 1
            return _Parser(file, line, found[2], found[1] or "args", tuple(_OPTION.findall(text)))
    return None


def refuses_out_dir(output: str) -> bool:
    """Whether a failed run's output says that the script knows no option out_dir."""
    return bool(_REFUSES.search(output))


def mend_out_dir(files: Mapping[str, str], folder: str, spec: TemplateSpec) -> Remark:
    """Lines for a script that does not take the folder of its run."""
    parser, command = _find_parser(files), spec.command
    own = parser.option(_FOLDER) if parser else ""
    if own and own != "--out_dir":
        written = command.replace("--out_dir=", f"{own}=" if own.startswith("--") else f"{own} ")
        text = f"{folder}/template.toml: there is no option --out_dir; if {own} names the folder of results, write"
        return Remark("mend", text, lines=(f'command = "{written}"',))
    if parser:
        text = f"{folder}/{parser.file}:{parser.line}: no argument names the folder of results; insert before this line"
        return Remark("mend", text, lines=(f'{parser.name}.add_argument("--out_dir", default="run_0")',))
    file = next(iter(files), "experiment.py")
    text = f"{folder}/{file}: takes no option --out_dir, the folder of results; add it, or name the script's own option"
    return Remark("mend", f"{text} in template.toml: command", lines=(f'command = "{command}"',))


def mend_results(files: Mapping[str, str], folder: str, spec: TemplateSpec, output: str) -> Remark:
    """Lines for a run that ended well and wrote no final_info.json. `output` is the end of its log."""
    labels = [_known_part(label, files) for label in _PRINTED.findall(output)]
    place, line = _find_label(files, labels)
    shown = [label for label in dict.fromkeys(labels) if label in line][-_SHOWN:]
    values = {_slug(label): _expression(line, label) for label in shown}
    if not values:
        names = [metric.path[0] for metric in spec.metrics if len(metric.path) == 1 and metric.source == "final_info"]
        values = {name: name for name in names or [_slug(label) for label in labels[-1:]] or ["accuracy"]}
    file = place.partition(":")[0]
    info = ", ".join(f'"{name}": float({value})' for name, value in values.items())
    parser = _find_parser(files)
    holder = f"{parser.holder}.{_dest(parser.option(_FOLDER) or '--out_dir')}" if parser else ""
    modules = ["json", "pathlib"] + ([] if holder else ["sys"])
    lines = (
        *_imports(files.get(file, ""), modules),
        f"out = pathlib.Path({holder})" if holder else 'out = pathlib.Path(sys.argv[-1].partition("=")[2])',
        "out.mkdir(parents=True, exist_ok=True)",
        f'(out / "final_info.json").write_text(json.dumps({{{info}}}))',
    )
    where = "add below what is printed here" if shown else "add where your results are known, under their names"
    return Remark("mend", f"{folder}/{place}: final_info.json is not written; {where}", lines=lines)


def _known_part(label: str, files: Mapping[str, str]) -> str:
    """The longest end of a label that the code holds, as "test acc" of "INFO test acc", else its last word."""
    words = label.split()
    ends = [" ".join(words[start:]) for start in range(len(words))]
    return next((end for end in ends if any(end in text for text in files.values())), words[-1])


def _find_label(files: Mapping[str, str], labels: Sequence[str]) -> tuple[str, str]:
    """The "file:line" that prints the last label, and the text of that line. Only the script's name if none does."""
    for label in reversed(labels):
        for file, text in files.items():
            for number, line in reversed(list(enumerate(text.split("\n"), start=1))):
                if label in line and not line.lstrip().startswith("#"):
                    return f"{file}:{number}", line
    return next(iter(files), "experiment.py"), ""


def _expression(line: str, label: str) -> str:
    """The expression that follows the label in the code, else a variable of the label's name."""
    # test loss: {loss:.4f}    "test loss", loss    "test_loss": loss
    value = r"""[ :=]{0,4}(?:\{|["'] ?[:,] ?)([A-Za-z_][\w.]{0,60}(?:\(\))?)(?=[]:}),])"""
    found = re.search(re.escape(label) + value, line)
    return found[1] if found else _slug(label)


def _slug(label: str) -> str:
    return re.sub(r"\W+", "_", label.lower()).strip("_")


def _dest(option: str) -> str:
    return option.lstrip("-").replace("-", "_")


def _imports(text: str, modules: Sequence[str]) -> tuple[str, ...]:
    """The import that the file lacks, as one line."""
    needed = [m for m in modules if not re.search(rf"^import [\w, ]*\b{m}\b", text, re.MULTILINE)]  # import json, os
    return (f"import {', '.join(needed)}",) if needed else ()


@dataclass(frozen=True, slots=True)
class SeedLine:
    """A line that gives SCIENTIST_SEED to the script's own option. Only a run can tell if it reaches a generator."""

    file: str
    line: int
    text: tuple[str, ...]

    def apply(self, files: Mapping[str, str]) -> dict[str, str]:
        """The files with the line in its place."""
        lines = files[self.file].split("\n")
        before = lines[self.line - 1]
        indent = before[: len(before) - len(before.lstrip())]
        lines[self.line - 1 : self.line - 1] = [indent + line for line in self.text]
        return {**files, self.file: "\n".join(lines)}

    def remark(self, folder: str, seen: str) -> Remark:
        return Remark("note", f"{folder}/{self.file}:{self.line}: insert before this line ({seen})", lines=self.text)


def seed_line(files: Mapping[str, str]) -> SeedLine | None:
    """The line for the seed, None if no argument is named as one."""
    parser = _find_parser(files)
    option = parser.option(_SEED) if parser else ""
    if not parser or not option:
        return None
    setting = f'{parser.name}.set_defaults({_dest(option)}=int(os.environ.get("SCIENTIST_SEED", 0)))'
    return SeedLine(parser.file, parser.line, (*_imports(files[parser.file], ["os"]), setting))


def mend_smoke(files: Mapping[str, str], folder: str) -> Iterator[Remark]:
    """Lines for a template without a smoke test, which set the script's own number of steps to one."""
    parser = _find_parser(files)
    option = parser.option(_STEPS) if parser else ""
    if parser and option and not any("SCIENTIST_SMOKE" in text for text in files.values()):
        lines = (
            *_imports(files[parser.file], ["os"]),
            'if os.environ.get("SCIENTIST_SMOKE"):',
            f"    {parser.name}.set_defaults({_dest(option)}=1)",
        )
        place = f"{folder}/{parser.file}:{parser.line}"
        text = f"{place}: for a smoke test insert before this line, and write smoke = true in template.toml"
        yield Remark("note", text, lines=lines)


def mend_import(files: Mapping[str, str], folder: str, file: str, line: int) -> Iterator[Remark]:
    """The absolute import for a run that failed at a relative one, which a script cannot make."""
    lines = files.get(file, "").split("\n")
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    if _RELATIVE.match(text):
        absolute = re.sub(r"from \.+ ?(import )?", lambda m: "import " if m[1] else "from ", text.strip(), count=1)
        yield Remark("mend", f"{folder}/{file}:{line}: a script has no package; write instead", lines=(absolute,))
