"""AI-Scientist's folders, which have no template.toml: fixed names, and as metrics all numbers under `means`."""

from __future__ import annotations

from collections.abc import Collection

from agent.core.inputs.spec import Environment, TemplateSpec

__all__ = ["describe_foreign"]


def describe_foreign(name: str, files: Collection[str]) -> TemplateSpec:
    """The description that stands for template.toml. files: names at the folder's first level."""
    return TemplateSpec(
        name=name,
        summary="AI-Scientist folder",
        editable=(*(n for n in ("experiment.py", "plot.py") if n in files), "notes.txt"),
        environment=Environment(install=(("-r", "requirements.txt"),) if "requirements.txt" in files else ()),
        plot="python plot.py" if "plot.py" in files else "",
    )
