"""The edge to the terminal: what candidates, models and traces wrote cannot move the cursor or hide."""

from __future__ import annotations

import unicodedata

import click


def plain(text: str) -> str:
    """Text without characters that move the cursor or hide; line breaks and tabs stay."""
    return "".join(
        char if char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cf", "Cs"} else "\ufffd" for char in text
    )


def tell(text: str) -> None:
    """Print a line for a person on stdout."""
    click.echo(plain(text))
