"""Runs the attacks as a step's own code, as every step is run, and looks for changes of the host."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from agent.core.failure.record import ExitRecord
from agent.core.journal.kinds import Step
from agent.edges.run import step_folder as step
from agent.edges.run.prepare_step import Equipment, StepRequest, prepare_step
from agent.edges.run.runner import Exited, Running, StepStatus
from agent.edges.run.step_folder import StepSpec
from agent.edges.sandbox.choose import Sandbox, choose_sandbox
from agent.errors import UsageError
from tests.attacks.host import Scene, dump, find_player, open_scene
from tests.attacks.rows import ATTACKS, SERVED, Attack, Played

__all__ = [
    "RUNGS",
    "Outcomes",
    "attacks_for",
    "open_stage",
    "play",
    "play_all",
    "play_served",
    "prepare",
    "prepare_served",
    "read_outcomes",
    "wait",
]

RUNGS = ("bwrap", "landlock", "off")
INSIDE = Path(__file__).parent / "inside"
MODULES = ("experiment.py", "on_files.py", "on_kernel.py", "on_network.py", "on_processes.py")
Outcomes = dict[str, tuple[bool, str]]


@contextlib.contextmanager
def open_stage(rung: str, player: str) -> Iterator[tuple[Scene, Sandbox] | str]:
    """A scene and the rung, or the reason why there is none on this machine."""
    who = find_player(player)
    if isinstance(who, str):
        yield who
        return
    try:
        sandbox = choose_sandbox(rung)
    except UsageError as error:
        yield str(error)
        return
    with open_scene(who, rung) as scene:
        yield scene, sandbox


def prepare(
    scene: Scene, sandbox: Sandbox, kind: Step, folder: str, code: Mapping[str, str], outputs: Path | None = None
) -> tuple[Path, StepSpec]:
    """The step's folder, given to the player, and its specification."""
    spec = prepare_step(
        scene.workspace,
        scene.template,
        StepRequest(kind, folder, 3, code, outputs),
        Equipment(
            Path(scene.facts["python"]),
            {"PATH": os.defpath, "HOME": str(scene.home)},
            sandbox=sandbox.kind,
            prepared=scene.prepared,
        ),
    )
    place = scene.workspace.step_folder(folder)
    scene.own(place)
    return place, spec


def wait(scene: Scene, place: Path, patience_s: float = 60.0) -> StepStatus:
    """Wait for the end of the step, and return its status."""
    give_up_s = time.monotonic() + patience_s
    while isinstance(status := scene.runner.poll(place), Running):
        assert time.monotonic() < give_up_s, f"{place.name} does not end"
        time.sleep(0.02)
    return status


def play_all(rung: str, player: str) -> tuple[Outcomes, Scene] | str:
    """Results of all attacks: whether each succeeded, and its own words."""
    with open_stage(rung, player) as stage:
        if isinstance(stage, str):
            return stage
        return play(*stage, attacks_for(rung, ATTACKS)), stage[0]


def attacks_for(rung: str, attacks: Sequence[Attack]) -> list[Attack]:
    return [a for a in attacks if rung != "off" or a.off != "not tried"]


def play(scene: Scene, sandbox: Sandbox, attacks: Sequence[Attack]) -> Outcomes:
    """Run the attacks as a run's code."""
    place = scene.workspace.step_folder("run_3.1")
    scene.facts |= {"place": str(place), "attacks": [a.name for a in attacks]}
    place, spec = prepare(scene, sandbox, Step.RUN, place.name, _code(scene))
    return _judge(scene, attacks, place, spec)


def play_served(scene: Scene, sandbox: Sandbox) -> Outcomes:
    """As code of a run that an evaluator serves."""
    return _judge(scene, attacks_for(sandbox.kind, SERVED), *prepare_served(scene, sandbox))


def prepare_served(scene: Scene, sandbox: Sandbox, folder: str = "run_3.1.evaluate") -> tuple[Path, StepSpec]:
    """The evaluation, of a run that was already."""
    place = scene.workspace.step_folder(folder)
    scene.facts |= {"place": str(place), "served_attacks": [a.name for a in attacks_for(sandbox.kind, SERVED)]}
    outputs = scene.workspace.step_folder("run_3.1") / "work" / "run_3"
    outputs.mkdir(parents=True, exist_ok=True)
    return prepare(scene, sandbox, Step.EVALUATE, place.name, _code(scene), outputs)


def _code(scene: Scene) -> dict[str, str]:
    return {name: (INSIDE / name).read_text() for name in MODULES} | {"scene.json": dump(scene.facts)}


def _judge(scene: Scene, attacks: Sequence[Attack], place: Path, spec: StepSpec) -> Outcomes:
    scene.remember()
    try:
        scene.runner.start(place, replace(spec, deadline_s=60.0))
        ended = wait(scene, place)
        assert isinstance(ended, Exited), ended
        check_ended(ended.record, place)
        scene.compare()
        return read_outcomes(scene, attacks, place, (place / step.STDOUT).read_text(errors="replace"))
    finally:
        scene.runner.kill(place)
        scene.restore_modes()


def check_ended(record: ExitRecord, place: Path) -> None:
    """The attacks must have been run, else nothing is shown."""
    names = (step.STDOUT, step.STDERR, step.SUPERVISOR_LOG)
    said = [(place / name).read_text(errors="replace")[-2000:] for name in names if (place / name).exists()]
    assert record.exit_code == 0, (record, said)


def read_outcomes(scene: Scene, attacks: Sequence[Attack], place: Path, output: str) -> Outcomes:
    """Result of each attack as the host sees it, and the attack's words."""
    told = [json.loads(line) for line in output.splitlines() if line.startswith('{"attack"')]
    said = {row["attack"]: (row["got"], row["said"]) for row in told}
    found: Outcomes = {}
    for attack in attacks:
        got, words = said[attack.name]
        found[attack.name] = (attack.shows(Played(got, words, scene, place)), words)
    return found
