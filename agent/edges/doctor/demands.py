"""What a template's code asks of this machine, and a run will not have: said before a launch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from agent.core.authoring.reading.demands import Demand, find_demands
from agent.core.authoring.reading.script import read_scripts
from agent.core.text.remark import Remark
from agent.edges.sandbox.gpus import name_gpus
from agent.edges.sandbox.walls import SandboxKind
from agent.edges.template.load import Template

__all__ = ["check_demands"]


def check_demands(
    template: Template, source: Path, sandbox: SandboxKind, data: Path | None, inherited: Mapping[str, str]
) -> Iterator[Remark]:
    """A warning for each kind of thing that the template's code asks for and a run will not have.

    source: the folder that was named, not its frozen copy. data: as --data has it.
    """
    drawing = template.spec.plot.split()
    code = {name: text for name, text in template.files.items() if name not in drawing}
    first: dict[str, Demand] = {}
    for demand in find_demands(read_scripts(code)):
        first.setdefault(demand.kind, demand)
    if (one := first.get("network")) and sandbox != "off" and not (_brings_data(template) or data):
        remedy = "download it first and give the folder with --data, or set [sandbox] network = true in template.toml"
        yield Remark("warn", "network", f"{one.place} calls {one.what}, and runs have no network", remedy)
    if (one := first.get("workers")) and sandbox == "landlock":
        detail = f"{one.place} starts some ({one.what}), which landlock does not let share memory"
        yield Remark("warn", "worker processes", detail, "apt install bubblewrap, or let the code use none")
    if (one := first.get("GPU")) and not name_gpus(inherited.get("CUDA_VISIBLE_DEVICES")):
        remedy = 'run where there is one, or write: "cuda" if torch.cuda.is_available() else "cpu"'
        yield Remark("warn", "GPU", f"none is here, and {one.place} asks for one ({one.what})", remedy)
    if data and any(name.startswith("data/") for name in template.companions):
        yield Remark(
            "warn", "data", f"--data {data} stands in the place of the template's own data/, which no run sees"
        )
    if (one := first.get("data")) and not (data or _is_there(template, one.what)):
        yield Remark("warn", "data", f"{one.place} names {one.what}, which no run has", _say_data(source, one.what))


def _brings_data(template: Template) -> bool:
    return template.spec.sandbox.network or template.spec.prepare is not None


def _is_there(template: Template, path: str) -> bool:
    """Whether the template's own folder holds the data, or a run may read them where they are."""
    name = os.path.normpath(path)
    return any(one == name or one.startswith(f"{name}/") for one in template.given)


def _say_data(source: Path, path: str) -> str:
    """The option that gives the data: with the folder, if it lies where the code of the folder itself finds it."""
    steps = path.split("/data")[0] if path.startswith("..") else "."
    place = Path(os.path.normpath(source / steps / "data"))
    return f"add: --data {os.path.relpath(place)}" if place.is_dir() else "name its folder: --data DIR"
