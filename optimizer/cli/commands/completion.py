"""`hone completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from optimizer.domain.errors import ConfigError


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script; for bash: `eval "$(hone completion bash)"` in ~/.bashrc."""
    from optimizer.cli.main import hone

    kind = get_completion_class(shell)
    if kind is None:
        raise ConfigError(f"no completion for shell {shell!r}; choose bash, zsh or fish")
    click.echo(kind(hone, {}, "hone", "_HONE_COMPLETE").source())
