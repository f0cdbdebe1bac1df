"""An idea file: one research idea or a list of them, as researchers write them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from agent.core.model.messages import scrub
from agent.core.text.plain import plain_line
from agent.core.text.wording import find_near, say_field, say_known, say_not_json
from agent.errors import UsageError

NAME_CHARS = 60
TITLE_CHARS = 80
MOST_TOLD = 20
REVISED_CHARS = 6_000  # or twice the idea before: it stands in every prompt, and no window makes it shorter
# "Overall_Score", "Novelty", "novel"
_ASSESSMENT = re.compile(r"Interestingness|Feasibility|Novelty|Research_Impact|Overall_Score|novel$", re.IGNORECASE)
# ": " between words that a folder's name joins by "_"
_BETWEEN = re.compile(r"\W+")
# "name", "primary_metric", "metric names"
_FROZEN = re.compile(r"name|(?:(?:primary|main|target|key)[_ -]*)?metrics?(?:[_ -]*names?)?|primary", re.IGNORECASE)


class Idea(BaseModel):
    """The subject of a study, as its author wrote it. Unknown fields are kept and shown to the model."""

    model_config = ConfigDict(extra="allow", frozen=True)

    # The name of its folder, made of the title if empty.
    Name: str = ""
    # Required, one line.
    Title: str
    # Required: the steps of the study.
    Experiment: str
    # The author's description of the method.
    Technical_Details: str = ""
    # The author's plan for the code.
    Implementation_Plan: str = ""
    # The study in a paragraph.
    Abstract: str = ""

    @field_validator("Title", "Experiment")
    @classmethod
    def _not_blank(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("must not be blank")
        return text

    @property
    def slug(self) -> str:
        """The name as a folder name: letters of any script, digits and underscores, at most NAME_CHARS characters."""
        return _slug(self.Name or self.Title)[:NAME_CHARS] or "idea"

    @property
    def is_name_cut(self) -> bool:
        """Whether the folder's name holds only the beginning of the name."""
        return len(_slug(self.Name or self.Title)) > NAME_CHARS

    def to_json(self) -> str:
        return json.dumps(self.model_dump(), indent=2, ensure_ascii=False) + "\n"

    def details(self) -> Mapping[str, Any]:
        """The fields that instruct a reader, without scores and self-assessments. Lists and objects are lines."""
        fields = {k: v for k, v in self.model_dump().items() if v not in ("", None) and not _ASSESSMENT.search(k)}
        return {k: _say_lines(v) if isinstance(v, list | dict) else v for k, v in fields.items() if v not in ([], {})}


def _slug(name: str) -> str:
    return _BETWEEN.sub("_", name.lower()).strip("_")


def parse_ideas(text: str, where: str) -> list[Idea]:
    """All ideas of a file. Errors name it as `where`. Of several with one name the second gets "_2", and so on.

    Raises: UsageError naming the idea and the field.
    """
    try:
        raw = json.loads(text, object_pairs_hook=_Object)
        _refuse_twice(raw, where)
        raw = scrub(raw)
    except json.JSONDecodeError as error:
        number = _count_items(text[: error.pos])
        place = f"{where}:{error.lineno}:{error.colno}" + (f": idea {number}" if number else "")
        raise UsageError(place, f"not JSON: {error.msg}", "an idea file is a JSON object or a list of them") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(where, f"cannot be read: it {say_not_json(error)}") from error
    items = raw if isinstance(raw, list) else [raw]
    if not items:
        raise UsageError(where, "holds no idea")
    ideas = [_parse_idea(item, f"{where}: idea {number}") for number, item in enumerate(items, start=1)]
    return _with_unique_names(ideas)


def _parse_idea(item: object, where: str) -> Idea:
    if not isinstance(item, dict):
        raise UsageError(where, f"is {_KINDS.get(type(item), 'null')}, not an object with Title and Experiment")
    if "Experiments" in item and not item.get("Experiment"):  # as AI-Scientist-v2 has it
        item = {"Experiment" if name == "Experiments" else name: v for name, v in item.items() if name != "Experiment"}
    try:
        return Idea.model_validate({k: _as_text(k, v) for k, v in item.items() if v is not None})
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"field {say_field(first)}"
        if first["type"] == "missing":
            there = plain_line(", ".join(map(str, item)), TITLE_CHARS)
            problem = f"field {first['loc'][0]} is missing" + (f" (it has: {there})" if there else "")
        raise UsageError(where, problem, 'give every idea a "Title" and an "Experiment"') from error


def revise_idea(idea: Idea, changes: Mapping[str, Any], primary: str) -> Idea:
    """The idea with the changed fields. A null takes one out. `primary` is the metric that the launch froze.

    Raises: UsageError if a frozen field changes, or the result is no idea.
    """
    present = idea.model_dump()
    for name, value in changes.items():
        if _FROZEN.fullmatch(name) and value != present.get(name, primary):
            raise UsageError(f"field {name}", "is frozen since launch", "the name and the primary metric stay")
    revised = _parse_idea(present | dict(changes), "the revised idea")
    most = max(REVISED_CHARS, 2 * len(idea.to_json()))
    if len(revised.to_json()) > most:
        raise UsageError("the revised idea", f"is longer than {most} characters")
    return revised


_KINDS = {int: "a number", float: "a number", str: "a text", bool: "true or false", list: "a list"}


class _Object(dict[str, Any]):
    """An object of JSON that remembers a key that stands twice in it."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(key for key, _ in pairs) if len(self) < len(pairs) else {}
        self.twice = next((key for key, count in counts.items() if count > 1), None)


def _refuse_twice(raw: object, where: str) -> None:
    for number, item in enumerate(raw if isinstance(raw, list) else [raw], start=1):
        waiting = [item]
        while waiting:
            value = waiting.pop()
            if isinstance(value, _Object) and value.twice is not None:
                problem = f"field {plain_line(value.twice, TITLE_CHARS)} stands twice in one object"
                raise UsageError(f"{where}: idea {number}", problem, "take one of them out")
            waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []


def _count_items(text: str) -> int:
    """How many items of the outermost list the text has begun. 0 if it is no list."""
    depth, commas, in_string, escaped = 0, 0, False, False
    for character in text if text.lstrip().startswith("[") else "":
        if in_string:
            in_string, escaped = character != '"' or escaped, character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == "," and depth == 1:
            commas += 1
    return commas + 1 if depth else 0


def _as_text(field: str, value: object) -> object:
    """Steps given as a list become lines: people write Experiment both ways."""
    if field not in Idea.model_fields:
        return value
    if isinstance(value, list):
        return "\n".join(_say_item(item) for item in value)
    return _say_lines(value) if isinstance(value, dict) and field not in ("Name", "Title") else value


def _say_lines(value: list[Any] | dict[str, Any]) -> str:
    """A list or an object as people write them: an item a line."""
    if isinstance(value, list):
        return "\n".join(f"- {_say_item(item)}" for item in value)
    return "\n".join(f"{name}: {_say_item(item)}" for name, item in value.items())


def _say_item(item: object) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, dict) and not any(isinstance(value, list | dict) for value in item.values()):
        return "; ".join(f"{name}: {_say_item(value)}" for name, value in item.items())
    if isinstance(item, list) and not any(isinstance(value, list | dict) for value in item):
        return ", ".join(_say_item(value) for value in item)
    return json.dumps(item, ensure_ascii=False)


def _with_unique_names(ideas: Sequence[Idea]) -> list[Idea]:
    """The ideas, each with a name that no other has: "k", "k_2", "k_3"."""
    taken, counts = {idea.slug for idea in ideas}, Counter[str]()
    found: list[Idea] = []
    for idea in ideas:
        base = idea.slug
        counts[base] += 1
        if counts[base] > 1:
            idea = idea.model_copy(update={"Name": _next_name(base, counts, taken)})
            taken.add(idea.slug)
        found.append(idea)
    return found


def _next_name(base: str, counts: Counter[str], taken: Collection[str]) -> str:
    """The first numbered name that is free. `counts` remembers the last number of each."""
    while True:
        end = f"_{counts[base]}"
        name = f"{base[: NAME_CHARS - len(end)]}{end}"
        if name not in taken:
            return name
        counts[base] += 1


def new_idea(sentence: str) -> Idea:
    """An idea of one sentence, with the steps that any idea needs.

    Raises: UsageError if the sentence says nothing.
    """
    line = plain_line(scrub(sentence))
    if not _BETWEEN.sub("", line):
        raise UsageError("SENTENCE", "says nothing", 'as: scientist idea new "Warm up the learning rate"')
    title = line.rstrip(".")
    title = plain_line(title, TITLE_CHARS, whole_words=True)
    slug = _BETWEEN.sub("_", " ".join(line.lower().split()[:5])).strip("_")[:40]
    steps = (
        f"1. Put it into practice, with a constant that switches it off: {line}",
        "2. Compare on and off at equal cost, all else the same.",
        "3. Vary its main setting, then repeat the best with another seed.",
    )
    return Idea(Name=slug, Title=title, Experiment="\n".join(steps))


def choose_ideas(ideas: Sequence[Idea], wanted: Sequence[str], where: str) -> list[Idea]:
    """The ideas named in `wanted`, by number counted from 1, by name or by title, or all if none is named.

    A number is the idea's place in the file, whatever others are called.

    Raises: UsageError listing the names there are, or the numbers of those with one title.
    """
    if not wanted:
        return list(ideas)
    chosen: list[Idea] = []
    for name in wanted:
        match = _find_named(ideas, name)
        if len(match) > 1:
            numbers = ", ".join(str(ideas.index(idea) + 1) for idea in match[:MOST_TOLD])
            raise UsageError(where, f"has several ideas with the title {name!r}", f"name one by its number: {numbers}")
        if not match:
            names = [i.slug for i in ideas]
            near = find_near(name, names)
            known = f"did you mean {near}? " if near else ""
            raise UsageError(where, f"holds no idea {name!r}", f"{known}it has: {say_known(names)}")
        chosen += [i for i in match if i not in chosen]
    return chosen


def _find_named(ideas: Sequence[Idea], name: str) -> list[Idea]:
    """Ideas that `name` means: the one of that number, else of that name, else those of that title."""
    numbers = {str(number): idea for number, idea in enumerate(ideas, start=1)}
    if name in numbers:
        return [numbers[name]]
    named = [idea for idea in ideas if name in (idea.slug, idea.Name)] or [i for i in ideas if _slug(name) == i.slug]
    return named[:1] or [idea for idea in ideas if name == idea.Title]
