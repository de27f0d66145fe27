"""Run or resume the toy campaign of a folder with a model that costs money: python -m ... FOLDER PROVIDER_URL."""

from __future__ import annotations

import sys
from pathlib import Path

from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.prices import ModelPrice
from optimizer.models.retry import RetryPolicy
from optimizer.models.upstream_openai import OpenAIUpstream
from tests.campaign.session_of import run
from tests.campaign.toy import Toy


def run_paid(folder: Path, url: str) -> str:
    """One session in this process; returns the code of its ending."""
    endpoint = ModelEndpoint(model="toy-model", base_url=url, price=ModelPrice(input=1.0, output=4.0))
    model = OpenAIUpstream(endpoint, retry=RetryPolicy(attempts=1))
    return run(Toy(folder, model=model))  # type: ignore[arg-type]


if __name__ == "__main__":
    print(run_paid(Path(sys.argv[1]), sys.argv[2]))
