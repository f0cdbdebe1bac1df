"""How many examples property tests try: a quarter by default, all with `pytest --hypothesis-profile=thorough`."""

from __future__ import annotations

from hypothesis import settings

THOROUGH = "thorough"
DEFAULT = "default examples"
settings.register_profile(THOROUGH, max_examples=100, deadline=None)
settings.register_profile(DEFAULT, max_examples=25, deadline=None)


def examples(thorough: int) -> settings:
    """Decorate a property test: `thorough` examples in the thorough profile, a quarter of them otherwise."""
    return settings(max_examples=scaled(thorough), deadline=None)


def scaled(thorough: int) -> int:
    """Number of examples or trials under the profile that is loaded."""
    return thorough if settings.get_current_profile_name() == THOROUGH else max(1, thorough // 4)
