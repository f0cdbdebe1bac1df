"""The example of a reply in the rules for the model: a line of the file at hand, a word in place of its number.

A small model copies an example whole, its number too, and fills in a word. A reply that has the word is refused by
name, and the example's plan is taken for nobody's expectation.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from agent.core.code.comments import line_ends, without_comment
from agent.core.code.source import constants_in, parse, python_lines
from agent.core.code.trailing import target_of
from agent.core.journal.kinds import PlanItem
from agent.core.reply.expectation import headline
from agent.core.reply.plan import Plan

__all__ = ["HYPOTHESIS", "Example", "copies_example", "example_of", "without_example"]

HYPOTHESIS: Final = "the value holds the score back"
WORDS: Final = ("VALUE", "NEW_NUMBER", "YOUR_OWN_NUMBER")  # the first that the file lacks
LONGEST: Final = 100  # characters of a line that is shown
SHORTEST: Final = 6
REMARK: Final = "  # the same line, as an example"
SIZES: Final = ("+0.02", "-0.02", "+0.005 or less", "-0.005 or more")


@dataclass(frozen=True, slots=True)
class Example:
    """A change of one line. old, new: the line before and after. aim: the change in words, as a plan's item says it.

    note: what to write in the place of its word, "" if it has none.
    """

    path: str
    old: str
    new: str
    aim: str
    note: str = ""

    def is_made_by(self, lines: Sequence[str], before: Sequence[str]) -> bool:
        """Whether one of these lines is the example's new one, which the file lacks."""
        keys = {_squeeze(self.new)}
        if _squeeze(without_comment(self.new)) != _squeeze(without_comment(self.old)):
            keys.add(_squeeze(without_comment(self.new)))
        made = {_squeeze(form) for line in lines for form in (line, without_comment(line))} & keys
        return bool(made) and made.isdisjoint(_squeeze(line) for line in before)


def _squeeze(line: str) -> str:
    return "".join(line.split())


def example_of(files: Mapping[str, str], names: Sequence[str]) -> Example:
    """The example for a turn that shows these files. names: those of the run command, in order."""
    code = [name for name in names if name.endswith(".py") and name in files]
    found = [example for name in code if (example := _in_file(name, files[name]))]
    if found:
        return next((example for example in found if REMARK not in example.new), found[0])
    path = (code or list(names) or ["experiment.py"])[0]
    return _with_word(path, ("LR", "LR = ", "0.02", ""), WORDS[0])


@lru_cache(maxsize=16)
def _in_file(path: str, text: str) -> Example | None:
    return next((found for find in (_numbers, _other_lines) for found in find(path, text)), None)


def _numbers(path: str, text: str) -> Iterator[Example]:
    """For each constant with a number, those with a fraction first, its line with a word in that place."""
    tree, lines = parse(text), python_lines(text)
    if not isinstance(tree, ast.Module):
        return
    found = constants_in(tree)
    names = Counter(name for name, _ in found)
    word = next((word for word in WORDS if word not in text), WORDS[0])
    once = [(name, value) for name, value in found if names[name] == 1 and _is_number(value)]
    for name, node in sorted(once, key=lambda pair: not isinstance(_value_of(pair[1]), float)):
        line = lines[node.lineno - 1]
        start, stop = (len(line.encode()[:column].decode()) for column in (node.col_offset, node.end_col_offset or 0))
        is_whole = target_of(line) == name and node.end_lineno == node.lineno and ";" not in line
        if is_whole and len(line) <= LONGEST and not line[:1].isspace():
            yield _with_word(path, (name, line[:start], line[start:stop], line[stop:]), word)


def _with_word(path: str, parts: tuple[str, str, str, str], word: str) -> Example:
    """The example that a line gives. parts: its constant, the text before its number, the number, and the rest."""
    name, head, number, tail = parts
    note = f"{word} is any number but {number}"
    return Example(path, head + number + tail, head + word + tail, f"Change {name} from {number} to {word}", note)


def _is_number(node: ast.expr) -> bool:
    inner = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else node
    number = inner.value if isinstance(inner, ast.Constant) else None
    return isinstance(number, int | float) and not isinstance(number, bool) and number < 1e12


def _value_of(node: ast.expr) -> int | float:
    if isinstance(node, ast.UnaryOp):
        return -_value_of(node.operand)
    assert isinstance(node, ast.Constant) and isinstance(node.value, int | float)
    return node.value


def _other_lines(path: str, text: str) -> Iterator[Example]:
    """For each line of code that the file has once, the line with a remark behind it. First those that set a name."""
    lines = text.split("\n")
    ends = line_ends(lines)
    if ends is None:
        return
    counts = Counter(lines)
    for line, end in sorted(zip(lines, ends, strict=True), key=lambda pair: not target_of(pair[0])):
        target = target_of(line)
        is_plain = not end.is_open and end.comment is None and SHORTEST <= len(line.strip()) <= LONGEST
        if is_plain and counts[line] == 1:
            yield Example(path, line, line.rstrip() + REMARK, f"Set {target} anew" if target else "Change one line")


def copies_example(example: Example, given: Mapping[str, Sequence[str]], before: Mapping[str, str]) -> bool:
    """Whether the new lines of a reply, by file, make the example's change."""
    lines = given.get(example.path, ())
    return example.is_made_by(lines, before.get(example.path, "").split("\n"))


def without_example(plan: Plan | None, example: Example) -> Plan | None:
    """The plan without an item that is the example's, and without expectations that are."""
    if plan is None:
        return None
    items = [_own_words(item) for item in plan.items if headline(item.text) != example.aim]
    return replace(plan, items=tuple(items)) if items else None


def _own_words(item: PlanItem) -> PlanItem:
    """The item without the example's hypothesis, and the sizes beside it."""
    if item.hypothesis.strip(" .") != HYPOTHESIS:
        return item
    sizes = (item.expected, item.refuted_if)
    if not all(not said or said.endswith(SIZES) for said in sizes):
        return replace(item, hypothesis="")
    return PlanItem(item.number, headline(item.text))
