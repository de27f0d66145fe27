"""Reading an agent's message: what it asks, proposes, reports or refuses.

Works on sentences and on cue words, so that free phrasing by a real model is understood about as well as a script's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

_FACTS: tuple[tuple[str, str], ...] = (
    (
        "new_contact",
        r"\bnew (e-?mail|phone|number|mobile|contact)|(e-?mail|phone|number)[^.?!]{0,30} (instead|change it to)",
    ),
    ("email", r"e-?mail"),
    ("postal_code", r"post(al)? ?code|\bzip\b"),
    ("last4", r"last (four|4)|(four|4) digits|digits of"),
    ("order_id", r"order (number|id|reference|no\b|#)|which order|what order|number of (the|your) order"),
    (
        "address",
        (
            r"(new|correct|full|delivery|shipping|which|what)\b[^.?!]{0,20}(?<!mail) address"
            r"|where (should|shall|do you want)"
        ),
    ),
    ("colour", r"which colou?r|what colou?r|colou?r (would|do|you)|which (variant|version)"),
    ("item", r"which (item|product|one)|what (item|product)|name of the (item|product)"),
    ("reason", r"\breason\b|\bwhy\b|what happened|what is wrong|what's wrong|describe|more detail|tell me more"),
    ("name", r"(full|your|first|last) name\b"),
    ("phone", r"phone number|\bphone\b"),
)
_REQUEST = re.compile(
    r"\?|\b(could you|can you|may i have|i('ll)? need|provide|give me|share|tell me|send me|let me know|confirm|"
    r"enter)\b"
)
_STRONG_CONFIRM = re.compile(
    r"\b(shall|should|may|can) i (\w+ )?(go ahead|proceed|do|make|place|cancel|refund|replac|exchang|chang|updat|issu|"
    r"add|set|send|process|arrang|start|escalat)"
    r"|\b(do you want|would you like|would you prefer|are you (ok|okay|happy|fine)|do you (agree|confirm))\b"
    r"|\b(go ahead|proceed)\b[^.!]*\?|\byes\s*(/|or)\s*no\b|\b(reply|say|answer|respond)( with)?\W{0,3}yes\b"
    r"|\bplease confirm (that|if|whether|with|to|by|the following|this|these)\b"
    r"|\bis (that|this|it) (ok|okay|alright|fine)\b"
)
_WEAK_CONFIRM = re.compile(
    r"\bconfirm|\b(is|are|does) (that|this|these|it|everything) (right|correct|look|sound)|\bcorrect\?|\bright\?"
)
_GENERIC = re.compile(
    r"\b(go ahead|proceed|do (that|this|it|so)|yes|correct|confirm|make (the|this|that|these) change)"
)
_CLOSING = re.compile(
    r"anything else|something else|other questions?|any(thing)? (further|more) (questions?|help)|else i can"
)
_FAREWELL = re.compile(r"\b(good ?bye|bye|take care|have a (nice|great|good|lovely|wonderful)|all the best)\b")
_REFUSAL = re.compile(
    r"\b(can ?not|can't|unable to|not able to|not possible|isn't possible|impossible|not eligible|ineligible|"
    r"not allowed|not permitted|won't be able|no longer (possible|eligible|be)|(must|have to) (decline|refuse)|"
    r"does(n't| not) (qualify|allow|permit)|do(n't| not) (offer|allow|permit)|could ?n(o|')t (be )?verif|"
    r"not (be )?verified|nothing (i|we) can do|no (refund|exchange|cancellation) (is|can))"
)
_DONE = re.compile(
    r"\b(i|we|has|have|was|were|is|are|been|now|it's|that's|'ve)( \w+)? ?(been |now |just |already |successfully )*"
    r"(cancell?ed|refunded|replaced|exchanged|swapped|changed|updated|issued|added|credited|processed|arranged|"
    r"ordered|completed?|done|placed|set up|requested|initiated|sent out|on (its|the) way)\b|\ball (set|done)\b"
)
_ESCALATED = re.compile(
    r"\besc-|escalated|reference (number|code|is)"
    r"|\b(passed|handed|transferred|forwarded|referred)\b[^.?!]{0,60}"
    r"\b(colleague|specialist|team|human|supervisor|manager|agent)"
    r"|\b(colleague|specialist|supervisor|manager)\b[^.?!]{0,30}"
    r"\bwill (be in touch|contact|call|reach|get back|take)"
)
_WAIT = re.compile(
    r"\b(let me|one moment|just a moment|a moment|hold on|bear with|checking|"
    r"i('ll| will) (check|look|find|see|get|pull))\b"
)
_IDENTITY = re.compile(r"\b(verify|identity|identify|authenticate|security)\b")
_TOOL_CUES: tuple[tuple[str, str], ...] = (
    ("cancel_order", r"cancel"),
    ("refund_item", r"refund|money back|reimburs|store credit"),
    ("replace_item", r"replac|new one|send (you )?another"),
    ("exchange_item", r"exchang|swap"),
    ("change_address", r"address|redirect|ship(ped|ping)? (it )?to|deliver(ed|y)? (it )?to"),
    ("update_contact", r"e-?mail|phone|contact|number to"),
    ("issue_credit", r"credit|goodwill|voucher"),
)
_FIGURE = re.compile(r"\d|\b(in stock|out of stock|available)\b")
_ORDER_ID = re.compile(r"\bbv-?\d{6}\b")
_AMOUNT = re.compile(r"\$\s?(\d{1,5}(?:,\d{3})*(?:\.\d{1,2})?)|\b(\d{1,5}(?:\.\d{2})?) (?:dollars|usd)\b")
_OPEN_QUESTION = re.compile(r"\b(which|what|where|how|when)\b[^.?!]{0,40}\b(would|do|should|shall|can) (you|i|we)\b")
_BULLET = re.compile(r"\n([-*\u2022]|\d{1,2}[.)])\s+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
MAX_READ = 6000
"""Characters of a message that a customer reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a customer takes from a message."""

    facts: tuple[str, ...]
    """Facts asked for."""
    is_proposal: bool
    """A yes or no is asked for."""
    proposed: frozenset[str]
    """Changes the question is about, by tool name; empty when it names none."""
    is_generic: bool
    """The question is a plain `shall I go ahead?`."""
    done: frozenset[str]
    """Changes reported as made."""
    is_done: bool
    """Something is reported as made, named or not."""
    refused: frozenset[str]
    """Changes named in sentences that refuse."""
    is_refusal: bool
    is_escalated: bool
    is_waiting: bool
    is_closing: bool
    """Asks for anything else, or says goodbye."""
    asks_identity: bool
    text: str
    """As read, folded to lower case."""
    has_figure: bool
    """Names a number or an availability, as an answer to a question does."""
    order_ids: frozenset[str]
    amounts: tuple[float, ...]


@cache
def _patterns(kind: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    table = _FACTS if kind == "facts" else _TOOL_CUES
    return tuple((name, re.compile(pattern)) for name, pattern in table)


def _tools_in(sentences: list[str]) -> frozenset[str]:
    text = " ".join(sentences)
    return frozenset(name for name, pattern in _patterns("tools") if pattern.search(text))


def _facts_in(sentences: list[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for sentence in sentences:
        if not _REQUEST.search(sentence):
            continue
        names = [name for name, pattern in _patterns("facts") if pattern.search(sentence)]
        for name in names:
            is_covered = "new_contact" in names and name in {"email", "phone"}
            if not is_covered:
                found[name] = None
    return tuple(found)


def _amounts_in(text: str) -> tuple[float, ...]:
    return tuple(float((first or second).replace(",", "")) for first, second in _AMOUNT.findall(text))


def _asking(sentences: list[str]) -> list[str]:
    """Sentences that ask for a yes."""
    return [sentence for sentence in sentences if _is_strong(sentence)] or [
        sentence for sentence in sentences if _WEAK_CONFIRM.search(sentence)
    ]


def _is_strong(sentence: str) -> bool:
    """Whether a sentence asks for a yes or no and for nothing else."""
    return bool(_STRONG_CONFIRM.search(sentence)) and not _OPEN_QUESTION.search(sentence)


def _sentences(text: str) -> list[str]:
    """Sentences; the points of a list belong to the sentence that opens it."""
    lines = "\n".join(line.strip() for line in text.splitlines() if line.strip())
    return [sentence for sentence in _SENTENCE_END.split(_BULLET.sub(", ", lines)) if sentence.strip()]


def read(message: str) -> Reading:
    """Read a message of any content and length."""
    text = message[:MAX_READ].casefold().replace("\u2019", "'")
    everything = _sentences(text)
    sentences = [sentence for sentence in everything if not _CLOSING.search(sentence)]
    asking = _asking(sentences)
    refusing = [sentence for sentence in sentences if _REFUSAL.search(sentence) and sentence not in asking]
    reporting = [sentence for sentence in sentences if _DONE.search(sentence) and sentence not in asking]
    rest = [sentence for sentence in sentences if sentence not in refusing]
    facts = _facts_in([sentence for sentence in sentences if not _is_strong(sentence)])
    is_strong = any(map(_is_strong, asking))
    return Reading(
        facts=facts,
        is_proposal=is_strong or (bool(asking) and bool(_tools_in(rest))),
        proposed=_tools_in(asking) or _tools_in(rest),
        is_generic=any(_GENERIC.search(sentence) for sentence in asking),
        done=_tools_in(reporting),
        is_done=bool(reporting),
        refused=_tools_in(refusing),
        is_refusal=bool(refusing),
        is_escalated=any(_ESCALATED.search(sentence) for sentence in sentences if sentence not in asking),
        is_waiting=bool(_WAIT.search(text)),
        is_closing=len(everything) > len(sentences) or bool(_FAREWELL.search(text)),
        asks_identity=bool(_IDENTITY.search(text)),
        text=text,
        has_figure=bool(_FIGURE.search(text)),
        order_ids=frozenset(found.replace("bv", "bv-").replace("--", "-").upper() for found in _ORDER_ID.findall(text)),
        amounts=_amounts_in(text),
    )
