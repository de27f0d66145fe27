"""Compressed content in append-only pack files beside the database, addressed by hash.

A blob's bytes reach the pack before its row is committed, so a killed process leaves at most bytes no row points to.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import zstandard

from optimizer.domain.errors import LedgerError

PACK_BYTES = 256 * 1024 * 1024
"""A pack that has grown past this is left alone and a new one is begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a blob lies."""

    pack: int
    offset: int
    length: int
    """Compressed bytes."""


def blob_sha(payload: bytes) -> str:
    """Address of a payload: 32 hex digits of blake2b."""
    return hashlib.blake2b(payload, digest_size=16).hexdigest()


def pack_path(folder: Path, pack: int) -> Path:
    """File of a pack: `ledger-0001.pack`."""
    return folder / f"ledger-{pack:04d}.pack"


class PackWriter:
    """Appends to the newest pack. Used by one writer at a time."""

    def __init__(self, folder: Path, *, pack: int, recorded_end: int) -> None:
        """Go on after the recorded end of a pack; a pack that lost its tail is never filled up again."""
        self._folder = folder
        self._compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
        self._pack = pack
        self._descriptor = self._open()
        if os.fstat(self._descriptor).st_size < recorded_end:
            self._next_pack()

    def append(self, payload: bytes) -> Place:
        """Write one payload compressed. Raises OSError, with nothing recorded, when the disk is full."""
        compressed = self._compressor.compress(payload)
        offset = os.lseek(self._descriptor, 0, os.SEEK_END)
        if offset > PACK_BYTES:
            self._next_pack()
            offset = os.lseek(self._descriptor, 0, os.SEEK_END)
        left = memoryview(compressed)
        while left:
            left = left[os.write(self._descriptor, left) :]
        return Place(pack=self._pack, offset=offset, length=len(compressed))

    def sync(self) -> None:
        """Put everything appended so far on the disk, against power loss."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _next_pack(self) -> None:
        os.fsync(self._descriptor)
        os.close(self._descriptor)
        self._pack += 1
        self._descriptor = self._open()

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(pack_path(self._folder, self._pack), flags, 0o644)


def read_blob(folder: Path, sha: str, place: Place) -> bytes:
    """The payload at a place.

    Raises:
        LedgerError: this blob is missing, cut short or damaged; others may be well.
    """
    path = pack_path(folder, place.pack)
    try:
        with path.open("rb") as pack:
            pack.seek(place.offset)
            compressed = pack.read(place.length)
        payload = zstandard.ZstdDecompressor().decompress(compressed)
    except (OSError, zstandard.ZstdError) as error:
        raise _damaged(path, sha, place, str(error)) from error
    if blob_sha(payload) != sha:
        raise _damaged(path, sha, place, "its content has another hash")
    return payload


def _damaged(path: Path, sha: str, place: Place, cause: str) -> LedgerError:
    return LedgerError(
        f"blob {sha} cannot be read from {path} (bytes {place.offset} to {place.offset + place.length}): {cause}."
        " Only this trace or diff is lost; restore the file from a copy to see it."
    )
