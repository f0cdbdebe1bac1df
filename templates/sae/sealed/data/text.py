"""The project's own text: endless, deterministic documents for small language models, with labels for probes.

The same (split, seed) gives the same documents on every machine and Python: only random.Random(text).random() is drawn,
whose sequence Python promises to keep. Splits cannot share a document, because its hash decides to which it belongs.
A model can learn from it the spelling and grammar of English, fragments of three more languages, topic and sentiment
words, two code-like languages with names that come back, sums, lists in order, and facts that are asked for at the end.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from data.text_words import BAD, FOREIGN, GOOD, NEUTRAL, PRODUCTS, SENTIMENT, SYLLABLES, TOPICS, words

GENERATOR_VERSION = 1  # goes up with any change to the documents, those of text_words.py included
SHARES = {"train": (0, 224), "evaluation": (224, 240), "probing": (240, 256)}  # first byte of the document's hash
RATINGS = tuple(SENTIMENT)
NUMBERS = words("zero one two three four five six seven eight nine ten eleven twelve")
DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
PROBED_SHARE = 0.08
NEW_TRIES = 10_000  # documents drawn in a row that were all seen before: the grammar is used up

T = TypeVar("T")


class Draw:
    """Random choices from one seed, computed from random() alone."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed).random

    def below(self, end: int) -> int:
        return int(self.random() * end)

    def one(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def word(self, items: Sequence[str]) -> str:
        """One of the items, the earlier ones more often, as in the words of a language."""
        return items[int(self.random() ** 1.6 * len(items))]

    def chance(self, share: float) -> bool:
        return self.random() < share

    def name(self, parts: int = 2) -> str:
        return "".join(self.word(SYLLABLES) for _ in range(parts)).capitalize()


def a(word: str) -> str:
    """The word with its indefinite article."""
    return f"{'an' if word.startswith(('a', 'e', 'i', 'o', 'ug', 'unb')) else 'a'} {word}"


def many(word: str) -> str:
    """Plural of the word."""
    if word.endswith("man"):
        return word[:-2] + "en"
    if word == "child":
        return "children"
    if word.endswith("y") and word[-2] not in "aeou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "ch")) else "s")


# ----------------------------------------------------------------------------------------------------------- documents


def news(draw: Draw, topic: str | None = None, own: float = 0.62) -> str:
    """A report on one of four topics ("0" world, "1" sports, "2" business, "3" science) about one person and place.

    own: share of words that are the topic's. The others fit any topic.
    """
    words = TOPICS[topic or draw.one(list(TOPICS))]
    person, place, day = f"{draw.name()} {draw.name(3)}", draw.name(), draw.one(DAYS)
    surname, count = person.split()[1], 2 + draw.below(11)

    def some(kind: str) -> str:
        return draw.word(words[kind] if draw.chance(own) else NEUTRAL[kind])

    def sentence() -> str:
        form = draw.below(7)
        if form == 0:
            return f"The {some('colour')} {some('who')} {some('did')} the {some('what')} in the {some('where')}."
        if form == 1:
            return f"{surname} {some('did')} the {some('what')} and then the {some('what')} on {day}."
        if form == 2:
            return (
                f"{a(some('who')).capitalize()} from {place} {some('did')} {surname}'s {some('colour')} {some('what')}."
            )
        if form == 3:
            return f'"This {some("what")} is {some("colour")}," said {surname}, the {some("who")}.'
        if form == 4:
            return f"{NUMBERS[count].capitalize()} {many(some('who'))} were at the {some('where')} of {place}."
        if form == 5:
            return f"When the {some('who')} {some('did')} it, the {some('what')} was {some('colour')}."
        return f"There was no {some('what')} without {a(some('colour'))} {some('where')}."

    head = f"{place}, {day}. {person}, {a(some('colour'))} {some('who')}, {some('did')} the {some('what')}."
    body = " ".join([head, *(sentence() for _ in range(5 + draw.below(8)))])
    return f"{body} {surname} returned to {place} with {NUMBERS[count]} {many(some('who'))}."


def review(draw: Draw, rating: str | None = None, product: str | None = None, own: float = 0.72) -> str:
    """A buyer's opinion, "1.0" or "5.0", of a product of one kind.

    own: share of judging words that are the opinion's. The others contradict it.
    """
    rating = rating or draw.one(RATINGS)
    thing = draw.word(PRODUCTS[product or draw.one(list(PRODUCTS))])
    other = RATINGS[1 - RATINGS.index(rating)]

    def judged() -> str:
        good = (rating == "5.0") == draw.chance(own)
        return draw.word(GOOD if good else BAD)

    def sentence() -> str:
        form = draw.below(6)
        if form == 0:
            return f"The {thing} is {judged()} and the {draw.word(NEUTRAL['what'])} is {judged()}."
        if form == 1:
            return draw.one(SENTIMENT[rating if draw.chance(0.8) else other])
        if form == 2:
            return f"My {draw.word(NEUTRAL['who'])} {draw.word(NEUTRAL['did'])} {a(judged())} {thing}."
        if form == 3:
            return f"It came on {draw.one(DAYS)} in {a(draw.word(NEUTRAL['colour']))} box."
        if form == 4:
            return f"{a(judged()).capitalize()} {thing}, I must say."
        return f"I use the {thing} in the {draw.word(NEUTRAL['where'])} near the {draw.word(NEUTRAL['what'])}."

    first = f"I bought this {thing} for {1 + draw.below(99)} coins from {draw.name()}."
    return " ".join([first, *(sentence() for _ in range(5 + draw.below(6)))])


def foreign(draw: Draw, language: str | None = None) -> str:
    """Simple sentences of French, German or Spanish, with a name that comes back."""
    words = FOREIGN[language or draw.one(list(FOREIGN))]
    name = draw.name()

    def sentence() -> str:
        if draw.chance(0.3):
            return draw.one(words["phrase"])
        subject = name if draw.chance(0.4) else draw.word(words["noun"])
        text = f"{subject} {draw.word(words['verb'])} {draw.word(words['noun'])} {draw.word(words['adjective'])}."
        return text[0].upper() + text[1:]

    return " ".join(sentence() for _ in range(7 + draw.below(7)))


def python_like(draw: Draw) -> str:
    """A few functions that use their arguments and the names defined above them."""
    lines: list[str] = []
    names: list[str] = []
    for _ in range(2 + draw.below(3)):
        name, first, second = (draw.name(parts).lower() for parts in (2, 1, 1))
        operator = draw.one("+-*")
        lines += [f"def {name}({first}, {second}):", f"    total = {first} {operator} {second}"]
        if draw.chance(0.5):
            lines += [f"    if total > {draw.below(100)}:", f"        return {first}"]
        if names and draw.chance(0.6):
            lines.append(f"    total = {draw.one(names)}(total, {first})")
        lines += ["    return total", ""]
        names.append(name)
    lines += [f"print({name}({draw.below(10)}, {draw.below(10)}))" for name in names]
    return "\n".join(lines)


def markup_like(draw: Draw) -> str:
    """A page of nested elements, every one closed in order."""
    rows = []
    for number in range(2 + draw.below(4)):
        items = "".join(f"<li>{draw.word(NEUTRAL['what'])}</li>" for _ in range(1 + draw.below(4)))
        rows.append(f'  <div id="{draw.name().lower()}{number}">\n    <ul>{items}</ul>\n  </div>')
    return f"<html><body>\n<h1>{draw.name()}</h1>\n" + "\n".join(rows) + "\n</body></html>"


def sums(draw: Draw) -> str:
    """Right sums and differences, and a row of numbers with one step."""
    lines = []
    for _ in range(8 + draw.below(8)):
        a, b = draw.below(50), draw.below(50)
        lines.append(f"{a} + {b} = {a + b}" if draw.chance(0.5) else f"{a + b} - {a} = {b}")
    start, step = draw.below(20), 1 + draw.below(9)
    row = ", ".join(str(start + step * n) for n in range(10))
    return "\n".join(lines) + f"\ncount by {step}: {row}"


def keys(draw: Draw) -> str:
    """Facts stated once, mixed with other sentences, then asked for in another order."""
    colours = words("red blue green black white yellow silver brown")
    order = sorted(colours, key=lambda _: draw.random())[: 3 + draw.below(3)]
    numbers = {colour: 100 + draw.below(900) for colour in order}
    lines = []
    for colour in order:
        lines.append(f"The {colour} box has the number {numbers[colour]}.")
        if draw.chance(0.5):
            lines.append(f"{draw.name()} {draw.word(NEUTRAL['did'])} the {draw.word(NEUTRAL['what'])}.")
    for colour in sorted(order, key=lambda _: draw.random()):
        lines.append(f"What number has the {colour} box? It is {numbers[colour]}.")
    return " ".join(lines)


def steps(draw: Draw) -> str:
    """Numbered steps in order, after a line that says how many there are."""
    count = 3 + draw.below(6)
    lines = [f"{NUMBERS[count].capitalize()} steps to the {draw.word(NEUTRAL['what'])}:"]
    for number in range(1, count + 1):
        what, where = draw.word(NEUTRAL["what"]), draw.word(NEUTRAL["where"])
        lines.append(f"{number}. Take the {draw.word(NEUTRAL['colour'])} {what} to the {where}.")
    return "\n".join([*lines, f"Done after {NUMBERS[count]} steps."])


KINDS: tuple[tuple[float, Callable[[Draw], str]], ...] = (  # share of documents, shares add up to 1
    (0.42, news),
    (0.24, review),
    (0.10, foreign),
    (0.06, python_like),
    (0.04, markup_like),
    (0.05, sums),
    (0.05, keys),
    (0.04, steps),
)


def any_kind(draw: Draw) -> str:
    at = draw.random()
    for share, write in KINDS:
        at -= share
        if at < 0:
            return write(draw)
    return KINDS[-1][1](draw)


# -------------------------------------------------------------------------------------------------------------- streams


def documents(split: str, seed: int, count: int | None = None) -> Iterator[str]:
    """Documents of all kinds, `count` of them or without end, no document twice.

    Raises: ValueError if the split is unknown.
    """
    return itertools.islice(unseen(split, f"documents {seed}", any_kind), count)


def labelled_news(split: str, seed: int, topic: str, count: int | None = None) -> Iterator[str]:
    """News on one topic, a key of TOPICS, with so few of its words that probes can differ in accuracy.

    Raises: ValueError if the split or topic is unknown.
    """
    if topic not in TOPICS:
        raise ValueError(f"unknown topic {topic!r}; there are {', '.join(TOPICS)}")
    return itertools.islice(unseen(split, f"news {seed} {topic}", lambda draw: news(draw, topic, PROBED_SHARE)), count)


def labelled_reviews(split: str, seed: int, product: str, rating: str, count: int | None = None) -> Iterator[str]:
    """Reviews of one kind of product with one rating, keys of PRODUCTS and RATINGS.

    Raises: ValueError if the split, product or rating is unknown.
    """
    if product not in PRODUCTS or rating not in RATINGS:
        raise ValueError(f"unknown review ({product!r}, {rating!r}); there are {', '.join(PRODUCTS)} and {RATINGS}")
    write = lambda draw: review(draw, rating, product)  # noqa: E731
    return itertools.islice(unseen(split, f"reviews {seed} {product} {rating}", write), count)


def unseen(split: str, seed: str, write: Callable[[Draw], str]) -> Iterator[str]:
    """Documents that belong to the split by their hash, each once.

    Raises: ValueError if the split is unknown. RuntimeError if the grammar holds no more.
    """
    if split not in SHARES:
        raise ValueError(f"unknown split {split!r}; there are {', '.join(SHARES)}")
    first, end = SHARES[split]
    draw = Draw(f"{GENERATOR_VERSION} {split} {seed}")
    seen: set[bytes] = set()
    tries = 0
    while tries < NEW_TRIES:
        text = write(draw)
        digest = hashlib.sha256(" ".join(text.split()).encode()).digest()
        tries += 1
        if first <= digest[0] < end and digest[:16] not in seen:
            seen.add(digest[:16])
            tries = 0
            yield text
    raise RuntimeError(f"no new document of {split} in {NEW_TRIES} tries")
