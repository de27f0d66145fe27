"""Narration on stderr while a campaign runs: one line per event, and one status line with rate and ETA."""

from __future__ import annotations

import shutil
import sys
import textwrap
from dataclasses import dataclass, field
from time import monotonic

from optimizer.campaign.journal import Event
from optimizer.cli.terminal import plain
from optimizer.domain.budget import BudgetLimits, Spend
from optimizer.domain.rollout import Rollout

MARKS = {
    "baseline": "=",
    "batch": "-",
    "proposed": "?",
    "accepted": "+",
    "rejected": "x",
    "inconclusive": "~",
    "promoted": "^",
    "review": "?",
    "control": ">",
    "ended": ".",
}


@dataclass
class Narrator:
    """Tells the story of a running campaign."""

    limits: BudgetLimits
    is_simulated: bool
    is_terminal: bool = field(default_factory=sys.stderr.isatty)
    told_until: int = 0
    """Events up to this number were told by an earlier session."""
    _started: float = field(default_factory=monotonic)
    _shown: float = 0.0
    _spent: Spend = field(default_factory=Spend)

    def event(self, event: Event) -> None:
        """One line of the story."""
        if event.seq <= self.told_until or (event.kind == "batch" and not self.is_terminal):
            return
        who = f" #{event.candidate}" if event.candidate is not None else ""
        width = max(20, shutil.get_terminal_size().columns - 2) if self.is_terminal else 10_000
        self._line(textwrap.shorten(f"  {MARKS[event.kind]}{who} {event.text}", width, placeholder=" ..."))

    def note(self, text: str) -> None:
        """Something about the surroundings: an environment that is being built."""
        self._line(f"  {text}")

    def rollout(self, rollout: Rollout) -> None:
        """A rollout has ended: refresh the status line, at most twice a second."""
        usage = rollout.usage
        self._spent = self._spent + Spend(usd=usage.usd or 0.0, tokens=usage.tokens, rollouts=1)
        pause = 0.5 if self.is_terminal else 20.0
        if monotonic() - self._shown < pause:
            return
        self._shown = monotonic()
        if self.is_terminal:
            print(f"\r\x1b[K  {self.status()}", end="", file=sys.stderr, flush=True)
        else:
            print(f"  {self.status()}", file=sys.stderr, flush=True)

    def status(self) -> str:
        """Rollouts, rate, money and the time left until the first limit, at this session's pace."""
        elapsed = max(1e-3, monotonic() - self._started)
        money = f"${self._spent.usd:.2f}{' simulated' if self.is_simulated else ''}"
        parts = [f"{self._spent.rollouts} rollouts", f"{self._spent.rollouts / elapsed:.1f}/s", money]
        left = self._left_s(elapsed)
        if left is not None:
            parts.append(f"at most {clock(left)} to go")
        return " | ".join([clock(elapsed), *parts])

    def close(self) -> None:
        """Leave the terminal on a fresh line."""
        if self.is_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _left_s(self, elapsed: float) -> float | None:
        paces = []
        for name in ("usd", "tokens", "rollouts"):
            limit, spent = getattr(self.limits, name), getattr(self._spent, name)
            if limit is not None and spent > 0:
                paces.append(max(0.0, (limit - spent) * elapsed / spent))
        if self.limits.hours is not None:
            paces.append(max(0.0, 3600 * self.limits.hours - elapsed))
        return min(paces, default=None)

    def _line(self, text: str) -> None:
        start = "\r\x1b[K" if self.is_terminal else ""
        print(f"{start}{plain(text)}", file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """`0:42`, `12:05`, `3:00:10`."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
