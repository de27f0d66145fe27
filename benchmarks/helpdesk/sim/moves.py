"""What the simulated model can do in one reply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from optimizer.domain.json import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Speak:
    """Say something."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Call a tool."""

    tool: str
    arguments: JsonObject
    raw: str = ""
    """Arguments as text when they are not an object; empty otherwise."""


Move: TypeAlias = Speak | Use

CLOSING = "Is there anything else I can help you with?"
FAREWELL = "Thank you for contacting us. Goodbye."
GIVE_UP = "I'm sorry, I can't help you with this. Please try again another time."
STUCK = "I'm sorry, the system does not let me do this."
NO_TOOL = "I'm sorry, I can't do that: I have no tool for it."
WAIT = "One moment, please."
AGAIN = "Just to be sure, once more: "
GONE = r"\b(?:left the (?:chat|conversation)|has left|disconnected|ended the (?:chat|conversation)|hung up)\b|\bbye\b"
