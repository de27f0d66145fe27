"""HTTP/1.1 on one stream: h11 for the grammar, limits on everything that arrives.

Not covered: TLS, upgrades, trailers (read and dropped), request compression.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import anyio
import h11

from optimizer.gateway.limits import DoorLimits
from optimizer.gateway.unix import UnixStream

H11Event: TypeAlias = h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]
"""What `h11.Connection.next_event` returns."""

_CHUNK_BYTES = 64 * 2**10
_LINGER_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request that has arrived as a whole. Headers are not kept: nothing in them is used, and one holds a key."""

    method: str
    path: str
    """Without the query."""
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """What goes back."""

    status: int
    body: bytes
    content_type: str = "application/json"


class RequestRefusedError(Exception):
    """A request is answered with an error body; part of the protocol, never seen outside the gateway."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class HttpConnection:
    """The server's end of one connection."""

    def __init__(self, stream: UnixStream, limits: DoorLimits) -> None:
        self._stream = stream
        self._limits = limits
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.header_bytes)
        self._method = ""
        self._unsent = bytearray()

    async def receive(self) -> HttpRequest | None:
        """Wait for the next request; None when the peer has gone.

        Raises:
            RequestRefusedError: for anything that is not a whole, small, timely HTTP/1.1 request.
        """
        if not self._h11.trailing_data[0]:
            await self._fill()
        with anyio.move_on_after(self._limits.arrival_s):
            try:
                return await self._read()
            except h11.RemoteProtocolError as error:
                raise RequestRefusedError(error.error_status_hint, "bad_http", f"not HTTP/1.1: {error}") from error
        raise RequestRefusedError(
            408, "request_timeout", f"the request did not arrive as a whole within {self._limits.arrival_s:g} s"
        )

    async def _read(self) -> HttpRequest | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = await self._event()
            if isinstance(event, h11.Request):
                head = event
                self._check_head(event)
            elif isinstance(event, h11.Data):
                body += event.data
                self._check_size(len(body))
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                path = head.target.decode("ascii", "replace").partition("?")[0]
                self._method = head.method.decode("ascii")
                return HttpRequest(method=self._method, path=path, body=bytes(body))
            else:
                return None

    async def _event(self) -> H11Event:
        while True:
            event = self._h11.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._h11.they_are_waiting_for_100_continue:
                await self._write(h11.InformationalResponse(status_code=100, headers=[]))
            await self._fill()

    async def _fill(self) -> None:
        self._h11.receive_data(await self._stream.receive(_CHUNK_BYTES))

    def _check_head(self, head: h11.Request) -> None:
        n_bytes = len(head.target) + sum(len(name) + len(value) for name, value in head.headers)
        if n_bytes > self._limits.header_bytes:  # h11 itself checks only what arrives in several pieces
            raise RequestRefusedError(
                431, "headers_too_large", f"request line and headers may have {self._limits.header_bytes} bytes"
            )
        self._check_size(_announced_bytes(head))

    def _check_size(self, n_bytes: int) -> None:
        if n_bytes > self._limits.body_bytes:
            raise RequestRefusedError(
                413, "body_too_large", f"a request body may have {self._limits.body_bytes} bytes, this one has more"
            )

    async def send(self, reply: HttpReply, *, is_last: bool = False) -> bool:
        """Send a reply; True when the connection can carry another request."""
        if self._h11.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return False
        headers = [("content-type", reply.content_type), ("content-length", str(len(reply.body)))]
        if reply.status >= 400:
            headers.append(("x-should-retry", "false"))  # the SDKs' own retries would only wait: we have retried
        if is_last:
            headers.append(("connection", "close"))
        body = [] if self._method == "HEAD" else [h11.Data(data=reply.body)]
        with anyio.move_on_after(self._limits.delivery_s) as delivery:
            await self._write(h11.Response(status_code=reply.status, headers=headers), *body, h11.EndOfMessage())
        return not is_last and not delivery.cancelled_caught and self.next_cycle()

    # A reply that is written in parts: spelled here, pushed without waiting, drained with patience.

    def stream_head(self, content_type: str) -> bytes:
        """The head of a reply whose length is not known."""
        head = h11.Response(status_code=200, headers=[("content-type", content_type)])
        return self._h11.send(head) or b""

    def stream_part(self, body: bytes) -> bytes:
        """Some of its body."""
        return self._h11.send(h11.Data(data=body)) or b""

    def stream_end(self) -> bytes:
        """Its regular end."""
        return self._h11.send(h11.EndOfMessage()) or b""

    @property
    def n_unsent(self) -> int:
        """Bytes that the peer has not made room for."""
        return len(self._unsent)

    def push(self, spelled: bytes) -> None:
        """Send as much as the peer has room for, keep the rest. Raises OSError when the peer has gone."""
        self._unsent += spelled
        if self._unsent:
            del self._unsent[: self._stream.send_now(self._unsent)]

    async def drain(self) -> None:
        """Send the rest. Raises OSError when the peer has gone."""
        while self._unsent:
            await self._stream.wait_for_room()
            self.push(b"")

    def drop_unsent(self) -> None:
        """Forget the rest: nobody reads it."""
        self._unsent.clear()

    def next_cycle(self) -> bool:
        """Turn to the next request; False when this connection can carry none."""
        if not self._is_cycle_done():
            return False
        self._h11.start_next_cycle()
        return True

    def _is_cycle_done(self) -> bool:
        return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE

    async def linger(self) -> None:
        """Take what the peer is still sending, for a moment, so that it gets to read why it was refused."""
        left = 2 * self._limits.body_bytes
        with anyio.move_on_after(_LINGER_S):
            while left > 0 and (dropped := await self._stream.receive(_CHUNK_BYTES)):
                left -= len(dropped)

    async def _write(self, *events: h11.Event) -> None:
        await self._stream.send(b"".join(self._h11.send(event) or b"" for event in events))


def _announced_bytes(head: h11.Request) -> int:
    for name, value in head.headers:
        if name == b"content-length":
            return int(value)
    return 0
