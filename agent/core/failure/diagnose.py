"""Say how a supervised step failed, with the facts that its repair needs."""

from __future__ import annotations

import hashlib
import re
import signal
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from agent.core.failure.cause import NETWORK, OFFLINE, find_infrastructure, ran_out_of_memory, relevant_headlines
from agent.core.failure.folding import cut_line, cut_middle, is_progress, mask
from agent.core.failure.memory import advise_on_memory
from agent.core.failure.output import Location, Output, last_errors, last_word, read_output, say_streams, sign_chain
from agent.core.failure.record import LOST_OUTPUT, ExitRecord
from agent.core.failure.traceback import FATAL, render_chain
from agent.core.text.plain import plain_line

__all__ = [
    "TIMED_OUT",
    "Failure",
    "FailureKind",
    "Location",
    "as_smoke",
    "bad_results",
    "blame_machine",
    "diagnose",
    "lint_failure",
    "no_results",
    "unread_output",
]

TIMED_OUT: Final = "timed out after"
DETAIL_CHARS: Final = 6000
_CHAIN_CHARS: Final = 3200
_EARLIER_CHARS: Final = 900
_SUMMARY_CHARS: Final = 240


class FailureKind(Enum):
    """The kind of a failed attempt. EDIT: no reply led to code that could be tried."""

    EXCEPTION = "exception"
    OUT_OF_MEMORY = "out of memory"
    KILLED = "killed"
    TIMED_OUT = "timed out"
    NO_RESULTS = "no results"
    BAD_RESULTS = "bad results"
    LINT = "lint"
    SMOKE = "smoke"
    EDIT = "edit"
    INFRASTRUCTURE = "infrastructure"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed step: `summary` is one line, `detail` the text for the model, at most DETAIL_CHARS long.

    fingerprint: equal for the same error after an unrelated edit, whatever its line numbers, paths and times.
    """

    kind: FailureKind
    summary: str
    detail: str
    location: Location | None
    fingerprint: str

    @classmethod
    def of_edit(cls, summary: str, detail: str) -> Failure:
        """A reply, with its repairs, that led to no attempt."""
        line = plain_line(summary)
        fingerprint = _fingerprint(FailureKind.EDIT, mask(line))
        return cls(FailureKind.EDIT, line, cut_middle(detail, DETAIL_CHARS), None, fingerprint)

    @property
    def is_edit(self) -> bool:
        """Whether no reply led to code that could be tried."""
        return self.kind is FailureKind.EDIT


def diagnose(
    exit: ExitRecord,
    stdout: str,
    stderr: str,
    *,
    own_files: Collection[str] = ("experiment.py",),
    edited_imports: Collection[str] = (),
    gpu_expected: bool = True,
) -> Failure:
    """Say why a step failed, for the model and for a person.

    edited_imports: top-level modules that the edits import and the template does not. If one of them is missing, it is
    the code's fault. gpu_expected: whether a GPU that is not found is the machine's fault rather than the code's.
    """
    output = read_output(stdout, stderr, own_files)
    kind, summary = _classify(exit, output, edited_imports, gpu_expected)
    return _build(kind, summary, exit, output, _signature(kind, summary, exit, output))


def no_results(
    exit: ExitRecord, stdout: str, stderr: str, path: str, *, own_files: Collection[str] = ("experiment.py",)
) -> Failure:
    """The step ended well but left no file at `path`. A traceback that it printed and survived is shown."""
    output = read_output(stdout, stderr, own_files)
    summary = f"the process ended without an error but wrote no {path}"
    if output.chain:
        summary += f"; it printed {output.headline}"
    signature = (path.rpartition("/")[2], *sign_chain(output))
    return _build(FailureKind.NO_RESULTS, summary, exit, output, signature)


def bad_results(
    exit: ExitRecord,
    stdout: str,
    stderr: str,
    problems: Sequence[str],
    *,
    own_files: Collection[str] = ("experiment.py",),
) -> Failure:
    """The step ended well but its results cannot be used. `problems` has one sentence for each."""
    output = read_output(stdout, stderr, own_files)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    summary = cut_line(problems[0] if problems else "the results cannot be used", _SUMMARY_CHARS - 30) + more
    listed = "\n".join(f"- {cut_line(problem, 300)}" for problem in problems[:20])
    signature = tuple(sorted({mask(problem) for problem in problems}))
    return _build(FailureKind.BAD_RESULTS, summary, exit, output, signature, f"Problems:\n{cut_middle(listed, 1500)}")


def unread_output(exit: ExitRecord, why: str) -> Failure:
    """The failure of a step whose output, or whose results, could not be read. why: worded to follow "it"."""
    problem = f"the text that it left {why}, and is left out; write less, in short lines"
    if exit.is_well:
        return bad_results(exit, "", "", [problem])
    bare = diagnose(exit, "", "")
    return replace(bare, summary=f"{bare.summary}; {problem}", detail=f"{bare.detail}\n\n{problem}.")


def lint_failure(findings: Sequence[str], more: int = 0) -> Failure:
    """New findings of a linter, each "file:line:column: CODE message" (source lines may follow).

    more: how many others there are.
    """
    heads = [finding.strip().split("\n", 1)[0][:1000] for finding in findings] or ["lint failed"]
    places = [_PLACE.match(head) for head in heads]
    others = len(heads) - 1 + more
    signature = {mask(head[place.end() :] if place else head) for head, place in zip(heads, places, strict=True)}
    shown = "\n".join(cut_line(line) for finding in findings for line in finding.split("\n"))
    first = places[0]
    return Failure(
        FailureKind.LINT,
        cut_line(plain_line(heads[0]), _SUMMARY_CHARS) + (f" (and {others} more)" if others else ""),
        cut_middle(shown, DETAIL_CHARS) or heads[0],
        Location(first["file"], int(first["line"]), "") if first else None,
        _fingerprint(FailureKind.LINT, *sorted(signature)),
    )


# "./experiment.py:3:5: " in "./experiment.py:3:5: F821 undefined name"
_PLACE: Final = re.compile(r"(?:\./)?(?P<file>[^:\n]+):(?P<line>\d{1,9}):(?:\d+:)?\s*(?:error:\s*)?")


def as_smoke(failure: Failure) -> Failure:
    """The failure of a smoke run, with the fingerprint that it has in a run. A fault of the machine stays as it is."""
    if failure.kind is FailureKind.INFRASTRUCTURE:
        return failure
    return replace(failure, kind=FailureKind.SMOKE, summary=f"in the smoke run: {failure.summary}")


def blame_machine(failure: Failure, exit: ExitRecord) -> Failure:
    """The failure, as the machine's if the command was killed by somebody else and printed no cause of its own."""
    if not (exit.was_killed and failure.kind is FailureKind.KILLED):
        return failure
    return replace(failure, kind=FailureKind.INFRASTRUCTURE, summary=f"{failure.summary}{_BY_NO_LIMIT}")


_BY_NO_LIMIT: Final = "; no limit was met: the kernel's out-of-memory killer, or a person"


def _classify(
    exit: ExitRecord, output: Output, edited_imports: Collection[str], gpu_expected: bool
) -> tuple[FailureKind, str]:
    if exit.error is not None:
        begins = "" if exit.error.startswith(LOST_OUTPUT) else "the command could not start: "
        return FailureKind.INFRASTRUCTURE, f"{begins}{exit.error}"
    if exit.stopped:
        return FailureKind.INFRASTRUCTURE, "stopped by request"
    if exit.timed_out:
        return FailureKind.TIMED_OUT, f"{TIMED_OUT} {_say_seconds(exit.deadline_s)}"
    if exit.breach:
        kind = FailureKind.OUT_OF_MEMORY if exit.breach.startswith("memory") else FailureKind.KILLED
        return kind, f"killed: {exit.breach}"
    number = _signal_of(exit, output)
    died = number is not None and (not output.chain or output.chain[-1].type == FATAL or number in _OUTSIDE)
    headlines = [] if died else relevant_headlines(output.chain, output.own_files)
    evidence = headlines or last_errors(output)
    what = _say_cause(exit, output, died)
    if ran_out_of_memory(evidence):
        return FailureKind.OUT_OF_MEMORY, what if headlines else f"out of memory: {what}"
    if machine := find_infrastructure(evidence, edited_imports, gpu_expected=gpu_expected, online=not exit.offline):
        where = f" ({_ELSEWHERE})" if "the module" in machine and exit.sandbox not in ("", "off") else ""
        return FailureKind.INFRASTRUCTURE, f"{machine}{where}: {what}"
    if exit.offline and not died and find_infrastructure(evidence, (), gpu_expected=False) == NETWORK:
        return FailureKind.EXCEPTION, f"{OFFLINE}: {what}"
    if exit.exit_code in (126, 127) and not output.chain:
        return FailureKind.INFRASTRUCTURE, f"the command was not found: {what}"
    return (FailureKind.KILLED if died else FailureKind.EXCEPTION), what


_ELSEWHERE: Final = (
    "install it for the interpreter of the runs; a module of your own belongs into the template's folder, and the "
    "sources of one that is installed as editable into [sandbox] read of template.toml"
)
_OUTSIDE: Final = (signal.SIGKILL, signal.SIGTERM, signal.SIGXCPU)  # sent to the process, never raised by its own error


def _say_cause(exit: ExitRecord, output: Output, died: bool) -> str:
    """One line: the exception and its place, or how the process died, or its last word."""
    if died:
        peak = "" if exit.max_rss_gib is None else f"; peak memory {exit.max_rss_gib:.1f} GiB"
        killed = f"killed by {_say_signal(_signal_of(exit, output) or 0)} after {_say_seconds(exit.wall_s)}{peak}"
        return killed + _say_place(output) if output.chain and output.chain[-1].type == FATAL else killed
    if output.chain and output.verdict:  # the program caught the error of a process of its own, and explains it
        return cut_line(plain_line(output.verdict), 2 * _SUMMARY_CHARS - 40)
    if output.chain:
        return cut_line(plain_line(output.headline), _SUMMARY_CHARS) + _say_place(output)
    last = last_word(output)
    return f"{_say_exit(exit)}: {cut_line(last, _SUMMARY_CHARS)}" if last else f"{_say_exit(exit)} and no error printed"


def _say_place(output: Output) -> str:
    where = output.location
    if where is None:
        return ""
    return f" ({where.file}:{where.line}" + (f" in {where.function})" if where.function else ")")


def _build(
    kind: FailureKind,
    summary: str,
    exit: ExitRecord,
    output: Output,
    signature: Sequence[str],
    opening: str = "",
) -> Failure:
    summary = cut_line(plain_line(summary), 2 * _SUMMARY_CHARS)
    facts = f"{_say_exit(exit)}; ran {_say_seconds(exit.wall_s)} of at most {_say_seconds(exit.deadline_s)}; "
    facts += "peak memory unknown" if exit.max_rss_gib is None else f"peak memory {exit.max_rss_gib:.1f} GiB"
    whole = [output.verdict] if len(output.verdict) > _SUMMARY_CHARS else []
    parts = [summary, f"How it ended: {facts}.", *whole, *_explain(kind, exit, output)]
    if opening:
        parts.append(opening)
    if output.chain:
        parts.append(render_chain(output.chain, output.own_files, _CHAIN_CHARS - len(opening)))
        if output.earlier:
            earlier = render_chain(output.earlier, output.own_files, _EARLIER_CHARS)
            parts.append(f"An earlier traceback in the same output:\n{earlier}")
    head = "\n\n".join(parts)
    left = DETAIL_CHARS - len(head) - 120
    detail = f"{head}\n\n{say_streams(output, left)}"
    return Failure(kind, summary, cut_middle(detail, DETAIL_CHARS), output.location, _fingerprint(kind, *signature))


def _explain(kind: FailureKind, exit: ExitRecord, output: Output) -> list[str]:
    notes: list[str] = []
    if exit.breach and kind is not FailureKind.OUT_OF_MEMORY:
        notes.append("The limit belongs to the template and stays: use less.")
    evidence = relevant_headlines(output.chain, output.own_files) or last_errors(output)
    if exit.offline and find_infrastructure(evidence, (), gpu_expected=False) == NETWORK:
        notes.append("A run has no network: work with the data that it is given.")
    if exit.sandbox == "landlock" and _wants_workers(evidence, output):
        notes.append(NO_WORKERS)
    if kind is FailureKind.KILLED and _signal_of(exit, output) == signal.SIGKILL and not exit.breach:
        told = "Nobody asked for this signal: the kernel's out-of-memory killer is the usual cause."
        notes.append(f"{told} {advise_on_memory((), '')}")
    if kind is FailureKind.KILLED and _signal_of(exit, output) == signal.SIGBUS:
        notes.append("The usual causes are a full disk, or a file mapped into memory that was cut short.")
    if kind is FailureKind.OUT_OF_MEMORY:
        texts = relevant_headlines(output.chain, output.own_files) or last_errors(output)
        notes.append(advise_on_memory(texts, output.own_line))
    quiet = not output.chain and not last_word(output)
    if quiet and kind in (FailureKind.EXCEPTION, FailureKind.KILLED, FailureKind.OUT_OF_MEMORY):
        lines = [line for line in output.err + output.out if line.strip()]
        only = ", only progress bars" if lines and all(is_progress(line) for line in lines) else ""
        notes.append(f"The process printed no error{only}.")
    return notes


NO_WORKERS: Final = "No worker processes here (no shared memory, no sockets): num_workers=0, no multiprocessing."
_SHARED: Final = ("SemLock", "multiprocessing", "shm_open", "torch_shm", "socket.")


def _wants_workers(evidence: Sequence[str], output: Output) -> bool:
    """Whether code was refused that shares memory or sockets with other processes."""
    refused = any("Permission denied" in line or "not permitted" in line for line in evidence)
    told = (render_chain(output.chain, output.own_files, _CHAIN_CHARS), *output.err[-100:])
    return refused and any(word in line for line in told for word in _SHARED)


def _signal_of(exit: ExitRecord, output: Output) -> int | None:
    """The signal that ended the process, even if a shell or Popen reported it as an exit code (137, -9)."""
    if exit.signal is not None:
        return exit.signal
    code = exit.exit_code or 0
    if code < 0:
        return -code
    return code - 128 if code - 128 in _IN_EXIT_CODES and not output.chain else None


_IN_EXIT_CODES: Final = (4, 6, 7, 8, 9, 11, 15)  # ILL, ABRT, BUS, FPE, KILL, SEGV, TERM


def _say_signal(number: int) -> str:
    known = {member.value: member.name for member in signal.Signals}
    return f"signal {number} ({known[number]})" if number in known else f"signal {number}"


def _say_exit(exit: ExitRecord) -> str:
    if exit.signal is not None:
        return _say_signal(exit.signal)
    return "never started" if exit.exit_code is None else f"exit code {exit.exit_code}"


def _say_seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def _signature(kind: FailureKind, summary: str, exit: ExitRecord, output: Output) -> tuple[str, ...]:
    """The parts that tell this failure from others of its kind."""
    place = output.location.function if output.location else ""
    match kind:
        case FailureKind.TIMED_OUT:
            return ()
        case FailureKind.OUT_OF_MEMORY:
            return (place,)
        case FailureKind.KILLED:
            return (str(_signal_of(exit, output)), place)
        case FailureKind.INFRASTRUCTURE:
            return (mask(summary),)
        case _:
            return sign_chain(output) or (str(exit.exit_code), mask(last_word(output)))


def _fingerprint(kind: FailureKind, *parts: str) -> str:
    text = "\0".join((kind.value, *parts))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
