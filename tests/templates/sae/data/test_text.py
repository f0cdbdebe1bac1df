"""sealed/data/text.py: the same documents everywhere, splits that share none, labels that the words carry."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from data import text
from data.text_words import BAD, GOOD, TOPICS


def test_documents_are_those_of_this_version() -> None:
    """Whoever changes them must raise GENERATOR_VERSION, on which the caches' keys rest, and the hash here."""
    total = hashlib.sha256()
    for split in text.SHARES:
        for document in text.documents(split, 0, 300):
            total.update(document.encode())
    assert (text.GENERATOR_VERSION, total.hexdigest()[:16]) == (1, "d2c4f2673b367a94")


def test_splits_share_no_document_and_repeat_none() -> None:
    streams = {split: list(text.documents(split, seed, 800)) for seed, split in enumerate(text.SHARES)}
    streams["news"] = list(text.labelled_news("probing", 0, "1", 500))
    streams["reviews"] = list(text.labelled_reviews("probing", 0, "5", "1.0", 300))
    for documents in streams.values():
        assert len(set(documents)) == len(documents)
    for split in ("train", "evaluation"):
        others = {document for name, documents in streams.items() if name != split for document in documents}
        assert not others & set(streams[split])


def test_another_seed_is_another_text() -> None:
    assert not set(text.documents("train", 0, 200)) & set(text.documents("train", 1, 200))


def test_a_topic_shows_in_the_words_but_not_in_all() -> None:
    vocabulary = {topic: {word for words in kinds.values() for word in words} for topic, kinds in TOPICS.items()}
    right = 0
    shares = []
    for topic in TOPICS:
        for document in text.labelled_news("probing", 3, topic, 50):
            counts = Counter(re.findall(r"[a-z]+", document))
            found = {name: sum(counts[word] for word in words) for name, words in vocabulary.items()}
            right += max(found, key=found.__getitem__) == topic
            shares.append(found[topic] / sum(counts.values()))
    assert right > 130
    assert 0.01 < sum(shares) / len(shares) < 0.1


def test_a_rating_shows_in_the_adjectives_though_some_contradict_it() -> None:
    right = contradicted = 0
    for rating in text.RATINGS:
        for document in text.labelled_reviews("probing", 4, "6", rating, 100):
            words = re.findall(r"[a-z]+", document)
            good, bad = sum(word in GOOD for word in words), sum(word in BAD for word in words)
            right += (good > bad) == (rating == "5.0")
            contradicted += min(good, bad) > 0
    assert right > 140 and contradicted > 50


def test_sums_are_right_and_rows_have_one_step() -> None:
    for seed in range(50):
        *lines, row = text.sums(text.Draw(f"sums {seed}")).splitlines()
        for line in lines:
            left, result = line.split(" = ")
            a, sign, b = left.split()
            assert int(result) == int(a) + (int(b) if sign == "+" else -int(b))
        numbers = [int(number) for number in row.split(": ")[1].split(", ")]
        assert {b - a for a, b in pairwise(numbers)} == {int(row.split()[2].rstrip(":"))}


def test_questions_are_answered_as_the_text_said() -> None:
    for seed in range(50):
        document = text.keys(text.Draw(f"keys {seed}"))
        # "The red box has the number 417."   "What number has the red box? It is 417."
        said = dict(re.findall(r"The (\w+) box has the number (\d+)\.", document))
        asked = dict(re.findall(r"What number has the (\w+) box\? It is (\d+)\.", document))
        assert said == asked and len(said) >= 3


def test_calls_name_functions_defined_above() -> None:
    called = 0
    for seed in range(50):
        document = text.python_like(text.Draw(f"python {seed}"))
        for found in re.finditer(r"(?:total = |print\()(\w+)\(", document):  # print(marenka(3, 7))
            assert f"def {found.group(1)}(" in document[: found.start()]
            called += 1
    assert called > 100


def test_elements_are_closed_in_order() -> None:
    for seed in range(50):
        opened: list[str] = []
        for close, name in re.findall(r"<(/?)(\w+)", text.markup_like(text.Draw(f"markup {seed}"))):  # </div
            if close:
                assert opened.pop() == name
            else:
                opened.append(name)
        assert not opened


@pytest.mark.parametrize(
    "call",
    [
        lambda: list(text.documents("test", 0, 1)),
        lambda: text.labelled_news("probing", 0, "9"),
        lambda: text.labelled_reviews("probing", 0, "1", "3.0"),
    ],
)
def test_unknown_labels_are_refused_with_those_there_are(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="there are"):
        call()


def test_a_grammar_that_is_used_up_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "NEW_TRIES", 200)
    with pytest.raises(RuntimeError, match="no new document"):
        list(text.unseen("train", "one", lambda draw: f"number {draw.below(9)}"))
