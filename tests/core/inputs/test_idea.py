"""Idea files as researchers write them, and what is said of a bad one."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.inputs.idea import Idea, choose_ideas, new_idea, parse_ideas, revise_idea
from agent.errors import UsageError
from tests.examples import examples

ONE = {"Name": "adaptive_k", "Title": "Adaptive k", "Experiment": "Vary k by token."}
TWO = {"Name": "Momentum!", "Title": "Momentum helps", "Experiment": "Add momentum."}


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_ideas(text, "ideas.json")
    return str(caught.value)


def test_a_file_holds_one_idea_or_a_list() -> None:
    assert [i.Name for i in parse_ideas(json.dumps(ONE), "f")] == ["adaptive_k"]
    assert [i.Name for i in parse_ideas(json.dumps([ONE, TWO]), "f")] == ["adaptive_k", "Momentum!"]


def test_fields_nobody_asked_for_are_kept() -> None:
    (idea,) = parse_ideas(json.dumps(ONE | {"Risks": ["a", "b"], "Interestingness": 8}), "f")
    assert json.loads(idea.to_json()) == {
        **ONE,
        "Technical_Details": "",
        "Implementation_Plan": "",
        "Abstract": "",
        "Risks": ["a", "b"],
        "Interestingness": 8,
    }


def test_steps_given_as_a_list_become_lines() -> None:
    (idea,) = parse_ideas(json.dumps(ONE | {"Experiment": ["Vary k.", "Measure f1."]}), "f")
    assert idea.Experiment == "Vary k.\nMeasure f1."


@given(st.dictionaries(st.sampled_from(["Abstract", "Technical_Details", "Risks"]), st.text(max_size=20)))
@examples(10)
def test_an_idea_is_read_as_it_was_written(extra: dict[str, str]) -> None:
    (idea,) = parse_ideas(json.dumps(ONE | extra), "f")
    assert parse_ideas(idea.to_json(), "f") == [idea]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "ideas.json:1:1: not JSON"),
        ('{\n "Name": "x"\n "Title": 1}', "ideas.json:3:2: not JSON"),
        ("[]", "holds no idea"),
        ('"Momentum helps"', "idea 1: is a text, not an object"),
        ("[[1]]", "idea 1: is a list, not an object"),
        (json.dumps([ONE, {"Title": "T"}]), "idea 2: field Experiment is missing"),
        (json.dumps(ONE | {"Title": " \n"}), 'idea 1: field Title = " \\n": must not be blank'),
        (json.dumps(ONE | {"Title": 5}), "idea 1: field Title = 5: is no text"),
        (json.dumps(ONE | {"Experiment": []}), 'idea 1: field Experiment = "": must not be blank'),
    ],
)
def test_a_bad_file_is_refused_with_the_idea_and_the_field(text: str, said: str) -> None:
    assert said in refusal(text)


def test_half_a_character_in_an_idea_becomes_the_replacement_character() -> None:
    (idea,) = parse_ideas('{"Title": "a\\ud800b", "Experiment": "e"}', "ideas.json")
    assert idea.Title == "a\ufffdb" and idea.to_json().encode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"Title": "a", "Title": "b", "Experiment": "e"}', "ideas.json: idea 1: field Title stands twice"),
        (
            '[{"Title": "a", "Experiment": "e"}, {"Title": "b", "X": [{"a": 1, "a": 2}]}]',
            "idea 2: field a stands twice",
        ),
        ('[{"Title": "a, [", "Experiment": "e\\""},\n {"Title": "b",, }]', ": idea 2: not JSON"),
        ('[{"Title": "a", "Experiment": "e"},]', "ideas.json:1:3"),
        ("[" * 100_000, "cannot be read"),
        ('{"Title": "a", "Experiment": "e", "N": ' + "1" * 5000 + "}", "cannot be read"),
    ],
)
def test_json_that_hides_or_breaks_something_is_refused(text: str, said: str) -> None:
    assert said in refusal(text)


@given(name=st.text(max_size=80), title=st.text(min_size=1, max_size=80).filter(str.strip))
@examples(25)
def test_any_name_makes_a_plain_folder_name(name: str, title: str) -> None:
    slug = Idea(Name=name, Title=title, Experiment="e").slug
    assert 1 <= len(slug) <= 60
    assert all(letter.isalnum() or letter == "_" for letter in slug) and not slug.startswith("_")
    assert len(slug.encode()) <= 255


@pytest.mark.parametrize(
    ("name", "title", "slug"),
    [
        ("Adaptive-K (v2)", "t", "adaptive_k_v2"),
        ("", "Momentum Helps!", "momentum_helps"),
        ("../../etc", "t", "etc"),
        ("", "漢字", "漢字"),
        ("🙂", "t", "idea"),
    ],
)
def test_folder_names(name: str, title: str, slug: str) -> None:
    assert Idea(Name=name, Title=title, Experiment="e").slug == slug


@pytest.mark.parametrize(("length", "is_cut"), [(1, False), (60, False), (61, True), (9000, True)])
def test_a_name_that_its_folder_cannot_hold_is_known(length: int, is_cut: bool) -> None:
    idea = Idea(Name="!" + "n" * length + "?", Title="t", Experiment="e")
    assert (idea.is_name_cut, len(idea.slug)) == (is_cut, min(length, 60))


def test_details_leave_out_scores_and_what_is_empty() -> None:
    (idea,) = parse_ideas(json.dumps(ONE | {"Novelty": 9, "novel": True, "Overall_Score": 7, "Abstract": ""}), "f")
    assert dict(idea.details()) == ONE


def test_ideas_are_chosen_by_name_slug_title_or_number_once_each() -> None:
    ideas = parse_ideas(json.dumps([ONE, TWO]), "f")
    assert choose_ideas(ideas, [], "f") == ideas
    for wanted in ("2", "momentum", "Momentum!", "Momentum helps"):
        assert choose_ideas(ideas, [wanted], "f") == [ideas[1]]
    assert choose_ideas(ideas, ["2", "adaptive_k", "momentum"], "f") == [ideas[1], ideas[0]]


@pytest.mark.parametrize("wanted", ["0", "3", "-1", "nobody", ""])
def test_an_idea_that_is_not_there_is_refused_with_those_that_are(wanted: str) -> None:
    with pytest.raises(UsageError, match="it has: adaptive_k, momentum"):
        choose_ideas(parse_ideas(json.dumps([ONE, TWO]), "f"), [wanted], "ideas.json")


def test_one_sentence_makes_a_valid_idea() -> None:
    idea = new_idea("  Warm the\nlearning rate   up, slowly.  ")
    assert (idea.slug, idea.Title) == ("warm_the_learning_rate_up", "Warm the learning rate up, slowly")
    assert "Warm the learning rate up, slowly." in idea.Experiment
    assert parse_ideas(idea.to_json(), "x") == [Idea.model_validate(idea.model_dump())]


def test_a_long_sentence_is_cut_in_the_title_alone() -> None:
    idea = new_idea("word " * 200)
    assert len(idea.Title) <= 80 and idea.Title.endswith("word…") and idea.Experiment.count("word") == 200


def test_half_a_character_does_not_reach_the_file() -> None:
    assert new_idea("a \ud83d b").to_json().encode("utf-8")


@pytest.mark.parametrize("sentence", ["", "  ", "...", "?!"])
def test_a_sentence_that_says_nothing_is_refused(sentence: str) -> None:
    with pytest.raises(UsageError, match="says nothing"):
        new_idea(sentence)


# Revisions


def test_a_revision_changes_the_fields_that_it_names_and_keeps_the_others() -> None:
    idea = Idea.model_validate(ONE | {"Risks": "a", "Abstract": "b"})
    revised = revise_idea(idea, {"Experiment": ["Vary k.", "Again."], "Risks": None, "New": 1}, "f1")
    assert revised.model_dump() == {
        **ONE,
        "Experiment": "Vary k.\nAgain.",
        "Technical_Details": "",
        "Implementation_Plan": "",
        "Abstract": "b",
        "New": 1,
    }
    assert revise_idea(idea, {"Name": "adaptive_k", "primary_metric": "f1", "Title": "T"}, "f1").Title == "T"


def test_a_revised_idea_may_grow_to_twice_its_length_but_not_without_end() -> None:
    idea = Idea.model_validate(ONE | {"Abstract": "x" * 9000})
    assert revise_idea(idea, {"Abstract": "y" * 17_000}, "f1").Abstract.startswith("y")
    with pytest.raises(UsageError, match="longer than 18"):
        revise_idea(idea, {"Abstract": "y" * 19_000}, "f1")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Name": "other"}, "field Name: is frozen since launch"),
        ({"name": "other"}, "field name: is frozen since launch"),
        ({"Primary_Metric": "mcc"}, "field Primary_Metric: is frozen since launch"),
        ({"Metric": "mcc"}, "field Metric: is frozen since launch"),
        ({"primary metric": "mcc"}, "field primary metric: is frozen since launch"),
        ({"Main-Metric-Name": "mcc"}, "field Main-Metric-Name: is frozen since launch"),
        ({"Title": None}, "field Title is missing"),
        ({"Experiment": " "}, 'field Experiment = " ": must not be blank'),
        ({"Abstract": "x" * 30_000}, "is longer than"),
    ],
)
def test_a_revision_of_what_is_frozen_or_of_no_idea_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        revise_idea(Idea.model_validate(ONE), changes, "f1")
    assert said in str(caught.value)


def test_what_cannot_be_read_or_is_missing_is_told_in_words() -> None:
    for text, told in (
        ("[" * 100_000, "ideas.json: cannot be read: it is nested too deeply"),
        (
            '{"n": ' + "9" * 5000 + "}",
            "ideas.json: cannot be read: it holds a whole number of more digits than can be read",
        ),
        ('{"title": "t", "experiment": "e"}', "field Title is missing (it has: title, experiment)"),
        ('{"ideas": []}', "field Title is missing (it has: ideas)"),
    ):
        with pytest.raises(UsageError) as raised:
            parse_ideas(text, "ideas.json")
        assert told in str(raised.value)


def test_many_names_are_cut_and_the_nearest_is_proposed() -> None:
    ideas = [Idea(Name=f"idea_{number}", Title="t", Experiment="e") for number in range(1, 1001)]
    with pytest.raises(UsageError) as raised:
        choose_ideas(ideas, ["idee_7"], "ideas.json")
    assert str(raised.value).startswith("ideas.json: holds no idea 'idee_7'; did you mean idea_7")
    assert str(raised.value).endswith("idea_29, idea_30 and 970 more") and len(str(raised.value)) < 500
    with pytest.raises(UsageError, match=r"holds no idea 'zzz'; it has: idea_1, idea_2, idea_3$"):
        choose_ideas(ideas[:3], ["zzz"], "ideas.json")


def slugs(names: Sequence[str]) -> list[str]:
    return [idea.slug for idea in parse_ideas(json.dumps([ONE | {"Name": name} for name in names]), "f")]


def test_a_name_that_stands_several_times_gets_a_number() -> None:
    assert slugs(["k", "m", "k", "K!", "m"]) == ["k", "m", "k_2", "k_3", "m_2"]
    assert slugs(["k", "k", "k_2", "k_3", "k"]) == ["k", "k_4", "k_2", "k_3", "k_5"], "no given name changes"
    long = slugs(["n" * 70, "n" * 65, "n" * 60])
    assert long == ["n" * 60, "n" * 58 + "_2", "n" * 58 + "_3"] and slugs(long) == long
    assert len(set(slugs(["x"] * 1500))) == 1500
    untitled = parse_ideas(json.dumps([{"Title": "Same", "Experiment": step} for step in "ab"]), "f")
    assert [(idea.slug, idea.Experiment) for idea in untitled] == [("same", "a"), ("same_2", "b")]


def test_an_idea_is_chosen_without_doubt() -> None:
    names = ["two", "Fast rates", "fast rates", "3"]
    ideas = parse_ideas(json.dumps([{**ONE, "Name": n, "Title": t} for n, t in zip(names, "1AAB", strict=True)]), "f")
    chosen = {
        w: [i.slug for i in choose_ideas(ideas, [w], "f")] for w in ("1", "2", "3", "4", "fast rates", "B", "two")
    }
    assert chosen == {
        "1": ["two"], "2": ["fast_rates"], "3": ["fast_rates_2"], "4": ["3"], "fast rates": ["fast_rates"], "B": ["3"],
        "two": ["two"],
    }  # fmt: skip
    with pytest.raises(UsageError, match=r"several ideas with the title 'A'; name one by its number: 2, 3"):
        choose_ideas(ideas, ["A"], "f")


V2 = {
    "Name": "pests",
    "Title": "Pests in the field",
    "Short Hypothesis": "Data quality decides.",
    "Related Work": ["Agarwal (2023)", {"by": "Dong", "year": 2024}],
    "Experiments": ["1. Label noise: count it.", {"name": "Shift", "metric": "F1", "rates": [1, 2]}],
    "Risk Factors and Limitations": {"data": "may be small", "cost": ["GPU", "time"]},
    "Code": [],
}


def test_fields_of_ai_scientist_v2_are_read_and_lists_stand_as_lines() -> None:
    (idea,) = parse_ideas(json.dumps(V2), "f")
    assert idea.Experiment == '1. Label noise: count it.\n{"name": "Shift", "metric": "F1", "rates": [1, 2]}'
    details = dict(idea.details())
    assert details["Short Hypothesis"] == "Data quality decides." and "Code" not in details
    assert details["Related Work"] == "- Agarwal (2023)\n- by: Dong; year: 2024"
    assert details["Risk Factors and Limitations"] == "data: may be small\ncost: GPU, time"
    assert not any("['" in str(value) or "{'" in str(value) for value in details.values())
    assert parse_ideas(idea.to_json(), "f") == [idea]
    both = parse_ideas(json.dumps(V2 | {"Experiment": "As it says."}), "f")[0]
    assert both.Experiment == "As it says." and "1. Label noise" in both.details()["Experiments"]
