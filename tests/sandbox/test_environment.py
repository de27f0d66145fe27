"""The harness environment: built once, its own, and clear about what cannot be installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sandbox.contract import SandboxUnavailable
from sandbox.environment import ensure_environment


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HONE_CACHE", str(tmp_path))
    return tmp_path


def test_it_is_built_once_and_then_found(cache: Path) -> None:
    told: list[str] = []
    first = ensure_environment((), report=told.append)
    n_told = len(told)
    assert n_told >= 2
    assert ensure_environment((), report=told.append) == first
    assert len(told) == n_told
    assert first.prefix.is_relative_to(cache)


def test_it_holds_nothing_of_the_optimizers(cache: Path) -> None:
    environment = ensure_environment((), report=print)
    code = "import importlib.util as u; print([m for m in ('anyio', 'optimizer', 'litellm', 'pip') if u.find_spec(m)])"
    done = subprocess.run([environment.python, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_unfinished_one_is_built_again(cache: Path) -> None:
    environment = ensure_environment((), report=print)
    (environment.prefix / ".hone-complete").unlink()
    environment.python.unlink()
    assert ensure_environment((), report=print).python.exists()


def test_a_requirement_that_cannot_be_installed_is_named_with_pips_words(cache: Path) -> None:
    wanted = str(cache / "no-such-wheel-1.0-py3-none-any.whl")
    with pytest.raises(SandboxUnavailable, match=r"no-such-wheel.*\n.*ERROR"):
        ensure_environment((wanted,), report=print)
    assert list((cache / "envs").glob("*/.hone-complete")) == []


def test_a_cache_that_cannot_be_written_is_a_clear_refusal(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "file").touch()
    monkeypatch.setenv("HONE_CACHE", str(cache / "file"))
    with pytest.raises(SandboxUnavailable, match="HONE_CACHE"):
        ensure_environment((), report=print)


def test_the_order_of_requirements_does_not_matter() -> None:
    from sandbox.environment import _key

    assert _key(("a", "b")) == _key(("b", "a")) != _key(("a",))
