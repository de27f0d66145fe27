"""The harness environment: built once, its own, and clear about what cannot be installed."""

from __future__ import annotations

import subprocess
import zipfile
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


def test_packages_that_pythonpath_shows_this_process_are_installed_all_the_same(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = _wheel(cache, "honeprobe", "1.0")
    shown = tmp_path / "elsewhere"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(shown)
    monkeypatch.setenv("PYTHONPATH", str(shown))
    environment = ensure_environment((f"honeprobe @ {wheel.as_uri()}",), report=print)
    code = "import honeprobe; print(honeprobe.__file__)"
    done = subprocess.run([environment.python, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(environment.prefix)


def _wheel(folder: Path, name: str, version: str) -> Path:
    """A package of one empty module."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path
