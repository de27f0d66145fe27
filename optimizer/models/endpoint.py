"""Where a model is and what it takes to ask it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from optimizer.models.prices import ModelPrice

_SHORTEST_KEY = 8
"""A shorter one is a placeholder, and may be part of any word of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEndpoint:
    """One model of one provider."""

    model: str
    """The provider's name for it; with litellm `provider/model`."""
    key: SecretStr | None = None
    """Shown as stars wherever it is printed; None for servers that ask for none."""
    base_url: str | None = None
    """None: the provider's own, as its SDK knows it."""
    price: ModelPrice | None = None
    """None: unknown; usage then has no USD."""
    timeout_s: float = 600.0
    """For one attempt."""

    @property
    def key_text(self) -> str:
        """The key itself, for the wire only; a placeholder where none is needed."""
        return self.key.get_secret_value() if self.key else "none"

    def without_key(self, body: bytes) -> bytes:
        """A provider's answer, in case it repeats the key: it is recorded, and quoted when it cannot be read."""
        key = self.key.get_secret_value().encode() if self.key else b""
        return body.replace(key, b"***") if len(key) >= _SHORTEST_KEY else body

    def scrubbed(self, text: str) -> str:
        """A provider's words, bounded and without the key that some of them repeat."""
        if self.key and self.key.get_secret_value():
            text = text.replace(self.key.get_secret_value(), "***")
        return text[:1000]
