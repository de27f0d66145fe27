"""Keyed pseudonyms: the same value is the same pseudonym within a project, and says nothing without the key."""

from __future__ import annotations

import hmac
import os
import re
import secrets
from hashlib import blake2b
from pathlib import Path

from optimizer.domain.errors import ConfigError
from optimizer.telemetry.patterns import Kind

KEY_BYTES = 32
DIGITS = 8
"""Hex digits of a pseudonym: two of 10,000 values share one with a chance of 1 %."""
PSEUDONYM = re.compile(r"<[A-Z]{2,8}:[0-9a-f]{8}>")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")


class Pseudonyms:
    """Pseudonyms such as `<EMAIL:7f3a90c1>` under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[tuple[Kind, str], str] = {}
        self.given: dict[Kind, set[str]] = {}
        """Pseudonyms given so far, per kind."""

    def of(self, kind: Kind, value: str) -> str:
        """The pseudonym of a value; spellings of one value (case, blanks, hyphens) share it."""
        known = self._known.get((kind, value))
        if known is None:
            spelled = f"{kind}:{one_spelling(kind, value)}".encode("utf-8", "surrogatepass")
            digest = hmac.new(self._key, spelled, lambda: blake2b(digest_size=32)).hexdigest()
            known = self._known[kind, value] = f"<{kind}:{digest[:DIGITS]}>"
            self.given.setdefault(kind, set()).add(known)
        return known


def one_spelling(kind: Kind, value: str) -> str:
    """What all spellings of a value have in common."""
    if kind == "KEY":
        return value
    if kind == "EMAIL":
        return value.casefold()
    compact = _NOT_ALPHANUMERIC.sub("", value).casefold()
    return compact[-10:] if kind == "PHONE" else compact or value


def fresh_key() -> bytes:
    """A key for one run: pseudonyms join within it and with nothing else."""
    return secrets.token_bytes(KEY_BYTES)


def project_key(path: Path) -> bytes:
    """The project's key; made on first use, readable by its owner alone.

    Raises:
        ConfigError: the file is readable by others, is no key, or cannot be made.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return _read(path)
    except OSError as error:
        raise ConfigError(f"cannot make the redaction key {path}: {error.strerror}. Name a writable place.") from error
    with os.fdopen(handle, "w", encoding="ascii") as file:
        key = fresh_key()
        file.write(key.hex() + "\n")
    return key


def _read(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is no redaction key: {error}. Name another file, or remove it.") from error
    if mode & 0o077:
        raise ConfigError(f"the redaction key {path} is open to others. Run: chmod 600 {path}")
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{path} is no redaction key: {len(key)} bytes, not {KEY_BYTES}. Name another file.")
    return key
