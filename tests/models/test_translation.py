"""Each format as the other, read back by the SDKs' own types."""

from __future__ import annotations

import pytest
from anthropic.types import Message
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from optimizer.domain.errors import ModelError
from optimizer.domain.json import Json, JsonObject
from optimizer.models.chat_messages import (
    chat_from_messages,
    completion_from_message,
    message_from_completion,
    messages_from_chat,
)
from optimizer.models.chat_responses import chat_from_responses, completion_from_response, response_from_completion
from optimizer.models.openai_wire import Completion, usage_of
from tests.models.wire_server import Turn, anthropic_body, openai_body

TURNS = [
    Turn(text="héllo"),
    Turn(text="one sec", calls=(("c1", "look", '{"at":"bed"}'), ("c2", "look", "{}")), stop="tool_use"),
    Turn(calls=(("c1", "look", '{"at":"bed"}'),), stop="tool_use"),
    Turn(text="cut of", stop="length"),
]
USER: JsonObject = {"role": "user", "content": [{"type": "text", "text": "Where?"}]}
IMAGE: JsonObject = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
CALL: JsonObject = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at":"bed"}'}}
SCHEMA: JsonObject = {"type": "object", "properties": {"at": {"type": "string"}}}
CHAT: JsonObject = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": "See.", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "a cup"},
        {"role": "user", "content": [{"type": "text", "text": "And this?"}, IMAGE]},
    ],
    "tools": [{"type": "function", "function": {"name": "look", "parameters": SCHEMA, "description": "Look."}}],
    "tool_choice": "required",
    "max_tokens": 9,
    "temperature": 0.5,
    "stop": ["END"],
}


@pytest.mark.parametrize("turn", TURNS, ids=["text", "text and calls", "a call", "cut"])
def test_an_answer_translated_there_and_back_is_the_same(turn: Turn) -> None:
    chat, message = openai_body(turn), anthropic_body(turn)
    assert _essence(completion_from_message(message_from_completion(chat))) == _essence(chat)
    assert _essence(completion_from_response(response_from_completion(chat))) == _essence(chat)
    back = message_from_completion(completion_from_message(message))
    assert {**back, "id": "", "model": ""} == {**message, "id": "", "model": ""}


@pytest.mark.parametrize("turn", TURNS, ids=["text", "text and calls", "a call", "cut"])
def test_a_translated_answer_is_what_the_sdks_know(turn: Turn) -> None:
    chat = openai_body(turn)
    message = Message.model_validate(message_from_completion(chat))
    response = Response.model_validate(response_from_completion(chat))
    completion = ChatCompletion.model_validate(completion_from_message(anthropic_body(turn)))
    assert message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0) == turn.n_input
    assert response.usage is not None
    assert response.usage.total_tokens == turn.n_input + turn.n_output
    assert response.status == ("incomplete" if turn.stop == "length" else "completed")
    assert response.output_text == turn.text
    assert (completion.choices[0].message.content or "") == turn.text
    assert len(completion.choices[0].message.tool_calls or ()) == len(turn.calls)


def test_a_refusal_stays_one() -> None:
    chat = openai_body(Turn(text="I will not.", stop="refusal"))
    assert message_from_completion(chat)["stop_reason"] == "refusal"
    response = Response.model_validate(response_from_completion(chat))
    assert response.output[0].type == "message"
    assert response.output[0].content[0].type == "refusal"


def test_usage_survives_translation_to_the_token() -> None:
    chat = openai_body(TURNS[0])
    expected = usage_of(Completion.model_validate(chat), None)
    for other in (message_from_completion(chat),):
        assert usage_of(Completion.model_validate(completion_from_message(other)), None) == expected
    again = completion_from_response(response_from_completion(chat))
    assert usage_of(Completion.model_validate(again), None) == expected


def test_a_chat_request_becomes_a_messages_request_and_comes_back() -> None:
    sent = messages_from_chat(CHAT)
    assert sent == {
        "model": "m",
        "max_tokens": 9,
        "system": "Be brief.",
        "messages": [
            USER,
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "See."},
                    {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": "bed"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "a cup"},
                    {"type": "text", "text": "And this?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                ],
            },
        ],
        "tools": [{"name": "look", "description": "Look.", "input_schema": SCHEMA}],
        "tool_choice": {"type": "any"},
        "temperature": 0.5,
        "stop_sequences": ["END"],
    }
    assert chat_from_messages(sent) == CHAT


def test_a_responses_request_becomes_a_chat_request() -> None:
    shape: Json = {"type": "json_schema", "name": "cup", "schema": SCHEMA, "strict": True}
    sent = chat_from_responses(
        {
            "model": "m",
            "input": [
                {"role": "developer", "content": "Be brief."},
                {"type": "reasoning", "id": "r", "summary": []},
                {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
                {"type": "function_call", "call_id": "c2", "name": "look", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "x"}]},
            ],
            "text": {"format": shape, "verbosity": "low"},
            "reasoning": {"effort": "low"},
            "tool_choice": "none",
        }
    )
    calls = [{"id": id_, "type": "function", "function": {"name": "look", "arguments": "{}"}} for id_ in ("c1", "c2")]
    assert sent == {
        "model": "m",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "c1", "content": "x"},
        ],
        "response_format": {"type": "json_schema", "json_schema": {"name": "cup", "schema": SCHEMA, "strict": True}},
        "verbosity": "low",
        "reasoning_effort": "low",
        "tool_choice": "none",
    }


@pytest.mark.parametrize("extra", [{"seed": 1}, {"response_format": {"type": "json_object"}}, {"logprobs": True}])
def test_what_the_messages_format_cannot_say_is_refused_by_name(extra: JsonObject) -> None:
    with pytest.raises(ModelError, match=next(iter(extra))):
        messages_from_chat({**CHAT, **extra})


def test_an_image_that_is_not_base64_is_refused() -> None:
    part: Json = {"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}}
    with pytest.raises(ModelError, match="base64"):
        messages_from_chat({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [part]}]})


def _essence(completion: JsonObject) -> Json:
    """An answer without names, dates and the keys that are null."""
    assert isinstance(completion["choices"], list)
    choice = completion["choices"][0]
    used = completion["usage"]
    assert isinstance(used, dict)
    counts = [used["prompt_tokens"], used["completion_tokens"], used["prompt_tokens_details"]["cached_tokens"]]
    calls = choice["message"].get("tool_calls")
    return [choice["message"].get("content"), calls, choice["finish_reason"], counts]
