"""The shortest beginning of a trace that shows its failure."""

from __future__ import annotations

from optimizer.domain.trace import Span, Trace
from optimizer.evals.reduction import shortest_prefix

TRACE = Trace(
    spans=tuple(
        Span(index=i, kind="tool_call", name="get", input={}, output="", is_error=i in {3, 5}) for i in range(9)
    )
)


def n_errors(trace: Trace) -> int:
    return sum(span.is_error for span in trace.spans)


def test_the_beginning_ends_where_the_failure_first_shows():
    assert shortest_prefix(TRACE, lambda trace: n_errors(trace) == 1) == 4
    assert shortest_prefix(TRACE, lambda trace: n_errors(trace) == 2, at_least=4) == 6


def test_what_the_whole_trace_does_not_show_has_none():
    assert shortest_prefix(TRACE, lambda trace: n_errors(trace) == 3) is None
    assert shortest_prefix(Trace(spans=()), lambda _: True) is None


def test_nothing_shorter_than_the_decisive_span_is_asked_about():
    asked: list[int] = []
    shortest_prefix(TRACE, lambda trace: bool(asked.append(len(trace.spans))), at_least=7)
    assert asked == [7, 8, 9]
