"""The word families by which an instruction is recognised, rule by rule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Cue = Literal[
    "verify_identity",
    "confirm_changes",
    "act_at_once",  # contradicts confirm_changes
    "known_tools_only",
    "exact_arguments",
    "no_repeat",
    "check_results",
    "persist",
    "refund_limits",
    "remember_wishes",
    "resist_pressure",
    "look_up",
    "escalate_when_due",
    "escalate_little",
    "allow_what_is_allowed",
    "refuse_strictly",
    "all_requests",
    "required_information",
    "ask_much",
    "be_concise",
]

Polarity = Literal["plain", "forbidden", "any"]
"""`forbidden`: meant when the words are negated ("never invent a tool"). `any`: negation does not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """Word families that must all occur in one sentence; the first one is what a negation applies to."""

    families: tuple[re.Pattern[str], ...]
    polarity: Polarity = "plain"


def _pattern(*families: str, polarity: Polarity = "plain") -> Pattern:
    return Pattern(families=tuple(re.compile(rf"\b(?:{family})\b") for family in families), polarity=polarity)


TOOL = r"tools?|functions?"
CALL = r"call\w*|us(?:e|ing)|invok\w+|execut\w+|run"
ERROR = r"error\w*|fail\w*|refus\w+|reject\w*"
PATTERNS: Mapping[Cue, tuple[Pattern, ...]] = {
    "verify_identity": (
        _pattern(
            r"verif\w+|authenticat\w+|identif(?:y|ied|ying|ication)|establish\w*|prove",
            r"identit\w+|customers?|callers?|users?|account holder|person|who (?:they|the|you)\w*|e-?mail|themselves",
        ),
        _pattern(
            r"identity|authentication|who (?:they are|the customer is)",
            r"check\w*|confirm\w*|first|before|require\w*|must|always|until|unless|known|prove\w*|sure",
        ),
        _pattern(
            r"verified|verification",
            rf"first|before|after|until|unless|preconditions?|require\w*|only|must|{CALL}",
            r"account\w*|order\w*|detail\w*|disclos\w+|chang\w+|tools?|data|anything|personal",
        ),
        _pattern(
            r"(?:verify|authenticate|identify)_\w+",
            r"first|before|until|unless|succeed\w*|preconditions?|require\w*|must",
        ),
    ),
    "confirm_changes": (
        _pattern(
            r"confirm\w*(?!(?:\W+\w+){0,3}\W+identity)|approv(?:al|es?|ed)|consent\w*|permission|go[- ]ahead|agree\w*"
            r"|(?:a |an |explicit |clear |their |says? |said )[\"'\u201c]?yes|okays?",
            r"before|first|prior|until|unless|explicit\w*|after|only|always|ask\w*|wait\w*|obtain|get|requires?|needs?|must"
            r"|preconditions?|without|ha(?:s|ve)(?: not)?(?: \w+)? confirmed",
            r"chang\w+|writ\w+|acti\w+|refund\w*|cancel\w*|updat\w+|modif\w+|execut\w+|customer\w*|users?|tools?|call\w*"
            r"|irreversibl\w+|perform\w*|mak(?:e|ing)|proceed\w*|details|orders?",
        ),
        _pattern(
            r"read\w*(?: \w+){0,3} back|repeat(?: \w+){0,3} back|summari[sz]e"
            r"|restate|recap|spell out|describe|state|list",
            r"chang\w+|actions?|plann\w+|details|about to|what you (?:will|are|intend)",
            r"yes|confirm\w*|agree\w*|approv\w+|wait\w*|go[- ]ahead|consent\w*",
        ),
    ),
    "act_at_once": (
        _pattern(
            r"act|proceed\w*|execute|do it|carry out|perform|apply|go ahead|process|make (?:the|any|all)",
            r"immediately|straight ?away|at once|right away|directly"
            r"|without (?:first )?(?:asking|confirm\w*|delay|waiting|checking)",
        ),
    ),
    "known_tools_only": (
        _pattern(
            r"exact\w*|exist\w*|listed|available|provided|offered|spell\w*|spelled|verbatim|on the list"
            r"|from the list|valid",
            TOOL,
            rf"{CALL}|names?|named|pick|choos\w+",
        ),
        _pattern(
            rf"(?:invent\w*|ma(?:k|d)e up|making up|guess\w*|hallucinat\w+|imagin\w+|non-?existent)"
            rf"(?:\W+\w+){{0,4}}?\W+(?:{TOOL})",
            polarity="any",
        ),
    ),
    "exact_arguments": (
        _pattern(
            r"arguments?|parameters?|schemas?|required fields?|fields?",
            r"exact\w*|valid\w*|requir\w+|match\w*|correct\w*|copy|copied|verbatim|check\w*|complete\w*|types?|format\w*"
            r"|fill\w*|every|conform\w*|follow\w*",
        ),
        _pattern(
            r"(?:\w+ )?(?:ids?|identifiers?)",
            r"format\w*|exact\w*|copy|copied|verbatim|character|prefix|as (?:given|shown)",
        ),
        _pattern(r"invent\w*|guess\w*|ma(?:k|d)e up|making up", r"arguments?|parameters?|ids?|values?", polarity="any"),
    ),
    "no_repeat": (
        _pattern(
            r"repeat\w*|retry\w*|retries|again|re-?send\w*|re-?issue\w*|loops?|looping|twice",
            rf"same|identical|{ERROR}|unchanged|already",
            rf"calls?|{TOOL}|arguments?|requests?|actions?",
            polarity="forbidden",
        ),
        _pattern(r"(?:repeat|re-?send|retry) (?:it|this|that|them)", polarity="forbidden"),
        _pattern(
            r"read|chang\w+|fix|correct|adjust|different\w*|learn|understand",
            r"errors?|fail\w*",
            r"calls?|arguments?|try\w*|trying|tools?|approach|messages?|retry\w*",
        ),
    ),
    "check_results": (
        _pattern(
            r"claim\w*|say\w*|tell\w*|promis\w+|report\w*|announc\w+|assum\w+|pretend\w*|state|believe",
            r"done|success\w*|succeed\w*|complete\w*|worked|happened|went through|carried out",
            rf"unless|until|only|never|not|before|results?|returned|{TOOL}|{ERROR}",
            polarity="any",
        ),
        _pattern(
            r"check\w*|read|inspect\w*|look at|make sure|pay attention",
            r"results?|respons\w+|returns?|returned|errors?|outcomes?",
            r"tools?|calls?|each|every|after",
        ),
        _pattern(
            rf"{ERROR}",
            r"not happen\w*|nothing (?:was|has|is)|did not|was not|has not|not (?:been )?done",
            polarity="any",
        ),
    ),
    "persist": (
        _pattern(
            r"giv(?:e|ing) up|stop(?:ping)? early|abandon\w*|quit\w*|apologi[sz]e and|end the conversation",
            polarity="forbidden",
        ),
        _pattern(
            r"keep (?:going|working|trying|at it)|persist\w*|persever\w+|see (?:it|the \w+) through|carry on|continue"
            r"|(?:try|find|look for) (?:another|a different|an alternative|other)",
            r"until|resolv\w+|solv\w+|complet\w+|done|finish\w*|requests?|task|problem|tool|fail\w*|way|approach|customer",
        ),
    ),
    "refund_limits": (
        _pattern(
            r"refund\w*|amounts?|compensat\w+|credits?|goodwill|vouchers?|money",
            r"exceed\w*|more than|limits?|cap|capped|maximum|at most|no more|never above|calculat\w+|comput\w+|work out"
            r"|exact\w*|price paid|paid|check\w*|eligib\w+|entitled|window|owed|due|recalculat\w+|add up",
            r"refund\w*|compensat\w+|credits?|goodwill|vouchers?",
            polarity="any",
        ),
    ),
    "remember_wishes": (
        _pattern(
            r"remember\w*|keep (?:track|in mind|a list|notes?)|notes?|honou?r\w*|respect\w*|track|re-?read|write down"
            r"|carry (?:them|over|along)|recall\w*|restate|lists?|pin\w*|collect|forget\w*|go back|mind",
            r"constraints?|wish\w*|preferences?|conditions?|said (?:earlier|before)|earlier|requirements?|stated"
            r"|(?:customer|user|they) (?:\w+ )?(?:said|asked|wants?|stated|told|mentioned)"
            r"|start of the conversation|beginning",
            polarity="any",
        ),
    ),
    "resist_pressure": (
        _pattern(
            r"pressure\w*|insists?|insisting|push\w*|threat\w*|demand\w*|argu(?:e|es|ing)|upset|angry|begs?|pleads?"
            r"|pleading|persistent|urgent|urgency|keeps? asking|asks? again",
            r"policy|firm\w*|hold|stay\w*|giv(?:e|ing) in|yield\w*|bend|exceptions?|same answer|rules?|refus\w+|stand"
            r"|chang\w+ (?:your|the)|no",
            polarity="any",
        ),
        _pattern(
            r"exceptions?|giv(?:e|ing) in|bend|yield\w*|waive\w*", r"never|not|no|policy|rules?|even if", polarity="any"
        ),
    ),
    "look_up": (
        _pattern(
            r"look\w*(?: \w+){0,3} up|looking up|retriev\w+|fetch\w*|quer(?:y|ies)|consult\w*|search\w*|check\w*"
            rf"|(?:{CALL}) (?:a |the |your )?(?:\w+ )?(?:tools?|lookup\w*)",
            r"before (?:you )?(?:answer\w*|stat\w+|say\w*|tell\w*|quot\w+|mak\w+|giv\w+)|instead of|rather than|memory"
            r"|guess\w*|facts?|every fact|never assume",
        ),
        _pattern(
            r"from memory|memory|guess\w*|assum\w+|invent\w*|from your head|ma(?:k|d)e up|making up|fabricat\w+",
            r"answer\w*|facts?|stat\w+|prices?|stock|status|tell|quote\w*|orders?|details|information|look\w*",
            polarity="any",
        ),
        _pattern(
            r"only (?:state|say|tell|quote|use)|ground\w*|every (?:fact|figure|statement)",
            r"tool|looked up|results?|records?|database|source",
        ),
    ),
    "escalate_when_due": (
        _pattern(
            r"escalat\w+|transfer\w*|hand(?:s|ing)?(?: \w+){0,3} over|handover"
            r"|human (?:agent|colleague)?|supervisor|specialist",
            r"when\w*|if|must|always|requir\w+|immediately|due|needs?|safety|fraud|legal|right away|doubt",
        ),
    ),
    "escalate_little": (
        _pattern(
            r"escalat\w+|transfer\w*|hand(?:s|ing)?(?: \w+){0,3} over|handover",
            r"only|unless|last resort|yourself|reserve\w*|sparing\w*|never for"
            r"|not (?:for|because|just)|unnecessar\w+|avoid\w*",
            polarity="any",
        ),
        _pattern(
            r"handle|resolve|solve|settle", r"yourself|on your own|without (?:a )?(?:human|transfer\w*|escalat\w+)"
        ),
    ),
    "allow_what_is_allowed": (
        _pattern(
            r"refus\w+|declin\w+|den(?:y|ies|ied|ying)|reject\w*|turn\w* down|say(?:ing)? no",
            r"only (?:when|if|what|where)|unless|before (?:you )?(?:refus\w+|declin\w+|say(?:ing)?)|unnecessar\w+"
            r"|explicit\w*|forbids?|forbidden|needlessly",
            polarity="any",
        ),
        _pattern(
            r"refus\w+|declin\w+|den(?:y|ies|ied|ying)|reject\w*|turn\w* down",
            r"allow\w*|permit\w*|entitled|eligible|possible",
            polarity="forbidden",
        ),
        _pattern(
            r"allow\w*|permit\w*|entitled|eligible",
            r"do it|help|grant\w*|carry (?:it )?out|proceed|fulfil\w*|give|carry on|yes|check",
            r"polic\w+|requests?|customer|rules?",
        ),
    ),
    "refuse_strictly": (
        _pattern(
            r"refus\w+|declin\w+|den(?:y|ies)|reject\w*|say no",
            r"always|in doubt|immediately|any requests?|strict\w*|firmly|everything|anything|at once|unsure|not sure",
        ),
    ),
    "all_requests": (
        _pattern(
            r"every|all|each|both|second|another|further|more than one|several|multiple|remaining|open|outstanding",
            r"requests?|questions?|issues?|wants?|things? (?:the|they)|needs?|tasks?|points?",
            r"address\w*|handl\w+|answer\w*|complet\w+|resolv\w+|check\w*|finish\w*|before|lists?|done|track|dealt|deal"
            r"|settled|fulfil\w*|clos\w+",
        ),
        _pattern(r"anything else", r"ask\w*|before|clos\w+|check"),
    ),
    "required_information": (
        _pattern(
            r"tell\w*|inform\w*|mention\w*|includ\w+|state|say|communicat\w+|give|explain\w*|disclos\w+|name|announce",
            r"fees?|deadlines?|days|times?|timing|amounts?|reference|numbers?|next steps?|duration|how (?:long|much)"
            r"|conditions?|consequences?|costs?|required (?:information|facts)"
            r"|(?:everything|all|what|information)(?: \w+){0,3}"
            r" polic\w+|must be (?:told|said|mentioned)|dates?",
            r"customer|they|them|before|always|policy|clos\w+|after|every|when\w*|must|answer",
        ),
    ),
    "ask_much": (
        _pattern(r"ask\w*", r"clarif\w+|follow-?up questions?|additional questions?|many questions|further questions?"),
        _pattern(r"(?:double|triple)-?check\w*(?:\W+\w+){0,2}\W+(?:everything|all|every)"),
        _pattern(
            r"verif\w+|check\w*|confirm\w*|ask\w*",
            r"(?:everything|every \w+|all \w+|each \w+|details?) (?:twice|again)|twice|two times|(?:a )?second time",
        ),
    ),
    "be_concise": (
        _pattern(
            r"concise\w*|brief\w*|short(?! paragraph)|terse\w*|few words|one sentence|to the point|minimal\w*",
            r"be|keep|answers?|answering|repl(?:y|ies)|respon\w+|messages?|write|sentences?",
        ),
    ),
}
