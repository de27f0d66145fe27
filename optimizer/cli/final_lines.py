"""The sealed test as text."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.campaign.finalizing import MANY_VAL_CANDIDATES
from optimizer.domain.final import FinalResult, FinalSeal
from optimizer.ledger.finals import FinalRow

UNTOUCHED = "untouched split"
TOUCHED = "NOT UNTOUCHED: this split was spent before, so read this as an internal estimate"


def points(value: float) -> str:
    """A difference of rates in points."""
    return f"{100 * value:+.1f}"


def crowd_text(n_val_candidates: int) -> str:
    """A warning once too many candidates were judged on the same validation tasks; else empty."""
    if n_val_candidates <= MANY_VAL_CANDIDATES:
        return ""
    return (
        f"{n_val_candidates} candidates were judged on these val tasks (more than {MANY_VAL_CANDIDATES}), so the"
        " internal estimate is worn: begin the next campaign with fresh val tasks: a new version of the benchmark,"
        " or its [benchmark.options] where it can make fresh ones."
    )


def final_text(row: FinalRow) -> str:
    """The outcome of a broken seal on one line."""
    if row.result is None:
        return "begun, not finished: `hone finalize` goes on"
    result = row.result
    return (
        f"{result.base:.3f} -> {result.head:.3f}  {points(result.difference)} points"
        f" [{points(result.low)}, {points(result.high)}]  {UNTOUCHED if row.seal.is_untouched else TOUCHED}"
    )


def final_lines(seal: FinalSeal, result: FinalResult) -> Iterator[str]:
    """The whole result for a person."""
    simulated = "  (SIMULATED model: every figure is simulated)" if result.is_simulated else ""
    yield f"sealed test of {seal.benchmark} {seal.benchmark_version[:12]}{simulated}"
    interval = f"{points(result.low)} to {points(result.high)}"
    yield f"  difference  {points(result.difference)} points, 95 % interval {interval}"
    yield f"  pass rate   {result.base:.3f} at the baseline -> {result.head:.3f} at the head"
    yield (
        f"  tasks       {result.n_tasks} in {result.n_groups} groups, {result.n_trials} trials with each version;"
        f" the interval counts groups"
    )
    yield f"  split       {UNTOUCHED if seal.is_untouched else TOUCHED}; it is spent now"
    yield f"  versions    {seal.base_commit[:10]} -> {seal.head_commit[:10]}"
    yield f"  rollouts    {result.n_rollouts}, {result.n_unmeasured} not measured (infrastructure)"
    yield f"  cost        {_cost(result)}"
    yield f"  sandbox     {', '.join(result.sandbox_levels) or 'none'}"
    if crowd := crowd_text(result.n_val_candidates):
        yield f"  val wear    {crowd}"
    yield from _slice_lines(result)


def _slice_lines(result: FinalResult) -> Iterator[str]:
    if not result.slices:
        return
    yield "  slice                     tasks   base   head  difference  95 % interval"
    for each in result.slices:
        yield (
            f"  {each.name:<24}  {each.n_tasks:>5}  {each.base:.3f}  {each.head:.3f}  {points(each.difference):>10}"
            f"  {points(each.low)} to {points(each.high)}"
        )


def _cost(result: FinalResult) -> str:
    tokens = f"{result.usage.tokens:,} tokens"
    if result.usage.usd is None:
        return f"{tokens}, price unknown"
    return f"{'simulated ' if result.is_simulated else ''}${result.usage.usd:.4f}, {tokens}"
