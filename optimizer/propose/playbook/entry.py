"""One known fix: what it treats, and its edit of the template."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files as resource_files
from random import Random
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from optimizer.domain.candidate import FileEdit, Rung
from optimizer.domain.errors import EditRefusedError
from optimizer.propose.merge import merge_file

SHAPE = ConfigDict(extra="forbid", frozen=True, strict=True)
SEAMS = {"guards/": "guards/base.py", "prompts/rules/": "prompts/system.md"}
"""Folders whose files the template picks up by itself, and the file that shows a harness still has that seam."""


class AddedFile(BaseModel):
    """A file the template does not have."""

    model_config = SHAPE

    path: str
    content: str


class Replacement(BaseModel):
    """A passage that occurs exactly once in a file of the template, and what stands in its place."""

    model_config = SHAPE

    path: str
    old: str
    new: str


class Entry(BaseModel):
    """A catalogue entry, as in `entries/<name>.toml`."""

    model_config = SHAPE

    name: str
    title: Annotated[str, Field(max_length=72)]
    hypothesis: str
    rung: Rung
    treats: Annotated[tuple[str, ...], Field(min_length=1)]
    """Taxonomy labels it is believed to help with."""
    prior: Annotated[float, Field(ge=0.0, le=1.0)]
    """How likely it is thought to help where it applies; decides what is tried first, never what is accepted."""
    variants: Mapping[str, Annotated[tuple[int, ...], Field(min_length=1)]] = {}
    """Values for each `{parameter}` in its texts, one of which is drawn."""
    file: tuple[AddedFile, ...] = ()
    replace: tuple[Replacement, ...] = ()

    def drawn(self, rng: Random) -> Entry:
        """Fix every parameter to one of its variants."""
        return self.with_values({parameter: rng.choice(values) for parameter, values in self.variants.items()})

    def with_values(self, values: Mapping[str, int]) -> Entry:
        """Fix the parameters."""
        text = self.model_dump_json(exclude={"variants"})
        for parameter, value in values.items():
            text = text.replace(f"{{{parameter}}}", str(value))
        return Entry.model_validate_json(text)

    def on_template(self, template: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Return the files of the template this entry touches, as they are with the entry.

        Raises:
            EditRefusedError: code `apply`, when the entry does not fit the template.
        """
        touched = {added.path: added.content.encode() for added in self.file}
        for change in self.replace:
            content = touched.get(change.path, template.get(change.path, b""))
            if content.count(change.old.encode()) != 1:
                raise EditRefusedError("apply", f"entry {self.name} does not fit {change.path} of the template")
            touched[change.path] = content.replace(change.old.encode(), change.new.encode())
        return touched


def load_catalogue() -> tuple[Entry, ...]:
    """Read all shipped entries, in order of name."""
    folder = resource_files("optimizer.propose.playbook") / "entries"
    paths = sorted((path for path in folder.iterdir() if path.name.endswith(".toml")), key=lambda path: path.name)
    return tuple(read_entry(path.name.removesuffix(".toml"), path.read_text(encoding="utf-8")) for path in paths)


def read_entry(name: str, text: str) -> Entry:
    """Parse one entry from TOML."""
    return Entry.model_validate({"name": name, **tomllib.loads(text)}, strict=False)


def apply_entry(entry: Entry, *, template: Mapping[str, bytes], current: Mapping[str, bytes]) -> tuple[FileEdit, ...]:
    """Bring an entry into a harness that derives from the template, by a three-way merge of each file.

    Raises:
        EditRefusedError: code `apply` where it does not fit or conflicts, `dup` when the harness has the edit already.
    """
    _check_seams(entry, current)
    edits = []
    for path, theirs in entry.on_template(template).items():
        ours = current.get(path)
        merged = _merge(base=template.get(path), ours=ours, theirs=theirs)
        if merged is None:
            raise EditRefusedError("apply", f"entry {entry.name} conflicts with {path} as it stands")
        if merged != ours:
            edits.append(FileEdit(path=path, content=merged))
    if not edits:
        raise EditRefusedError("dup", f"entry {entry.name} is already in the harness")
    return tuple(edits)


def _check_seams(entry: Entry, current: Mapping[str, bytes]) -> None:
    for added in entry.file:
        for folder, needed in SEAMS.items():
            if added.path.startswith(folder) and needed not in current:
                raise EditRefusedError("apply", f"entry {entry.name} needs {needed}, which this harness does not have")


def _merge(*, base: bytes | None, ours: bytes | None, theirs: bytes) -> bytes | None:
    if base is not None and ours is not None:
        return merge_file(ours=ours, base=base, theirs=theirs)
    if base is None and (ours is None or ours == theirs):
        return theirs
    return None  # removed here, or another file by the same name
