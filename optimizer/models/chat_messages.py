"""OpenAI chat completions and Anthropic messages, each as the other. Pure functions; requests have been checked before.

What the chat format cannot hold is refused (`top_k`, enabled thinking) or, where it is an echo of an earlier answer
(thinking blocks) or a hint about caching, left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.domain.errors import ModelError
from optimizer.domain.json import Json, JsonObject
from optimizer.models import shapes
from optimizer.models.openai_wire import Completion

_FROM_CHAT = frozenset(
    {"model", "messages", "tools", "tool_choice", "parallel_tool_calls", "max_tokens", "max_completion_tokens"}
    | {"temperature", "top_p", "stop"}
)
_TO_CHAT = frozenset(
    {"model", "messages", "system", "tools", "tool_choice", "max_tokens", "temperature", "top_p", "stop_sequences"}
    | {"thinking"}
)
_STOPS = {"tool_use": "tool_calls", "max_tokens": "length", "refusal": "content_filter"}
_STOPS_BACK = {"tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}


def chat_from_messages(request: JsonObject) -> JsonObject:
    """A messages request as a chat completions request.

    Raises:
        ModelError: it asks for something the chat format cannot say.
    """
    shapes.refuse_unknown(request, _TO_CHAT, "chat completions")
    thinking = request.get("thinking")
    if thinking is not None and shapes.part(thinking).get("type") != "disabled":
        raise ModelError("this model is served in the chat completions format, which has no thinking; leave it out")
    chat: dict[str, Json] = {"model": request["model"], "messages": list(_chat_messages(request))}
    if request.get("tools"):
        chat["tools"] = [_chat_tool(tool) for tool in shapes.objects(request["tools"])]
    for name, other in (("max_tokens", "max_tokens"), ("temperature", "temperature"), ("top_p", "top_p")):
        if request.get(name) is not None:
            chat[other] = request[name]
    if request.get("stop_sequences"):
        chat["stop"] = request["stop_sequences"]
    if request.get("tool_choice") is not None:
        chat |= _chat_choice(shapes.part(request["tool_choice"]))
    return chat


def _chat_messages(request: JsonObject) -> Iterator[JsonObject]:
    system = shapes.joined(request.get("system"), "text")
    if system:
        yield {"role": "system", "content": system}
    for message in shapes.objects(request["messages"]):
        content = message["content"]
        if isinstance(content, str):
            yield {"role": message["role"], "content": content}
        elif message["role"] == "assistant":
            yield _chat_assistant(shapes.objects(content))
        else:
            yield from _chat_user(shapes.objects(content))


def _chat_assistant(blocks: list[JsonObject]) -> JsonObject:
    words = "".join(shapes.text(block["text"]) for block in blocks if block["type"] == "text")
    calls: list[Json] = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": block["name"], "arguments": shapes.spelled(block["input"])},
        }
        for block in blocks
        if block["type"] == "tool_use"
    ]
    message: dict[str, Json] = {"role": "assistant", "content": words or None if calls else words}
    return message | {"tool_calls": calls} if calls else message


def _chat_user(blocks: list[JsonObject]) -> Iterator[JsonObject]:
    """Tool results first, as both formats want them; an image inside a result follows in the user's words."""
    parts: list[Json] = []
    for block in blocks:
        if block["type"] != "tool_result":
            parts.append(_chat_part(block))
            continue
        content = block.get("content")
        said = shapes.joined(content, "text")
        is_marked = block.get("is_error") and not said.startswith("Error")
        words = f"Error: {said}" if is_marked else said
        yield {"role": "tool", "tool_call_id": block["tool_use_id"], "content": words}
        parts.extend(_chat_part(one) for one in shapes.objects(content) if one["type"] == "image")
    if len(parts) == 1 and blocks[-1]["type"] == "text":
        yield {"role": "user", "content": shapes.part(parts[0])["text"]}
    elif parts:
        yield {"role": "user", "content": parts}


def _chat_part(block: JsonObject) -> JsonObject:
    if block["type"] == "text":
        return {"type": "text", "text": block["text"]}
    source = shapes.part(block["source"])
    url = shapes.data_url(shapes.text(source["media_type"]), shapes.text(source["data"]))
    return {"type": "image_url", "image_url": {"url": url}}


def _chat_tool(tool: JsonObject) -> JsonObject:
    function: dict[str, Json] = {"name": tool["name"], "parameters": tool["input_schema"]}
    if tool.get("description") is not None:
        function["description"] = tool["description"]
    return {"type": "function", "function": function}


def _chat_choice(choice: JsonObject) -> JsonObject:
    found: dict[str, Json] = {}
    if choice["type"] == "tool":
        found["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    else:
        found["tool_choice"] = {"auto": "auto", "any": "required", "none": "none"}[shapes.text(choice["type"])]
    if choice.get("disable_parallel_tool_use"):
        found["parallel_tool_calls"] = False
    return found


def messages_from_chat(request: JsonObject) -> JsonObject:
    """A chat completions request as a messages request.

    Raises:
        ModelError: it asks for something the messages format cannot say.
    """
    shapes.refuse_unknown(request, _FROM_CHAT, "messages")
    turns: list[tuple[str, list[Json]]] = []
    system: list[str] = []
    for message in shapes.objects(request["messages"]):
        if message["role"] in {"system", "developer"}:
            system.append(shapes.joined(message.get("content"), "text"))
            continue
        role = "assistant" if message["role"] == "assistant" else "user"
        if not turns or turns[-1][0] != role:
            turns.append((role, []))
        turns[-1][1].extend(_blocks(message))
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    sent: dict[str, Json] = {
        "model": request["model"],
        "max_tokens": limit,
        "messages": [{"role": role, "content": blocks} for role, blocks in turns if blocks],
    }
    if any(system):
        sent["system"] = "\n\n".join(one for one in system if one)
    return {**sent, **_options(request)}


def _options(request: JsonObject) -> JsonObject:
    found: dict[str, Json] = {}
    if request.get("tools"):
        found["tools"] = [_messages_tool(shapes.part(tool["function"])) for tool in shapes.objects(request["tools"])]
        is_parallel = request.get("parallel_tool_calls") is not False
        choice = _messages_choice(request.get("tool_choice"), is_parallel=is_parallel)
        if choice is not None:
            found["tool_choice"] = choice
    for name in ("temperature", "top_p"):
        if request.get(name) is not None:
            found[name] = request[name]
    stop = request.get("stop")
    if stop is not None:
        found["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    return found


def _messages_tool(function: JsonObject) -> JsonObject:
    tool: dict[str, Json] = {
        "name": function["name"],
        "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
    }
    if function.get("description") is not None:
        tool["description"] = function["description"]
    return tool


def _messages_choice(choice: Json, *, is_parallel: bool) -> JsonObject | None:
    found: dict[str, Json]
    if choice is None and is_parallel:
        return None
    if isinstance(choice, str) or choice is None:
        found = {"type": {"required": "any", "none": "none"}.get(choice or "auto", "auto")}
    else:
        named = shapes.part(shapes.part(choice).get("function") or {})
        found = {"type": "tool", "name": named.get("name")}
    return found if is_parallel or found["type"] == "none" else found | {"disable_parallel_tool_use": True}


def _blocks(message: JsonObject) -> Iterator[JsonObject]:
    content = message.get("content")
    if message["role"] == "tool":
        words = shapes.joined(content, "text")
        yield {"type": "tool_result", "tool_use_id": message.get("tool_call_id"), "content": words}
        return
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    for one in shapes.objects(content):
        if one["type"] == "image_url":
            url = shapes.text(shapes.part(one["image_url"])["url"])
            yield {"type": "image", "source": shapes.base64_source(url)}
        elif words := shapes.text(one.get("text") or one.get("refusal")):
            yield {"type": "text", "text": words}
    for call in shapes.objects(message.get("tool_calls")):
        function = shapes.part(call["function"])
        arguments = shapes.parsed(shapes.text(function["arguments"]))
        yield {"type": "tool_use", "id": call["id"], "name": function["name"], "input": arguments}


def message_from_completion(completion: JsonObject) -> JsonObject:
    """A chat completion as an Anthropic message."""
    read = Completion.model_validate(completion)
    said, used = read.choices[0].message, read.usage
    content: list[Json] = []
    if words := said.content or said.refused:
        content.append({"type": "text", "text": words})
    for n, call in enumerate(said.tool_calls or ()):
        given = call.function.arguments
        arguments = shapes.parsed(given) if isinstance(given, str) else given
        content.append(
            {"type": "tool_use", "id": call.id or f"call_{n}", "name": call.function.name, "input": arguments}
        )
    stop = "refusal" if said.refused else _STOPS_BACK.get(read.choices[0].finish_reason or "", "end_turn")
    n_cached = (used.prompt_tokens_details.cached_tokens if used and used.prompt_tokens_details else None) or 0
    return {
        "id": f"msg_{completion.get('id') or 'translated'}",
        "type": "message",
        "role": "assistant",
        "model": completion.get("model") or "",
        "content": content,
        "stop_reason": "tool_use" if said.tool_calls and stop == "end_turn" else stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": used.prompt_tokens - n_cached if used else 0,
            "cache_read_input_tokens": n_cached,
            "cache_creation_input_tokens": 0,
            "output_tokens": used.completion_tokens if used else 0,
        },
    }


def completion_from_message(message: JsonObject) -> JsonObject:
    """An Anthropic message as a chat completion; thinking, which the chat format has no place for, is left out."""
    blocks = shapes.objects(message.get("content"))
    said = _chat_assistant([block for block in blocks if block.get("type") in {"text", "tool_use"}])
    used = shapes.part(message["usage"])
    n_read, n_written = _count(used, "cache_read_input_tokens"), _count(used, "cache_creation_input_tokens")
    n_input, n_output = _count(used, "input_tokens") + n_read + n_written, _count(used, "output_tokens")
    stop = shapes.text(message.get("stop_reason"))
    return {
        "id": message.get("id") or "translated",
        "object": "chat.completion",
        "created": 0,
        "model": message.get("model") or "",
        "choices": [{"index": 0, "message": said, "finish_reason": _STOPS.get(stop, "stop"), "logprobs": None}],
        "usage": {
            "prompt_tokens": n_input,
            "completion_tokens": n_output,
            "total_tokens": n_input + n_output,
            "prompt_tokens_details": {"cached_tokens": n_read},
        },
    }


def _count(used: JsonObject, name: str) -> int:
    found = used.get(name)
    return found if isinstance(found, int) else 0
