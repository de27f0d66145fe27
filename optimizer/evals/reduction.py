"""Minimal reproduction: the shortest beginning of a recorded trace that already shows its failure."""

from __future__ import annotations

from collections.abc import Callable

from optimizer.domain.trace import Trace

Shows = Callable[[Trace], bool]
"""Whether a (cut) trace shows the failure; detectors are asked, no harness runs."""


def shortest_prefix(trace: Trace, shows: Shows, *, at_least: int = 1) -> int | None:
    """Number of spans of the shortest beginning that shows the failure; None when not even the whole trace does.

    `at_least` is a length below which it cannot show, such as the decisive span's. Beginnings are asked in order of
    their length: a finding that a later span would take back counts from where it first shows.
    """
    for n_spans in range(max(1, at_least), len(trace.spans) + 1):
        if shows(Trace(spans=trace.spans[:n_spans])):
            return n_spans
    return None
