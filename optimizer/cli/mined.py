"""The pass of `hone mine`: read, redact, diagnose, cluster. Holds failures and a few examples, never all traces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from optimizer.cli.mining_adapter import Group, clustered, failure_of
from optimizer.domain.errors import ConfigError
from optimizer.domain.evalcase import EvalCase
from optimizer.domain.failure import Failure
from optimizer.domain.json import content_hash
from optimizer.domain.trace import Span
from optimizer.telemetry.imported import ImportedRun, Origin, Problem
from optimizer.telemetry.redact import Redactor
from optimizer.telemetry.redact_run import redacted, redacted_problem

EXAMPLES = 5
"""Runs per kind of failure that are kept whole, for quotations and cases."""
SHOWN_PROBLEMS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFailure:
    """A failure and where its run stands."""

    failure: Failure
    origin: Origin
    format: str
    outcome: str
    """As judged at the source: `failed`, or `unknown` when only a detector says so."""
    n_spans: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateCase:
    """An eval case to be verified: the task, and the conversation up to the first decisive step."""

    case: EvalCase
    origin: Origin
    label: str
    expected: str
    spans: tuple[Span, ...]
    """Up to and with the decisive one; all of them when the trace does not show it."""
    tools: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What was read."""

    files: int = 0
    """Files in which at least one record was found."""
    runs: int = 0
    passed: int = 0
    failed: int = 0
    unknown: int = 0
    looks_failed: int = 0
    """Of the unknown ones: those in which a detector found something grave."""
    duplicates: int = 0
    """Runs that were read before, byte for byte; counted nowhere else."""
    problems: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """The whole result."""

    counts: Counts
    formats: tuple[tuple[str, int], ...]
    groups: tuple[Group, ...]
    seen: dict[str, SeenFailure]
    """Per failure id."""
    cases: tuple[CandidateCase, ...]
    problems: tuple[Problem, ...]
    """The first thousand."""


@dataclass(slots=True)
class _Heap:
    """What is known so far."""

    counts: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    files: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    seen: dict[str, SeenFailure] = field(default_factory=dict)
    kept: dict[str, ImportedRun] = field(default_factory=dict)
    """Runs kept whole, per failure id."""
    n_kept: Counter[tuple[str, str]] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)


def mine(
    read: Iterable[ImportedRun | Problem],
    *,
    redactor: Redactor | None,
    is_strict: bool = False,
    progress: Callable[[Counter[str]], None] = lambda _: None,
) -> Mined:
    """Mine what was read. Without a redactor nothing is redacted.

    Raises:
        ConfigError: strict, and something could not be read.
    """
    heap = _Heap()
    for one in read:
        heap.files.add(one.origin.file)
        if isinstance(one, Problem):
            _note(heap, one if redactor is None else redacted_problem(one, redactor), is_strict=is_strict)
        elif one.id in heap.ids:
            heap.counts["duplicates"] += 1
        else:
            heap.ids.add(one.id)
            _take(heap, one, redactor)
        progress(heap.counts)
    judged_first = sorted(heap.seen.values(), key=lambda seen: seen.outcome == "unknown")
    groups = clustered([seen.failure for seen in judged_first])
    return Mined(
        counts=Counts(files=len(heap.files), **heap.counts),
        formats=tuple(heap.formats.most_common()),
        groups=groups,
        seen=heap.seen,
        cases=tuple(_cases(groups, heap)),
        problems=tuple(heap.problems),
    )


def _note(heap: _Heap, problem: Problem, *, is_strict: bool) -> None:
    if is_strict:
        raise ConfigError(f"{problem}. Mend it, or leave out --strict to go on without.")
    heap.counts["problems"] += 1
    if len(heap.problems) < SHOWN_PROBLEMS:
        heap.problems.append(problem)


def _take(heap: _Heap, run: ImportedRun, redactor: Redactor | None) -> None:
    outcome = run.verdict.outcome
    heap.counts["runs"] += 1
    heap.counts[outcome] += 1
    heap.formats[run.format] += 1
    if outcome == "passed":
        return
    clean = run if redactor is None else redacted(run, redactor)
    failure = failure_of(clean)
    if failure is None:
        return
    heap.counts["looks_failed"] += outcome == "unknown"
    heap.seen[failure.id] = SeenFailure(
        failure=failure, origin=clean.origin, format=run.format, outcome=outcome, n_spans=len(run.trace.spans)
    )
    kind = (failure.label, failure.signature)
    heap.n_kept[kind] += 1
    if heap.n_kept[kind] <= EXAMPLES:
        heap.kept[failure.id] = clean


def _cases(groups: Iterable[Group], heap: _Heap) -> Iterator[CandidateCase]:
    """One case per task and cluster, from the runs that were kept."""
    made: set[str] = set()
    for group in groups:
        for failure in group.failures:
            run = heap.kept.get(failure.id)
            case = None if run is None else _case(group, failure)
            if run is None or case is None or case.id in made:
                continue
            made.add(case.id)
            end = len(run.trace.spans) if failure.span is None else failure.span + 1
            yield CandidateCase(
                case=case,
                origin=run.origin,
                label=failure.label,
                expected=failure.expected,
                spans=run.trace.spans[:end],
                tools=failure.context.tools,
            )


def _case(group: Group, failure: Failure) -> EvalCase:
    return EvalCase(
        id=content_hash(failure.task_id, group.cluster.id),
        task_id=failure.task_id,
        cluster_id=group.cluster.id,
        failure_id=failure.id,
        rollout_id=failure.rollout_id,
        check=failure.check or failure.label,
        state="candidate",
        note="mined from a trace; not verified",
        slices=(failure.label,),
    )
