"""The semantic layer of a campaign: a calibrated judge decides whether a case holds, asked once per case and run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from optimizer.domain.errors import ConfigError
from optimizer.domain.evalcase import EvalCase
from optimizer.domain.rollout import Rollout
from optimizer.domain.trace import Trace
from optimizer.evals.judging import Judge, Rubric, require_calibrated


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A judge and the rubric it is calibrated on."""

    judge: Judge
    rubric: Rubric


OpenJudge = Callable[[], Bench | None]
"""Opens the judge; None where the settings describe none. Raises ConfigError where it may not decide."""


class Semantic:
    """Judges runs by rubric, lazily: a campaign without semantic cases needs no judge."""

    def __init__(self, open_judge: OpenJudge | None, trace_of: Callable[[Rollout], Trace]) -> None:
        self._open = open_judge
        self._trace_of = trace_of
        self._bench: Bench | None = None
        self._said: dict[tuple[str, str], bool] = {}

    async def holds(self, case: EvalCase, rollout: Rollout) -> bool:
        """Whether the judge says that the rubric named by the case holds in a run.

        Raises:
            ConfigError: no calibrated judge for this rubric is at hand.
            BudgetExhaustedError: the question is not affordable.
            ModelUnavailableError, ModelError: the judge cannot be asked.
        """
        if rollout.status not in {"passed", "failed"}:
            return False
        key = (case.check, rollout.job.id)
        if key not in self._said:
            bench = self._sitting(case)
            self._said[key] = (await bench.judge.judge(bench.rubric, self._trace_of(rollout))).holds
        return self._said[key]

    def _sitting(self, case: EvalCase) -> Bench:
        if self._bench is None and self._open is not None:
            self._bench = self._open()
        if self._bench is None or self._bench.rubric.name != case.check:
            raise ConfigError(
                f"case {case.id} needs a calibrated judge for {case.check!r}; none is set up."
                f" Set [judge] rubric to a file {case.check}.md, add [judge.model], and run `hone judge`."
            )
        require_calibrated(self._bench.judge, self._bench.rubric)
        return self._bench
