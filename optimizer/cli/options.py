"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

FOLDER = click.option(
    "-C",
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default="this folder",
    help="Harness folder.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
CAMPAIGN = click.option("--campaign", help="Campaign name; default: the newest one.")


SANDBOX = click.option(
    "--sandbox",
    type=click.Choice(["native", "docker", "reduced"]),
    help="Instead of [sandbox] backend in campaign.toml; `reduced` is weaker and is never taken unasked.",
)


def with_sandbox(function: F) -> F:
    """Add --sandbox."""
    return SANDBOX(function)


def with_folder(function: F) -> F:
    """Add --folder."""
    return FOLDER(function)


def with_json(function: F) -> F:
    """Add --json."""
    return JSON(function)


def with_campaign(function: F) -> F:
    """Add --campaign."""
    return CAMPAIGN(function)
