"""What comes out of a container: docker's own framing around stdout and stderr, and the entry's framing in stdout."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from sandbox.contract import Output, Spec
from sandbox.docker.shim import CREDIT, DATA, END, OPEN, RESET
from sandbox.native.payload import base_env

_END_BYTES = 16 * 1024
_OUTER = struct.Struct("!BxxxI")
_INNER = struct.Struct("!cI")
_STDOUT = 1
_MAX_INNER = 2**20
_MAX_COMPLAINT = 4000
_TAGS = frozenset({b"h", b"o", b"e", b"r", b"k", OPEN, DATA, END, RESET, CREDIT})
"""It is up; output; error output; the report; a warm container's state; and the door's connections."""


class WireError(Exception):
    """The container's stream does not follow the protocol."""


@dataclass(slots=True, kw_only=True)
class Picture:
    """A bounded picture of one stream."""

    limit: int
    head: bytes = b""
    tail: bytes = b""
    n_bytes: int = 0

    @property
    def is_over(self) -> bool:
        """Whether more came than is allowed."""
        return self.n_bytes > self.limit

    def add(self, chunk: bytes) -> None:
        """Take more."""
        self.n_bytes += len(chunk)
        room = _END_BYTES - len(self.head)
        self.head += chunk[:room]
        self.tail = (self.tail + chunk[room:])[-_END_BYTES:]

    def output(self) -> Output:
        """What the contract wants."""
        return Output(head=self.head, tail=self.tail, n_bytes=self.n_bytes)


@dataclass(slots=True)
class Frames:
    """Bytes in, entry frames out; what the container says on stderr is kept as a complaint."""

    complaint: bytes = b""
    _outer: bytearray = field(default_factory=bytearray)
    _inner: bytearray = field(default_factory=bytearray)

    def feed(self, chunk: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Frames that are complete with this chunk: tag and content. Raises WireError."""
        self._outer += chunk
        while len(self._outer) >= _OUTER.size:
            stream, size = _OUTER.unpack_from(self._outer)
            if len(self._outer) < _OUTER.size + size:
                break
            content = bytes(self._outer[_OUTER.size : _OUTER.size + size])
            del self._outer[: _OUTER.size + size]
            if stream == _STDOUT:
                self._inner += content
            else:
                self.complaint = (self.complaint + content)[-_MAX_COMPLAINT:]
        while len(self._inner) >= _INNER.size:
            tag, size = _INNER.unpack_from(self._inner)
            if tag not in _TAGS or size > _MAX_INNER:
                raise WireError(f"the container sent {bytes(self._inner[:40])!r} where a frame should begin")
            if len(self._inner) < _INNER.size + size:
                break
            content = bytes(self._inner[_INNER.size : _INNER.size + size])
            del self._inner[: _INNER.size + size]
            yield tag, content


def encode_order(spec: Spec, *, prefix: str, is_relayed: bool = False) -> bytes:
    """The order as `sandbox.docker.entry` reads it."""
    header = json.dumps(
        {
            "command": spec.command,
            "env": base_env(prefix) | dict(spec.env),
            "has_door": spec.socket is not None,
            "is_relayed": is_relayed,
            "cpu_s": max(1, math.ceil(spec.limits.cpu_s)),
            "wall_s": spec.limits.wall_s,
            "scratch_bytes": spec.limits.scratch_bytes,
            "n_stdin": len(spec.stdin),
        }
    ).encode()
    return len(header).to_bytes(8, "big") + header + spec.stdin
