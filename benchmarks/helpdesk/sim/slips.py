"""The wrong calls a lapsing model makes: tools that do not exist, arguments that do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.helpdesk.sim.conditions import ToolSeen
from benchmarks.helpdesk.sim.moves import Use
from optimizer.domain.json import Json, JsonObject, canonical_json

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "get": ("fetch", "lookup", "retrieve"),
    "list": ("get_all", "search", "fetch"),
    "find": ("search", "lookup", "get"),
    "verify": ("authenticate", "confirm", "check"),
    "check": ("get", "query", "lookup"),
    "track": ("get", "check", "trace"),
    "cancel": ("delete", "void", "abort"),
    "refund": ("process_refund_of", "return", "reimburse"),
    "replace": ("send_replacement", "reship", "resend"),
    "exchange": ("swap", "switch", "process_exchange_of"),
    "change": ("modify", "update", "edit"),
    "update": ("set", "change", "edit"),
    "issue": ("add", "grant", "create"),
    "escalate": ("transfer", "handoff", "hand_over"),
}

FREE_TEXT = "as the customer asked"
FILLERS: Mapping[str, Json] = {"boolean": True, "integer": 1, "number": 1.0, "array": [], "object": {}}


def wrong_name(tool: str, offered: Mapping[str, ToolSeen], draw: float) -> str:
    """A plausible name that is not among the offered tools."""
    verb, _, rest = tool.partition("_")
    candidates = [f"{word}_{rest}" if rest else word for word in SYNONYMS.get(verb, ("do", "run"))]
    candidates += [f"{tool}_details", f"{tool}_v2", f"{tool}_request"]
    unknown = [name for name in candidates if name not in offered]
    return unknown[int(draw * len(unknown))] if unknown else f"{tool}_now"


def spoiled(use: Use, draw: float) -> Use:
    """The same call with one thing wrong in its arguments."""
    if not use.arguments:
        return Use(tool=use.tool, arguments=use.arguments, raw="{")
    names = sorted(use.arguments)
    name = names[int(draw * 997) % len(names)]
    if draw < 0.4:
        return Use(tool=use.tool, arguments={k: v for k, v in use.arguments.items() if k != name})
    if draw < 0.75:
        return Use(tool=use.tool, arguments={**use.arguments, name: _wrong_type(use.arguments[name])})
    if draw < 0.92:
        first = next((k for k in names if k.endswith("id")), name)
        renamed = {k: v for k, v in use.arguments.items() if k != first}
        return Use(tool=use.tool, arguments={**renamed, first.removesuffix("_id") + "_number": use.arguments[first]})
    return Use(tool=use.tool, arguments=use.arguments, raw=canonical_json(use.arguments)[:-1])


def _wrong_type(value: Json) -> Json:
    match value:
        case str():
            return [value]
        case bool() | None:
            return "maybe"
        case int() | float():
            return f"${value}"
        case _:
            return "all"


def completed(arguments: JsonObject, tool: ToolSeen) -> JsonObject:
    """Fill in what a harness's schema requires and the plan does not know: a flag, a choice, a sentence."""
    properties = tool.parameters.get("properties")
    required = tool.parameters.get("required")
    if not isinstance(properties, Mapping) or not isinstance(required, list | tuple):
        return arguments
    extra = {str(name): _filler(properties.get(str(name))) for name in required if name not in arguments}
    return {**arguments, **extra}


def _filler(schema: Json) -> Json:
    schema = schema if isinstance(schema, Mapping) else {}
    options = schema.get("enum")
    if isinstance(options, list | tuple) and options:
        first: Json = options[0]
        return first
    kind = schema.get("type")
    return FILLERS.get(kind, FREE_TEXT) if isinstance(kind, str) else FREE_TEXT
