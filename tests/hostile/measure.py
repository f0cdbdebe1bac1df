"""Give hostile texts to readers, and say what each takes of processor time.

    python -m tests.hostile.measure GROUP [CHARS] [STRIDE] [FIRST]

GROUP: replies, edits, failures, sources, others or turns. CHARS: about the length of each text. STRIDE: one of how many
families a reader gets; each reader begins one family further, the first with number FIRST. Prints the worst text of
each reader. A text that takes longer than its limit ends the process (SIGXCPU), so that a reader that hangs is seen.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from typing import Final

from tests.hostile.readers import GROUPS, Reader
from tests.hostile.texts import FAMILIES

__all__ = ["LIMIT_S", "MEMORY_BYTES"]

LIMIT_S: Final = 2.0
MEMORY_BYTES: Final = 2 << 30
SMALL_S: Final = 0.1  # below that, a small text is not measured again
GROWTH: Final = 3.0  # a text of twice the length may take so many times as long


def measure(name: str, read: Reader, families: list[str], chars: int) -> Iterator[str]:
    """What is wrong with a reader, and at the end its worst text."""
    worst, slowest = 0.0, ""
    for family in families:
        print(f"{name}: {family!r}", file=sys.stderr, flush=True)
        try:
            text = FAMILIES[family](chars)
            seconds = _seconds(read, text)
            if seconds > LIMIT_S:  # once more: processor time too is longer beside other work
                seconds = min(seconds, _seconds(read, text))
            if seconds > LIMIT_S or (chars < 1_000_000 and seconds > SMALL_S and _grows(read, family, chars)):
                yield f"slow: {name}: {family!r}: {seconds:.2f} s"
        except Exception as error:  # noqa: BLE001
            yield f"raised: {name}: {family!r}: {type(error).__name__}: {str(error)[:100]}"
            continue
        worst, slowest = max((worst, slowest), (seconds, family))
    yield f"worst: {name}: {worst:.2f} s: {slowest!r}"


def _grows(read: Reader, family: str, chars: int) -> bool:
    """Whether the time grows faster than the text."""
    half = min(_seconds(read, FAMILIES[family](chars // 2)) for _ in range(3))
    whole = min(_seconds(read, FAMILIES[family](chars)) for _ in range(3))
    return whole > SMALL_S and whole > GROWTH * half


def _seconds(read: Reader, text: str) -> float:
    limit = int(time.process_time()) + int(LIMIT_S) + 20
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
    begun = time.process_time()
    read(text)
    return time.process_time() - begun


def main() -> int:
    group, chars, stride, first = (*sys.argv[1:], *("replies", "1000000", "1", "0")[len(sys.argv) - 1 :])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    is_well = True
    for number, (name, read) in enumerate(GROUPS[group].items()):
        families = list(FAMILIES)[(number + int(first)) % int(stride) :: int(stride)]
        for said in measure(name, read, families, int(chars)):
            is_well = is_well and said.startswith("worst")
            print(said, flush=True)
    return not is_well


if __name__ == "__main__":
    sys.exit(main())
