"""What a request offers a model against its lapses: instructions, reminders, tool hints, error messages, length."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from benchmarks.helpdesk.sim.cues import Reading, read_cues
from benchmarks.helpdesk.sim.transcript import Transcript, normalise
from optimizer.domain.json import Json, JsonObject

CHARS_PER_TOKEN = 4
QUOTED = re.compile(r"^\s*>.*$", re.MULTILINE)
"""Lines that quote somebody: words, not instructions."""
EXPECTED = re.compile(
    r"\b(?:expected|must be|should be|required|missing|requires|needs?|valid|available|known|format|one of|e\.g|"
    r"for example|such as|like)\b",
    re.IGNORECASE,
)
NEXT_STEP = re.compile(
    r"\b(?:first|instead|then|try|call|use|ask|change|correct|fix|before)\b[^.;]{0,80}\b\w+", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSeen:
    """A tool as offered."""

    name: str
    reading: Reading
    """Of its description and those of its parameters."""
    n_strict: int
    """Parameters whose schema says more than a type: enum, pattern, format, examples; plus 2 for `strict`."""
    parameters: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The system prompt without the policy and the session's instructions."""

    reading: Reading
    n_tokens: int
    policy_coverage: float
    """Share of the policy's lines the prompt carries, 0.0 to 1.0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorHelp:
    """How much the last error message helps."""

    reading: Reading
    is_specific: bool
    """Says what was expected, or which tools or values are valid."""
    names_tools: bool
    """Lists at least two tools that exist."""
    says_what_next: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Everything a lapse's chance depends on, besides the task."""

    prompt: Prompt
    reminder: Reading
    is_pinned: bool
    """A note near the end quotes what the customer said earlier."""
    tools: Mapping[str, ToolSeen]
    error: ErrorHelp | None
    """None unless the last thing that happened is a failed call."""
    context_tokens: float
    """Length of the conversation after the system prompt."""
    n_own_tokens: float
    """Harness-own prompt text: system prompt without policy and instructions, and notes near the end."""


def observe(transcript: Transcript, tools_key: str, known: tuple[str, str]) -> Conditions:
    """Gather the conditions of a request. `known`: policy, instructions; `tools_key`: tools, spelled canonically."""
    prompt = read_prompt(transcript.system, *known)
    tail = transcript.tail
    offered = read_tools(tools_key)
    failed = transcript.last_error
    return Conditions(
        prompt=prompt,
        reminder=read_cues(QUOTED.sub("", tail)),
        is_pinned=_is_pinned(tail, transcript),
        tools=offered,
        error=_error_help(failed.result, offered) if failed is not None and failed.result is not None else None,
        context_tokens=transcript.n_chars / CHARS_PER_TOKEN,
        n_own_tokens=prompt.n_tokens + len(tail) / CHARS_PER_TOKEN,
    )


@lru_cache(maxsize=512)
def read_prompt(system: str, policy: str, instructions: str) -> Prompt:
    """Take policy and instructions out of a system prompt, line by line and once each, and read the rest."""
    remaining = system
    lines = [line.strip() for line in policy.splitlines() if line.strip()]
    n_found = 0
    for line in lines:
        n_found += line in remaining
        remaining = remaining.replace(line, "", 1)
    for text in filter(None, (instructions.strip(), *(line.strip() for line in instructions.splitlines()))):
        remaining = remaining.replace(text, "", 1)
    own = "\n".join(line for line in remaining.splitlines() if re.search(r"\w", line))
    return Prompt(
        reading=read_cues(own),
        n_tokens=len(own) // CHARS_PER_TOKEN,
        policy_coverage=n_found / len(lines) if lines else 1.0,
    )


@lru_cache(maxsize=256)
def read_tools(tools_key: str) -> Mapping[str, ToolSeen]:
    """Read the tools of a request from their canonical spelling; what is not a function tool is overlooked."""
    try:
        entries = json.loads(tools_key)
    except (ValueError, RecursionError):
        return {}
    seen = (_tool(entry) for entry in entries) if isinstance(entries, list) else ()
    return {tool.name: tool for tool in seen if tool is not None}


def _tool(entry: Json) -> ToolSeen | None:
    function = entry.get("function") if isinstance(entry, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        return None
    parameters = function.get("parameters")
    parameters = parameters if isinstance(parameters, Mapping) else {}
    properties = parameters.get("properties")
    fields = [p for p in properties.values() if isinstance(p, Mapping)] if isinstance(properties, Mapping) else []
    texts = [function.get("description"), *(p.get("description") for p in fields)]
    n_strict = sum(any(key in p for key in ("enum", "pattern", "format", "examples", "const")) for p in fields)
    return ToolSeen(
        name=str(function["name"]),
        reading=read_cues("\n".join(text for text in texts if isinstance(text, str))),
        n_strict=n_strict + 2 * (function.get("strict") is True),
        parameters=parameters,
    )


def _error_help(text: str, tools: Mapping[str, ToolSeen]) -> ErrorHelp:
    head = text[:2000]
    return ErrorHelp(
        reading=read_cues(head),
        is_specific=EXPECTED.search(head) is not None,
        names_tools=sum(name in head for name in tools) >= 2,
        says_what_next=NEXT_STEP.search(head) is not None,
    )


def _is_pinned(tail: str, transcript: Transcript) -> bool:
    """Whether a note quotes five words in a row of an earlier customer message."""
    words = normalise(tail).split()
    if len(words) < 5:
        return False
    spoken = normalise("\n".join(turn.text for turn in transcript.turns if turn.role == "user"))
    return any(" ".join(words[i : i + 5]) in spoken for i in range(len(words) - 4))
