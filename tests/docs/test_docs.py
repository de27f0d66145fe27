"""What the documents say is true of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from optimizer.cli.main import VERBS
from optimizer.config.reference import as_markdown
from optimizer.domain.task import Benchmark, Submit
from optimizer.evals.splits import check_splits

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def code_of(page: str) -> str:
    match = re.search(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    assert match is not None
    return match[1]


@pytest.mark.anyio
async def test_the_example_benchmark_is_a_benchmark():
    scope: dict[str, object] = {"__name__": "sums"}
    exec(compile(code_of("add-a-benchmark.md"), "add-a-benchmark.md", "exec"), scope)
    benchmark: Benchmark = scope["load"]()
    assert check_splits(tuple(benchmark.tasks())).is_sound
    task = benchmark.tasks()[7]
    right, wrong = await benchmark.open(task, trial="0"), await benchmark.open(task, trial="0")
    assert right.opening().first_message == "What is 7 + 1?"
    await right.step(Submit(answer="8"))
    await wrong.step(Submit())
    assert ((await right.grade()).value, (await wrong.grade()).value) == (1.0, 0.0)


def test_the_settings_page_is_what_the_settings_say():
    assert (ROOT / "docs" / "settings.md").read_text() == as_markdown(), "run `make docs`"


def test_every_link_of_the_readme_leads_somewhere():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_verb_the_readme_uses_exists():
    used = set(re.findall(r"\bhone ([a-z]+)\b", " ".join(re.findall(r"`[^`]*`|^hone .*$", README, re.MULTILINE))))
    assert used - set(VERBS) - {"hone", "on"} == set()


def test_the_readme_tells_bring_your_own_agent_in_under_thirty_lines():
    section = README.split("## Bring your own agent")[1].split("\n## ")[0]
    assert len(section.split("```")[1].splitlines()) < 30
