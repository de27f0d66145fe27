"""What tasks show before their first step, read on the trusted side; no harness runs and nothing is graded."""

from __future__ import annotations

from collections.abc import Iterable

import anyio

from optimizer.domain.errors import BenchmarkError
from optimizer.domain.task import Benchmark, Opening, Task
from optimizer.evals.decontam import Opened

CONCURRENCY = 8
TRIES = 3


async def read_openings(benchmark: Benchmark, tasks: Iterable[Task]) -> tuple[Opened, ...]:
    """Open each task and read its own words, in the order of the tasks.

    Raises:
        BenchmarkError: a task cannot be opened, so nobody can say whether anything of it leaks.
    """
    ordered = tuple(tasks)
    texts: dict[str, str] = {}
    limiter = anyio.CapacityLimiter(CONCURRENCY)
    faults: list[BenchmarkError] = []

    async def read(task: Task) -> None:
        async with limiter:
            try:
                texts[task.id] = await opening_text(benchmark, task)
            except BenchmarkError as fault:
                faults.append(fault)

    async with anyio.create_task_group() as group:
        for task in ordered:
            group.start_soon(read, task)
    if faults:
        raise BenchmarkError(
            f"{len(faults)} of {len(ordered)} tasks cannot be opened, so eval cases cannot be checked against val and"
            f" test: {faults[0]}. Mend the benchmark, then `hone resume`."
        )
    return tuple(Opened(task=task, text=texts[task.id]) for task in ordered)


async def opening_text(benchmark: Benchmark, task: Task) -> str:
    """The task's own words.

    Raises:
        BenchmarkError: it cannot be opened, after some tries.
    """
    for _ in range(TRIES - 1):
        try:
            return await _text(benchmark, task)
        except BenchmarkError:
            continue
    return await _text(benchmark, task)


async def _text(benchmark: Benchmark, task: Task) -> str:
    environment = await benchmark.open(task, trial=f"{task.id}/opening/0")
    try:
        return own_words(environment.opening())
    finally:
        await environment.close()


def own_words(opening: Opening) -> str:
    """What differs from task to task: the first message, or the instructions where there is no user."""
    return opening.first_message or opening.instructions
