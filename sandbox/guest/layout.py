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

_URL = "http://127.0.0.1:8377"
BASE_ENV = {
    "HOME": "/scratch",
    "TMPDIR": "/tmp",  # noqa: S108 - the sandbox's own
    "LANG": "C.UTF-8",
    "USER": "hone",
    "PYTHONPATH": "/hone/lib/sandbox/guest",
    "PYTHONDONTWRITEBYTECODE": "1",
    "HONE_SOCKET": DOOR,
    "HONE_SESSION_URL": _URL,
    "OPENAI_BASE_URL": f"{_URL}/v1",
    "OPENAI_API_KEY": "hone-sandbox",
    "ANTHROPIC_BASE_URL": _URL,
    "ANTHROPIC_API_KEY": "hone-sandbox",
    "OPENBLAS_NUM_THREADS": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
"""Every variable a run sees besides PATH and the spec's own; built from nothing."""


def path_variable(prefix: str) -> str:
    """PATH inside, for the harness environment at `prefix`."""
    return f"{prefix}/bin:/usr/bin:/bin"
