"""Find Python tracebacks in the output of a process, and write them again with fewer frames of libraries."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from agent.core.failure.folding import cut_line, cut_middle, is_progress

__all__ = ["Chain", "Frame", "Raised", "find_chains", "own_name", "render_chain"]

DIRECT_CAUSE: Final = "The above exception was the direct cause of the following exception:"
DURING_HANDLING: Final = "During handling of the above exception, another exception occurred:"
FATAL: Final = "Fatal Python error"


@dataclass(frozen=True, slots=True)
class Frame:
    """One call. `function` is "" in a SyntaxError, which has none. `code` is the source lines below it."""

    file: str
    line: int
    function: str
    code: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Raised:
    """One exception with its traceback."""

    # Outermost first.
    frames: tuple[Frame, ...]
    # "torch.OutOfMemoryError"
    type: str
    # Its first line.
    message: str
    # The other lines of the message.
    more: tuple[str, ...]
    # The sentence that links it to the exception before it, or "".
    relation: str
    # Whether Python printed it and went on.
    ignored: bool
    # Index of its first line in the output.
    start: int
    # Index after its last line.
    end: int

    @property
    def headline(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


Chain = tuple[Raised, ...]

# "Traceback (most recent call last):", "[rank0]: Traceback ...", "  + Exception Group Traceback ..."
_HEADER: Final = re.compile(
    r"(?P<prefix>.*?)(?P<group>\+ Exception Group )?(?:Original )?Traceback \(most recent call last\):$"
)
# '  File "experiment.py", line 3, in train'
_FRAME: Final = re.compile(r"\s*File \"(?P<file>[^\"\n]+)\", line (?P<line>\d{1,9})(?:,? in (?P<function>.+))?$")
# "  [Previous line repeated 995 more times]"
_REPEATED: Final = re.compile(r"\s*\[(?:Previous line repeated|(?:line|\d+ lines) above:) \d+ more times?\]$")
# "ValueError: too small", "torch.OutOfMemoryError", "KeyError: 'x'"
_EXCEPTION: Final = re.compile(r"(?P<type>[A-Za-z_][\w.<>]*)(?::\s?(?P<message>.*))?$")
# "Exception ignored in: <function ...>"
_IGNORED: Final = re.compile(r"Exception ignored (?:in|on|while)|Error in atexit\.|Exception ignored sys\.")
# "Fatal Python error: Segmentation fault"
_FATAL: Final = re.compile(rf"{FATAL}: (?P<message>.*)$")
# "Current thread 0x00007f (most recent call first):"
_THREAD: Final = re.compile(r"(?:Current thread|Thread) 0x[0-9a-f]+ .*\(most recent call first\):$")
# "/usr/lib/python3.11/" in "/usr/lib/python3.11/json/decoder.py"
_LIBRARY: Final = re.compile(r".*[/\\](?:site-packages|dist-packages|lib(?:64)?[/\\]python3(?:\.\d+)?)[/\\]")
_MESSAGE_LINES: Final = 15


def find_chains(lines: Sequence[str]) -> list[Chain]:
    """The tracebacks in the lines, in order. Exceptions that Python linked to each other are one chain, cause first."""
    chains: list[list[Raised]] = []
    relation = ""
    index = 0
    while index < len(lines):
        line = lines[index]
        raised = _read_at(lines, index, relation)
        if raised is None:
            if line.strip(" |+-") in (DIRECT_CAUSE, DURING_HANDLING):
                relation = line.strip(" |+-")
            elif line.strip(' |+-"'):
                relation = ""
            index += 1
            continue
        if relation and chains:
            chains[-1].append(raised)
        else:
            chains.append([raised])
        relation = ""
        index = raised.end
    return [tuple(chain) for chain in chains]


def own_name(file: str, own_files: Collection[str]) -> str | None:
    """The experiment's own file that a path of a frame leads to. A library's file of the same name is none."""
    path = file.replace("\\", "/")
    if _LIBRARY.match(path):
        return None
    matching = [name for name in own_files if path == name or path.endswith("/" + name)]
    return max(matching, key=len, default=None)


def render_chain(chain: Chain, own_files: Collection[str], limit: int) -> str:
    """The chain as Python prints it, within `limit` characters: every own frame, of the others those that raised."""
    shown = chain if len(chain) <= 4 else (chain[0], *chain[-3:])
    parts: list[str] = []
    for raised in shown:
        if raised.relation:
            parts.append(f"\n{raised.relation}\n")
        parts += _render(raised, own_files)
    return cut_middle("\n".join(parts).strip("\n"), limit)


def _read_at(lines: Sequence[str], index: int, relation: str) -> Raised | None:
    line = lines[index]
    if header := _HEADER.match(line):
        before = "\n".join(lines[max(0, index - 2) : index])
        ignored = _IGNORED.search(before) is not None
        prefix = " " * len(header["prefix"]) + "| " if header["group"] else header["prefix"]
        if index + 1 < len(lines) and not lines[index + 1].startswith(prefix + "  "):
            prefix = ""  # words that came before the header on its line
        return _read_body(lines, index, index + 1, prefix, relation, ignored)
    if found := _FATAL.match(line):
        return _read_fatal(lines, index, found["message"], relation)
    if _FRAME.match(line) and not _THREAD.match(lines[index - 1] if index else ""):
        return _read_body(lines, index, index, "", relation, False)
    return None


def _read_body(
    lines: Sequence[str], start: int, index: int, prefix: str, relation: str, ignored: bool
) -> Raised | None:
    """Frames, then the exception and the rest of its message. None if no frame follows."""
    frames: list[Frame] = []
    code: list[str] = []  # below the last of them
    while index < len(lines):
        line = _without_prefix(lines[index], prefix)
        if found := _FRAME.match(line):
            _give_code(frames, code)
            frames.append(Frame(found["file"], int(found["line"]), found["function"] or ""))
        elif frames and (line.startswith("    ") or _REPEATED.match(line)):
            code.append(line)
        elif not is_progress(line):
            break
        index += 1
    _give_code(frames, code)
    found = _EXCEPTION.match(_without_prefix(lines[index], prefix)) if index < len(lines) else None
    if not frames and not (found and index > start):
        return None
    if found is None:
        return Raised(tuple(frames), "", "", (), relation, ignored, start, index)
    more = _read_message(lines, index + 1, prefix)
    message = (found["message"] or "").strip()
    return Raised(tuple(frames), found["type"], message, more, relation, ignored, start, index + 1 + len(more))


def _give_code(frames: list[Frame], code: list[str]) -> None:
    """Hand the lines that stand below the last frame over to it."""
    if code:
        frames[-1] = replace(frames[-1], code=tuple(code))
        code.clear()


def _read_message(lines: Sequence[str], index: int, prefix: str) -> tuple[str, ...]:
    """The lines of a message below its first: up to a blank line, another traceback or a progress bar."""
    more: list[str] = []
    for raw in lines[index : index + _MESSAGE_LINES]:
        line = _without_prefix(raw, prefix)
        if not line.strip() or _HEADER.match(raw) or _FRAME.match(line) or line == '"""':
            break
        if is_progress(line) or _IGNORED.match(line):
            break
        more.append(line)
    return tuple(more)


def _read_fatal(lines: Sequence[str], start: int, message: str, relation: str) -> Raised:
    """Read the traceback of faulthandler. It prints the innermost call first, so the frames are turned round."""
    index = start + 1
    while index < min(start + 6, len(lines)) and not _THREAD.match(lines[index]):
        index += 1
    frames: list[Frame] = []
    index += 1
    while index < len(lines) and (found := _FRAME.match(lines[index])):
        frames.append(Frame(found["file"], int(found["line"]), found["function"] or ""))
        index += 1
    end = index if frames else start + 1
    return Raised(tuple(reversed(frames)), FATAL, message, (), relation, False, start, end)


def _without_prefix(line: str, prefix: str) -> str:
    """The line without the prefix of a launcher ("[rank0]: "), of an indent or of an exception group."""
    if prefix and line.startswith(prefix.rstrip()):
        return line[len(prefix) :] if line.startswith(prefix) else line[len(prefix.rstrip()) :]
    return line


def _render(raised: Raised, own_files: Collection[str]) -> list[str]:
    own = [own_name(frame.file, own_files) for frame in raised.frames]
    shown = _choose_frames(own)
    fatal = raised.type == FATAL
    parts = [raised.headline] if fatal else ["Traceback (most recent call last):"] if raised.frames else []
    left_out = 0
    for index, frame in enumerate(raised.frames):
        if index not in shown:
            left_out += 1
            continue
        if left_out:
            parts.append(f"  [{left_out} frame{'s' if left_out > 1 else ''} left out]")
            left_out = 0
        place = f", in {frame.function}" if frame.function else ""
        parts.append(f'  File "{own[index] or _LIBRARY.sub("", frame.file)}", line {frame.line}{place}')
        parts += [cut_line(line, 200) for line in frame.code[:6]]
    if raised.type and not fatal:
        parts.append(cut_line(raised.headline, 1200))
    return parts + [cut_line(line, 300) for line in raised.more]


def _choose_frames(own: Sequence[str | None]) -> set[int]:
    """Which frames to show: the own ones, of many the first two and last six, and the last two below them."""
    ours = [index for index, name in enumerate(own) if name]
    shown = set(ours if len(ours) <= 8 else [*ours[:2], *ours[-6:]])
    below = range(ours[-1] + 1 if ours else 0, len(own))
    return shown | set(below[-2:])
