"""Lines that would make a script keep the protocol, put into its copy as comments for a person to check."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.core.authoring.reported import Reported
from agent.core.authoring.script import Argument, Constant, Script, parse
from agent.core.authoring.syntax import Place
from agent.errors import UsageError

__all__ = ["FILL", "Addition", "additions", "mark_constants", "step_name", "with_additions"]

FILL = "FILL:"
CODE = "#+ "

_STEP_NAME = re.compile(r"(n_|num_|max_|train_|total_|training_)*(epochs?|steps?|iters?|iterations?)")
_WHOLE = {
    "hidden",
    "width",
    "dim",
    "units",
    "k",
    "depth",
    "layers",
    "neighbors",
    "trees",
    "estimators",
    "latents",
    "rank",
}
_SHARE = {"dropout", "momentum", "fraction", "ratio"}
_SCALE = {
    "lr", "rate", "decay", "alpha", "lambda", "lam", "l1", "l2", "c", "gamma", "tau", "temperature", "coef", "weight",
    "penalty", "reg", "sigma", "noise",
}  # fmt: skip
_SEED = 'int(os.environ.get("SCIENTIST_SEED", {}))'


@dataclass(frozen=True, slots=True)
class Addition:
    """A comment to put at `place`: why, and the lines of code that it proposes, indented below the place's own."""

    place: Place
    why: str
    lines: tuple[str, ...] = ()
    optional: bool = False


def additions(script: Script) -> tuple[Addition, ...]:
    """What a person must look at in the script, in the order of its lines."""
    found = [*_faults(script), *_at_parser(script), *_seeding(script), *_results(script), *_sweep(script)]
    used = "\n".join(text for addition in found for text in (addition.why, *addition.lines))
    needed = [m for m in ("argparse", "json", "os", "pathlib") if f"{m}." in used and m not in script.bound]
    if needed:
        lines = tuple(f"import {module}" for module in needed)
        found.insert(0, Addition(script.after_imports, "take the #+ off: lines further down need these", lines))
    return tuple(sorted(found, key=lambda addition: addition.place.line))


def with_additions(text: str, found: Sequence[Addition]) -> str:
    """The script with the additions as comments; its meaning, line ends and byte order mark stay.

    A place that turns out to be inside a string is not used: all then stand at the end of the file.
    """
    marked = _insert(text, found)
    if _meaning(marked) == _meaning(text):
        return marked
    end = Place(text.count("\n") + 1, "")
    return _insert(text, [Addition(end, f"near line {a.place.line}: {a.why}", a.lines, a.optional) for a in found])


def _insert(text: str, found: Sequence[Addition]) -> str:
    bom, body = ("\ufeff", text[1:]) if text.startswith("\ufeff") else ("", text)
    newline = "\r\n" if "\r\n" in body else "\n"
    lines = body.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    lines = [line.removesuffix("\r") for line in lines] if newline == "\r\n" else lines
    ordered = sorted(found, key=lambda a: a.place.line)
    for addition in ordered[::-1]:
        word = "OPTIONAL:" if addition.optional else FILL
        indent = addition.place.indent
        block = [f"{indent}# {word} {addition.why}", *(f"{indent}{CODE}{line}" for line in addition.lines)]
        lines[addition.place.line : addition.place.line] = block
    return bom + newline.join([*lines, ""])


def _meaning(text: str) -> str:
    import ast

    try:
        return ast.dump(parse(text, ""))
    except UsageError:
        return "none"


def _faults(script: Script) -> Iterator[Addition]:
    """Lines that cannot work in a run as they are."""
    for line, text in script.relative_imports:
        absolute = (
            re.sub(r"from \.+(?= import)", "", text) if "from . import" in text else text.replace("from .", "from ")
        )
        yield Addition(_at(script, line), f"a script has no package; write instead: {absolute.strip()}")
    for line in script.notebook_lines:
        yield Addition(_at(script, line), "take the next line out: get_ipython is known in notebooks only")
    for line in script.path_lines:
        yield Addition(
            _at(script, line), "sys.path: modules lie beside experiment.py in a run; other folders may be gone"
        )
    for line in script.argv_lines:
        yield Addition(_at(script, line), "sys.argv: a run gets --out_dir=run_N and no other argument")
    for name in script.readers:
        why = f"arguments are read with {name}: let it take --out_dir=run_N, or name its option in template.toml"
        yield Addition(script.after_imports, why)
    if not script.runs:
        place = Place(script.length, "")
        yield Addition(place, "the file calls none of its functions; call the one that trains", ("main()",))


def _at(script: Script, line: int) -> Place:
    return Place(line - 1, "")


def _at_parser(script: Script) -> Iterator[Addition]:
    """A run's folder, seed and smoke test through the script's own arguments, else through a new one."""
    if script.before_parse is None or not script.parser:
        if script.output is None and not script.readers:
            lines = (
                "parser = argparse.ArgumentParser()",
                'parser.add_argument("--out_dir", default="run_0")',
                "OUT_DIR = parser.parse_known_args()[0].out_dir",
            )
            yield Addition(script.after_imports, "take the #+ off: each run names the folder for its results", lines)
        return
    added: list[str] = []
    whys: list[str] = []
    if script.output is None:
        added.append(f'{script.parser}.add_argument("--out_dir", default="run_0")')
        whys.append("folder")
    if script.seed and not script.reads_seed:
        added.append(f"{script.parser}.set_defaults({script.seed.dest}={_SEED.format(_seed_default(script.seed))})")
        whys.append("seed")
    step = step_name(script)
    if isinstance(step, Argument) and not script.reads_smoke:
        added.append(f'if os.environ.get("SCIENTIST_SMOKE"): {script.parser}.set_defaults({step.dest}=1)')
        whys.append("smoke test")
    if added:
        yield Addition(script.before_parse, f"take the #+ off: a run's {' and '.join(whys)}", tuple(added))


def _seed_default(seed: Argument) -> int:
    return seed.default if isinstance(seed.default, int) else 0


def step_name(script: Script) -> Argument | Constant | None:
    """What says how long training is, so that a smoke test can be short."""
    named: list[Argument | Constant] = [a for a in script.arguments if _STEP_NAME.fullmatch(a.dest)]
    named += [c for c in script.constants if _STEP_NAME.fullmatch(c.name.lower())]
    return next(iter(named), None)


def _seeding(script: Script) -> Iterator[Addition]:
    step = step_name(script)
    if isinstance(step, Constant) and not script.reads_smoke:
        short = ('if os.environ.get("SCIENTIST_SMOKE"):', f"    {step.name} = 1")
        yield Addition(Place(step.line, ""), "take the #+ off: a smoke test passes through all code in seconds", short)
    if script.reads_seed or (script.seed and script.before_parse):
        return
    if script.seed_constant:
        name = script.seed_constant.name
        why = "take the #+ off: every run is told its seed"
        yield Addition(Place(script.seed_constant.line, ""), why, (f"{name} = {_SEED.format(name)}",))
    elif script.seed_calls:
        for call in script.seed_calls[:10]:
            told = _SEED.format(call.value if call.value.isdigit() else 0)
            why = f"in the next line write {told} for {call.value}, if runs may differ in it"
            yield Addition(_at(script, call.line), why)
    else:
        lines = tuple(line for module, line in _SEEDERS.items() if module in {i.split(".")[0] for i in script.imports})
        why = (
            "nothing seeds chance; seed it, else runs cannot be repeated"
            if lines
            else (f"if chance plays a part, seed it with {_SEED.format(0)}; else delete this line")
        )
        yield Addition(script.after_imports, why, lines)


_SEEDERS = {
    "random": f"import random; random.seed({_SEED.format(0)})",
    "numpy": f"import numpy; numpy.random.seed({_SEED.format(0)})",
    "torch": f"import torch; torch.manual_seed({_SEED.format(0)})",
    "sklearn": f"SEED = {_SEED.format(0)}  # give it on: random_state=SEED",
}


def _results(script: Script) -> Iterator[Addition]:
    """The lines that write final_info.json."""
    found = script.results
    if found.file == "final_info.json" and script.output is not None:
        return
    folder, known = _folder(script)
    place = found.place or Place(script.length, "")
    entries = "{" + ", ".join(_entry(metric) for metric in found.metrics) + "}"
    info = found.variable if found.variable.isidentifier() else entries
    why = "take the #+ off: this writes what a run is judged by"
    if not found.metrics and not found.variable:
        info = '{"accuracy": float(accuracy)}'
        why = "no result was found: put these lines where your numbers are known, with their names"
    elif found.place is None:
        why = "put these lines where these numbers are known"
    if not known:
        why += f"; {script.args or 'the output folder'} is not known here: pass it to {found.scope or 'this place'}"
    lines = (
        f"out = pathlib.Path({folder})",
        "out.mkdir(parents=True, exist_ok=True)",
        f'(out / "final_info.json").write_text(json.dumps({info}))',
    )
    yield Addition(place, why, lines)


def _entry(metric: Reported) -> str:
    return f'"{metric.name}": float({metric.expression})'


def _folder(script: Script) -> tuple[str, bool]:
    """The expression for the run's folder where results are known, and whether its name is known there."""
    dest = script.output.dest if script.output else "out_dir"
    if script.args:
        scope = script.results.scope
        known = script.args_scope in ("", scope) or script.args in script.results.parameters
        return f"{script.args}.{dest}", known
    if script.readers or script.output or script.before_parse:
        return dest, False
    return "OUT_DIR", True


def _sweep(script: Script) -> Iterator[Addition]:
    """Search ranges for offline/sweep, where no constant of the script carries one."""
    if script.marked or mark_constants("", script) or not script.before_parse:
        return
    ranges = {a.dest: (a, r) for a in script.arguments if (r := _range(a.dest, a.default))}
    ranges = {dest: found for dest, found in ranges.items() if dest.upper() not in {c.name for c in script.constants}}
    if not ranges:
        return
    why = "take the #+ off, and the ones before parse_args, to let offline/sweep vary these"
    lines = tuple(f"{dest.upper()} = {a.default!r}  # search: {r}" for dest, (a, r) in ranges.items())
    yield Addition(script.after_imports, why, lines, optional=True)
    given = ", ".join(f"{dest}={dest.upper()}" for dest in ranges)
    why = "take the #+ off with the constants above"
    yield Addition(script.before_parse, why, (f"{script.parser}.set_defaults({given})",), optional=True)


def mark_constants(text: str, script: Script) -> str:
    """The script with a search range on each constant that looks like a hyper-parameter; "" where there is none.

    With "" for the text: the names, one a line.
    """
    if script.marked:
        return ""
    marks = {c.line: (c.name, r) for c in script.constants if (r := _range(c.name.lower(), c.value))}
    if not text:
        return "\n".join(name for name, _ in marks.values())
    lines = text.split("\n")
    for number, (_, span) in marks.items():
        line = lines[number - 1]
        body = line.removesuffix("\r")
        if "#" not in body:
            lines[number - 1] = f"{body}  # search: {span}" + line[len(body) :]
    return "\n".join(lines) if marks else ""


def _range(name: str, value: object) -> str:
    """Where a hyper-parameter of that name may be looked for; "" where it is none."""
    words = set(name.split("_"))
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0 or _STEP_NAME.fullmatch(name):
        return ""
    if isinstance(value, int):
        return f"int {max(1, value // 4)}..{value * 4}" if words & _WHOLE else ""
    if words & _SHARE and value < 1:
        return "0.0..0.9" if value <= 0.9 else "0.0..0.999"
    return f"log {value / 10:.3g}..{value * 10:.3g}" if words & _SCALE else ""
