"""Variables by which git would work on another repository, or refuse to work on ours."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, MutableMapping

__all__ = ["forget_git_variables", "without_git_settings"]

# What git needs to reach a server for pip, what GitPython reads, and a person's pager.
# "GIT_SSH_COMMAND", "GIT_CONFIG_KEY_0"
_KEPT = re.compile(
    r"""
    GIT_(SSH(_COMMAND|_VARIANT)? | ASKPASS | PAGER | TERMINAL_PROMPT | EXEC_PATH | PROXY_COMMAND)
    | GIT_(HTTP|SSL|CURL|TRACE|PYTHON)_[A-Z0-9_]+
    | GIT_CONFIG_(GLOBAL|SYSTEM|NOSYSTEM|PARAMETERS|COUNT | (KEY|VALUE)_[0-9]+)
    """,
    re.VERBOSE,
)


def forget_git_variables(environment: MutableMapping[str, str]) -> None:
    """Remove variables that a hook, an alias or a shell set for its own repository, such as GIT_QUARANTINE_PATH.

    An empty value would not do: git looks at some of them for whether they are there.
    """
    for name in [name for name in environment if name.startswith("GIT_") and not _KEPT.fullmatch(name)]:
        del environment[name]


@contextlib.contextmanager
def without_git_settings(environment: MutableMapping[str, str]) -> Iterator[None]:
    """Meanwhile git reads no settings of user and system: with broken ones it does not even say its version, which
    GitPython asks for when it is imported.
    """
    own = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    before = {name: environment.get(name) for name in own}
    environment.update(own)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del environment[name]
            else:
                environment[name] = value
