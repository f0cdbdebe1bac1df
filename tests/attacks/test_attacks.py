"""Every sandbox stops every attack or names it as a gap, and without a sandbox every attack succeeds."""

from __future__ import annotations

import ctypes
import os
import subprocess

import pytest

from agent.edges.sandbox import landlock as confine
from agent.edges.sandbox.choose import Sandbox, choose_sandbox
from agent.edges.supervisor.enter import open_entry, settle
from tests.attacks.host import Scene
from tests.attacks.rows import ATTACKS, SERVED, Attack, is_wrong
from tests.attacks.run_attacks import (
    RUNGS,
    Outcomes,
    attacks_for,
    open_stage,
    play,
    play_served,
    prepare_served,
    read_outcomes,
)

PLAYERS = ("root", "user")


def wrong(outcomes: Outcomes, rung: str, player: str, attacks: tuple[Attack, ...] = ATTACKS) -> dict[str, str]:
    """Attacks with another result than the expected one, and their own words."""
    rows = attacks_for(rung, attacks)
    assert outcomes.keys() == {attack.name for attack in rows}
    return {
        attack.name: f"{'got through' if got else 'was blocked'}: {said}"
        for attack in rows
        for got, said in [outcomes[attack.name]]
        if is_wrong(attack.expected(rung, player), got)
    }


def stray(scene: Scene) -> set[str]:
    """Changes on the host that no row explains, except for files that the decoys themselves wrote."""
    return {name for name in scene.changed if not name.startswith("secrets/signals")}


@pytest.mark.parametrize("player", [pytest.param("root", marks=pytest.mark.slow), "user"])
@pytest.mark.parametrize("rung", RUNGS)
def test_attacks(rung: str, player: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a run's code, then of the same code as an evaluator serves it."""
    with open_stage(rung, player) as stage:
        if isinstance(stage, str):
            pytest.skip(stage)
        scene, sandbox = stage
        outcomes = play(scene, sandbox, attacks_for(rung, ATTACKS))
        assert wrong(outcomes, rung, player) == {}
        if rung == "off":
            return
        assert stray(scene) == set()
        served = play_served(scene, sandbox)
        assert wrong(served, "landlock", player, SERVED) == {}, "behind bwrap's walls stand Landlock's"
        assert stray(scene) == set()
        if rung == "bwrap":
            monkeypatch.setattr(confine, "landlock_abi", lambda: 0)
            assert wrong(play_nested(scene, sandbox), "bwrap", player, SERVED) == {}, "a bwrap inside bwrap"
            assert {name for name in stray(scene) if not name.startswith("tmp")} == set()


@pytest.mark.slow  # quick: test_attacks[off-user], the same attacks by a run
@pytest.mark.parametrize("player", PLAYERS)
def test_attacks_of_served_code_get_through_where_nothing_holds_it(player: str) -> None:
    with open_stage("off", player) as stage:
        if isinstance(stage, str):
            pytest.skip(stage)
        assert wrong(play_served(*stage), "off", player, SERVED) == {}


def play_nested(scene: Scene, sandbox: Sandbox) -> Outcomes:
    """The evaluation as it is on a kernel without Landlock, entered as the supervisor does."""
    place, spec = prepare_served(scene, sandbox, "run_3.2.evaluate")
    spec, walls = settle(spec, None)
    tmp = scene.folder / "tmp"
    tmp.mkdir()
    scene.own(tmp)
    scene.remember()
    entry = open_entry(spec, walls, place, str(tmp), ctypes.CDLL(None, use_errno=True))
    other = {"user": scene.player.uid, "group": scene.player.uid, "extra_groups": ()} if os.getuid() == 0 else {}
    done = subprocess.run(
        entry.argv,
        executable=entry.program,
        env=entry.env,
        cwd=place / "work",
        preexec_fn=entry.in_child,
        pass_fds=entry.descriptors,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        **other,
    )
    entry.close_descriptors()
    assert done.returncode == 0, done.stderr
    scene.compare()
    return read_outcomes(scene, SERVED, place, done.stdout)


def test_every_gap_is_named() -> None:
    gaps = " ".join(choose_sandbox("landlock").gaps) if confine.landlock_abi() else pytest.skip("no Landlock")
    assert [attack.name for attack in ATTACKS if attack.landlock == "gap" and attack.gap not in gaps] == []
    assert [attack.name for attack in ATTACKS if attack.landlock == "gap" and not attack.gap] == []
    assert [attack.name for attack in ATTACKS if attack.bwrap not in ("blocked",)] == []
