"""What each step of a template is given, as the walls of its sandbox."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from agent.core.journal.events import Step
from agent.edges.sandbox.choose import CONFINE, Sandbox, build_walls, confine_plan
from agent.edges.sandbox.gpus import find_gpus
from agent.edges.sandbox.landlock import landlock_abi
from agent.edges.sandbox.walls import Walls
from agent.edges.system.files import write_durably
from agent.edges.template.load import Template

__all__ = ["shut_in", "shut_in_program"]

PLAN = "confine.json"


def shut_in(
    sandbox: Sandbox,
    template: Template,
    step: Step,
    place: Path,
    environment: Mapping[str, str],
    interpreter: Path,
    *,
    given: Sequence[Path],
    home: str,
) -> tuple[Walls, dict[str, str]]:
    """The walls around a step whose folder is `place`, and the variables that are different behind them.

    An evaluation whose evaluator runs none of the model's code is told by SCIENTIST_CONFINE how to put the code that it
    serves into a sandbox of its own: a command to set before another, with `--write FOLDER ... --` between.
    """
    reach = template.spec.sandbox
    gpus = find_gpus(environment.get("CUDA_VISIBLE_DEVICES"))
    evaluate = template.spec.evaluate
    serves = step is Step.EVALUATE and evaluate is not None and not evaluate.runs_experiment_code
    plan = place / PLAN
    confines = serves and sandbox.kind != "off"
    attempts = place.parent
    closed = [attempts.parent.parent, template.folder]  # the workspace, and all of the template
    changed: dict[str, str] = {}
    if sandbox.kind == "bwrap" and gpus.visible is not None:  # counted among those that it sees
        changed = {"CUDA_VISIBLE_DEVICES": gpus.visible, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    own = [Path(path) for path in reach.read]
    if confines:
        layer = replace(sandbox, kind="landlock")  # it can be entered inside another
        inner = build_walls(layer, interpreter, environment, read=own, write=[], gpus=gpus, home=home, closed=closed)
        changed["SCIENTIST_CONFINE"] = shlex.join(_write_plan(plan, inner, interpreter))
    sealed = [template.sealed] if template.sealed else []
    walls = build_walls(
        sandbox,
        interpreter,
        environment,
        read=[*sealed, *given, *([plan] if confines else []), *own],
        write=[place / "work", place / "home"],
        links=[(attempts / "data", (attempts / "data").readlink())] if (attempts / "data").is_symlink() else [],
        gpus=gpus,
        network=reach.network,
        confines=confines,
        home=home,
        closed=closed,
    )
    return walls, changed


def shut_in_program(
    plan: Path, interpreter: Path, environment: Mapping[str, str], *, write: Sequence[Path], home: str
) -> list[str]:
    """What to set before a command that needs the network, so that it writes to those folders alone.

    plan: a file to be written for it. Empty on a kernel without Landlock: what we chose ourselves may do without.
    """
    if not landlock_abi():
        return []
    walls = build_walls(
        Sandbox("landlock"), interpreter, environment, read=[plan], write=write, network=True, home=home
    )
    return [*_write_plan(plan, walls, interpreter), "--"]


def _write_plan(plan: Path, walls: Walls, interpreter: Path) -> list[str]:
    """The beginning of a command that enters the walls."""
    write_durably(plan, json.dumps(confine_plan(walls)).encode())
    return [str(interpreter), "-I", "-S", str(CONFINE), str(plan)]
