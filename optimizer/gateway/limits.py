"""What a door takes from an untrusted peer before it stops listening."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits:
    """Limits on everything that is parsed; all of them per rollout, since each rollout has its own door."""

    header_bytes: int = 16 * 2**10
    """Request line and headers together; more is a 431."""
    body_bytes: int = 4 * 2**20
    """Checked before anything is parsed; more is a 413."""
    json_depth: int = 64
    """Nested arrays and objects; more is a 400."""
    arrival_s: float = 10.0
    """From a request's first byte to its last; slower is a 408. An idle kept-alive connection may stay."""
    delivery_s: float = 30.0
    """For the peer to take a reply, or to hold a streamed one up in total; slower and the connection is dropped."""
    unread_bytes: int = 2**20
    """Of a streamed reply, kept while the peer does not read; past it, the stream waits for the peer."""
    connections: int = 64
    """Open at one time; one more is a 503."""
    total_bytes: int = 512 * 2**20
    """Request and reply bodies over the life of the door; past it, every request is a 429."""
    requests: int = 10_000
    """Over the life of the door; one more is a 429."""
