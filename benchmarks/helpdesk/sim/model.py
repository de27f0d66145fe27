"""`SimModel`: the simulated model behind the chat-completions wire format. It costs nothing and is marked as simulated.

It keeps no state: a reply is a function of the request, the hidden plan of the task, the model's seed and the luck of
the trial. A byte-identical request of the same trial gets the identical reply; any change of it draws fresh luck.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.helpdesk.plan import Plan
from benchmarks.helpdesk.sim.chances import Chances, weak_spots
from benchmarks.helpdesk.sim.conditions import CHARS_PER_TOKEN, observe
from benchmarks.helpdesk.sim.decide import Situation, decide
from benchmarks.helpdesk.sim.moves import Move, Speak
from benchmarks.helpdesk.sim.progress import Script, follow, prepare
from benchmarks.helpdesk.sim.rates import DEFAULT_RATES, LapseKind, Rates
from benchmarks.helpdesk.sim.transcript import read
from optimizer.domain.json import Json, JsonObject, canonical_json, content_hash
from optimizer.domain.model import CallContext, UpstreamReply
from optimizer.domain.trace import Usage

MODEL_NAME = "sim-mid (simulated)"
FINGERPRINT = "simulated"
CREATED = 1_767_225_600
"""A fixed moment: replies carry no clock."""
INPUT_USD_PER_TOKEN = 0.30 / 1e6
OUTPUT_USD_PER_TOKEN = 1.20 / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class LapseRecord:
    """A lapse that really happened: ground truth for benchmarks, never part of a reply."""

    task_id: str
    luck: str
    kind: LapseKind
    step: int
    """Index into the plan's steps, or into a trap's while inside one."""


class SimModel:
    """A mid-size chat model, simulated. Implements `Upstream`."""

    is_external = False

    def __init__(
        self,
        plans: Callable[[str], Plan],
        policy: str,
        seed: int,
        *,
        instructions: str = "",
        rates: Rates = DEFAULT_RATES,
        on_lapse: Callable[[LapseRecord], None] | None = None,
    ) -> None:
        self._plans = plans
        self._known = (policy, instructions)
        self._seed = seed
        self._rates = rates
        self._on_lapse = on_lapse
        self._scripts: dict[str, Script] = {}
        self._weak_spots: dict[str, frozenset[LapseKind]] = {}

    async def chat(self, request: JsonObject, context: CallContext) -> UpstreamReply:
        """Answer one request; never fails, whatever the request looks like."""
        return self.answer(request, context)

    async def close(self) -> None:
        """Nothing to free."""

    def answer(self, request: JsonObject, context: CallContext) -> UpstreamReply:
        """Answer one request."""
        tools = request.get("tools")
        tools_key, text = _spell(tools), _spell(request)
        digest = content_hash(text, length=32)
        luck = "\x00".join((str(self._seed), context.luck, digest, str(context.occurrence)))
        transcript = read(request)
        conditions = observe(transcript, tools_key, self._known)
        script = self._script(context.task_id)
        situation = Situation(
            script=script,
            transcript=transcript,
            progress=follow(script, transcript),
            chances=Chances(
                rates=self._rates,
                conditions=conditions,
                task_id=context.task_id,
                weak_spots=self._weak_spots[context.task_id],
            ),
            luck=luck,
            can_call=request.get("tool_choice") != "none",
            lapsed=lambda kind, step: self._report(context, kind, step),
        )
        return _reply(decide(situation), digest=content_hash(luck, length=24), n_input_chars=len(text))

    def _script(self, task_id: str) -> Script:
        if task_id not in self._scripts:
            plan = self._plans(task_id)
            self._scripts[task_id] = prepare(plan)
            self._weak_spots[task_id] = weak_spots(task_id, plan)
        return self._scripts[task_id]

    def _report(self, context: CallContext, kind: LapseKind, step: int) -> None:
        if self._on_lapse is not None:
            self._on_lapse(LapseRecord(task_id=context.task_id, luck=context.luck, kind=kind, step=step))


def _spell(value: Json) -> str:
    """One spelling of a request; what JSON cannot say is spelled as Python would."""
    try:
        return canonical_json(value)
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def _reply(move: Move, *, digest: str, n_input_chars: int) -> UpstreamReply:
    message, finish_reason = _message(move, digest)
    n_input = max(1, n_input_chars // CHARS_PER_TOKEN)
    n_output = max(1, len(canonical_json(message)) // CHARS_PER_TOKEN)
    body: JsonObject = {
        "id": f"chatcmpl-sim-{digest}",
        "object": "chat.completion",
        "created": CREATED,
        "model": MODEL_NAME,
        "system_fingerprint": FINGERPRINT,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}],
        "usage": {
            "prompt_tokens": n_input,
            "completion_tokens": n_output,
            "total_tokens": n_input + n_output,
            "prompt_tokens_details": {"cached_tokens": 0},
        },
    }
    usd = n_input * INPUT_USD_PER_TOKEN + n_output * OUTPUT_USD_PER_TOKEN
    return UpstreamReply(body=body, usage=Usage(input_tokens=n_input, output_tokens=n_output, usd=usd, n_calls=1))


def _message(move: Move, digest: str) -> tuple[JsonObject, str]:
    if isinstance(move, Speak):
        return {"role": "assistant", "content": move.text, "refusal": None}, "stop"
    function: JsonObject = {"name": move.tool, "arguments": move.raw or canonical_json(move.arguments)}
    call: JsonObject = {"id": f"call_{digest[:16]}", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}, "tool_calls"
