"""The ways in which this machine may let the native sandbox be built, strongest and fastest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Launcher = Literal["direct", "bwrap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Who makes the namespaces, and whether a warm server inside makes those of each run."""

    launcher: Launcher
    is_cold: bool

    @property
    def name(self) -> str:
        """Its name at the head of the sandbox's level."""
        return "native" + ("-bwrap" if self.launcher == "bwrap" else "") + ("-cold" if self.is_cold else "")

    @property
    def not_covered(self) -> tuple[str, ...]:
        """What this way does not limit that the others do."""
        if self.launcher == "bwrap" and self.is_cold:
            return ("the number of files in /scratch and /tmp (the memory limit alone bounds it)",)
        return ()


WAYS = (
    Way(launcher="direct", is_cold=False),
    Way(launcher="direct", is_cold=True),
    Way(launcher="bwrap", is_cold=False),
    Way(launcher="bwrap", is_cold=True),
)
