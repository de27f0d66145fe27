"""Money that a kill hides: calls in flight are counted as spent by the next session, along the whole path."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from optimizer.cli.render import status_lines
from optimizer.domain.json import JsonObject
from optimizer.ledger.reader import LedgerReader
from optimizer.ledger.views import StatusView
from tests.campaign.paid_session_of import run_paid
from tests.campaign.toy import Toy, git, make_toy

N_ANSWERED = 5
N_IN_FLIGHT = 4
"""As many rollouts as the toy runs at once."""
MAX_OUTPUT_TOKENS = 50
NEEDED_TOKENS = 25 + 15 * 1000
"""What the block that was killed needs: the rollout before it is paid, and each of its own reserves its cap."""


@dataclass
class Holding:
    """A provider that answers a few calls, then takes them and stays silent until it is released."""

    n_answered: int = 0
    n_held: int = 0
    asked: list[JsonObject] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_full: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def take(self) -> bool:
        """True for a call that is answered at once."""
        with self.lock:
            if self.released.is_set() or self.n_answered < N_ANSWERED:
                self.n_answered += 1
                return True
            self.n_held += 1
            if self.n_held == N_IN_FLIGHT:
                self.is_full.set()
            return False


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        self.server.holding.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        if not self.server.holding.take():
            self.server.holding.released.wait(60)
            return  # the connection closes without an answer
        message = {"role": "assistant", "content": "right"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
        body = json.dumps({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, holding: Holding) -> None:
        self.holding = holding
        super().__init__(("127.0.0.1", 0), _Handler)


@contextmanager
def provider() -> Iterator[tuple[Holding, str]]:
    holding = Holding()
    with _Server(holding) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield holding, f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            holding.released.set()
            server.shutdown()
            thread.join()


def limit_tokens(toy: Toy, tokens: int) -> None:
    """State the token limit in campaign.toml, as a person does between two sessions."""
    file = toy.folder / "campaign.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("tokens = ")]
    lines.insert(lines.index("[budget]") + 1, f"tokens = {tokens}")
    file.write_text("\n".join(lines))


def killed_with_calls_in_flight(toy: Toy, holding: Holding, url: str) -> None:
    command = [sys.executable, "-m", "tests.campaign.paid_session_of", str(toy.folder), url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert holding.is_full.wait(60)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def status_of(toy: Toy) -> StatusView:
    with LedgerReader.open(toy.ledger_folder) as reader:
        return reader.status()


def test_calls_in_flight_at_a_kill_are_shown_and_held_against_the_budget_of_the_next_session(tmp_path: Path) -> None:
    toy = make_toy(tmp_path / "harness")
    with provider() as (holding, url):
        killed_with_calls_in_flight(toy, holding, url)
        left = status_of(toy)
        assert left.uncertain.tokens >= N_IN_FLIGHT * MAX_OUTPUT_TOKENS
        assert left.uncertain.usd > 0
        assert any("calls without an answer, held as spent" in line for line in status_lines(left))
        holding.released.set()
        limit_tokens(toy, NEEDED_TOKENS + left.uncertain.tokens - 1)
        n_before = holding.n_answered
        assert run_paid(toy.folder, url) == "tokens"  # the block alone would fit
        assert holding.n_answered == n_before
        limit_tokens(toy, NEEDED_TOKENS + left.uncertain.tokens)
        assert run_paid(toy.folder, url) == "exhausted"  # it ran to its end: every answer is right
        after = status_of(toy)
    assert holding.n_answered > n_before
    assert after.uncertain == left.uncertain
    assert after.spent.tokens == 25 * holding.n_answered


def test_the_output_limit_goes_to_the_provider_under_the_name_the_settings_give(tmp_path: Path) -> None:
    toy = make_toy(tmp_path / "harness")
    file = toy.folder / "campaign.toml"
    spelled = f"max_output_tokens = {MAX_OUTPUT_TOKENS}\n"
    file.write_text(file.read_text().replace(spelled, spelled + 'output_limit_field = "max_completion_tokens"\n'))
    git(toy.folder, "commit", "-qam", "A reasoning model")
    with provider() as (holding, url):
        killed_with_calls_in_flight(toy, holding, url)
    assert {one.get("max_completion_tokens") for one in holding.asked} == {MAX_OUTPUT_TOKENS}
    assert not any("max_tokens" in one for one in holding.asked)
