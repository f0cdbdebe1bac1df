"""Commands of a shell or a notebook in a reply that would change an editable file: they are not run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from agent.core.edit.formats.found import FoundBlock, HunkPlace
from agent.core.edit.formats.names import mentioned, named_files
from agent.core.text.lexer import Kind, Line
from agent.core.text.markers import read_fence

__all__ = ["shell_writes"]

_SHELLS: Final = ("bash", "sh", "shell", "zsh", "console", "terminal", "powershell", "cmd")
_PROMPTS: Final = ("$ ", "% ", "> ", "! ", "!")
# Commands that may stand in any fence, or in none.
_SURE: Final = ("cat", "sed", "tee", "echo", "printf")
# Commands that change each of their files, or the last one alone.
_CHANGE: Final = ("rm", "mv", "truncate", "ed", "ex")
_CHANGE_LAST: Final = ("cp", "install")
_GIT: Final = ("checkout", "restore", "rm", "mv")
_WRITEFILE: Final = "%%writefile"


def shell_writes(lines: Sequence[Line], editable: Collection[str]) -> Iterator[FoundBlock]:
    """Each command that would change an editable file."""
    for line in lines:
        if line.kind not in (Kind.PROSE, Kind.CODE):
            continue
        mark = read_fence(lines[line.fence - 1].text) if line.fence else None
        is_shell = mark is not None and mark.info.lower().partition(" ")[0] in _SHELLS
        name = _changed_by(line.text.strip(), is_shell, editable)
        if name:
            said = f"it would write {name}, and commands of a reply are not run"
            yield FoundBlock(line.number, name, (), (), said, HunkPlace("shell command"))


def _changed_by(command: str, is_shell: bool, editable: Collection[str]) -> str:
    """The editable file that a command changes: `cat > x.py`, `echo a >>x.txt`, `sed -i s/a/b/ x.py`, `rm x.py`."""
    prompt = next((sign for sign in _PROMPTS if command.startswith(sign)), "")
    command = command[len(prompt) :].lstrip()
    words = command.replace(">>", ">").replace(">", " > ").split()
    if not words or (words[0] not in (*_SURE, _WRITEFILE) and not is_shell):
        return ""
    if words[0] == _WRITEFILE:
        return next(iter(mentioned(command, editable)), "")
    is_in_place = words[0] in ("sed", "perl") and any(word.startswith(("-i", "--in-place", "-pi")) for word in words)
    changes = words[0] in _CHANGE or (words[0] == "git" and words[1:2] and words[1] in _GIT)
    for i, word in enumerate(words):
        is_target = i > 0 and words[i - 1] in (">", "tee", "-a")
        is_last = words[0] in _CHANGE_LAST and i == len(words) - 1
        if is_target or is_in_place or changes or is_last:
            files = named_files(word.strip("\"'"), editable)
            if files:
                return files[0]
    return ""
