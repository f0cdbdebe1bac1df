"""A conversation: its opening, its repairs, and how it is kept."""

from __future__ import annotations

import json
from dataclasses import replace

from agent.core.edit.apply import apply_reply
from agent.core.edit.seen import lines_of
from agent.core.journal.kinds import Purpose
from agent.core.model.messages import Message
from agent.core.model.tokens import count_tokens
from agent.core.prompt.conversation import (
    ChatRequest,
    Prompt,
    continue_chat,
    excerpt_staged,
    load_request,
    open_chat,
    opening_purpose,
)
from agent.core.prompt.view import TurnTexts
from agent.core.reply.outcome import Refusal
from agent.core.reply.turn import Turn
from tests.core.journal_by_hand import Story
from tests.core.prompt.test_fit import CODE, make_view
from tests.fakes import block

FILES = {"experiment.py": CODE}
LINE = "    y_5 = x + 5 * 9\n"
BLIND = block("experiment.py", LINE, "    y_5 = x\n")


def opening() -> Prompt:
    return open_chat(make_view(Purpose.FIX), None)


def refuse(reply: str, prompt: ChatRequest) -> Refusal:
    result = apply_reply(FILES, reply, editable=["experiment.py"], shown=prompt.shown)
    return Refusal("s", tuple(result.rejected), len(result.applied), result.staged)


def go_on(purpose: Purpose, past: ChatRequest, told: str, budget: int | None = None, reply: str = BLIND) -> Prompt:
    view = replace(make_view(purpose), texts=TurnTexts(told), shown={})
    turn = turn_after(past, purpose, reply=reply)
    return continue_chat(turn, view, budget, lambda room: open_chat(make_view(Purpose.FIX), room))


def turn_after(past: ChatRequest, purpose: Purpose = Purpose.REPAIR, *, reply: str = "") -> Turn:
    names = ("experiment.py",)
    return Turn(purpose, FILES, names, names, {}, past.messages, past.shown, reply)


def test_a_request_is_kept_with_what_it_showed_and_read_again() -> None:
    prompt = opening()
    assert load_request(prompt.to_json(model="m")) == ChatRequest(prompt.messages, prompt.shown) and prompt.shown
    old = json.dumps({"messages": [{"role": "user", "content": "hello"}]})
    assert load_request(old) == ChatRequest((Message("user", "hello"),))


def test_a_conversation_begins_with_what_is_due() -> None:
    story = Story()
    assert opening_purpose(story.state) is Purpose.PLAN
    story.complete_run()
    assert opening_purpose(story.state) is Purpose.NEXT
    story.fail_attempt()
    assert opening_purpose(story.state) is Purpose.FIX


def test_a_refusal_of_a_blind_edit_makes_its_lines_known() -> None:
    prompt = opening()
    (rejected,) = refuse(BLIND, prompt).rejected
    repair = go_on(Purpose.REPAIR, prompt, rejected.hint)
    assert rejected.line in lines_of(repair.shown["experiment.py"])
    assert lines_of(prompt.shown["experiment.py"]) < lines_of(repair.shown["experiment.py"])
    assert not refuse(BLIND, repair).rejected
    assert repair.messages[: len(prompt.messages)] == prompt.messages  # a prefix cache finds it again


def test_a_turn_that_asks_for_a_whole_file_shows_it() -> None:
    repair = go_on(Purpose.WHOLE, opening(), "No.")
    assert CODE.strip() in repair.messages[-1].content and repair.shown == {}
    assert "or the complete file" in repair.messages[-1].content
    seen = go_on(Purpose.WHOLE, ChatRequest(opening().messages), "No.")
    assert CODE.strip() not in seen.messages[-1].content  # it stands above


def test_where_a_whole_file_has_no_room_only_functions_are_asked_for() -> None:
    prompt = opening()
    budget = count_tokens(prompt.messages) + 400
    repair = go_on(Purpose.WHOLE, prompt, "No.", budget)
    assert "of those that you have been shown" in repair.messages[-1].content and repair.shown
    assert count_tokens(repair.messages) <= budget


def test_a_conversation_that_outgrew_the_window_begins_anew() -> None:
    prompt = opening()
    budget = count_tokens(prompt.messages) - 300
    repair = go_on(Purpose.REPAIR, prompt, "No.", budget, reply="word " * 4000)
    assert count_tokens(repair.messages) <= budget
    assert [m.role for m in repair.messages] == ["system", "user", "assistant", "user"]
    assert repair.messages[-1].content.startswith("No.") and repair.messages[0] == prompt.messages[0]
    assert "ValueError: FAULT" in repair.messages[1].content


def test_good_blocks_are_told_by_the_parts_that_were_shown() -> None:
    prompt = opening()
    refusal = refuse(block("experiment.py", "RATE = 0.1\n", "RATE = 0.2\nMORE = 1\n") + BLIND, prompt)
    told = excerpt_staged(refusal, turn_after(prompt)).staged["experiment.py"]
    assert "RATE = 0.2\nMORE = 1\n" in told and LINE not in told and "lines not shown (" in told
    assert excerpt_staged(refusal, replace(turn_after(prompt), staged=refusal.staged)) == refusal


def test_a_chat_that_led_nowhere_begins_anew_in_another_form() -> None:
    prompt = opening()
    state = make_view(Purpose.FIX).state
    number = CODE.split("\n").index(LINE.rstrip("\n")) + 1
    shown = (("experiment.py", ((number, number),)),)  # by an answer in this message
    chat = replace(state.attempt.conversation, stuck="repeat", revealed=shown)
    stuck = replace(state, attempt=replace(state.attempt, conversation=chat))
    view = replace(make_view(Purpose.WHOLE), state=stuck, texts=TurnTexts("It asks again for this."), shown={})
    for budget in (None, 6000, 1500):
        asked: list[int | None] = []

        def reopen(room: int | None, asked: list[int | None] = asked) -> Prompt:
            asked.append(room)
            return open_chat(replace(make_view(Purpose.FIX), state=stuck), room)

        anew = continue_chat(turn_after(prompt, Purpose.WHOLE, reply=BLIND), view, budget, reopen)
        system, user = anew.messages
        assert "whole files" in system.content
        assert "<<<<<<< SEARCH" not in system.content and "A reply, for example" not in system.content
        assert BLIND not in user.content and "Do not send SEARCH/REPLACE blocks" in user.content
        assert "asks again for this" in user.content and len(asked) == 1
        assert budget is None or count_tokens(anew.messages) <= budget
        assert budget != 1500 or number in lines_of(anew.shown["experiment.py"])
