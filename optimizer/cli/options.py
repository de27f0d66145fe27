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


class Numbered(click.IntRange):
    """A number from 1, also with the sign it is shown with elsewhere, such as k3 or #12."""

    name = "number"

    def __init__(self, sign: str) -> None:
        super().__init__(min=1)
        self._sign = sign

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it, or say what it looks like."""
        digits = str(value).removeprefix(self._sign)
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 9 and int(digits) > 0):
            self.fail(f"{value!r} is not a number such as 3 or {self._sign}3.", param, ctx)
        return int(digits)


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
