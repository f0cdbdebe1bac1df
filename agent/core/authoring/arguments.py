"""How a script reads its arguments, and the lines by which it takes the folder of its run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.authoring.reading.script import Function, Script, full_name, read_scripts
from agent.core.code.source import constants_in
from agent.core.inputs.spec import TemplateSpec
from agent.core.text.remark import Remark

__all__ = ["COMMAND", "Arguments", "find_arguments", "mend_out_dir", "own_command", "refuses_out_dir"]

COMMAND: Final = "python experiment.py --out_dir={out_dir}"

# args = parser.parse_args()
_PARSE: Final = re.compile(r"^[ \t]*(?:(\w+)(?:, *\w+)? *= *|return +)?(\w+)\.parse_(?:known_)?args\(", re.MULTILINE)
# add_argument("--weight-decay"
_OPTION: Final = re.compile(r"""["'](--?[A-Za-z][\w-]*)["']""")
# --output_dir, save_path
_FOLDER: Final = re.compile(
    r"(--?)?(out|output|save|log|results?|run|exp|work|ckpt|checkpoint)[-_]?(dir|path|folder|root)"
)
# error: unrecognized arguments: --out_dir=run_1
_REFUSES: Final = re.compile(
    r"(unrecogni[sz]ed|unknown|no such|not consume|not used|invalid|unexpected)[^\n]{0,200}out_dir"
    r"|out_dir[^\n]{0,9}not in struct|Key 'out_dir'|could not convert string[^\n]{0,40}out_dir"
    r"|No such file or directory: '--out_dir=",
    re.IGNORECASE,
)
# if __name__ == "__main__":
_MAIN: Final = re.compile(r"^if __name__ *==", re.MULTILINE)
# sys.argv[2]
_PLACE: Final = re.compile(r"\bargv\[(\d{1,2})\]")
MOST_PLACES: Final = 9
# "):" in "def main(lr=0.1) -> float:  # trains"
_SIGNATURE_END: Final = re.compile(r"\)(?=\s{0,9}(->[^:#]{0,99})?:[ \t]{0,99}(#|$))")

# What is called, by the end of its full name: the reader it is, and what of its first argument says the options.
_CLASSES: Final = {
    "tyro.cli": "tyro", "simple_parsing.parse": "simple_parsing", "pyrallis.parse": "pyrallis",
    "draccus.parse": "draccus", "jsonargparse.CLI": "jsonargparse", "jsonargparse.auto_cli": "jsonargparse",
    "transformers.HfArgumentParser": "HfArgumentParser", "HfArgumentParser": "HfArgumentParser",
    "trl.TrlParser": "TrlParser", "chz.entrypoint": "chz", "chz.nested_entrypoint": "chz",
    "fire.Fire": "fire", "typer.run": "typer", "defopt.run": "defopt",
}  # fmt: skip
_HUGGING: Final = re.compile(r"\w*(TrainingArguments|SFTConfig|DPOConfig|GRPOConfig)")


@dataclass(frozen=True, slots=True)
class Arguments:
    """The place at which a script reads its arguments."""

    # "argparse", "hydra", "tyro", ..., or "" if it reads none.
    kind: str
    # The file that reads them.
    file: str = "experiment.py"
    # The line that does.
    line: int = 0
    # The variable of argparse's parser, or the class or function whose fields are the options.
    name: str = ""
    # The variable of the arguments, "args" if it is not seen.
    holder: str = ""
    # As they are typed: "--lr".
    options: tuple[str, ...] = ()

    def option(self, pattern: re.Pattern[str]) -> str:
        return next((option for option in self.options if pattern.fullmatch(option)), "")

    @property
    def folder(self) -> str:
        """The script's own option for the folder of results, as "--save-dir". Empty if it has none."""
        return self.option(_FOLDER)

    def describe(self) -> str:
        if not self.kind:
            return "read from nowhere; --out_dir is looked up in sys.argv"
        own = f"; {self.folder} may name a run's folder" if self.folder and self.folder != "--out_dir" else ""
        return f"{self.kind} ({self.file}:{self.line}{f', {len(self.options)} options' if self.options else ''}){own}"


def find_arguments(files: Mapping[str, str]) -> Arguments:
    """How the first of the files that reads arguments does it. Its own file first."""
    code = [(file, text) for file, text in files.items() if file.endswith(".py")]
    for number, (file, whole) in enumerate(code):
        text = whole if number == 0 else _MAIN.split(whole)[0]  # what a module does when it is run itself
        script = next(iter(read_scripts({file: text})), None)
        for found in _readers(script) if script else ():
            return found
        if parsed := _PARSE.search(text):
            line = text.count("\n", 0, parsed.start()) + 1
            options = tuple(_OPTION.findall(text))
            return Arguments("argparse", file, line, parsed[2], parsed[1] or "args", options)
        for found in _plain_readers(script) if script else ():
            return found
    return Arguments("", next(iter(files), "experiment.py"))


def _readers(script: Script) -> Iterator[Arguments]:
    """Libraries that read arguments by themselves."""
    for _, call, full in script.calls():
        last = full.rpartition(".")[2]
        kind = _CLASSES.get(full)
        if kind:
            names = [n.id for n in ast.walk(call.args[0]) if isinstance(n, ast.Name)] if call.args else []
            names += [k.value.id for k in call.keywords if k.arg == "config_class" and isinstance(k.value, ast.Name)]
            hugging = [n for n in names if _HUGGING.fullmatch(n)]
            own = next((n for n in names if _defined(script, n)), "")
            options = ("--output_dir",) if hugging or _extends_hugging(script, names) else _fields(script, own)
            yield Arguments(kind, script.file, call.lineno, own, options=options)
        elif last == "main" and full.startswith("hydra"):
            yield Arguments("hydra", script.file, call.lineno)
        elif last in ("LightningCLI", "DefaultLightningCLI"):
            asks = any(
                k.arg == "run" and isinstance(k.value, ast.Constant) and not k.value.value for k in call.keywords
            )
            yield Arguments("LightningCLI", script.file, call.lineno, "" if asks else "fit")
        elif full.startswith(("absl.flags.DEFINE_", "flags.DEFINE_")):
            yield Arguments("absl", script.file, call.lineno, full_name_of(call), options=tuple(_defined_flags(script)))
        elif full == "typer.Typer":
            names = [node.name for node in script.tree.body if isinstance(node, Function) and node.decorator_list]
            name = names[0] if names else ""
            yield Arguments("typer", script.file, call.lineno, name, options=_fields(script, name))
        elif full == "click.option" or full.endswith(".OmegaConf.from_cli"):
            options = tuple(_OPTION.findall(script.text))
            kind = "click" if last == "option" else "OmegaConf"
            yield Arguments(kind, script.file, call.lineno, options=options if kind == "click" else ())


def full_name_of(call: ast.Call) -> str:
    """The module of a call as it is written: "flags" of flags.DEFINE_string."""
    return full_name(call.func, {}).rpartition(".")[0]


def _defined_flags(script: Script) -> Iterator[str]:
    for _, call, full in script.calls():
        match call.args:
            case [ast.Constant(value=str(name)), *_] if ".DEFINE_" in full:
                yield f"--{name}"


def _plain_readers(script: Script) -> Iterator[Arguments]:
    """A configurator that is executed, methods parse_args() of a class, and sys.argv."""
    for site, call, full in script.calls():
        if full == "exec" and "configurator" in ast.unparse(call.args[0])[:200] if call.args else False:
            names = tuple(f"--{name}" for name, _ in constants_in(script.tree))
            yield Arguments("configurator", script.file, site.statement.lineno, options=names)
        elif full.endswith("parse_args") and isinstance(call.func, ast.Attribute) and call.func.attr == "parse_args":
            inner = call.func.value
            name = inner.func.id if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) else ""
            if name and _defined(script, name):
                yield Arguments("parse_args", script.file, call.lineno, name, options=_fields(script, name))
    for site in script.sites:
        match site.node:
            case ast.Subscript(value=ast.Attribute() as read, slice=part) if (
                full_name(read, script.names) == "sys.argv"
            ):
                yield Arguments("sys.argv[1:]" if isinstance(part, ast.Slice) else "sys.argv", script.file, read.lineno)
            case _:
                pass


def _defined(script: Script, name: str) -> ast.ClassDef | Function | None:
    for node in script.tree.body:
        if isinstance(node, ast.ClassDef | Function) and node.name == name:
            return node
    return None


def _extends_hugging(script: Script, names: Sequence[str]) -> bool:
    classes = [node for name in names if isinstance(node := _defined(script, name), ast.ClassDef)]
    bases = [full_name(base, script.names).rpartition(".")[2] for node in classes for base in node.bases]
    return any(_HUGGING.fullmatch(base) for base in bases)


def _fields(script: Script, name: str) -> tuple[str, ...]:
    """Options that a class or a function makes: its fields, or its parameters."""
    match _defined(script, name):
        case ast.ClassDef(body=body):
            names = [n.target.id for n in body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
        case ast.FunctionDef(args=args) | ast.AsyncFunctionDef(args=args):
            names = [argument.arg for argument in (*args.args, *args.kwonlyargs)]
        case _:
            names = []
    return tuple(f"--{n}" for n in names)


def refuses_out_dir(output: str) -> bool:
    """Whether a failed run's output says that the script knows no option out_dir."""
    return bool(_REFUSES.search(output))


def own_command(arguments: Arguments) -> str:
    """The command for scripts whose library has an option of its own for the folder of a run."""
    match arguments.kind:
        case "hydra":
            return COMMAND.replace("--out_dir=", "hydra.run.dir=")
        case "typer":
            return COMMAND.replace("--out_dir=", "--out-dir=")
        case "OmegaConf":
            return COMMAND.replace("--out_dir=", "out_dir=")
        case "LightningCLI":
            return COMMAND.replace("--out_dir=", f"{arguments.name} --trainer.default_root_dir=".lstrip())
        case "HfArgumentParser" | "TrlParser" if arguments.folder:
            return COMMAND.replace("--out_dir=", f"{arguments.folder}=")
        case _:
            return COMMAND


def mend_out_dir(files: Mapping[str, str], folder: str, spec: TemplateSpec) -> Remark:
    """Lines for a script that does not take the folder of its run."""
    found, command = find_arguments(files), spec.command
    place = f"{folder}/{found.file}:{found.line}"
    own = own_command(found) if own_command(found) != COMMAND else _with_option(command, found.folder)
    if own not in (command, COMMAND):
        option = found.folder or own.split()[-1].partition("=")[0]
        text = f"{folder}/template.toml: there is no option --out_dir; if {option} names the folder of results, write"
        return Remark("mend", text, lines=(f'command = "{own}"',))
    says = "no argument names the folder of results"
    match found.kind:
        case "argparse":
            line = f'{found.name}.add_argument("--out_dir", default="run_0")'
            return Remark("mend", f"{place}: {says}; insert before this line", lines=(line,))
        case "absl":
            line = f'{found.name}.DEFINE_string("out_dir", "run_0", "Folder of results.")'
            return Remark("mend", f"{place}: {says}; insert before this line", lines=(line,))
        case "configurator":
            return Remark("mend", f"{place}: {says}; insert before this line", lines=('out_dir = "run_0"',))
        case "click":
            line = '@click.option("--out_dir", default="run_0", expose_value=False)'
            return Remark("mend", f"{place}: {says}; insert before this line", lines=(line,))
        case "sys.argv":
            return _mend_places(files, folder, found)
        case _:
            return _mend_definition(files, folder, found) or _mend_unknown(files, folder, command)


def _mend_places(files: Mapping[str, str], folder: str, found: Arguments) -> Remark:
    """The command for a script that reads its arguments by their place: the folder comes behind all of them."""
    places = [int(n) for n in _PLACE.findall(files[found.file])]
    values = " ".join(f"ARGUMENT_{n}" for n in range(1, 1 + min(max(places, default=0), MOST_PLACES)))
    text = f"{folder}/{found.file}:{found.line}: arguments are read by their place; put the folder behind them"
    how = f", with your own values for {values}" if values else ""
    line = f'command = "{COMMAND.replace("--out_dir=", f"{values} ".lstrip())}"'
    return Remark("mend", f"{text}, in template.toml{how}", lines=(line,))


def _with_option(command: str, option: str) -> str:
    if not option or option == "--out_dir":
        return command
    return command.replace("--out_dir=", f"{option}=" if option.startswith("--") else f"{option} ")


def _mend_unknown(files: Mapping[str, str], folder: str, command: str) -> Remark:
    file = next(iter(files), "experiment.py")
    text = f"{folder}/{file}: takes no option --out_dir, the folder of results; add it, or name the script's own option"
    return Remark("mend", f"{text} in template.toml: command", lines=(f'command = "{command}"',))


def _mend_definition(files: Mapping[str, str], folder: str, found: Arguments) -> Remark | None:
    """A field of the class or a parameter of the function that the options are made of."""
    (script,) = read_scripts({found.file: files[found.file]}) or (None,)
    node = _defined(script, found.name) if script and found.name else None
    if isinstance(node, ast.ClassDef):
        fields = [n for n in node.body if isinstance(n, ast.AnnAssign)]
        if not fields:
            return None
        line = fields[-1].end_lineno or fields[-1].lineno
        text = f"{folder}/{found.file}:{line}: no field names the folder of results; add below this line"
        return Remark("mend", text, lines=('out_dir: str = "run_0"',))
    if not isinstance(node, Function) or script is None:
        return None
    place, text = f"{folder}/{found.file}:{node.lineno}", script.text.split("\n")[node.lineno - 1]
    new = 'out_dir: str = "run_0"'
    if (end := _SIGNATURE_END.search(text)) and not node.args.kwarg:
        before = text[: end.start()]
        written = f"{before}{'' if before.rstrip().endswith(('(', ',')) else ', '}{new}{text[end.start() :]}"
        return Remark("mend", f"{place}: no parameter names the folder of results; write instead", lines=(written,))
    return Remark("mend", f"{place}: no parameter of {node.name} names the folder of results; add it", lines=(new,))
