"""Access to parts of a request whose shape has been checked at the door: what is cast here was held by that check."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import cast

from optimizer.domain.errors import ModelError
from optimizer.domain.json import Json, JsonObject, canonical_json


def objects(value: Json) -> list[JsonObject]:
    """The objects of a list; none for null."""
    found = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    return [one for one in found if isinstance(one, Mapping)]


def part(value: Json) -> JsonObject:
    """An object that is known to be there."""
    return cast("JsonObject", value)


def text(value: Json) -> str:
    """A text that is known to be there; empty for null."""
    return value if isinstance(value, str) else ""


def joined(parts: Json, *kinds: str) -> str:
    """The text of a content: a plain one, or its parts of the given types."""
    if isinstance(parts, str):
        return parts
    return "\n".join(text(one.get("text") or one.get("refusal")) for one in objects(parts) if one.get("type") in kinds)


def spelled(arguments: Json) -> str:
    """Tool arguments as the chat format carries them: JSON text."""
    return canonical_json(arguments)


def parsed(arguments: str) -> Json:
    """Tool arguments as the messages format carries them; what is no JSON object is kept as it was written."""
    try:
        found: Json = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return {"_malformed": arguments}
    return found if isinstance(found, dict) else {"_malformed": arguments}


def data_url(media_type: str, base64: str) -> str:
    """An image as one URL."""
    return f"data:{media_type};base64,{base64}"


def base64_source(url: str) -> JsonObject:
    """An image's data URL as media type and data.

    Raises:
        ModelError: not base64.
    """
    head, comma, encoded = url.partition(",")
    media_type, _, encoding = head.removeprefix("data:").partition(";")
    if not comma or encoding != "base64":
        raise ModelError(f"an image must be a base64 data URL, got one that begins {url[:40]!r}")
    return {"type": "base64", "media_type": media_type, "data": encoded}


def refuse_unknown(request: JsonObject, known: frozenset[str], target: str) -> None:
    """Refuse parameters that the other format cannot say: to drop one would change what the harness asked for.

    Raises:
        ModelError: names them.
    """
    lost = sorted(name for name, value in request.items() if name not in known and value is not None)
    if lost:
        raise ModelError(f"this model is served in the {target} format, which has no {', '.join(lost)}; leave it out")
