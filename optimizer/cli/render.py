"""Read models as text for a terminal of 80 columns and more. Trace text is untrusted: control characters go."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from optimizer.cli.final_lines import crowd_text, final_text
from optimizer.cli.progress import clock
from optimizer.cli.terminal import plain
from optimizer.domain.candidate import Decision
from optimizer.domain.evalcase import EvalCase
from optimizer.domain.failure import Cluster
from optimizer.ledger.views import CandidateDetail, CandidateRow, CaseRow, ClusterDetail, StatusView

MARK = {"accept": "+", "reject": "x", "inconclusive": "~", "refused": "!", "running": "."}


def one_line(text: str, width: int) -> str:
    """Text on one line, cut with an ellipsis."""
    flat = " ".join(plain(text).split())
    return flat if len(flat) <= width else flat[: width - 3] + "..."


def percent(value: float | None) -> str:
    """`0.534`, or `-` where nothing is known."""
    return "-" if value is None else f"{value:.3f}"


def status_lines(status: StatusView) -> Iterator[str]:
    """A campaign at a glance."""
    header, counts = status.header, status.counts
    word = "running" if status.state in {"running", "stale"} else "left unjudged by the end"
    simulated = "  (SIMULATED model: every figure below is simulated)" if header.is_simulated else ""
    yield f"{header.campaign}: {status.state}{simulated}"
    if status.end_code:
        yield f"  ended       {status.end_code}: {one_line(status.end_text or '', 90)}"
    yield f"  benchmark   {header.benchmark} {header.benchmark_version}, seed {header.seed}"
    if status.sandbox_levels:
        yield f"  sandbox     {sandbox_text(status.sandbox_levels)}"
    yield f"  branch      hone/{header.campaign} from {header.base_commit[:10]}"
    yield (
        f"  val         {percent(status.val_baseline)} -> {percent(status.val_now)}"
        f"   internal estimate, not a result: the test split is {'sealed' if status.final is None else 'spent'}"
    )
    if status.final is not None:
        yield f"  test        {final_text(status.final)}"
    if crowd := crowd_text(status.n_val_candidates):
        yield from _wrapped("  val wear    ", crowd)
    yield (
        f"  candidates  {counts.total}: {counts.accepted} accepted, {counts.rejected + counts.refused} rejected"
        f" ({counts.refused} refused unpaid), {counts.inconclusive} inconclusive, {counts.running} {word}"
    )
    states = ", ".join(f"{n} {state}" for state, n in status.clusters) or "none"
    yield f"  clusters    {sum(n for _, n in status.clusters)}: {states}"
    yield f"  suite       {status.n_suite} regression cases of {status.n_cases} eval cases"
    yield from _spend_lines(status)


def sandbox_text(levels: Sequence[str]) -> str:
    """Isolation levels, with a mark that nobody overlooks on the weaker one."""
    mark = "  REDUCED ISOLATION, by request" if any(level.startswith("reduced") for level in levels) else ""
    return ", ".join(levels) + mark


def _spend_lines(status: StatusView) -> Iterator[str]:
    spent, limits = status.spent, status.limits
    dollars = "simulated $" if status.header.is_simulated else "$"
    yield f"  rollouts    {status.n_rollouts}{_of(limits.rollouts)} in {status.n_batches} batches"
    yield f"  spent       {dollars}{spent.usd:.4f}{_of(limits.usd)}, {spent.tokens:,} tokens{_of(limits.tokens)}"
    if status.uncertain.tokens:
        lost = status.uncertain
        yield f"  uncertain   {dollars}{lost.usd:.4f}, {lost.tokens:,} tokens: calls without an answer, held as spent"
    saved = f", worth {dollars}{status.usd_saved:.4f}" if status.usd_saved else ""
    yield f"  replayed    {status.n_replayed_calls:,} of {status.n_calls:,} model calls by shared luck{saved}"
    hours = f" of {limits.hours:g} h" if limits.hours else ""
    yield f"  time        {clock(status.elapsed_s)}{hours}"


def _of(limit: float | None) -> str:
    return "" if limit is None else f" of {limit:,.10g}"


def log_lines(rows: Sequence[CandidateRow], width: int = 118) -> Iterator[str]:
    """One line a candidate."""
    for row in rows:
        gain = (
            "" if row.val_before is None or row.val_after is None else f"{100 * (row.val_after - row.val_before):+.1f}"
        )
        lead = f"{MARK[row.status]} {row.n:>4}  k{row.cluster_id:<3} {gain:>5}  "
        title = one_line(row.title or "(no proposal)", 46)
        yield one_line_tail(f"{lead}{title:<46}  ", row.reason or row.status, width)


def one_line_tail(lead: str, tail: str, width: int) -> str:
    """A fixed lead, and as much of a sentence as fits."""
    return lead + one_line(tail, max(20, width - len(lead)))


def detail_lines(detail: CandidateDetail) -> Iterator[str]:
    """One candidate: why, on what evidence, and what it changes."""
    row, proposal, decision = detail.row, detail.proposal, detail.decision
    yield f"candidate {row.n}  {row.status}  {row.title}"
    yield f"  cluster   {row.cluster_id}   batch {row.batch}   proposer {row.proposer}   rung {row.rung or '-'}"
    if detail.cluster is not None:
        cluster = detail.cluster
        solved = f"{cluster.n_resolved} of {cluster.n_failures} failures solved"
        yield f"            {cluster.name} [{cluster.label}], {cluster.state}, {solved}{_standing(cluster)}"
    yield f"  commit    {detail.accepted_commit or row.commit or '-'}"
    if proposal is not None:
        yield from _wrapped("  why       ", proposal.hypothesis)
        yield from _wrapped("  predicts  ", proposal.predicted_fixes or f"fixes {', '.join(proposal.target_tasks)}")
        if proposal.predicted_risks:
            yield from _wrapped("  risks     ", proposal.predicted_risks)
    yield from _wrapped("  decision  ", row.reason or "not decided yet")
    if decision is not None:
        yield from _decision_lines(decision)
    for case in detail.broken_cases:
        yield f"  broke case {case.id}  {case.check} on {case.task_id} ({case.state})"
    if detail.diff:
        yield ""
        yield plain(detail.diff).rstrip("\n")


def _decision_lines(decision: Decision) -> Iterator[str]:
    yield "  gate      (val figures are internal estimates, not results)"
    width = max((len(check.name) for check in decision.checks), default=0)
    for check in decision.checks:
        mark = {True: "ok  ", False: "FAIL", None: "-   "}[check.is_passed]
        yield f"    {mark} {check.name:<{width}} {check.note}"
    yield f"  fixed     {', '.join(decision.fixed) or '-'}"
    yield f"  broke     {', '.join(decision.broken) or '-'}"
    usd = "unknown" if decision.usage.usd is None else f"${decision.usage.usd:.4f}"
    yield f"  cost      {decision.n_rollouts} rollouts, {decision.usage.tokens:,} tokens, {usd}"


def cluster_lines(clusters: Sequence[Cluster]) -> Iterator[str]:
    """One line a cluster, the most pressing first; then those seen once, then those that were merged into another."""
    yield "  id  state      failing  seen  solved  tried  severity  name"
    for cluster in sorted(clusters, key=lambda c: (c.parent is not None, c.is_one_off, -c.priority, c.id)):
        yield (
            f"  {cluster.id:<3} {cluster.state:<10} {len(cluster.failing_tasks):>7} {cluster.n_failures:>5}"
            f" {cluster.resolution_rate:>7.0%} {cluster.n_attempts:>6}  {cluster.severity:>8.2f}"
            f"  {cluster.name} [{cluster.label}]{_standing(cluster)}"
        )


def _standing(cluster: Cluster) -> str:
    """What is special about a cluster, in a few words."""
    words = []
    if cluster.parent is not None:
        words.append(f"merged into k{cluster.parent}")
    if cluster.is_one_off:
        words.append("one-off")
    if cluster.resolved_by is not None:
        words.append(f"resolved by {cluster.resolved_by}")
    if cluster.reopened_since is not None:
        words.append(f"seen again since {cluster.reopened_since[:10]}")
    return f"  ({', '.join(words)})" if words else ""


def cluster_detail_lines(detail: ClusterDetail) -> Iterator[str]:
    """One cluster with its life."""
    cluster = detail.cluster
    yield from cluster_lines([cluster])
    yield f"  solved    {cluster.n_resolved} of {cluster.n_failures} failures by accepted edits"
    if detail.absorbed:
        yield f"  absorbed  {', '.join(f'k{each}' for each in detail.absorbed)}"
    yield ""
    yield "  life"
    for snapshot in detail.history:
        then = snapshot.cluster
        merged = "" if then.parent is None else f", merged into k{then.parent}"
        yield f"    batch {snapshot.batch:<4} {then.state:<10} {len(then.failing_tasks)} tasks failing{merged}"
    yield "  latest failures"
    for row in detail.failures[:10]:
        yield f"    {row.failure.task_id:<22} {one_line(row.failure.symptom, 60)}  (rollout {row.failure.rollout_id})"
        if row.failure.evidence:
            yield f"      | {one_line(row.failure.evidence, 100)}"
    yield "  tried"
    yield from (f"  {line}" for line in log_lines(detail.candidates))


def suite_lines(rows: Sequence[CaseRow]) -> Iterator[str]:
    """The regression suite and what waits for it."""
    yield "  state        pass rate  layer          weight  task                    cluster  since batch  note"
    for row in sorted(rows, key=_case_order):
        case = row.case
        rate = "-" if case.pass_rate is None else f"{case.n_passes}/{case.n_runs}"
        what = f"{case.layer:<13} {case.weight:>7g}  {case.task_id:<22}  {case.cluster_id:>7}"
        yield f"  {case.state:<12} {rate:>9}  {what}  {row.made_batch:>11}  {_case_note(case)}"


def _case_note(case: EvalCase) -> str:
    """Why it is in its state, and what was done to believe it."""
    checked = case.verification
    words = [case.note] if case.note else []
    failed = f"failed {checked.n_failing} of {checked.n_failing_runs}"
    if checked.n_failing_runs and failed not in case.note:
        words.append(f"{failed} on the harness it is from")
    if checked.known_good and checked.known_good not in case.note:
        words.append(f"accepts {checked.known_good}")
    if checked.nearest_case and checked.similarity:
        words.append(f"like {checked.nearest_case} by {checked.similarity:.2f}")
    if checked.leak:
        words.append(f"shares with val or test: {one_line(checked.leak, 60)!r}")
    if checked.overridden_by:
        words.append(f"admitted by {checked.overridden_by}")
    if case.synthetic_of is not None:
        words.append(f"made up from {case.synthetic_of}")
    return "; ".join(words)


def _case_order(row: CaseRow) -> tuple[int, str]:
    case: EvalCase = row.case
    return (("active", "quarantined", "verified", "candidate", "retired").index(case.state), case.id)


def _wrapped(lead: str, text: str) -> list[str]:
    return textwrap.wrap(plain(text), 110, initial_indent=lead, subsequent_indent=" " * len(lead)) or [lead.rstrip()]
