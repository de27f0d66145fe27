"""Throughput, recall and false positives of redaction, per engine: `python -m tests.telemetry.bench_redact`."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from importlib.util import find_spec

from optimizer.domain.trace import Span, Trace
from optimizer.telemetry.engine import EngineName
from optimizer.telemetry.redact import Redactor
from tests.telemetry.planted import MAKERS, Planted, planted

N_TEXTS = 4000
N_TRACES = 150
FIRST = ("Mia", "Sofia", "Noah", "Liam", "Yusuf", "Aarav", "Chen", "Olivia")
LAST = ("Li", "Kim", "Garcia", "Rossi", "Khan", "Silva", "Nguyen", "Johnson")


def best_cpu_s(run, n: int = 3) -> float:
    times = []
    for _ in range(n):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def trace(dice: random.Random) -> Trace:
    """One conversation of about 20 KB with a customer's profile in a tool result and the name in free text."""
    first, last = dice.choice(FIRST), dice.choice(LAST)
    user = f"{first}_{last}_{dice.randint(1000, 9999)}".lower()
    profile = {"name": {"first_name": first, "last_name": last}, "email": f"{user}@example.com", "dob": "1990-04-05"}
    spans = []
    for index in range(40):
        if index % 4 == 1:
            output = json.dumps({"user_id": user, **profile, "orders": [f"#W{n}" for n in range(1000000, 1000040)]})
            spans.append(Span(index=index, kind="tool_call", name="find", input={"user_id": user}, output=output))
        else:
            said = f"Thanks {first}. {planted(dice, 4).text}"
            spans.append(Span(index=index, kind="user_turn", name="user", input=said, output=f"{last} here. {said}"))
    return Trace(spans=tuple(spans))


def size(one: Trace) -> int:
    return sum(len(json.dumps([span.input, span.output])) for span in one.spans)


def figures(engine: EngineName, texts: list[Planted]) -> str:
    redactor, missed, total, false = Redactor(b"k" * 32, engine=engine), Counter[str](), Counter[str](), 0
    for one in texts:
        clean = redactor.text(one.text)
        total.update(kind for kind, _ in one.values)
        missed.update(kind for kind, value in one.values if value in clean)
        false += sum(distractor not in clean for distractor in one.distractors)
    n = sum(len(one.distractors) for one in texts)
    recall = " ".join(f"{kind} {1 - missed[kind] / total[kind]:.3f}" for kind in MAKERS)
    return f"recall {recall}; false positives {false} of {n:,} ({false / n:.2%})"


def main() -> None:
    dice = random.Random(20261121)
    texts = [planted(dice) for _ in range(N_TEXTS)]
    traces = [trace(dice) for _ in range(N_TRACES)]
    mb_text = sum(len(one.text) for one in texts) / 1e6
    mb_trace = sum(map(size, traces)) / 1e6
    engines: list[EngineName] = ["re2", "re"] if find_spec("re2") else ["re"]
    for engine in engines:
        text_s = best_cpu_s(lambda e=engine: [Redactor(b"k" * 32, engine=e).text(one.text) for one in texts[:400]])
        trace_s = best_cpu_s(lambda e=engine: list(map(Redactor(b"k" * 32, engine=e).trace, traces)))
        long = " ".join(one.text for one in texts)
        long_s = best_cpu_s(lambda e=engine, t=long: Redactor(b"k" * 32, engine=e).text(t))
        print(
            f"{engine}: short texts {mb_text / 10 / text_s:.1f} MB/CPU-s, one long text {mb_text / long_s:.1f}, "
            f"traces {mb_trace / trace_s:.1f} "
            f"({1000 * trace_s / N_TRACES:.1f} CPU-ms each, {mb_trace / N_TRACES * 1e3:.0f} KB)"
        )
        print(f"    {figures(engine, texts)}")


if __name__ == "__main__":
    main()
