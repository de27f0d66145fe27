"""OpenAI responses as chat completions: requests one way, answers both. Pure functions; requests are checked before."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.domain.json import Json, JsonObject
from optimizer.models import shapes
from optimizer.models.openai_wire import Completion

_TO_CHAT = frozenset(
    {"model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "max_output_tokens"}
    | {"temperature", "top_p", "text", "reasoning", "store", "include", "truncation"}
)
_SAME = ("parallel_tool_calls", "temperature", "top_p")
_TEXTS = ("input_text", "output_text", "refusal", "text")


def chat_from_responses(request: JsonObject) -> JsonObject:
    """A responses request as a chat completions request.

    Raises:
        ModelError: it asks for something the chat format cannot say.
    """
    shapes.refuse_unknown(request, _TO_CHAT, "chat completions")
    chat: dict[str, Json] = {"model": request["model"], "messages": _chat_messages(request)}
    if request.get("tools"):
        chat["tools"] = [_chat_tool(tool) for tool in shapes.objects(request["tools"])]
    for name in _SAME:
        if request.get(name) is not None:
            chat[name] = request[name]
    if request.get("max_output_tokens") is not None:
        chat["max_tokens"] = request["max_output_tokens"]
    choice = request.get("tool_choice")
    if isinstance(choice, str):
        chat["tool_choice"] = choice
    elif choice is not None:
        chat["tool_choice"] = {"type": "function", "function": {"name": shapes.part(choice).get("name")}}
    effort = shapes.part(request.get("reasoning") or {}).get("effort")
    if effort is not None:
        chat["reasoning_effort"] = effort
    return {**chat, **_text_options(shapes.part(request.get("text") or {}))}


def _text_options(wanted: JsonObject) -> JsonObject:
    found: dict[str, Json] = {}
    if wanted.get("verbosity") is not None:
        found["verbosity"] = wanted["verbosity"]
    shape = shapes.part(wanted.get("format") or {})
    if shape.get("type") == "json_object":
        found["response_format"] = {"type": "json_object"}
    elif shape.get("type") == "json_schema":
        schema: JsonObject = {name: value for name, value in shape.items() if name != "type" and value is not None}
        found["response_format"] = {"type": "json_schema", "json_schema": schema}
    return found


def _chat_messages(request: JsonObject) -> list[Json]:
    messages: list[Json] = []
    if request.get("instructions"):
        messages.append({"role": "system", "content": request["instructions"]})
    given = request["input"]
    if isinstance(given, str):
        messages.append({"role": "user", "content": given})
        return messages
    for item in shapes.objects(given):
        _append(messages, item)
    return messages


def _append(messages: list[Json], item: JsonObject) -> None:
    """Calls join the assistant's message before them: the chat format has them in one."""
    kind = item.get("type") or "message"
    if kind == "function_call":
        call = {
            "id": item["call_id"],
            "type": "function",
            "function": {"name": item["name"], "arguments": item["arguments"]},
        }
        last = shapes.part(messages[-1]) if messages else {}
        is_open = last.get("role") == "assistant"
        earlier: JsonObject = last if is_open else {"role": "assistant", "content": None}
        merged = dict(earlier) | {"tool_calls": [*shapes.objects(earlier.get("tool_calls")), call]}
        messages[len(messages) - is_open :] = [merged]
    elif kind == "function_call_output":
        words = shapes.joined(item["output"], *_TEXTS)
        messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": words})
    elif kind == "message":
        messages.append(_chat_message(item))


def _chat_message(item: JsonObject) -> JsonObject:
    content = item["content"]
    if isinstance(content, str) or item["role"] == "assistant":
        return {"role": item["role"], "content": shapes.joined(content, *_TEXTS)}
    parts: list[Json] = [_chat_part(one) for one in shapes.objects(content)]
    only = shapes.part(parts[0]) if len(parts) == 1 else {}
    return {"role": item["role"], "content": only["text"] if only.get("type") == "text" else parts}


def _chat_part(one: JsonObject) -> JsonObject:
    if one["type"] != "input_image":
        return {"type": "text", "text": shapes.text(one.get("text"))}
    image: dict[str, Json] = {"url": one["image_url"]}
    if one.get("detail") is not None:
        image["detail"] = one["detail"]
    return {"type": "image_url", "image_url": image}


def _chat_tool(tool: JsonObject) -> JsonObject:
    names = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {name: tool[name] for name in names if tool.get(name) is not None}}


def response_from_completion(completion: JsonObject) -> JsonObject:
    """A chat completion as a response."""
    read = Completion.model_validate(completion)
    key = str(completion.get("id") or "translated")
    reason = read.choices[0].finish_reason
    cut = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(reason or "")
    return {
        "id": f"resp_{key}",
        "object": "response",
        "created_at": completion.get("created") or 0,
        "status": "incomplete" if cut else "completed",
        "error": None,
        "incomplete_details": {"reason": cut} if cut else None,
        "instructions": None,
        "metadata": {},
        "model": completion.get("model") or "",
        "output": list(_output(read, key, "incomplete" if cut else "completed")),
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "store": False,
        "usage": _usage(read),
    }


def _output(read: Completion, key: str, status: str) -> Iterator[JsonObject]:
    said = read.choices[0].message
    if said.refused or said.content or not said.tool_calls:
        words: JsonObject = {"type": "output_text", "text": said.content or "", "annotations": [], "logprobs": []}
        part: JsonObject = {"type": "refusal", "refusal": said.refused} if said.refused else words
        yield {"id": f"msg_{key}", "type": "message", "role": "assistant", "status": status, "content": [part]}
    for n, call in enumerate(said.tool_calls or ()):
        given = call.function.arguments
        yield {
            "id": f"fc_{key}_{n}",
            "type": "function_call",
            "call_id": call.id or f"call_{n}",
            "name": call.function.name,
            "arguments": given if isinstance(given, str) else shapes.spelled(given),
            "status": "completed",
        }


def _usage(read: Completion) -> JsonObject | None:
    used = read.usage
    if used is None:
        return None
    prompt, output = used.prompt_tokens_details, used.completion_tokens_details
    return {
        "input_tokens": used.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": (prompt.cached_tokens if prompt else None) or 0,
            "cache_write_tokens": 0,
        },
        "output_tokens": used.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": (output.reasoning_tokens if output else None) or 0},
        "total_tokens": used.prompt_tokens + used.completion_tokens,
    }


def completion_from_response(response: JsonObject) -> JsonObject:
    """A response as a chat completion: what a trace shows, and what its meter reads."""
    items = shapes.objects(response.get("output"))
    parts = [part for item in items if item.get("type") == "message" for part in shapes.objects(item.get("content"))]
    calls: list[Json] = [_chat_call(item) for item in items if item.get("type") == "function_call"]
    words = "".join(shapes.text(part.get("text")) for part in parts if part.get("type") == "output_text")
    refusal = "".join(shapes.text(part.get("refusal")) for part in parts if part.get("type") == "refusal")
    said: dict[str, Json] = {"role": "assistant", "content": words or None}
    if refusal:
        said["refusal"] = refusal
    if calls:
        said["tool_calls"] = calls
    cut = shapes.part(response.get("incomplete_details") or {}).get("reason")
    finished = {"max_output_tokens": "length", "content_filter": "content_filter"}.get(shapes.text(cut), "stop")
    used = shapes.part(response["usage"])
    return {
        "id": response.get("id") or "translated",
        "object": "chat.completion",
        "created": response.get("created_at") or 0,
        "model": response.get("model") or "",
        "choices": [
            {
                "index": 0,
                "message": said,
                "finish_reason": "tool_calls" if calls and not cut else finished,
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": used["input_tokens"],
            "completion_tokens": used["output_tokens"],
            "total_tokens": used.get("total_tokens"),
            "prompt_tokens_details": used.get("input_tokens_details"),
            "completion_tokens_details": used.get("output_tokens_details"),
        },
    }


def _chat_call(item: JsonObject) -> JsonObject:
    function: JsonObject = {"name": item["name"], "arguments": item["arguments"]}
    return {"id": item["call_id"], "type": "function", "function": function}
