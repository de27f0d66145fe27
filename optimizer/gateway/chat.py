"""Model calls of one rollout: checked, held against the caps, replayed or bought, recorded, then delivered."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import anyio

from optimizer.domain.errors import BudgetExhaustedError, LedgerError, ModelError, ModelUnavailableError
from optimizer.domain.json import Json, JsonObject, canonical_json, content_hash
from optimizer.domain.model import CallContext, NativeUpstream, Upstream, UpstreamReply, WireFormat
from optimizer.domain.recording import CallRecorder, IntendedCall, RecordedCall
from optimizer.domain.rollout import RolloutJob
from optimizer.domain.trace import Usage
from optimizer.gateway.caps import CallAccount, RolloutMeter, spend_of
from optimizer.gateway.chat_request import ModelRoute, PinnedRequest
from optimizer.gateway.formats import as_chat, delivered, pin_as
from optimizer.gateway.http import HttpReply, RequestRefusedError
from optimizer.gateway.recorder import PurchaseTurns
from optimizer.gateway.tape import Tape

_PROVIDER_MESSAGE_CHARS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAccess:
    """What all doors of a gateway share on the way to the model."""

    upstream: Upstream
    route: ModelRoute
    calls: CallRecorder
    account: CallAccount
    turns: PurchaseTurns = field(default_factory=PurchaseTurns)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    body_json: str
    """In the format of the pinned request."""
    message: Json
    """As chat completions have it, whatever the format."""
    usage: Usage
    """What this rollout pays."""
    nominal: Usage
    """What whoever made the call first paid; counts against the caps."""


class ChatDesk:
    """The model's side of one door."""

    def __init__(self, *, access: ModelAccess, job: RolloutJob, meter: RolloutMeter, tape: Tape) -> None:
        self._access = access
        self._job = job
        self._luck = job.luck if access.route.is_luck_shared else f"{job.luck}/{job.tree}"
        self._meter = meter
        self._tape = tape
        self._seen: Counter[str] = Counter()
        self._known_tools: set[str] = set()

    async def complete(self, body: JsonObject, wire: WireFormat) -> HttpReply:
        """Serve one model call in the format the harness speaks.

        Raises:
            RequestRefusedError: 400, 402, 429 or 502.
        """
        name = self._access.route.name
        try:
            pinned = pin_as(wire, body, self._access.route, self._access.upstream)
            self._meter.hold(spend_of(pinned.worst_case))
        except RequestRefusedError as refusal:
            self._tape.refuse("model_call", name, input=None, reason=refusal.message)
            raise
        started = time.perf_counter()
        answer = await self._held(pinned)
        self._tape.add(
            "model_call",
            name,
            input=self._readable(pinned.shown),
            output=answer.message,
            usage=answer.usage,
            wall_s=time.perf_counter() - started,
        )
        return delivered(answer.body_json, wire, pinned)

    async def _held(self, pinned: PinnedRequest) -> _Answer:
        used = Usage()
        try:
            answer = await self._answer(pinned)
            used = answer.nominal
        except RequestRefusedError as refusal:
            self._note(pinned, refusal.message, Usage())
            raise
        except anyio.get_cancelled_exc_class():
            used = self._lost(pinned)
            self._note(pinned, "the rollout ended before the model answered", used)
            raise
        except LedgerError:
            used = self._lost(pinned)
            self._note(pinned, "the call could not be recorded", used)
            raise
        finally:
            self._meter.release(spend_of(pinned.worst_case), used)
        return answer

    async def _answer(self, pinned: PinnedRequest) -> _Answer:
        occurrence = self._seen[pinned.hash]
        self._seen[pinned.hash] += 1
        recorded = await self._recorded_or_bought(pinned, occurrence)
        is_own = recorded.rollout_id == self._job.id
        body = cast("JsonObject", json.loads(recorded.body_json))
        return _Answer(
            body_json=recorded.body_json,
            message=_message_of(as_chat(body, pinned.wire)),
            usage=recorded.usage if is_own else Usage(n_calls=1, n_replayed_calls=1),
            nominal=recorded.usage,
        )

    async def _recorded_or_bought(self, pinned: PinnedRequest, occurrence: int) -> RecordedCall:
        calls = self._access.calls
        recorded = calls.recorded(self._luck, pinned.hash, occurrence)
        if recorded is not None:
            return recorded
        async with self._access.turns.turn((self._luck, pinned.hash, occurrence)):
            meanwhile = calls.recorded(self._luck, pinned.hash, occurrence)
            return meanwhile or await self._buy(pinned, occurrence)

    async def _buy(self, pinned: PinnedRequest, occurrence: int) -> RecordedCall:
        account = self._access.account
        try:
            reservation = account.reserve(spend_of(pinned.worst_case))
        except BudgetExhaustedError as error:
            raise RequestRefusedError(402, "campaign_budget", str(error)) from error
        spent = Usage()
        try:
            intent = self._intent(pinned, occurrence)
            reply = await self._ask(pinned, occurrence, intent)
            spent = self._priced(reply.usage)
        except anyio.get_cancelled_exc_class():
            spent = self._lost(pinned)
            raise
        finally:
            account.settle(reservation, spend_of(spent))
        call = RecordedCall(
            luck=self._luck,
            request_hash=pinned.hash,
            occurrence=occurrence,
            rollout_id=self._job.id,
            body_json=_spelled(reply.body),
            usage=spent,
        )
        self._access.calls.record(call, intent=intent)
        return call

    def _intent(self, pinned: PinnedRequest, occurrence: int) -> int | None:
        """Written before the question leaves: a kill from here on leaves a call that counts as spent."""
        if not self._access.upstream.is_external:
            return None
        return self._access.calls.intend(
            IntendedCall(
                luck=self._luck,
                request_hash=pinned.hash,
                occurrence=occurrence,
                rollout_id=self._job.id,
                worst_case=pinned.worst_case,
            )
        )

    async def _ask(self, pinned: PinnedRequest, occurrence: int, intent: int | None) -> UpstreamReply:
        context = CallContext(task_id=self._job.task.id, luck=self._luck, occurrence=occurrence)
        try:
            return await self._sent(pinned, context)
        except ModelUnavailableError as error:
            self._withdraw(intent)
            self._tape.fail(f"model unavailable: {error}")
            raise RequestRefusedError(502, "model_unavailable", "the model is out of reach after retries") from error
        except ModelError as error:
            self._withdraw(intent)
            message = f"the model's provider refuses the request: {error}"[:_PROVIDER_MESSAGE_CHARS]
            raise RequestRefusedError(400, "refused_upstream", message) from error

    def _withdraw(self, intent: int | None) -> None:
        if intent is not None:
            self._access.calls.withdraw(intent)

    async def _sent(self, pinned: PinnedRequest, context: CallContext) -> UpstreamReply:
        upstream = self._access.upstream
        if pinned.wire != "chat" and isinstance(upstream, NativeUpstream):
            return await upstream.send(pinned.wire, pinned.body, context)
        reply = await upstream.chat(pinned.body, context)
        if _message_of(reply.body) is None:
            raise ModelUnavailableError("the provider's reply is not a chat completion: no choices[0].message")
        return reply

    def _priced(self, usage: Usage) -> Usage:
        price = self._access.route.price
        usd = price.usd(usage) if usage.usd is None and price else usage.usd
        return replace(usage, usd=usd, n_calls=1, n_replayed_calls=0)

    def _lost(self, pinned: PinnedRequest) -> Usage:
        """A call whose answer nobody waited for: an external one may be on the bill, so the worst case is."""
        return pinned.worst_case if self._access.upstream.is_external else Usage()

    def _note(self, pinned: PinnedRequest, reason: str, usage: Usage) -> None:
        name = self._access.route.name
        self._tape.add(
            "model_call", name, input=self._readable(pinned.shown), output=reason, is_error=True, usage=usage
        )

    def _readable(self, body: JsonObject) -> JsonObject:
        """The request without the tools that an earlier span of this rollout already shows."""
        if "tools" not in body:
            return body
        sha = content_hash(body["tools"])
        shown = {key: value for key, value in body.items() if key != "tools" or sha not in self._known_tools}
        self._known_tools.add(sha)
        return shown | {"tools_sha": sha}


def _message_of(completion: JsonObject) -> Json:
    """The first choice's message; None when there is none."""
    choices = completion.get("choices")
    first = choices[0] if isinstance(choices, Sequence) and not isinstance(choices, str) and choices else None
    message = first.get("message") if isinstance(first, Mapping) else None
    return message if isinstance(message, Mapping) else None


def _spelled(body: JsonObject) -> str:
    """Canonical text of a provider's reply; half a surrogate pair, which no file can hold, becomes `?`."""
    return canonical_json(body).encode("utf-8", "replace").decode("utf-8")
