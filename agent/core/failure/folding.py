"""Output of a process as a person would want to read it: progress bars, repeats and control characters folded away."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from agent.core.text.plain import CONTROL, ESCAPE, without_surrogates

__all__ = ["clean", "cut_line", "cut_middle", "fold", "is_progress", "last_states", "mask", "take_last"]

_HEAD_CHARS: Final = 200_000
_TAIL_CHARS: Final = 800_000
_LINE_CHARS: Final = 400
_LONGEST_PERIOD: Final = 4
_BARS_IN_A_ROW: Final = 3

# Four empty lines: "\n\n\n\n"
_GAP: Final = re.compile(r"\n{3,}")
# "\b\b", by which a line is written anew
_BACKSPACES: Final = re.compile("\x08+")
# "45%", "45.2 %"
_PERCENTAGE: Final = re.compile(r"\d{1,3}(?:\.\d+)?\s?%")
# "[===>...]"
_BAR: Final = re.compile(r"[━─╸╺=>.\[\]]+")
# "12:30", "3.5"
_FIGURES: Final = re.compile(r"\d[\d.,:]*")
_TRACEBACK: Final = "Traceback (most recent call last)"

# "  45%|████▌     | 9/20 [00:04<00:05, 2.1it/s]"
_PROGRESS: Final = re.compile(
    r"\d{1,3}(?:\.\d+)?%\s?\|"  # tqdm, whatever its blocks were decoded to
    # its total unknown: 12it [00:04, 3.2it/s]
    r"|\[\d+:\d\d(?::\d\d)?(?:<[^,\[\]]{0,40})?,[^\[\]]{0,40}/(?:s|it|[a-z]{1,20})\b[^\[\]]{0,200}\]"
    r"|\d{1,3}(?:\.\d+)?%\s?\[[=>#. ]*"  # wget: " 42%[====>   "
    r"|^\s*\d+/(?:\d+|Unknown)\s*(?:\[[=>.]+\]|[━─╸╺]+)"  # keras: " 3/20 [==>....]"
    r"|(?:(?<!-)-{8,}|(?<!\#)\#{3,})\s+\d{1,3}(?:\.\d+)?%"  # rich in ASCII, curl: "######  61.0%"
    r"|^\s*[⠁-⣿]"  # spinners: "⠙ loading"
    # "Epoch 3/10: 45% |", "Downloading model: 61 %"
    r"|^\W*(?:epoch|step|batch|iter(?:ation)?s?|progress|(?:down|up)?loading|training|validati\w+|evaluati\w+"
    r"|processing|map|filter|tokeni[sz]ing|fetching|extracting|generating)\b[\s:\#\d/()\[\]=-]{0,40}"
    r"(?:\S{1,80}\s{0,8}:)?\s{0,40}\d{1,3}(?:\.\d{1,9})?\s?%\s*(?:$|[\[(|,.])",
    re.IGNORECASE,
)
# One of these characters is in every state of a bar.
# "%"
_HINT: Final = re.compile(r"[%/━⠁-⣿]")
# "45%", "3/20", "0:04", "12 MB"
_AMOUNT: Final = re.compile(r"\d%|\d/\d|\d:\d\d|\d\s?[kMG]i?B")
# "45%|██  | 9/20 [00:04<00:05, 2.1it/s]" before "loss 0.3"
_GLUED: Final = re.compile(r"\d{1,3}(?:\.\d{1,9})?%\s?\|[^|]{0,400}\|[^\[\]|]{0,100}\[[^\[\]]{0,100}\]\s*(?=\S)")
# "Traceback (", "ValueError:"
_ERROR_STATE: Final = re.compile(r"Traceback \(|\b\w*(?:Error|Exception)\b:")


def fold(text: str) -> list[str]:
    """The lines worth reading: the last state of each progress bar, and repeated lines once with a count.

    Carriage returns overwrite, but never an error. Lines are at most 400 characters long, with no control characters
    but the tab. Blank lines neither repeat nor stand at an end.
    """
    spaced = _GAP.sub("\n\n", without_surrogates(_without_middle(text)))
    states = [state for raw in spaced.split("\n") for state in last_states(raw)]
    return [cut_line(line) for line in _fold_repeats(_fold_bars(states))]


def clean(line: str) -> str:
    """The line without control characters and escapes, in text that can be written as UTF-8."""
    return CONTROL.sub("", ESCAPE.sub("", without_surrogates(line)).replace("\r", " ").replace("\x08", "")).strip()


def is_progress(line: str) -> bool:
    """Whether a line is a state of a progress bar."""
    start = line[:300]
    if not _HINT.search(start) or _TRACEBACK in line:
        return False
    is_rich = "━━━━" in start and _AMOUNT.search(start) is not None
    return is_rich or _PROGRESS.search(start) is not None


def cut_line(line: str, limit: int = _LINE_CHARS) -> str:
    """The line with its middle left out if it is longer than `limit` characters."""
    if len(line) <= limit:
        return line
    keep = max(limit - 35, 3)
    head, tail = line[: keep * 2 // 3], line[len(line) - keep // 3 :]
    return f"{head} [... {len(line) - len(head) - len(tail)} characters ...] {tail}"


def cut_middle(text: str, limit: int) -> str:
    """The text within `limit` characters (at least 200), by leaving out lines of its middle."""
    if len(text) <= limit:
        return text
    lines = [cut_line(line, limit // 4) for line in text.split("\n")]
    if sum(len(line) + 1 for line in lines) <= limit:
        return "\n".join(lines)
    budget = limit * 2 // 5
    count = 0
    while count < len(lines) and len(lines[count]) + 1 <= budget:
        budget -= len(lines[count]) + 1
        count += 1
    head = lines[:count]
    used = sum(len(line) + 1 for line in head) + 40
    tail = take_last(lines[count:], len(lines), limit - used)
    return "\n".join([*head, f"[... {len(lines) - count - len(tail)} lines left out ...]", *tail])


def take_last(lines: Sequence[str], count: int, max_chars: int) -> list[str]:
    """At most `count` of the last lines, together (newlines included) at most `max_chars` long."""
    taken: list[str] = []
    for line in reversed(lines[-count:] if count else []):
        max_chars -= len(line) + 1
        if max_chars < 0:
            break
        taken.append(line)
    return taken[::-1]


def _without_middle(text: str) -> str:
    if len(text) <= _HEAD_CHARS + _TAIL_CHARS:
        return text
    head, tail = text[:_HEAD_CHARS], text[-_TAIL_CHARS:]
    return f"{head}\n[... {len(text) - len(head) - len(tail)} characters left out ...]\n{tail}"


def last_states(raw: str) -> list[str]:
    """The part of a line that a terminal would still show, and any error that was overwritten."""
    line = ESCAPE.sub("", raw)
    line = _BACKSPACES.sub("\r", line) if "\x08" in line else line
    if "\r" not in line:
        return _plain(line)
    segments = [segment for segment in line.split("\r") if segment.strip()]
    if not segments:
        return [""]
    overwritten = [segment for segment in segments[:-1] if _ERROR_STATE.search(segment)]
    return [part for segment in [*overwritten, segments[-1]] for part in _plain(segment)]


def _plain(segment: str) -> list[str]:
    """The segment without control characters. Text that was printed behind a bar gets a line of its own."""
    ends = [found.end() for found in _GLUED.finditer(segment)] if "%" in segment and len(segment) < 20_000 else []
    parts = [segment[start:end] for start, end in pairwise([0, *ends, len(segment)])]
    return [CONTROL.sub("", part).rstrip() for part in parts]


def _fold_bars(lines: Sequence[str]) -> list[str]:
    """The lines with the last state of each bar only, and of a row of bars the last three."""
    bars = {index: _name_bar(line) for index, line in enumerate(lines) if is_progress(line)}
    last = {name: index for index, name in bars.items()}
    kept = [(line, index in bars) for index, line in enumerate(lines) if last.get(bars.get(index, "")) in (None, index)]
    folded: list[str] = []
    in_a_row = 0
    for line, is_bar in reversed(kept):
        if line.strip():
            in_a_row = in_a_row + 1 if is_bar else 0
        if not is_bar or in_a_row <= _BARS_IN_A_ROW:
            folded.append(line)
    return folded[::-1]


def _name_bar(line: str) -> str:
    """The part of a bar that stays while it moves: the words before its percentage, else all but its figures."""
    found = _PERCENTAGE.search(line)
    words = line[: found.start()] if found else _BAR.sub("", line)
    return "bar " + " ".join(_FIGURES.sub("#", words).split())


def _fold_repeats(lines: Sequence[str]) -> list[str]:
    """The lines with immediate repeats of one to four lines given once and counted."""
    folded: list[str] = []
    index = 0
    while index < len(lines):
        if not lines[index].strip():
            if folded and folded[-1]:
                folded.append("")
            index += 1
            continue
        period, times = _find_repeats(lines, index)
        folded += lines[index : index + period]
        if times > 1:
            what = "line above" if period == 1 else f"{period} lines above"
            folded.append(f"[{what}: {times - 1} more times]")
        index += period * times
    while folded and not folded[-1]:
        folded.pop()
    return folded


def _find_repeats(lines: Sequence[str], start: int) -> tuple[int, int]:
    """(period, times) of the block of lines that begins at `start`, (1, 1) if it does not repeat three times."""
    for period in range(1, _LONGEST_PERIOD + 1):
        end = start + period
        if end >= len(lines) or lines[end] != lines[start]:
            continue
        block = lines[start:end]
        while lines[end : end + period] == block:
            end += period
        if (times := (end - start) // period) > 2 and any(line.strip() for line in block):
            return period, times
    return 1, 1


# In this order: hints and tensors whole, then addresses and folders, then hashes, shapes and numbers, and at last the
# brackets and blanks that are left of them.
_MASKS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    # ". Did you mean: 'lr'?"
    (re.compile(r"[.;]?\s*(?:Did you mean|Did you forget|Perhaps you forgot).*$", re.DOTALL), ""),
    # "tensor([0.1, 0.2])"
    (re.compile(r"\btensor\((?:[^()]|\([^()]*\))*\)"), "tensor(#)"),
    # "torch.Size([2, 3])"
    (re.compile(r"\b(?:torch\.)?Size\(\[[^\]]*\]\)"), "#"),
    # "0x7f3a"
    (re.compile(r"0x[0-9a-fA-F]+"), "#"),
    # "/tmp/run/" in "'/tmp/run/data.npz'"
    (re.compile(r"(?:(?<=^)|(?<=[\s'\"(=:,\[<]))(?:~|[A-Za-z]:)?[/\\](?:[^\s'\"/\\:]+[/\\])*(?=[^\s'\"/\\:])"), ""),
    # "tmpab12cd_3"
    (re.compile(r"\btmp[A-Za-z0-9_]{6,10}\b"), "tmp#"),
    # "9f86d081", "123e4567-e89b-12d3-a456-426614174000"
    (re.compile(r"\b(?!\d+(?:e\d*)?\b)(?=[a-f]*\d)[0-9a-f]{8,}(?:-[0-9a-f]{4,}){0,4}\b"), "#"),
    # "64x512", "64 x 512"
    (re.compile(r"(?<![A-Za-z_\d])\d+(?:\s?[x×]\s?\d+)+\b"), "#"),
    # "-1.5e-3", "2.00 GiB"
    (re.compile(r"(?<![A-Za-z_\d#])[-+]?\d[\d_]*(?:[.,]\d+)*(?:e[-+]?\d+)?(?:\s?(?:[kKMGT]i?B|bytes)\b)?"), "#"),
    # "nan", "-inf"
    (re.compile(r"(?<![\w])[-+]?(?:nan|inf)\b", re.IGNORECASE), "#"),
    # "(#, #)", "[ #]"
    (re.compile(r"[\[(][\s,#]*[\])]"), "#"),
    # "  "
    (re.compile(r"\s+"), " "),
)


def mask(message: str) -> str:
    """The message without parts that change from run to run: numbers, sizes, shapes, addresses, folders, hashes, hints.

    Figures inside a name (fc1, float32) stay, for they tell names apart.
    """
    text = message[:2000]
    for pattern, substitute in _MASKS:
        text = pattern.sub(substitute, text)
    return text.strip()[:300]
