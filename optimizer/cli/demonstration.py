"""The demo: a new harness folder, a whole campaign on it, and the story it left behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import anyio

from optimizer.cli.compose import Watchers, Workplace, open_workplace
from optimizer.cli.jsonable import jsonable, print_json
from optimizer.cli.progress import Narrator
from optimizer.cli.render import log_lines, status_lines
from optimizer.cli.replaying import TrueRate, replay
from optimizer.cli.running import run_session, unwrapped
from optimizer.cli.session import begin
from optimizer.cli.starting import start_harness
from optimizer.cli.summary import summary_of
from optimizer.cli.terminal import tell
from optimizer.domain.budget import BudgetLimits
from optimizer.ledger.reader import LedgerReader
from optimizer.ledger.views import Page


def demonstrate(folder: Path, *, seed: int, n_trials: int, is_quiet: bool) -> None:
    """Run it; the last line of stdout is one JSON object."""
    start_harness(folder, name="demo", seed=seed)
    workplace = open_workplace(folder)
    with begin(workplace) as ledger:
        run_session(workplace, ledger)
    with LedgerReader.open(workplace.ledger_folder) as reader:
        status = reader.status()
        if not is_quiet:
            for line in story(reader, folder):
                tell(line)
    result = {**_mapping(jsonable(summary_of(status))), "folder": str(folder)}
    if n_trials:
        before, after = true_rates(workplace, n_trials)
        if not is_quiet:
            tell("")
            tell(f"  true val, replayed with fresh luck ({n_trials} trials a task, simulated):")
            tell(f"    base {before.mean:.3f} +- {before.half_interval:.3f}")
            tell(f"    head {after.mean:.3f} +- {after.half_interval:.3f}")
        result |= {"true_val_baseline": before.mean, "true_val_best": after.mean}
    print_json(result)


def story(reader: LedgerReader, folder: Path) -> Iterator[str]:
    """What a person wants to know in the morning."""
    yield ""
    yield from status_lines(reader.status())
    yield ""
    yield "  accepted, in the order of the branch"
    for row in reader.accepted():
        detail = reader.candidate(row.candidate)
        yield f"  {row.position:>2}. {row.commit[:10]} {row.title}"
        if detail is not None and detail.decision is not None:
            yield f"      {detail.decision.reason}"
    yield ""
    yield "  what was set aside, newest first"
    rows = reader.candidates(page=Page(limit=10_000, is_newest_first=True))
    rejected = [row for row in rows if row.status != "accept"]
    yield from (f"  {line}" for line in log_lines(rejected[:12], 116))
    if len(rejected) > 12:
        yield f"    and {len(rejected) - 12} more"
    yield ""
    yield f"  look around:  cd {folder} && hone log && hone show 1 && git log --oneline hone/demo"


def true_rates(workplace: Workplace, n_trials: int) -> tuple[TrueRate, TrueRate]:
    """Base and head, by fresh rollouts on val."""
    base, head = workplace.repo.base(), workplace.repo.trunk()
    assert base is not None
    assert head is not None
    print("  replaying base and head for their true pass rates", file=sys.stderr)
    narrator = Narrator(limits=BudgetLimits(), is_simulated=True)
    watchers = Watchers(note=narrator.note, rollout=narrator.rollout)
    with unwrapped():
        before, after = anyio.run(
            lambda: replay(workplace, (base, head), split="val", n_trials=n_trials, watchers=watchers)
        )
    narrator.close()
    return before, after


def _mapping(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value
