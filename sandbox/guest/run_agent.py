"""Runs a harness: loads `agent.py`, checks its contract, opens the session and awaits `run(session)`.

Exit codes: 0 done; 1 the harness raised; 64 the harness breaks its contract. With HONE_CONFORMANCE=1 the harness is
only loaded and checked, and no session is opened.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import io
import os
import random
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, FunctionType, ModuleType
from typing import Any, NoReturn

from sandbox.guest import hone_session

OK = 0
RAISED = 1
NOT_A_HARNESS = 64


class ContractError(Exception):
    """The harness does not offer `async def run(session)`."""


def load_agent(folder: str) -> Callable[[Any], Awaitable[object]]:
    """Import `agent.py` and return its `run`. Raises ContractError and whatever the import raises."""
    path = f"{folder}/agent.py"
    try:
        with io.FileIO(path) as file:
            source = file.read()
    except (FileNotFoundError, IsADirectoryError):
        raise ContractError("there is no agent.py at the top of the harness") from None
    loader = SourceFileLoader("agent", path)
    module = ModuleType("agent")
    module.__file__ = path
    module.__loader__ = loader
    module.__spec__ = ModuleSpec("agent", loader, origin=path)
    sys.modules["agent"] = module
    exec(compile(source, path, "exec", dont_inherit=True), vars(module))  # noqa: S102 - the harness is code
    return _checked(module)


def _checked(module: ModuleType) -> Callable[[Any], Awaitable[object]]:
    run: Callable[[Any], Awaitable[object]] | None = getattr(module, "run", None)
    if run is None:
        raise ContractError("agent.py defines no `run`; it must define `async def run(session)`")
    if isinstance(run, FunctionType) and run.__code__.co_flags & inspect.CO_COROUTINE and _takes_one(run.__code__):
        return run
    if not inspect.iscoroutinefunction(run):
        raise ContractError("`run` in agent.py is not `async def run(session)`")
    try:
        inspect.signature(run).bind(object())
    except TypeError as error:
        raise ContractError(f"`run` in agent.py must take exactly one argument, the session ({error})") from error
    return run


def _takes_one(code: CodeType) -> bool:
    """Whether this is the plain case, which needs no look at the whole signature."""
    variadic = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS
    return code.co_argcount == 1 and not code.co_kwonlyargcount and not code.co_flags & variadic


async def _converse(run: Callable[[Any], Awaitable[object]]) -> None:
    session = await hone_session.open_session()
    try:
        await run(session)
    finally:
        await session.close()


def main(folder: str = "/harness") -> int:
    """Run the harness in `folder`; returns the exit code."""
    sys.argv = ["agent.py"]
    sys.dont_write_bytecode = True
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        run = load_agent(folder)
        if os.environ.get("HONE_CONFORMANCE") != "1":
            asyncio.run(_converse(run))
    except ContractError as error:
        print(f"hone: {error}", file=sys.stderr)
        return NOT_A_HARNESS
    except SystemExit as leaving:
        return _exit_code(leaving)
    except BaseException:  # noqa: BLE001 - the edge of a process: whatever a harness raises is its own crash
        traceback.print_exc()
        return RAISED
    return OK


def _exit_code(leaving: SystemExit) -> int:
    if leaving.code is None or isinstance(leaving.code, int):
        return (leaving.code or 0) & 0xFF
    print(leaving.code, file=sys.stderr)
    return RAISED


def own_modules() -> tuple[str, ...]:
    """Names of the server's modules; asked once before the forks, since looking at a page copies it."""
    return tuple(name for name in sys.modules if name.split(".")[0] == "sandbox")


def run_forked(inherited: dict[str, str], env: dict[str, str], ours: tuple[str, ...]) -> NoReturn:
    """Run the harness in a child of the warm server and end the process as the interpreter would, only faster."""
    for name in inherited.keys() - env.keys():
        del os.environ[name]
    for name, text in env.items() - inherited.items():
        os.environ[name] = text
    random.seed()  # or all runs would draw the same numbers
    vars(threading.main_thread())["_native_id"] = threading.get_native_id()
    sys.modules["hone_session"] = hone_session
    for name in ours:
        # A harness may have a module of the same name.
        sys.modules.pop(name, None)
    sys.modules["__main__"] = ModuleType("__main__")
    code = RAISED
    try:
        code = main()
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - waits for threads, as at any exit
        atexit._run_exitfuncs()  # noqa: SLF001
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - nothing of the forked server may run after the harness
        code = code or RAISED
    finally:
        os._exit(code)
    raise AssertionError


if __name__ == "__main__":
    sys.exit(main(os.getcwd()))  # noqa: PTH109
