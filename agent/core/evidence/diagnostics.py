"""Diagnostics that the template declares: numbers about the inside of a run, with their reading, and no score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.core.evidence.numbers import read_number
from agent.core.inputs.spec import Diagnostic

__all__ = ["describe_diagnostics"]


def describe_diagnostics(declared: Sequence[Diagnostic], outputs: Mapping[str, Any]) -> tuple[str, ...]:
    """One line for each diagnostic that the run reports. Those outside their range come first, with their reading.

    outputs: JSON values by source.
    """
    warnings, others = [], []
    for one in declared:
        value = read_number(outputs.get(one.source), one.path)
        if value is None:
            continue
        reading = f". {one.reading}" if one.reading else ""
        if one.warn.below is not None and value < one.warn.below:
            warnings.append(f"{one.name} = {value:.4g}, below {one.warn.below:g}{reading}")
        elif one.warn.above is not None and value > one.warn.above:
            warnings.append(f"{one.name} = {value:.4g}, above {one.warn.above:g}{reading}")
        else:
            is_watched = one.warn.below is not None or one.warn.above is not None
            others.append(f"{one.name} = {value:.4g}{'' if is_watched else reading}")
    return tuple([f"warning: {line}" for line in warnings] + others)
