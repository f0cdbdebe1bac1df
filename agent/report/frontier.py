"""A frontier of baselines for people, one line a setting."""

from __future__ import annotations

from collections.abc import Sequence

from agent.core.evidence.baseline import BaselineRow
from agent.core.inputs.spec import Metric
from agent.core.prompt.render import number

METRICS_SHOWN = 4


def frontier_lines(rows: Sequence[BaselineRow], metrics: Sequence[Metric], axis: str) -> list[str]:
    """A head, and one short line a setting: the axis, the primary metric with its spread, and a few others."""
    known = {name for row in rows for name in row.means}
    ranked = sorted((m for m in metrics if m.direction != "unknown" and m.name in known), key=lambda m: not m.primary)
    names = [axis, *(m.name for m in ranked if m.name != axis)][:METRICS_SHOWN]
    lines = ["setting: " + " ".join(names[:1] + [f"{name}±sd" for name in names[1:2]] + names[2:] + ["seeds"])]
    for row in rows:
        cells = [f"{row.means[name]:.3g}" if name in row.means else "-" for name in names]
        spread = row.deviations.get(names[1]) if len(names) > 1 else None
        if spread is not None:
            cells[1] = f"{number(row.means[names[1]])}±{spread:.1g}"
        lines.append(f"{f'{row.name} {row.setting}'.strip()}: {' '.join(cells)} {row.seeds}")
    return lines
