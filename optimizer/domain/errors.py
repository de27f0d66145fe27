"""The error tree. A message says what happened, with which value, and what to do about it.

HoneError
├── ConfigError          campaign.toml or a command line that cannot be used
├── HarnessError         the harness folder breaks its contract (no agent.py, syntax error, ...)
├── EditRefusedError     a candidate's edit is refused before it costs anything
│   └── ProposalFailedError     ... after the proposal itself was paid for (`optimizer.propose.protocol`)
├── RepoError            git says no: dirty tree, missing identity, conflicting pick
├── LedgerError          the ledger cannot be opened, written or believed
├── SandboxUnavailableError  the isolation that was asked for cannot be had on this machine
├── ModelError           a provider answered with something that cannot be used
│   └── ModelUnavailableError   ... after all retries: an infrastructure error, never a candidate's fault
├── InfrastructureError  nothing of a block of rollouts could be measured: mend the cause and resume
├── BudgetExhaustedError  a limit was reached: a planned stop, not a failure
└── BenchmarkError       a benchmark cannot offer or open a task

Outcomes of a rollout are statuses (`optimizer.domain.rollout.Status`), not exceptions.
"""


class HoneError(Exception):
    """Base of every error that is shown to a person as one message and a remedy."""


class ConfigError(HoneError):
    """Settings that cannot be used; the message names file, key and the nearest valid key."""


class HarnessError(HoneError):
    """The harness folder breaks the contract of HARNESS.md."""


class EditRefusedError(HoneError):
    """An edit is out of scope, malformed, empty or a duplicate; `code` is the short reason for the ledger."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RepoError(HoneError):
    """A git operation is refused or failed."""


class LedgerError(HoneError):
    """The ledger cannot be opened, written or believed."""


class SandboxUnavailableError(HoneError):
    """The requested isolation level cannot be reached on this machine."""


class ModelError(HoneError):
    """A model provider answered with something that cannot be used."""


class ModelUnavailableError(ModelError):
    """A model provider stayed out of reach after all retries."""


class InfrastructureError(HoneError):
    """Every rollout of a block was lost to infrastructure; none of them is recorded, so a resume runs them again."""


class BudgetExhaustedError(HoneError):
    """A budget limit was reached; `limit` names it (`usd`, `tokens`, `rollouts`, `hours`, `candidates`)."""

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class BenchmarkError(HoneError):
    """A benchmark cannot offer or open a task."""
