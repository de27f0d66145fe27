"""One open rollout door: which request goes to which desk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from optimizer.domain.model import WireFormat
from optimizer.domain.rollout import RolloutJob
from optimizer.domain.task import Environment
from optimizer.domain.trace import Trace
from optimizer.gateway.caps import RolloutCaps, RolloutMeter
from optimizer.gateway.chat import ChatDesk
from optimizer.gateway.http import HttpReply, HttpRequest, RequestRefusedError
from optimizer.gateway.limits import DoorLimits
from optimizer.gateway.outlet import Outlet
from optimizer.gateway.purchase import ModelAccess
from optimizer.gateway.session import SessionDesk
from optimizer.gateway.tape import DoorRecord, Tape
from optimizer.gateway.wire import parse_object

_METHODS = {
    "/session": "GET",
    "/session/step": "POST",
    "/session/submit": "POST",
    "/v1/chat/completions": "POST",
    "/v1/messages": "POST",
    "/v1/responses": "POST",
}
_WIRES: Mapping[str, WireFormat] = {
    "/v1/chat/completions": "chat",
    "/v1/messages": "messages",
    "/v1/responses": "responses",
}


class Door:
    """Everything one rollout can reach. Whoever holds the socket is the rollout: identity is the socket."""

    def __init__(
        self,
        *,
        socket: Path,
        job: RolloutJob,
        environment: Environment,
        access: ModelAccess,
        caps: RolloutCaps,
        limits: DoorLimits,
    ) -> None:
        self.socket = socket
        self._limits = limits
        self._tape = Tape()
        self._meter = RolloutMeter(caps)
        self._chat = ChatDesk(access=access, job=job, meter=self._meter, tape=self._tape)
        self._session = SessionDesk(
            environment=environment, model=access.route.name, meter=self._meter, tape=self._tape
        )

    def recording(self) -> DoorRecord:
        """What has happened so far; also after the door has closed."""
        spans = self._tape.spans
        return DoorRecord(
            spans=spans,
            usage=Trace(spans=spans).usage,
            worth=self._meter.used,
            is_over=self._tape.is_over,
            cap_hit=self._meter.cap_hit,
            infra=self._tape.infra,
        )

    async def handle(self, request: HttpRequest, outlet: Outlet) -> HttpReply | None:
        """Answer one request; None when the answer went out through the outlet. Raises RequestRefusedError."""
        method = _METHODS.get(request.path)
        if method is None:
            known = ", ".join(f"{verb} {path}" for path, verb in _METHODS.items())
            raise RequestRefusedError(404, "not_found", f"no {request.path[:100]} here; there is {known}")
        if request.method != method:
            raise RequestRefusedError(405, "method_not_allowed", f"{request.path} takes {method}")
        if self._tape.infra:  # the rollout is void: it costs nothing more
            raise RequestRefusedError(502, "rollout_void", "this rollout met an infrastructure fault and is void")
        if request.path == "/session":
            return self._session.show()
        body = parse_object(request.body, max_depth=self._limits.json_depth)
        if request.path == "/session/step":
            return await self._session.step(body)
        if request.path == "/session/submit":
            return await self._session.submit(body)
        return await self._chat.complete(body, _WIRES[request.path], outlet)

    def crashed(self, crash: Exception) -> None:
        """Note that a handler failed on our side."""
        self._tape.fail(f"gateway fault: {type(crash).__name__}: {crash}")
