"""A run is forked without the interpreter's own work after a fork; a harness must not be able to tell."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from sandbox.contract import Spec
from sandbox.environment import HarnessEnvironment
from sandbox.native.sandbox import NativeSandbox

pytestmark = pytest.mark.anyio
FACTS = """
import asyncio, json, logging, multiprocessing, os, random, subprocess, sys, threading
from concurrent.futures import ThreadPoolExecutor

def double(number):
    return 2 * number

async def in_a_thread():
    return await asyncio.to_thread(double, 5)

if True:
    facts = {}
    facts["thread"] = [threading.get_native_id(), threading.main_thread().native_id, os.getpid()]
    facts["main"] = threading.current_thread() is threading.main_thread()
    facts["lucky"] = random.random()
    logging.getLogger("x").warning("logged")
    with ThreadPoolExecutor(2) as pool:
        facts["pool"] = list(pool.map(double, (1, 2)))
    facts["to_thread"] = asyncio.run(in_a_thread())
    with multiprocessing.get_context("fork").Pool(2) as pool:
        facts["processes"] = pool.map(double, [1, 2, 3])
    child = os.fork()
    if child == 0:
        os._exit(7 if threading.current_thread() is threading.main_thread() else 8)
    facts["child"] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    facts["words"] = subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, text=True).stdout
    facts["env"] = dict(os.environ)
    facts["seen by a child"] = subprocess.run(["env"], capture_output=True, text=True).stdout.splitlines()
    print(json.dumps(facts))

async def run(session):
    pass
"""


@pytest.fixture(scope="module")
async def native(empty_environment: HarnessEnvironment) -> AsyncIterator[NativeSandbox]:
    """An open sandbox."""
    async with NativeSandbox(empty_environment) as box:
        yield box


def harness(code: str, **env: str) -> Spec:
    """A harness of which only the import runs."""
    return Spec(files={"agent.py": code.encode()}, env={"HONE_CONFORMANCE": "1", **env})


async def test_threads_pools_children_and_dice_work_as_in_any_process(native: NativeSandbox) -> None:
    told = []
    for _ in range(2):
        result = await native.run(harness(FACTS))
        assert result.kind == "ok", result.stderr.text
        assert result.stderr.text == "logged\n"
        told.append(json.loads(result.stdout.text))
    for facts in told:
        assert len(set(facts["thread"])) == 1
        assert facts["main"] is True
        assert (facts["pool"], facts["to_thread"], facts["processes"]) == ([2, 4], 10, [2, 4, 6])
        assert facts["child"] == 7
        assert facts["words"] == "1\n"
    assert told[0]["lucky"] != told[1]["lucky"]


async def test_the_environment_is_the_specs_for_the_harness_and_for_its_children(native: NativeSandbox) -> None:
    facts = json.loads((await native.run(harness(FACTS, MINE="1", HOME="/tmp", LANG="C"))).stdout.text)
    env = facts["env"]
    assert (env["MINE"], env["HOME"], env["LANG"]) == ("1", "/tmp", "C")
    assert sorted(f"{name}={text}" for name, text in env.items()) == sorted(facts["seen by a child"])
    assert set(env) == {
        "PATH", "HOME", "TMPDIR", "LANG", "USER", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "HONE_SOCKET",
        "HONE_SESSION_URL", "OPENAI_BASE_URL", "OPENAI_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY",
        "OPENBLAS_NUM_THREADS", "LITELLM_LOCAL_MODEL_COST_MAP", "HONE_CONFORMANCE", "MINE",
    }  # fmt: skip


async def test_one_runs_changes_do_not_reach_the_next(native: NativeSandbox) -> None:
    await native.run(harness("import os, json\nos.environ['LEFT'] = '1'\njson.LEFT = 1\n"))
    code = "import os, json\nprint(os.environ.get('LEFT'), hasattr(json, 'LEFT'))\nasync def run(session): pass\n"
    assert (await native.run(harness(code))).stdout.text == "None False\n"


async def test_a_crash_shows_its_line_of_source(native: NativeSandbox) -> None:
    result = await native.run(harness("def go():\n    raise KeyError('boom')  # here\ngo()\n"))
    assert 'File "/harness/agent.py", line 2, in go' in result.stderr.text
    assert "raise KeyError('boom')  # here" in result.stderr.text


@pytest.mark.parametrize(
    ("code", "fits"),
    [
        ("async def run(session): pass", True),
        ("async def run(session, extra=1): pass", True),
        ("async def run(*all): pass", True),
        ("import functools\nasync def go(x, session): pass\nrun = functools.partial(go, 1)", True),
        ("class A:\n    async def go(self, session): pass\nrun = A().go", True),
        ("async def run(session, other): pass", False),
        ("async def run(session, *, key): pass", False),
        ("async def run(session):\n    yield 1", False),
        ("run = 3", False),
    ],
)
async def test_whether_run_fits_the_contract_is_told_without_running_it(
    native: NativeSandbox, code: str, fits: bool
) -> None:  # fmt: skip
    result = await native.run(harness(code + "\n"))
    assert (result.kind == "ok") is fits, result.stderr.text
