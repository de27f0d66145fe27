"""The starting harness as it ships, read as data."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from optimizer.domain.errors import HarnessError

PACKAGE = "harness_template"


def template_folder() -> Path:
    """Find the shipped template without importing it.

    Raises:
        HarnessError: the installation lacks it.
    """
    spec = find_spec(PACKAGE)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(location) / "agent.py").is_file():
            return Path(location)
    raise HarnessError(f"this installation of hone lacks its {PACKAGE} folder; install hone again")


def template_files() -> Mapping[str, bytes]:
    """Read what `hone init` copies: relative POSIX path -> content, in order of path.

    The `__init__.py` at its top only makes it ship and is left out, as are caches.
    """
    folder = template_folder()
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    relative = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: path.read_bytes() for name, path in relative.items() if _is_content(name)}


def _is_content(name: str) -> bool:
    folders = name.split("/")[:-1]
    return name != "__init__.py" and not any(part == "__pycache__" or part.startswith(".") for part in folders)
