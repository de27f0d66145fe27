"""The one contract every sandbox backend keeps.

A sandbox runs one harness, given as data, in a process tree that can reach nothing but the one unix socket it is
handed. It never raises for what the harness does: every ending is a `Result`. It raises only when it cannot be
opened at all (`SandboxUnavailable`).

What is not covered, whatever the level: side channels through shared caches and timing; bugs in the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

Kind = Literal["ok", "nonzero", "signal", "oom", "timeout", "output_limit", "infra"]


class SandboxUnavailable(Exception):  # noqa: N818 - reads as a state, is caught by name
    """This machine cannot give the requested isolation; the message says what is missing and what would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Hard limits of one run; reaching one ends the run or makes the call inside fail."""

    wall_s: float = 60.0
    cpu_s: float = 30.0
    memory_bytes: int = 512 * 2**20
    pids: int = 64
    scratch_bytes: int = 64 * 2**20
    """All that the run can write, over all writable places together per mount."""
    scratch_inodes: int = 4096
    output_bytes: int = 2**20
    """stdout and stderr each; more is an `output_limit`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One run."""

    files: Mapping[str, bytes]
    """The harness, path -> content; appears read-only in the working folder /harness."""
    command: tuple[str, ...] | None = None
    """Program and arguments for any language; None runs `agent.py` in the warm Python."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to the few variables the sandbox sets itself; nothing of the host's environment enters."""
    socket: Path | None = None
    """Host unix socket that becomes the only door out; None for none."""
    stdin: bytes = b""
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A bounded picture of one output stream."""

    head: bytes = b""
    """First bytes, at most 16 KiB."""
    tail: bytes = b""
    """Last bytes after the head, at most 16 KiB."""
    n_bytes: int = 0
    """All bytes written before the stream was cut."""

    @property
    def text(self) -> str:
        """Head and tail as text, with a mark where something is left out."""
        gap = b"\n[...]\n" if self.n_bytes > len(self.head) + len(self.tail) else b""
        return (self.head + gap + self.tail).decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a run ended, by the host's own observation: nothing in it is believed because the harness said so."""

    kind: Kind
    status: int | None
    """Raw wait status; None when the host killed or lost it first (`timeout`, `infra`)."""
    level: str
    """Isolation reached, such as `native:L3:v1` or `reduced:L1`."""
    stdout: Output = field(default_factory=Output)
    stderr: Output = field(default_factory=Output)
    peak_memory_bytes: int | None = None
    """None where the machine offers no per-run account."""
    cpu_s: float = 0.0
    wall_s: float = 0.0
    note: str = ""
    """For `infra`: what went wrong on our side."""


class Sandbox(Protocol):
    """An open sandbox; `run` may be called concurrently."""

    level: str

    async def run(self, spec: Spec) -> Result:
        """Run one harness to its end. Cancelling the call kills the whole tree before it returns."""
        ...

    async def __aenter__(self) -> Self:
        """Open: probe, start warm servers. Raises SandboxUnavailable."""
        ...

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Close: kill and remove everything this sandbox made."""
        ...
