"""Whether digits that look like a card, an account or an address really are one."""

from __future__ import annotations

import ipaddress

IBAN_LENGTH = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "CH": 21,
    "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18,
    "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23,
    "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LI": 21, "LT": 20, "LU": 20, "LV": 21,
    "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28,
    "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24,
    "TR": 26, "UA": 29, "VG": 24, "XK": 20,
}  # fmt: skip
"""Characters of an account number per country, from the IBAN registry."""

CARD_GROUPINGS = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 4, 1)})
"""How card numbers are printed; a number without blanks is one group of 13 to 19."""


def is_luhn(digits: str) -> bool:
    """ISO/IEC 7812 check digit."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def is_card(digits: str) -> bool:
    """A prefix and length that a card scheme issues, and a right check digit."""
    length, two, four = len(digits), int(digits[:2] or 0), int(digits[:4] or 0)
    issued = (
        (digits.startswith("4") and length in {13, 16, 19})
        or ((51 <= two <= 55 or 2221 <= four <= 2720) and length == 16)
        or (two in {34, 37} and length == 15)
        or (two in {30, 36, 38, 39} and length == 14)
        or (two in {35, 50, 56, 57, 58, 60, 62, 63, 64, 65, 67} and 16 <= length <= 19)
    )
    return issued and is_luhn(digits)


def is_iban(compact: str) -> bool:
    """Length of the country and remainder 1 modulo 97 (ISO 13616)."""
    if len(compact) != IBAN_LENGTH.get(compact[:2]):
        return False
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def is_ssn(digits: str) -> bool:
    """Nine digits in a range that the United States issue."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"


def is_address(text: str) -> bool:
    """An IPv4 or IPv6 address of some machine; `::` in source code, loopback and times of day are none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.is_loopback or address.is_unspecified:
        return False
    groups = [group for group in text.split(":") if group]
    return address.version == 4 or len(groups) >= 3 or (len(groups) == 2 and len(groups[0]) >= 3)
