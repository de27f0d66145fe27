"""Narration of `hone mine` on stderr."""

from __future__ import annotations

import sys
from collections import Counter
from time import monotonic

PAUSE_S = 0.5
PAUSE_WITHOUT_TERMINAL_S = 10.0


class Ticker:
    """One line that is refreshed on a terminal, and said now and then elsewhere."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._started = self._shown = monotonic()
        self._counts: Counter[str] = Counter()

    def tick(self, counts: Counter[str]) -> None:
        """A record was read."""
        self._counts = counts
        pause = PAUSE_S if self._is_terminal else PAUSE_WITHOUT_TERMINAL_S
        if monotonic() - self._shown >= pause:
            self._shown = monotonic()
            start, end = ("\r\x1b[K", "") if self._is_terminal else ("", "\n")
            print(f"{start}  {self.line()}", end=end, file=sys.stderr, flush=True)

    def line(self) -> str:
        """How far, and how fast."""
        counts, elapsed = self._counts, max(1e-3, monotonic() - self._started)
        return f"{counts['runs']:,} runs, {counts['problems']:,} problems, {counts['runs'] / elapsed:,.0f} runs/s"

    def close(self) -> None:
        """The last line, with the time it took."""
        start = "\r\x1b[K" if self._is_terminal else ""
        print(f"{start}  {self.line()}, {monotonic() - self._started:.1f} s", file=sys.stderr, flush=True)
