"""What the suites share: playing a task, and saying the gold texts in other words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.helpdesk.benchmark import HelpdeskBenchmark
from benchmarks.helpdesk.oracle import Transcript, play
from benchmarks.helpdesk.plan import Ask, Call, Confirm, Step, Tell
from optimizer.domain.task import Score, Task


async def played(bench: HelpdeskBenchmark, task: Task, steps: Sequence[Step], trial: str = "0") -> Score:
    score, _ = await played_out(bench, task, steps, trial)
    return score


async def played_out(
    bench: HelpdeskBenchmark, task: Task, steps: Sequence[Step], trial: str = "0"
) -> tuple[Score, Transcript]:
    return await play(await bench.open(task, trial=trial), steps)


def failed(score: Score) -> dict[str, str]:
    return {check.name: check.detail for check in score.checks if not check.is_passed}


_STYLES: tuple[tuple[tuple[str, str], ...], ...] = (
    (
        (
            r"Just so we agree: I would (.*?)\. Shall I go ahead \(yes/no\)\?",
            r"I can \1. Would you like me to proceed?",
        ),
        (r"Shall I go ahead \(yes/no\)\?", "Can I go ahead with that?"),
        (r"I have cancelled order (\S+)\.", r"Done! Your order \1 has been cancelled."),
        (r"I have refunded (\S+) for the (.*?) (to|as) ", r"The refund of \1 for the \2 has been processed \3 "),
        (r" Is there anything else I can help you with\?", " Let me know if there is anything else!"),
        (r"I have arranged the replacement", "I've arranged the replacement"),
    ),
    (
        (
            r"Just so we agree: I would (.*?)\. Shall I go ahead \(yes/no\)\?",
            r"Here is what I am going to do: \1. Please confirm that this is correct.",
        ),
        (r"Shall I go ahead \(yes/no\)\?", "Please reply 'yes' to confirm."),
        (r"I have (cancelled|changed|updated|added|arranged)", r"I've successfully \1"),
        (r"5-7 business days", "5 to 7 working days"),
        (r"3-5 business days", "three to five business days"),
        (r"\bcannot\b", "can\u2019t"),
        (r"Is there anything else I can help you with\?", "Do you have any other questions?"),
    ),
    (
        (r"Just so we agree: I would ", "Thank you! To summarise, you'd like me to "),
        (r"Shall I go ahead \(yes/no\)\?", "Is that right?"),
        (r"cannot be cancelled", "is not possible to cancel"),
        (r"I have passed your case to a human colleague", "Your case has been escalated to a specialist"),
        (r" Is there anything else I can help you with\?", ""),
    ),
)
N_STYLES = len(_STYLES)
_MERGED = (
    "Before I can help, could you please provide your email address, your postal code "
    "and the last 4 digits of your card?"
)


def in_other_words(steps: Sequence[Step], style: int) -> tuple[Step, ...]:
    """The same conversation in words the script's author did not use; style 1 asks for everything at once."""
    return tuple(_reworded(step, style) for step in steps)


def _reworded(step: Step, style: int) -> Step:
    match step:
        case Ask() if style == 1 and step.fact in {"email", "postal_code", "last4"}:
            return replace(step, question=_MERGED)
        case Confirm() | Tell():
            return replace(step, text=_spoken(step.text, style))
        case Ask() | Call():
            return step


def _spoken(text: str, style: int) -> str:
    for pattern, words in _STYLES[style]:
        text = re.sub(pattern, words, text)
    return text
