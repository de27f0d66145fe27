"""JSON on the door: strict and bounded on the way in, plain on the way out."""

from __future__ import annotations

import json
import math
from typing import NoReturn, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from optimizer.domain.json import Json, JsonObject
from optimizer.gateway.http import HttpReply, RequestRefusedError

_TYPES = {400: "invalid_request_error", 402: "budget_error", 404: "not_found_error", 429: "budget_error"}
_N_SHOWN_PROBLEMS = 3


class Lax(BaseModel):
    """Part of an echoed reply: what an SDK or a provider adds to it (nulls, annotations) is left out, not refused."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Exact(BaseModel):
    """What a harness writes itself: anything unknown is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def parse_object(body: bytes, *, max_depth: int) -> JsonObject:
    """Parse a request body that must be one JSON object.

    Raises:
        RequestRefusedError: 400 for anything else, for NaN and infinities, deep nesting and lone surrogates.
    """
    try:
        value: Json = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise RequestRefusedError(400, "bad_json", f"the body is not JSON: {reason}") from error
    if not isinstance(value, dict):
        raise RequestRefusedError(400, "bad_json", "the body must be a JSON object")
    if body.count(b"{") + body.count(b"[") > max_depth and _is_deeper(value, max_depth):
        raise RequestRefusedError(400, "json_too_deep", f"JSON may be nested {max_depth} deep, this is deeper")
    if b"\\u" in body:
        _refuse_lone_surrogates(value)
    return cast("JsonObject", value)


def json_reply(value: Json, *, status: int = 200) -> HttpReply:
    """Spell a value as a reply."""
    return HttpReply(status=status, body=json.dumps(value, separators=(",", ":")).encode("ascii"))


def error_reply(refusal: RequestRefusedError) -> HttpReply:
    """Say why a request is refused, in the shape that the providers' SDKs read."""
    kind = _TYPES.get(refusal.status, "gateway_error")
    return json_reply(
        {"error": {"message": refusal.message, "type": kind, "code": refusal.code}}, status=refusal.status
    )


def problems_of(error: ValidationError) -> str:
    """The first few problems pydantic found, on one line, without the values."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [f"{'.'.join(str(part) for part in one['loc']) or 'body'}: {one['msg']}" for one in found]
    more = f" (and {len(shown) - _N_SHOWN_PROBLEMS} more)" if len(shown) > _N_SHOWN_PROBLEMS else ""
    return "; ".join(shown[:_N_SHOWN_PROBLEMS]) + more


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large for a number")
    return number


def _is_deeper(value: Json, max_depth: int) -> bool:
    level: list[Json] = [value]
    for _ in range(max_depth):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return False
    return True


def _children(value: Json) -> list[Json]:
    """The arrays and objects directly inside a value, and nothing for a scalar."""
    inner: list[Json] = []
    if isinstance(value, dict):
        inner = list(value.values())
    elif isinstance(value, list):
        inner = value
    return [child for child in inner if isinstance(child, (dict, list))]


def _refuse_lone_surrogates(value: Json) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise RequestRefusedError(400, "bad_json", "the body holds half a surrogate pair, which is no text") from error
