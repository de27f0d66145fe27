"""Sends the gateway's address through the one unix socket the warm Python may open.

The warm Python can open no INET socket, yet `OpenAI()` and `Anthropic()` are built as anywhere else, from a base URL
at 127.0.0.1:8377. Here that one address is led to the unix socket, below httpx (and httpx2, its fork), urllib3 and
the standard library's http.client. Any other address keeps failing, as the filter demands.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import socket
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

_HOSTS = frozenset({"127.0.0.1", "localhost"})
_PORT = 8377
_HTTP_FAMILIES = (("httpx", "httpcore"), ("httpx2", "httpcore2"))


class DoorSocket(socket.socket):
    """A unix socket that lets callers set TCP options, which mean nothing here."""

    def setsockopt(self, level: int, *rest: Any) -> None:
        """Set an option unless it is one of TCP's."""
        if level != socket.IPPROTO_TCP:
            super().setsockopt(level, *rest)


def install() -> None:
    """Patch what is importable; safe to call twice."""
    if hasattr(socket.create_connection, "__wrapped__"):
        return
    socket.create_connection = _stdlib_connection(socket.create_connection)
    for client, core in _HTTP_FAMILIES:
        if importlib.util.find_spec(client) and importlib.util.find_spec(core):
            _patch_core(importlib.import_module(core))
            _patch_tls(importlib.import_module(f"{client}._transports.default"))
    if importlib.util.find_spec("urllib3"):
        connection = importlib.import_module("urllib3.util.connection")
        vars(connection)["create_connection"] = _stdlib_connection(connection.create_connection)


def _leads_to_door(host: object, port: object) -> bool:
    return host in _HOSTS and port == _PORT and "HONE_SOCKET" in os.environ


def _stdlib_connection(plain: Callable[..., socket.socket]) -> Callable[..., socket.socket]:
    @functools.wraps(plain)
    def create_connection(address: tuple[str, int], timeout: Any = None, *args: Any, **kwargs: Any) -> socket.socket:
        if not _leads_to_door(address[0], address[1]):
            return plain(address, timeout, *args, **kwargs)
        door = DoorSocket(socket.AF_UNIX, socket.SOCK_STREAM)
        if isinstance(timeout, int | float):
            door.settimeout(timeout)
        door.connect(os.environ["HONE_SOCKET"])
        return door

    return create_connection


def _patch_core(core: ModuleType) -> None:
    """Connect to the socket below the connection pool, so that every transport and subclass is covered."""
    sync_backend = importlib.import_module(f"{core.__name__}._backends.sync").SyncBackend
    auto_backend = importlib.import_module(f"{core.__name__}._backends.auto").AutoBackend
    sync_backend.connect_tcp = _sync_connect(sync_backend.connect_tcp)
    auto_backend.connect_tcp = _async_connect(auto_backend.connect_tcp)


def _sync_connect(plain: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(plain)
    def connect_tcp(self: Any, host: str, port: int, timeout: float | None = None, *args: Any, **kwargs: Any) -> Any:
        if _leads_to_door(host, port):
            return self.connect_unix_socket(os.environ["HONE_SOCKET"], timeout)
        return plain(self, host, port, timeout, *args, **kwargs)

    return connect_tcp


def _async_connect(plain: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(plain)
    async def connect_tcp(
        self: Any,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of what it replaces
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        if _leads_to_door(host, port):
            return await self.connect_unix_socket(os.environ["HONE_SOCKET"], timeout)
        return await plain(self, host, port, timeout, *args, **kwargs)

    return connect_tcp


def _patch_tls(transports: ModuleType) -> None:
    """Build the default TLS context once: reading the certificates costs more than a whole rollout."""
    plain = transports.create_ssl_context
    cached: list[Any] = []

    @functools.wraps(plain)
    def create_ssl_context(verify: Any = True, cert: Any = None, *args: Any, **kwargs: Any) -> Any:  # noqa: FBT002
        if verify is not True or cert is not None:
            return plain(verify, cert, *args, **kwargs)
        if not cached:
            cached.append(plain())
        return cached[0]

    vars(transports)["create_ssl_context"] = create_ssl_context
