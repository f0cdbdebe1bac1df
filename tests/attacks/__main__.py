"""Prints the result of every attack on every rung, as root and as an ordinary user, in Markdown."""

from __future__ import annotations

import sys

from tests.attacks.rows import ATTACKS, NO_ATTACK, Attack, is_wrong
from tests.attacks.run_attacks import RUNGS, Outcomes, play_all


def main(words: list[str]) -> None:
    """Print the tables. With -v also the reason that stopped each attack."""
    columns: dict[tuple[str, str], Outcomes | str] = {}
    for rung in RUNGS:
        for player in ("root", "user"):
            played = play_all(rung, player)
            columns[rung, player] = played if isinstance(played, str) else played[0]
    print("| attack | " + " | ".join(f"{rung}, {player}" for rung, player in columns) + " |")
    print("|---|" + "---|" * len(columns))
    for attack in (attack for attack in ATTACKS if attack.name != NO_ATTACK):
        cells = [_cell(attack, *key, outcomes) for key, outcomes in columns.items()]
        print(f"| {attack.name.replace('_', ' ')} | " + " | ".join(cells) + " |")
        if "-v" in words:
            for key, outcomes in columns.items():
                if isinstance(outcomes, dict) and attack.name in outcomes:
                    print(f"    {key}: {outcomes[attack.name][1][:150]!r}")
    for key, outcomes in columns.items():
        if isinstance(outcomes, str):
            print(f"\n{key[0]} as {key[1]}: {outcomes}")


def _cell(attack: Attack, rung: str, player: str, outcomes: Outcomes | str) -> str:
    if isinstance(outcomes, str) or attack.name not in outcomes:
        return "-"
    got = outcomes[attack.name][0]
    expected = attack.expected(rung, player)
    told = "**gap**" if got and expected == "gap" else "open" if got else "blocked"
    wrong = is_wrong(expected, got)
    return f"{told} !" if wrong else told


if __name__ == "__main__":
    main(sys.argv[1:])
