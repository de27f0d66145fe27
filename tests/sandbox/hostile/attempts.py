"""Shipped with every hostile agent: tries things and prints what happened, one word per attempt."""

import ctypes
import json
import os

libc = ctypes.CDLL(None, use_errno=True)
outcomes = {}
SCRATCH, TMP = os.environ["HOME"], os.environ["TMPDIR"]


def attempt(name, action):
    """Note `open` when the action works, else the reason it did not."""
    try:
        result = action()
    except BaseException as error:
        outcomes[name] = f"refused: {type(error).__name__}: {error}"
    else:
        outcomes[name] = f"open: {result!r}"[:300]


def syscall(number, *args):
    """A raw system call; raises OSError."""
    result = libc.syscall(ctypes.c_long(number), *args)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def tell(**facts):
    print(json.dumps(outcomes | facts), flush=True)


async def run(session):
    pass
