"""Names in template.toml that must name something: profiles, and the axis of the frontier."""

from __future__ import annotations

from collections.abc import Sequence

from agent.core.inputs.spec import TemplateSpec
from agent.errors import UsageError

__all__ = ["check_frontier", "check_profiles"]


def check_profiles(spec: TemplateSpec, known: Sequence[str], where: str) -> None:
    """Raises: UsageError if the description names a profile that has no file. known: those that have one."""
    fields: list[tuple[str, tuple[str, ...]]] = [(f"profiles.{name}", (name,)) for name in spec.profiles]
    fields += [(f"metrics.{i}.profiles", m.profiles) for i, m in enumerate(spec.metrics)]
    fields += [(f"controls.{i}.profiles", c.profiles) for i, c in enumerate(spec.controls)]
    fields += [(f"diagnostics.{i}.profiles", d.profiles) for i, d in enumerate(spec.diagnostics)]
    for field, names in fields:
        unknown = [name for name in names if name not in known]
        if unknown:
            problem = f"field {field}: there is no profile {unknown[0]!r}"
            raise UsageError(where, problem, "there are: " + (", ".join(known) or "none"))


def check_frontier(spec: TemplateSpec, where: str) -> None:
    """Raises: UsageError if the axis of the frontier is no number that runs of this profile report."""
    known = [m.name for m in spec.metrics] + [c.name for c in spec.controls]
    if spec.frontier and spec.frontier not in known:
        problem = f"field frontier: there is no metric {spec.frontier!r}"
        raise UsageError(where, problem, "there are: " + (", ".join(dict.fromkeys(known)) or "none"))
