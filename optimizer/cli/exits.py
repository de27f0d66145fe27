"""Exit codes, the whole list. Scripts may rely on them."""

from __future__ import annotations

from enum import IntEnum

from optimizer.domain.errors import (
    BenchmarkError,
    BudgetExhaustedError,
    ConfigError,
    EditRefusedError,
    HarnessError,
    HoneError,
    InfrastructureError,
    LedgerError,
    ModelError,
    RepoError,
    SandboxUnavailableError,
)


class Exit(IntEnum):
    """What the exit status of every `hone` command says."""

    OK = 0
    """Done; for `run` and `resume` also: a budget ended the campaign as planned."""
    FAILED = 1
    """Something unforeseen; a bug report is welcome."""
    USAGE = 2
    """The command line or campaign.toml cannot be used."""
    HARNESS = 3
    """The harness breaks its contract: no agent.py, a syntax error, a run that crashes."""
    REPO = 4
    """Git refused: dirty tree, conflict, missing identity."""
    SANDBOX = 5
    """The isolation that was asked for cannot be had here."""
    MODEL = 6
    """A model provider cannot be reached or used, or nothing could be measured at all."""
    LEDGER = 7
    """The ledger cannot be opened, written or believed."""
    BENCHMARK = 8
    """The benchmark cannot offer its tasks."""
    CHECK_FAILED = 9
    """`doctor` found something that must be mended first."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C; nothing is lost, `hone resume` goes on."""


_BY_ERROR: tuple[tuple[type[HoneError], Exit], ...] = (
    (ConfigError, Exit.USAGE),
    (HarnessError, Exit.HARNESS),
    (EditRefusedError, Exit.HARNESS),
    (RepoError, Exit.REPO),
    (SandboxUnavailableError, Exit.SANDBOX),
    (ModelError, Exit.MODEL),
    (InfrastructureError, Exit.MODEL),
    (LedgerError, Exit.LEDGER),
    (BenchmarkError, Exit.BENCHMARK),
    (BudgetExhaustedError, Exit.OK),
)


def exit_for(error: HoneError) -> Exit:
    """The exit code of an error; `test_exits` proves that none is forgotten."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), Exit.FAILED)
