"""Two versions of a harness share their luck until the edit first matters."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from optimizer.cli.compose import Watchers, Workplace, evaluator_of, open_workplace
from optimizer.cli.replaying import replay_ledger
from optimizer.cli.starting import start_harness
from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.domain.candidate import FileEdit
from optimizer.domain.rollout import Rollout, RolloutJob
from optimizer.domain.trace import Trace
from tests.campaign.toy import STARTED

pytestmark = pytest.mark.anyio
N_TASKS = 12


@dataclass(frozen=True)
class Twice:
    """The same tasks with the base and with an edited version, in that order."""

    base: tuple[Rollout, ...]
    edited: tuple[Rollout, ...]
    traces: tuple[Trace, ...]
    """Of the edited version."""


async def run_twice(workplace: Workplace, edit: FileEdit) -> Twice:
    head = workplace.repo.head()
    root = workplace.repo.write_tree(head.commit, (edit,))
    commit = workplace.repo.commit(head.commit, root.root, "edit", at=STARTED)
    tasks = [task for task in workplace.benchmark.tasks() if task.split == "train"][:N_TASKS]

    def jobs(tree: str) -> list[RolloutJob]:
        return [RolloutJob(tree=tree, task=task, purpose="replay", trial=0) for task in tasks]

    with replay_ledger(workplace) as ledger:
        async with evaluator_of(workplace, ledger, Budget(BudgetLimits()), Watchers(note=print)) as evaluator:
            base = await evaluator.run(jobs(head.harness_tree))
            edited = await evaluator.run(jobs(workplace.repo.describe(commit).harness_tree))
        return Twice(base=base, edited=edited, traces=tuple(ledger.trace(r.trace_sha or "") for r in edited))


@pytest.fixture
def workplace(tmp_path) -> Workplace:
    start_harness(tmp_path / "harness", name="luck", seed=3)
    return open_workplace(tmp_path / "harness")


async def test_an_edit_that_does_nothing_costs_no_model_call_and_ends_the_same(workplace: Workplace):
    agent = (workplace.folder / "agent.py").read_bytes()
    twice = await run_twice(workplace, FileEdit(path="agent.py", content=agent + b"\n# a comment\n"))
    assert all(r.is_replayed for r in twice.edited)
    assert sum(r.usage.tokens for r in twice.edited) == 0
    assert [r.status for r in twice.edited] == [r.status for r in twice.base]
    assert [r.usage.n_calls for r in twice.edited] == [r.usage.n_calls for r in twice.base]


async def test_an_edit_of_what_a_tool_answers_is_paid_for_only_from_where_it_first_shows(workplace: Workplace):
    """The edit adds a word to what `verify_identity` answers; nothing before that answer changes."""
    tools = (workplace.folder / "tools.py").read_text()
    old = "        return await proceed(name, arguments)\n"
    new = (
        "        reply = await proceed(name, arguments)\n"
        '        note = " (checked)" if name == "verify_identity" else ""\n'
        "        return Reply(content=reply.content + note, is_error=reply.is_error, is_final=reply.is_final)\n"
    )
    assert tools.count(old) == 1
    twice = await run_twice(workplace, FileEdit(path="tools.py", content=tools.replace(old, new).encode()))
    partly = 0
    for trace in twice.traces:
        calls = [span for span in trace.spans if span.kind == "model_call"]
        first_check = next((s.index for s in trace.spans if s.name == "verify_identity"), len(trace.spans))
        for span in calls:
            assert (span.usage.n_replayed_calls == 1) == (span.index < first_check)
        partly += 0 < sum(span.usage.n_replayed_calls for span in calls) < len(calls)
    assert partly >= N_TASKS // 2
