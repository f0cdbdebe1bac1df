"""Events in JSON: what is written is what is read."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.decide import Effect
from agent.core.failure.diagnose import Failure, FailureKind, Location
from agent.core.failure.record import ExitRecord
from agent.core.journal.action_results import (
    Answered,
    Applied,
    Asked,
    AskFailed,
    Closed,
    Handed,
    Linted,
    Opened,
    Published,
    Refused,
    Restored,
    Result,
    Reviewed,
    Voided,
)
from agent.core.journal.budget import Limits, Paid
from agent.core.journal.codec import UnknownEvent, from_json, to_json
from agent.core.journal.events import (
    JOURNAL_VERSION,
    STEP_LIMITS,
    Ended,
    Event,
    Finished,
    Launched,
    Paused,
    Resumed,
    Started,
    Told,
)
from agent.core.journal.kinds import Begun, Intent, Measured, PauseKind, PlanItem, Purpose, Role, Step, say_action
from agent.core.journal.replications import Replicate, Replicated, Seeded
from tests.examples import examples

text = st.text(max_size=8)
count = st.integers(0, 10**6)
number = st.floats(allow_nan=False, allow_infinity=False)
values = st.dictionaries(text, number, max_size=2)
plan = st.none() | st.lists(st.builds(PlanItem, number=count, text=text, expected=text), max_size=2).map(tuple)
steps = st.sampled_from(Step)
place = st.none() | st.builds(Location, file=text, line=count, function=text)
failures = st.builds(
    Failure, kind=st.sampled_from(FailureKind), summary=text, detail=text, location=place, fingerprint=text
)
exits = st.builds(
    ExitRecord,
    exit_code=st.none() | st.integers(-64, 255),
    signal=st.none() | st.integers(1, 64),
    timed_out=st.booleans(),
    stopped=st.booleans(),
    deadline_s=number,
    wall_s=number,
    max_rss_gib=st.none() | number,
    error=st.none() | text,
)
RESULTS: dict[type, st.SearchStrategy[object]] = {
    Asked: st.builds(
        Asked,
        purpose=st.sampled_from(Purpose),
        request=text,
        tokens_in=count,
        cost_usd=st.none() | number,
        seconds=number,
        repeated=st.booleans(),
        role=st.sampled_from(Role),
        finish_reason=text,
    ),
    Answered: st.builds(
        Answered,
        wanted=st.lists(text, max_size=2).map(tuple),
        feedback=text,
        shown=st.dictionaries(text, st.lists(st.tuples(count, count), max_size=2).map(tuple), max_size=2),
        staged=st.none() | text,
        plan=plan,
    ),
    Handed: st.builds(Handed, instruction=text, staged=st.none() | text, plan=plan, item=st.none() | count),
    Reviewed: st.builds(
        Reviewed,
        run=count,
        judgement=text,
        reason=text,
        suggestions=st.lists(text, max_size=2).map(tuple),
        commit=text,
        version=count,
        refused=text,
        final=st.booleans(),
    ),
    AskFailed: st.builds(
        AskFailed,
        reason=text,
        refused=st.booleans(),
        remedy=text,
        role=st.sampled_from(Role),
        tokens_in=count,
        cost_usd=st.none() | number,
        requests=count,
        repeated=st.booleans(),
    ),
    Applied: st.builds(
        Applied,
        intent=st.sampled_from(Intent),
        commit=text,
        changed=st.lists(text, max_size=2).map(tuple),
        subject=text,
        code=text,
        plan=plan,
        item=st.none() | count,
        dropped=text,
    ),
    Refused: st.builds(Refused, summary=text, feedback=text, staged=st.none() | text, plan=plan),
    Linted: st.builds(Linted, failure=st.none() | failures),
    Opened: st.builds(Opened, step=steps, folder=text),
    Voided: st.builds(Voided, step=steps, folder=text, reason=text),
    Closed: st.builds(
        Closed,
        step=steps,
        folder=text,
        exit=st.none() | exits,
        failure=st.none() | failures,
        infrastructure=st.booleans(),
        values=values,
        seconds=number,
        self_reported=text,
    ),
    Published: st.builds(
        Published,
        run=count,
        tag=text,
        commit=text,
        values=values,
        settings=st.dictionaries(text, st.booleans() | count | number | text, max_size=3),
        seed=count,
        self_reported=text,
    ),
    Restored: st.builds(Restored, commit=text, restores=text, gives_up=st.booleans()),
}
EVENTS: dict[type, st.SearchStrategy[object]] = {
    Launched: st.builds(
        Launched,
        workspace=text,
        title=text,
        limits=st.builds(Limits, max_runs=count, patience_s=number),
        smoke=st.booleans(),
        has_baseline=st.booleans(),
        primary=text,
        training=text,
        evaluation=text,
        editor_model=text,
        reviewer_model=text,
        reflections=count,
        begun=st.none() | st.builds(Begun, workspace=text, title=text, run=count, subject=text, values=values),
    ),
    Started: st.builds(Started, key=text, kind=text, run=count, attempt=count, turn=count),
    Finished: st.builds(Finished, key=text, result=st.one_of(*RESULTS.values())),
    Paused: st.builds(Paused, kind=st.sampled_from(PauseKind), reason=text, remedy=text),
    Resumed: st.builds(
        Resumed,
        limits=st.none() | st.builds(Limits, max_tokens=st.none() | count, batch_max_cost_usd=st.none() | number),
        pause_before=st.none() | text,
    ),
    Told: st.builds(Told, id=text, text=text),
    Replicate: st.builds(Replicate, run=count, seeds=st.lists(count, max_size=3).map(tuple), key=text),
    Seeded: st.builds(
        Seeded,
        run=count,
        seed=count,
        result=st.one_of(*(RESULTS[kind] for kind in (Opened, Voided, Closed, Published))),
    ),
    Replicated: st.builds(Replicated, run=count, key=text, commit=text),
    Ended: st.builds(Ended, completed=st.booleans(), summary=text, warnings=st.lists(text, max_size=2).map(tuple)),
}


def test_every_kind_of_event_and_result_is_drawn_below() -> None:
    assert set(EVENTS) == set(get_args(get_args(Event)[0]))
    assert set(RESULTS) == set(get_args(get_args(Result)[0]))


@pytest.mark.parametrize("kind", [*EVENTS, *RESULTS], ids=lambda kind: kind.__name__)
def test_an_event_is_read_as_it_was_written(kind: type) -> None:
    drawn = EVENTS[kind] if kind in EVENTS else st.builds(Finished, key=text, result=RESULTS[kind])

    @given(drawn)
    @examples(6)
    def check(event: Event) -> None:
        line = json.dumps(to_json(event), allow_nan=False)
        assert "\n" not in line
        read = from_json(json.loads(line))
        assert read == event
        assert json.dumps(to_json(read), allow_nan=False) == line

    check()


@pytest.mark.parametrize("value", [True, False, 0, 1, 1.0, 0.5, -3, "1", "true", ""])
def test_a_setting_keeps_its_type(value: float | int | str | bool) -> None:
    event = Finished("key", Published(settings={"LR": value}))
    read = from_json(json.loads(json.dumps(to_json(event))))
    assert isinstance(read, Finished) and isinstance(read.result, Published)
    assert type(read.result.settings["LR"]) is type(value) and read.result.settings["LR"] == value


def test_an_unknown_cost_is_not_zero() -> None:
    assert to_json(Finished("key", Asked()))["result"]["cost_usd"] is None


def test_a_journal_written_before_runs_had_data_and_trust_of_their_own_is_read() -> None:
    old = to_json(Launched(verified=True))
    del old["training"], old["evaluation"]
    assert from_json(old) == Launched(verified=True)
    for result in (Closed(step=Step.EVALUATE), Published(run=3)):
        old = to_json(Finished("key", result))
        del old["result"]["self_reported"]
        assert from_json(old) == Finished("key", result)


def test_a_journal_written_before_there_were_budgets_and_approvals_is_read() -> None:
    old = to_json(Launched(limits=Limits(max_runs=3)))
    del old["pause_before"]
    for name in ("max_tokens", "max_cost_usd", "batch_max_tokens", "batch_max_cost_usd"):
        del old["limits"][name]
    assert from_json(old) == Launched(limits=Limits(max_runs=3))
    asked = to_json(Finished("key", Asked(tokens_in=5)))
    del asked["result"]["chars"], asked["result"]["tokens_cached"], asked["result"]["requests"], asked["result"]["role"]
    assert from_json(asked) == Finished("key", Asked(tokens_in=5))
    assert from_json({"type": "paused", "kind": "stop", "reason": "r"}) == Paused(PauseKind.STOP, "r")
    assert from_json({"type": "resumed"}) == Resumed()


def test_the_first_event_tells_the_version_of_the_journal() -> None:
    assert to_json(Launched())["version"] == JOURNAL_VERSION


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_an_event_names_its_type_and_all_its_fields(kind: type) -> None:
    @given(EVENTS[kind])
    @settings(max_examples=1, deadline=None)
    def check(event: Event) -> None:
        later = {n for n in ("doubt", "caveat", "titles", "begun", "more_runs") if not getattr(event, n, True)}
        later |= {n for n in STEP_LIMITS if getattr(event, n, 1.0) == (0.0 if kind is Launched else None)}
        assert set(to_json(event)) == {f.name for f in fields(event)} - later
        assert to_json(event)["type"] == kind.__name__.lower()

    check()


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"type": "unheard_of"},
        {"type": "paused", "kind": "coffee", "reason": ""},
        {"type": "paused", "kind": "stop"},
        {"type": "finished", "key": "k"},
        {"type": "finished", "key": "k", "result": {"type": "unheard_of"}},
        {"type": "finished", "key": "k", "result": {"type": "closed", "step": "lunch"}},
        {"type": "ended", "completed": "perhaps", "summary": ""},
    ],
    ids=str,
)
def test_what_is_no_event_is_refused(value: object) -> None:
    with pytest.raises(UnknownEvent):
        from_json(value)


# Values that events give whole, while their JSON stays flat


@pytest.mark.parametrize("kind", [Asked, AskFailed])
def test_a_call_gives_what_was_paid_as_one_value(kind: type[Asked] | type[AskFailed]) -> None:
    paid = Paid(100, 10, 80, 0.5, requests=3)
    told = kind(tokens_in=100, tokens_out=10, tokens_cached=80, cost_usd=0.5, requests=3)
    assert told.paid == paid
    assert kind(tokens_in=1).paid.cost_usd is None, "an unknown cost is not zero"


def test_a_step_and_a_run_give_their_results_as_one_value() -> None:
    held = ExitRecord(0, None, False, False, 60.0, 2.0, 0.5, sandbox="landlock")
    assert Closed(values={"loss": 0.1}, self_reported="why", exit=held).measured == Measured(
        {"loss": 0.1}, "why", "landlock"
    )
    assert Closed(values={"loss": 0.1}).measured == Measured({"loss": 0.1})
    assert Published(values={"loss": 0.1}, self_reported="why", sandbox="off").measured == Measured(
        {"loss": 0.1}, "why", "off"
    )


def test_results_of_several_steps_keep_the_last_reason_and_the_weakest_sandbox() -> None:
    run, evaluation = Measured({"a": 1.0, "b": 1.0}, "first", "bwrap"), Measured({"b": 2.0}, "", "landlock")
    assert run.join(evaluation) == Measured({"a": 1.0, "b": 2.0}, "first", "landlock")
    assert evaluation.join(replace(run, self_reported="last")).self_reported == "last"
    assert Measured(sandbox="off").join(run).sandbox == "off" and Measured().join(run).sandbox == "bwrap"


def test_what_held_a_model_up_is_written_only_if_something_did() -> None:
    assert "stuck" not in to_json(Finished("key", Refused()))["result"]
    event = Finished("key", Refused(stuck="repeat"))
    assert from_json(to_json(event)) == event and to_json(event)["result"]["stuck"] == "repeat"


def test_a_doubt_is_written_only_if_there_is_one() -> None:
    """Older programs do not know the field."""
    for result in (Published(), Closed()):
        assert "doubt" not in to_json(Finished("key", result))["result"]
    event = Finished("key", Published(doubt="chosen"))
    assert from_json(to_json(event)) == event and to_json(event)["result"]["doubt"] == "chosen"


def test_every_action_of_the_loop_has_words_of_its_own() -> None:
    words = [say_action(kind.__name__) for kind in get_args(Effect)]
    assert len(set(words)) == len(words) > 7 and not any(word[0].isupper() for word in words)
