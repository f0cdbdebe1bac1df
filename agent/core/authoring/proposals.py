"""Lines to add to a script, proposed after a trial run has shown that they are missing.

Their places are found by patterns, not by syntax. A person reads each proposal, and the next check tries it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agent.core.authoring.arguments import find_arguments
from agent.core.authoring.ranges import find_length
from agent.core.authoring.reading.script import below_imports, read_tree
from agent.core.authoring.records import import_lines
from agent.core.text.remark import Remark

__all__ = ["SeedLine", "mend_import", "mend_smoke", "seed_line"]

# --random-seed
_SEED = re.compile(r"--((random|rng|manual)[-_])?(seed|random[-_]state)")
# from .layers import Norm
_RELATIVE = re.compile(r"[ \t]*from \.+(?=[\w ])")


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
    found = find_arguments(files)
    option = found.option(_SEED)
    if found.kind != "argparse" or not option:
        return None
    dest = option.lstrip("-").replace("-", "_")
    setting = f'{found.name}.set_defaults({dest}=int(os.environ.get("SCIENTIST_SEED", 0)))'
    return SeedLine(found.file, found.line, (*import_lines(files[found.file], ["os"]), setting))


def mend_smoke(files: Mapping[str, str], folder: str) -> Iterator[Remark]:
    """Lines for a template without a smoke test, which set the script's own number of epochs or steps to one."""
    length, found = find_length(files), find_arguments(files)
    if length is None or any("SCIENTIST_SMOKE" in text for text in files.values()):
        return
    then, needs = "and write smoke = true in template.toml", import_lines(files[length.file], ["os"])
    if length.kind == "option" and found.kind == "argparse" and found.file == length.file:
        lines = ('if os.environ.get("SCIENTIST_SMOKE"):', f"    {found.name}.set_defaults({length.name}=1)")
        place = f"{folder}/{found.file}:{found.line}"
        yield Remark("note", f"{place}: for a smoke test insert before this line, {then}", lines=(*needs, *lines))
        return
    raw = files[length.file].split("\n")[length.line - 1].encode("utf-8", "surrogateescape")
    shorter = f'1 if os.environ.get("SCIENTIST_SMOKE") else {length.value}'
    new = raw[: length.start] + shorter.encode() + raw[length.stop :]
    shown = (*needs, new.decode("utf-8", "replace").strip())
    tree = read_tree(files[length.file])
    at = 1 + (below_imports(tree) if isinstance(tree, ast.Module) else 0)
    said = (
        f"add the first line below the imports (line {at}), and write the second instead" if needs else "write instead"
    )
    yield Remark("note", f"{folder}/{length.file}:{length.line}: for a smoke test {said}, {then}", lines=shown)


def mend_import(files: Mapping[str, str], folder: str, file: str, line: int) -> Iterator[Remark]:
    """The absolute import for a run that failed at a relative one, which a script cannot make."""
    lines = files.get(file, "").split("\n")
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    if _RELATIVE.match(text):
        absolute = re.sub(r"from \.+ ?(import )?", lambda m: "import " if m[1] else "from ", text.strip(), count=1)
        yield Remark("mend", f"{folder}/{file}:{line}: a script has no package; write instead", lines=(absolute,))
