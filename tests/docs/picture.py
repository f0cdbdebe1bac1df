"""A picture of a terminal, of what a command printed: scientist ... 2>&1 | python -m tests.docs.picture TITLE OUT.svg

docs/images/launch.svg was made so, of the main job's launch and `scientist status`.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 112
# Each with its style; a line has all styles whose pattern it holds.
_STYLES = (
    (r"^\$ .*", "bold"),
    (r"^\[[^\]]*\] \d\d:\d\d:\d\d", "dim"),
    (r"run \d+ completed:.*", "green"),
    (r"\bcommit [0-9a-f]{10}\b", "yellow"),
    (r"\(worse[^)]*\)", "red"),
    (r"^control: .*", "magenta"),
)


def draw(printed: str, title: str) -> str:
    """SVG text of the lines; those of a launch's progress are cut to the width of the terminal, others go on below."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), color_system="truecolor", legacy_windows=False)
    for line in printed.splitlines():
        is_progress = line.startswith("[")
        text = Text(line, no_wrap=is_progress, overflow="ellipsis" if is_progress else "fold")
        for pattern, style in _STYLES:
            text.highlight_regex(re.compile(pattern), style)
        console.print(text, no_wrap=is_progress, overflow="ellipsis" if is_progress else "fold", crop=False)
    svg = console.export_svg(title=title)
    return re.sub(r"^\s*@font-face \{[^}]*\}\n", "", svg, flags=re.MULTILINE)  # fonts that a viewer would fetch


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(draw(sys.stdin.read(), sys.argv[1]))
