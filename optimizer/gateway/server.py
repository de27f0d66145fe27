"""Serves one listener until it is cancelled: no peer and no handler can end it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio
import h11
from anyio.abc import TaskGroup

from optimizer.gateway.http import HttpConnection, HttpReply, HttpRequest, RequestRefusedError
from optimizer.gateway.limits import DoorLimits
from optimizer.gateway.outlet import Outlet
from optimizer.gateway.unix import UnixListener, UnixStream
from optimizer.gateway.wire import error_reply

Handler: TypeAlias = Callable[[HttpRequest, Outlet], Awaitable[HttpReply | None]]
"""None: the reply was written to the outlet."""
OnCrash: TypeAlias = Callable[[Exception], None]

_ACCEPT_PAUSE_S = 0.05


class Server:
    """The connections of one door."""

    def __init__(self, *, handler: Handler, on_crash: OnCrash, limits: DoorLimits) -> None:
        self._handler = handler
        self._on_crash = on_crash
        self._limits = limits
        self._n_connections = 0
        self._n_requests = 0
        self._n_bytes = 0

    async def run(self, listener: UnixListener) -> None:
        """Accept connections for ever."""
        async with anyio.create_task_group() as connections:
            while True:
                await self._accept(listener, connections)

    async def _accept(self, listener: UnixListener, connections: TaskGroup) -> None:
        try:
            stream = await listener.accept()
        except OSError:  # out of file descriptors, a peer that hung up while queueing: the others go on
            await anyio.sleep(_ACCEPT_PAUSE_S)
        else:
            connections.start_soon(self._serve, stream)

    async def _serve(self, stream: UnixStream) -> None:
        self._n_connections += 1
        try:
            await self._converse(HttpConnection(stream, self._limits))
        except (OSError, h11.ProtocolError):
            return  # the peer has hung up or left the protocol, at whatever point: only its own connection ends
        finally:
            stream.close()
            self._n_connections -= 1

    async def _converse(self, connection: HttpConnection) -> None:
        if self._n_connections > self._limits.connections:
            n = self._limits.connections
            refusal = RequestRefusedError(503, "too_many_connections", f"a rollout may hold {n} connections at once")
            await connection.send(error_reply(refusal), is_last=True)
            return
        is_open = True
        while is_open:
            try:
                request = await connection.receive()
            except RequestRefusedError as refusal:
                await connection.send(error_reply(refusal), is_last=True)
                await connection.linger()
                return
            if request is None:
                return
            is_open = await self._serve_request(connection, request)

    async def _serve_request(self, connection: HttpConnection, request: HttpRequest) -> bool:
        """Answer one request; True when the connection can carry another."""
        self._n_requests += 1
        self._n_bytes += len(request.body)
        outlet = Outlet(connection, self._limits)
        reply = await self._answer(request, outlet)
        self._n_bytes += outlet.n_bytes + (len(reply.body) if reply else 0)
        if reply is None:
            return await outlet.end()
        if outlet.is_begun:
            await outlet.break_off()  # the reply is an error, and it is too late for its status
            return False
        return await connection.send(reply)

    async def _answer(self, request: HttpRequest, outlet: Outlet) -> HttpReply | None:
        try:
            self._check_totals()
            return await self._handler(request, outlet)
        except RequestRefusedError as refusal:
            return error_reply(refusal)
        except Exception as crash:  # noqa: BLE001 - the edge of the process towards untrusted code: one request may die, no more
            self._on_crash(crash)
            return error_reply(RequestRefusedError(500, "gateway_fault", "the gateway failed on its own account"))

    def _check_totals(self) -> None:
        limits = self._limits
        if self._n_requests > limits.requests:
            raise RequestRefusedError(429, "rollout_budget", f"a rollout may send {limits.requests} requests")
        if self._n_bytes > limits.total_bytes:
            message = f"a rollout may exchange {limits.total_bytes} bytes with the gateway"
            raise RequestRefusedError(429, "rollout_budget", message)
