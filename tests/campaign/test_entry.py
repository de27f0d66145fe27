"""A harness in any language: a command that speaks plain HTTP, through the whole campaign."""

from __future__ import annotations

from optimizer.ledger.reader import LedgerReader
from tests.campaign.session_of import run
from tests.campaign.toy import git, make_toy

PLAIN = """\
import json, os, urllib.request
from pathlib import Path

def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    return json.load(urllib.request.urlopen(request))

session = json.load(urllib.request.urlopen(os.environ["HONE_SESSION_URL"] + "/session"))
messages = [
    {"role": "system", "content": (Path(__file__).parent / "prompt.md").read_text()},
    {"role": "user", "content": session["first_message"]},
]
answer = post(os.environ["OPENAI_BASE_URL"] + "/chat/completions", {"model": session["model"], "messages": messages})
post(os.environ["HONE_SESSION_URL"] + "/session/submit", {"answer": answer["choices"][0]["message"]["content"]})
"""


def test_a_harness_that_is_a_command_takes_part_over_plain_http(tmp_path):
    toy = make_toy(tmp_path / "harness")
    (toy.folder / "plain.py").write_text(PLAIN)
    config = (toy.folder / "campaign.toml").read_text()
    config = config.replace("[harness]", '[harness]\nentry = ["python3", "plain.py"]').replace("= 12", "= 2")
    (toy.folder / "campaign.toml").write_text(config)
    git(toy.folder, "add", "-A")
    git(toy.folder, "commit", "-q", "-m", "plain")
    assert run(toy) == "candidates"
    with LedgerReader.open(toy.ledger_folder) as reader:
        status = reader.status()
        rows = reader.candidates()
    assert status.n_calls > 0
    assert status.val_baseline is not None
    assert rows[-1].reason_code in {"target", "noise", "val", "broad"}
