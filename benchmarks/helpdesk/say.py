"""Cues of what policy wants said, and spellings of dates and amounts."""

from __future__ import annotations

import datetime as dt
import re

from benchmarks.helpdesk.case import Cue

_TO = r"\s*(-|\u2013|\u2014|to|and)\s*"
_DAYS = r"[\s-]+(business|working)[\s-]+days?"

REFUND_TIME = Cue(name="refund time", pattern=rf"\b(5|five){_TO}(7|seven){_DAYS}")
SHIP_TIME = Cue(name="replacement time", pattern=rf"\b(3|three){_TO}(5|five){_DAYS}")
LABEL = Cue(
    name="return label", pattern=r"return label|prepaid label|return shipping label|label for (the|your) return"
)
CREDIT_VALID = Cue(name="validity of the credit", pattern=r"\b(12|twelve) months|\b(one|a|1)(-| )(full )?year")
EXTRA_DAY = Cue(
    name="possible delay", pattern=r"\b(one|1|an?) (extra|additional|more|further) (business |working )?day"
)
CONTACT_TIME = Cue(name="when the change takes effect", pattern=r"\b(24|twenty-four)[\s-]+hours?")
COLLEAGUE_TIME = Cue(name="when the colleague answers", pattern=rf"\b(2|two){_DAYS}")
RECOVERY = Cue(name="account recovery page", pattern=r"\brecover")
NOT_VERIFIED = Cue(name="identity not verified", pattern=r"verif|do(n't| not) match|identity")
WARRANTY = Cue(name="manufacturer's warranty", pattern=r"\bwarrant")
CARRIER = Cue(name="what the carrier can do", pattern=r"\bcarrier")
RETURN_LATER = Cue(name="return after delivery", pattern=r"\breturn")


def window(days: int) -> Cue:
    """The return window has to be named."""
    word = {30: "thirty", 60: "sixty"}[days]
    return Cue(name="return window", pattern=rf"\b({days}|{word})[\s-]+(calendar )?days?")


def verbatim(name: str, value: str) -> Cue:
    """A value has to be said as it is."""
    return Cue(name=name, pattern=re.escape(value.casefold()))


def amount(name: str, value: float) -> Cue:
    """An amount has to be said, cents optional where they are zero."""
    cents = rf"(\.{round(value * 100) % 100:02d})"
    return Cue(name=name, pattern=rf"\b{int(value)}{cents if value % 1 else cents + '?'}\b")


def usd(value: float) -> str:
    """An amount as the gold texts write it."""
    return f"${value:.2f}"


def day(date: dt.date) -> str:
    """A date as the gold texts write it."""
    return f"{date.day} {date:%B %Y}"


def day_pattern(date: dt.date) -> str:
    """A date as anybody may write it."""
    month, number = f"({date:%b}|{date:%B})\\.?".casefold(), rf"0?{date.day}(st|nd|rd|th)?"
    in_words = rf"{number}( of)? {month}|{month},? {number}"
    in_figures = rf"{date:%Y-%m-%d}|0?{date.month}/0?{date.day}|0?{date.day}\.0?{date.month}\."
    return rf"\b({in_words}|{in_figures})(?!\d)"


def number_pattern(value: float, *, months: bool = False) -> str:
    """A number as anybody may write it; months may be said in years."""
    plain = rf"(?<![\d.]){re.escape(f'{value:g}')}(?!\.?\d)"
    years = int(value) // 12
    words = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    if not months or value % 12 or years < 1:
        return plain
    word = f"|{words[years]}" if years < len(words) else ""
    return rf"{plain}|\b({years}{word})[\s-]years?"
