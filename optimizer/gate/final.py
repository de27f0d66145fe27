"""The last comparison: baseline and trunk, paired on tasks that nothing was ever chosen by.

The interval is that of a mean of per-task differences (Miller, *Adding Error Bars to Evals*, arXiv 2411.00640). Tasks
that share a template or a customer vary together, so groups, not tasks, are what is counted as independent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean difference in score with its 95 % interval, all within [-1, 1]."""

    estimate: float
    low: float
    high: float
    n_tasks: int
    n_groups: int
    """Independent groups of tasks; equals `n_tasks` where each task stands alone."""

    @property
    def is_gain(self) -> bool:
        """The interval lies above zero."""
        return self.low > 0


def paired_interval(differences: Mapping[str, float], groups: Mapping[str, str] | None = None) -> Interval:
    """Mean of per-task differences (mean over trials, trunk less baseline) with a cluster-robust 95 % interval.

    `groups` names the group of a task; one that it leaves out stands alone. Student's t with one degree of freedom less
    than there are groups; with a single group nothing is known and the interval is [-1, 1]. However equal the
    differences are, the half-width is at least 3/groups: what has not been seen in n may still happen in 3/n.
    Raises ValueError when there is no difference at all.
    """
    if not differences:
        raise ValueError("no task was measured on both sides, so there is nothing to compare; run the test split again")
    n = len(differences)
    estimate = math.fsum(differences.values()) / n
    residuals: dict[str, list[float]] = {}
    for task, difference in differences.items():
        key = f"g/{groups[task]}" if groups and task in groups else f"t/{task}"
        residuals.setdefault(key, []).append(difference - estimate)
    n_groups = len(residuals)
    half = 2.0 if n_groups < 2 else _half_width([math.fsum(each) for each in residuals.values()], n)
    return Interval(
        estimate=estimate,
        low=max(-1.0, estimate - half),
        high=min(1.0, estimate + half),
        n_tasks=n,
        n_groups=n_groups,
    )


def _half_width(sums: list[float], n_tasks: int) -> float:
    n_groups = len(sums)
    variance = math.fsum(each * each for each in sums) * n_groups / (n_groups - 1) / n_tasks**2
    return max(students_t(n_groups - 1) * math.sqrt(variance), 3 / n_groups)


def students_t(freedom: int) -> float:
    """97.5 % quantile of Student's t; exact for 1 and 2 degrees of freedom, to 0.005 above.

    The series is Abramowitz and Stegun, 26.7.5.
    """
    if freedom == 1:
        return math.tan(math.pi * 0.475)
    if freedom == 2:
        return 0.95 / math.sqrt(2 * 0.975 * 0.025)
    z = 1.959963984540054
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / freedom**power for power, term in enumerate(terms))
