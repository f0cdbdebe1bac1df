"""Every mode, every fault and every odd reply through the real litellm, as a table in markdown.

    python -m tests.bench.provider_matrix [--stays] [MODE ...]

Each cell: what became of a question whose first request met the fault, and how many requests were sent for it. With
--stays every request meets it, and patience is a minute.
"""

from __future__ import annotations

import sys
from collections import Counter

from tests.provider.cells import PATIENCE_S, Outcome, play
from tests.provider.server import ALL_FAULTS, MODES


def word(outcome: Outcome) -> str:
    """One cell: a reply, or a pause with the first words of its reason."""
    if outcome.said:
        return f"reply, {outcome.requests}"
    return f"pause, {outcome.requests}"


def main() -> None:
    stays = "--stays" in sys.argv
    modes = [name for name in sys.argv[1:] if name != "--stays"] or list(MODES)
    totals: Counter[str] = Counter()
    reasons: list[str] = []
    print(f"| fault | {' | '.join(modes)} |")
    print(f"|---|{'---|' * len(modes)}")
    for fault in ALL_FAULTS:
        cells = []
        for mode in modes:
            patience_s = (1.0 if fault == "hang" else 60.0) if stays else PATIENCE_S
            outcome = play(mode, fault, times=500 if stays else 1, patience_s=patience_s)
            assert bool(outcome.said) != bool(outcome.pause), (mode, fault, outcome)
            totals[outcome.word] += 1
            cells.append(word(outcome))
            if outcome.pause and mode == modes[0]:
                reasons.append(f"{fault}: {outcome.pause}")
        print(f"| {fault} | {' | '.join(cells)} |", flush=True)
    print()
    for name, count in sorted(totals.items()):
        print(f"{count} {name}")
    print("\nReasons, as the first mode gave them:")
    for reason in reasons:
        print(f"  {reason}")


if __name__ == "__main__":
    main()
