"""Model calls of one rollout: checked, held against the caps, replayed or bought, recorded, then delivered."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import anyio

from optimizer.domain.errors import BudgetExhaustedError, LedgerError, ModelError, ModelUnavailableError
from optimizer.domain.json import Json, JsonObject, canonical_json, content_hash
from optimizer.domain.model import CallContext, NativeUpstream, UpstreamReply, WireFormat
from optimizer.domain.recording import IntendedCall, RecordedCall
from optimizer.domain.rollout import RolloutJob
from optimizer.domain.trace import Usage
from optimizer.gateway.caps import RolloutMeter, spend_of
from optimizer.gateway.chat_request import PinnedRequest
from optimizer.gateway.formats import as_chat, delivered, pin_as
from optimizer.gateway.http import HttpReply, RequestRefusedError
from optimizer.gateway.outlet import Outlet
from optimizer.gateway.purchase import ModelAccess, Purchase
from optimizer.gateway.relay import LiveRelay
from optimizer.gateway.tape import Tape
from optimizer.models.attempts import AttemptingUpstream, OutgoingCall

_PROVIDER_MESSAGE_CHARS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """One model call of the harness, on its way."""

    pinned: PinnedRequest
    occurrence: int
    purchase: Purchase
    relay: LiveRelay | None
    """Where the answer goes while it arrives; None: as a whole is asked for, or the format is translated."""

    @property
    def lost(self) -> Usage:
        """What a call counts as whose answer nobody waited for: it may be on the bill, unless it never left."""
        return self.pinned.worst_case if self.purchase.is_under_way else Usage()


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

    async def complete(self, body: JsonObject, wire: WireFormat, outlet: Outlet) -> HttpReply | None:
        """Serve one model call in the format the harness speaks; None when the answer was streamed to the outlet.

        An answer is streamed while it arrives when the provider speaks the harness's format and can stream. Otherwise,
        and for recorded answers, the events are made from the whole answer.

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
        ask = self._ask(pinned, wire, outlet)
        answer = await self._held(ask)
        self._tape.add(
            "model_call",
            name,
            input=self._readable(pinned.shown),
            output=answer.message,
            usage=answer.usage,
            wall_s=time.perf_counter() - started,
        )
        if ask.relay is not None and ask.relay.is_begun:
            await ask.relay.finish()
            return None
        return delivered(answer.body_json, wire, pinned)

    def _ask(self, pinned: PinnedRequest, wire: WireFormat, outlet: Outlet) -> _Ask:
        occurrence = self._seen[pinned.hash]
        self._seen[pinned.hash] += 1
        intended = IntendedCall(
            luck=self._luck,
            request_hash=pinned.hash,
            occurrence=occurrence,
            rollout_id=self._job.id,
            worst_case=pinned.worst_case,
        )
        is_live = pinned.is_streamed and wire == pinned.wire
        return _Ask(
            pinned=pinned,
            occurrence=occurrence,
            purchase=Purchase(self._access, intended),
            relay=LiveRelay(wire, outlet, is_usage_wanted=pinned.is_usage_streamed) if is_live else None,
        )

    async def _held(self, ask: _Ask) -> _Answer:
        used = Usage()
        try:
            answer = await self._answer(ask)
            used = answer.nominal
        except RequestRefusedError as refusal:
            self._note(ask.pinned, refusal.message, Usage())
            if ask.relay is not None and ask.relay.is_begun:
                await ask.relay.fail(refusal.code, refusal.message)
            raise
        except anyio.get_cancelled_exc_class():
            used = ask.lost
            self._note(ask.pinned, "the rollout ended before the model answered", used)
            raise
        except LedgerError:
            used = ask.lost
            self._note(ask.pinned, "the call could not be recorded", used)
            raise
        finally:
            self._meter.release(spend_of(ask.pinned.worst_case), used)
        return answer

    async def _answer(self, ask: _Ask) -> _Answer:
        recorded = await self._recorded_or_bought(ask)
        is_own = recorded.rollout_id == self._job.id
        body = cast("JsonObject", json.loads(recorded.body_json))
        return _Answer(
            body_json=recorded.body_json,
            message=_message_of(as_chat(body, ask.pinned.wire)),
            usage=recorded.usage if is_own else Usage(n_calls=1, n_replayed_calls=1),
            nominal=recorded.usage,
        )

    async def _recorded_or_bought(self, ask: _Ask) -> RecordedCall:
        calls, key = self._access.calls, (self._luck, ask.pinned.hash, ask.occurrence)
        recorded = calls.recorded(*key)
        if recorded is not None:
            return recorded
        async with self._access.turns.turn(key):
            return calls.recorded(*key) or await self._buy(ask)

    async def _buy(self, ask: _Ask) -> RecordedCall:
        account = self._access.account
        try:
            reservation = account.reserve(spend_of(ask.pinned.worst_case))
        except BudgetExhaustedError as error:
            raise RequestRefusedError(402, "campaign_budget", str(error)) from error
        spent = Usage()
        try:
            reply = await self._sent(ask)
            spent = self._priced(reply.usage)
        except anyio.get_cancelled_exc_class():
            spent = ask.lost
            raise
        finally:
            account.settle(reservation, spend_of(spent))
        call = RecordedCall(
            luck=self._luck,
            request_hash=ask.pinned.hash,
            occurrence=ask.occurrence,
            rollout_id=self._job.id,
            body_json=_spelled(reply.body),
            usage=spent,
        )
        self._access.calls.record(call, intent=ask.purchase.intent)
        return call

    async def _sent(self, ask: _Ask) -> UpstreamReply:
        context = CallContext(task_id=self._job.task.id, luck=self._luck, occurrence=ask.occurrence)
        try:
            return await self._reply(ask, context)
        except ModelUnavailableError as error:
            self._tape.fail(f"model unavailable: {error}")
            raise RequestRefusedError(502, "model_unavailable", "the model is out of reach after retries") from error
        except ModelError as error:
            message = f"the model's provider refuses the request: {error}"[:_PROVIDER_MESSAGE_CHARS]
            raise RequestRefusedError(400, "refused_upstream", message) from error

    async def _reply(self, ask: _Ask, context: CallContext) -> UpstreamReply:
        upstream, pinned = self._access.upstream, ask.pinned
        if isinstance(upstream, AttemptingUpstream):
            call = OutgoingCall(wire=pinned.wire, request=pinned.body, watch=ask.purchase, relay=ask.relay)
            with ask.purchase.ended_by(ModelError, is_billed=True):  # ended attempts are told: this one was answered
                return await upstream.deliver(call)
        ask.purchase.begin()
        with ask.purchase.ended_by(ModelError, is_billed=False):  # one that tells nothing is taken at its word
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
