"""Apply blocks to files one after the other, and note the refused ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.core.code.source import find_bad_python
from agent.core.code.trailing import code_key
from agent.core.edit.formats.found import FoundBlock, Split
from agent.core.edit.formats.names import is_unsafe, named_files
from agent.core.edit.hints import (
    ambiguous_hint,
    find_nearest,
    malformed_hint,
    not_found_hint,
    not_shown_hint,
    other_file_hint,
    path_hint,
    placeholder_hint,
    syntax_hint,
)
from agent.core.edit.lines import losing_lines, split_body, split_lines
from agent.core.edit.match import Ambiguous, Match, Missing, Outcome, match_block, places
from agent.core.edit.result import NOTES, Block, EditResult, Reason, Rejected
from agent.core.edit.seen import Ranges, carry, hidden_in_match, hidden_in_text, move
from agent.core.edit.settle import adds_again, as_in_file, divide_block, edit_text, locate_hunk, with_tail_of
from agent.core.text.placeholders import find_doubtful, find_placeholders

__all__ = ["AppliedBlock", "Workbench", "as_block", "resolve_path"]


def resolve_path(name: str, editable: Collection[str]) -> str | Reason:
    """The editable file that a name means: the exact relative path, else a last part that only one of them has."""
    if is_unsafe(name):
        return Reason.UNSAFE_PATH
    files = named_files(name, editable)
    return files[0] if len(files) == 1 else Reason.UNCLEAR_FILE if files else Reason.NOT_EDITABLE


def as_block(found: FoundBlock, path: str, divided: Split | None = None) -> Block:
    """The block as one change of `path`, divided so or, if that is not known, in the first way it may be."""
    search, replace = divided or (found.splits[0] if found.splits else ((), ()))
    old, new = ("".join(f"{line}\n" for line in half) for half in (search, replace))
    return Block(path, old, new, found.line, exact=found.place is not None)


@dataclass(frozen=True, slots=True)
class AppliedBlock:
    """An applied block, with the text of its file before and after. whole: it was a whole file or function."""

    block: Block
    before: str | None
    after: str
    whole: bool = False


class Workbench:
    """Takes blocks in the order of the reply. `result` ends it."""

    def __init__(
        self,
        files: Mapping[str, str],
        editable: Collection[str],
        shown: Mapping[str, Ranges] | None = None,
        spare: Collection[str] = (NOTES,),
    ) -> None:
        self._original = dict(files)
        self._editable = list(dict.fromkeys(editable))
        self._spare = spare
        self.staged = dict(files)
        self._shown = dict(shown or {})
        self._steps: list[AppliedBlock] = []
        self._rejected: list[Rejected] = []
        self.same: list[str] = []  # files of which the reply gives lines as they are
        self._last_name: str | None = None

    def apply(self, found: FoundBlock) -> None:
        """Apply one block or hunk of a reply, or note why not."""
        count = len(self._rejected)
        self._apply(found)
        for i in range(count, len(self._rejected)):
            was = self._rejected[i]
            if found.place and was.reason is not Reason.MALFORMED:
                said = f"This was read as a hunk of a {found.place.form}; a SEARCH/REPLACE block will do too."
                self._rejected[i] = replace(was, hint=f"{was.hint}\n{said}")

    def _apply(self, found: FoundBlock) -> None:
        target = self._target(found)
        path = target if isinstance(target, str) and not isinstance(target, Reason) else ""
        if found.name is not None:
            self._last_name = found.name
        elif path:
            self._last_name = path
        shown = path or found.name or self._last_name or ""
        if found.problem:
            hint = malformed_hint(found, found.problem)
            own = shown if found.splits else ""  # a marker on its own belongs to no known file
            self.reject(as_block(found, own), Reason.MALFORMED, None, hint)
        elif isinstance(target, Reason):
            hint = path_hint(target, shown, self._editable, self._fitting(found))
            nearest = self._nearest(found) if target is Reason.NO_FILE else ""
            self.reject(as_block(found, shown), target, None, f"{hint}\n{nearest}".rstrip())
        else:
            self._put_found(found, path)

    def _put_found(self, found: FoundBlock, path: str) -> None:
        divided = divide_block(found, path, self.staged.get(path, ""))
        if isinstance(divided, str):
            return self.reject(as_block(found, path), Reason.MALFORMED, None, malformed_hint(found, divided))
        block: Block | str = as_block(found, path, divided)
        if found.place and isinstance(block, Block):
            block = locate_hunk(block, found.place, self.staged.get(path))
        if isinstance(block, str):
            return self.reject(as_block(found, path), Reason.MALFORMED, None, malformed_hint(found, block))
        return self.put(block)

    def put(self, block: Block) -> None:
        """Apply a block whose path is resolved."""
        text = self.staged.get(block.path)
        if text is None and block.search.strip():
            hint = f"{block.path} does not exist yet. A block with an empty SEARCH creates it."
            return self.reject(block, Reason.NO_SUCH_FILE, None, hint)
        read = as_in_file(block, *(split_lines(version).text for version in self.versions(block.path)))
        if isinstance(read, str):
            return self.reject(block, Reason.NUMBERED, None, f"The block cannot be applied: {read}.")
        block = read
        if self.refuse_placeholder(block):
            return None
        steps = [(s.block, s.before, s.after) for s in self._steps if s.block.path == block.path]
        after = text if text is not None and adds_again(block, text, steps) else edit_text(text, block)
        if isinstance(after, Missing) and text is not None and self._is_done(block):
            after = text
        if isinstance(after, str) and text is not None and self._refuse_unseen(block, text):
            return None
        if isinstance(after, str):
            self._steps.append(AppliedBlock(block, text, after))
            self.staged[block.path] = after
            return None
        return self._reject_unmatched(block, text or "", after)

    def replace_text(self, block: Block, after: str) -> None:
        """Take a whole new text for a file, or refuse it if it changes lines that were not shown."""
        before = self.staged.get(block.path)
        if before == after:
            self.same.append(block.path)
        if before is not None and block.path in self._shown:
            hidden = hidden_in_text(self._shown[block.path], before, after)
            if hidden:
                return self._reject_unseen(block, before, hidden)
            self._shown[block.path] = carry(self._shown[block.path], before, after)
        self._steps.append(AppliedBlock(block, self.staged.get(block.path), after, whole=True))
        self.staged[block.path] = after
        return None

    def versions(self, path: str) -> tuple[str, str]:
        """The text of a file before the reply, and as its edits have left it so far."""
        return self._original.get(path, ""), self.staged.get(path, "")

    def shows_no_change(self, found: FoundBlock) -> bool:
        """Whether two fences, before and after, are words: about no line of a file, or about an edit that is made."""
        old, new = found.splits[0]
        target = self._target(found)
        paths = self._editable if isinstance(target, Reason) or found.name is None else [target]
        is_about = found.name is not None
        for path in paths:
            was, now = (split_lines(text).text for text in self.versions(path))
            lines = {code_key(line) for line in (*was, *now)}
            is_about = is_about or any(len(line.strip()) > 5 and code_key(line) in lines for line in old)
            is_done = bool(places(new, old)) or (bool(places(was, old)) and not places(now, old))
            if places(now, new) and is_done:
                return True
        return not is_about

    def has_edited(self, path: str, *, but_whole: bool = False) -> bool:
        """Whether an edit of the file was accepted or refused so far. but_whole: other than a whole file or parts."""
        steps = (s for s in self._steps if s.block.path == path and not (but_whole and s.whole))
        return any(steps) or any(r.path == path for r in self._rejected)

    def reject(self, block: Block, reason: Reason, line: int | None, hint: str) -> None:
        self._rejected.append(Rejected(block.path, block, reason, line, hint))

    # which file

    def _target(self, found: FoundBlock) -> str | Reason:
        if found.name is not None:
            return resolve_path(found.name, self._editable)
        inherited = resolve_path(self._last_name, self._editable) if self._last_name is not None else None
        if isinstance(inherited, Reason):
            return inherited
        blank = not found.splits or not any(line.strip() for line in found.splits[0][0])
        if inherited is None:
            fitting = self._fitting(found)
            return fitting[0] if len(fitting) == 1 else Reason.UNCLEAR_FILE if fitting else Reason.NO_FILE
        if not set(found.mentions) - {inherited}:
            return inherited
        if blank:
            return Reason.UNCLEAR_FILE
        fitting = [p for p in self._fitting(found) if p in (inherited, *found.mentions)]
        return Reason.UNCLEAR_FILE if len(fitting) > 1 else fitting[0] if fitting else inherited

    def _fits(self, path: str, found: FoundBlock) -> bool:
        text = self.staged.get(path)
        if text is None:
            return False
        lines = split_lines(text).text
        return any(isinstance(match_block(path, lines, search, replace), Match) for search, replace in found.splits)

    def _fitting(self, found: FoundBlock) -> list[str]:
        """Editable files in which the block fits exactly one place."""
        return [p for p in self._editable if self._fits(p, found)]

    def _nearest(self, found: FoundBlock) -> str:
        """Hint for a block without a file: the most similar lines in any editable file."""
        search = as_block(found, "").search
        files = {p: split_lines(self.staged[p]).text for p in self._editable if p in self.staged}
        scored = {p: find_nearest(lines, split_body(search)) for p, lines in files.items()}
        best = max(scored, key=lambda p: near.score if (near := scored[p]) else -1.0, default="")
        if not best or scored[best] is None:
            return ""
        return not_found_hint(as_block(found, best), files[best], Reason.NOT_FOUND, None)[1]

    # refusals

    def refuse_placeholder(self, block: Block, whole: tuple[Sequence[str], Sequence[str]] | None = None) -> bool:
        """Refuse a block with a REPLACE line that stands for text left out, unless SEARCH or the file has it too.

        whole: the lines of the file before and after the block, if it gives them all.
        """
        lines, search = split_lines(self.staged.get(block.path, "")).text, split_body(block.search)
        known = {line.strip() for line in (*search, *lines)}
        replace = split_body(block.replace)
        left_out = (replace[i] for i in find_placeholders(block.path, replace))
        lazy = next((line for line in left_out if line.strip() not in known), None)
        old, new = whole or (search, replace)
        doubtful = {i for i in find_doubtful(new) if new[i].strip() not in known} if lazy is None and old else set()
        if doubtful:
            lazy = next((new[i] for i in losing_lines(old, new) if i in doubtful), None)
        if lazy is not None:
            line, hint = placeholder_hint(block.path, lines, search, lazy)
            self.reject(block, Reason.PLACEHOLDER, line, hint)
        return lazy is not None

    def _refuse_unseen(self, block: Block, text: str) -> bool:
        """Refuse a block that touches lines which were not shown, else follow the shown lines through it."""
        if block.path not in self._shown or not block.search.strip() or block.search == block.replace:
            return False
        ranges, lines, search = self._shown[block.path], split_lines(text).text, split_body(block.search)
        found = match_block(block.path, lines, search, with_tail_of(block, search, split_body(block.replace)))
        if not isinstance(found, Match):
            return False
        hidden = hidden_in_match(ranges, lines, search, found)
        if hidden:
            self._reject_unseen(block, text, hidden)
        else:
            self._shown[block.path] = move(ranges, len(lines), found)
        return bool(hidden)

    def _reject_unseen(self, block: Block, text: str, hidden: Sequence[int]) -> None:
        hint = not_shown_hint(block.path, split_lines(text).text, hidden)
        self.reject(block, Reason.NOT_SHOWN, hidden[0], hint)

    def _reject_unmatched(self, block: Block, text: str, outcome: Outcome) -> None:
        lines, search = split_lines(text).text, split_body(block.search)
        if isinstance(outcome, Ambiguous):
            hint = ambiguous_hint(block.path, lines, outcome.starts, len(search))
            return self.reject(block, Reason.AMBIGUOUS, outcome.starts[0] + 1, hint)
        if isinstance(outcome, Missing):
            for path, other in self.staged.items():
                theirs = split_lines(other).text
                found = match_block(path, theirs, search, split_body(block.replace)) if path != block.path else None
                if isinstance(found, Match):
                    hint = other_file_hint(block.path, path, theirs, found.start, found.stop, path in self._editable)
                    return self.reject(block, Reason.OTHER_FILE, found.start + 1, hint)
        reason = Reason.NOT_FOUND if isinstance(outcome, Missing) else Reason.UNPAIRED_DOTS
        line, hint = not_found_hint(block, lines, reason, self._changed_by(block))
        return self.reject(block, reason, line, hint)

    def _is_done(self, block: Block) -> bool:
        """Whether an earlier block of this reply made exactly this change."""
        steps = [s for s in self._steps if s.block.path == block.path and s.before not in (None, s.after)]
        return any(edit_text(s.before, block) == s.after for s in steps)

    def _changed_by(self, block: Block) -> Block | None:
        """Earlier block of this reply that changed the lines that SEARCH quotes."""
        for step in self._steps:
            if step.block.path == block.path and step.before is not None:
                was, now = edit_text(step.before, block), edit_text(step.after, block)
                if isinstance(was, str | Ambiguous) and isinstance(now, Missing):
                    return step.block
        return None

    # the end

    def result(self) -> EditResult:
        for path in dict.fromkeys(s.block.path for s in self._steps):
            self._gate_python(path)
        for path in {r.path for r in self._rejected if r.path in self._spare and (r.path != NOTES or r.block.exact)}:
            self._take_back(path)
        clean = all(r.is_only_of(self._spare) for r in self._rejected)
        files = self.staged if clean else self._original
        rejected, same = sorted(self._rejected, key=lambda r: r.block.line), tuple(dict.fromkeys(self.same))
        made = [s.block for s in self._steps]
        return EditResult(dict(files), dict(self.staged), made, rejected, files != self._original, same)

    def _take_back(self, path: str) -> None:
        """Undo all changes of a file: half of a diff means nothing, and half of a program less."""
        self._steps = [s for s in self._steps if s.block.path != path]
        self.staged = {name: text for name, text in self.staged.items() if name != path}
        if path in self._original:
            self.staged[path] = self._original[path]

    def _gate_python(self, path: str) -> None:
        """Refuse the block that breaks a Python file, or all blocks of that file if no single one does."""
        before, after = self._original.get(path), self.staged[path]
        if not path.endswith(".py") or before == after or find_bad_python(after) is None:
            return
        if before is not None and find_bad_python(before) is not None:
            return
        steps = [s for s in self._steps if s.block.path == path]
        breaking, text = self._find_breaking(steps, before)
        half_done = any(r.path == path for r in self._rejected)
        for step in breaking:
            shown = after if len(breaking) < len(steps) or len(steps) == 1 else step.after
            bad = find_bad_python(shown) or find_bad_python(after)
            if bad is not None:
                lines = split_lines(shown if find_bad_python(shown) else after).text
                line, hint = syntax_hint(path, lines, bad, half_done)
                self.reject(step.block, Reason.SYNTAX, line, hint)
        self._steps = [s for s in self._steps if s not in breaking]
        if text is None:
            del self.staged[path]
        else:
            self.staged[path] = text

    @staticmethod
    def _find_breaking(steps: Sequence[AppliedBlock], before: str | None) -> tuple[list[AppliedBlock], str | None]:
        """(blocks to refuse, text without them). The first block after which the file did not parse is tried first."""
        broken = [] if any(s.whole for s in steps) else [s for s in steps if find_bad_python(s.after) is not None]
        for suspect in broken[:8]:
            text: str | None = before
            for step in steps:
                edited = text if step is suspect else edit_text(text, step.block)
                if not (edited is None or isinstance(edited, str)):
                    break
                text = edited
            else:
                if text is None or text == before or find_bad_python(text) is None:
                    return [suspect], text
        return list(steps), before
