"""Names that the launcher outside and the server inside agree on."""

from __future__ import annotations

from sandbox.guest import kernel

CONTROL_FD = 3
"""Descriptor of the server's socket to the host."""

HARNESS = "/harness"
DOOR = "/run/hone/gateway.sock"
DOORS = "/doors"
"""Folder of all runs' gateway sockets; the server sees it, a run does not."""

SERVER_CAPS = frozenset({kernel.CAP_SETPCAP, kernel.CAP_NET_ADMIN, kernel.CAP_SYS_ADMIN})
"""What the server may do in its own user namespace; a run has nothing of it."""
