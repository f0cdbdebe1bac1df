"""Message sequences that each provider refuses, in its own words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from tests.provider.wire import Body, Refusal, Turn

__all__ = ["Rule", "llamacpp_template"]

Rule = Callable[[Sequence[Turn], Body], Refusal | None]

ALTERNATE = "Conversation roles must alternate user/assistant/user/assistant/..."
ALTERNATE_AFTER_SYSTEM = f"After the optional system message, {ALTERNATE[0].lower()}{ALTERNATE[1:]}"


# DeepSeek (2025), text as its clients logged it


def deepseek_order(turns: Sequence[Turn], body: Body) -> Refusal | None:
    """User and assistant in turns, user first and last. An assistant may end with `prefix`. System is not counted."""
    model = body.get("model", "deepseek-reasoner")
    if not turns:
        return _deepseek("Empty input messages")
    spoken = [turn for turn in turns if turn.role != "system"]
    if spoken and spoken[0].role == "assistant":
        first = f"The first message (except the system message) of {model} must be a user message"
        return _deepseek(f"{first}, but an assistant message detected.")
    for before, after in pairwise(spoken):
        if before.role == after.role:
            where = f"(messages[{before.at}] and messages[{after.at}] in your input)"
            return _deepseek(
                f"{model} does not support successive user or assistant messages {where}. "
                "You should interleave the user/assistant messages in the message sequence."
            )
    if not spoken or (spoken[-1].role == "assistant" and not spoken[-1].prefix):
        return _deepseek(
            f"The last message of {model} must be a user message, or an assistant message with prefix mode on "
            "(refer to https://api-docs.deepseek.com/guides/chat_prefix_completion)."
        )
    return None


def _deepseek(message: str) -> Refusal:
    return Refusal(400, message, code="invalid_request_error")


# Perplexity


def perplexity_order(turns: Sequence[Turn], body: Body) -> Refusal | None:
    """Systems first, then user or tool in turns with assistant, user or tool last."""
    spoken = list(turns)
    while spoken and spoken[0].role == "system":
        spoken.pop(0)
    speakers = [turn.role in ("user", "tool") for turn in spoken]
    in_turns = speakers == [at % 2 == 0 for at in range(len(spoken))]
    if not in_turns or any(turn.role == "system" for turn in spoken):
        after = "After the (optional) system message(s), user or tool message(s) should alternate"
        return Refusal(400, f"{after} with assistant message(s).", "invalid_message", 400)
    if not speakers or not speakers[-1]:
        return Refusal(400, "Last message must have role `user` or `tool`.", "invalid_message", 400)
    return None


# Mistral


MISTRAL_AFTER = {
    "system": {"system", "user", "assistant"},
    "user": {"system", "user", "assistant"},
    "assistant": {"user", "assistant", "tool"},
    "tool": {"assistant", "tool"},
}


def mistral_order(turns: Sequence[Turn], body: Body) -> Refusal | None:
    """The order that mistral-common checks: user may follow user, but not tool, and system may not follow assistant."""
    if not turns:
        return _mistral("Conversation must have at least one message")
    for before, after in pairwise(turns):
        if after.role not in MISTRAL_AFTER.get(before.role, set()):
            return _mistral(f"Unexpected role '{after.role}' after role '{before.role}'")
    last = turns[-1]
    if last.role not in ("user", "tool") and not (last.role == "assistant" and last.prefix):
        expected = "Expected last role User or Tool (or Assistant with prefix True) for serving"
        return _mistral(f"{expected} but got {last.role}")
    return None


def _mistral(message: str) -> Refusal:
    return Refusal(400, message, "invalid_request_message_order", "3230")


def mistral_content(turns: Sequence[Turn], body: Body) -> Refusal | None:
    for turn in turns:
        if turn.role == "assistant" and not turn.text and "tool_calls" not in turn.keys:
            message = "Assistant message must have either content or tool_calls, but not none."
            return Refusal(400, message, "invalid_request_assistant_message", "3240")
    return None


# Anthropic


def anthropic_order(turns: Sequence[Turn], body: Body) -> Refusal | None:
    """Neighbours of one role are merged by the API. The first is the user's, and for the newest models the last too."""
    spoken = [turn for turn in turns if turn.role != "system"]
    if not spoken:
        return Refusal(400, "messages: at least one message is required")
    if spoken[0].role != "user":
        return Refusal(400, 'messages: first message must use the "user" role')
    return None


def anthropic_content(turns: Sequence[Turn], body: Body) -> Refusal | None:
    spoken = [turn for turn in turns if turn.role != "system"]
    for turn in spoken:
        if not turn.texts:
            rule = "all messages must have non-empty content except for the optional final assistant message"
            if turn is not spoken[-1] or turn.role != "assistant":
                return Refusal(400, f"messages.{turn.at}: {rule}")
        if any(text == "" for text in turn.texts):
            return Refusal(400, "messages: text content blocks must be non-empty")
        if any(not text.strip() for text in turn.texts):
            return Refusal(400, "messages: text content blocks must contain non-whitespace text")
    if any(not text.strip() for turn in turns if turn.role == "system" for text in turn.texts):
        return Refusal(400, "system: text content blocks must be non-empty")
    return None


def anthropic_end(turns: Sequence[Turn], body: Body) -> Refusal | None:
    last = turns[-1]
    if last.role == "assistant" and last.text != last.text.rstrip():
        return Refusal(400, "messages: final assistant content cannot end with trailing whitespace")
    return None


def anthropic_no_prefill(turns: Sequence[Turn], body: Body) -> Refusal | None:
    if turns[-1].role == "assistant":
        ends = "The conversation must end with a user message."
        return Refusal(400, f"This model does not support assistant message prefill. {ends}")
    return None


# Bedrock's Converse


def bedrock_order(turns: Sequence[Turn], body: Body) -> Refusal | None:
    spoken = [turn for turn in turns if turn.role != "system"]
    if not spoken or spoken[0].role != "user":
        start = "A conversation must start with a user message. Try again with a conversation that starts with"
        return _bedrock(f"{start} a user message.")
    if any(before.role == after.role for before, after in pairwise(spoken)):
        return _bedrock(
            "A conversation must alternate between user and assistant roles. "
            "Make sure the conversation alternates between user and assistant roles and try again."
        )
    return None


def bedrock_content(turns: Sequence[Turn], body: Body) -> Refusal | None:
    for turn in turns:
        if not turn.texts:
            empty = f"The content field in the Message object at messages.{turn.at} is empty."
            return _bedrock(f"{empty} Add a ContentBlock object to the content field and try again.")
        for block, text in enumerate(turn.texts):
            if not text.strip():
                blank = f"The text field in the ContentBlock object at messages.{turn.at}.content.{block} is blank."
                return _bedrock(f"{blank} Add text to the text field, and try again.")
    return None


def bedrock_end(turns: Sequence[Turn], body: Body) -> Refusal | None:
    refusal = anthropic_end(turns, body)
    return refusal and _bedrock(f"The model returned the following errors: {refusal.message}")


def _bedrock(message: str) -> Refusal:
    return Refusal(400, message, "ValidationException")


# Gemini


def gemini_order(turns: Sequence[Turn], body: Body) -> Refusal | None:
    spoken = [turn for turn in turns if turn.role != "system"]
    if not spoken:
        return _gemini("* GenerateContentRequest.contents: contents is not specified\n")
    for turn in spoken:
        if turn.role not in ("user", "model", "function"):
            return _gemini("Please use a valid role: user, model.")
    if [turn.role == "user" for turn in spoken] != [at % 2 == 0 for at in range(len(spoken))]:
        return _gemini("Please ensure that multiturn requests alternate between user and model.")
    if spoken[-1].role == "model":
        return _gemini("Please ensure that multiturn requests ends with a user role or a function response.")
    return None


def gemini_content(turns: Sequence[Turn], body: Body) -> Refusal | None:
    for turn in turns:
        for part, text in enumerate(turn.texts or ("",)):
            if not text:
                where = f"GenerateContentRequest.contents[{turn.at}].parts[{part}].data"
                return _gemini(f"* {where}: required oneof field 'data' must have one initialized field\n")
    return None


def _gemini(message: str) -> Refusal:
    return Refusal(400, message, "INVALID_ARGUMENT")


# OpenAI


def openai_content(turns: Sequence[Turn], body: Body) -> Refusal | None:
    """Any order is taken, but no empty list and no user without content."""
    if not turns:
        least = "Expected an array with minimum length 1, but got an empty array instead."
        return Refusal(400, f"Invalid 'messages': empty array. {least}", code="empty_array", param="messages")
    for turn in turns:
        if not turn.texts and turn.role != "assistant":
            null = "Invalid value for 'content': expected a string, got null."
            return Refusal(400, null, param=f"messages.[{turn.at}].content")
    return None


def reasoning_parameters(turns: Sequence[Turn], body: Body) -> Refusal | None:
    """As the o-series: `developer` for `system`, no temperature but 1, no max_tokens."""
    for turn in turns:
        if turn.role == "system":
            where = f"messages[{turn.at}].role"
            message = f"Unsupported value: '{where}' does not support 'system' with this model."
            return Refusal(400, message, code="unsupported_value", param=where)
    if body.get("temperature", 1) != 1:
        only = "Only the default (1) value is supported."
        message = f"Unsupported value: 'temperature' does not support {body['temperature']} with this model. {only}"
        return Refusal(400, message, code="unsupported_value", param="temperature")
    if "max_tokens" in body:
        instead = "Use 'max_completion_tokens' instead."
        message = f"Unsupported parameter: 'max_tokens' is not supported with this model. {instead}"
        return Refusal(400, message, code="unsupported_parameter", param="max_tokens")
    return None


# Chat templates, as vLLM and llama.cpp run them


def gemma3_template(turns: Sequence[Turn], body: Body) -> Refusal | None:
    """A first system message is merged into the user's. All others must be user at even places and not at odd ones."""
    spoken = turns[1:] if turns and turns[0].role == "system" else turns
    return _template(turns, ALTERNATE if _out_of_turn(spoken) else None)


def gemma2_template(turns: Sequence[Turn], body: Body) -> Refusal | None:
    if turns and turns[0].role == "system":
        return _vllm("System role not supported")
    return _template(turns, ALTERNATE if _out_of_turn(turns) else None)


def mistral_template(turns: Sequence[Turn], body: Body) -> Refusal | None:
    spoken = turns[1:] if turns and turns[0].role == "system" else turns
    if _out_of_turn([turn for turn in spoken if turn.role != "tool"]):
        return _template(turns, ALTERNATE_AFTER_SYSTEM)
    only = "Only user and assistant roles are supported, with the exception of an initial optional system message!"
    known = all(turn.role in ("user", "assistant", "tool") for turn in spoken)
    return _template(turns, None if known else only)


def llamacpp_template(turns: Sequence[Turn], body: Body) -> Refusal | None:
    """The same template in llama.cpp: its exception becomes an HTTP 500."""
    refusal = gemma3_template(turns, body)
    if refusal is None:
        return None
    return Refusal(
        500,
        "\n------------\nWhile executing CallExpression at line 19, column 27 in source:\n"
        '...% 2 == 0) -%}↵        {{ raise_exception("Conversation roles must alternate user...\n'
        f"{' ' * 43}^\nError: Jinja Exception: {refusal.message}",
        "server_error",
        500,
    )


def _template(turns: Sequence[Turn], refusal: str | None) -> Refusal | None:
    """Every template looks at the first message before it looks for its faults."""
    if not turns:
        return _vllm("list object has no element 0")
    return _vllm(refusal) if refusal else None


def _out_of_turn(turns: Sequence[Turn]) -> bool:
    return any((turn.role == "user") != (at % 2 == 0) for at, turn in enumerate(turns))


def _vllm(message: str) -> Refusal:
    return Refusal(400, message, "BadRequestError", 400)
