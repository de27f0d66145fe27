"""Two sessions with a kill -9 between them, and both sides' books."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import zstandard

from optimizer.ledger.ledger import Ledger
from tests.gateway.accounting_child import CALLS_PER_ROLLOUT
from tests.gateway.provider import Provider, provider, troubled

KEY = "sk-canary-7f3e9a1c5b"


@dataclass(frozen=True, kw_only=True)
class Books:
    """What both sides have counted."""

    n_calls: int
    n_requests: int
    """What the provider was asked, faults included."""
    n_recorded: int
    n_uncertain: int
    """Attempts in flight at the kill."""
    n_lost: int
    """Attempts that broke off while the process lived."""
    n_broken: int
    """Answers the provider has begun and broken off."""
    ledger_tokens: int
    """Of the recorded calls."""
    rollout_tokens: int
    uncertain_tokens: int
    provider_tokens: int
    provider_tokens_of_recorded: int
    n_unrecorded: int
    """Answers the provider has served and the ledger does not hold."""


def two_sessions(folder: Path, header: object, *, n_calls: int) -> Books:
    """Kill the first session when half of the answers are served; let the second one finish."""
    Ledger.create(folder, header).close()  # type: ignore[arg-type]
    n_rollouts = n_calls // CALLS_PER_ROLLOUT
    with provider(troubled, wanted=n_calls // 2) as upstream:
        first = _start(folder, upstream.origin, n_rollouts)
        assert upstream.is_called.wait(600)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        second = _start(folder, upstream.origin, n_rollouts)
        assert second.wait(600) == 0
    return _books(folder, n_calls, upstream)


def _start(folder: Path, origin: str, n_rollouts: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.gateway.accounting_child", str(folder), origin, str(n_rollouts)]
    return subprocess.Popen(command, env={**os.environ, "HONE_TEST_KEY": KEY})


def _books(folder: Path, n_calls: int, upstream: Provider) -> Books:
    served = upstream.served
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as database:
        rows = database.execute("SELECT body, input_tokens + output_tokens FROM model_call").fetchall()
        (rollout_tokens,) = database.execute("SELECT sum(input_tokens + output_tokens) FROM rollout").fetchone()
        ended = "SELECT count(*) FROM call_intent_end WHERE outcome = ?"
        (n_uncertain,) = database.execute(ended, ("uncertain",)).fetchone()
        (n_lost,) = database.execute(ended, ("lost",)).fetchone()
        (n_open,) = database.execute(
            "SELECT count(*) FROM call_intent WHERE id NOT IN (SELECT id FROM call_intent_end)"
        ).fetchone()
    assert n_open == 0
    ids = {json.loads(zstandard.decompress(body))["id"] for body, _ in rows}
    with Ledger.open(folder) as ledger:
        uncertain = ledger.uncertain_spend()
    return Books(
        n_calls=n_calls,
        n_requests=upstream.n_requests,
        n_recorded=len(rows),
        n_uncertain=n_uncertain,
        n_lost=n_lost,
        n_broken=upstream.n_broken,
        ledger_tokens=sum(tokens for _, tokens in rows),
        rollout_tokens=rollout_tokens,
        uncertain_tokens=uncertain.tokens,
        provider_tokens=sum(served.values()),
        provider_tokens_of_recorded=sum(served[id_] for id_ in ids),
        n_unrecorded=len(served.keys() - ids),
    )


def check(books: Books) -> None:
    """The bar: equal to the token, but for calls in flight at the kill, which count as spent."""
    assert books.n_recorded == books.n_calls
    assert books.ledger_tokens == books.provider_tokens_of_recorded
    assert books.ledger_tokens == books.rollout_tokens
    assert books.n_unrecorded <= books.n_uncertain <= 32
    assert books.n_uncertain > 0
    assert 0 < books.n_lost <= books.n_broken <= books.n_lost + books.n_uncertain
    assert books.ledger_tokens <= books.provider_tokens <= books.ledger_tokens + books.uncertain_tokens
