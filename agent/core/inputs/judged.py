"""The metric that judges the runs of a profile, if the template names none for it."""

from __future__ import annotations

from agent.core.inputs.spec import TemplateSpec

__all__ = ["say_stand_in"]


def say_stand_in(whole: TemplateSpec, own: TemplateSpec, profile: str) -> str:
    """A warning that metrics were chosen for other profiles, so that this one is judged by whatever is left.

    whole, own: the template's description, and the part of it that holds at the profile. "" if there is no such gap.
    """
    chosen = [metric for metric in whole.metrics if metric.profiles and metric.primary]
    if not chosen or any(metric.primary for metric in own.metrics):
        return ""
    left = own.metrics[0].name if own.metrics else ""
    judged = f"its runs are judged by {left}, the first that is left" if left else "nothing judges its runs"
    names = " or ".join(dict.fromkeys(metric.name for metric in chosen))
    remedy = f'add "{profile}" to profiles of {names} in template.toml, or mark another metric primary = true'
    return f"profile {profile}: no primary metric is declared for it, so {judged}; {remedy}"
