"""Generated agent text with planted personal values among distractors, and what the redactor should find in it."""

from __future__ import annotations

import random
from dataclasses import dataclass

from optimizer.telemetry.checks import IBAN_LENGTH, is_luhn

FILLERS = (
    "Thanks, let me check that for you.", "I would like to change my booking.", "Please confirm before I go on.",
    "The refund takes 5 to 7 business days.", "Is there anything else?", "We have economy, business and first.",
)  # fmt: skip


@dataclass(frozen=True)
class Planted:
    text: str
    values: tuple[tuple[str, str], ...]
    """Kind and value."""
    distractors: tuple[str, ...]


def digits(dice: random.Random, n: int) -> str:
    return "".join(dice.choice("0123456789") for _ in range(n))


def card(dice: random.Random) -> str:
    prefix, length = dice.choice([("4", 16), ("51", 16), ("2221", 16), ("37", 15), ("6011", 16), ("36", 14)])
    body = prefix + digits(dice, length - len(prefix) - 1)
    number = next(body + check for check in "0123456789" if is_luhn(body + check))
    sizes = {16: (4, 4, 4, 4), 15: (4, 6, 5), 14: (4, 6, 4)}[length]
    return number if dice.random() < 0.4 else cut(number, sizes, dice.choice(" -"))


def cut(text: str, sizes: tuple[int, ...], by: str) -> str:
    parts, at = [], 0
    for size in sizes:
        parts.append(text[at : at + size])
        at += size
    return by.join(parts)


def iban(dice: random.Random) -> str:
    country = dice.choice(["DE", "FR", "GB", "NL", "ES"])
    body = digits(dice, IBAN_LENGTH[country] - 4)
    spelled = "".join(str(int(char, 36)) for char in f"{body}{country}00")
    compact = f"{country}{98 - int(spelled) % 97:02d}{body}"
    return compact if dice.random() < 0.5 else " ".join(compact[i : i + 4] for i in range(0, len(compact), 4))


def email(dice: random.Random) -> str:
    name = dice.choice(["mia.li", "o-neil", "j_doe99", "anna+shop", "x"])
    return (
        f"{name}{dice.randint(1, 999)}@{dice.choice(['example.com', 'mail.example.co.uk', 'sub-domain.example.org'])}"
    )


def ip(dice: random.Random) -> str:
    if dice.random() < 0.3:
        return "2001:db8:" + ":".join(f"{dice.randint(1, 65535):x}" for _ in range(6))
    return ".".join(str(dice.randint(1, 254)) for _ in range(4))


def key(dice: random.Random) -> str:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    tail = "7" + "".join(dice.choice(letters) for _ in range(35))
    upper = "7" + "".join(dice.choice("ABCDEFGHIJKLMNOP0123456789") for _ in range(15))
    return dice.choice(
        [f"sk-{tail}", f"sk_live_{tail}", f"AKIA{upper}", f"ghp_{tail}", f"glpat-{tail}", f"AIza{tail[:35]}"]
    )


def phone(dice: random.Random) -> str:
    a, b, c = str(dice.randint(201, 989)), str(dice.randint(200, 999)), digits(dice, 4)
    return dice.choice(
        [f"({a}) {b}-{c}", f"{a}-{b}-{c}", f"{a}.{b}.{c}", f"+1 {a} {b} {c}", f"+49 171 {digits(dice, 7)}",
         f"+44 20 {digits(dice, 4)} {digits(dice, 4)}", f"0171 {digits(dice, 7)}", f"+1{a}{b}{c}"]
    )  # fmt: skip


def ssn(dice: random.Random) -> str:
    return f"{dice.randint(1, 665):03d}-{dice.randint(1, 99):02d}-{dice.randint(1, 9999):04d}"


MAKERS = {"CARD": card, "EMAIL": email, "IBAN": iban, "IP": ip, "KEY": key, "PHONE": phone, "SSN": ssn}


def distractor(dice: random.Random) -> str:
    return dice.choice(
        [
            f"#W{digits(dice, 7)}", f"HAT{digits(dice, 3)}", digits(dice, 10), f"2024-05-{dice.randint(1, 28):02d}",
            f"2024-05-15T{dice.randint(10, 23)}:{dice.randint(10, 59)}:{dice.randint(10, 59)}Z",
            f"17{digits(dice, 11)}", f"credit_card_{digits(dice, 7)}", f"${dice.randint(1, 9999)}.{digits(dice, 2)}",
            f"{dice.randint(10, 23)}:{dice.randint(10, 59)}:{dice.randint(10, 59)}",
            f"v{digits(dice, 1)}.{digits(dice, 2)}.0", f"ORD-{digits(dice, 4)}-{digits(dice, 6)}",
            f"room {digits(dice, 3)}", f"{digits(dice, 3)}-{digits(dice, 7)}-{digits(dice, 7)}",
            f"1Z{digits(dice, 3)}AA{digits(dice, 10)}", "std::vector", "@support",
            f"{digits(dice, 8)}-{digits(dice, 4)}-4{digits(dice, 3)}",
        ]
    )  # fmt: skip


def planted(dice: random.Random, n_items: int = 8) -> Planted:
    words, values, distractors = [], [], []
    for _ in range(n_items):
        words.append(dice.choice(FILLERS))
        if dice.random() < 0.5:
            kind = dice.choice(sorted(MAKERS))
            value = MAKERS[kind](dice)
            values.append((kind, value))
        else:
            value = distractor(dice)
            distractors.append(value)
        words.append(dice.choice(["it is {}.", "{}", "I have {}, ok?", "({})", "see {} please"]).format(value))
    return Planted(" ".join(words), tuple(values), tuple(distractors))
