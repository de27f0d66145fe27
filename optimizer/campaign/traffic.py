"""Batches of train tasks, in a seeded order that visits every task before any comes again."""

from __future__ import annotations

from optimizer.domain.errors import BenchmarkError
from optimizer.domain.json import content_hash
from optimizer.domain.task import Task


class Traffic:
    """The stream of mined tasks."""

    def __init__(self, tasks: tuple[Task, ...], *, batch_size: int, seed: int) -> None:
        self._train = [task for task in tasks if task.split == "train"]
        if not self._train:
            message = "the benchmark has no train tasks; there is nothing to learn from. Check its splits."
            raise BenchmarkError(message)
        self._size = min(batch_size, len(self._train))
        self._seed = seed
        self._position = 0
        self.n = 0
        """Batches handed out so far."""

    @property
    def n_tasks(self) -> int:
        """Size of the train split."""
        return len(self._train)

    def next(self) -> tuple[list[Task], dict[str, int]]:
        """The next batch, and for each of its tasks how often it was mined before."""
        self.n += 1
        picked: list[Task] = []
        visits: dict[str, int] = {}
        while len(picked) < self._size:
            lap, offset = divmod(self._position, len(self._train))
            task = self._order(lap)[offset]
            self._position += 1
            if task.id not in visits:
                picked.append(task)
                visits[task.id] = lap
        return picked, visits

    def _order(self, lap: int) -> list[Task]:
        return sorted(self._train, key=lambda task: content_hash(self._seed, lap, task.id))
