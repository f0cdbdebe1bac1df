"""Replies read from the bodies of every provider, and the faults that stand in them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.core.model.answer.body import read_body
from agent.core.model.answer.ends import BROKEN, end_of
from agent.core.model.answer.reply_fault import fault_in
from agent.core.model.answer.usage import Usage, read_usage
from agent.core.model.faults import FaultAction, FaultKind

K = FaultKind
USAGE = {"prompt_tokens": 1000, "completion_tokens": 4000, "total_tokens": 5000}


def chat(content: Any, finish: Any = "stop", **message: Any) -> dict[str, Any]:
    return {"choices": [{"finish_reason": finish, "message": {"content": content} | message}], "usage": USAGE}


def response(*output: dict[str, Any], **changes: Any) -> dict[str, Any]:
    usage = {"input_tokens": 1000, "output_tokens": 4000, "total_tokens": 5000}
    return {"object": "response", "status": "completed", "output": list(output), "usage": usage} | changes


def anthropic(*content: dict[str, Any], stop: str = "end_turn") -> dict[str, Any]:
    usage = {"input_tokens": 400, "cache_read_input_tokens": 600, "output_tokens": 4000}
    return {"type": "message", "content": list(content), "stop_reason": stop, "usage": usage}


def gemini(*parts: dict[str, Any], finish: str = "STOP") -> dict[str, Any]:
    usage = {"promptTokenCount": 1000, "candidatesTokenCount": 100, "thoughtsTokenCount": 3900, "totalTokenCount": 5000}
    return {"candidates": [{"content": {"parts": list(parts)}, "finishReason": finish}], "usageMetadata": usage}


def bedrock(*content: dict[str, Any]) -> dict[str, Any]:
    usage = {"inputTokens": 1000, "outputTokens": 4000, "totalTokens": 5000}
    return {"output": {"message": {"content": list(content)}}, "stopReason": "end_turn", "usage": usage}


def ollama(**message: Any) -> dict[str, Any]:
    return {"message": message, "done": True, "done_reason": "stop", "prompt_eval_count": 1000, "eval_count": 4000}


TEXT = {"type": "text", "text": "Yes."}
READ = {
    "chat": chat("Yes.", reasoning_content="Hm."),
    "chat, other name": chat("Yes.", reasoning="Hm."),
    "blocks": chat([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, TEXT]),
    "responses": response(
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "message", "content": [{"type": "output_text", "text": "Yes."}]},
    ),
    "anthropic": anthropic({"type": "thinking", "thinking": "Hm."}, TEXT),
    "gemini": gemini({"text": "Hm.", "thought": True}, {"text": "Yes."}),
    "bedrock": bedrock({"reasoningContent": {"reasoningText": {"text": "Hm."}}}, {"text": "Yes."}),
    "ollama": ollama(content="Yes.", thinking="Hm."),
}


@pytest.mark.parametrize("name", READ)
def test_text_thoughts_and_tokens_of_every_provider_are_read(name: str) -> None:
    heard = read_body(json.dumps(READ[name]))
    assert heard and (heard.text, heard.reasoning) == ("Yes.", "Hm.")
    assert (heard.usage.tokens_in, heard.usage.tokens_out) == (1000, 4000)
    assert fault_in(heard) is None and end_of(heard.finish) == "stop"


TEXTLESS = {
    "chat, a tool": (chat(None, tool_calls=[{"function": {"name": "bash"}}]), "a tool call (bash) alone"),
    "chat, reasoning": (chat("", reasoning_content="Hm."), "reasoning alone"),
    "chat, both": (
        chat(None, reasoning="Hm.", tool_calls=[{"function": {"name": "ls"}}]),
        "reasoning and a tool call (ls) alone",
    ),
    "chat, choices null": ({"choices": None, "usage": USAGE}, "nothing"),
    "responses, reasoning": (response({"type": "reasoning", "summary": []}), "reasoning alone"),
    "responses, nothing": (response(), "nothing"),
    "responses, a tool": (response({"type": "function_call", "name": "bash"}), "a tool call (bash) alone"),
    "anthropic, thinking": (anthropic({"type": "thinking", "thinking": "Hm."}), "reasoning alone"),
    "anthropic, hidden thinking": (anthropic({"type": "redacted_thinking", "data": "eA=="}), "reasoning alone"),
    "anthropic, a tool": (anthropic({"type": "tool_use", "name": "bash"}, stop="tool_use"), "a tool call (bash) alone"),
    "anthropic, nothing": (anthropic(), "nothing"),
    "gemini, a bad call": (gemini(finish="MALFORMED_FUNCTION_CALL"), "a tool call that the provider could not read"),
    "gemini, a call": (gemini({"functionCall": {"name": "bash"}}), "a tool call (bash) alone"),
    "gemini, a thought": (gemini({"text": "Hm.", "thought": True}), "reasoning alone"),
    "gemini, no candidates": (
        {"candidates": [], "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9}},
        "nothing",
    ),
    "bedrock, a tool": (bedrock({"toolUse": {"name": "bash"}}), "a tool call (bash) alone"),
    "ollama, thoughts": (ollama(content="", thinking="Hm."), "reasoning alone"),
}


@pytest.mark.parametrize("name", TEXTLESS)
def test_a_reply_without_text_is_no_outage_and_says_what_came(name: str) -> None:
    body, came = TEXTLESS[name]
    heard = read_body(json.dumps(body))
    assert heard and heard.usage.is_counted
    fault = fault_in(heard)
    assert fault and fault.kind is K.NO_TEXT and fault.text.startswith(f"a reply without text: {came}")


REFUSED = {
    "a refusal": chat(None, refusal="I cannot."),
    "a refusal in a block": response({"type": "message", "content": [{"type": "refusal", "refusal": "I cannot."}]}),
    "a filter": chat("half", "content_filter"),
    "anthropic's refusal": anthropic(stop="refusal"),
    "a blocked prompt": {"promptFeedback": {"blockReason": "SAFETY"}},
    "a filter of Responses": response(status="incomplete", incomplete_details={"reason": "content_filter"}),
    "moderation": {
        "error": {"code": 403, "message": 'Requires moderation on X. Your input was flagged for "violence"'}
    },
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_one_of_content(name: str) -> None:
    heard = read_body(json.dumps(REFUSED[name]))
    fault = heard and fault_in(heard)
    assert fault and fault.kind is K.CONTENT and fault.kind.action is FaultAction.STOP


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ({"error": {"code": 429, "message": "Slow down"}}, K.RATE_LIMIT, "Slow down"),
        ({"error": {"code": 402, "message": "Insufficient credits"}}, K.QUOTA, "Insufficient credits"),
        ({"error": "model is loading"}, K.OUTAGE, "model is loading"),
        (response(error={"code": "server_error", "message": "Oops"}, status="failed"), K.OUTAGE, "Oops"),
        (chat("half", "error") | {"error": None}, None, ""),
        (chat("", "abort"), K.OUTAGE, "the provider broke the reply off before any text (abort)"),
        ({"choices": []}, K.GARBLED, "answered nothing"),
    ],
)
def test_an_error_in_place_of_a_reply_is_classified(body: Any, kind: FaultKind | None, words: str) -> None:
    heard = read_body(json.dumps(body))
    fault = heard and fault_in(heard)
    assert (fault and fault.kind) is kind and (not fault or fault.text == words)


def test_ends_of_replies_have_one_word() -> None:
    assert {end_of(w) for w in ("length", "max_tokens", "MAX_TOKENS", "model_length", "incomplete")} == {"length"}
    assert {end_of(w) for w in ("abort", "error", "cancelled", "insufficient_system_resource")} == {BROKEN}
    assert {end_of(w) for w in ("SAFETY", "refusal", "content_filtered")} == {"content_filter"}
    assert {end_of(w) for w in ("stop", "STOP", "end_turn", "COMPLETE", "eos_token")} == {"stop"} and end_of("") == ""


@pytest.mark.parametrize(
    "body",
    [
        "",
        "Hm.",
        "[]",
        "null",
        "7",
        '"text"',
        "<html></html>",
        "{",
        '{"a": ' * 5000,
        "[" * 100_000,
        "data: x\n",
        "1" * 5000,
    ],
)
def test_what_is_no_answer_is_none(body: str) -> None:
    assert read_body(body) is None and read_body(body.encode()) is None


@pytest.mark.parametrize(
    "value", [None, 0, 1.5, True, "x", [], [None], {}, [[]], [{"message": 3}], [{"message": [{}]}], ""]
)
def test_values_of_another_kind_are_read_without_an_error(value: Any) -> None:
    places = [
        {"choices": value}, {"choices": [value]}, {"output": value}, {"candidates": value}, {"candidates": [value]},
        {"content": value, "type": "message"}, {"message": value, "done": True}, {"usage": value, "choices": []},
        chat(value), chat([value]), chat("", value), chat(None, tool_calls=value), chat(None, refusal=value),
        {"error": value}, {"promptFeedback": value}, response(incomplete_details=value),
        {"choices": [{"error": value}]},
    ]  # fmt: skip
    for body in places:
        heard = read_body(json.dumps(body))
        if heard:
            fault_in(heard)


@pytest.mark.parametrize(
    "count", [-1, 1.5e300, float("nan"), float("inf"), 10**15, "many", True, [], {}, None, "1" * 5000]
)
def test_a_count_that_cannot_be_is_unknown(count: Any) -> None:
    assert read_usage({"usage": {"prompt_tokens": count, "completion_tokens": count}}) == Usage()


def test_a_count_may_be_a_text_or_a_float() -> None:
    assert read_usage({"usage": {"prompt_tokens": "12", "completion_tokens": 3.0}}) == Usage(12, 3)
    assert read_usage({"usage": {"prompt_tokens": 12, "total_tokens": 15}}) == Usage(12, 3)
    assert read_usage({}) == Usage() and not Usage(0, 0).is_counted


def test_a_stream_that_nobody_asked_for_is_one_reply() -> None:
    first = 'data: {"model": "m", "choices": [{"delta": {"content": "Ye", "reasoning_content": "Hm."}}]}\n\n'
    last = (
        'data: {"choices": [{"delta": {"content": "s."}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9}}\n\n'
    )
    heard = read_body(f": ping\n\n{first}{last}data: [DONE]\n\n")
    assert heard and (heard.text, heard.reasoning, heard.finish) == ("Yes.", "Hm.", "stop")
    cut = read_body(first + 'data: {"choi')
    assert cut and (cut.text, cut.finish) == ("Ye", "")
    failed = read_body(first + 'data: {"error": {"code": 503, "message": "down"}}\n')
    assert failed and failed.text == "Ye" and (fault := fault_in(failed)) and fault.kind is K.OUTAGE
    done = {"type": "response.completed", "response": response({"type": "message", "content": [TEXT]})}
    whole = read_body(f"event: response.completed\ndata: {json.dumps(done)}\n\n")
    assert whole and whole.text == "Yes."


def _lines(*chunks: dict[str, Any], mark: str = "data: ") -> str:
    return "".join(f"{mark}{json.dumps(chunk)}\n" for chunk in chunks)


STREAMS = {
    "Anthropic's events": _lines(
        {"type": "message_start", "message": {"type": "message", "usage": {"input_tokens": 5, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Yes."}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 6}},
    ),
    "Gemini's events": _lines(
        {"candidates": [{"content": {"parts": [{"text": "Ye"}]}}]},
        {
            "candidates": [{"content": {"parts": [{"text": "s."}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 6},
        },
    ),
    "Ollama's lines": _lines(
        {"message": {"content": "Ye"}, "done": False},
        {"message": {"content": "s."}, "done": True, "prompt_eval_count": 5, "eval_count": 6},
        mark="",
    ),
    "comments before JSON": ": PROCESSING\n\n"
    + json.dumps(chat("Yes.") | {"usage": {"prompt_tokens": 5, "completion_tokens": 6}}),
    "a mark of the order of bytes": "\ufeff"
    + json.dumps(chat("Yes.") | {"usage": {"prompt_tokens": 5, "total_tokens": 11}}),
    "a page after JSON": json.dumps(chat("Yes.") | {"usage": {"total_tokens": 11, "completion_tokens": 6}})
    + "\n</html>",
}


@pytest.mark.parametrize("name", STREAMS)
def test_an_answer_in_several_pieces_is_one(name: str) -> None:
    heard = read_body(STREAMS[name])
    assert heard and (heard.text, end_of(heard.finish), heard.usage) == ("Yes.", "stop", Usage(5, 6))


ENDS = {
    "length": (
        "max_new_tokens|MAX_COMPLETION_TOKENS|token_limit|context_window_exceeded|repetition_truncation|ERROR_LIMIT"
        "|FINISH_REASON_MAX_TOKENS|max tokens|time_limit"
    ),
    BROKEN: "engine_overloaded|ReadTimeout|USER_CANCEL|upstream_error|FINISH_REASON_ERROR|MALFORMED_RESPONSE|preempted",
    "content_filter": "content_filter_error|policy_violation|FINISH_REASON_SAFETY|moderation",
    "stop": "FINISH_REASON_STOP|done|STOP_SEQUENCE",
    "": "unknown|FINISH_REASON_UNSPECIFIED|null",
    "tool_calls": "tool_calls",
}


@pytest.mark.parametrize("end", ENDS)
def test_no_new_word_for_an_end_makes_a_part_a_whole_reply(end: str) -> None:
    assert {end_of(word) for word in ENDS[end].split("|")} == {end}


def test_an_error_beside_a_part_of_a_reply_is_one() -> None:
    beside = {"error": {"code": 502, "message": "Provider disconnected"}}
    broken = read_body(json.dumps(chat("Half", None) | beside))
    whole = read_body(json.dumps(chat("Yes.") | beside))
    assert broken and broken.text == "Half" and broken.status == 502 and whole and not whole.error


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"code": 401, "msg": "Unauthorized"}, K.KEY),
        ({"message": "Too many requests", "code": 429}, K.RATE_LIMIT),
        ({"success": False, "errors": [{"message": "Invalid API key", "code": 401}]}, K.KEY),
        ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}, "choices": None}, K.QUOTA),
    ],
)
def test_an_error_under_another_name_is_no_reply(body: dict[str, Any], kind: K) -> None:
    heard = read_body(json.dumps(body))
    assert heard and (fault := fault_in(heard)) and fault.kind is kind
    assert read_body(b'{"detail": "Hm."}') is None


APART = {
    "details": chat("", reasoning_details=[{"type": "reasoning.encrypted", "data": "eA=="}]),
    "blocks": chat(None, thinking_blocks=[{"type": "thinking", "thinking": "Hm."}]),
    "Bedrock's hidden": bedrock({"reasoningContent": {"redactedContent": "eA=="}}),
}


@pytest.mark.parametrize("name", APART)
def test_reasoning_that_is_told_apart_or_not_at_all_is_named(name: str) -> None:
    heard = read_body(json.dumps(APART[name]))
    assert heard and heard.came == "reasoning alone"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "output_text", "text": "Yes."},
        {"type": "text", "text": {"value": "Yes."}},
        {"type": "text", "content": "Yes."},
    ],
)
def test_the_text_of_a_block_is_found(part: dict[str, Any]) -> None:
    heard = read_body(json.dumps(chat([part])))
    assert heard and heard.text == "Yes." and heard.form


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"total_tokens": 150}, Usage(150, None)),
        ({"completion_tokens": 50}, Usage(None, 50)),
        ({"prompt_tokens": 10**30, "completion_tokens": 5}, Usage(None, 5)),
        ({"prompt_tokens": "1,000", "completion_tokens": "5"}, Usage(1000, 5)),
        # thoughts that stand in the sum alone are paid for, those that stand in the reply's count are not paid twice
        ({"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 190}, Usage(100, 90)),
        (
            {"prompt_tokens": 9, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 4}},
            Usage(9, 5),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 50}}, Usage(9, 5, 9)),
        ({"promptTokenCount": 5, "candidatesTokenCount": 6, "totalTokenCount": 100}, Usage(5, 95)),
        ({"promptTokenCount": 5, "candidatesTokenCount": 6, "thoughtsTokenCount": 4}, Usage(5, 10)),
        (
            {"promptTokenCount": 5, "candidatesTokenCount": 6, "thoughtsTokenCount": 4, "totalTokenCount": 11},
            Usage(5, 6),
        ),
    ],
)
def test_a_count_that_is_half_told_is_completed_or_unknown(usage: dict[str, Any], read: Usage) -> None:
    assert read_usage({"usage": usage}) == read
    assert read.is_whole == (None not in (read.tokens_in, read.tokens_out))


def test_counts_are_found_in_other_places() -> None:
    counts = {"prompt_tokens": 9, "completion_tokens": 5}
    assert read_usage({"x_groq": {"usage": counts}}) == Usage(9, 5)
    assert read_usage({"choices": [{"usage": counts}]}) == Usage(9, 5)
    assert read_usage({"usage_metadata": {"prompt_token_count": 9, "candidates_token_count": 5}}) == Usage(9, 5)


def test_the_text_of_an_event_may_hold_what_python_takes_for_the_end_of_a_line() -> None:
    events = [{"choices": [{"delta": {"content": text}}]} for text in ("a\u2028b", "c\x85d\u2029")]
    stream = "\r\n".join(f"data: {json.dumps(event, ensure_ascii=False)}\r\n" for event in events)
    found = read_body(stream + "data: [DONE]\r\n")
    assert found and found.text == "a\u2028bc\x85d\u2029"


@pytest.mark.parametrize("name", ["type", "model", "error"])
def test_no_depth_of_nesting_stops_the_reading(name: str) -> None:
    for depth in (*range(900, 1000, 3), 3_000, 100_000):
        nested = "[" * depth + "]" * depth
        read_body(f'{{"choices": [{{"message": {{"content": "a"}}}}], "{name}": {nested}}}')
        read_body(f'{{"{name}": {nested}, "message": {{"content": [{{"type": {nested}}}]}}}}')
