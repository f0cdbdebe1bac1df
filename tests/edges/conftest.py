"""Studies of the loop's tests, for edges that are about whole workspaces."""

from tests.loop.conftest import make_study, study

__all__ = ["make_study", "study"]
