"""A hand-made task for the simulated model, and conversations about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from benchmarks.helpdesk.plan import Ask, Call, Confirm, Plan, Tell, Trap
from benchmarks.helpdesk.sim.model import LapseRecord, SimModel
from benchmarks.helpdesk.sim.rates import NO_LAPSES, LapseKind, Rates
from benchmarks.helpdesk.sim.transcript import parse_arguments
from optimizer.domain.json import Json, JsonObject
from optimizer.domain.model import CallContext

POLICY = "Verify identity before anything.\nGet a yes before every change.\nNever refund more than was paid."
POSTAL = Ask(fact="postal_code", value="12345", question="What is your postal code?")
VERIFY = Call(tool="verify_identity", arguments={"customer_id": "C-1", "postal_code": "12345"}, role="verify")
LOOKUP = Call(tool="get_order", arguments={"order_id": "BV-1"}, role="lookup")
CONFIRM = Confirm(text="I would refund $10.00. Shall I go ahead?")
REFUND = Call(tool="refund_item", arguments={"order_id": "BV-1", "amount": 10.0}, role="write")
DONE = Tell(key="outcome", text="I have refunded $10.00; it takes 5-7 days.")
TOO_MUCH = Call(tool="refund_item", arguments={"order_id": "BV-1", "amount": 99.0}, role="write")
OVER_REFUND = Trap(
    kind="over_refund", at=3, until=5, instead=(Confirm(text="I would refund $99.00. OK?"), TOO_MUCH, DONE)
)
SILENT = Trap(kind="misses_information", at=5, until=5, instead=())
PLAN = Plan(steps=(POSTAL, VERIFY, LOOKUP, CONFIRM, REFUND, DONE), traps=(OVER_REFUND, SILENT))
CLOSING = "Is there anything else I can help you with?"

HELLO = "I want my money back for the kettle."
SYSTEM = f"You are an assistant.\n\n# Policy\n{POLICY}\n\n# Rules\n- Be friendly."


def tool(name: str, *fields: str, description: str = "A tool.") -> JsonObject:
    """A tool as offered on the wire."""
    schema: JsonObject = {
        "type": "object",
        "properties": {field: {"type": "string"} for field in fields},
        "required": list(fields),
    }
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


TOOLS = (
    tool("verify_identity", "customer_id", "postal_code"),
    tool("get_order", "order_id"),
    tool("refund_item", "order_id", "amount"),
)


def user(text: str) -> JsonObject:
    return {"role": "user", "content": text}


def system(text: str) -> JsonObject:
    return {"role": "system", "content": text}


def said(text: str) -> JsonObject:
    return {"role": "assistant", "content": text}


def called(call: Call, result: str = "{}", *, number: int = 1) -> list[JsonObject]:
    """An assistant turn with one call, and its result."""
    id_ = f"call_{number}"
    function = {"name": call.tool, "arguments": json.dumps(call.arguments)}
    return [
        {"role": "assistant", "content": None, "tool_calls": [{"id": id_, "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": id_, "content": result},
    ]


def request(*messages: JsonObject, prompt: str = SYSTEM, tools: Sequence[JsonObject] = TOOLS) -> JsonObject:
    """A request with the system prompt in front."""
    return {"model": "sim", "messages": [system(prompt), *messages], "tools": list(tools)}


IDENTIFIED = (user(HELLO), said(POSTAL.question), user("It is 12345."), *called(VERIFY, '{"verified": true}'))
LOOKED_UP = (*IDENTIFIED, *called(LOOKUP, '{"order_id": "BV-1"}', number=2))
CONFIRMED = (*LOOKED_UP, said(CONFIRM.text), user("Yes, please go ahead."))
REFUNDED = (*CONFIRMED, *called(REFUND, '{"refunded": 10.0}', number=3))


def certain(*kinds: LapseKind) -> Rates:
    """A model that lapses in these ways whenever it can."""
    rates = {kind: replace(NO_LAPSES.kinds[kind], base=1 - 1e-9, weak=1 - 1e-9) for kind in kinds}
    return replace(NO_LAPSES, kinds={**NO_LAPSES.kinds, **rates})


def sim(rates: Rates = NO_LAPSES, *, seed: int = 1, on_lapse: Callable[[LapseRecord], None] | None = None) -> SimModel:
    return SimModel(lambda _: PLAN, POLICY, seed, rates=rates, on_lapse=on_lapse)


def reply(model: SimModel, body: JsonObject, *, luck: str = "t/mine/0", occurrence: int = 0) -> JsonObject:
    """The assistant message of one answer."""
    context = CallContext(task_id="t", luck=luck, occurrence=occurrence)
    wire = json.loads(json.dumps(model.answer(body, context).body))
    message: JsonObject = wire["choices"][0]["message"]
    return message


def move(model: SimModel, body: JsonObject, *, luck: str = "t/mine/0", occurrence: int = 0) -> Json:
    """What it did: the text, or [tool, arguments]; arguments that are no JSON object stay text."""
    message = reply(model, body, luck=luck, occurrence=occurrence)
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        function = calls[0]["function"]
        arguments = parse_arguments(function["arguments"])
        return [function["name"], function["arguments"] if arguments is None else arguments]
    return message["content"]


def calls(call: Call) -> Json:
    """A call as `move` shows it."""
    return [call.tool, dict(call.arguments)]
