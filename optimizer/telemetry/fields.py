"""Personal values that structured fields give away: `{"first_name": "Mia"}` names a person for the whole trace."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from optimizer.domain.json import Json, JsonObject
from optimizer.telemetry.patterns import Kind
from optimizer.telemetry.pseudonyms import PSEUDONYM


def word_set(text: str) -> frozenset[str]:
    """A set of words, spelled as one text."""
    return frozenset(text.split())


_KEYS: dict[Kind, str] = {
    "NAME": "first_name last_name middle_name given_name family_name full_name surname maiden_name customer_name "
    "user_full_name client_name patient_name passenger_name guest_name cardholder cardholder_name holder_name "
    "account_holder recipient_name contact_name display_name nick_name",
    "EMAIL": "email e_mail email_address mail user_email customer_email contact_email",
    "PHONE": "phone phone_number phone_no telephone mobile mobile_number cell tel fax contact_number msisdn",
    "DOB": "dob date_of_birth birth_date birthdate birthday",
    "ADDRESS": "address address1 address2 address3 address_line address_line1 address_line2 street street1 street2 "
    "street_address street_line home_address shipping_address billing_address mailing_address postal_address",
    "USER": "user_id userid customer_id client_id patient_id member_id account_holder_id username user_name login",
    "ID": "passport passport_number driver_license drivers_license license_number national_id tax_id",
    "SSN": "ssn social_security social_security_number",
    "CARD": "card_number credit_card_number pan",
    "IBAN": "iban",
    "IP": "ip ip_address client_ip remote_addr",
    "KEY": "password passwd pwd pin secret client_secret api_key apikey access_token refresh_token auth_token "
    "authorization cvv cvc",
}
_PLACES = frozenset({"city", "town", "zip", "zip_code", "zipcode", "postal_code", "postcode"})
"""Replaced where they stand beside an address; too common as words and numbers to replace elsewhere."""
_PERSONS = word_set(
    "customer user passenger patient client contact person owner holder account_holder guest member recipient"
)
_KIND_OF_KEY: dict[str, Kind] = {key.replace("_", ""): kind for kind, keys in _KEYS.items() for key in keys.split()}
_NOT_PERSONAL = word_set(
    "none null unknown n/a na nil undefined string str text user customer client guest admin test name email phone "
    "address required optional true false yes no anonymous default example object integer number array boolean"
)
_COMMON_WORDS = word_set(
    "an art august april june may will mark bill grant grace hope faith joy dawn rose ivy iris ruby amber pearl violet "
    "summer autumn jack rich rob sue pat drew chase chance frank earnest king price young long short small brown black "
    "white green gray grey rice stone wood woods hill lane field banks cook baker best good day love do so in my see "
    "page park parks case cash ward west north east south noble power sharp stern strong sweet wise bush fox wolf van "
    "major miles dean bishop pope church wall walls waters rivers lake forest bond book bolt ball bell ring read reed "
    "max ray guy sky sun key sea man or to no ho he she we me be go at on by is it as us"
)
"""Names that are words too: replaced only where they are written as names are, or all in capitals."""
_NOT_KEY = re.compile(r"[\W_]+")
_MIN_OPAQUE_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Personal:
    """A value that names a person wherever it stands in the trace."""

    text: str
    kind: Kind
    canonical: str
    """The value it stands for: the spelled-out date of an ISO date."""
    is_exact: bool
    """Matched as written, not in any case."""


def kind_of_key(key: str, siblings: JsonObject, parent: str = "") -> Kind | None:
    """What a field holds by its name; None when it need not be personal. `name` alone needs company that is."""
    kind = _kind_alone(key)
    if kind is None and key.lower() == "name" and (parent.lower() in _PERSONS or has_person(siblings)):
        return "NAME"
    if kind is None and key.lower() in _PLACES and any(_kind_alone(other) == "ADDRESS" for other in siblings):
        return "ADDRESS"
    return kind


def has_person(fields: JsonObject) -> bool:
    """Whether other fields of the same object are about a person."""
    return any(_kind_alone(key) in {"NAME", "EMAIL", "PHONE", "DOB", "USER", "SSN"} for key in fields)


@lru_cache(maxsize=8192)
def _kind_alone(key: str) -> Kind | None:
    return _KIND_OF_KEY.get(_NOT_KEY.sub("", key).lower())


def is_value(text: str) -> bool:
    """Whether text in a personal field is a value at all, and not a placeholder, a schema word or a pseudonym."""
    bare = text.strip()
    return len(bare) > 1 and bare.casefold() not in _NOT_PERSONAL and PSEUDONYM.fullmatch(bare) is None


def nested(text: str) -> Json:
    """The object or array that a string spells as JSON; None when it spells none."""
    bare = text.strip()
    if len(bare) < 4 or bare[0] not in "{[" or bare[-1] not in "}]":
        return None
    try:
        value: Json = json.loads(bare)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, Mapping | list) else None


def personal_values(value: Json, depth: int) -> Iterator[tuple[str, Kind, bool]]:
    """Values of personal fields, JSON in strings included: text, kind, and whether it is replaced elsewhere too."""
    if depth <= 0:
        return
    if isinstance(value, str):
        inside = nested(value)
        if inside is not None:
            yield from personal_values(inside, depth - 1)
    elif isinstance(value, Mapping):
        yield from _of_object(value, "", depth)
    elif isinstance(value, Sequence):
        for part in value:
            yield from personal_values(part, depth - 1)


def _of_object(fields: JsonObject, parent: str, depth: int) -> Iterator[tuple[str, Kind, bool]]:
    for key, value in fields.items():
        kind = kind_of_key(key, fields, parent)
        if isinstance(value, Mapping):
            yield from _of_object(value, key, depth - 1) if depth > 1 else ()
        elif kind is None or nested_or_none(value):
            yield from personal_values(value, depth - 1)
        else:
            is_everywhere = key.lower() not in _PLACES
            yield from ((text, kind, is_everywhere) for text in leaves(value))


def nested_or_none(value: Json) -> bool:
    """Whether a value has fields of its own."""
    if isinstance(value, str):
        return nested(value) is not None
    return isinstance(value, Sequence) and any(isinstance(part, Mapping) for part in value)


def leaves(value: Json) -> Iterator[str]:
    """The texts and numbers of a personal field."""
    if isinstance(value, str):
        if is_value(value):
            yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, Sequence):
        for part in value:
            yield from leaves(part)


def spread(text: str, kind: Kind) -> Iterator[Personal]:
    """In which forms a field's value may stand elsewhere in the trace; none for what would hit innocent text."""
    bare = text.strip()
    if kind == "NAME":
        words = [word.strip(".,") for word in bare.split()] if " " in bare else []
        for part in (bare, *words):
            if len(part) >= 2 and any(char.isalpha() for char in part) and is_value(part):
                is_exact = len(part) <= 2 or part.casefold() in _COMMON_WORDS
                yield Personal(part, kind, part, is_exact=is_exact)
                if is_exact:
                    yield Personal(part.upper(), kind, part, is_exact=True)
    elif kind == "DOB":
        yield from (Personal(form, kind, bare, is_exact=False) for form in dates(bare))
    elif len(bare) >= _MIN_OPAQUE_DIGITS or (len(bare) >= 4 and not bare.isdigit() and not bare.isalpha()):
        yield Personal(bare, kind, bare, is_exact=kind == "KEY")


def dates(text: str) -> tuple[str, ...]:
    """A date as a person may say it; as written alone when it is no ISO date."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return (text,) if len(text) >= 6 else ()
    month, n = day.strftime("%B"), day.day
    suffix = "th" if 11 <= n <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    spoken = (f"{month} {n}, {day.year}", f"{month} {n} {day.year}", f"{n} {month} {day.year}")
    ordinal = (f"{month} {n}{suffix}, {day.year}", f"{month} {n}{suffix} {day.year}", f"{n}{suffix} {month} {day.year}")
    return (day.isoformat(), f"{day:%m/%d/%Y}", f"{day:%d/%m/%Y}", f"{day:%d.%m.%Y}", *spoken, *ordinal)
