"""Training scripts of any length, laid out as public ones are."""

from __future__ import annotations


def function(name: str, lines: int, calls: str = "len") -> str:
    """A function of so many lines in its body."""
    body = "".join(f"    {name}_{n} = {calls}(str({n}) * {n}) + {n}\n" for n in range(lines - 1))
    return f"def {name}(x=0):\n{body}    return x\n\n\n"


def training_script(train: int = 350, others: int = 12, *, main: str = "train", each: int = 25) -> str:
    """Helpers, then a long function, which the guard at the end calls in a loop."""
    helpers = "".join(function(f"helper_{n}", each) for n in range(others))
    guard = f'if __name__ == "__main__":\n    for seed in range(3):\n        {main}(seed)\n'
    head = '"""Trains a small language model."""\n\nimport json\n\nBLOCK_SIZE = 256\nRATE = 1e-3\n\n\n'
    return head + helpers + function(main, train) + guard
