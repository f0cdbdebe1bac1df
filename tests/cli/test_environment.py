"""Which interpreter a command takes."""

from __future__ import annotations

import sys
from pathlib import Path

from agent.cli.environment import check_python


def test_a_shim_is_left_for_what_it_starts(tmp_path: Path) -> None:
    shim, wrapper = tmp_path / "shims" / "python", tmp_path / "bin" / "python"
    for script in (shim, wrapper):
        script.parent.mkdir()
        script.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        script.chmod(0o755)
    assert check_python(shim) == Path(sys.executable)
    assert check_python(wrapper) == wrapper, "it may set what the interpreter needs"
