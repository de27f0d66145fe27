"""What a sentence does: refuses, gives up, proposes, reports, promises. English; other tongues yield less."""

from __future__ import annotations

import re

_CANNOT = (
    r"(?:unable to|not able to|can ?not|can['\u2019]?t|could ?n[o'\u2019]t|could not|won['\u2019]t be able to|"
    r"will not be able to)"
)
_CLOSING = re.compile(r"\b(?:anything|something) else\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")

GIVES_UP = re.compile(
    rf"\b{_CANNOT} (?:\w+ ){{0,2}}(?:help|assist|do|complete|process|continue|proceed)(?: you)?(?: with)? "
    r"(?:this|that|it|your request|the request)\b(?! (?:because|since|as|after|until|unless))"
    r"|\b(?:try|come back|contact us) again (?:later|another time|at a later)|\bsystem does not let me\b"
    r"|\bi have no tool\b|\bsomething went wrong on (?:my|our) (?:side|end)\b|\bi(?: have to)? give up\b",
    re.IGNORECASE,
)
"""Stops without a reason that lies in the matter."""
REFUSES = re.compile(
    rf"\b{_CANNOT}\b|\b(?:not|isn['\u2019]t|no longer|im)\s?(?:possible|eligible|allowed|permitted)\b"
    r"|\bno (?:refund|exchange|cancell?ation|credit)\b[^.?!]{0,30}\bpossible\b"
    r"|\bout(?:side| of) (?:of )?(?:the|our) (?:\w+ )?(?:window|policy|period)\b"
    r"|\bpolicy (?:does not|doesn['\u2019]t)\b|\bmust (?:decline|refuse)\b|\bit stays like this\b"
    r"|\bnothing (?:i|we) can do\b",
    re.IGNORECASE,
)
PROPOSES = re.compile(
    r"\b(?:shall|should|may|can) i\b|\b(?:would|will|['\u2019]ll) (?:\w+ )?(?:cancel|refund|replace|exchange|change|"
    r"update|issue|add|send|book|transfer|delete|remove|pay|order|charge)\b|\bdo you (?:agree|want|confirm)\b"
    r"|\bplease confirm\b|\(yes/no\)",
    re.IGNORECASE,
)
REPORTS = re.compile(
    r"\b(?:i|we)(?:['\u2019]ve| have| had)(?: now| just| already| successfully)* "
    r"(?P<verb>cancell?ed|refunded|replaced|exchanged|changed|updated|issued|added|credited|booked|transferred|sent|"
    r"deleted|removed|ordered|passed|escalated|arranged|processed|scheduled|created|submitted|charged|reserved)\b"
    r"|\bhas been (?P<passive>cancell?ed|refunded|replaced|exchanged|changed|updated|issued|added|credited|booked|"
    r"transferred|deleted|removed|processed|scheduled|created|submitted)\b",
    re.IGNORECASE,
)
PROMISES = re.compile(
    r"\b(?:let me|i will|i['\u2019]ll|allow me to|i am going to) (?:\w+ )?"
    r"(?:check|look|find|see|pull|verify|search|get back|review)\b"
    r"|\b(?:one|just a|a) moment\b|\bbear with me\b|\bplease (?:hold|wait)\b",
    re.IGNORECASE,
)
CORRECTS = re.compile(
    r"^\W*no\b[,.!]? (?:not|i (?:said|meant|asked|want)|you (?:got|did|have))"
    r"|\bthat(?:['\u2019]?s| is) (?:not (?:right|correct|what)|wrong)\b"
    r"|\bi (?:already )?(?:said|told you|asked (?:for|you))\b|\byou (?:got|have) (?:it|that|this)? ?wrong\b"
    r"|\bi meant\b|\bnot what i (?:asked|wanted|meant)",
    re.IGNORECASE,
)
ABANDONS = re.compile(
    r"\b(?:going nowhere|i['\u2019]ll leave it|never ?mind|forget (?:it|about it)|i give up|waste of (?:my )?time|"
    r"i['\u2019]?m done (?:here|with)|this is (?:useless|ridiculous|hopeless)|talk to (?:a )?(?:human|person)|"
    r"the customer has left|i['\u2019]ll (?:go|try|call) (?:elsewhere|somebody else|someone else))",
    re.IGNORECASE,
)
SAYS_NO = re.compile(
    r"^\W*(?:no\b(?! problem)|don['\u2019]t|do not|stop\b|please don['\u2019]t|not now|wait\b)", re.IGNORECASE
)
SAYS_YES = re.compile(
    r"^\W*(?:yes|yeah|yep|sure|ok(?:ay)?|please (?:do|go ahead)|go ahead|correct|agreed)\b", re.IGNORECASE
)
STOP_WORDS = frozenset(
    ("the", "a", "an", "to", "of", "and", "or", "i", "you", "it", "is", "in", "on", "for", "my", "me", "your", "with")
)


def own_words(text: str) -> str:
    """What was said without the closing question."""
    return " ".join(sentence for sentence in _SENTENCE_END.split(text) if not _CLOSING.search(sentence))


def is_refusal(text: str) -> bool:
    """Whether words refuse something and propose nothing."""
    return bool(REFUSES.search(text)) and not PROPOSES.search(text)


def is_question(text: str) -> bool:
    """Whether words ask for something, the closing question aside."""
    return "?" in own_words(text)


def words_of(text: str) -> frozenset[str]:
    """Words that carry meaning, folded."""
    return frozenset(re.findall(r"[a-z0-9@.\-]{2,}", text.casefold())) - STOP_WORDS
