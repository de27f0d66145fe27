"""A new harness folder from the template, with its own campaign.toml."""

from __future__ import annotations

import re
from pathlib import Path

from optimizer.config.load import parse
from optimizer.domain.errors import HarnessError
from optimizer.propose.playbook.template import template_files
from optimizer.repo.birth import init_harness
from optimizer.repo.values import NewHarness

CONFIG = "campaign.toml"


def start_harness(folder: Path, *, name: str | None = None, seed: int | None = None) -> NewHarness:
    """Write the template into a new folder and commit it there.

    Raises:
        RepoError: the folder is not empty or cannot be written.
        ConfigError: the name cannot be a campaign's.
    """
    files = dict(template_files())
    if CONFIG not in files:
        raise HarnessError(f"this installation's template lacks its {CONFIG}; install hone again")
    text = files[CONFIG].decode("utf-8")
    text = _with(text, "name", f'"{name or _slug(folder.resolve().name)}"')
    if seed is not None:
        text = _with(text, "seed", str(seed))
    parse(text)
    files[CONFIG] = text.encode("utf-8")
    return init_harness(files, folder)


def _with(text: str, key: str, value: str) -> str:
    """The first assignment of a key, which is the one in [campaign], with another value."""
    return re.sub(rf"(?m)^{key}\s*=\s*[^#\n]*?(?=\s*(#|$))", f"{key} = {value}", text, count=1)


def _slug(name: str) -> str:
    """A folder's name as a campaign may be called."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:48].strip("-")
    return slug or "campaign"
