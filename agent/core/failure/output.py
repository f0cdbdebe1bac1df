"""The output of a failed step in parts: its traceback, its last error line, the tails of its streams."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from agent.core.failure.folding import clean, cut_line, fold, is_progress, mask, take_last
from agent.core.failure.traceback import Chain, find_chains, own_name

__all__ = ["Location", "Output", "last_errors", "last_word", "read_output", "say_streams", "sign_chain"]


@dataclass(frozen=True, slots=True)
class Location:
    """A line of one of the experiment's own files. `function` is "" for a SyntaxError, which has none."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Output:
    """Both streams of a process, folded, and the traceback that ended it."""

    # Lines of stderr. If the traceback stood here, a marker takes its place.
    err: list[str]
    # Lines of stdout. If the traceback stood here, a marker takes its place.
    out: list[str]
    # The traceback that ended the process, () if it printed none.
    chain: Chain
    # The one before it.
    earlier: Chain
    # Names of the experiment's files.
    own_files: Collection[str]
    # The last line of stderr, whole, if the program says there why it ends: "evaluate.py: error: no checkpoint".
    verdict: str = ""

    @property
    def location(self) -> Location | None:
        """The innermost call in an own file, of the last exception or of the one that it repeats from a worker."""
        repeated = [raised for raised in self.chain if raised.headline == self.chain[-1].headline]
        for raised in (*repeated, *reversed(self.chain)):
            for frame in reversed(raised.frames):
                if name := own_name(frame.file, self.own_files):
                    return Location(name, frame.line, frame.function)
        return None

    @property
    def own_line(self) -> str:
        """The source line of `location`, "" if the traceback does not show it."""
        where = self.location
        frames = [f for r in self.chain for f in r.frames if where and f.line == where.line]
        found = (f for f in reversed(frames) if own_name(f.file, self.own_files))
        return next((f.code[0].strip() for f in found if f.code), "")

    @property
    def headline(self) -> str:
        return (self.chain[-1].headline or "a traceback without its end") if self.chain else ""


def read_output(stdout: str, stderr: str, own_files: Collection[str]) -> Output:
    """Read both streams. The last traceback ended the process, unless it only says that a worker was interrupted."""
    err, out, verdict = fold(stderr), fold(stdout), _read_verdict(stderr)
    for lines in (err, out):
        chains = [chain for chain in find_chains(lines) if not chain[-1].ignored]
        decisive = [chain for chain in chains if chain[-1].type not in ("KeyboardInterrupt", "SystemExit")] or chains
        if decisive:
            chosen = decisive[-1]
            others = [chain for chain in decisive[:-1] if chain[-1].headline != chosen[-1].headline]
            lines[chosen[0].start : chosen[-1].end] = ["[the traceback above]"]
            return Output(err, out, chosen, others[-1] if others else (), own_files, verdict)
    return Output(err, out, (), (), own_files, verdict)


# "evaluate.py: error: no checkpoint"
_VERDICT: Final = re.compile(r"[\w.-]{1,80}\.py: error: \S.*")
_VERDICT_CHARS: Final = 1500


def _read_verdict(stderr: str) -> str:
    lines = (clean(line) for line in reversed(stderr[-20_000:].splitlines()))
    last = next((line for line in lines if line), "")
    return cut_line(last, _VERDICT_CHARS) if _VERDICT.fullmatch(last) else ""


# "failed to open", "Segmentation fault (core dumped)"
_ERROR_WORDS: Final = re.compile(
    r"error|exception|fatal|abort|fail|cannot|can't|could not|not found|denied|invalid|unrecognized|core dumped"
    r"|segmentation|terminate called|killed|panic|no such|no space|quota|missing|unable|out of memory|oom",
    re.IGNORECASE,
)


def last_errors(output: Output) -> list[str]:
    """The lines at the end of each stream that speak of an error, last first, stderr before stdout."""
    return [
        line.strip()
        for lines in (output.err, output.out)
        for line in reversed(lines[-30:])
        if _ERROR_WORDS.search(line) and not is_progress(line) and "Warning" not in line
    ]


def last_word(output: Output) -> str:
    """The last line that speaks of an error, else the last line of stderr that is more than progress, else ""."""
    spoken = (line.strip() for line in reversed(output.err) if line.strip() and not is_progress(line))
    return next(iter(last_errors(output)), "") or next((line for line in spoken if "Warning" not in line), "")


def say_streams(output: Output, left: int) -> str:
    """The last lines of both streams within `left` characters. Either may use the room that the other does not need."""
    count = 15 if output.chain else 40
    out_size = sum(len(line) + 1 for line in output.out[-count:])
    err = take_last(output.err, count, max(left // 2, left - out_size))
    out = take_last(output.out, count, left - sum(len(line) + 1 for line in err))
    return f"{_say_stream('stderr', err, output.err)}\n\n{_say_stream('stdout', out, output.out)}"


def _say_stream(name: str, shown: Sequence[str], lines: Sequence[str]) -> str:
    if shown:
        return f"Last lines of {name}:\n" + "\n".join(shown)
    return f"{name}: {len(lines)} lines left out." if lines else f"{name} was empty."


def sign_chain(output: Output) -> tuple[str, ...]:
    """Types and masked messages of the chain, and the function in which the experiment's own code failed."""
    if not output.chain:
        return ()
    parts = [part for raised in output.chain for part in (raised.type, mask(raised.message))]
    frames = output.chain[-1].frames
    if output.location:
        parts.append(output.location.function)
    elif frames:
        parts.append(f"{frames[-1].file.rpartition('/')[2]} {frames[-1].function}")
    if frames and not frames[-1].function:  # a SyntaxError has no function: the line that does not parse stands for it
        parts += [line.strip() for line in frames[-1].code[:1]]
    return tuple(parts)
